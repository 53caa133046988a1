//! Attachments: what their records say of their blobs, and what of these is here.

use std::io::{self, Read as _};

use rusqlite::{OptionalExtension, Row, params};
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::{Hash, Hasher};

use super::committees::CommitteeNo;
use super::container::{self, Container, PIECE_BYTES};
use super::sql::{int, uint, words};
use super::{Read, Vault, VaultError, Write, disk, steps};

pub use super::container::{BlobReader, BlobWriter};

words! {
    /// How far a blob is here.
    pub enum Held {
        /// It is being sealed, or was when that was interrupted.
        Sealing = "sealing",
        /// A part is here.
        Fetching = "fetching",
        /// All of it is here, and its hash was checked.
        Whole = "whole",
        /// It was given up, and its pieces are written over.
        Dropping = "dropping",
    }
}

/// The number of a blob in this vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobNo(i64);

/// What an attachment's record says of its blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its committee.
    pub committee: CommitteeNo,
    /// The id of its own record.
    pub id: String,
    /// The id of the record it belongs to.
    pub to: String,
    /// Its blob.
    pub blob: Blob,
    /// Why the relay's bytes were not taken, when last fetched.
    pub fault: Option<String>,
}

/// A blob that is here, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBlob {
    /// Its number.
    pub no: BlobNo,
    /// How far it is here.
    pub state: Held,
    /// How long it is.
    pub size: u64,
    /// How much of it is on disk, from its beginning.
    pub held: u64,
    /// How much of it the relay has from this device.
    pub sent: u64,
}

/// Pieces that are written over in one transaction.
const DROPPED_AT_ONCE: usize = 16;
/// Read at a time to be hashed.
const HASHED_BYTES: usize = 256 * 1024;

const ATTACHMENT: &str = "SELECT committee, id, to_id, sha256, size, fault FROM attachment";
const BLOB: &str = "SELECT no, state, size, held, sent FROM blob";

impl Read<'_> {
    /// The attachment whose record has that id.
    pub fn attachment(
        &self,
        committee: CommitteeNo,
        id: &str,
    ) -> Result<Option<Attachment>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached(&format!("{ATTACHMENT} WHERE committee = ?1 AND id = ?2"))?;
        Ok(statement.query_row(params![committee.0, id], attachment_of).optional()?)
    }

    /// The attachments of a record, by their ids: in the order in which they were made.
    pub fn attachments_to(
        &self,
        committee: CommitteeNo,
        to: &str,
    ) -> Result<Vec<Attachment>, VaultError> {
        let condition = "WHERE committee = ?1 AND to_id = ?2 ORDER BY id";
        self.attachments_where(condition, params![committee.0, to])
    }

    /// The attachments of a committee that are not wholly here, the smallest first.
    pub fn attachments_lacking(
        &self,
        committee: CommitteeNo,
    ) -> Result<Vec<Attachment>, VaultError> {
        let condition = "WHERE committee = ?1 AND NOT EXISTS (SELECT 1 FROM blob
             WHERE blob.committee = attachment.committee AND blob.sha256 = attachment.sha256
             AND state = 'whole') ORDER BY size, id";
        self.attachments_where(condition, [committee.0])
    }

    fn attachments_where(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Attachment>, VaultError> {
        let mut statement =
            self.transaction.prepare_cached(&format!("{ATTACHMENT} {condition}"))?;
        let rows = statement.query_map(parameters, attachment_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is here of a blob.
    pub fn held_blob(
        &self,
        committee: CommitteeNo,
        sha256: &Hash,
    ) -> Result<Option<HeldBlob>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached(&format!("{BLOB} WHERE committee = ?1 AND sha256 = ?2"))?;
        let found = statement.query_row(params![committee.0, sha256.as_bytes()], blob_of);
        Ok(found.optional()?)
    }

    fn pieces_of(&self, blob: BlobNo) -> Result<Vec<u64>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT no FROM piece WHERE blob = ?1 ORDER BY part")?;
        let rows = statement.query_map([blob.0], |row| row.get(0).map(uint))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Write<'_> {
    /// Remembers what an attachment's record says; the same once more changes nothing.
    pub fn put_attachment(&self, attachment: &Attachment) -> Result<(), VaultError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO attachment (committee, id, to_id, sha256, size)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET to_id = ?3, sha256 = ?4, size = ?5",
            )?
            .execute(params![
                attachment.committee.0,
                attachment.id,
                attachment.to,
                attachment.blob.sha256.as_bytes(),
                int(attachment.blob.size),
            ])?;
        Ok(())
    }

    /// Forgets what an attachment's record said. Its blob goes when no other names it.
    pub fn forget_attachment(&self, committee: CommitteeNo, id: &str) -> Result<(), VaultError> {
        let statement = "DELETE FROM attachment WHERE committee = ?1 AND id = ?2";
        self.transaction.execute(statement, params![committee.0, id])?;
        Ok(())
    }

    /// Remembers why a blob could not be fetched as it should be; none: it could, or is tried anew.
    pub fn note_blob_fault(
        &self,
        committee: CommitteeNo,
        blob: &Blob,
        fault: Option<&str>,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE attachment SET fault = ?4 WHERE committee = ?1 AND sha256 = ?2 AND size = ?3",
            params![committee.0, blob.sha256.as_bytes(), int(blob.size), fault],
        )?;
        Ok(())
    }

    /// How much of a blob the relay has from this device.
    pub fn note_sent(
        &self,
        committee: CommitteeNo,
        sha256: &Hash,
        sent: u64,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE blob SET sent = ?3 WHERE committee = ?1 AND sha256 = ?2",
            params![committee.0, sha256.as_bytes(), int(sent)],
        )?;
        Ok(())
    }

    /// A blob that was sealed is whole. One that is here already, as the same bytes never are twice, is
    /// an error.
    pub fn blob_sealed(&self, no: BlobNo, blob: &Blob) -> Result<(), VaultError> {
        let sealed = self.transaction.execute(
            "UPDATE blob SET state = 'whole', sha256 = ?2, size = ?3, held = ?3
             WHERE no = ?1 AND state = 'sealing'",
            params![no.0, blob.sha256.as_bytes(), int(blob.size)],
        )?;
        must_be_one(sealed)
    }

    /// So much of a blob is on disk.
    pub fn blob_held(&self, no: BlobNo, held: u64) -> Result<(), VaultError> {
        let statement = "UPDATE blob SET held = ?2 WHERE no = ?1 AND state = 'fetching'";
        must_be_one(self.transaction.execute(statement, params![no.0, int(held)])?)
    }

    /// A blob that was fetched is whole, and its hash was checked.
    pub fn blob_fetched(&self, no: BlobNo) -> Result<(), VaultError> {
        let statement =
            "UPDATE blob SET state = 'whole', held = size WHERE no = ?1 AND state = 'fetching'";
        must_be_one(self.transaction.execute(statement, [no.0])?)
    }

    /// Takes pieces for the parts of a blob from `first` on, and makes the file longer if need be.
    fn reserve(
        &self,
        container: &Container,
        blob: BlobNo,
        first: u64,
        wanted: u64,
    ) -> Result<(), VaultError> {
        let mut free = self.free_pieces(wanted)?;
        let lacking = wanted - free.len() as u64;
        if lacking > 0 {
            let before: i64 =
                self.transaction.query_row("SELECT count(*) FROM piece", [], |row| row.get(0))?;
            let before = uint(before);
            let after = container.grow(before, lacking)?;
            let mut add = self.transaction.prepare_cached("INSERT INTO piece (no) VALUES (?1)")?;
            for piece in before..after {
                add.execute([int(piece)])?;
            }
            free.extend(before..before + lacking);
            container.fill(before + lacking..after)?;
        }
        let mut take = self
            .transaction
            .prepare_cached("UPDATE piece SET blob = ?2, part = ?3 WHERE no = ?1")?;
        for (piece, part) in free.into_iter().zip(first..) {
            take.execute(params![int(piece), blob.0, int(part)])?;
        }
        Ok(())
    }

    fn free_pieces(&self, at_most: u64) -> Result<Vec<u64>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT no FROM piece WHERE blob IS NULL ORDER BY no LIMIT ?1")?;
        let rows = statement.query_map([int(at_most)], |row| row.get(0).map(uint))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn add_blob(
        &self,
        committee: CommitteeNo,
        sha256: Option<&Hash>,
        size: u64,
    ) -> Result<BlobNo, VaultError> {
        let state = if sha256.is_some() { Held::Fetching } else { Held::Sealing };
        self.transaction.execute(
            "INSERT INTO blob (committee, sha256, size, held, state) VALUES (?1, ?2, ?3, 0, ?4)",
            params![committee.0, sha256.map(Hash::as_bytes), int(size), state],
        )?;
        Ok(BlobNo(self.transaction.last_insert_rowid()))
    }

    /// Gives up the blobs of which this is so; their pieces are still theirs.
    fn give_up(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<(), VaultError> {
        let statement =
            format!("UPDATE blob SET state = 'dropping', sha256 = NULL WHERE {condition}");
        self.transaction.execute(&statement, parameters)?;
        Ok(())
    }

    /// Writes over some pieces of blobs that were given up, and frees them. Whether there is more to do.
    fn drop_some(&self, container: &Container) -> Result<bool, VaultError> {
        let next = "SELECT no FROM blob WHERE state = 'dropping' LIMIT 1";
        let next = self.transaction.query_row(next, [], |row| row.get(0)).optional()?;
        let Some(no) = next.map(BlobNo) else { return Ok(false) };
        let mut pieces = self.pieces_of(no)?;
        if pieces.is_empty() {
            self.transaction.execute("DELETE FROM blob WHERE no = ?1", [no.0])?;
            return Ok(true);
        }
        pieces.truncate(DROPPED_AT_ONCE);
        container.fill(pieces.iter().copied())?;
        let mut free = self
            .transaction
            .prepare_cached("UPDATE piece SET blob = NULL, part = NULL WHERE no = ?1")?;
        for piece in pieces {
            free.execute([int(piece)])?;
        }
        Ok(true)
    }
}

/// Blobs that no attachment names.
const UNNAMED: &str = "sha256 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attachment
     WHERE attachment.committee = blob.committee AND attachment.sha256 = blob.sha256)";

/// While it lives, what this process seals is let go of by nobody else.
#[derive(Debug)]
pub struct SealingLock {
    _container: Container,
}

impl Vault {
    /// Takes the lock that everybody holds who seals. Lets go before of what was being sealed by commands
    /// that are no more.
    pub fn hold_sealing(&mut self) -> Result<SealingLock, VaultError> {
        self.drop_unfinished()?;
        let container = Container::open(&self.home)?;
        container.share()?;
        Ok(SealingLock { _container: container })
    }

    /// Makes room for a blob of `size` bytes that is now sealed.
    pub fn begin_sealing(
        &mut self,
        _held: &SealingLock,
        committee: CommitteeNo,
        size: u64,
    ) -> Result<(BlobNo, BlobWriter), VaultError> {
        let container = Container::open(&self.home)?;
        container.must_have_room(size)?;
        let (no, pieces) = self.write(|vault| {
            let no = vault.add_blob(committee, None, size)?;
            vault.reserve(&container, no, 0, container::pieces(size))?;
            Ok::<_, VaultError>((no, vault.pieces_of(no)?))
        })?;
        Ok((no, container.writer(pieces, 0)))
    }

    /// Lets go of a blob that was not sealed to its end, or not saved.
    pub fn discard_sealing(&mut self, no: BlobNo) -> Result<(), VaultError> {
        self.write(|vault| vault.give_up("no = ?1 AND state = 'sealing'", [no.0]))?;
        self.drop_given_up()
    }

    /// Goes on with what is here of a blob that is now fetched, or begins it. The caller holds the sync
    /// lock.
    pub fn begin_fetching(
        &mut self,
        committee: CommitteeNo,
        blob: &Blob,
    ) -> Result<(HeldBlob, BlobWriter), VaultError> {
        self.drop_unfinished()?;
        let container = Container::open(&self.home)?;
        let (held, pieces) = self.write(|vault| {
            // Somebody named it with another size before: what is here of that is of no use.
            let other = "committee = ?1 AND sha256 = ?2 AND size <> ?3 AND state = 'fetching'";
            let (hash, size) = (blob.sha256.as_bytes(), int(blob.size));
            vault.give_up(other, params![committee.0, hash, size])?;
            if vault.held_blob(committee, &blob.sha256)?.is_none() {
                vault.add_blob(committee, Some(&blob.sha256), blob.size)?;
            }
            let held = vault.held_blob(committee, &blob.sha256)?.ok_or_else(gone)?;
            Ok::<_, VaultError>((held.clone(), vault.pieces_of(held.no)?))
        })?;
        container.must_have_room(blob.size.saturating_sub(held.held))?;
        let writer = container.writer(pieces, held.held);
        Ok((held, writer))
    }

    /// Takes more pieces for a blob that is fetched: a step of the file's, or what is still to come.
    pub fn reserve_more(
        &mut self,
        held: &HeldBlob,
        writer: &mut BlobWriter,
    ) -> Result<(), VaultError> {
        let container = Container::open(&self.home)?;
        let first = writer.reserved();
        let left = container::pieces(held.size).saturating_sub(first);
        let wanted = left.min(steps::STEP_BYTES_MAX / PIECE_BYTES);
        let pieces = self.write(|vault| {
            vault.reserve(&container, held.no, first, wanted)?;
            vault.pieces_of(held.no)
        })?;
        writer.extend(pieces);
        Ok(())
    }

    /// Reads what is here of a blob, from its beginning.
    pub fn read_blob(&self, held: &HeldBlob) -> Result<BlobReader, VaultError> {
        let pieces = self.read(|vault| vault.pieces_of(held.no))?;
        Ok(Container::open(&self.home)?.reader(pieces, held.held))
    }

    /// Whether the bytes of a whole blob are still those that were put there.
    pub fn is_intact(&self, held: &HeldBlob, sha256: &Hash) -> Result<bool, VaultError> {
        let hashed = self.hash_held(held)?;
        Ok(hashed.is_some_and(|hasher| hasher.finish() == *sha256))
    }

    /// What is here of a blob, hashed; none when the file is shorter than it must be.
    pub fn hash_held(&self, held: &HeldBlob) -> Result<Option<Hasher>, VaultError> {
        let (mut reader, mut hasher) = (self.read_blob(held)?, Hasher::default());
        let mut buffer = vec![0; HASHED_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(Some(hasher)),
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets go of a blob, whole or not.
    pub fn discard_blob(&mut self, no: BlobNo) -> Result<(), VaultError> {
        self.write(|vault| vault.give_up("no = ?1", [no.0]))?;
        self.drop_given_up()
    }

    /// Lets go of blobs that no attachment names any more: they were forgotten.
    pub fn drop_unnamed(&mut self) -> Result<(), VaultError> {
        if self.read(|vault| vault.any_blob_where(UNNAMED))? {
            self.write(|vault| vault.give_up(UNNAMED, []))?;
        }
        self.drop_given_up()
    }

    /// Lets go of what was being sealed by commands that are no more.
    fn drop_unfinished(&mut self) -> Result<(), VaultError> {
        let container = Container::open(&self.home)?;
        let sealing = "state = 'sealing'";
        if self.read(|vault| vault.any_blob_where(sealing))? && container.is_alone()? {
            self.write(|vault| vault.give_up(sealing, []))?;
        }
        self.drop_given_up()
    }

    /// Writes over the pieces of blobs that were given up: what was forgotten is gone, and what was never
    /// written looks like the rest. In small steps, so that no other command waits long.
    fn drop_given_up(&mut self) -> Result<(), VaultError> {
        if !self.read(|vault| vault.any_blob_where("state = 'dropping'"))? {
            return Ok(());
        }
        let container = Container::open(&self.home)?;
        while self.write(|vault| vault.drop_some(&container))? {}
        Ok(())
    }
}

impl Read<'_> {
    /// Whether there is any blob, or a part of one.
    #[cfg(test)]
    pub(crate) fn any_blob(&self) -> Result<bool, VaultError> {
        self.any_blob_where("true")
    }

    fn any_blob_where(&self, condition: &str) -> Result<bool, VaultError> {
        let found = format!("SELECT EXISTS (SELECT 1 FROM blob WHERE {condition})");
        Ok(self.transaction.query_row(&found, [], |row| row.get(0))?)
    }
}

impl From<io::Error> for VaultError {
    /// Of the file `attachments`.
    fn from(error: io::Error) -> Self {
        disk::named(std::path::Path::new(super::home::ATTACHMENTS), &error)
    }
}

fn gone() -> VaultError {
    VaultError::Damaged("a blob that was just added is not there".to_owned())
}

fn must_be_one(changed: usize) -> Result<(), VaultError> {
    match changed {
        1 => Ok(()),
        _ => Err(VaultError::Damaged("a blob is not in the state it must be in".to_owned())),
    }
}

fn attachment_of(row: &Row<'_>) -> rusqlite::Result<Attachment> {
    let size: i64 = row.get(4)?;
    Ok(Attachment {
        committee: CommitteeNo(row.get(0)?),
        id: row.get(1)?,
        to: row.get(2)?,
        blob: Blob { sha256: Hash(row.get(3)?), size: uint(size) },
        fault: row.get(5)?,
    })
}

fn blob_of(row: &Row<'_>) -> rusqlite::Result<HeldBlob> {
    Ok(HeldBlob {
        no: BlobNo(row.get(0)?),
        state: row.get(1)?,
        size: uint(row.get(2)?),
        held: uint(row.get(3)?),
        sent: uint(row.get(4)?),
    })
}

#[cfg(test)]
mod tests;
