//! Who vouches for which size, and what contradicts what.

use rusqlite::{OptionalExtension, params};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{TreeSize, UnixMillis};

use super::committees::CommitteeNo;
use super::sql::{int, millis, uint, words};
use super::{Read, VaultError, Write};

words! {
    /// What a piece of evidence is.
    pub enum Exhibit {
        /// A file by which others can check what the relay signed.
        File = "file",
        /// A signed checkpoint that contradicts a verified one.
        Note = "note",
        /// An entry the relay showed under its root that no rule admits.
        Entry = "entry",
        /// An entry refused without blame on the relay.
        Disputed = "disputed",
    }
}

/// The newest verified cosignature of one signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The signer's key name after the origin: `d/<device id>` or `m/<relay key>`.
    pub signer: String,
    /// The size it vouches for.
    pub size: TreeSize,
    /// The root it vouches for.
    pub root: Hash,
    /// When, to the hour, as it says.
    pub at: UnixMillis,
    /// The signature line.
    pub line: String,
}

/// When the cosignatures of a committee were last fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The size of the log then.
    pub size: TreeSize,
    /// When, by this device's clock.
    pub at: UnixMillis,
}

impl Read<'_> {
    /// Who vouches for which size.
    pub fn cosignatures(&self, no: CommitteeNo) -> Result<Vec<Cosigned>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT signer, size, root, at_ms, line FROM cosignature WHERE committee = ?1
             ORDER BY size DESC, signer",
        )?;
        let rows = statement.query_map([no.0], |row| {
            Ok(Cosigned {
                signer: row.get(0)?,
                size: TreeSize(uint(row.get(1)?)),
                root: Hash(row.get(2)?),
                at: millis(row.get(3)?),
                line: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When they were last fetched, if ever.
    pub fn heard(&self, no: CommitteeNo) -> Result<Option<Heard>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT size, at_ms FROM heard WHERE committee = ?1")?;
        let found = statement.query_row([no.0], |row| {
            Ok(Heard { size: TreeSize(uint(row.get(0)?)), at: millis(row.get(1)?) })
        });
        Ok(found.optional()?)
    }

    /// How many pieces of evidence are kept about a committee.
    pub fn evidence_count(&self, no: CommitteeNo) -> Result<u64, VaultError> {
        let count = self.transaction.query_row(
            "SELECT count(*) FROM evidence WHERE committee = ?1",
            [no.0],
            |row| row.get(0),
        )?;
        Ok(uint(count))
    }
}

impl Write<'_> {
    /// Stores a verified cosignature unless a newer one of that signer is there.
    pub fn put_cosignature(&self, no: CommitteeNo, mark: &Cosigned) -> Result<(), VaultError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO cosignature VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (committee, signer) DO UPDATE SET
                 size = excluded.size, root = excluded.root, at_ms = excluded.at_ms,
                 line = excluded.line WHERE excluded.size >= size",
            )?
            .execute(params![
                no.0,
                mark.signer,
                int(mark.size.0),
                mark.root.as_bytes(),
                int(mark.at.0),
                mark.line
            ])?;
        Ok(())
    }

    /// Notes that they were fetched.
    pub fn set_heard(&self, no: CommitteeNo, heard: Heard) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT OR REPLACE INTO heard VALUES (?1, ?2, ?3)",
            params![no.0, int(heard.size.0), int(heard.at.0)],
        )?;
        Ok(())
    }

    /// Keeps a piece of evidence, once: the same lie may be told at every sync.
    pub fn keep_evidence(
        &self,
        no: CommitteeNo,
        exhibit: Exhibit,
        bytes: &[u8],
        seen: UnixMillis,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT INTO evidence (committee, what, bytes, seen_ms) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS
             (SELECT 1 FROM evidence WHERE committee = ?1 AND what = ?2 AND bytes = ?3)",
            params![no.0, exhibit, bytes, int(seen.0)],
        )?;
        Ok(())
    }
}
