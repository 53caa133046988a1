//! Attachments: files of any size, sealed and opened piece by piece (SPEC.md §14.1).
//!
//! ```text
//! file ── SHA-256, length ─┐
//!   └ padded with zeros ── age file under a passphrase of its own ── blob: SHA-256, size
//!                          └> the attachment's record names all of it
//! ```

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use age::stream::{StreamReader, StreamWriter};
use data_encoding::BASE64URL_NOPAD;

use super::{PASSPHRASE_BYTES, PassphraseKeys, PeerOpenError};
use crate::age_header;
use crate::entry::Blob;
use crate::hash::{Hash, Hasher};
use crate::limits;
use crate::record::padded_len;

/// What padding is written and read in.
const FILLER: [u8; 16 * 1024] = [0; 16 * 1024];
/// The header of a file under a passphrase: every one has this length.
const HEADER_BYTES: u64 = 149;

/// The passphrase of one attachment: base64url of 32 random bytes. It stands in the attachment's
/// record and opens that one file, with stock age as well.
pub struct AttachmentPassphrase(SecretString);

/// The text is no passphrase of an attachment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a passphrase of 43 symbols")]
pub struct NotAPassphrase;

impl AttachmentPassphrase {
    /// Makes a passphrase out of 32 random bytes, which nothing may have been derived from before.
    pub fn generate(random: &[u8; PASSPHRASE_BYTES]) -> Self {
        Self(BASE64URL_NOPAD.encode(random).into())
    }

    /// The text, for the record.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl FromStr for AttachmentPassphrase {
    type Err = NotAPassphrase;

    fn from_str(text: &str) -> Result<Self, NotAPassphrase> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotAPassphrase)?;
        if bytes.len() != PASSPHRASE_BYTES {
            return Err(NotAPassphrase);
        }
        Ok(Self(text.to_owned().into()))
    }
}

/// A file as it is attached: what of it stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its SHA-256.
    pub sha256: Hash,
    /// Its length.
    pub size: u64,
}

/// How large the blob of a file of `size` bytes is.
pub fn blob_size(size: u64) -> u64 {
    HEADER_BYTES + age_header::payload_bytes(padded_len(size))
}

/// Seals a file that is given to it piece by piece. Holds no more of it than one chunk of age's.
pub struct AttachmentSealer<W: Write> {
    writer: StreamWriter<W>,
    sha256: Hasher,
    size: u64,
}

impl<W: Write> AttachmentSealer<W> {
    /// Begins a sealed file in `sink`.
    pub fn new(sink: W, passphrase: &AttachmentPassphrase) -> io::Result<Self> {
        let keys = PassphraseKeys::new(passphrase.0.clone());
        let writer = age::Encryptor::with_recipients(std::iter::once(&keys.0 as _))
            .expect("one recipient")
            .wrap_output(sink)?;
        Ok(Self { writer, sha256: Hasher::default(), size: 0 })
    }

    /// Takes the next bytes of the file. More than [`limits::ATTACHMENT_BYTES_MAX`] in all are
    /// [`io::ErrorKind::FileTooLarge`]; other errors are the sink's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        if self.size > limits::ATTACHMENT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.sha256.update(bytes);
        self.writer.write_all(bytes)
    }

    /// Ends the file. Gives back the sink, and what the record is to say of the file.
    pub fn finish(mut self) -> io::Result<(W, Plain)> {
        let mut filler = padded_len(self.size) - self.size;
        while filler > 0 {
            let step = FILLER.len().min(usize::try_from(filler).unwrap_or(usize::MAX));
            self.writer.write_all(&FILLER[..step])?;
            filler -= step as u64;
        }
        let plain = Plain { sha256: self.sha256.finish(), size: self.size };
        Ok((self.writer.finish()?, plain))
    }
}

/// Passes a blob on as it is written, and says what the record is to say of it.
#[derive(Debug)]
pub struct BlobSink<W> {
    sink: W,
    sha256: Hasher,
    size: u64,
}

impl<W> BlobSink<W> {
    /// Begins a blob in `sink`.
    pub fn new(sink: W) -> Self {
        Self { sink, sha256: Hasher::default(), size: 0 }
    }

    /// Gives back the sink, and the hash and size of what was written to it.
    pub fn finish(self) -> (W, Blob) {
        (self.sink, Blob { sha256: self.sha256.finish(), size: self.size })
    }
}

impl<W: Write> Write for BlobSink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Why a blob does not give the file that its record names. The record's author is at fault, or who
/// changed the blob since.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// The blob does not open.
    #[error("{0}")]
    PeerOpen(#[from] PeerOpenError),
    /// What opened is not the file that the record names.
    #[error("it holds another file than its record names")]
    PeerOtherFile,
    /// Source or destination failed: nobody's fault but the disk's.
    #[error("{0}")]
    LocalIo(io::Error),
}

/// Opens a blob of `blob_size` bytes into `file`, in constant memory. What was written is to be believed
/// only when this returns without an error: then it is the file that `plain` names, to the last byte.
pub fn open_attachment(
    mut blob: impl BufRead,
    blob_bytes: u64,
    passphrase: &AttachmentPassphrase,
    plain: &Plain,
    mut file: impl Write,
) -> Result<(), AttachmentError> {
    if plain.size > limits::ATTACHMENT_BYTES_MAX || blob_bytes != blob_size(plain.size) {
        return Err(AttachmentError::PeerOtherFile);
    }
    let mut head = Vec::new();
    let head_max = limits::RECORD_AGE_HEADER_BYTES_MAX as u64;
    (&mut blob).take(head_max).read_to_end(&mut head).map_err(AttachmentError::LocalIo)?;
    let header = age_header::check_attachment(&head, blob_bytes).map_err(PeerOpenError::from)?;
    if header.plaintext_bytes().map_err(PeerOpenError::from)? != padded_len(plain.size) {
        return Err(AttachmentError::PeerOtherFile);
    }
    let keys = PassphraseKeys::new(passphrase.0.clone());
    let reader = age::Decryptor::new_buffered(head.as_slice().chain(blob))
        .and_then(|decryptor| decryptor.decrypt(std::iter::once(&keys.0 as _)))
        .map_err(|error| AttachmentError::PeerOpen(error.into()))?;
    copy(reader, plain, &mut file)
}

fn copy(
    mut reader: StreamReader<impl Read>,
    plain: &Plain,
    file: &mut impl Write,
) -> Result<(), AttachmentError> {
    let mut sha256 = Hasher::default();
    let mut left = plain.size;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = reader.read(&mut buffer).map_err(read_error)?;
        if read == 0 {
            break;
        }
        let of_file = usize::try_from(left).map_or(read, |left| left.min(read));
        let (bytes, filler) = buffer[..read].split_at(of_file);
        sha256.update(bytes);
        file.write_all(bytes).map_err(AttachmentError::LocalIo)?;
        left -= of_file as u64;
        // Anything else there would be a second file that nobody sees.
        if filler.iter().any(|byte| *byte != 0) {
            return Err(AttachmentError::PeerOtherFile);
        }
    }
    if left > 0 || sha256.finish() != plain.sha256 {
        return Err(AttachmentError::PeerOtherFile);
    }
    Ok(())
}

/// age says of a chunk that does not authenticate, and of one that is cut off, that the data is invalid or
/// ends; everything else is the source's.
fn read_error(error: io::Error) -> AttachmentError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            AttachmentError::PeerOpen(PeerOpenError::Damaged)
        }
        _ => AttachmentError::LocalIo(error),
    }
}

impl fmt::Debug for AttachmentPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachmentPassphrase")
    }
}

#[cfg(test)]
mod tests;
