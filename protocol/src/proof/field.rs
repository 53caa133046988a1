//! Single fields: each as the bytes that are hashed as its leaf, and its way to the header's `content`.
//!
//! ```text
//! leaf.bin   HMAC-SHA256(salt, path) 32 · length of the path 4, big-endian · path · value
//! ```
//!
//! The salt itself stays hidden, and with it every other field.

use serde_json::Value;

use super::Inclusion;
use crate::hash::Hash;
use crate::id::{LeafIndex, TreeSize};
use crate::record::{ContentLeaf, Record, leaf_hashes};
use crate::tree::{self, Frontier};

const BLIND_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;
/// A record has never fewer leaves, dummies counted.
const LEAVES_MIN: u64 = 16;

/// A field that its header's `content` was signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenField {
    /// Where it stands in the record: a JSON Pointer.
    pub path: String,
    /// Its value, as compact JSON.
    pub value: String,
}

/// A field as it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownField {
    pub(super) leaf: ContentLeaf,
    pub(super) inclusion: Inclusion,
}

impl ShownField {
    /// Those of a record's leaves that `wanted` names, in their order.
    pub(super) fn of(record: &Record, wanted: impl Fn(&str) -> bool) -> Vec<Self> {
        let leaves = record.leaves();
        let (mut tree, mut nodes) = (Frontier::new(), Vec::new());
        for hash in leaf_hashes(&leaves, record.salt()) {
            nodes.extend(tree.append(hash));
        }
        let size = tree.size();
        let shown = (0..).map(LeafIndex).zip(leaves).filter(|(_, leaf)| wanted(&leaf.path));
        let field = |(index, leaf)| {
            let proof = tree::inclusion_proof(index, size, nodes.as_slice())
                .expect("the index is that of a leaf, and all nodes are at hand");
            Self { leaf, inclusion: Inclusion { index, size, proof } }
        };
        shown.map(field).collect()
    }

    /// Reads the bytes of a leaf; none when they are none that a record can have.
    pub(super) fn read_leaf(bytes: &[u8]) -> Option<ContentLeaf> {
        let (blind, rest) = bytes.split_first_chunk::<BLIND_BYTES>()?;
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (path, value) = rest.split_at_checked(length)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let (path, value) = (text(path)?, text(value)?);
        let read: Value = serde_json::from_str(&value).ok()?;
        let is_leaf = match &read {
            Value::Object(members) => members.is_empty(),
            Value::Array(values) => values.is_empty(),
            _ => true,
        };
        let compact = read.to_string();
        let sound = is_leaf && compact == value && path.starts_with('/');
        sound.then_some(ContentLeaf { path, value, blind: *blind })
    }

    /// Whether `other` may stand behind it: leaves are sorted by their paths, and no path stands twice.
    pub(super) fn stands_before(&self, other: &Self) -> bool {
        self.inclusion.index < other.inclusion.index && self.leaf.path < other.leaf.path
    }

    /// The bytes of its leaf.
    pub(super) fn leaf_bytes(&self) -> Vec<u8> {
        let ContentLeaf { path, value, blind } = &self.leaf;
        let length = u32::try_from(path.len()).expect("paths are shorter than a record");
        [blind, length.to_be_bytes().as_slice(), path.as_bytes(), value.as_bytes()].concat()
    }

    /// Whether `content` was signed for it.
    pub(super) fn verify(&self, content: &Hash) -> Result<ProvenField, tree::PeerProofError> {
        let TreeSize(size) = self.inclusion.size;
        if size < LEAVES_MIN || !size.is_power_of_two() {
            let asked = self.inclusion.index.0;
            return Err(tree::PeerProofError::Range { asked, size: TreeSize(size) });
        }
        self.inclusion.verify(&self.leaf.hash(), content)?;
        let ContentLeaf { path, value, .. } = self.leaf.clone();
        Ok(ProvenField { path, value })
    }
}
