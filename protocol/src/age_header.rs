//! A strict reader of age v1 headers (SPEC.md §11), which runs before any age code.
//!
//! The age crate reads headers in quadratic time and lets the sender choose the work factor of
//! scrypt. So nothing reaches it that has not passed here: one pass over at most the header limit,
//! no allocation beyond a list of [`STANZAS_MAX`] stanzas, and rules about which stanzas a file of
//! Sealpost may have. The relay, which cannot decrypt, checks with the same functions.

use data_encoding::BASE64_NOPAD;

use crate::limits;

mod rules;

pub use rules::{check_attachment, check_hybrid, check_record};

/// Stanzas a header may have: every named reader and one of grease.
pub const STANZAS_MAX: usize = limits::NAMED_READERS_MAX + 1;
/// The wrapped file key in the body of a stanza: 16 bytes and the tag of the AEAD.
pub const WRAPPED_FILE_KEY_BYTES: usize = 32;
/// The encapsulated key in a hybrid stanza: 1,088 bytes of ML-KEM-768 and 32 of X25519.
pub const HYBRID_SHARE_BYTES: usize = 1_120;
/// The type of a hybrid stanza.
pub const HYBRID_STANZA: &str = "mlkem768x25519";
/// The type of a stanza under a passphrase.
pub const SCRYPT_STANZA: &str = "scrypt";
/// The salt in one.
pub const SCRYPT_SALT_BYTES: usize = 16;

const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
const MAC_BYTES: usize = 32;
const NONCE_BYTES: u64 = 16;
const TAG_BYTES: u64 = 16;
const CHUNK_BYTES: u64 = 64 * 1024;
const COLUMNS: usize = 64;

/// Why a file is not one that Sealpost opens. Always the fault of whoever made or changed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum PeerAgeHeaderError {
    /// The first line is not that of an age v1 file.
    #[error("not an age v1 file")]
    Version,
    /// The file ends inside its header.
    #[error("the file ends inside its age header")]
    Truncated,
    /// The header does not end within its limit.
    #[error("the age header is longer than {max} bytes")]
    HeaderTooLong {
        /// What is allowed.
        max: usize,
    },
    /// A line begins neither a stanza nor the end of the header.
    #[error("a line of the age header is neither a stanza nor its end")]
    Line,
    /// The type or an argument of a stanza is empty or not printable ASCII.
    #[error("a stanza has an empty or unprintable argument")]
    Argument,
    /// The body of a stanza is not canonical base64 wrapped at 64 columns.
    #[error("the body of a stanza is not canonical base64 in lines of 64")]
    Body,
    /// The last line does not carry 43 symbols of canonical base64.
    #[error("the MAC line of the age header is malformed")]
    Mac,
    /// The header has no stanza.
    #[error("the age header has no stanza")]
    NoStanza,
    /// More stanzas than any file of Sealpost has.
    #[error("the age header has more than {max} stanzas")]
    TooManyStanzas {
        /// What is allowed.
        max: usize,
    },
    /// One stanza takes more than its limit.
    #[error("a stanza takes more than {max} bytes")]
    StanzaTooLong {
        /// What is allowed.
        max: usize,
    },
    /// A record or attachment without exactly one stanza, of type scrypt.
    #[error("not exactly one scrypt stanza")]
    NotOneScrypt,
    /// The scrypt stanza has not exactly a salt and a work factor.
    #[error("the scrypt stanza has not two arguments")]
    ScryptArguments,
    /// The salt is not 16 bytes of canonical base64.
    #[error("the scrypt salt is not 16 bytes of canonical base64")]
    Salt,
    /// The work factor is not exactly `1`.
    #[error("the scrypt work factor is not 1")]
    WorkFactor,
    /// The wrapped file key has not 32 bytes.
    #[error("the wrapped file key has not 32 bytes")]
    FileKey,
    /// A stanza of a type that has no place in this file.
    #[error("a stanza of a type that has no place here")]
    ForeignStanza,
    /// No hybrid stanza, or more than this file may have.
    #[error("not 1 to {max} hybrid stanzas")]
    HybridStanzas {
        /// What is allowed.
        max: usize,
    },
    /// More than one grease stanza.
    #[error("more than one grease stanza")]
    Grease,
    /// The hybrid stanza has not exactly one argument of 1,120 bytes in canonical base64.
    #[error("the hybrid share is not one argument of 1,120 bytes")]
    Share,
    /// What follows the header cannot be a nonce and whole chunks.
    #[error("the length of the payload is impossible")]
    Payload,
}

/// A header that is well formed. Its MAC is not checked: that takes the file key.
#[derive(Debug, Clone)]
pub struct AgeHeader<'a> {
    stanzas: Vec<AgeStanza<'a>>,
    header_bytes: usize,
    payload_bytes: u64,
}

/// A stanza: its type, its arguments and the size of its body.
#[derive(Debug, Clone, Copy)]
pub struct AgeStanza<'a> {
    /// The type and the arguments, with one space between two.
    words: &'a str,
    body_bytes: usize,
}

impl<'a> AgeHeader<'a> {
    /// The stanzas in their order.
    pub fn stanzas(&self) -> &[AgeStanza<'a>] {
        &self.stanzas
    }

    /// Where the payload, that is its nonce, begins.
    pub fn payload_offset(&self) -> usize {
        self.header_bytes
    }

    /// How long the plaintext is, by the length of the file.
    pub fn plaintext_bytes(&self) -> Result<u64, PeerAgeHeaderError> {
        let sealed =
            self.payload_bytes.checked_sub(NONCE_BYTES).ok_or(PeerAgeHeaderError::Payload)?;
        let last = sealed % (CHUNK_BYTES + TAG_BYTES);
        let only_chunk = sealed == TAG_BYTES;
        // Only the sole chunk of an empty file may be empty.
        if sealed == 0 || (last > 0 && last <= TAG_BYTES && !only_chunk) {
            return Err(PeerAgeHeaderError::Payload);
        }
        Ok(sealed - sealed.div_ceil(CHUNK_BYTES + TAG_BYTES) * TAG_BYTES)
    }
}

impl<'a> AgeStanza<'a> {
    /// The type.
    pub fn kind(&self) -> &'a str {
        self.words.split(' ').next().unwrap_or_default()
    }

    /// The arguments after the type.
    pub fn args(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.words.split(' ').skip(1)
    }

    /// How many bytes the body decodes to.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

/// How long the age file over a plaintext of that length is, behind its header.
pub fn payload_bytes(plaintext_bytes: u64) -> u64 {
    NONCE_BYTES + plaintext_bytes + plaintext_bytes.div_ceil(CHUNK_BYTES).max(1) * TAG_BYTES
}

/// Reads the header of `file`, looking at no more than `header_bytes_max` of its bytes.
pub fn parse(file: &[u8], header_bytes_max: usize) -> Result<AgeHeader<'_>, PeerAgeHeaderError> {
    parse_head(file, file.len() as u64, header_bytes_max)
}

/// As [`parse`], of a file of `file_bytes` that begins with `head`.
fn parse_head(
    head: &[u8],
    file_bytes: u64,
    header_bytes_max: usize,
) -> Result<AgeHeader<'_>, PeerAgeHeaderError> {
    let mut lines = Lines::new(head, header_bytes_max)?;
    let mut stanzas = Vec::new();
    loop {
        let line = lines.next_line()?;
        if let Some(mac) = line.strip_prefix(b"---") {
            if stanzas.is_empty() {
                return Err(PeerAgeHeaderError::NoStanza);
            }
            check_mac(mac)?;
            let payload_bytes = file_bytes.saturating_sub(lines.at as u64);
            return Ok(AgeHeader { stanzas, header_bytes: lines.at, payload_bytes });
        }
        let words = line.strip_prefix(b"-> ").ok_or(PeerAgeHeaderError::Line)?;
        if stanzas.len() == STANZAS_MAX {
            return Err(PeerAgeHeaderError::TooManyStanzas { max: STANZAS_MAX });
        }
        stanzas.push(stanza(words, &mut lines)?);
    }
}

fn check_mac(after_dashes: &[u8]) -> Result<(), PeerAgeHeaderError> {
    let symbols = after_dashes.strip_prefix(b" ").ok_or(PeerAgeHeaderError::Mac)?;
    base64_exact::<MAC_BYTES>(symbols).map(|_| ()).ok_or(PeerAgeHeaderError::Mac)
}

fn stanza<'a>(words: &'a [u8], lines: &mut Lines<'a>) -> Result<AgeStanza<'a>, PeerAgeHeaderError> {
    let too_long = PeerAgeHeaderError::StanzaTooLong { max: limits::STANZA_BYTES_MAX };
    let mut stanza_bytes = "-> \n".len() + words.len();
    let sound = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    if !words.split(|byte| *byte == b' ').all(sound) {
        return Err(PeerAgeHeaderError::Argument);
    }
    let words = std::str::from_utf8(words).map_err(|_| PeerAgeHeaderError::Argument)?;
    let mut body_bytes = 0;
    loop {
        let line = lines.next_line()?;
        stanza_bytes += line.len() + 1;
        if stanza_bytes > limits::STANZA_BYTES_MAX {
            return Err(too_long);
        }
        body_bytes += body_line_bytes(line)?;
        if line.len() < COLUMNS {
            return Ok(AgeStanza { words, body_bytes });
        }
    }
}

/// How many bytes a line of base64 decodes to.
fn body_line_bytes(line: &[u8]) -> Result<usize, PeerAgeHeaderError> {
    let mut decoded = [0; COLUMNS / 4 * 3];
    let len = BASE64_NOPAD.decode_len(line.len()).map_err(|_| PeerAgeHeaderError::Body)?;
    let decoded = decoded.get_mut(..len).ok_or(PeerAgeHeaderError::Body)?;
    BASE64_NOPAD.decode_mut(line, decoded).map_err(|_| PeerAgeHeaderError::Body)
}

/// Decodes `symbols` if they are the canonical base64, without padding, of exactly `N` bytes.
pub(crate) fn base64_exact<const N: usize>(symbols: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if BASE64_NOPAD.decode_len(symbols.len()).ok()? != N {
        return None;
    }
    BASE64_NOPAD.decode_mut(symbols, &mut bytes).ok()?;
    Some(bytes)
}

/// The lines of a header after the first, each looked at once.
struct Lines<'a> {
    window: &'a [u8],
    at: usize,
    /// What it means when the window ends before the header does.
    cut: PeerAgeHeaderError,
}

impl<'a> Lines<'a> {
    fn new(file: &'a [u8], max: usize) -> Result<Self, PeerAgeHeaderError> {
        let (window, cut) = match file.get(..max) {
            Some(window) => (window, PeerAgeHeaderError::HeaderTooLong { max }),
            None => (file, PeerAgeHeaderError::Truncated),
        };
        if !window.starts_with(VERSION_LINE) {
            let cut_off = VERSION_LINE.starts_with(window);
            return Err(if cut_off { cut } else { PeerAgeHeaderError::Version });
        }
        Ok(Self { window, at: VERSION_LINE.len(), cut })
    }

    fn next_line(&mut self) -> Result<&'a [u8], PeerAgeHeaderError> {
        let rest = &self.window[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(self.cut)?;
        self.at += end + 1;
        Ok(&rest[..end])
    }
}

#[cfg(test)]
mod tests;
