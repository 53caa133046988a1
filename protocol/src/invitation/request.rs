//! What a joiner asks: in clear for the inviter, sealed for the relay.

use std::fmt;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Decoder, Encode, decode};

use super::{InvitationSecret, MAC_BYTES, PeerBadMac};
use crate::codec::{self, PeerCodecError};
use crate::hash::Hash;
use crate::id::{Country, InvitationId};
use crate::limits::{CARD_BYTES_MAX, HANDLE_BYTES_MAX, JOIN_REQUEST_BYTES_MAX};

/// The plaintext of a join request: who asks, under which handle, from which country.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JoinRequest {
    #[n(0)]
    card: ByteVec,
    #[cbor(n(1), with = "minicbor::bytes")]
    random: [u8; 16],
    #[n(2)]
    handle: String,
    #[n(3)]
    country: Country,
}

/// Why a join request is refused. The fault of the joiner, who alone can have made it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerJoinRequestError {
    /// Not the canonical encoding, or too long.
    #[error(transparent)]
    Codec(#[from] PeerCodecError),
    /// The card is empty or longer than [`CARD_BYTES_MAX`].
    #[error("a card of {0} bytes")]
    Card(usize),
    /// The handle is empty, longer than [`HANDLE_BYTES_MAX`] or holds control characters.
    #[error("a handle has 1 to {HANDLE_BYTES_MAX} bytes and no control characters")]
    Handle,
}

impl JoinRequest {
    /// A request of the device with the encoded `card`. `random` is fresh and goes into the safety
    /// number, so that nobody can prepare a card with a chosen one.
    pub fn new(
        card: Vec<u8>,
        random: [u8; 16],
        handle: String,
        country: Country,
    ) -> Result<Self, PeerJoinRequestError> {
        Self { card: card.into(), random, handle, country }.checked()
    }

    /// The bytes to seal.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads opened bytes. The card is still to be verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, PeerJoinRequestError> {
        codec::decode::<Self>(bytes, JOIN_REQUEST_BYTES_MAX)?.checked()
    }

    /// The encoded card, unverified.
    pub fn card(&self) -> &[u8] {
        &self.card
    }

    /// The joiner's part of the safety number.
    pub fn random(&self) -> &[u8; 16] {
        &self.random
    }

    /// What the joiner wants to be called.
    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// Where the joiner says to be.
    pub fn country(&self) -> Country {
        self.country
    }

    fn checked(self) -> Result<Self, PeerJoinRequestError> {
        if !matches!(self.card.len(), 1..=CARD_BYTES_MAX) {
            return Err(PeerJoinRequestError::Card(self.card.len()));
        }
        let handle_fits = matches!(self.handle.len(), 1..=HANDLE_BYTES_MAX);
        if !handle_fits || self.handle.chars().any(char::is_control) {
            return Err(PeerJoinRequestError::Handle);
        }
        Ok(self)
    }
}

/// Names nobody: a handle and a country must not reach a log.
impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest").finish_non_exhaustive()
    }
}

/// A join request as it travels to the relay: by which invitation, the proof of holding it, and
/// what the relay keeps.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedJoinRequest {
    #[n(0)]
    invitation: InvitationId,
    #[cbor(n(1), with = "minicbor::bytes")]
    access: [u8; 32],
    #[n(2)]
    kept: KeptJoinRequest,
}

/// A join request as the relay keeps it and serves it to the inviter: without the proof, by which
/// whoever takes the relay's disk could ask to join. The file has at most
/// [`JOIN_REQUEST_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeptJoinRequest {
    #[cbor(n(0), decode_with = "decode_file")]
    file: ByteVec,
    #[cbor(n(1), with = "minicbor::bytes")]
    mac: [u8; MAC_BYTES],
}

impl SealedJoinRequest {
    /// Of the age file `file`, which is the encoded [`JoinRequest`] under
    /// [`InvitationSecret::seal_passphrase`].
    pub fn new(
        invitation: InvitationId,
        secret: &InvitationSecret,
        file: Vec<u8>,
    ) -> Result<Self, PeerJoinRequestError> {
        if file.len() > JOIN_REQUEST_BYTES_MAX {
            let (len, max) = (file.len(), JOIN_REQUEST_BYTES_MAX);
            return Err(PeerCodecError::TooLarge { len, max }.into());
        }
        let kept = KeptJoinRequest { mac: secret.mac(&file), file: file.into() };
        Ok(Self { invitation, access: *secret.access(), kept })
    }

    /// By which invitation it claims to come.
    pub fn invitation(&self) -> &InvitationId {
        &self.invitation
    }

    /// What must equal the hash that the relay keeps. Comparing hashes needs no constant time.
    pub fn access_hash(&self) -> Hash {
        Hash::of(&self.access)
    }

    /// What the relay keeps once it has compared the hash.
    pub fn into_kept(self) -> KeptJoinRequest {
        self.kept
    }
}

impl KeptJoinRequest {
    /// By which its maker and the relay mean this one: SHA-256 of the encoding.
    pub fn hash(&self) -> Hash {
        Hash::of(&codec::encode(self))
    }

    /// The age file, once it is shown that a holder of `secret` made it.
    pub fn verified_file(&self, secret: &InvitationSecret) -> Result<&[u8], PeerBadMac> {
        secret.verify_mac(&self.file, &self.mac)?;
        Ok(&self.file)
    }
}

fn decode_file<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<ByteVec, decode::Error> {
    let at = d.position();
    let file = d.bytes()?;
    if file.len() > JOIN_REQUEST_BYTES_MAX {
        return Err(decode::Error::message("a join request is too long").at(at));
    }
    Ok(file.to_vec().into())
}

/// Without `access`, by which others could join.
impl fmt::Debug for SealedJoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedJoinRequest")
            .field("invitation", &self.invitation)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeptJoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptJoinRequest").field("bytes", &self.file.len()).finish_non_exhaustive()
    }
}
