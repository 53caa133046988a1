//! Receipts: the relay signed for a tree with an entry of this device in its place.
//!
//! The note itself stands in [`super::ahead`] too, until the log was verified past it: what is here says which
//! entry it was given for.

use rusqlite::params;
use sealpost_protocol::codec;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::id::{LeafIndex, TreeSize};
use sealpost_protocol::tree::Proof;

use super::committees::CommitteeNo;
use super::sql::{int, uint};
use super::{Read, VaultError, Write};

/// A receipt, verified when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where the entry stands.
    pub index: LeafIndex,
    /// The entry, without its payload.
    pub entry: UnverifiedEntry,
    /// The size of the relay's tree.
    pub size: TreeSize,
    /// The relay's signed note.
    pub note: String,
    /// The way from the entry to the root of that tree.
    pub proof: Proof,
}

impl Read<'_> {
    /// All of a committee that the verified log is not past yet.
    pub fn receipts(&self, no: CommitteeNo) -> Result<Vec<Receipt>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT leaf_index, size, note, entry, proof FROM receipt WHERE committee = ?1
             ORDER BY leaf_index, size",
        )?;
        let rows = statement.query_map([no.0], |row| {
            let bytes = |column| row.get::<_, Vec<u8>>(column);
            let columns = (bytes(2)?, bytes(3)?, bytes(4)?);
            Ok((LeafIndex(uint(row.get(0)?)), TreeSize(uint(row.get(1)?)), columns))
        })?;
        rows.map(|row| {
            let (index, size, (note, entry, proof)) = row?;
            receipt_of(index, size, note, &entry, &proof)
                .ok_or_else(|| VaultError::Damaged("a receipt does not read".to_owned()))
        })
        .collect()
    }
}

fn receipt_of(
    index: LeafIndex,
    size: TreeSize,
    note: Vec<u8>,
    entry: &[u8],
    proof: &[u8],
) -> Option<Receipt> {
    let (note, entry) = (String::from_utf8(note).ok()?, UnverifiedEntry::decode(entry).ok()?);
    let proof = codec::decode(proof, proof.len()).ok()?;
    Some(Receipt { index, entry, size, note, proof })
}

impl Write<'_> {
    /// Keeps one.
    pub fn put_receipt(&self, no: CommitteeNo, receipt: &Receipt) -> Result<(), VaultError> {
        let Receipt { index, entry, size, note, proof } = receipt;
        self.transaction.execute(
            "INSERT OR IGNORE INTO receipt (committee, leaf_index, size, note, entry, proof)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                no.0,
                int(index.0),
                int(size.0),
                note.as_bytes(),
                entry.encode(),
                codec::encode(proof)
            ],
        )?;
        Ok(())
    }
}
