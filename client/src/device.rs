//! This device's own keys.

use getrandom::Error;
use sealpost_protocol::sign::SigningKey;
use zeroize::Zeroizing;

/// The seeds that a device's keys are made from.
pub struct DeviceSeeds {
    /// Of the Ed25519 key that signs entries and cosignatures.
    pub signing: Zeroizing<[u8; 32]>,
    /// Of the Ed25519 key that logs in at relays.
    pub login: Zeroizing<[u8; 32]>,
    /// Of the hybrid age identity.
    pub recipient: Zeroizing<[u8; 32]>,
}

impl DeviceSeeds {
    /// Fresh ones, from the system's randomness.
    pub fn generate() -> Result<Self, Error> {
        let seed = || -> Result<Zeroizing<[u8; 32]>, Error> {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice())?;
            Ok(seed)
        };
        Ok(Self { signing: seed()?, login: seed()?, recipient: seed()? })
    }

    /// The key that signs entries and cosignatures.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.signing)
    }

    /// The key that logs in at relays.
    pub fn login_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.login)
    }
}
