//! Recovery: a spare device out of shares that others hold (SPEC.md §21).
//!
//! ```text
//! owner     RecoverySecret ── spare() ──> a device's card, admitted to the log
//!                          ── split() ──> Shares ── seal_share ──> `recovery` in the log
//! helper    open_share: the share fits its commitments, and is_for: it is the one the log means
//!           drill_code: the owner hears that it opens
//! claimant  <── seal_share, to the new device's card ── helpers, who compared the safety number
//!           open_share, is_for, combine ──> the secret, and from it the spare
//! ```
//!
//! The secret is a number of the Ristretto group's field, shared by Pedersen's scheme: fewer than
//! the threshold learn nothing of it, whatever they can compute, commitments included. Its
//! arithmetic is that of `vsss-rs`, in `sharing`.

use std::collections::BTreeSet;

use curve25519_dalek::scalar::Scalar;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::age_header;
use crate::codec::PeerCodecError;
use crate::hybrid::{Identity, Recipient, SEED_BYTES};
use crate::id::{CommitteeId, DeviceId};
use crate::identity::DeviceIdentity;
use crate::limits::{SHARES_MAX, SHARES_MIN};
use crate::seal::{PeerOpenError, open_file, seal_file};

mod combine;
mod number;
mod share;
mod sharing;

pub use combine::combine;
use number::Number;
pub use share::Share;

const SIGNING_INFO: &[u8] = b"sealpost/1 spare signing";
const LOGIN_INFO: &[u8] = b"sealpost/1 spare login";
const HYBRID_INFO: &[u8] = b"sealpost/1 spare hybrid";

/// Why a secret cannot be split so. The caller's fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocalShareError {
    /// The threshold is below [`SHARES_MIN`], or more than there are helpers.
    #[error("a threshold is at least {SHARES_MIN} and at most the number of helpers")]
    Threshold,
    /// More helpers than [`SHARES_MAX`].
    #[error("{0} helpers, more than the limit of {SHARES_MAX}")]
    Helpers(usize),
    /// A device is named twice: it would hold two shares.
    #[error("a device helps twice")]
    SameHelper,
}

/// Why a share is of no use, or several are of none together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerShareError {
    /// The file does not open. For [`PeerOpenError::WrongKey`] see there; else the fault of whoever
    /// sealed it or changed it since.
    #[error("{0}")]
    Open(#[from] PeerOpenError),
    /// Not the encoding of a share. The fault of who sealed it: the owner, or the helper who
    /// passed it on.
    #[error("share: {0}")]
    Codec(#[from] PeerCodecError),
    /// The threshold is not [`SHARES_MIN`] to [`SHARES_MAX`] with as many commitments. The fault of
    /// who sealed it.
    #[error("its threshold is out of range, or another than that of its commitments")]
    Threshold,
    /// The index is not 1 to [`SHARES_MAX`]. The fault of who sealed it.
    #[error("its index is not 1 to {SHARES_MAX}")]
    Index,
    /// What is in it does not fit its commitments: it would make another secret. The fault of who
    /// sealed it.
    #[error("it does not fit its commitments")]
    Commitments,
    /// A share for another committee. The fault of who sealed it, and with it the three below.
    #[error("it is for another committee")]
    OtherCommittee,
    /// A share of another spare.
    #[error("it is of another spare")]
    OtherSpare,
    /// A share that was another helper's.
    #[error("it is another helper's")]
    OtherHelper,
    /// A share of a splitting with another threshold.
    #[error("its threshold is another than the log's")]
    OtherThreshold,
    /// There are not enough shares yet. Nobody's fault: ask a further helper.
    #[error("{have} of {need} shares that fit together")]
    TooFew {
        /// How many fit together, at most.
        have: usize,
        /// Their threshold.
        need: usize,
    },
    /// Enough shares fit together, and make another device than they name. The fault of who shared
    /// the secret, or of as many helpers together.
    #[error("together they make another device than the spare that they name")]
    NotTheSpare,
}

/// The secret that a spare derives from. Wiped when dropped; neither `Debug` nor `Clone`. It has no
/// encoding: it lives from its making to its splitting, and from its combining to the spare's acts.
pub struct RecoverySecret(Number);

impl RecoverySecret {
    /// Makes a secret out of 64 random bytes, which nothing may have been derived from before.
    pub fn generate(random: &[u8; 64]) -> Self {
        Self(Number(Scalar::from_bytes_mod_order_wide(random)))
    }

    /// The spare: the device whose seeds derive from this.
    pub fn spare(&self) -> DeviceIdentity {
        let secret = Zeroizing::new(self.0.0.to_bytes());
        let keys = Hkdf::<Sha256>::new(None, secret.as_slice());
        let seed = |info| {
            let mut seed = Zeroizing::new([0; SEED_BYTES]);
            keys.expand(info, seed.as_mut_slice()).expect("32 bytes are one block of SHA-256");
            seed
        };
        DeviceIdentity::from_seeds(&seed(SIGNING_INFO), &seed(LOGIN_INFO), &seed(HYBRID_INFO))
    }

    /// Shares this among `helpers`, one share each, in their order; any `threshold` of them give it
    /// back. `random` is 32 fresh random bytes: the same again gives the same shares.
    pub fn split(
        &self,
        committee: CommitteeId,
        threshold: u8,
        helpers: &[DeviceId],
        random: &[u8; 32],
    ) -> Result<Vec<Share>, LocalShareError> {
        if helpers.len() > SHARES_MAX {
            return Err(LocalShareError::Helpers(helpers.len()));
        }
        if !(SHARES_MIN..=helpers.len()).contains(&usize::from(threshold)) {
            return Err(LocalShareError::Threshold);
        }
        if helpers.iter().collect::<BTreeSet<_>>().len() != helpers.len() {
            return Err(LocalShareError::SameHelper);
        }
        let parts = sharing::split(&self.0, threshold, helpers.len(), random);
        let spare = self.spare().device_id();
        let share =
            |(part, helper): (_, &DeviceId)| Share::new(committee, spare, *helper, threshold, part);
        Ok(parts.into_iter().zip(helpers).map(share).collect())
    }
}

/// Seals a share: to its helper's device for the log, or to a claiming device's card as an answer.
/// The file has at most [`limits::SHARE_BYTES_MAX`](crate::limits::SHARE_BYTES_MAX) bytes.
pub fn seal_share(share: &Share, device: &Recipient) -> Vec<u8> {
    seal_file([device as _], &share.encode())
}

/// Opens a share and tests it against its commitments. Whose it is, [`Share::is_for`] says.
pub fn open_share(file: &[u8], device: &Identity) -> Result<Share, PeerShareError> {
    let header = age_header::check_hybrid(file, 1).map_err(PeerOpenError::from)?;
    Share::decode(&open_file(file, &header, device, share::SHARE_TEXT_BYTES_MAX)?)
}

#[cfg(test)]
pub(crate) mod tests;
