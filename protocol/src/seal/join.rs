//! Join requests, sealed under what the invitation's secret gives, and the safety number by which
//! two people find out that nobody stood between them (SPEC.md §16).

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use super::padded::{pad, unpad};
use super::{PassphraseKeys, PeerOpenError};
use crate::card::{Card, PeerCardError};
use crate::checkpoint::twenty_digits;
use crate::id::{CommitteeId, InvitationId};
use crate::invitation::{
    InvitationSecret, JoinRequest, KeptJoinRequest, PeerBadMac, PeerJoinRequestError,
    SealedJoinRequest,
};
use crate::limits;

/// Requests have one size, whatever handle is in them.
const STEP_BYTES: usize = 2 * 1024;
const SAFETY_SALT: &[u8] = b"sealpost/1 safety";
/// log2 N of the safety number's scrypt: makes a search for a card with the same digits dear.
const SAFETY_LOG_N: u8 = 15;
const SAFETY_R: u32 = 8;
const SAFETY_P: u32 = 1;

/// Why a join request cannot be read. The fault of who made it, or of who changed it on the way.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerJoinError {
    /// Not made by a holder of the invitation.
    #[error("{0}")]
    Mac(#[from] PeerBadMac),
    /// Does not open.
    #[error("{0}")]
    Open(#[from] PeerOpenError),
    /// The plaintext is not a length, a request and zeros up to the next step.
    #[error("the request is not padded as it must be")]
    Padding,
    /// Not a request.
    #[error("{0}")]
    Request(#[from] PeerJoinRequestError),
    /// The card in it is none.
    #[error("{0}")]
    Card(#[from] PeerCardError),
}

/// An opened join request: the request, and its card with both signatures checked.
#[derive(Debug)]
pub struct OpenedJoinRequest {
    /// Who asks, under which handle, from which country.
    pub request: JoinRequest,
    /// The device that asks.
    pub card: Card,
}

/// Seals a request for whoever made the invitation.
pub fn seal_join_request(
    invitation: InvitationId,
    secret: &InvitationSecret,
    request: &JoinRequest,
) -> Result<SealedJoinRequest, PeerJoinRequestError> {
    let plaintext = pad(&Zeroizing::new(request.encode()), STEP_BYTES);
    SealedJoinRequest::new(invitation, secret, keys(secret).seal(&plaintext))
}

impl OpenedJoinRequest {
    /// Checks the card in a request that was unsealed.
    pub fn check(request: JoinRequest) -> Result<Self, PeerJoinError> {
        let card = Card::decode(request.card())?;
        Ok(Self { request, card })
    }
}

/// Opens a request as the relay kept it.
pub fn open_join_request(
    kept: &KeptJoinRequest,
    secret: &InvitationSecret,
) -> Result<OpenedJoinRequest, PeerJoinError> {
    OpenedJoinRequest::check(unseal_join_request(kept, secret)?)
}

/// Unseals a request as the relay kept it, for whoever may have checked its card before.
pub fn unseal_join_request(
    kept: &KeptJoinRequest,
    secret: &InvitationSecret,
) -> Result<JoinRequest, PeerJoinError> {
    let file = kept.verified_file(secret)?;
    let padded = keys(secret).open(file, limits::JOIN_REQUEST_BYTES_MAX)?;
    let bytes = unpad(&padded, STEP_BYTES).ok_or(PeerJoinError::Padding)?;
    Ok(JoinRequest::decode(bytes)?)
}

/// The safety number: twenty decimal digits in groups of five, the same on both sides only if
/// neither the invitation nor the card was replaced.
pub fn safety_number(committee: CommitteeId, request: &JoinRequest) -> String {
    let secret = [committee.as_bytes().as_slice(), request.card(), request.random()].concat();
    let params = scrypt::Params::new(SAFETY_LOG_N, SAFETY_R, SAFETY_P).expect("sound constants");
    let mut output = [0; 32];
    scrypt::scrypt(&secret, SAFETY_SALT, &params, &mut output).expect("32 bytes is a sound length");
    twenty_digits(&output)
}

fn keys(secret: &InvitationSecret) -> PassphraseKeys {
    PassphraseKeys::new(SecretString::from(secret.seal_passphrase().as_str()))
}

#[cfg(test)]
mod tests;
