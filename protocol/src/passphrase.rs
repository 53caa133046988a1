//! age's scrypt stanza under a work factor that is given (SPEC.md §13).
//!
//! The age crate's own types time the machine whenever one is made, for some milliseconds, to choose a
//! work factor that nobody here wants chosen; a command makes a dozen. These two are otherwise the same,
//! and tests open what one sealed with the other.
//!
//! ```text
//! -> scrypt SALT LOG2N           SALT: 16 bytes in base64
//! file key under ChaCha20-Poly1305, nonce zero, key = scrypt(passphrase, label ‖ salt, N, r 8, p 1)
//! ```

use std::collections::HashSet;

use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt};
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use rand_core_06::{OsRng, RngCore};
use zeroize::{Zeroize, Zeroizing};

use crate::age_header::{SCRYPT_SALT_BYTES, SCRYPT_STANZA, WRAPPED_FILE_KEY_BYTES, base64_exact};

const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const R: u32 = 8;
const P: u32 = 1;
/// Of the label that lets a file have no other recipient.
const LABEL_BYTES: usize = 16;

/// A passphrase, and how hard it is to try one: files are sealed to it with that work factor, and those
/// that ask for more are not opened.
pub struct Passphrase {
    passphrase: SecretString,
    work_factor: u8,
}

impl Passphrase {
    /// With log2 of scrypt's N, from 1 to 63.
    pub fn new(passphrase: SecretString, work_factor: u8) -> Self {
        Self { passphrase, work_factor: work_factor.clamp(1, 63) }
    }

    /// The key that a file key is wrapped with. `None`: no machine has so much memory.
    fn wrapping_key(&self, salt: &[u8], work_factor: u8) -> Option<Zeroizing<[u8; 32]>> {
        let params = scrypt::Params::new(work_factor, R, P).ok()?;
        let salt = [SALT_LABEL, salt].concat();
        let mut key = Zeroizing::new([0; 32]);
        let passphrase = self.passphrase.expose_secret().as_bytes();
        scrypt::scrypt(passphrase, &salt, &params, key.as_mut_slice()).ok()?;
        Some(key)
    }

    fn open(&self, stanza: &Stanza) -> Result<FileKey, DecryptError> {
        let [salt, work_factor] = stanza.args.as_slice() else {
            return Err(DecryptError::InvalidHeader);
        };
        let salt = base64_exact::<SCRYPT_SALT_BYTES>(salt.as_bytes());
        let salt = salt.ok_or(DecryptError::InvalidHeader)?;
        let asked: u8 = work_factor.parse().map_err(|_| DecryptError::InvalidHeader)?;
        // Checked before opening, so that no body is made to open under many passphrases.
        let is_sound = asked.to_string() == *work_factor && asked > 0;
        if !is_sound || stanza.body.len() != WRAPPED_FILE_KEY_BYTES {
            return Err(DecryptError::InvalidHeader);
        }
        let too_much = || DecryptError::ExcessiveWork { required: asked, target: self.work_factor };
        if asked > self.work_factor {
            return Err(too_much());
        }
        let key = self.wrapping_key(&salt, asked).ok_or_else(too_much)?;
        let mut opened = aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body)?;
        Ok(FileKey::init_with_mut(|slot| {
            slot.copy_from_slice(&opened);
            opened.zeroize();
        }))
    }
}

impl age::Recipient for Passphrase {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let mut salt = [0; SCRYPT_SALT_BYTES];
        OsRng.fill_bytes(&mut salt);
        let key = self.wrapping_key(&salt, self.work_factor);
        let key = key.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
        let stanza = Stanza {
            tag: SCRYPT_STANZA.to_owned(),
            args: vec![BASE64_NOPAD.encode(&salt), self.work_factor.to_string()],
            body: aead_encrypt(&key, file_key.expose_secret()),
        };
        let mut label = [0; LABEL_BYTES];
        OsRng.fill_bytes(&mut label);
        Ok((vec![stanza], HashSet::from([HEXLOWER.encode(&label)])))
    }
}

impl age::Identity for Passphrase {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        (stanza.tag == SCRYPT_STANZA).then(|| self.open(stanza))
    }
}

#[cfg(test)]
mod tests;
