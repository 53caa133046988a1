//! What an attachment's record says of its file, as far as a proof needs it (SPEC.md §14.1).

use serde_json::Value;

use crate::entry::Blob;
use crate::hash::Hash;
use crate::record::{Fields, Record};
use crate::seal::{AttachmentPassphrase, Plain, blob_size};

/// An attached file, and what opens it.
#[derive(Debug)]
pub struct Attached {
    /// The id of the record it belongs to.
    pub to: String,
    /// What its sender calls it. Text to be shown, never a path.
    pub label: String,
    /// The file.
    pub plain: Plain,
    /// The sealed file.
    pub blob: Blob,
    /// What opens it.
    pub passphrase: AttachmentPassphrase,
}

impl Attached {
    /// Reads it from an opened record whose header names `blobs`. None when it is no attachment, is for
    /// named readers, or names another blob than its header.
    pub fn of(record: &Record, blobs: &[Blob]) -> Option<Self> {
        let fields = &record.body().fields;
        let blob = fields.get("blob")?.as_object()?;
        let attached = Self {
            to: text(fields, "to")?,
            label: text(fields, "label")?,
            plain: Plain { sha256: hash(fields)?, size: size(fields)? },
            blob: Blob { sha256: hash(blob)?, size: size(blob)? },
            passphrase: text(blob, "passphrase")?.parse().ok()?,
        };
        let is_one = text(fields, "kind").is_some_and(|kind| kind == "attachment");
        let fits = *blobs == [attached.blob] && attached.blob.size == blob_of(&attached.plain)?;
        (is_one && fits).then_some(attached)
    }
}

/// The size of the blob of a file, unless the file is larger than any may be.
fn blob_of(plain: &Plain) -> Option<u64> {
    (plain.size <= crate::limits::ATTACHMENT_BYTES_MAX).then(|| blob_size(plain.size))
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn size(fields: &Fields) -> Option<u64> {
    fields.get("size").and_then(Value::as_u64)
}

fn hash(fields: &Fields) -> Option<Hash> {
    // One text for one value, as everywhere.
    let text = text(fields, "sha256")?;
    text.parse::<Hash>().ok().filter(|hash| hash.to_string() == text)
}
