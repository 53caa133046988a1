//! One signature line of a signed note: `— <key name> <base64(key id ‖ signature)>` and a newline.

use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::Signer;

use super::PeerNoteError;
use crate::hash::Hash;
use crate::sign::{SIGNATURE_BYTES, SigningKey, VerifyingKey};

const DASH: &str = "\u{2014} ";
const KEY_ID_BYTES: usize = 4;

/// The type byte that goes into a key id, as C2SP assigns it.
#[derive(Clone, Copy)]
pub(super) enum SignatureType {
    /// A plain Ed25519 signature over the note's text.
    Ed25519 = 0x01,
    /// Cosignature/v1: a time, then an Ed25519 signature over it and the note's text.
    Cosignature = 0x04,
}

/// A signature line's parts: its key name, the key id, and what is signed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoteSignature {
    name: String,
    key_id: [u8; KEY_ID_BYTES],
    /// What stands between key id and signature: a cosignature's time, else nothing.
    prefix: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

impl NoteSignature {
    /// Signs `message` under the key name `name`; `prefix` goes before the signature.
    pub(super) fn sign(
        kind: SignatureType,
        name: &str,
        key: &SigningKey,
        message: &[u8],
        prefix: &[u8],
    ) -> Self {
        Self {
            name: name.to_owned(),
            key_id: key_id(kind, name, &key.verifying_key()),
            prefix: prefix.to_owned(),
            signature: key.sign(message).to_bytes(),
        }
    }

    /// Reads exactly one line, its newline included.
    pub(super) fn parse(line: &str) -> Result<Self, PeerNoteError> {
        let line = line.strip_suffix('\n').ok_or(PeerNoteError::Lines)?;
        if line.contains('\n') {
            return Err(PeerNoteError::Lines);
        }
        Self::parse_parts(line).ok_or(PeerNoteError::SignatureLine)
    }

    fn parse_parts(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = BASE64.decode(base64.as_bytes()).ok()?;
        let (key_id, rest) = bytes.split_first_chunk()?;
        let (prefix, signature) = rest.split_last_chunk()?;
        Some(Self {
            name: name.to_owned(),
            key_id: *key_id,
            prefix: prefix.to_owned(),
            signature: *signature,
        })
    }

    /// The key name, unchecked.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What stands before the signature, unchecked. Empty in a plain signature.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Checks the key id and, strictly, the signature over `message`.
    pub(super) fn verify(
        &self,
        kind: SignatureType,
        key: &VerifyingKey,
        message: &[u8],
    ) -> Result<(), PeerNoteError> {
        if self.key_id != key_id(kind, &self.name, key) {
            return Err(PeerNoteError::OtherKey);
        }
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        key.verify_strict(message, &signature).map_err(|_| PeerNoteError::Signature)
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.prefix, &self.signature].concat();
        writeln!(f, "{DASH}{} {}", self.name, BASE64.encode(&bytes))
    }
}

/// SHA-256(name ‖ 0x0A ‖ type ‖ key), its first four bytes.
fn key_id(kind: SignatureType, name: &str, key: &VerifyingKey) -> [u8; KEY_ID_BYTES] {
    let hash = Hash::of_parts(&[name.as_bytes(), b"\n", &[kind as u8], key.as_bytes()]);
    *hash.0.first_chunk().expect("4 of 32 bytes")
}
