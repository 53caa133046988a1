//! What an attachment's record says (SPEC.md §14.1).

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::record::{Fields, RecordId, SEALED};
use sealpost_protocol::seal::{AttachmentPassphrase, Plain, blob_size};
use serde_json::{Value, json};

/// The longest label that is taken over from others: the longest file name there is.
pub(super) const LABEL_BYTES_MAX: usize = 255;

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
    /// Which copy of it.
    pub edition: Edition,
    /// The sealed file.
    pub blob: Blob,
    /// What opens it.
    pub passphrase: AttachmentPassphrase,
}

/// Which copy of a file an attachment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edition {
    /// As it came, and never to be changed.
    Evidentiary,
    /// To be worked with and handed on.
    Working {
        /// The id of the attachment it was made of.
        derived_from: Option<String>,
        /// What kinds of things were left out, in its sender's words.
        stripped: Vec<String>,
    },
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
            "copy": self.edition.word(),
            "complete": true,
            "size": self.plain.size,
            "sha256": self.plain.sha256.to_string(),
            "blob": {
                "sha256": self.blob.sha256.to_string(),
                "size": self.blob.size,
                "passphrase": self.passphrase.expose(),
            },
        });
        let Value::Object(mut fields) = fields else { unreachable!("written as an object") };
        if let Edition::Working { derived_from, stripped } = &self.edition {
            let derived_from = derived_from.as_ref();
            fields.extend(derived_from.map(|id| ("derived_from".to_owned(), json!(id))));
            fields.insert("stripped".to_owned(), json!(stripped));
        }
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
            edition: Edition::read(fields)?,
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

impl Edition {
    /// Its word in records and results.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Evidentiary => "evidentiary",
            Self::Working { .. } => "working",
        }
    }

    /// One that does not say what it is was never changed by a program that knew of copies.
    fn read(fields: &Fields) -> Result<Self, PeerAttachmentError> {
        if text(fields, "copy") != Some("working") {
            return Ok(Self::Evidentiary);
        }
        let derived_from = match fields.get("derived_from") {
            None => None,
            Some(_) => Some(
                text(fields, "derived_from")
                    .filter(|id| id.parse::<RecordId>().is_ok())
                    .ok_or(PeerAttachmentError::Field("derived_from"))?
                    .to_owned(),
            ),
        };
        let words = |value: &Value| {
            let words = value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned));
            words.collect::<Option<Vec<_>>>()
        };
        let stripped = match fields.get("stripped") {
            None => Vec::new(),
            Some(value) => words(value).ok_or(PeerAttachmentError::Field("stripped"))?,
        };
        Ok(Self::Working { derived_from, stripped })
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
