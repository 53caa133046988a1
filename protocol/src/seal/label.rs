//! The label: what a committee and its members are called. The relay sees only its size, in steps.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::{LocalSealError, PeerOpenError};
use crate::codec::{self, PeerCodecError};
use crate::id::{Country, MemberNumber};
use crate::limits;

/// Plaintexts are padded to a multiple of this.
const STEP_BYTES: usize = 4 * 1024;
/// A step is left for age's header and tags, so that the sealed label keeps to its limit.
const PADDED_BYTES_MAX: usize = limits::LABEL_BYTES_MAX - STEP_BYTES;
/// The length of the encoded label stands before it, big-endian.
const LENGTH_BYTES: usize = 4;

/// A committee's name and members. No `Debug`: it holds names.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Label {
    /// The committee's name.
    #[n(0)]
    pub name: String,
    /// Every member, the removed ones included: old records name them.
    #[n(1)]
    pub members: BTreeMap<MemberNumber, LabelMember>,
}

/// How a member is called, and where it works.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct LabelMember {
    /// The name in this committee.
    #[n(0)]
    pub handle: String,
    /// Where it works.
    #[n(1)]
    pub country: Country,
}

/// Which rule a label breaks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LabelFault {
    /// The name is empty or longer than its limit.
    #[error("the committee's name has not 1 to {max} bytes", max = limits::COMMITTEE_NAME_BYTES_MAX)]
    Name,
    /// A handle is empty or longer than its limit.
    #[error("the handle of member {0} has not 1 to {max} bytes", max = limits::HANDLE_BYTES_MAX)]
    Handle(MemberNumber),
    /// Two members have one handle.
    #[error("member {0} has the handle of another")]
    SameHandle(MemberNumber),
}

/// Why a label is refused. The fault of whoever sealed or changed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerLabelError {
    /// The file does not open.
    #[error("{0}")]
    Open(#[from] PeerOpenError),
    /// The plaintext is not a length, a label and zeros up to the next step.
    #[error("the label is not padded as it must be")]
    Padding,
    /// It is not the encoding of a label.
    #[error("{0}")]
    Codec(#[from] PeerCodecError),
    /// It breaks a rule.
    #[error("{0}")]
    Fault(#[from] LabelFault),
}

impl Label {
    /// The plaintext: length, encoding, zeros up to the next step.
    pub(super) fn to_padded(&self) -> Result<Zeroizing<Vec<u8>>, LocalSealError> {
        self.check()?;
        let encoded = Zeroizing::new(codec::encode(self));
        let len = LENGTH_BYTES + encoded.len();
        if len > PADDED_BYTES_MAX {
            return Err(LocalSealError::TooLarge { len, max: PADDED_BYTES_MAX });
        }
        let length = u32::try_from(encoded.len()).expect("below the limit");
        let mut padded = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(STEP_BYTES)));
        padded.extend_from_slice(&length.to_be_bytes());
        padded.extend_from_slice(&encoded);
        padded.resize(len.next_multiple_of(STEP_BYTES), 0);
        Ok(padded)
    }

    /// Reads what [`Self::to_padded`] made; a step too many is refused like other bytes in the
    /// padding, because it would mark who made it.
    pub(super) fn from_padded(padded: &[u8]) -> Result<Self, PeerLabelError> {
        let (length, rest) =
            padded.split_first_chunk::<LENGTH_BYTES>().ok_or(PeerLabelError::Padding)?;
        let length = usize::try_from(u32::from_be_bytes(*length));
        let (encoded, zeros) =
            length.ok().and_then(|at| rest.split_at_checked(at)).ok_or(PeerLabelError::Padding)?;
        let expected = (LENGTH_BYTES + encoded.len()).next_multiple_of(STEP_BYTES);
        if padded.len() != expected || zeros.iter().any(|byte| *byte != 0) {
            return Err(PeerLabelError::Padding);
        }
        let label: Self = codec::decode(encoded, PADDED_BYTES_MAX)?;
        label.check()?;
        Ok(label)
    }

    fn check(&self) -> Result<(), LabelFault> {
        if self.name.is_empty() || self.name.len() > limits::COMMITTEE_NAME_BYTES_MAX {
            return Err(LabelFault::Name);
        }
        let mut handles = std::collections::BTreeSet::new();
        for (number, member) in &self.members {
            if member.handle.is_empty() || member.handle.len() > limits::HANDLE_BYTES_MAX {
                return Err(LabelFault::Handle(*number));
            }
            if !handles.insert(member.handle.as_str()) {
                return Err(LabelFault::SameHandle(*number));
            }
        }
        Ok(())
    }
}
