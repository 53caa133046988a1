//! What an attachment's record says (SPEC.md §14.1).

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::record::{Fields, RecordId, SEALED};
use sealpost_protocol::seal::{AttachmentPassphrase, Plain, blob_size};
use serde_json::{Value, json};

/// The longest label that is taken over from others: the longest file name there is.
const LABEL_BYTES_MAX: usize = 255;

/// An attachment as its record describes it.
#[derive(Debug)]
pub struct Details {
    /// The id of the record it belongs to.
    pub to: String,
    /// What its sender calls it. Text to be shown, never a path.
    pub label: String,
    /// What it is: `court-record`, `photo`, …
    pub role: String,
    /// Its media type, as its sender's program saw it.
    pub media: String,
    /// The file: its length and SHA-256.
    pub plain: Plain,
    /// The sealed file.
    pub blob: Blob,
    /// What opens it.
    pub passphrase: AttachmentPassphrase,
}

/// Why a record of an attachment is refused. The fault of its author's program.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerAttachmentError {
    /// A field is missing or malformed.
    #[error("its {0} is missing or malformed")]
    Field(&'static str),
    /// The entry names another blob, or more than one.
    #[error("it describes another blob than its entry names")]
    OtherBlob,
}

impl Details {
    /// Writes what the record says of it.
    pub fn to_fields(&self) -> Fields {
        let fields = json!({
            "to": self.to,
            "label": self.label,
            "role": self.role,
            "media": self.media,
            "copy": "evidentiary",
            "complete": true,
            "size": self.plain.size,
            "sha256": self.plain.sha256.to_string(),
            "blob": {
                "sha256": self.blob.sha256.to_string(),
                "size": self.blob.size,
                "passphrase": self.passphrase.expose(),
            },
        });
        let Value::Object(fields) = fields else { unreachable!("written as an object") };
        fields
    }

    /// Reads it from a record as it is shown: the part for named readers in clear if it is for us. None
    /// when it is for others.
    pub fn read(record: &Value) -> Result<Option<Self>, PeerAttachmentError> {
        let fields = match record.get(SEALED) {
            Some(Value::Object(apart)) => apart,
            Some(_) => return Ok(None),
            None => record.as_object().ok_or(PeerAttachmentError::Field("record"))?,
        };
        let blob = fields.get("blob").and_then(Value::as_object);
        let blob = blob.ok_or(PeerAttachmentError::Field("blob"))?;
        let details = Self {
            to: text(fields, "to")
                .filter(|to| to.parse::<RecordId>().is_ok())
                .ok_or(PeerAttachmentError::Field("to"))?
                .to_owned(),
            label: text(fields, "label")
                .filter(|label| label.len() <= LABEL_BYTES_MAX)
                .ok_or(PeerAttachmentError::Field("label"))?
                .to_owned(),
            role: text(fields, "role").unwrap_or_default().to_owned(),
            media: text(fields, "media").unwrap_or_default().to_owned(),
            plain: Plain {
                sha256: hash(fields).ok_or(PeerAttachmentError::Field("sha256"))?,
                size: size(fields).ok_or(PeerAttachmentError::Field("size"))?,
            },
            blob: Blob {
                sha256: hash(blob).ok_or(PeerAttachmentError::Field("blob.sha256"))?,
                size: size(blob).ok_or(PeerAttachmentError::Field("blob.size"))?,
            },
            passphrase: text(blob, "passphrase")
                .and_then(|text| text.parse().ok())
                .ok_or(PeerAttachmentError::Field("blob.passphrase"))?,
        };
        // Before anything is reserved for it, or asked of a relay.
        if details.plain.size > sealpost_protocol::limits::ATTACHMENT_BYTES_MAX
            || details.blob.size != blob_size(details.plain.size)
        {
            return Err(PeerAttachmentError::Field("blob.size"));
        }
        Ok(Some(details))
    }

    /// As [`Self::read`], of a record whose entry names `blobs`.
    pub fn of_entry(record: &Value, blobs: &[Blob]) -> Result<Option<Self>, PeerAttachmentError> {
        let details = Self::read(record)?;
        match (&details, blobs) {
            (Some(details), [named]) if details.blob != *named => {
                Err(PeerAttachmentError::OtherBlob)
            }
            (_, [_]) => Ok(details),
            _ => Err(PeerAttachmentError::OtherBlob),
        }
    }
}

fn text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}

fn size(fields: &Fields) -> Option<u64> {
    fields.get("size").and_then(Value::as_u64)
}

fn hash(fields: &Fields) -> Option<Hash> {
    // One text for one value, as everywhere.
    let text = text(fields, "sha256")?;
    text.parse::<Hash>().ok().filter(|hash| hash.to_string() == text)
}

#[cfg(test)]
mod tests;
