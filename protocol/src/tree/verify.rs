//! Verifies proofs: in at most 64 steps, whatever the proof, and without recursion.

use super::{Proof, empty_root, node_hash};
use crate::hash::Hash;
use crate::id::{LeafIndex, TreeSize};

/// Why a proof does not show what it is said to show. Always the fault of whoever sent the proof,
/// the sizes or the roots, never the network's: bytes damaged on the way do not get this far.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerProofError {
    /// The leaf lies outside the tree, or the old tree is larger than the new one.
    #[error("{asked} does not lie within a tree of {size} entries")]
    Range {
        /// The leaf index or the old size.
        asked: u64,
        /// The tree's size.
        size: TreeSize,
    },
    /// More or fewer hashes than a proof for these sizes has.
    #[error("a proof of {0} hashes does not fit these sizes")]
    Length(usize),
    /// The hashes do not lead to the root of the tree (of the new one, in a consistency proof).
    #[error("the proof leads to another root")]
    Root,
    /// The hashes do not lead to the root of the old tree: it was not a beginning of the new one.
    #[error("the proof leads to another old root")]
    OldRoot,
}

/// Shows that `leaf` is at `index` in the tree of `size` leaves with this `root`
/// (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: LeafIndex,
    size: TreeSize,
    proof: &Proof,
    root: &Hash,
) -> Result<(), PeerProofError> {
    if index.0 >= size.0 {
        return Err(PeerProofError::Range { asked: index.0, size });
    }
    let mut climb = Climb::new(index.0, size.0 - 1, proof);
    let mut node = *leaf;
    while let Some((side, hash)) = climb.next()? {
        node = match side {
            Side::Left => node_hash(hash, &node),
            Side::Right => node_hash(&node, hash),
        };
    }
    if node == *root { Ok(()) } else { Err(PeerProofError::Root) }
}

/// Shows that the tree of `old_size` leaves with `old_root` is the beginning of the tree of
/// `new_size` leaves with `new_root` (RFC 9162 §2.1.4.2, and: the empty tree begins every tree).
pub fn verify_consistency(
    old_size: TreeSize,
    new_size: TreeSize,
    proof: &Proof,
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), PeerProofError> {
    if old_size > new_size {
        return Err(PeerProofError::Range { asked: old_size.0, size: new_size });
    }
    if old_size.0 == 0 || old_size == new_size {
        return verify_without_hashes(old_size, new_size, proof, old_root, new_root);
    }
    // Climb from the largest complete subtree that ends where the old tree ends. When that is the
    // whole old tree, its root is known and not in the proof.
    let complete_levels = old_size.0.trailing_zeros();
    let (first, last) = ((old_size.0 - 1) >> complete_levels, (new_size.0 - 1) >> complete_levels);
    let mut climb = Climb::new(first, last, proof);
    let seed = if old_size.0.is_power_of_two() { old_root } else { climb.take()? };
    let (mut old, mut new) = (*seed, *seed);
    while let Some((side, hash)) = climb.next()? {
        new = match side {
            Side::Left => {
                old = node_hash(hash, &old);
                node_hash(hash, &new)
            }
            Side::Right => node_hash(&new, hash),
        };
    }
    if old != *old_root {
        return Err(PeerProofError::OldRoot);
    }
    if new == *new_root { Ok(()) } else { Err(PeerProofError::Root) }
}

fn verify_without_hashes(
    old_size: TreeSize,
    new_size: TreeSize,
    proof: &Proof,
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), PeerProofError> {
    if !proof.hashes.is_empty() {
        return Err(PeerProofError::Length(proof.hashes.len()));
    }
    if old_size.0 == 0 && *old_root != empty_root() {
        return Err(PeerProofError::OldRoot);
    }
    if old_size == new_size && old_root != new_root {
        return Err(PeerProofError::Root);
    }
    Ok(())
}

/// On which side of the climbing node the next hash of a proof stands.
enum Side {
    Left,
    Right,
}

/// The way from a node up to the root: `node` is its index within its level, `last` that of the
/// level's last node, complete or not. It uses one hash of the proof a step and ends only when
/// the root is reached and the hashes are used up, so after at most 64 steps.
struct Climb<'a> {
    node: u64,
    last: u64,
    hashes: std::slice::Iter<'a, Hash>,
    length: usize,
}

impl<'a> Climb<'a> {
    fn new(node: u64, last: u64, proof: &'a Proof) -> Self {
        Self { node, last, hashes: proof.hashes.iter(), length: proof.hashes.len() }
    }

    fn take(&mut self) -> Result<&'a Hash, PeerProofError> {
        self.hashes.next().ok_or(PeerProofError::Length(self.length))
    }

    fn next(&mut self) -> Result<Option<(Side, &'a Hash)>, PeerProofError> {
        if self.last == 0 {
            let used_up = self.hashes.as_slice().is_empty();
            return if used_up { Ok(None) } else { Err(PeerProofError::Length(self.length)) };
        }
        // The last node of a level has no right neighbour: while it is a left child, the tree
        // carries it up unchanged.
        while self.node == self.last && self.node.is_multiple_of(2) {
            self.up();
        }
        let side = if self.node.is_multiple_of(2) { Side::Right } else { Side::Left };
        self.up();
        Ok(Some((side, self.take()?)))
    }

    fn up(&mut self) {
        self.node /= 2;
        self.last /= 2;
    }
}
