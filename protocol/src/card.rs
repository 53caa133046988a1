//! Cards: the public half of a device (SPEC.md §4).
//!
//! A card lists a device's keys, each with its type, and is signed by every Ed25519 key in it, so
//! that nobody can claim a key of somebody else's device. Its device id is the SHA-256 of the
//! encoded keys.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::codec::{self, PeerCodecError};
use crate::hash::Hash;
use crate::id::DeviceId;
use crate::limits;
use crate::sign::{
    BadKey, BadSignature, CardDomain, PublicKey, Signature, SigningKey, VerifyingKey,
};

/// The length of a hybrid recipient: 1,184 bytes ML-KEM-768 and 32 bytes X25519.
pub const RECIPIENT_BYTES: usize = 1_216;

/// Key type: Ed25519, signs entries and cosignatures.
const KEY_SIGNING: u8 = 1;
/// Key type: Ed25519, the TLS login at relays.
const KEY_LOGIN: u8 = 2;
/// Key type: hybrid age recipient (ML-KEM-768 and X25519).
const KEY_RECIPIENT: u8 = 3;

/// A hybrid age recipient as bytes. Whether the bytes are a usable key is found out on sealing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientBytes(pub Box<[u8; RECIPIENT_BYTES]>);

impl std::fmt::Debug for RecipientBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "recipient {}", Hash::of(self.0.as_slice()))
    }
}

impl<C> Encode<C> for RecipientBytes {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.0.as_slice())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RecipientBytes {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let bytes: &[u8; RECIPIENT_BYTES] = d.bytes()?.try_into().map_err(|_| {
            minicbor::decode::Error::message("a hybrid recipient has 1,216 bytes").at(at)
        })?;
        Ok(Self(Box::new(*bytes)))
    }
}

/// A card whose signatures have been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    bytes: Vec<u8>,
    id: DeviceId,
    signing: VerifyingKey,
    login: VerifyingKey,
    recipient: RecipientBytes,
}

/// Why bytes are no card. Always the fault of whoever made them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerCardError {
    /// Not the encoding of a card.
    #[error("card: {0}")]
    Codec(#[from] PeerCodecError),
    /// Version 1 has exactly one key of each of the three types, in their order.
    #[error("card: not exactly one key of each type, in order")]
    Keys,
    /// A key is no usable Ed25519 key.
    #[error("card: {0}")]
    Key(#[from] BadKey),
    /// Signing and login key are the same.
    #[error("card: signing key and login key are the same")]
    SameKey,
    /// A key in the card did not sign it.
    #[error("card: {0}")]
    Signature(#[from] BadSignature),
}

#[derive(Encode, Decode)]
struct CardWire {
    #[n(0)]
    keys: ByteVec,
    #[n(1)]
    by_signing: Signature<CardDomain>,
    #[n(2)]
    by_login: Signature<CardDomain>,
}

#[derive(Encode, Decode)]
struct KeyWire {
    #[n(0)]
    kind: u8,
    #[n(1)]
    bytes: ByteVec,
}

/// The keys of a card, usable.
struct Keys {
    signing: VerifyingKey,
    login: VerifyingKey,
    recipient: RecipientBytes,
}

impl Keys {
    fn decode(bytes: &[u8]) -> Result<Self, PeerCardError> {
        let keys: Vec<KeyWire> = codec::decode(bytes, limits::CARD_BYTES_MAX)?;
        let [signing, login, recipient] = keys.as_slice() else {
            return Err(PeerCardError::Keys);
        };
        let kinds = [signing.kind, login.kind, recipient.kind];
        if kinds != [KEY_SIGNING, KEY_LOGIN, KEY_RECIPIENT] {
            return Err(PeerCardError::Keys);
        }
        if signing.bytes == login.bytes {
            return Err(PeerCardError::SameKey);
        }
        let recipient: &[u8; RECIPIENT_BYTES] =
            recipient.bytes.as_slice().try_into().map_err(|_| PeerCardError::Keys)?;
        Ok(Self {
            signing: ed25519(&signing.bytes)?,
            login: ed25519(&login.bytes)?,
            recipient: RecipientBytes(Box::new(*recipient)),
        })
    }
}

/// The signing key among a device's encoded keys, whose SHA-256 is the device id. Nothing says that they were
/// ever in a card: whoever asks knows the id from elsewhere.
pub(crate) fn signing_key_of(keys: &[u8]) -> Result<VerifyingKey, PeerCardError> {
    Ok(Keys::decode(keys)?.signing)
}

impl Card {
    /// Makes and signs the card of a device.
    pub fn sign(signing: &SigningKey, login: &SigningKey, recipient: &RecipientBytes) -> Self {
        let key = |kind, bytes: &[u8]| KeyWire { kind, bytes: bytes.to_vec().into() };
        let keys = codec::encode(&vec![
            key(KEY_SIGNING, signing.verifying_key().as_bytes()),
            key(KEY_LOGIN, login.verifying_key().as_bytes()),
            key(KEY_RECIPIENT, recipient.0.as_slice()),
        ]);
        let bytes = codec::encode(&CardWire {
            by_signing: Signature::sign(signing, &keys),
            by_login: Signature::sign(login, &keys),
            keys: keys.clone().into(),
        });
        Self {
            bytes,
            id: DeviceId(Hash::of(&keys)),
            signing: signing.verifying_key(),
            login: login.verifying_key(),
            recipient: recipient.clone(),
        }
    }

    /// Decodes a card and checks both signatures.
    pub fn decode(bytes: &[u8]) -> Result<Self, PeerCardError> {
        let wire: CardWire = codec::decode(bytes, limits::CARD_BYTES_MAX)?;
        let card = Self::from_wire(bytes, &wire)?;
        wire.by_signing.verify(&card.signing, &wire.keys)?;
        wire.by_login.verify(&card.login, &wire.keys)?;
        Ok(card)
    }

    /// All but the signatures.
    fn from_wire(bytes: &[u8], wire: &CardWire) -> Result<Self, PeerCardError> {
        let Keys { signing, login, recipient } = Keys::decode(&wire.keys)?;
        let id = DeviceId(Hash::of(&wire.keys));
        Ok(Self { bytes: bytes.to_vec(), id, signing, login, recipient })
    }

    /// The bytes as signed and sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded keys, whose SHA-256 is the device id.
    pub fn keys(&self) -> Vec<u8> {
        let wire: CardWire = codec::decode(&self.bytes, limits::CARD_BYTES_MAX)
            .expect("both makers keep bytes that decode");
        wire.keys.into()
    }

    /// The device this card is of.
    pub fn device(&self) -> DeviceId {
        self.id
    }

    /// The key that signs its entries and cosignatures.
    pub fn signing_key(&self) -> &VerifyingKey {
        &self.signing
    }

    /// The key it logs in at relays with.
    pub fn login_key(&self) -> &VerifyingKey {
        &self.login
    }

    /// The hybrid recipient that grants are sealed to.
    pub fn recipient(&self) -> &RecipientBytes {
        &self.recipient
    }
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Card").field(&self.id).finish()
    }
}

impl<C> Encode<C> for Card {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Card {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::decode(d.bytes()?).map_err(|error| message(&error).at(at))
    }
}

/// Decodes a card out of a roster that was folded and kept here, without its signatures: they were
/// checked when it was let in. Two hundred of them would take longer than all else of a command.
pub(crate) fn decode_kept<C>(
    d: &mut minicbor::Decoder<'_>,
    _: &mut C,
) -> Result<Card, minicbor::decode::Error> {
    let at = d.position();
    let bytes = d.bytes()?;
    let wire = codec::decode(bytes, limits::CARD_BYTES_MAX).map_err(PeerCardError::from);
    let card = wire.and_then(|wire| Card::from_wire(bytes, &wire));
    card.map_err(|error| message(&error).at(at))
}

fn message(error: &PeerCardError) -> minicbor::decode::Error {
    minicbor::decode::Error::message(error.to_string())
}

fn ed25519(bytes: &[u8]) -> Result<VerifyingKey, PeerCardError> {
    let bytes = bytes.try_into().map_err(|_| PeerCardError::Keys)?;
    Ok(PublicKey(bytes).verifying_key()?)
}

#[cfg(test)]
mod tests;
