//! The secret half of a device: what its card is the public half of.

use zeroize::Zeroizing;

use crate::card::Card;
use crate::hybrid::{Identity, SEED_BYTES};
use crate::id::DeviceId;
use crate::sign::SigningKey;

/// The length of an encoded [`DeviceIdentity`].
pub const DEVICE_IDENTITY_BYTES: usize = 2 + 3 * (2 + SEED_BYTES);

/// CBOR: an array of four, of which the first is version 1.
const VERSION_1: [u8; 2] = [0x84, 0x01];
/// CBOR: a byte string of 32 bytes follows.
const SEED: [u8; 2] = [0x58, 0x20];

/// A device's three secrets. Wiped when dropped; neither `Debug` nor `Clone`.
pub struct DeviceIdentity {
    signing: SigningKey,
    login: SigningKey,
    hybrid: Identity,
}

/// Why stored bytes are no device identity: damaged storage, or a newer program's. Says nothing of
/// the bytes, which are secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocalIdentityError {
    /// Not the encoding of a device identity of version 1.
    #[error("not a stored device identity of version 1")]
    Malformed,
    /// One seed serves for signing and for login, which no card may have.
    #[error("the device's signing and login keys are the same")]
    SameKey,
}

impl DeviceIdentity {
    /// Makes a device out of 96 random bytes.
    pub fn generate(random: &[u8; 3 * SEED_BYTES]) -> Self {
        let (seeds, _) = random.as_chunks();
        Self::from_seeds(&seeds[0], &seeds[1], &seeds[2])
    }

    /// The device with these seeds of its signing key, its login key and its hybrid identity.
    pub fn from_seeds(
        signing: &[u8; SEED_BYTES],
        login: &[u8; SEED_BYTES],
        hybrid: &[u8; SEED_BYTES],
    ) -> Self {
        Self {
            signing: SigningKey::from_bytes(signing),
            login: SigningKey::from_bytes(login),
            hybrid: Identity::from_seed(hybrid),
        }
    }

    /// The bytes to store, which only encrypted storage may hold: CBOR `[1, signing, login,
    /// hybrid]`, each seed a byte string.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // The capacity is final: a growing Vec would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(DEVICE_IDENTITY_BYTES));
        bytes.extend_from_slice(&VERSION_1);
        for seed in [self.signing.as_bytes(), self.login.as_bytes(), self.hybrid.seed()] {
            bytes.extend_from_slice(&SEED);
            bytes.extend_from_slice(seed);
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, LocalIdentityError> {
        let mut rest = bytes.strip_prefix(&VERSION_1).ok_or(LocalIdentityError::Malformed)?;
        let mut seed = || {
            let after = rest.strip_prefix(&SEED)?;
            let (seed, after) = after.split_first_chunk::<SEED_BYTES>()?;
            rest = after;
            Some(seed)
        };
        let seeds = (seed(), seed(), seed());
        let (Some(signing), Some(login), Some(hybrid)) = seeds else {
            return Err(LocalIdentityError::Malformed);
        };
        if !rest.is_empty() {
            return Err(LocalIdentityError::Malformed);
        }
        if signing == login {
            return Err(LocalIdentityError::SameKey);
        }
        Ok(Self::from_seeds(signing, login, hybrid))
    }

    /// The card to hand out. The same bytes every time.
    pub fn card(&self) -> Card {
        Card::sign(&self.signing, &self.login, &self.hybrid.recipient().to_bytes())
    }

    /// The id of this device: the one its card has.
    pub fn device_id(&self) -> DeviceId {
        self.card().device()
    }

    /// What signs its entries and cosignatures.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// What logs it in at relays.
    pub fn login_key(&self) -> &SigningKey {
        &self.login
    }

    /// What opens grants and named readers' files sealed to it.
    pub fn hybrid(&self) -> &Identity {
        &self.hybrid
    }
}

#[cfg(test)]
mod tests;
