//! Invitations: the one text that leads a newcomer to a committee (SPEC.md §16).
//!
//! `sealpost1…` is bech32m over canonical CBOR. It names the relay with its key, the committee and
//! its head, so that a newcomer's first contact cannot be poisoned, and carries a secret of 256
//! bits. From the secret come three values: what the relay lets the joiner in by, of which it keeps
//! only a hash; what seals the join request; what authenticates it to the inviter.
//!
//! ```text
//! inviter  Invitation -> to_text -> the joiner, over any channel; access_hash -> the relay
//! joiner   JoinRequest -> age file under seal_passphrase -> SealedJoinRequest::new -> relay
//! relay    compares access_hash; KeptJoinRequest -> disk, and to the inviter when asked
//! inviter  KeptJoinRequest::verified_file -> age file -> JoinRequest
//! ```

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Checksum, Hrp};
use minicbor::{Decode, Decoder, Encode};
use zeroize::Zeroizing;

use crate::address::RelayAddress;
use crate::hash::Hash;
use crate::id::{CommitteeId, InvitationId, TreeSize, UnixMillis};
use crate::limits::INVITATION_USES_MAX;

mod request;
mod secret;

pub use request::{JoinRequest, KeptJoinRequest, PeerJoinRequestError, SealedJoinRequest};
pub use secret::{InvitationSecret, MAC_BYTES, PeerBadMac};

/// The version of the encoding, and the only one this program reads.
pub const INVITATION_VERSION: u8 = 1;

/// The CBOR of an invitation: the longest address and 200 bytes, with room.
const INVITATION_BYTES_MAX: usize = 1_024;
/// The same as text: the prefix, eight bits in five and the checksum.
const INVITATION_TEXT_BYTES_MAX: usize = PREFIX.len() + INVITATION_BYTES_MAX * 8 / 5 + 8;

const HRP: &str = "sealpost";
const PREFIX: &str = "sealpost1";

/// What an invitation says. No `Debug`, no `Clone`: it carries the secret. Only
/// [`Self::to_text`] shows it.
pub struct Invitation {
    /// The home relay.
    pub address: RelayAddress,
    /// The committee.
    pub committee: CommitteeId,
    /// The tree's size and root that the inviter had verified: the newcomer's log must contain it.
    pub head: (TreeSize, Hash),
    /// By which relay and inviter know it.
    pub id: InvitationId,
    /// Whoever holds it may ask to join.
    pub secret: InvitationSecret,
    /// When the relay stops honouring it, by the relay's clock.
    pub expires: UnixMillis,
    /// How many may join by it: 1 to [`INVITATION_USES_MAX`].
    pub uses: u32,
}

/// Why a text is no invitation this program can use. The fault of whoever typed or made it, and
/// for [`Self::NewerVersion`] nobody's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvitationError {
    /// The text does not begin with `sealpost1`, or is too long to be an invitation.
    #[error("not an invitation: an invitation begins with {PREFIX}")]
    NotAnInvitation,
    /// A character was mistyped, left out or added: the checksum does not fit.
    #[error("a character is wrong, missing or too many")]
    MistypedCharacter,
    /// Upper and lower case in one text.
    #[error("upper and lower case are mixed")]
    MixedCase,
    /// The checksum fits, but what it protects is not an invitation: made wrongly.
    #[error("the invitation was made wrongly: {0}")]
    Malformed(String),
    /// Made by a newer program.
    #[error("the invitation is of version {0}, newer than this program")]
    NewerVersion(u64),
}

/// Bech32m's checksum without its limit on length: BIP 350's constants and nothing else changed.
///
/// Bech32m, because plain bech32 accepts `q`s added or left out before a last `p`, and
/// invitations, unlike addresses of a fixed length, have no other way to notice.
enum LongBech32m {}

impl Checksum for LongBech32m {
    type MidstateRepr = <Bech32m as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32m as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32m::ROOT_GENERATOR;
    const ROOT_EXPONENTS: core::ops::RangeInclusive<usize> = Bech32m::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = INVITATION_TEXT_BYTES_MAX;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32m::TARGET_RESIDUE;
}

/// The encoding: private, so that an invitation leaves this module only as its text.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    address: RelayAddress,
    #[n(2)]
    committee: CommitteeId,
    #[n(3)]
    size: TreeSize,
    #[n(4)]
    root: Hash,
    #[n(5)]
    id: InvitationId,
    #[n(6)]
    secret: InvitationSecret,
    #[n(7)]
    expires: UnixMillis,
    #[n(8)]
    uses: u32,
}

impl Invitation {
    /// The text, in lower case; in upper case it makes a smaller QR code and reads the same.
    /// Whoever sees it can ask to join: it is shown to its maker once and never logged.
    pub fn to_text(&self) -> Zeroizing<String> {
        let wire = Wire {
            version: INVITATION_VERSION,
            address: self.address.clone(),
            committee: self.committee,
            size: self.head.0,
            root: self.head.1,
            id: self.id,
            secret: self.secret.copy(),
            expires: self.expires,
            uses: self.uses,
        };
        to_bech32(&wire.encode())
    }

    /// Reads an invitation, all in lower or all in upper case; white space around it is ignored.
    pub fn from_text(text: &str) -> Result<Self, InvitationError> {
        let bytes = from_bech32(text.trim())?;
        refuse_newer(&bytes)?;
        let malformed = |what: &str| InvitationError::Malformed(what.to_owned());
        let wire: Wire = minicbor::decode(&bytes).map_err(|error| malformed(&error.to_string()))?;
        if *wire.encode() != *bytes {
            return Err(malformed("not in canonical form"));
        }
        if wire.uses == 0 || wire.uses > INVITATION_USES_MAX {
            return Err(malformed("for nobody, or for too many"));
        }
        Ok(Self {
            address: wire.address,
            committee: wire.committee,
            head: (wire.size, wire.root),
            id: wire.id,
            secret: wire.secret,
            expires: wire.expires,
            uses: wire.uses,
        })
    }
}

impl Wire {
    /// Into a buffer that never grows: a grown one would leave the secret behind.
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(INVITATION_BYTES_MAX));
        minicbor::encode(self, &mut *bytes).expect("writing to a Vec cannot fail");
        bytes
    }
}

/// A newer version may have other fields: all that is asked of it is that the version comes first.
fn refuse_newer(bytes: &[u8]) -> Result<(), InvitationError> {
    let version = || {
        let mut decoder = Decoder::new(bytes);
        decoder.map()?;
        match decoder.u8()? {
            0 => decoder.u64(),
            _ => Err(minicbor::decode::Error::message("no version")),
        }
    };
    match version() {
        Ok(version) if version == u64::from(INVITATION_VERSION) => Ok(()),
        Ok(version) if version > u64::from(INVITATION_VERSION) => {
            Err(InvitationError::NewerVersion(version))
        }
        _ => Err(InvitationError::Malformed("no version".to_owned())),
    }
}

fn to_bech32(bytes: &[u8]) -> Zeroizing<String> {
    let hrp = Hrp::parse(HRP).expect("letters only");
    let mut text = Zeroizing::new(String::with_capacity(INVITATION_TEXT_BYTES_MAX));
    bech32::encode_lower_to_fmt::<LongBech32m, String>(&mut text, hrp, bytes)
        .expect("an invitation is shorter than the code, and a String takes all");
    text
}

fn from_bech32(text: &str) -> Result<Zeroizing<Vec<u8>>, InvitationError> {
    let begins = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    if !begins || text.len() > INVITATION_TEXT_BYTES_MAX {
        return Err(InvitationError::NotAnInvitation);
    }
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    if upper && lower {
        return Err(InvitationError::MixedCase);
    }
    let checked = CheckedHrpstring::new::<LongBech32m>(text)
        .map_err(|_| InvitationError::MistypedCharacter)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(INVITATION_TEXT_BYTES_MAX));
    bytes.extend(checked.byte_iter());
    // Bits left over from five-bit groups, or another prefix that begins like ours: one invitation
    // would have many texts.
    if !to_bech32(&bytes).eq_ignore_ascii_case(text) {
        return Err(InvitationError::Malformed("not in canonical form".to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
