//! Forgetting: what a `forget` entry says, and what of the log before it admission must know
//! (SPEC.md §8.1).
//!
//! The leaf hash commits to a payload by its hash alone, so a payload can be dropped and the log
//! still verifies. Whoever shows an entry without its payload must show a `forget` of it too.

use minicbor::{Decode, Encode};

use crate::entry::{Kind, UnverifiedEntry};
use crate::hash::Hash;
use crate::id::{DeviceId, LeafIndex, TreeSize};

/// The payload of a `forget` entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Forget {
    /// The place of the record whose payload and blobs are to be dropped.
    #[n(0)]
    pub index: LeafIndex,
    /// Its leaf hash.
    #[n(1)]
    pub leaf: Hash,
}

/// What a log holds before the end of its fold.
pub trait Past {
    /// Why it cannot be had.
    type Error;

    /// The root at an earlier size.
    fn root_at(&self, size: TreeSize) -> Result<Hash, Self::Error>;

    /// The entry at a place, for a `forget` of it.
    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, Self::Error>;
}

/// What a `forget` needs to know of the entry it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastEntry {
    /// Its leaf hash.
    pub leaf: Hash,
    /// Its kind.
    pub kind: Kind,
    /// Its author.
    pub author: DeviceId,
}

impl From<&UnverifiedEntry> for PastEntry {
    fn from(entry: &UnverifiedEntry) -> Self {
        let header = entry.header();
        Self { leaf: entry.leaf(), kind: header.kind, author: header.author }
    }
}

#[cfg(test)]
mod tests;
