//! Hybrid post-quantum recipients of age, `mlkem768x25519` (SPEC.md §12).
//!
//! The age crate has no such type yet. This one plugs into its `Recipient` and `Identity` traits:
//! the file key is sealed with HPKE (RFC 9180) over the X-Wing KEM in `kem`. It is to be replaced
//! by age's own type when a release has one.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{hpke_open, hpke_seal};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Checksum, Hrp};
use data_encoding::BASE64_NOPAD;
use hpke::{Deserializable, HpkeError, Serializable};
use rand_core_06::OsRng;
use zeroize::{Zeroize, Zeroizing};

use crate::age_header::{HYBRID_SHARE_BYTES, HYBRID_STANZA, WRAPPED_FILE_KEY_BYTES, base64_exact};
use crate::card::{RECIPIENT_BYTES, RecipientBytes};

mod kem;

use kem::XWing;

/// The length of the seed that an identity is.
pub const SEED_BYTES: usize = 32;

const HPKE_INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// Makes age refuse to seal one file to hybrid and to classical recipients.
const LABEL: &str = "postquantum";
const RECIPIENT_PREFIX: &str = "age1pq";
const IDENTITY_PREFIX: &str = "AGE-SECRET-KEY-PQ-";

/// A key that age files are sealed to; as text `age1pq1…`, about 1,960 characters.
///
/// Both halves have been checked: every coefficient of the ML-KEM key is below its modulus and the
/// X25519 point is not of small order. So sealing to it cannot fail.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(kem::PublicKey);

/// The secret that opens what is sealed to its [`Recipient`]; as text `AGE-SECRET-KEY-PQ-1…`.
///
/// It is a seed of 32 bytes; both private keys derive from it. Wiped when dropped, never shown by
/// `Debug`.
pub struct Identity(Box<kem::PrivateKey>);

/// Why something is no hybrid recipient. The fault of whoever made or typed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerRecipientError {
    /// Not bech32 of the right prefix, case and length.
    #[error("not an age1pq1… recipient")]
    Text,
    /// The bytes are no usable ML-KEM-768 and X25519 keys.
    #[error("a hybrid recipient with unusable keys")]
    Key,
}

/// The text is no hybrid identity. Says no more: the text is a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an AGE-SECRET-KEY-PQ-1… identity")]
pub struct NotAnIdentity;

impl Recipient {
    /// Checks and takes the bytes of a recipient.
    pub fn from_bytes(bytes: &[u8; RECIPIENT_BYTES]) -> Result<Self, PeerRecipientError> {
        kem::PublicKey::from_bytes(bytes).map(Self).map_err(|_| PeerRecipientError::Key)
    }

    /// The bytes, as cards and locks carry them.
    pub fn to_bytes(&self) -> RecipientBytes {
        let mut bytes = Box::new([0; RECIPIENT_BYTES]);
        self.0.write_exact(bytes.as_mut_slice());
        RecipientBytes(bytes)
    }
}

impl TryFrom<&RecipientBytes> for Recipient {
    type Error = PeerRecipientError;

    fn try_from(bytes: &RecipientBytes) -> Result<Self, PeerRecipientError> {
        Self::from_bytes(&bytes.0)
    }
}

impl From<&Recipient> for RecipientBytes {
    fn from(recipient: &Recipient) -> Self {
        recipient.to_bytes()
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode_lower::<Bech32Long>(hrp(RECIPIENT_PREFIX), &*self.to_bytes().0);
        f.write_str(&text.expect("the checksum sets no limit on the length"))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_bytes(), f)
    }
}

impl FromStr for Recipient {
    type Err = PeerRecipientError;

    fn from_str(text: &str) -> Result<Self, PeerRecipientError> {
        let bytes = decode(text, RECIPIENT_PREFIX).ok_or(PeerRecipientError::Text)?;
        let recipient = Self::from_bytes(&bytes)?;
        // Bits left over in the last symbol, or upper case.
        if recipient.to_string() != text {
            return Err(PeerRecipientError::Text);
        }
        Ok(recipient)
    }
}

impl Identity {
    /// The identity whose seed is `seed`.
    pub fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        Self(Box::new(kem::PrivateKey::from_seed(seed)))
    }

    /// The seed: all there is to store, and what other secrets derive from.
    pub fn seed(&self) -> &[u8; SEED_BYTES] {
        self.0.seed()
    }

    /// What files are sealed to for this identity to open them.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.0.public_key())
    }

    /// The text form. A method and not `Display`, so that no log line can hold it by accident.
    pub fn to_string(&self) -> SecretString {
        bech32::encode_upper::<Bech32Long>(hrp(IDENTITY_PREFIX), self.seed())
            .expect("the checksum sets no limit on the length")
            .into()
    }

    /// The file key in `stanza`, or none if it is sealed to another recipient.
    fn open(&self, stanza: &Stanza) -> Result<Option<FileKey>, age::DecryptError> {
        let malformed = || age::DecryptError::InvalidHeader;
        let [share] = stanza.args.as_slice() else {
            return Err(malformed());
        };
        let share = base64_exact::<HYBRID_SHARE_BYTES>(share.as_bytes()).ok_or_else(malformed)?;
        // Checked before opening, so that no body is made to open under many identities.
        if stanza.body.len() != WRAPPED_FILE_KEY_BYTES {
            return Err(malformed());
        }
        let share = kem::EncappedKey(share);
        let file_key = match hpke_open::<XWing>(&share, &self.0, HPKE_INFO, &stanza.body) {
            Ok(file_key) => Zeroizing::new(file_key),
            Err(HpkeError::OpenError) => return Ok(None),
            Err(_) => return Err(malformed()),
        };
        let file_key: &[u8; FILE_KEY_BYTES] =
            file_key.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Some(FileKey::init_with_mut(|slot| slot.copy_from_slice(file_key))))
    }
}

impl FromStr for Identity {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let mut seed = decode(text, IDENTITY_PREFIX).ok_or(NotAnIdentity)?;
        let identity = Self::from_seed(&seed);
        seed.zeroize();
        if identity.to_string().expose_secret() != text {
            return Err(NotAnIdentity);
        }
        Ok(identity)
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let (share, body) =
            hpke_seal::<XWing, _>(&self.0, HPKE_INFO, file_key.expose_secret(), &mut OsRng);
        let stanza = Stanza {
            tag: HYBRID_STANZA.to_owned(),
            args: vec![BASE64_NOPAD.encode(&share.0)],
            body,
        };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        if stanza.tag != HYBRID_STANZA {
            return None;
        }
        self.open(stanza).transpose()
    }
}

fn hrp(prefix: &str) -> Hrp {
    Hrp::parse_unchecked(prefix)
}

/// The data of a bech32 text, if it has that prefix and `N` bytes.
fn decode<const N: usize>(text: &str, prefix: &str) -> Option<[u8; N]> {
    let checked = CheckedHrpstring::new::<Bech32Long>(text).ok()?;
    let mut bytes = [0; N];
    let mut data = checked.byte_iter();
    if checked.hrp() != hrp(prefix) || data.len() != N {
        return None;
    }
    bytes.fill_with(|| data.next().unwrap_or_default());
    Some(bytes)
}

/// Bech32 without the limit of 1,023 characters, as age uses it: the checksum then finds slips with
/// less certainty, which here only means that a wrong key is refused later.
enum Bech32Long {}

impl Checksum for Bech32Long {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32 as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32::ROOT_GENERATOR;
    const ROOT_EXPONENTS: core::ops::RangeInclusive<usize> = Bech32::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32::TARGET_RESIDUE;
}

#[cfg(test)]
mod tests;
