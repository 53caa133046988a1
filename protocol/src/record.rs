//! A record's plaintext: JSON bound to its place in the log (SPEC.md §14).
//!
//! ```text
//! body + binding + id + salt -> compact JSON -> padded with spaces -> sealed (seal.rs)
//!                            └> content: root over the single fields -> the entry's header
//! ```
//!
//! Whoever opens a record compares what stands inside with the signed header: a text that somebody
//! else wrote, or that was written for another committee, cannot be signed as one's own.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::hash::Hash;
use crate::id::{CommitteeId, DeviceId, Epoch};
use crate::limits::RECORD_PLAINTEXT_BYTES_MAX;
use crate::seal::LocalSealError;

mod content;
mod envelope;
mod json;
mod named;
mod padding;

pub use content::{ContentLeaf, content_root, leaf_hashes};
use envelope::ENVELOPE;
pub use named::{PeerNamedError, SEALED};
pub use padding::{padded_len, padme};

/// The length of the salt that hides the leaves of `content`.
pub const SALT_BYTES: usize = 32;
/// The members of a JSON object, in their order.
pub type Fields = Map<String, Value>;

/// Where in which log a record stands: the same in its entry's header and inside its plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The committee whose log it is in.
    pub committee: CommitteeId,
    /// The device that wrote it.
    pub author: DeviceId,
    /// The epoch it is sealed under.
    pub epoch: Epoch,
}

/// What a person wrote: the fields of its kind. No `Debug`: it is what all this protects.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecordBody {
    /// The kind's fields, without those of [`Binding`], `id` and `salt`.
    pub fields: Fields,
}

/// A record ready to be sealed and signed.
pub struct BoundRecord {
    /// The padded plaintext.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// What the header carries as `content`.
    pub content: Hash,
}

/// A record that was opened and fits its entry's header.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    binding: Binding,
    id: RecordId,
    salt: [u8; SALT_BYTES],
    body: RecordBody,
}

/// Which rule the fields of a record break. Names no field: errors end up in logs.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum RecordFault {
    /// Containers too deep within each other.
    #[error("containers deeper than {max}", max = crate::limits::RECORD_DEPTH_MAX)]
    Depth,
    /// Too many values.
    #[error("more than {max} values", max = crate::limits::RECORD_LEAVES_MAX)]
    Leaves,
    /// Two members of one object have one name.
    #[error("two members with one name")]
    Duplicate,
    /// A member's name is too long or reads like the place in an array.
    #[error("a member's name is too long, or a number")]
    Name,
    /// A number is no integer between −(2^53 − 1) and 2^53 − 1.
    #[error("a number that is no integer, or beyond 2^53")]
    Number,
}

/// Why a record cannot be bound: the caller's fields break a rule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocalRecordError {
    /// The fields break a rule.
    #[error("record: {0}")]
    Fault(#[from] RecordFault),
    /// A field has the name of one that the binding sets.
    #[error("record: a field is called {0}, which the program sets")]
    Reserved(&'static str),
    /// The plaintext would be longer than its limit.
    #[error("record: {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// What it would take, padded.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// The part for named readers cannot be sealed.
    #[error("record: {0}")]
    Seal(#[from] LocalSealError),
}

/// Why an opened record is refused. Always the fault of its author's device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerRecordError {
    /// Longer than its limit.
    #[error("record: {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// What came.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// Not padded with spaces to exactly the length its text asks for.
    #[error("record: not padded as it must be")]
    Padding,
    /// Not a JSON object.
    #[error("record: not a JSON object")]
    Json,
    /// The fields break a rule.
    #[error("record: {0}")]
    Fault(#[from] RecordFault),
    /// The text is not the compact form of its value.
    #[error("record: not in compact form")]
    NotCompact,
    /// A member of the envelope is missing, malformed or not in its place.
    #[error("record: {0} is missing, malformed or out of place")]
    Envelope(&'static str),
    /// Written for another committee.
    #[error("record: it was written for another committee")]
    Committee,
    /// Written by another device than the one that signed it.
    #[error("record: it was written by another device than signed it")]
    Author,
    /// Written for another epoch.
    #[error("record: it was written for another epoch")]
    Epoch,
    /// The header's `content` is not the root over these fields.
    #[error("record: the fields are not those that the header's content was signed for")]
    Content,
}

impl RecordBody {
    /// Binds the body to its place. `salt` is 32 random bytes, drawn anew for every record: who
    /// knows it can guess at the fields from their leaves.
    pub fn bind(
        &self,
        binding: &Binding,
        id: &RecordId,
        salt: &[u8; SALT_BYTES],
    ) -> Result<BoundRecord, LocalRecordError> {
        if let Some(name) = ENVELOPE.into_iter().find(|name| self.fields.contains_key(*name)) {
            return Err(LocalRecordError::Reserved(name));
        }
        let members = envelope::bound_members(&self.fields, binding, id, salt);
        let content = content_root(&content::leaves(&members, salt)?, salt);
        let len = padded_len(json::compact_len(&members) as u64);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > RECORD_PLAINTEXT_BYTES_MAX {
            return Err(LocalRecordError::TooLarge { len, max: RECORD_PLAINTEXT_BYTES_MAX });
        }
        // The capacity is final: a growing Vec would leave copies behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(len));
        serde_json::to_writer(&mut *plaintext, &members).expect("JSON values always encode");
        plaintext.resize(len, padding::SPACE);
        Ok(BoundRecord { plaintext, content })
    }
}

impl Record {
    /// Reads the plaintext of a record whose entry's header says `binding` and `content`.
    pub fn open(
        plaintext: &[u8],
        binding: &Binding,
        content: &Hash,
    ) -> Result<Self, PeerRecordError> {
        let (record, leaves) = Self::read(plaintext, binding)?;
        if content_root(&leaves, &record.salt) != *content {
            return Err(PeerRecordError::Content);
        }
        Ok(record)
    }

    /// The same without `content`, which no header has for the part for named readers.
    fn read(
        plaintext: &[u8],
        binding: &Binding,
    ) -> Result<(Self, Vec<ContentLeaf>), PeerRecordError> {
        let text = padding::strip(plaintext)?;
        let mut members = json::parse(text)?;
        if !json::is_compact(text, &members) {
            return Err(PeerRecordError::NotCompact);
        }
        let (id, salt) = envelope::check(&members, binding)?;
        let leaves = content::leaves(&members, &salt)?;
        members.retain(|name, _| !ENVELOPE.contains(&name.as_str()));
        let body = RecordBody { fields: members };
        Ok((Self { binding: *binding, id, salt, body }, leaves))
    }

    /// Which log it stands in, who wrote it, under which epoch.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Its id, which stays the same when it is sealed anew.
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    /// The fields of its kind.
    pub fn body(&self) -> &RecordBody {
        &self.body
    }

    /// The salt that hides the leaves of `content`.
    pub fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// The leaves of `content`, sorted by path, without the dummies.
    pub fn leaves(&self) -> Vec<ContentLeaf> {
        let members =
            envelope::bound_members(&self.body.fields, &self.binding, &self.id, &self.salt);
        content::leaves(&members, &self.salt).expect("checked when it was read")
    }
}

/// A record's id: a ULID, 26 symbols of Crockford base32 in capitals.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordId(String);

/// The text is no ULID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a ULID of 26 capital symbols")]
pub struct NotAUlid;

impl FromStr for RecordId {
    type Err = NotAUlid;

    fn from_str(text: &str) -> Result<Self, NotAUlid> {
        let symbol = |byte| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&byte);
        // 26 symbols hold 130 bits, a ULID has 128.
        let fits = text.len() == 26 && text.bytes().next().is_some_and(|first| first <= b'7');
        if !fits || !text.bytes().all(symbol) {
            return Err(NotAUlid);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
