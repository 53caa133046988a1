//! `content`: one root over a record's single fields, so that one can be shown and proven later
//! while the others stay hidden.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{ENVELOPE, Fields, RecordFault, SALT_BYTES};
use crate::hash::Hash;
use crate::limits::{RECORD_DEPTH_MAX, RECORD_LEAVES_MAX, RECORD_NAME_BYTES_MAX};
use crate::tree::{Frontier, leaf_hash};

/// Fewer leaves than this are filled up with dummies.
const LEAVES_MIN: usize = 16;
/// Paths begin with `/`, so no path is taken for the number of a dummy.
const DUMMY: u8 = 0;
/// Numbers beyond are not exact in every reader of JSON.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// One field and what is needed to prove it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentLeaf {
    /// Where it stands: a JSON Pointer (RFC 6901).
    pub path: String,
    /// Its value as compact JSON.
    pub value: String,
    /// HMAC-SHA256(salt, path): without it nobody can try values out.
    pub blind: [u8; 32],
}

impl ContentLeaf {
    /// SHA-256(0x00 ‖ blind ‖ length of path ‖ path ‖ value). The length, 4 bytes big-endian, fixes
    /// where the path ends.
    pub fn hash(&self) -> Hash {
        let length = u32::try_from(self.path.len()).expect("paths are shorter than a record");
        let (path, value) = (self.path.as_bytes(), self.value.as_bytes());
        leaf_hash(&[&self.blind, &length.to_be_bytes(), path, value])
    }
}

/// The leaves of a record's members, sorted by path. The salt is none: it would undo the blinding.
pub(super) fn leaves(
    members: &Fields,
    salt: &[u8; SALT_BYTES],
) -> Result<Vec<ContentLeaf>, RecordFault> {
    let mut walk = Walk { path: String::new(), salt, leaves: Vec::new() };
    let [.., salt_name] = ENVELOPE;
    for (name, value) in members.iter().filter(|(name, _)| *name != salt_name) {
        walk.member(name, value, 1)?;
    }
    walk.leaves.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.leaves)
}

/// The hashes under the root: those of `leaves`, then dummies up to a power of two of at least 16.
/// Without the salt, nobody can tell a dummy from a field that is not shown.
pub fn leaf_hashes(leaves: &[ContentLeaf], salt: &[u8; SALT_BYTES]) -> Vec<Hash> {
    let count = leaves.len().max(LEAVES_MIN).next_power_of_two();
    let dummy = |index: usize| {
        let index = u32::try_from(index).expect("at most the limit of leaves").to_be_bytes();
        leaf_hash(&[&blind(salt, &[&[DUMMY], &index])])
    };
    leaves.iter().map(ContentLeaf::hash).chain((leaves.len()..count).map(dummy)).collect()
}

/// The RFC 6962 root over [`leaf_hashes`].
pub fn content_root(leaves: &[ContentLeaf], salt: &[u8; SALT_BYTES]) -> Hash {
    let mut tree = Frontier::new();
    for hash in leaf_hashes(leaves, salt) {
        tree.append(hash);
    }
    tree.root()
}

fn blind(salt: &[u8; SALT_BYTES], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Walks down a value, checking it, and gathers its leaves.
struct Walk<'a> {
    path: String,
    salt: &'a [u8; SALT_BYTES],
    leaves: Vec<ContentLeaf>,
}

impl Walk<'_> {
    fn member(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), RecordFault> {
        // As the place in an array it would give the same path, and so the same root.
        let is_index = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_index || name.len() > RECORD_NAME_BYTES_MAX {
            return Err(RecordFault::Name);
        }
        self.child(&name.replace('~', "~0").replace('/', "~1"), value, depth)
    }

    /// Goes to `token` below the present path and back.
    fn child(&mut self, token: &str, value: &Value, depth: usize) -> Result<(), RecordFault> {
        let len = self.path.len();
        self.path.push('/');
        self.path.push_str(token);
        let walked = self.value(value, depth);
        self.path.truncate(len);
        walked
    }

    /// `depth` is how many containers this value stands in.
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), RecordFault> {
        let is_container = value.is_object() || value.is_array();
        if is_container && depth == RECORD_DEPTH_MAX {
            return Err(RecordFault::Depth);
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                members.iter().try_for_each(|(name, value)| self.member(name, value, depth + 1))
            }
            Value::Array(values) if !values.is_empty() => {
                let mut values = values.iter().enumerate();
                values.try_for_each(|(n, value)| self.child(&n.to_string(), value, depth + 1))
            }
            Value::Number(number) if !is_allowed(number) => Err(RecordFault::Number),
            _ => self.leaf(value),
        }
    }

    fn leaf(&mut self, value: &Value) -> Result<(), RecordFault> {
        if self.leaves.len() == RECORD_LEAVES_MAX {
            return Err(RecordFault::Leaves);
        }
        self.leaves.push(ContentLeaf {
            path: self.path.clone(),
            value: value.to_string(),
            blind: blind(self.salt, &[self.path.as_bytes()]),
        });
        Ok(())
    }
}

fn is_allowed(number: &serde_json::Number) -> bool {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    magnitude.is_some_and(|magnitude| magnitude <= INTEGER_MAX)
}
