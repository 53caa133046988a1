//! The committees this device knows, and how far each one's log is verified.

use rusqlite::{OptionalExtension, Row, params};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, TreeSize, UnixMillis};
use secrecy::{ExposeSecret, SecretString};

use super::sql::{int, millis, uint, words};
use super::{Read, VaultError, Write};

words! {
    /// How far this device is in.
    pub enum Standing {
        /// The founding entry is signed and not yet accepted.
        Founding = "founding",
        /// Asked to join; not admitted, or not yet known to be.
        Joining = "joining",
        /// In it.
        Active = "active",
        /// Removed, or retired.
        Ended = "ended",
    }
}

/// The number of a committee in this vault: the key of the other tables, meaningless elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitteeNo(pub(super) i64);

/// A committee to be added.
#[derive(Clone, Debug)]
pub struct NewCommittee {
    /// Its id.
    pub id: CommitteeId,
    /// The home relay's address.
    pub relay: String,
    /// Founding or joining.
    pub standing: Standing,
    /// What that still needs, as JSON: a permit or an invitation is in it.
    pub opening: Option<SecretString>,
    /// When.
    pub made: UnixMillis,
}

/// A committee as the vault knows it, without its fold.
#[derive(Clone, Debug)]
pub struct Committee {
    /// Its number here.
    pub no: CommitteeNo,
    /// Its id.
    pub id: CommitteeId,
    /// The home relay's address.
    pub relay: String,
    /// How far this device is in.
    pub standing: Standing,
    /// What founding or joining still needs, as JSON: a permit or an invitation is in it.
    pub opening: Option<SecretString>,
    /// When it was founded or joined here.
    pub made: UnixMillis,
    /// How many entries are verified.
    pub size: TreeSize,
    /// The label as opened.
    pub label: Option<Vec<u8>>,
    /// Whether the relay answered when it was last asked.
    pub answered: Option<bool>,
    /// When that was.
    pub asked: Option<UnixMillis>,
}

/// How far a log is verified, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// How many entries.
    pub size: TreeSize,
    /// The relay's signed note for that size.
    pub note: Vec<u8>,
    /// The fold at that size, encoded.
    pub fold: Vec<u8>,
}

const COLUMNS: &str =
    "SELECT no, id, relay, state, opening, made_ms, size, label, answered, asked_ms FROM committee";

impl Read<'_> {
    /// All committees, the oldest first.
    pub fn committees(&self) -> Result<Vec<Committee>, VaultError> {
        let mut statement = self.transaction.prepare_cached(&format!("{COLUMNS} ORDER BY no"))?;
        let rows = statement.query_map([], committee_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The committee with that id.
    pub fn committee(&self, id: &CommitteeId) -> Result<Option<Committee>, VaultError> {
        let mut statement = self.transaction.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
        Ok(statement.query_row([id.as_bytes()], committee_of).optional()?)
    }

    /// The committee with that number.
    pub fn committee_no(&self, no: CommitteeNo) -> Result<Committee, VaultError> {
        let mut statement = self.transaction.prepare_cached(&format!("{COLUMNS} WHERE no = ?1"))?;
        Ok(statement.query_row([no.0], committee_of)?)
    }

    /// How far its log is verified, and the relay's note for that; none before the first pull.
    pub fn note(&self, no: CommitteeNo) -> Result<Option<(TreeSize, Vec<u8>)>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT size, note FROM committee
             WHERE no = ?1 AND note IS NOT NULL AND fold IS NOT NULL",
        )?;
        let found =
            statement.query_row([no.0], |row| Ok((TreeSize(uint(row.get(0)?)), row.get(1)?)));
        Ok(found.optional()?)
    }

    /// As [`Read::note`], with the encoded fold, which is large.
    pub fn position(&self, no: CommitteeNo) -> Result<Option<Position>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT size, note, fold FROM committee
             WHERE no = ?1 AND note IS NOT NULL AND fold IS NOT NULL",
        )?;
        let found = statement.query_row([no.0], |row| {
            Ok(Position { size: TreeSize(uint(row.get(0)?)), note: row.get(1)?, fold: row.get(2)? })
        });
        Ok(found.optional()?)
    }
}

impl Write<'_> {
    /// Adds a committee.
    pub fn add_committee(&self, new: &NewCommittee) -> Result<CommitteeNo, VaultError> {
        let opening = new.opening.as_ref().map(ExposeSecret::expose_secret);
        self.transaction.execute(
            "INSERT INTO committee (id, relay, state, opening, made_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![new.id.as_bytes(), new.relay, new.standing, opening, int(new.made.0)],
        )?;
        Ok(CommitteeNo(self.transaction.last_insert_rowid()))
    }

    /// Stores how far its log is verified. A smaller size than the stored one is refused.
    pub fn set_position(&self, no: CommitteeNo, to: &Position) -> Result<(), VaultError> {
        let held: i64 = self.transaction.query_row(
            "SELECT size FROM committee WHERE no = ?1",
            [no.0],
            |row| row.get(0),
        )?;
        if uint(held) > to.size.0 {
            return Err(VaultError::Backwards { held: uint(held), shown: to.size.0 });
        }
        self.transaction
            .prepare_cached("UPDATE committee SET size = ?2, note = ?3, fold = ?4 WHERE no = ?1")?
            .execute(params![no.0, int(to.size.0), to.note, to.fold])?;
        self.folds.drop_one(no);
        Ok(())
    }

    /// Stores what a founding or joining still needs.
    pub fn set_opening(&self, no: CommitteeNo, opening: &SecretString) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE committee SET opening = ?2 WHERE no = ?1",
            params![no.0, opening.expose_secret()],
        )?;
        Ok(())
    }

    /// Stores another relay address to reach a committee by.
    pub fn set_relay(&self, no: CommitteeNo, relay: &str) -> Result<(), VaultError> {
        self.transaction
            .execute("UPDATE committee SET relay = ?2 WHERE no = ?1", params![no.0, relay])?;
        Ok(())
    }

    /// Removes a committee that never came to be for this device: nothing of its log is held, and
    /// nothing was written for it.
    pub fn remove_unopened(&self, no: CommitteeNo) -> Result<(), VaultError> {
        for table in ["ahead", "evidence", "receipt", "stop"] {
            let delete = format!("DELETE FROM {table} WHERE committee = ?1");
            self.transaction.execute(&delete, [no.0])?;
        }
        let removed = self.transaction.execute(
            "DELETE FROM committee WHERE no = ?1 AND size = 0 AND state IN ('founding', 'joining')",
            [no.0],
        )?;
        match removed {
            1 => Ok(()),
            _ => Err(VaultError::Damaged("a committee with a log was to be removed".to_owned())),
        }
    }

    /// Stores how far this device is in; once active or ended nothing is left to open with.
    pub fn set_standing(&self, no: CommitteeNo, standing: Standing) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE committee SET state = ?2,
             opening = CASE WHEN ?2 IN ('founding', 'joining') THEN opening END WHERE no = ?1",
            params![no.0, standing],
        )?;
        Ok(())
    }

    /// Stores the label as opened.
    pub fn set_label(&self, no: CommitteeNo, label: &[u8]) -> Result<(), VaultError> {
        self.transaction
            .execute("UPDATE committee SET label = ?2 WHERE no = ?1", params![no.0, label])?;
        Ok(())
    }

    /// Stores whether the relay answered.
    pub fn set_answered(
        &self,
        no: CommitteeNo,
        answered: bool,
        at: UnixMillis,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE committee SET answered = ?2, asked_ms = ?3 WHERE no = ?1",
            params![no.0, answered, int(at.0)],
        )?;
        Ok(())
    }
}

fn committee_of(row: &Row<'_>) -> rusqlite::Result<Committee> {
    Ok(Committee {
        no: CommitteeNo(row.get(0)?),
        id: CommitteeId(Hash(row.get(1)?)),
        relay: row.get(2)?,
        standing: row.get(3)?,
        opening: row.get::<_, Option<String>>(4)?.map(SecretString::from),
        made: millis(row.get(5)?),
        size: TreeSize(uint(row.get(6)?)),
        label: row.get(7)?,
        answered: row.get(8)?,
        asked: row.get::<_, Option<i64>>(9)?.map(millis),
    })
}
