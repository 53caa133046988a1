//! Checkpoints and cosignatures: what a relay, and others, say a log's tree is
//! (SPEC.md §10; C2SP signed-note, tlog-checkpoint and tlog-cosignature).
//!
//! ```text
//! relay    Checkpoint            -> sign   -> SignedCheckpoint    the note's exact text
//! client   UnverifiedCheckpoint  -> verify -> SignedCheckpoint    under the home's key
//! devices, Checkpoint            -> sign   -> Cosignature         one signature line
//! mirrors  UnverifiedCosignature -> verify -> Cosignature
//! ```
//!
//! Both are texts that stock tools read. They are parsed strictly: three lines, no extension
//! lines, exactly one signature. Cosignatures are stored and served singly, never as lines added
//! to a note, so that a note is one fixed text.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::hash::Hash;
use crate::id::{CommitteeId, Term, TreeSize};
use crate::limits::NOTE_BYTES_MAX;
use crate::sign::{SigningKey, VerifyingKey};

mod cosignature;
mod line;

pub use cosignature::{Cosignature, Cosigner, UnverifiedCosignature};
use line::{NoteSignature, SignatureType};

/// Which log a checkpoint is about: a committee's log under one home relay.
/// As text `sealpost/1/<committee, 64 hex digits>/<term>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The committee.
    pub committee: CommitteeId,
    /// The term, from 1.
    pub term: Term,
}

const ORIGIN_PREFIX: &str = "sealpost/1/";

/// A log's tree at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many entries.
    pub size: TreeSize,
    /// The tree's root over them.
    pub root: Hash,
}

/// Why a text is no checkpoint or cosignature, or not the one expected. All are the fault of
/// whoever made or passed on the text; from a relay, from [`Self::OtherOrigin`] on, it is a lie.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerNoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("{0} bytes, more than a note may have")]
    TooLong(usize),
    /// Not UTF-8, or with control characters.
    #[error("not plain text")]
    NotText,
    /// Other than three lines, an empty line and one signature line, or without last newline.
    #[error("not three lines, an empty line and one signature line")]
    Lines,
    /// The first line names no log of this version.
    #[error("the first line is not sealpost/1/<committee>/<term>")]
    Origin,
    /// The second line is no tree size.
    #[error("the second line is not a tree size")]
    Size,
    /// The third line is no root.
    #[error("the third line is not a root")]
    Root,
    /// A signature line of another form: dash, name, base64 of key id and signature.
    #[error("malformed signature line")]
    SignatureLine,
    /// A cosignature whose time is no full hour, or beyond what milliseconds can say.
    #[error("the time of a cosignature is rounded down to the hour")]
    Time,
    /// The signature line's key name is not the one that goes with the log or the signer.
    #[error("signed under another name")]
    OtherName,
    /// It is about another log or another term.
    #[error("it is about another log: {0}")]
    OtherOrigin(Origin),
    /// It names another key as its signer's.
    #[error("signed with another key")]
    OtherKey,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ORIGIN_PREFIX}{}/{}", self.committee, self.term)
    }
}

impl FromStr for Origin {
    type Err = PeerNoteError;

    fn from_str(text: &str) -> Result<Self, PeerNoteError> {
        let parse = || {
            let (committee, term) = text.strip_prefix(ORIGIN_PREFIX)?.split_once('/')?;
            let origin = Self {
                committee: committee.parse().ok()?,
                term: Term(parse_decimal(term)?.try_into().ok()?),
            };
            // Hex digits in upper case would be another text for the same log.
            (origin.term.0 > 0 && origin.to_string() == text).then_some(origin)
        };
        parse().ok_or(PeerNoteError::Origin)
    }
}

impl Checkpoint {
    /// The text that signatures cover: origin, size and root, a line each.
    pub fn note_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root.0))
    }

    fn from_note_text(text: &str) -> Result<Self, PeerNoteError> {
        let body = text.strip_suffix('\n').ok_or(PeerNoteError::Lines)?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size, root] = lines[..] else {
            return Err(PeerNoteError::Lines);
        };
        Ok(Self {
            origin: origin.parse()?,
            size: TreeSize(parse_decimal(size).ok_or(PeerNoteError::Size)?),
            root: parse_root(root).ok_or(PeerNoteError::Root)?,
        })
    }

    /// Signs it as the log's home relay. The relay promises that these entries are on its disk
    /// and that it never signs another root for this size.
    pub fn sign(&self, key: &SigningKey) -> SignedCheckpoint {
        let text = self.note_text();
        let name = self.origin.to_string();
        let line = NoteSignature::sign(SignatureType::Ed25519, &name, key, text.as_bytes(), &[]);
        SignedCheckpoint { checkpoint: *self, text: format!("{text}\n{line}") }
    }

    /// What two people compare by telephone: see [`head_code`].
    pub fn head_code(&self) -> String {
        head_code(self)
    }
}

/// A decimal number as C2SP writes it: digits only, no leading zeros.
fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn parse_root(text: &str) -> Option<Hash> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(Hash)
}

/// A note that parses, its signature not yet checked: worth nothing but the trouble of checking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    checkpoint: Checkpoint,
    text: String,
    signature: NoteSignature,
}

impl UnverifiedCheckpoint {
    /// Reads a note: three lines, an empty one, exactly one signature line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeerNoteError> {
        let text = plain_text(bytes)?;
        // An empty line stands nowhere else: all others are refused for being empty.
        let body = text.find("\n\n").ok_or(PeerNoteError::Lines)? + 1;
        let checkpoint = Checkpoint::from_note_text(&text[..body])?;
        let signature = NoteSignature::parse(&text[body + 1..])?;
        if !signature.prefix().is_empty() {
            return Err(PeerNoteError::SignatureLine);
        }
        Ok(Self { checkpoint, text: text.to_owned(), signature })
    }

    /// What it claims. Needed to find out under which key to verify it, and for nothing else.
    pub fn claimed(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Checks that it is about the log `expected` and signed by that log's home, whose key is
    /// `key`.
    pub fn verify(
        self,
        key: &VerifyingKey,
        expected: &Origin,
    ) -> Result<SignedCheckpoint, PeerNoteError> {
        if self.checkpoint.origin != *expected {
            return Err(PeerNoteError::OtherOrigin(self.checkpoint.origin));
        }
        if self.signature.name() != expected.to_string() {
            return Err(PeerNoteError::OtherName);
        }
        let signed = self.checkpoint.note_text();
        self.signature.verify(SignatureType::Ed25519, key, signed.as_bytes())?;
        Ok(SignedCheckpoint { checkpoint: self.checkpoint, text: self.text })
    }
}

/// A checkpoint with the home relay's signature, made by signing or by verifying only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    text: String,
}

impl SignedCheckpoint {
    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, byte for byte as it was signed or received: what is stored and shown as evidence.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Twenty digits in four groups of five that stand for a log's head, to compare by telephone:
/// SHA-256(origin text ‖ size as u64, big-endian ‖ root), as a big-endian number, modulo 10^20,
/// with leading zeros.
pub fn head_code(checkpoint: &Checkpoint) -> String {
    let origin = checkpoint.origin.to_string();
    let size = checkpoint.size.0.to_be_bytes();
    twenty_digits(&Hash::of_parts(&[origin.as_bytes(), &size, &checkpoint.root.0]).0)
}

/// `bytes` as a big-endian number modulo 10^20, in four groups of five digits.
pub(crate) fn twenty_digits(bytes: &[u8; 32]) -> String {
    const MODULUS: u128 = 10_u128.pow(20);
    let number = bytes.iter().fold(0, |number, byte| (number * 256 + u128::from(*byte)) % MODULUS);
    let digits = format!("{number:020}");
    [&digits[..5], &digits[5..10], &digits[10..15], &digits[15..]].join(" ")
}

fn plain_text(bytes: &[u8]) -> Result<&str, PeerNoteError> {
    if bytes.len() > NOTE_BYTES_MAX {
        return Err(PeerNoteError::TooLong(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| PeerNoteError::NotText)?;
    let plain = text.chars().all(|char| char == '\n' || !char.is_control());
    if plain { Ok(text) } else { Err(PeerNoteError::NotText) }
}

/// A type that is its text, in CBOR a text string.
macro_rules! cbor_text {
    (encode $type:ty) => {
        impl<C> minicbor::Encode<C> for $type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(&self.text)?.ok()
            }
        }
    };
    (decode $type:ty) => {
        cbor_text!(encode $type);

        impl<'b, C> minicbor::Decode<'b, C> for $type {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                let parsed = Self::parse(d.str()?.as_bytes());
                parsed.map_err(|error| minicbor::decode::Error::message(error).at(at))
            }
        }
    };
}
use cbor_text;

cbor_text!(encode SignedCheckpoint);
cbor_text!(decode UnverifiedCheckpoint);

#[cfg(test)]
mod tests;
