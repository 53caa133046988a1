//! Checkpoints the relay signed beyond the verified position.
//!
//! A receipt, or the answer to "how far are you?", binds the relay before its entries are here. It
//! is kept until the log was verified past it, so that neither a kill nor another command lets the
//! relay off.

use rusqlite::params;
use sealpost_protocol::id::TreeSize;

use super::committees::CommitteeNo;
use super::sql::{int, uint};
use super::{Read, VaultError, Write};

/// A checkpoint whose signature was verified, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Its size.
    pub size: TreeSize,
    /// The signed note.
    pub note: String,
}

impl Read<'_> {
    /// All of a committee, the smallest first.
    pub fn ahead(&self, no: CommitteeNo) -> Result<Vec<Ahead>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT size, note FROM ahead WHERE committee = ?1 ORDER BY size")?;
        let rows = statement.query_map([no.0], |row| {
            let note: Vec<u8> = row.get(1)?;
            let note = String::from_utf8_lossy(&note).into_owned();
            Ok(Ahead { size: TreeSize(uint(row.get(0)?)), note })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Write<'_> {
    /// Keeps one.
    pub fn put_ahead(&self, no: CommitteeNo, ahead: &Ahead) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT OR IGNORE INTO ahead VALUES (?1, ?2, ?3)",
            params![no.0, int(ahead.size.0), ahead.note.as_bytes()],
        )?;
        Ok(())
    }

    /// Drops one that no log which goes on from the verified one can come to. What was acknowledged under it stays
    /// so.
    pub fn void_ahead(&self, no: CommitteeNo, note: &str) -> Result<(), VaultError> {
        let delete = "DELETE FROM ahead WHERE committee = ?1 AND note = ?2";
        self.transaction.execute(delete, params![no.0, note.as_bytes()])?;
        Ok(())
    }

    /// Drops those up to `size`, and the receipts under them: the log was verified past them.
    pub fn drop_ahead(&self, no: CommitteeNo, size: TreeSize) -> Result<(), VaultError> {
        for table in ["ahead", "receipt"] {
            let delete = format!("DELETE FROM {table} WHERE committee = ?1 AND size <= ?2");
            self.transaction.execute(&delete, params![no.0, int(size.0)])?;
        }
        Ok(())
    }
}
