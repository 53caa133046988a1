//! Which relays this device does not deal with, for which committees, and the files that show why.
//!
//! A file of evidence is not sealed: it is for others to check, without this vault. Its name says nothing; what is
//! in it says which committee, which relay and how long the log was.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, params};
use sealpost_protocol::id::UnixMillis;

use super::committees::CommitteeNo;
use super::sql::{int, millis};
use super::{Read, Vault, VaultError, Write, disk};

/// A relay is not dealt with until it shows again what was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Which kind of evidence.
    pub kind: String,
    /// The name of its file.
    pub file: String,
    /// When it was met.
    pub since: UnixMillis,
}

impl Read<'_> {
    /// Whether the relay of a committee is not dealt with, and why.
    pub fn stop(&self, no: CommitteeNo) -> Result<Option<Stop>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT kind, file, since_ms FROM stop WHERE committee = ?1")?;
        let found = statement.query_row([no.0], |row| {
            Ok(Stop { kind: row.get(0)?, file: row.get(1)?, since: millis(row.get(2)?) })
        });
        Ok(found.optional()?)
    }
}

impl Write<'_> {
    /// Deals with the relay no more. What was met first stays the reason until it is of another kind.
    pub fn put_stop(&self, no: CommitteeNo, stop: &Stop) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT INTO stop (committee, kind, file, since_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (committee) DO UPDATE SET kind = excluded.kind, file = excluded.file
             WHERE kind <> excluded.kind",
            params![no.0, stop.kind, stop.file, int(stop.since.0)],
        )?;
        Ok(())
    }

    /// Deals with it again. The evidence stays.
    pub fn lift_stop(&self, no: CommitteeNo) -> Result<(), VaultError> {
        self.transaction.execute("DELETE FROM stop WHERE committee = ?1", [no.0])?;
        Ok(())
    }
}

impl Vault {
    /// Where the file of that name is, or would be.
    pub fn evidence_path(&self, file: &str) -> PathBuf {
        self.home.evidence().join(file)
    }

    /// Writes a file of evidence, unless it is there; on return it is on disk under its name.
    pub fn write_evidence(&self, file: &str, text: &str) -> Result<PathBuf, VaultError> {
        let path = self.evidence_path(file);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(path);
        }
        disk::make_folder(&self.home.evidence())?;
        let unfinished = self.evidence_path(&format!("{file}.new"));
        // What a killed command left.
        disk::remove_if_there(&unfinished)?;
        disk::write_synced(&unfinished, text.as_bytes())?;
        disk::rename_synced(&unfinished, &path)?;
        Ok(path)
    }
}
