//! Ed25519 signatures that name what they sign (SPEC.md §2).
//!
//! What is signed is `sealpost-sig/1 <type>\0` followed by the message. Notes, cosignatures and
//! TLS have fixed texts of their own, none of which begins like that.

use std::fmt;
use std::marker::PhantomData;

use ed25519_dalek::Signer;
pub use ed25519_dalek::{SigningKey, VerifyingKey};
use minicbor::{Decoder, Encoder, decode, encode};

/// The length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// What a signature is about: a different domain gives a different signed text.
pub trait Domain {
    /// The word in the prefix.
    const TYPE: &'static str;
}

/// A card's keys, signed by each of its Ed25519 keys.
pub enum CardDomain {}
impl Domain for CardDomain {
    const TYPE: &'static str = "card";
}

/// An entry's header.
pub enum EntryDomain {}
impl Domain for EntryDomain {
    const TYPE: &'static str = "entry";
}

/// The signature does not verify. The fault of whoever made or changed the bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the {0} signature does not verify")]
pub struct BadSignature(pub &'static str);

/// An Ed25519 public key as bytes, not yet known to be a point on the curve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The point, or an error when the bytes are none or one of small order.
    pub fn verifying_key(&self) -> Result<VerifyingKey, BadKey> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| BadKey)?;
        if key.is_weak() { Err(BadKey) } else { Ok(key) }
    }
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        Self(key.to_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Not a usable Ed25519 public key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a usable Ed25519 public key")]
pub struct BadKey;

/// A signature over a message of domain `D`.
pub struct Signature<D> {
    bytes: [u8; SIGNATURE_BYTES],
    domain: PhantomData<fn() -> D>,
}

impl<D: Domain> Signature<D> {
    /// Signs `message`.
    pub fn sign(key: &SigningKey, message: &[u8]) -> Self {
        Self::from_bytes(key.sign(&prefixed::<D>(message)).to_bytes())
    }

    /// Takes the bytes of a signature, unchecked.
    pub fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self { bytes, domain: PhantomData }
    }

    /// Checks it strictly: a non-canonical signature or a key of small order is refused.
    pub fn verify(&self, key: &VerifyingKey, message: &[u8]) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&self.bytes);
        key.verify_strict(&prefixed::<D>(message), &signature).map_err(|_| BadSignature(D::TYPE))
    }

    /// The bytes.
    pub fn to_bytes(&self) -> [u8; SIGNATURE_BYTES] {
        self.bytes
    }
}

fn prefixed<D: Domain>(message: &[u8]) -> Vec<u8> {
    [b"sealpost-sig/1 ".as_slice(), D::TYPE.as_bytes(), b"\0", message].concat()
}

impl<D> Clone for Signature<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Signature<D> {}

impl<D> PartialEq for Signature<D> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<D> Eq for Signature<D> {}

impl<D> fmt::Debug for Signature<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.bytes))
    }
}

macro_rules! cbor_bytes {
    ([$($generics:tt)*] $type:ty, $len:expr, $to:expr, $from:expr, $what:literal) => {
        impl<$($generics)* C> minicbor::Encode<C> for $type {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&$to(self))?.ok()
            }
        }

        impl<'b, $($generics)* C> minicbor::Decode<'b, C> for $type {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let at = d.position();
                let bytes: [u8; $len] = d
                    .bytes()?
                    .try_into()
                    .map_err(|_| decode::Error::message($what).at(at))?;
                Ok($from(bytes))
            }
        }
    };
}

cbor_bytes!([] PublicKey, 32, |key: &Self| key.0, Self, "a public key has 32 bytes");
cbor_bytes!(
    [D: Domain,] Signature<D>, SIGNATURE_BYTES, Self::to_bytes, Self::from_bytes,
    "a signature has 64 bytes"
);
