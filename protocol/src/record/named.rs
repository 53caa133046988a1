//! Named readers: a part of a record that not the whole committee may read.
//!
//! It is a record plaintext of its own, bound to the same place and id, sealed to the readers'
//! devices and carried as text in the outer record's `sealed` field. Bound, because otherwise a
//! member could lift somebody else's sealed part into a record of their own.

use data_encoding::BASE64;

use super::{Binding, LocalRecordError, PeerRecordError, Record, RecordBody, RecordId, SALT_BYTES};
use crate::hybrid::{Identity, Recipient};
use crate::seal::{self, PeerOpenError};

/// The field that holds the part for named readers: an age file in base64 (RFC 4648 §4, padded),
/// which `base64 -d` reads.
pub const SEALED: &str = "sealed";

/// Why the part for named readers is not to be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerNamedError {
    /// The record has no such part.
    #[error("the record has no part for named readers")]
    None,
    /// The field is not text in canonical base64. The author's fault.
    #[error("the part for named readers is not base64")]
    Base64,
    /// It does not open; [`PeerOpenError::WrongKey`] means that this device is no reader.
    #[error("the part for named readers: {0}")]
    Open(#[from] PeerOpenError),
    /// It opens and breaks a rule, or was written for another place. The author's fault.
    #[error("the part for named readers: {0}")]
    Record(#[from] PeerRecordError),
    /// It belongs to another record. The author's fault.
    #[error("the part for named readers belongs to another record")]
    Id,
}

impl RecordBody {
    /// Seals this body to named readers; the text goes into the outer body's [`SEALED`] field.
    /// Binding and id are those of the outer record, the salt is another one.
    pub fn seal_named(
        &self,
        binding: &Binding,
        id: &RecordId,
        salt: &[u8; SALT_BYTES],
        readers: &[Recipient],
    ) -> Result<String, LocalRecordError> {
        let bound = self.bind(binding, id, salt)?;
        Ok(BASE64.encode(&seal::seal_named(&bound.plaintext, readers)?))
    }
}

impl Record {
    /// Opens the part for named readers, if `reader` is one.
    pub fn open_named(&self, reader: &Identity) -> Result<RecordBody, PeerNamedError> {
        let field = self.body().fields.get(SEALED).ok_or(PeerNamedError::None)?;
        let text = field.as_str().ok_or(PeerNamedError::Base64)?;
        let file = BASE64.decode(text.as_bytes()).map_err(|_| PeerNamedError::Base64)?;
        let plaintext = seal::open_named(&file, reader)?;
        let (inner, _) = Self::read(&plaintext, self.binding())?;
        if inner.id() != self.id() {
            return Err(PeerNamedError::Id);
        }
        Ok(inner.body)
    }
}
