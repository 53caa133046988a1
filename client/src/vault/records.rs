//! The catalog: records as opened, or why they could not be.

use rusqlite::{Row, params};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, Epoch, LeafIndex, TreeSize, UnixMillis};

use super::committees::CommitteeNo;
use super::sql::{int, millis, uint};
use super::{Read, VaultError, Write};

/// What became of a record's payload here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Opened and checked: its JSON.
    Opened(String),
    /// Not opened, and why. Shown with its author, never skipped.
    Unopened(String),
    /// The record with that ULID once more, by its author: the first counts.
    Again(String),
}

/// Before the ULID of a record that is there again, in the place of a reason.
const AGAIN: &str = "again ";

/// A record in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its committee.
    pub committee: CommitteeNo,
    /// Its place.
    pub index: LeafIndex,
    /// Its ULID; of one that was not opened, its leaf hash in hex.
    pub id: String,
    /// Its REF.
    pub reference: String,
    /// Its kind; of one that was not opened, nothing.
    pub kind: String,
    /// Who signed it.
    pub author: DeviceId,
    /// The lock it is under.
    pub epoch: Epoch,
    /// When, as its author says.
    pub made: UnixMillis,
    /// Its content.
    pub content: Content,
}

const COLUMNS: &str = "SELECT committee, leaf_index, id, ref, kind, author, epoch, made_ms,
     json, unopened FROM record";

impl Read<'_> {
    /// All records of a committee in log order, each once.
    pub fn records(&self, no: CommitteeNo) -> Result<Vec<Record>, VaultError> {
        let mut records = self.records_where("committee = ?1 ORDER BY leaf_index", [no.0])?;
        records.retain(|record| !matches!(record.content, Content::Again(_)));
        Ok(records)
    }

    /// The records under a lock that could not be opened, in log order.
    pub fn unopened(&self, no: CommitteeNo, epoch: Epoch) -> Result<Vec<Record>, VaultError> {
        let condition =
            "committee = ?1 AND epoch = ?2 AND unopened IS NOT NULL ORDER BY leaf_index";
        self.records_where(condition, params![no.0, epoch.0])
    }

    /// The entries that hold a record of a committee once more.
    pub fn again(&self, no: CommitteeNo, id: &str) -> Result<Vec<Record>, VaultError> {
        let condition = "committee = ?1 AND unopened = ?2 ORDER BY leaf_index";
        self.records_where(condition, params![no.0, format!("{AGAIN}{id}")])
    }

    /// All records with that REF, of any committee.
    pub fn records_by_ref(&self, reference: &str) -> Result<Vec<Record>, VaultError> {
        self.records_where("ref = ?1 ORDER BY committee, leaf_index", [reference])
    }

    /// All records with that ULID, of any committee.
    pub fn records_by_id(&self, id: &str) -> Result<Vec<Record>, VaultError> {
        self.records_where("id = ?1 ORDER BY committee, leaf_index", [id])
    }

    /// How many records of a device could be opened, each once, and how many of them stand below a size.
    pub fn record_count(
        &self,
        no: CommitteeNo,
        author: DeviceId,
        below: TreeSize,
    ) -> Result<(u64, u64), VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE leaf_index < ?3) FROM record
             WHERE committee = ?1 AND author = ?2 AND unopened IS NULL",
        )?;
        let parameters = params![no.0, author.as_bytes(), int(below.0)];
        let counts = statement.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((uint(counts.0), uint(counts.1)))
    }

    fn records_where(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Record>, VaultError> {
        let mut statement =
            self.transaction.prepare_cached(&format!("{COLUMNS} WHERE {condition}"))?;
        let rows = statement.query_map(parameters, record_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Read<'_> {
    /// The record at a place, if one is there.
    pub fn record_at(
        &self,
        no: CommitteeNo,
        index: LeafIndex,
    ) -> Result<Option<Record>, VaultError> {
        let found =
            self.records_where("committee = ?1 AND leaf_index = ?2", params![no.0, int(index.0)])?;
        Ok(found.into_iter().next())
    }
}

impl Write<'_> {
    /// Stores a record; one at the same place is replaced, as when it can be opened at last.
    pub fn put_record(&self, record: &Record) -> Result<(), VaultError> {
        let (json, unopened) = match &record.content {
            Content::Opened(json) => (Some(json), None),
            Content::Unopened(why) => (None, Some(why.clone())),
            Content::Again(id) => (None, Some(format!("{AGAIN}{id}"))),
        };
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                record.committee.0,
                int(record.index.0),
                record.id,
                record.reference,
                record.kind,
                record.author.as_bytes(),
                record.epoch.0,
                int(record.made.0),
                json,
                unopened,
            ])?;
        Ok(())
    }
}

fn of_reason(why: String) -> Content {
    match why.strip_prefix(AGAIN) {
        Some(id) => Content::Again(id.to_owned()),
        None => Content::Unopened(why),
    }
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<Record> {
    let json: Option<String> = row.get(8)?;
    let unopened: Option<String> = row.get(9)?;
    Ok(Record {
        committee: CommitteeNo(row.get(0)?),
        index: LeafIndex(uint(row.get(1)?)),
        id: row.get(2)?,
        reference: row.get(3)?,
        kind: row.get(4)?,
        author: DeviceId(Hash(row.get(5)?)),
        epoch: Epoch(row.get(6)?),
        made: millis(row.get(7)?),
        content: match json {
            Some(json) => Content::Opened(json),
            None => of_reason(unopened.unwrap_or_default()),
        },
    })
}
