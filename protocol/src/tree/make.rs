//! Makes roots and proofs from a node file, by O(log n) reads each and without recursion.

use super::{Nodes, Proof, TREE_SIZE_MAX, join_roots, node_position};
use crate::hash::Hash;
use crate::id::{LeafIndex, TreeSize};

/// Why no proof or old root could be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MakeProofError<E> {
    /// The asker's fault: no such leaf in that tree, a larger tree within a smaller one, or a
    /// size above [`TREE_SIZE_MAX`].
    #[error("the tree of {size} entries has no {asked}")]
    PeerRange {
        /// The leaf index or older size asked for.
        asked: u64,
        /// The tree it was asked of.
        size: TreeSize,
    },
    /// A node could not be read.
    #[error(transparent)]
    StoreNodes(#[from] E),
}

/// The root when the tree had `size` leaves, by O(log n) node reads.
pub fn root_at<N: Nodes + ?Sized>(
    size: TreeSize,
    nodes: &N,
) -> Result<Hash, MakeProofError<N::Error>> {
    require(size <= TREE_SIZE_MAX, size.0, TREE_SIZE_MAX)?;
    Ok(range_root(0, size.0, nodes)?)
}

/// The path from leaf `index` to the root of the tree of `size` leaves, the leaf's sibling first.
pub fn inclusion_proof<N: Nodes + ?Sized>(
    index: LeafIndex,
    size: TreeSize,
    nodes: &N,
) -> Result<Proof, MakeProofError<N::Error>> {
    require(size <= TREE_SIZE_MAX && index.0 < size.0, index.0, size)?;
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size.0);
    while end - start > 1 {
        let middle = split(start, end);
        if index.0 < middle {
            path.push(range_root(middle, end, nodes)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, nodes)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(Proof { hashes: path })
}

/// The hashes that show the tree of `old` leaves to be the beginning of the tree of `new` leaves.
/// Empty when they are the same or the old one is empty.
pub fn consistency_proof<N: Nodes + ?Sized>(
    old: TreeSize,
    new: TreeSize,
    nodes: &N,
) -> Result<Proof, MakeProofError<N::Error>> {
    require(new <= TREE_SIZE_MAX && old <= new, old.0, new)?;
    if old.0 == 0 {
        return Ok(Proof::default());
    }
    let mut hashes = Vec::new();
    let (mut start, mut end) = (0, new.0);
    while end != old.0 {
        let middle = split(start, end);
        if old.0 <= middle {
            hashes.push(range_root(middle, end, nodes)?);
            end = middle;
        } else {
            hashes.push(range_root(start, middle, nodes)?);
            start = middle;
        }
    }
    // The verifier has the old root itself; any other subtree it must be given.
    if start > 0 {
        hashes.push(range_root(start, end, nodes)?);
    }
    hashes.reverse();
    Ok(Proof { hashes })
}

fn require<E>(sound: bool, asked: u64, size: TreeSize) -> Result<(), MakeProofError<E>> {
    if sound { Ok(()) } else { Err(MakeProofError::PeerRange { asked, size }) }
}

/// Where RFC 6962 splits the leaves `start..end`: after the largest power of two less than all.
fn split(start: u64, end: u64) -> u64 {
    start + (1 << (end - start - 1).ilog2())
}

/// The root over the leaves `start..end`, where `start` is where the RFC's splits lead to.
fn range_root<N: Nodes + ?Sized>(start: u64, end: u64, nodes: &N) -> Result<Hash, N::Error> {
    let mut roots = Vec::new();
    let mut from = start;
    while from < end {
        let level = (end - from).ilog2();
        roots.push(nodes.node(node_position(level, from >> level))?);
        from += 1 << level;
    }
    Ok(join_roots(&roots))
}
