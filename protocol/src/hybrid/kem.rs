//! X-Wing: ML-KEM-768 and X25519 as one KEM of HPKE (draft-connolly-cfrg-xwing-kem, KEM id 0x647a).
//!
//! The shared secret is SHA3-256(ML-KEM secret ‖ X25519 secret ‖ X25519 share ‖ X25519 public key
//! ‖ label): it stays secret as long as one of the two stays unbroken.

use hpke::generic_array::GenericArray;
use hpke::generic_array::typenum::{Sum, U32, U96, U192, U1024, Unsigned};
use hpke::kem::SharedSecret;
use hpke::rand_core::{CryptoRng, RngCore};
use hpke::{Deserializable, HpkeError, Serializable};
use ml_kem::kem::{Decapsulate, Encapsulate};
use ml_kem::{B32, EncodedSizeUser, KemCore, MlKem768};
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use subtle::ConstantTimeEq;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, Zeroizing};

use super::SEED_BYTES;

const X_BYTES: usize = 32;
const PQ_PUBLIC_BYTES: usize = 1_184;
const PQ_SHARE_BYTES: usize = 1_088;
type PublicBytes = Sum<U1024, U192>;
type ShareBytes = Sum<U1024, U96>;
/// The six bytes of X-Wing's label.
const LABEL: &[u8] = br"\.//^\";

type EncapsulationKey = <MlKem768 as KemCore>::EncapsulationKey;
type DecapsulationKey = <MlKem768 as KemCore>::DecapsulationKey;

/// The KEM, without its authenticated mode, which age does not use.
pub(super) struct XWing;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct PublicKey {
    pq: EncapsulationKey,
    x: x25519_dalek::PublicKey,
}

impl Eq for PublicKey {}

/// The seed and what derives from it. Every part wipes itself when dropped.
#[derive(Clone)]
pub(super) struct PrivateKey {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    pq: DecapsulationKey,
    x: StaticSecret,
    x_public: x25519_dalek::PublicKey,
}

#[derive(Clone)]
pub(super) struct EncappedKey(pub(super) [u8; ShareBytes::USIZE]);

impl PrivateKey {
    pub(super) fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        let mut expanded = Zeroizing::new([0; 96]);
        Shake256::default().chain(seed).finalize_xof().read(expanded.as_mut_slice());
        let part = |n: usize| -> [u8; 32] {
            expanded[32 * n..32 * (n + 1)].try_into().expect("a third of 96 bytes")
        };
        let (mut d, mut z) = (B32::from(part(0)), B32::from(part(1)));
        let (pq, _) = MlKem768::generate_deterministic(&d, &z);
        d.as_mut_slice().zeroize();
        z.as_mut_slice().zeroize();
        let x = StaticSecret::from(part(2));
        let x_public = x25519_dalek::PublicKey::from(&x);
        Self { seed: Zeroizing::new(*seed), pq, x, x_public }
    }

    pub(super) fn seed(&self) -> &[u8; SEED_BYTES] {
        &self.seed
    }

    pub(super) fn public_key(&self) -> PublicKey {
        PublicKey { pq: self.pq.encapsulation_key().clone(), x: self.x_public }
    }
}

impl hpke::Kem for XWing {
    type PublicKey = PublicKey;
    type PrivateKey = PrivateKey;
    type EncappedKey = EncappedKey;
    type NSecret = U32;
    const KEM_ID: u16 = 0x647a;

    /// As in draft-ietf-hpke-pq. The trait asks for it; age draws seeds and never derives them.
    fn derive_keypair(ikm: &[u8]) -> (PrivateKey, PublicKey) {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        Shake256::default()
            .chain(ikm)
            .chain(b"HPKE-v1KEM")
            .chain(Self::KEM_ID.to_be_bytes())
            .chain([0, 13])
            .chain(b"DeriveKeyPair")
            .chain([0, 32])
            .finalize_xof()
            .read(seed.as_mut_slice());
        let private = PrivateKey::from_seed(&seed);
        let public = private.public_key();
        (private, public)
    }

    fn sk_to_pk(private: &PrivateKey) -> PublicKey {
        private.public_key()
    }

    fn decap(
        private: &PrivateKey,
        sender: Option<&PublicKey>,
        share: &EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        let (pq_share, x_share) = share.0.split_at(PQ_SHARE_BYTES);
        let pq_share = pq_share.try_into().map_err(|_| HpkeError::DecapError)?;
        let x_share: [u8; X_BYTES] = x_share.try_into().map_err(|_| HpkeError::DecapError)?;
        let x_secret = private.x.diffie_hellman(&x_share.into());
        if sender.is_some() || !x_secret.was_contributory() {
            return Err(HpkeError::DecapError);
        }
        let mut pq_secret = private.pq.decapsulate(pq_share).map_err(|()| HpkeError::DecapError)?;
        let secret = combine(&pq_secret, &x_secret, &x_share, &private.x_public);
        pq_secret.as_mut_slice().zeroize();
        Ok(secret)
    }

    fn encap<R: CryptoRng + RngCore>(
        public: &PublicKey,
        sender: Option<(&PrivateKey, &PublicKey)>,
        random: &mut R,
    ) -> Result<(SharedSecret<Self>, EncappedKey), HpkeError> {
        let (pq_share, mut pq_secret) =
            public.pq.encapsulate(random).map_err(|()| HpkeError::EncapError)?;
        let ephemeral = StaticSecret::random_from_rng(random);
        let x_share = x25519_dalek::PublicKey::from(&ephemeral);
        let x_secret = ephemeral.diffie_hellman(&public.x);
        if sender.is_some() || !x_secret.was_contributory() {
            return Err(HpkeError::EncapError);
        }
        let secret = combine(&pq_secret, &x_secret, x_share.as_bytes(), &public.x);
        pq_secret.as_mut_slice().zeroize();
        let mut share = EncappedKey([0; ShareBytes::USIZE]);
        share.0[..PQ_SHARE_BYTES].copy_from_slice(&pq_share);
        share.0[PQ_SHARE_BYTES..].copy_from_slice(x_share.as_bytes());
        Ok((secret, share))
    }
}

fn combine(
    pq_secret: &[u8],
    x_secret: &x25519_dalek::SharedSecret,
    x_share: &[u8; X_BYTES],
    x_public: &x25519_dalek::PublicKey,
) -> SharedSecret<XWing> {
    let hash = Sha3_256::new()
        .chain_update(pq_secret)
        .chain_update(x_secret.as_bytes())
        .chain_update(x_share)
        .chain_update(x_public.as_bytes())
        .chain_update(LABEL);
    let mut secret = SharedSecret::default();
    hash.finalize_into(&mut secret.0);
    secret
}

impl Serializable for PublicKey {
    type OutputSize = PublicBytes;

    fn write_exact(&self, buffer: &mut [u8]) {
        let (pq, x) = buffer.split_at_mut(PQ_PUBLIC_BYTES);
        pq.copy_from_slice(&self.pq.as_bytes());
        x.copy_from_slice(self.x.as_bytes());
    }
}

impl Deserializable for PublicKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let (pq_bytes, x_bytes) = bytes.split_at_checked(PQ_PUBLIC_BYTES).unwrap_or_default();
        let x_bytes: [u8; X_BYTES] = x_bytes
            .try_into()
            .map_err(|_| HpkeError::IncorrectInputLength(PublicBytes::USIZE, bytes.len()))?;
        let pq_bytes = pq_bytes.try_into().map_err(|_| HpkeError::ValidationError)?;
        // FIPS 203 §7.2: the crate reduces coefficients, so one above the modulus reads otherwise.
        let pq = EncapsulationKey::from_bytes(pq_bytes);
        if pq.as_bytes() != *pq_bytes {
            return Err(HpkeError::ValidationError);
        }
        if is_of_small_order(x_bytes) {
            return Err(HpkeError::ValidationError);
        }
        Ok(Self { pq, x: x_bytes.into() })
    }
}

/// Whether a point's secret with any private key is zero (RFC 7748 §6.1). To compare costs
/// nothing; to multiply would be a third of the work of sealing to it.
fn is_of_small_order(mut x: [u8; X_BYTES]) -> bool {
    // Not part of the number.
    x[X_BYTES - 1] &= 0x7f;
    SMALL_ORDER.contains(&x)
}

/// The u-coordinates of all points of small order, of the curve and of its twist: 0, 1, the two of order 8, and
/// p − 1, p, p + 1.
const SMALL_ORDER: [[u8; X_BYTES]; 7] = [
    number(0, 0, 0),
    number(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    number(0xec, 0xff, 0x7f),
    number(0xed, 0xff, 0x7f),
    number(0xee, 0xff, 0x7f),
];

/// By its first byte, all in the middle, and its last.
const fn number(first: u8, middle: u8, last: u8) -> [u8; X_BYTES] {
    let mut bytes = [middle; X_BYTES];
    (bytes[0], bytes[X_BYTES - 1]) = (first, last);
    bytes
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed.ct_eq(other.seed.as_slice()).into()
    }
}

impl Eq for PrivateKey {}

impl Serializable for PrivateKey {
    type OutputSize = U32;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(self.seed.as_slice());
    }
}

impl Deserializable for PrivateKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let seed = bytes
            .try_into()
            .map_err(|_| HpkeError::IncorrectInputLength(SEED_BYTES, bytes.len()))?;
        Ok(Self::from_seed(seed))
    }
}

impl Serializable for EncappedKey {
    type OutputSize = ShareBytes;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Deserializable for EncappedKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let share = GenericArray::<u8, ShareBytes>::from_exact_iter(bytes.iter().copied())
            .ok_or(HpkeError::IncorrectInputLength(ShareBytes::USIZE, bytes.len()))?;
        Ok(Self(share.as_slice().try_into().expect("that length")))
    }
}
