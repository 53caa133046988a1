//! One helper's share of a spare's secret, and its encoding.

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::PeerShareError;
use super::number::{Commitment, Number};
use super::sharing::{self, Part};
use crate::checkpoint::twenty_digits;
use crate::codec;
use crate::hash::Hash;
use crate::id::{CommitteeId, DeviceId};
use crate::limits::{SHARES_MAX, SHARES_MIN};

/// An encoded share: its fields, with as many commitments as there may be.
pub(super) const SHARE_TEXT_BYTES_MAX: usize = 182 + 34 * SHARES_MAX;

const DRILL_DOMAIN: &[u8] = b"sealpost/1 drill";

/// A share, which fits its commitments. Wiped when dropped; neither `Debug` nor `Clone`.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct Share {
    #[n(0)]
    committee: CommitteeId,
    #[n(1)]
    spare: DeviceId,
    #[n(2)]
    helper: DeviceId,
    #[n(3)]
    threshold: u8,
    #[n(4)]
    index: u8,
    #[n(5)]
    value: Number,
    #[n(6)]
    blinding: Number,
    #[n(7)]
    #[cbor(decode_with = "codec::at_most::<_, _, SHARES_MAX>")]
    commitments: Vec<Commitment>,
}

impl Share {
    pub(super) fn new(
        committee: CommitteeId,
        spare: DeviceId,
        helper: DeviceId,
        threshold: u8,
        part: Part,
    ) -> Self {
        let Part { index, value, blinding, commitments } = part;
        Self { committee, spare, helper, threshold, index, value, blinding, commitments }
    }

    /// In which committee the spare is.
    pub fn committee(&self) -> CommitteeId {
        self.committee
    }

    /// The device that enough shares make.
    pub fn spare(&self) -> DeviceId {
        self.spare
    }

    /// The device whose share this is.
    pub fn helper(&self) -> DeviceId {
        self.helper
    }

    /// How many shares are enough.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Which share of its splitting this is, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Says whether this is the share that the log means: of this committee's `spare`, given to
    /// `helper`, of a splitting with this threshold. Whoever sealed the file wrote all four.
    pub fn is_for(
        &self,
        committee: CommitteeId,
        spare: DeviceId,
        helper: DeviceId,
        threshold: u8,
    ) -> Result<(), PeerShareError> {
        if self.committee != committee {
            return Err(PeerShareError::OtherCommittee);
        }
        if self.spare != spare {
            return Err(PeerShareError::OtherSpare);
        }
        if self.helper != helper {
            return Err(PeerShareError::OtherHelper);
        }
        if self.threshold != threshold {
            return Err(PeerShareError::OtherThreshold);
        }
        Ok(())
    }

    /// What a helper reads out so that the owner, who kept the code and not the share, knows that
    /// it opens: twenty decimal digits, from which nothing of the share follows.
    pub fn drill_code(&self) -> String {
        twenty_digits(&Hash::of_parts(&[DRILL_DOMAIN, &self.encode()]).0)
    }

    pub(super) fn value(&self) -> &Number {
        &self.value
    }

    /// The share of whoever lies about its value.
    #[cfg(test)]
    pub(super) fn with_value(self, value: Number) -> Self {
        Self { value, ..self }
    }

    /// Whether both are of one splitting: they name the same and commit to the same.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let names = |share: &Self| (share.committee, share.spare, share.threshold);
        names(self) == names(other) && self.commitments == other.commitments
    }

    /// The bytes to seal.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // The capacity is final: a growing Vec would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_TEXT_BYTES_MAX));
        minicbor::encode(self, &mut *bytes).expect("writing to a Vec cannot fail");
        bytes
    }

    /// Reads opened bytes and tests them against the commitments in them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PeerShareError> {
        let share: Self = codec::decode(bytes, SHARE_TEXT_BYTES_MAX)?;
        let threshold = usize::from(share.threshold);
        if !(SHARES_MIN..=SHARES_MAX).contains(&threshold) || threshold != share.commitments.len() {
            return Err(PeerShareError::Threshold);
        }
        if !(1..=SHARES_MAX).contains(&usize::from(share.index)) {
            return Err(PeerShareError::Index);
        }
        let Self { index, value, blinding, commitments, .. } = &share;
        if !sharing::fits(*index, value, blinding, commitments) {
            return Err(PeerShareError::Commitments);
        }
        Ok(share)
    }
}

#[cfg(test)]
mod tests;
