//! The relay's key, in the file `key` of the data folder: it signs checkpoints, and clients pin it.
//!
//! Three lines of text: what it is, the public key as addresses have it, the secret seed in hex.
//! The public half is there so that a flipped bit makes no other relay of it. Only `run --init`
//! makes one, durably and before the folder counts as a data folder.

use std::io;
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use sealpost_protocol::address;
use sealpost_protocol::sign::PublicKey;
use zeroize::Zeroizing;

use crate::limits::KEY_FILE_BYTES_MAX;
use crate::store::disk::{self, Disk};

/// The file in the data folder.
pub const FILE: &str = "key";
const TITLE: &str = "sealpost-relay secret key, format 1";
const SEED_BYTES: usize = 32;

/// Why there is no key to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The data folder has lost it.
    #[error("the data folder holds no key")]
    LocalMissing,
    /// Another `run --init` was quicker on the same folder.
    #[error("the folder holds another key already: another --init was quicker")]
    LocalOther,
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    LocalRandom(String),
    /// The file is not as it was written.
    #[error("the file `key` of the data folder is damaged")]
    StoreDamaged,
    /// The operating system refused.
    #[error("{doing} the relay's key: {error}")]
    StoreIo {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: Arc<io::Error>,
    },
}

impl KeyError {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::StoreIo { doing, error: Arc::new(error) }
    }
}

/// A new key.
pub fn generate() -> Result<SigningKey, KeyError> {
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    getrandom::fill(seed.as_mut_slice())
        .map_err(|error| KeyError::LocalRandom(error.to_string()))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The key of the data folder at `root`; `None` when there is no such file.
pub fn read(disk: &dyn Disk, root: &Path) -> Result<Option<SigningKey>, KeyError> {
    let found = disk::read_file_up_to(disk, &root.join(FILE), KEY_FILE_BYTES_MAX)
        .map_err(KeyError::io("reading"))?;
    let Some(text) = found.map(Zeroizing::new) else { return Ok(None) };
    parse(&text).map(Some).ok_or(KeyError::StoreDamaged)
}

/// Keeps `key` durably in a folder that is being made; one that is there already must be the same.
pub fn keep(disk: &dyn Disk, root: &Path, key: &SigningKey) -> Result<(), KeyError> {
    if let Some(kept) = read(disk, root)? {
        return if kept == *key { Ok(()) } else { Err(KeyError::LocalOther) };
    }
    let text = to_text(key);
    disk::replace_file(disk, &root.join(FILE), text.as_bytes()).map_err(KeyError::io("keeping"))
}

/// The public half.
pub fn public(key: &SigningKey) -> PublicKey {
    key.verifying_key().into()
}

fn to_text(key: &SigningKey) -> Zeroizing<String> {
    let public = address::key_to_text(&public(key));
    let mut seed = Zeroizing::new(String::with_capacity(2 * SEED_BYTES));
    HEXLOWER.encode_append(&*Zeroizing::new(key.to_bytes()), &mut seed);
    Zeroizing::new(format!("{TITLE}\n{public}\n{}\n", *seed))
}

fn parse(text: &[u8]) -> Option<SigningKey> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    (lines.next()? == TITLE).then_some(())?;
    let known = lines.next()?;
    let hex = lines.next()?;
    lines.next().is_none().then_some(())?;
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    (hex.len() == 2 * SEED_BYTES).then_some(())?;
    HEXLOWER.decode_mut(hex.as_bytes(), seed.as_mut_slice()).ok()?;
    let key = SigningKey::from_bytes(&seed);
    (address::key_to_text(&public(&key)) == known).then_some(key)
}

#[cfg(test)]
mod tests;
