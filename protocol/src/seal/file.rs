//! One age file, sealed and opened through the age crate.

use std::io::{Read, Write};

use age::DecryptError;
use zeroize::Zeroizing;

use crate::age_header::{AgeHeader, PeerAgeHeaderError};

/// Why an age file does not open. All but [`Self::WrongKey`] are the fault of whoever made or
/// changed the file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerOpenError {
    /// The header breaks a rule, and age was not asked.
    #[error("{0}")]
    Header(#[from] PeerAgeHeaderError),
    /// The plaintext would be longer than its limit.
    #[error("it holds {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// What it holds.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// No stanza opens: it is sealed to another key, or the stanza was changed. The cipher cannot
    /// tell which.
    #[error("it is not sealed to this key")]
    WrongKey,
    /// The key fits, but the header or a part of the payload was changed or cut off.
    #[error("it was changed or cut off after it was sealed")]
    Damaged,
}

impl From<DecryptError> for PeerOpenError {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::NoMatchingKeys
            | DecryptError::KeyDecryptionFailed
            | DecryptError::DecryptionFailed => Self::WrongKey,
            _ => Self::Damaged,
        }
    }
}

/// Seals `plaintext` to `recipients`: at least one, and all of one kind.
pub(crate) fn seal_file<'a>(
    recipients: impl IntoIterator<Item = &'a dyn age::Recipient>,
    plaintext: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    age::Encryptor::with_recipients(recipients.into_iter())
        .expect("recipients of one kind, which have been checked")
        .wrap_output(&mut file)
        .and_then(|mut writer| {
            writer.write_all(plaintext)?;
            writer.finish()
        })
        .expect("writing to a Vec cannot fail");
    file
}

/// Opens `file`, whose header has been checked.
pub(crate) fn open_file(
    file: &[u8],
    header: &AgeHeader<'_>,
    identity: &dyn age::Identity,
    plaintext_bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, PeerOpenError> {
    let len = usize::try_from(header.plaintext_bytes()?).unwrap_or(usize::MAX);
    if len > plaintext_bytes_max {
        return Err(PeerOpenError::TooLarge { len, max: plaintext_bytes_max });
    }
    let reader = age::Decryptor::new_buffered(file)
        .and_then(|decryptor| decryptor.decrypt(std::iter::once(identity)))
        .map_err(PeerOpenError::from)?;
    // One byte more, so that the Vec need not grow, which would leave a copy, to see the end.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(len + 1));
    let bound = u64::try_from(len).expect("a length of memory") + 1;
    reader.take(bound).read_to_end(&mut plaintext).map_err(|_| PeerOpenError::Damaged)?;
    if plaintext.len() != len {
        return Err(PeerOpenError::Damaged);
    }
    Ok(plaintext)
}
