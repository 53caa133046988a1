//! How things are named: REFs, full ids, handles.

use std::collections::BTreeMap;

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId, InvitationId, MemberNumber};
use sealpost_protocol::limits;
use sealpost_protocol::reference::{Ref, RefError};
use sealpost_protocol::seal::Label;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Failure, Kind};
use crate::log::Log;
use crate::ui::display::{Untrusted, is_deceptive};
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::{Read, VaultError};

pub mod alike;

/// Where somebody is who does not say where: a code that ISO 3166-1 leaves to its users.
pub const NO_COUNTRY: &str = "ZZ";

/// A committee's REF.
pub fn committee_ref(id: &CommitteeId) -> Ref {
    Ref::new("C", id.as_bytes())
}

/// A device's REF.
pub fn device_ref(id: &DeviceId) -> Ref {
    Ref::new("DV", id.as_bytes())
}

/// The REF of a roster change, by the leaf hash of its entry.
pub fn change_ref(leaf: &Hash) -> Ref {
    Ref::new("RC", leaf.as_bytes())
}

/// An invitation's REF.
pub fn invitation_ref(id: &InvitationId) -> Ref {
    Ref::new("IV", id.as_bytes())
}

/// How the devices of a committee are called: by their member's handle, or by REF.
pub struct People {
    members: BTreeMap<DeviceId, MemberNumber>,
    label: Option<Label>,
}

impl People {
    /// Those of committee `no`.
    pub fn load(vault: &Read<'_>, no: CommitteeNo) -> Result<Self, Failure> {
        let log = Log::load(vault, no)?;
        let devices = log.fold().into_iter().flat_map(|fold| fold.roster().devices());
        let members = devices.map(|(id, device)| (id, device.member)).collect();
        Ok(Self { members, label: label(&log.known)? })
    }

    /// A device's member's handle, or the device's REF.
    pub fn name(&self, device: &DeviceId) -> String {
        let member = self.members.get(device);
        let label = self.label.as_ref();
        let handle = member.zip(label).and_then(|(member, label)| label.members.get(member));
        handle.map_or_else(|| device_ref(device).to_string(), |member| member.handle.clone())
    }

    /// A member's handle, or the number.
    pub fn member(&self, number: MemberNumber) -> String {
        let handle = self.label.as_ref().and_then(|label| label.members.get(&number));
        handle.map_or_else(|| format!("member {number}"), |member| member.handle.clone())
    }
}

/// A committee's label as it was last opened.
pub fn label(known: &Committee) -> Result<Option<Label>, Failure> {
    let damaged = |_| VaultError::Damaged("the label of a committee does not read".to_owned());
    let decode = |bytes: &Vec<u8>| sealpost_protocol::codec::decode(bytes, bytes.len());
    Ok(known.label.as_ref().map(decode).transpose().map_err(damaged)?)
}

/// The committee that `typed` names by REF or full id; when nothing was typed, the only one.
pub fn committee(vault: &Read<'_>, typed: Option<&str>) -> Result<Committee, Failure> {
    let all = vault.committees()?;
    let Some(typed) = typed else { return the_only(all) };
    let wanted = Wanted::parse(typed, "C")?;
    let full = |known: &Committee| known.id.to_string();
    wanted.one_of(all, full, |known| committee_ref(&known.id))
}

fn the_only(all: Vec<Committee>) -> Result<Committee, Failure> {
    let refs: Vec<String> = all.iter().map(|known| committee_ref(&known.id).to_string()).collect();
    let mut all = all.into_iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Failure::new(Kind::NotFound, "This device is in no committee")
            .next("sealpost join, or sealpost committee found --relay ADDRESS --permit CODE")),
        _ => Err(Failure::new(Kind::Ambiguous, format!("Which committee? {}", refs.join(", ")))
            .next("Type it again with one of these REFs.")),
    }
}

/// A name as typed.
#[derive(Debug)]
pub enum Wanted {
    /// By REF.
    Ref(Ref),
    /// By full id, in the spelling it is shown in.
    Full(String),
}

impl Wanted {
    /// Reads a REF with one of the prefixes, or takes the text as a full id. A mistyped REF is a
    /// usage error.
    pub fn parse(typed: &str, prefix: &str) -> Result<Self, Failure> {
        let reference = Self::parse_any(typed)?;
        match &reference {
            Self::Ref(found) if found.prefix() != prefix => {
                let what = format!("{found} does not name what is wanted here");
                Err(Failure::new(Kind::Usage, what).next(format!("Give a REF of {prefix}-…")))
            }
            _ => Ok(reference),
        }
    }

    /// As [`Wanted::parse`], with any prefix.
    pub fn parse_any(typed: &str) -> Result<Self, Failure> {
        let typed = typed.trim();
        match typed.parse::<Ref>() {
            Ok(found) => Ok(Self::Ref(found)),
            Err(RefError::Check) => Err(RefError::Check.into()),
            Err(RefError::Shape) => full_id(typed).map(Self::Full).ok_or(RefError::Shape.into()),
        }
    }

    /// The one thing of `all` with this name. More than one is told with the full ids.
    pub fn one_of<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        full: impl Fn(&T) -> String,
        reference: impl Fn(&T) -> Ref,
    ) -> Result<T, Failure> {
        let fits = |thing: &T| match self {
            Self::Ref(wanted) => reference(thing) == *wanted,
            Self::Full(wanted) => full(thing) == *wanted,
        };
        let mut found: Vec<T> = all.into_iter().filter(fits).collect();
        if found.len() > 1 {
            let ids: Vec<String> = found.iter().map(full).collect();
            let what = format!("{self} names more than one: {}", ids.join(", "));
            return Err(Failure::new(Kind::Ambiguous, what).next("Type one of the full ids."));
        }
        found.pop().ok_or_else(|| {
            Failure::new(Kind::NotFound, format!("There is no {self} here"))
                .next("sealpost sync, then look again.")
        })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ref(found) => found.fmt(f),
            Self::Full(id) => id.fmt(f),
        }
    }
}

/// A ULID or a hash in hex, in the spelling it is shown in. Anything else, an invitation that was
/// pasted in the wrong place say, is no id and is not repeated.
fn full_id(typed: &str) -> Option<String> {
    let all = |fits: fn(&u8) -> bool| typed.as_bytes().iter().all(fits);
    match typed.len() {
        26 if all(u8::is_ascii_alphanumeric) => Some(typed.to_ascii_uppercase()),
        64 if all(u8::is_ascii_hexdigit) => Some(typed.to_ascii_lowercase()),
        _ => None,
    }
}

/// A committee's name as it is kept: NFC, trimmed, one line.
pub fn committee_name(typed: &str) -> Result<String, Failure> {
    let name: String = typed.trim().nfc().collect();
    let wrong = if name.is_empty() {
        "is empty"
    } else if name.len() > limits::COMMITTEE_NAME_BYTES_MAX {
        "is longer than 256 bytes"
    } else if name.chars().any(char::is_control) {
        "holds control characters"
    } else {
        return Ok(name);
    };
    let what = format!("The committee's name {wrong}");
    Err(Failure::new(Kind::Usage, what).next("Choose another name."))
}

/// A handle as it is kept: NFC, trimmed. Empty, too long, or with characters nobody sees: refused.
pub fn handle(typed: &str) -> Result<String, Failure> {
    let handle: String = typed.trim().nfc().collect();
    let wrong = if handle.is_empty() {
        "is empty"
    } else if handle.len() > limits::HANDLE_BYTES_MAX {
        "is longer than 64 bytes"
    } else if handle.chars().any(is_hidden) || !Untrusted::line(&handle).is_plain() {
        "holds characters that cannot be seen"
    } else {
        return Ok(handle);
    };
    Err(Failure::new(Kind::Usage, format!("The handle {wrong}")).next("Choose another handle."))
}

/// Whether nobody sees that `char` is there, or that it is not a plain space.
fn is_hidden(char: char) -> bool {
    is_deceptive(char) || (char.is_whitespace() && char != ' ')
}

/// What a person can be asked to type for somebody: the handle, unless it is none that a person could
/// read and type, then the REF of a device.
pub fn typable(called: &str, devices: &[DeviceId]) -> String {
    let is_plain = handle(called).is_ok_and(|plain| plain == called);
    match devices.first() {
        Some(device) if !is_plain => device_ref(device).to_string(),
        _ => called.to_owned(),
    }
}

/// Whether two handles are one to whoever reads or says them.
pub fn is_same_handle(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

fn folded(handle: &str) -> String {
    handle.trim().nfc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests;
