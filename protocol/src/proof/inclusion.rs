//! `inclusion.txt`: a place in a tree, and the hashes that lead from there to the root.
//!
//! ```text
//! index 7
//! size 12
//! 64 hex digits      the leaf's sibling first (RFC 6962 §2.1.1)
//! …
//! ```

use std::fmt;

use crate::hash::Hash;
use crate::id::{LeafIndex, TreeSize};
use crate::limits::PROOF_HASHES_MAX;
use crate::tree::{self, PeerProofError};

/// A leaf's place in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Its index.
    pub index: LeafIndex,
    /// The size of the tree.
    pub size: TreeSize,
    /// The way to the root.
    pub proof: tree::Proof,
}

impl Inclusion {
    /// Reads the file; none when it is not written in its one form.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let index = LeafIndex(lines.next()?.strip_prefix("index ")?.parse().ok()?);
        let size = TreeSize(lines.next()?.strip_prefix("size ")?.parse().ok()?);
        // One more, so that too many are seen.
        let hashes = lines.take(PROOF_HASHES_MAX + 1).map(|line| line.parse().ok());
        let hashes: Vec<Hash> = hashes.collect::<Option<_>>()?;
        let read = Self { index, size, proof: hashes.into() };
        let fits = read.proof.hashes().len() <= PROOF_HASHES_MAX && read.to_string() == text;
        fits.then_some(read)
    }

    /// Whether `leaf` stands there under `root`.
    pub fn verify(&self, leaf: &Hash, root: &Hash) -> Result<(), PeerProofError> {
        tree::verify_inclusion(leaf, self.index, self.size, &self.proof, root)
    }
}

impl fmt::Display for Inclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "index {}\nsize {}", self.index, self.size)?;
        self.proof.hashes().iter().try_for_each(|hash| writeln!(f, "{hash}"))
    }
}
