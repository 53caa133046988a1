//! `identity.age`: the device's secrets and the database key, an ordinary passphrase age file.
//!
//! Opened with stock `age` it is itself an identity file: all but the age identity stands in
//! comment lines, so grants open without this program.

use std::io::{Read, Write};
use std::iter;

use age::DecryptError;
use data_encoding::HEXLOWER;
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::identity::{DEVICE_IDENTITY_BYTES, DeviceIdentity};
use sealpost_protocol::passphrase::Passphrase;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::VaultError;
use super::database::Key;
use crate::random;

/// scrypt's log2 N. Fixed, not measured: a slow machine must not get a weak file, nor a fast one a
/// file that a slow one cannot open.
pub const DEFAULT_WORK_FACTOR: u8 = 18;
/// What is opened at most: 4 GiB of memory and about 16 times the default's time.
pub const WORK_FACTOR_MAX: u8 = 22;
/// Five lines, a scrypt stanza, age's overhead.
pub(super) const IDENTITY_FILE_BYTES_MAX: u64 = 4 * 1024;

/// The length of encoded [`Secrets`].
pub const SECRETS_BYTES: usize = 32 + DEVICE_IDENTITY_BYTES;

const FIRST_LINE: &str = "# sealpost identity 1";

/// What only this device and its passphrase know.
pub struct Secrets {
    /// The device's keys.
    pub device: DeviceIdentity,
    /// The key of `vault.db`.
    pub vault_key: Key,
}

impl Secrets {
    /// Fresh ones, from the system's randomness.
    pub fn generate() -> Result<Self, VaultError> {
        let device = DeviceIdentity::generate(&*random::secret()?);
        Ok(Self { device, vault_key: random::secret()? })
    }

    /// The bytes that an agent is given: the database's key, then the device.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // The capacity is final: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRETS_BYTES));
        bytes.extend_from_slice(self.vault_key.as_slice());
        bytes.extend_from_slice(&self.device.encode());
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (key, device) = bytes.split_first_chunk()?;
        Some(Self { device: DeviceIdentity::decode(device).ok()?, vault_key: Key::new(*key) })
    }

    fn to_text(&self) -> Zeroizing<String> {
        let hex = |bytes: &[u8; 32]| Zeroizing::new(HEXLOWER.encode(bytes));
        Zeroizing::new(format!(
            "{FIRST_LINE}\n# signing {}\n# login {}\n# vault {}\n{}\n",
            hex(self.device.signing_key().as_bytes()).as_str(),
            hex(self.device.login_key().as_bytes()).as_str(),
            hex(&self.vault_key).as_str(),
            self.device.hybrid().to_string().expose_secret(),
        ))
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let first = lines.next()?;
        let mut seed = |name: &str| {
            let hex = lines.next()?.strip_prefix("# ")?.strip_prefix(name)?.strip_prefix(' ')?;
            let mut bytes = Key::default();
            (hex.len() == 64).then_some(())?;
            HEXLOWER.decode_mut(hex.as_bytes(), bytes.as_mut_slice()).ok()?;
            Some(bytes)
        };
        let (signing, login, vault_key) = (seed("signing")?, seed("login")?, seed("vault")?);
        let hybrid: Identity = lines.next()?.parse().ok()?;
        let device = DeviceIdentity::from_seeds(&signing, &login, hybrid.seed());
        (first == FIRST_LINE && lines.next().is_none()).then_some(Self { device, vault_key })
    }
}

/// The bytes of `identity.age`.
pub(super) fn seal(
    secrets: &Secrets,
    passphrase: &SecretString,
    work_factor: u8,
) -> Result<Vec<u8>, VaultError> {
    let recipient = Passphrase::new(passphrase.clone(), work_factor.min(WORK_FACTOR_MAX));
    let failed = |error: &dyn std::fmt::Display| VaultError::Age(error.to_string());
    let recipients = iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| failed(&error))?;
    writer.write_all(secrets.to_text().as_bytes()).map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(sealed)
}

/// Opens what [`seal`] made.
pub(super) fn open(sealed: &[u8], passphrase: &SecretString) -> Result<Secrets, VaultError> {
    let identity = Passphrase::new(passphrase.clone(), WORK_FACTOR_MAX);
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|error| refused(&error))?;
    let mut reader = decryptor
        .decrypt(iter::once(&identity as &dyn age::Identity))
        .map_err(|error| refused(&error))?;
    // Reserved at once: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(4 * 1024));
    reader
        .read_to_string(&mut text)
        .map_err(|_| VaultError::Damaged("identity.age is not whole".to_owned()))?;
    Secrets::from_text(&text)
        .ok_or_else(|| VaultError::Damaged("identity.age holds something else".to_owned()))
}

/// The work factor that a file asks for: the last word of its only stanza. Not verified, like all that
/// stands before the passphrase is known.
pub(super) fn work_factor(sealed: &[u8]) -> Option<u8> {
    let stanza = sealed.split(|byte| *byte == b'\n').nth(1)?;
    let stanza = std::str::from_utf8(stanza).ok()?.strip_prefix("-> scrypt ")?;
    stanza.rsplit(' ').next()?.parse().ok()
}

fn refused(error: &DecryptError) -> VaultError {
    match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            VaultError::WrongPassphrase
        }
        other => VaultError::Damaged(format!("identity.age: {other}")),
    }
}
