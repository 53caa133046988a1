//! Entries: the signed units of a committee's log (SPEC.md §5).
//!
//! An entry is `[header bytes, [[algorithm, signature], …], payload]`. Its leaf hash commits to
//! the payload by the hash in the header, so a payload can be dropped and the log still verifies.
//!
//! [`UnverifiedEntry`] is what came from elsewhere; [`SignedEntry`] has its author's signature
//! checked; [`Entry`] is one that this device signed or that admission let in. Nothing turns
//! bytes into an `Entry` but [`Entry::sign`] and [`crate::committee::Committee::admit`].

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::codec::{self, PeerCodecError};
use crate::hash::Hash;
use crate::id::{AuthorSeq, CommitteeId, DeviceId, Epoch, LeafIndex, Term, TreeSize, UnixMillis};
use crate::limits;
use crate::sign::{
    BadSignature, EntryDomain, PublicKey, SIGNATURE_BYTES, Signature, SigningKey, VerifyingKey,
};
use crate::tree;

/// The one version of headers this code writes and admits.
pub const VERSION: u8 = 1;

/// Signature algorithm: Ed25519 over the header bytes.
const ALGORITHM_ED25519: u8 = 1;

/// What an entry is. 4 is reserved for a drop-box entry sealed to the lock's recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// Changes the roster; its payload is a [`crate::change::Change`].
    #[n(1)]
    Roster,
    /// A sealed record; its payload is an age file.
    #[n(2)]
    Record,
    /// Drops the payload of an earlier record.
    #[n(3)]
    Forget,
}

/// The state of the log that the author had verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// Its size.
    #[n(0)]
    pub size: TreeSize,
    /// Its root.
    #[n(1)]
    pub root: Hash,
}

/// A roster entry: how many there were before it, and its leaf hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RosterHead {
    /// 0 for the founding entry. Grants and links are not counted.
    #[n(0)]
    pub number: u64,
    /// Its leaf hash.
    #[n(1)]
    pub leaf: Hash,
}

impl RosterHead {
    /// What the founding entry writes, which follows none.
    pub const NONE: Self = Self { number: 0, leaf: Hash::ZERO };
}

/// A sealed attachment that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Blob {
    /// SHA-256 of the sealed bytes.
    #[n(0)]
    pub sha256: Hash,
    /// Their number.
    #[n(1)]
    pub size: u64,
}

/// The signed part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// [`VERSION`].
    #[n(0)]
    pub version: u8,
    /// The committee; [`CommitteeId::NONE`] in the founding entry.
    #[n(1)]
    pub committee: CommitteeId,
    /// The term of the home relay it is meant for.
    #[n(2)]
    pub term: Term,
    /// What the payload is.
    #[n(3)]
    pub kind: Kind,
    /// The device that signs.
    #[n(4)]
    pub author: DeviceId,
    /// How many entries the author has in this log before it.
    #[n(5)]
    pub author_seq: AuthorSeq,
    /// Leaf hash of the author's previous entry, zero for the first.
    #[n(6)]
    pub author_prev: Hash,
    /// The log as the author had verified it.
    #[n(7)]
    pub seen: Seen,
    /// The last roster entry the author had seen.
    #[n(8)]
    pub roster_head: RosterHead,
    /// The epoch in force before this entry.
    #[n(9)]
    pub epoch: Epoch,
    /// When the author says it was made.
    #[n(10)]
    pub made_at: UnixMillis,
    /// Bytes of the payload.
    #[n(11)]
    pub payload_len: u64,
    /// SHA-256 of the payload.
    #[n(12)]
    pub payload_sha256: Hash,
    /// Root over a record's fields; zero for other kinds.
    #[n(13)]
    pub content: Hash,
    /// Sealed attachments the entry refers to.
    #[n(14)]
    pub blobs: Vec<Blob>,
}

/// Why bytes are no entry. Always the fault of whoever made them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerEntryError {
    /// Not the encoding of an entry.
    #[error("entry: {0}")]
    Codec(#[from] PeerCodecError),
    /// Made by a newer program. The leaf hash is still known, so the tree can be verified.
    #[error("entry of version {version}, this program knows {VERSION}")]
    UnknownVersion {
        /// The version it says.
        version: u64,
        /// Its place in the tree is still certain.
        leaf: Hash,
    },
    /// Not exactly one Ed25519 signature.
    #[error("entry: not exactly one Ed25519 signature")]
    Signatures,
    /// The payload is longer than its kind may be.
    #[error("entry: a payload of {len} bytes, more than the limit of {max}")]
    PayloadTooLarge {
        /// What came.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// The payload's length is not the one in the header.
    #[error("entry: the payload's length is not the header's")]
    PayloadLength,
    /// The payload's SHA-256 is not the one in the header.
    #[error("entry: the payload's SHA-256 is not the header's")]
    PayloadHash,
}

#[derive(Encode, Decode)]
struct SignatureWire {
    #[n(0)]
    algorithm: u8,
    #[n(1)]
    bytes: ByteVec,
}

#[derive(Encode, Decode)]
struct EntryWire {
    #[n(0)]
    header: ByteVec,
    #[n(1)]
    #[cbor(decode_with = "codec::at_most::<_, _, { limits::SIGNATURES_MAX }>")]
    signatures: Vec<SignatureWire>,
    #[n(2)]
    payload: Option<ByteVec>,
}

#[derive(Encode)]
struct LeafWire<'a> {
    #[n(0)]
    header: &'a ByteVec,
    #[n(1)]
    signatures: &'a [SignatureWire],
}

/// The only header field that every version has at its place.
struct VersionOnly(u64);

impl VersionOnly {
    fn read(header: &[u8]) -> Option<Self> {
        let mut decoder = minicbor::Decoder::new(header);
        decoder.map().ok()??;
        (decoder.u64().ok()? == 0).then_some(())?;
        decoder.u64().ok().map(Self)
    }
}

/// What all three states of an entry hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    header: Header,
    header_bytes: Vec<u8>,
    signature: Signature<EntryDomain>,
    payload: Option<Vec<u8>>,
    leaf: Hash,
}

impl Parts {
    fn encode(&self) -> Vec<u8> {
        codec::encode(&EntryWire {
            header: self.header_bytes.clone().into(),
            signatures: vec![SignatureWire::ed25519(&self.signature)],
            payload: self.payload.clone().map(Into::into),
        })
    }
}

impl SignatureWire {
    fn ed25519(signature: &Signature<EntryDomain>) -> Self {
        Self { algorithm: ALGORITHM_ED25519, bytes: signature.to_bytes().to_vec().into() }
    }
}

/// An entry as it came from elsewhere: well-formed, its payload the one its header names, and
/// nothing more known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedEntry(Parts);

impl UnverifiedEntry {
    /// Decodes an entry. An entry without payload (a forgotten one) decodes too; whether it may
    /// lack it is for admission to say.
    pub fn decode(bytes: &[u8]) -> Result<Self, PeerEntryError> {
        let wire: EntryWire = codec::decode(bytes, limits::ENTRY_BYTES_MAX)?;
        let leaf = leaf_hash(&wire.header, &wire.signatures);
        let version = VersionOnly::read(&wire.header)
            .ok_or_else(|| PeerCodecError::Malformed("no version".to_owned()))?;
        if version.0 != u64::from(VERSION) {
            return Err(PeerEntryError::UnknownVersion { version: version.0, leaf });
        }
        let header: Header = codec::decode(&wire.header, limits::HEADER_BYTES_MAX)?;
        let [SignatureWire { algorithm: ALGORITHM_ED25519, bytes }] = wire.signatures.as_slice()
        else {
            return Err(PeerEntryError::Signatures);
        };
        let signature: [u8; SIGNATURE_BYTES] =
            bytes.as_slice().try_into().map_err(|_| PeerEntryError::Signatures)?;
        let payload = wire.payload.map(Vec::<u8>::from);
        if let Some(payload) = &payload {
            check_payload(&header, payload)?;
        }
        Ok(Self(Parts {
            header,
            header_bytes: wire.header.into(),
            signature: Signature::from_bytes(signature),
            payload,
            leaf,
        }))
    }

    /// As [`Self::decode`], of one that is kept in parts. Errors are those of the whole.
    pub fn from_parts(
        header: &[u8],
        signature: &[u8],
        payload: &[u8],
    ) -> Result<Self, PeerEntryError> {
        let bytes = signature.to_vec().into();
        Self::decode(&codec::encode(&EntryWire {
            header: header.to_vec().into(),
            signatures: vec![SignatureWire { algorithm: ALGORITHM_ED25519, bytes }],
            payload: Some(payload.to_vec().into()),
        }))
    }

    /// What it claims.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The bytes the signature is to be over.
    pub fn header_bytes(&self) -> &[u8] {
        &self.0.header_bytes
    }

    /// The signature, unchecked.
    pub fn signature(&self) -> &Signature<EntryDomain> {
        &self.0.signature
    }

    /// Its leaf hash.
    pub fn leaf(&self) -> Hash {
        self.0.leaf
    }

    /// Its payload, unless it was forgotten.
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload.as_deref()
    }

    /// Checks the signature with the author's key.
    pub fn verify(self, key: &VerifyingKey) -> Result<SignedEntry, BadSignature> {
        self.0.signature.verify(key, &self.0.header_bytes)?;
        Ok(SignedEntry { parts: self.0, key: (*key).into() })
    }

    /// The entry as whoever forgot its payload keeps it and hands it out.
    #[must_use]
    pub fn with_payload_dropped(mut self) -> Self {
        self.0.payload = None;
        self
    }

    /// The encoding, as it was decoded.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// Takes the signature as checked, because this relay checked it before it wrote the entry to
    /// its own journal. Only for a restart; `check` verifies everything again.
    pub fn danger_from_own_journal(self, key: &VerifyingKey) -> SignedEntry {
        SignedEntry { parts: self.0, key: (*key).into() }
    }
}

/// An entry that was signed by the key its author's card should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEntry {
    parts: Parts,
    key: PublicKey,
}

impl SignedEntry {
    /// What it claims.
    pub fn header(&self) -> &Header {
        &self.parts.header
    }

    /// Its leaf hash.
    pub fn leaf(&self) -> Hash {
        self.parts.leaf
    }

    /// Its payload, unless it was forgotten.
    pub fn payload(&self) -> Option<&[u8]> {
        self.parts.payload.as_deref()
    }

    /// The key that verified it.
    pub(crate) fn key(&self) -> PublicKey {
        self.key
    }

    /// For admission alone.
    pub(crate) fn into_entry(self) -> Entry {
        Entry(self.parts)
    }
}

/// An entry that this device signed, or that admission let into a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(Parts);

impl Entry {
    /// Signs `header` over `payload`. Fills in the payload's length and hash.
    pub fn sign(mut header: Header, payload: Vec<u8>, key: &SigningKey) -> Self {
        header.payload_len = payload.len() as u64;
        header.payload_sha256 = Hash::of(&payload);
        let header_bytes = codec::encode(&header);
        let signature = Signature::sign(key, &header_bytes);
        let signatures = [SignatureWire::ed25519(&signature)];
        let leaf = leaf_hash(&header_bytes.clone().into(), &signatures);
        Self(Parts { header, header_bytes, signature, payload: Some(payload), leaf })
    }

    /// The encoding that is sent and stored.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The bytes the signature is over.
    pub fn header_bytes(&self) -> &[u8] {
        &self.0.header_bytes
    }

    /// The author's signature.
    pub fn signature(&self) -> &Signature<EntryDomain> {
        &self.0.signature
    }

    /// The leaf hash.
    pub fn leaf(&self) -> Hash {
        self.0.leaf
    }

    /// The payload, unless it was forgotten.
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload.as_deref()
    }
}

/// An entry with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its place.
    pub index: LeafIndex,
    /// The entry.
    pub entry: Entry,
    /// The tree nodes it completed, its own leaf hash first, for whoever keeps them.
    pub nodes: Vec<Hash>,
    /// The record that is forgotten by it: payload and blobs are to be dropped.
    pub forgets: Option<LeafIndex>,
}

/// SHA-256(0x00 ‖ CBOR[header, signatures]).
fn leaf_hash(header: &ByteVec, signatures: &[SignatureWire]) -> Hash {
    tree::leaf_hash(&[&codec::encode(&LeafWire { header, signatures })])
}

fn check_payload(header: &Header, payload: &[u8]) -> Result<(), PeerEntryError> {
    let max = match header.kind {
        Kind::Roster => limits::ROSTER_PAYLOAD_BYTES_MAX,
        Kind::Record => limits::RECORD_PAYLOAD_BYTES_MAX,
        Kind::Forget => limits::FORGET_PAYLOAD_BYTES_MAX,
    };
    if payload.len() > max {
        return Err(PeerEntryError::PayloadTooLarge { len: payload.len(), max });
    }
    if payload.len() as u64 != header.payload_len {
        return Err(PeerEntryError::PayloadLength);
    }
    if Hash::of(payload) != header.payload_sha256 {
        return Err(PeerEntryError::PayloadHash);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
