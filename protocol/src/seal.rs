//! Sealing and opening: an epoch's secret, and every age file made with it (SPEC.md §13).
//!
//! ```text
//! epoch secret ── record passphrase ──> records          one scrypt stanza, work factor 1
//!              ── recipient ──────────> label, next link one hybrid stanza
//!              <── grant ── a device's recipient         one hybrid stanza
//! named readers' recipients ──────────> a record's `sealed` field, 1 to 32 hybrid stanzas
//! a passphrase in a record ───────────> one attachment
//! ```
//!
//! Every file is looked at by [`age_header`] before age sees it. Sealing draws randomness from the
//! operating system inside the age crate: file key, nonce, salt and shares. That is the one place in
//! this crate where time or randomness is no argument. Opening is deterministic.

use age::secrecy::{ExposeSecret, SecretString};
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::age_header;
use crate::card::RecipientBytes;
use crate::hybrid::{Identity, Recipient, SEED_BYTES};
use crate::limits;
use crate::passphrase::Passphrase;

mod attachment;
mod file;
mod file_key;
mod join;
mod label;
mod padded;

pub use attachment::{
    AttachmentError, AttachmentPassphrase, AttachmentSealer, BlobSink, NotAPassphrase, Plain,
    blob_size, open_attachment,
};
pub use file::PeerOpenError;
pub(crate) use file::{open_file, seal_file};
pub use file_key::RecordKey;
#[cfg(test)]
pub(crate) use file_key::two_keys;
pub use join::{
    OpenedJoinRequest, PeerJoinError, open_join_request, safety_number, seal_join_request,
    unseal_join_request,
};
pub use label::{Label, LabelFault, LabelMember, PeerLabelError};

const PASSPHRASE_INFO: &[u8] = b"sealpost/1 records";
const PASSPHRASE_BYTES: usize = 32;
/// A grant's text: an identity of 77 characters, a passphrase of 43, two newlines.
const GRANT_TEXT_BYTES_MAX: usize = 256;
/// log2 of scrypt's N. The passphrase has 256 bits, so stretching it would buy nothing.
const WORK_FACTOR: u8 = 1;

/// Why something cannot be sealed: the caller asked for what the formats do not allow.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocalSealError {
    /// The plaintext is longer than its limit.
    #[error("{len} bytes to seal, more than the limit of {max}")]
    TooLarge {
        /// What came.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// No reader, or more than a file may name.
    #[error("not 1 to {max} named readers")]
    Readers {
        /// What is allowed.
        max: usize,
    },
    /// The label breaks a rule.
    #[error("label: {0}")]
    Label(#[from] LabelFault),
}

/// Why a grant or link does not give the secret of its epoch. The fault of whoever sealed it, or of
/// whoever changed it since.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerGrantError {
    /// The file does not open.
    #[error("{0}")]
    Open(#[from] PeerOpenError),
    /// The plaintext is not an identity and a passphrase, a line each.
    #[error("what it holds is not an identity line and a passphrase line")]
    Text,
    /// The second line is not the passphrase that derives from the identity: whoever uses it would
    /// seal records that the others cannot open.
    #[error("the record passphrase in it does not derive from the identity in it")]
    Passphrase,
    /// The identity is not that of the epoch's recipient in the log.
    #[error("the identity in it is not that of the lock's recipient")]
    Recipient,
}

/// The secret of an epoch: a hybrid identity, from which the record passphrase derives.
pub struct EpochSecret(Identity);

impl EpochSecret {
    /// Makes the secret of a new epoch out of 32 random bytes, which nothing may have been derived
    /// from before.
    pub fn generate(random: &[u8; SEED_BYTES]) -> Self {
        Self(Identity::from_seed(random))
    }

    /// The seed, for storing it encrypted.
    pub fn seed(&self) -> &[u8; SEED_BYTES] {
        self.0.seed()
    }

    /// The identity that opens labels and links.
    pub fn identity(&self) -> &Identity {
        &self.0
    }

    /// What the lock publishes.
    pub fn recipient(&self) -> Recipient {
        self.0.recipient()
    }

    /// The passphrase of the epoch's records: base64url of 32 bytes HKDF-SHA256 of the seed.
    pub fn record_passphrase(&self) -> SecretString {
        let mut bytes = Zeroizing::new([0; PASSPHRASE_BYTES]);
        Hkdf::<Sha256>::new(None, self.seed())
            .expand(PASSPHRASE_INFO, bytes.as_mut_slice())
            .expect("32 bytes are one block of SHA-256");
        BASE64URL_NOPAD.encode(bytes.as_slice()).into()
    }

    /// The plaintext of grants and links: the identity and the passphrase, a line each, so that
    /// stock age can use either.
    pub fn to_grant_text(&self) -> SecretString {
        let (identity, passphrase) = (self.0.to_string(), self.record_passphrase());
        format!("{}\n{}\n", identity.expose_secret(), passphrase.expose_secret()).into()
    }

    /// Reads the plaintext of a grant or link. The second line is never taken, only compared.
    pub fn from_grant_text(text: &str) -> Result<Self, PeerGrantError> {
        let (identity, rest) = text.split_once('\n').ok_or(PeerGrantError::Text)?;
        let passphrase = rest.strip_suffix('\n').ok_or(PeerGrantError::Text)?;
        let secret = Self(identity.parse().map_err(|_| PeerGrantError::Text)?);
        if passphrase.contains('\n') {
            return Err(PeerGrantError::Text);
        }
        let derived = secret.record_passphrase();
        if !bool::from(derived.expose_secret().as_bytes().ct_eq(passphrase.as_bytes())) {
            return Err(PeerGrantError::Passphrase);
        }
        Ok(secret)
    }
}

/// A passphrase of 256 bits, for small files.
struct PassphraseKeys(Passphrase);

impl PassphraseKeys {
    fn new(passphrase: SecretString) -> Self {
        Self(Passphrase::new(passphrase, WORK_FACTOR))
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        seal_file([&self.0 as _], plaintext)
    }

    fn open(&self, file: &[u8], max: usize) -> Result<Zeroizing<Vec<u8>>, PeerOpenError> {
        let header = age_header::check_record(file)?;
        open_file(file, &header, &self.0, max)
    }

    fn file_key(&self, file: &[u8]) -> Result<RecordKey, PeerOpenError> {
        RecordKey::capture(file, &self.0)
    }
}

/// An epoch's secret ready for use: make it once an epoch.
pub struct EpochKeys {
    secret: EpochSecret,
    recipient: Recipient,
    records: PassphraseKeys,
}

impl EpochKeys {
    /// Prepares the keys of an epoch. Takes milliseconds.
    pub fn new(secret: EpochSecret) -> Self {
        let records = PassphraseKeys::new(secret.record_passphrase());
        Self { recipient: secret.recipient(), secret, records }
    }

    /// The secret.
    pub fn secret(&self) -> &EpochSecret {
        &self.secret
    }

    /// What the lock published.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Seals a record's padded plaintext.
    pub fn seal_record(&self, plaintext: &[u8]) -> Result<Vec<u8>, LocalSealError> {
        check_size(plaintext, limits::RECORD_PLAINTEXT_BYTES_MAX)?;
        Ok(self.records.seal(plaintext))
    }

    /// Opens a record's payload.
    pub fn open_record(&self, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, PeerOpenError> {
        self.records.open(payload, limits::RECORD_PLAINTEXT_BYTES_MAX)
    }

    /// The key of one record's payload, to be disclosed with it. It opens no other.
    pub fn file_key(&self, payload: &[u8]) -> Result<RecordKey, PeerOpenError> {
        self.records.file_key(payload)
    }

    /// Seals the secret of the epoch before to this one.
    pub fn seal_link(&self, previous: &EpochSecret) -> Vec<u8> {
        seal_grant(previous, &self.recipient)
    }

    /// Opens the link to the epoch before, whose lock published `expected`.
    pub fn open_link(
        &self,
        file: &[u8],
        expected: &RecipientBytes,
    ) -> Result<EpochSecret, PeerGrantError> {
        open_grant(file, &self.secret.0, expected)
    }

    /// Seals the committee's label to this epoch.
    pub fn seal_label(&self, label: &Label) -> Result<Vec<u8>, LocalSealError> {
        Ok(seal_file([&self.recipient as _], &label.to_padded()?))
    }

    /// Opens a label sealed to this epoch.
    pub fn open_label(&self, file: &[u8]) -> Result<Label, PeerLabelError> {
        let header = age_header::check_hybrid(file, 1).map_err(PeerOpenError::from)?;
        let padded = open_file(file, &header, &self.secret.0, limits::LABEL_BYTES_MAX)?;
        Label::from_padded(&padded)
    }
}

/// Seals an epoch's secret to one device.
pub fn seal_grant(secret: &EpochSecret, device: &Recipient) -> Vec<u8> {
    seal_file([device as _], secret.to_grant_text().expose_secret().as_bytes())
}

/// Opens a grant with the device's identity. `expected` is the recipient that the epoch's lock
/// published.
pub fn open_grant(
    file: &[u8],
    device: &Identity,
    expected: &RecipientBytes,
) -> Result<EpochSecret, PeerGrantError> {
    let header = age_header::check_hybrid(file, 1).map_err(PeerOpenError::from)?;
    let text = open_file(file, &header, device, GRANT_TEXT_BYTES_MAX)?;
    let text = std::str::from_utf8(&text).map_err(|_| PeerGrantError::Text)?;
    let secret = EpochSecret::from_grant_text(text)?;
    if secret.recipient().to_bytes() != *expected {
        return Err(PeerGrantError::Recipient);
    }
    Ok(secret)
}

/// Seals `plaintext` to named readers, of whom the author should be one.
pub fn seal_named(plaintext: &[u8], readers: &[Recipient]) -> Result<Vec<u8>, LocalSealError> {
    check_size(plaintext, limits::RECORD_PLAINTEXT_BYTES_MAX)?;
    if readers.is_empty() || readers.len() > limits::NAMED_READERS_MAX {
        return Err(LocalSealError::Readers { max: limits::NAMED_READERS_MAX });
    }
    Ok(seal_file(readers.iter().map(|reader| reader as _), plaintext))
}

/// Opens a file for named readers. [`PeerOpenError::WrongKey`] is the usual answer to all others.
pub fn open_named(file: &[u8], reader: &Identity) -> Result<Zeroizing<Vec<u8>>, PeerOpenError> {
    let header = age_header::check_hybrid(file, limits::NAMED_READERS_MAX)?;
    open_file(file, &header, reader, limits::RECORD_PLAINTEXT_BYTES_MAX)
}

fn check_size(plaintext: &[u8], max: usize) -> Result<(), LocalSealError> {
    if plaintext.len() > max {
        return Err(LocalSealError::TooLarge { len: plaintext.len(), max });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
