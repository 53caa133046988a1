//! The Merkle tree over a log's entries, RFC 6962 and RFC 9162 (SPEC.md §9).
//!
//! Two ways to hold a tree. A [`Frontier`] keeps only the roots of its complete subtrees, at most
//! 62 hashes, and can append and say its root: every client and every fold has one. A node file
//! ([`Nodes`]) keeps every complete node ever made, in the order in which appending made them, and
//! can say any old root and make any proof by reading O(log n) of them: the relay and whoever
//! must prove something have one.
//!
//! Verification needs neither: the functions `verify_…` take a proof and the numbers it is about.

use minicbor::{Decoder, Encoder, decode, encode};

use crate::hash::{HASH_BYTES, Hash};
use crate::id::TreeSize;
use crate::limits::PROOF_HASHES_MAX;

mod make;
mod verify;

pub use make::{MakeProofError, consistency_proof, inclusion_proof, root_at};
pub use verify::{PeerProofError, verify_consistency, verify_inclusion};

/// Entries a tree may have: far above any log's, far below where positions would overflow.
pub const TREE_SIZE_MAX: TreeSize = TreeSize(1 << 62);

const LEAF_PREFIX: &[u8] = &[0x00];
const NODE_PREFIX: &[u8] = &[0x01];

/// The hash of a leaf: SHA-256(0x00 ‖ the concatenation of `data`).
pub fn leaf_hash(data: &[&[u8]]) -> Hash {
    let parts: Vec<&[u8]> = [LEAF_PREFIX].iter().chain(data).copied().collect();
    Hash::of_parts(&parts)
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; 1 + 2 * HASH_BYTES];
    bytes[..1].copy_from_slice(NODE_PREFIX);
    bytes[1..=HASH_BYTES].copy_from_slice(&left.0);
    bytes[1 + HASH_BYTES..].copy_from_slice(&right.0);
    Hash::of(&bytes)
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// A tree reduced to the roots of its complete subtrees, the largest first (a "compact range").
///
/// In CBOR `[size, [hash, …]]` with one hash for each bit set in the size; any other number of
/// hashes, or a size above [`TREE_SIZE_MAX`], is malformed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: TreeSize,
    roots: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf and returns the nodes it completes: itself, then each parent, upwards.
    ///
    /// A node file takes them as they come; the first stands at [`node_count`] of the old size.
    pub fn append(&mut self, leaf: Hash) -> Vec<Hash> {
        let parents = self.size.0.trailing_ones();
        let mut node = leaf;
        let mut completed = vec![node];
        for _ in 0..parents {
            let left = self.roots.pop().expect("one root for each bit set in the size");
            node = node_hash(&left, &node);
            completed.push(node);
        }
        self.roots.push(node);
        self.size = self.size.next();
        completed
    }

    /// How many leaves were appended.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root over all of them.
    pub fn root(&self) -> Hash {
        join_roots(&self.roots)
    }
}

/// Joins the roots of neighbouring complete subtrees, the largest first, from the right.
fn join_roots(roots: &[Hash]) -> Hash {
    let joined = roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
    joined.unwrap_or_else(empty_root)
}

/// Where the node file keeps the node of `level` (leaves are level 0) that is the `index`th of its
/// level: the leaf that completes it is at 2L − popcount(L), the node `level` places later.
///
/// Total: for a node beyond 2^63 leaves it answers `u64::MAX`, a position that no file has.
pub fn node_position(level: u32, index: u64) -> u64 {
    let level = level.min(u64::BITS - 1);
    let last_leaf = ((u128::from(index) + 1) << level) - 1;
    let leaf_position = 2 * last_leaf - u128::from(last_leaf.count_ones());
    u64::try_from(leaf_position + u128::from(level)).unwrap_or(u64::MAX)
}

/// How many nodes the file of a tree of `size` leaves has: where the next one goes.
pub fn node_count(size: TreeSize) -> u64 {
    node_position(0, size.0)
}

/// Complete nodes by position. Whoever implements it promises that a node read is the node that
/// [`Frontier::append`] handed out for that position, or an error.
pub trait Nodes {
    /// Why a node cannot be read.
    type Error;

    /// The node at `position`.
    fn node(&self, position: u64) -> Result<Hash, Self::Error>;
}

/// A slice of nodes was asked for one beyond its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no node at position {0}")]
pub struct NoNode(pub u64);

impl Nodes for [Hash] {
    type Error = NoNode;

    fn node(&self, position: u64) -> Result<Hash, NoNode> {
        let at = usize::try_from(position).map_err(|_| NoNode(position))?;
        self.get(at).copied().ok_or(NoNode(position))
    }
}

/// The hashes of an inclusion or a consistency proof. In CBOR an array of at most
/// [`PROOF_HASHES_MAX`] hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    hashes: Vec<Hash>,
}

impl From<Vec<Hash>> for Proof {
    /// Takes the hashes as they are: what they are worth, verification says.
    fn from(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }
}

impl Proof {
    /// The hashes, in the order of RFC 6962.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

impl<C> minicbor::Encode<C> for Frontier {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?.u64(self.size.0)?;
        encode_hashes(&self.roots, e, context)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Frontier {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        let at = d.position();
        if d.array()? != Some(2) {
            return Err(decode::Error::message("a frontier is [size, hashes]").at(at));
        }
        let size = TreeSize(d.u64()?);
        let roots = decode_hashes(d, context)?;
        if size > TREE_SIZE_MAX || roots.len() != size.0.count_ones() as usize {
            let message = "a frontier has one hash for each bit set in its size";
            return Err(decode::Error::message(message).at(at));
        }
        Ok(Self { size, roots })
    }
}

impl<C> minicbor::Encode<C> for Proof {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encode_hashes(&self.hashes, e, context)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Proof {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        Ok(Self { hashes: decode_hashes(d, context)? })
    }
}

fn encode_hashes<C, W: encode::Write>(
    hashes: &[Hash],
    e: &mut Encoder<W>,
    context: &mut C,
) -> Result<(), encode::Error<W::Error>> {
    e.array(hashes.len() as u64)?;
    hashes.iter().try_for_each(|hash| minicbor::Encode::encode(hash, e, context))
}

/// At most [`PROOF_HASHES_MAX`], checked before anything is read: a length is only a claim.
fn decode_hashes<'b, C>(d: &mut Decoder<'b>, context: &mut C) -> Result<Vec<Hash>, decode::Error> {
    let at = d.position();
    let claimed = d.array()?.filter(|length| *length <= PROOF_HASHES_MAX as u64);
    let length = claimed.ok_or_else(|| decode::Error::message("too many hashes").at(at))?;
    (0..length).map(|_| minicbor::Decode::decode(d, context)).collect()
}

#[cfg(test)]
mod tests;
