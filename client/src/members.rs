//! Who is in a committee, as people see it.

use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::{DeviceId, LeafIndex, MemberNumber};
use sealpost_protocol::roster::{Device, Standing};
use sealpost_protocol::seal::Label;
use serde::Serialize;

use crate::changes::RoleName;
use crate::error::{Failure, Kind as Error};
use crate::log::Log;
use crate::names::{self, Wanted, alike};
use crate::vault::Read;
use crate::vault::committees::{Committee, CommitteeNo};

/// A member. In `--json` with these names.
#[derive(Debug, Serialize)]
pub struct Member {
    /// The number in the log.
    pub number: u32,
    /// How the member is called; none when the label was not opened.
    pub handle: Option<String>,
    /// Where the member says to be.
    pub country: Option<String>,
    /// What the member may do.
    pub role: &'static str,
    /// The member's devices.
    pub devices: Vec<MemberDevice>,
    /// What is to be told of the handle: that it reads like another's, or mixes scripts.
    pub warnings: Vec<String>,
}

/// A device of a member.
#[derive(Debug, Serialize)]
pub struct MemberDevice {
    /// Its REF.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its id.
    pub id: String,
    /// `active`, `suspended` or `ended`.
    pub state: &'static str,
    /// The entry that brought it in.
    pub since: u64,
    /// Whether it is this device.
    pub this: bool,
}

/// The members of committee `no`. `own` is this device.
pub fn list(vault: &Read<'_>, no: CommitteeNo, own: DeviceId) -> Result<Vec<Member>, Failure> {
    let log = Log::load(vault, no)?;
    let fold = log.pulled()?;
    let label = names::label(&log.known)?;
    let member = |(number, member): (MemberNumber, sealpost_protocol::roster::Member)| {
        let named = label.as_ref().and_then(|label: &Label| label.members.get(&number));
        let warnings = named.map(|named| alike::warnings(&named.handle, handles(label.as_ref())));
        Member {
            number: number.0,
            handle: named.map(|named| named.handle.clone()),
            country: named.map(|named| named.country.to_string()),
            role: RoleName::from(member.role).as_str(),
            devices: devices(fold, number, own),
            warnings: warnings.unwrap_or_default(),
        }
    };
    Ok(fold.roster().members().map(member).collect())
}

/// The handles of a committee's members.
pub fn handles(label: Option<&Label>) -> impl Iterator<Item = &str> {
    label.into_iter().flat_map(|label| label.members.values()).map(|member| member.handle.as_str())
}

/// The command that lists a committee's members.
pub fn list_command(known: &Committee) -> String {
    format!("sealpost member list --committee {}", names::committee_ref(&known.id))
}

/// The members that `typed` names, each by handle or by the REF of a device.
pub fn named(
    vault: &Read<'_>,
    no: CommitteeNo,
    typed: &[String],
) -> Result<Vec<MemberNumber>, Failure> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let log = Log::load(vault, no)?;
    let fold = log.pulled()?;
    let label = names::label(&log.known)?;
    let one = |typed: &String| {
        one(fold, label.as_ref(), typed).map_err(|failure| match failure.kind {
            Error::Usage => failure,
            _ => failure.next(format!(
                "sealpost sync, if they came lately; else name a device by REF: {}",
                list_command(&log.known)
            )),
        })
    };
    typed.iter().map(one).collect()
}

/// The member that `typed` names by handle, or by the REF of a device.
///
/// What reads as the REF or id of a device names that device and nobody else: a member may be called like
/// another's device, and messages name devices by REF.
pub fn one(fold: &Fold, label: Option<&Label>, typed: &str) -> Result<MemberNumber, Failure> {
    if let Some(wanted) = device_named(typed) {
        let full = |(id, _): &(DeviceId, &Device)| id.to_string();
        let device =
            wanted.one_of(fold.roster().devices(), full, |(id, _)| names::device_ref(id))?;
        return Ok(device.1.member);
    }
    let members = label.into_iter().flat_map(|label| &label.members);
    let called = members.filter(|(_, member)| names::is_same_handle(&member.handle, typed));
    let called: Vec<MemberNumber> = called.map(|(number, _)| *number).collect();
    let is_ended = |number: &MemberNumber| {
        let member = fold.roster().member(*number);
        member.is_none_or(|member| matches!(member.standing, Standing::Ended(_)))
    };
    // Whoever is gone leaves the handle to who comes after.
    let present: Vec<MemberNumber> =
        called.iter().copied().filter(|number| !is_ended(number)).collect();
    match (present.as_slice(), called.as_slice()) {
        ([only], _) | ([], [only]) => return Ok(*only),
        ([], []) => {}
        // Whoever wrote the names may have meant the wrong one to be taken.
        _ => {
            let what = format!("More than one member is called {}", typed.trim());
            return Err(Failure::new(Error::Ambiguous, what));
        }
    }
    let what = format!("Nobody in this committee is called {}", typed.trim());
    Err(Failure::new(Error::NotFound, what))
}

/// A device's REF or full id.
fn device_named(typed: &str) -> Option<Wanted> {
    match Wanted::parse_any(typed).ok()? {
        Wanted::Ref(found) if found.prefix() == "DV" => Some(Wanted::Ref(found)),
        Wanted::Full(id) if id.parse::<DeviceId>().is_ok() => Some(Wanted::Full(id)),
        Wanted::Ref(_) | Wanted::Full(_) => None,
    }
}

fn devices(fold: &Fold, number: MemberNumber, own: DeviceId) -> Vec<MemberDevice> {
    let shown = |(id, device): (DeviceId, &Device)| {
        let LeafIndex(since) = device.since;
        MemberDevice {
            reference: names::device_ref(&id).to_string(),
            id: id.to_string(),
            state: match fold.roster().standing_of(id) {
                Some(Standing::Active) => "active",
                Some(Standing::Suspended(_)) => "suspended",
                Some(Standing::Ended(_)) | None => "ended",
            },
            since,
            this: id == own,
        }
    };
    fold.roster().devices_of(number).map(shown).collect()
}

impl Member {
    /// The cells of a table: number, handle, country, role, devices.
    pub fn cells(&self) -> Vec<String> {
        let device = |device: &MemberDevice| match device.state {
            "active" => device.reference.clone(),
            state => format!("{} ({state})", device.reference),
        };
        let devices: Vec<String> = self.devices.iter().map(device).collect();
        vec![
            self.number.to_string(),
            self.handle.clone().unwrap_or_default(),
            self.country.clone().unwrap_or_default(),
            self.role.to_owned(),
            devices.join(" "),
        ]
    }

    /// The headers over [`Self::cells`].
    pub const HEADERS: [&'static str; 5] = ["NO", "HANDLE", "COUNTRY", "ROLE", "DEVICES"];
}

#[cfg(test)]
mod tests;
