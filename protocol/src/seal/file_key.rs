//! The key of one age file: what a proof discloses of one record, and of no other.
//!
//! ```text
//! payload ── opened, its file key kept ── header of its own under a passphrase of its own
//!                                         MAC under the same file key · nonce and chunks as they are
//! ```
//!
//! The cipher of the chunks does not commit to its key: bytes can be made that open under two. The MAC of
//! the header does (SPEC.md §22).

use std::cell::RefCell;

use age::secrecy::ExposeSecret;
use age::{DecryptError, Identity};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use data_encoding::BASE64_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{AttachmentPassphrase, PassphraseKeys, PeerOpenError, open_file};
use crate::age_header;
use crate::limits::RECORD_PLAINTEXT_BYTES_MAX;

const MAC_INFO: &[u8] = b"header";
/// What the last line of a header is behind its dashes: a space, 32 bytes in base64, a line feed.
const MAC_LINE_BYTES: usize = 1 + 43 + 1;
/// The dashes are the last that the MAC is over.
const DASHES: &str = "---";

/// The file key of one record's payload.
pub struct RecordKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

impl RecordKey {
    /// Opens `file` with `identity` and keeps the key that did it.
    pub(super) fn capture(file: &[u8], identity: &dyn Identity) -> Result<Self, PeerOpenError> {
        age_header::check_record(file)?;
        let capturing = Capturing { identity, key: RefCell::new(None) };
        age::Decryptor::new_buffered(file)
            .and_then(|decryptor| decryptor.decrypt(std::iter::once(&capturing as _)))
            .map_err(PeerOpenError::from)?;
        capturing.key.into_inner().ok_or(PeerOpenError::WrongKey)
    }

    /// The key of a file under a passphrase of its own.
    pub fn of_file(file: &[u8], passphrase: &AttachmentPassphrase) -> Result<Self, PeerOpenError> {
        keys_of(passphrase).file_key(file)
    }

    /// The key as it was disclosed; none when it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The key, to be disclosed.
    pub fn expose(&self) -> &[u8; FILE_KEY_BYTES] {
        &self.0
    }

    /// Whether the header of `file` was made with this key.
    pub fn made_header_of(&self, file: &[u8]) -> Result<bool, PeerOpenError> {
        let ends = age_header::check_record(file)?.payload_offset();
        let (authentic, mac_line) = file[..ends].split_at(ends - MAC_LINE_BYTES);
        Ok(mac_line == self.mac_line(authentic).as_bytes())
    }

    /// Opens a payload. A header that was made with another key is [`PeerOpenError::Damaged`].
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, PeerOpenError> {
        let header = age_header::check_record(file)?;
        open_file(file, &header, self, RECORD_PLAINTEXT_BYTES_MAX)
    }

    /// The same file under a header of its own, which opens with `passphrase`.
    pub fn seal_anew(
        &self,
        file: &[u8],
        passphrase: &AttachmentPassphrase,
    ) -> Result<Vec<u8>, PeerOpenError> {
        let body = &file[age_header::check_record(file)?.payload_offset()..];
        let (stanzas, _) = age::Recipient::wrap_file_key(&keys_of(passphrase).0, &self.to_age())
            .expect("a work factor of 1 asks for no memory");
        let mut header = String::from("age-encryption.org/v1\n");
        for stanza in stanzas {
            let words = [vec![stanza.tag], stanza.args].concat().join(" ");
            header.push_str(&format!("-> {words}\n{}\n", BASE64_NOPAD.encode(&stanza.body)));
        }
        header.push_str(DASHES);
        let mac = self.mac_line(header.as_bytes());
        Ok([header.as_bytes(), mac.as_bytes(), body].concat())
    }

    /// What the last line of a header is behind its dashes.
    fn mac_line(&self, authentic: &[u8]) -> String {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand(MAC_INFO, key.as_mut_slice())
            .expect("32 bytes are one block of SHA-256");
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length");
        mac.update(authentic);
        format!(" {}\n", BASE64_NOPAD.encode(&mac.finalize().into_bytes()))
    }

    fn to_age(&self) -> FileKey {
        FileKey::init_with_mut(|slot| slot.copy_from_slice(self.0.as_slice()))
    }
}

impl PartialEq for RecordKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

fn keys_of(passphrase: &AttachmentPassphrase) -> PassphraseKeys {
    PassphraseKeys::new(passphrase.expose().to_owned().into())
}

/// Gives age the key whatever the stanza says: the MAC tells whether it is the right one.
impl Identity for RecordKey {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(self.to_age()))
    }
}

/// Opens as another identity does, and keeps the key.
struct Capturing<'i> {
    identity: &'i dyn Identity,
    key: RefCell<Option<RecordKey>>,
}

impl Identity for Capturing<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let opened = self.identity.unwrap_stanza(stanza)?;
        if let Ok(key) = &opened {
            *self.key.borrow_mut() = RecordKey::from_bytes(key.expose_secret());
        }
        Some(opened)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod two_keys;
