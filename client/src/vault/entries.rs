//! Verified entries, byte for byte, and the nodes of their trees.

use rusqlite::{OptionalExtension, params};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, DeviceId, Epoch, LeafIndex};

use super::committees::CommitteeNo;
use super::sql::{int, uint};
use super::{Read, VaultError, Write};

/// How the kinds of entries are numbered here, as in their headers.
pub const ROSTER: u8 = 1;
/// See [`ROSTER`].
pub const RECORD: u8 = 2;
/// See [`ROSTER`].
pub const FORGET: u8 = 3;

/// A verified entry to be stored.
#[derive(Clone, Debug)]
pub struct StoredEntry<'a> {
    /// Its place.
    pub index: LeafIndex,
    /// Its leaf hash.
    pub leaf_hash: Hash,
    /// Who signed it.
    pub author: DeviceId,
    /// Its place in the author's chain.
    pub author_seq: AuthorSeq,
    /// The header's kind.
    pub kind: u8,
    /// The header's epoch.
    pub epoch: Epoch,
    /// As it came.
    pub bytes: &'a [u8],
}

impl Read<'_> {
    /// The bytes of the entry at `index`.
    pub fn entry(&self, no: CommitteeNo, index: LeafIndex) -> Result<Option<Vec<u8>>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT bytes FROM entry WHERE committee = ?1 AND leaf_index = ?2")?;
        Ok(statement.query_row(params![no.0, int(index.0)], |row| row.get(0)).optional()?)
    }

    /// The last entry of a kind before `index`, and its place.
    pub fn last_of_kind(
        &self,
        no: CommitteeNo,
        kind: u8,
        before: LeafIndex,
    ) -> Result<Option<(LeafIndex, Vec<u8>)>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT leaf_index, bytes FROM entry
             WHERE committee = ?1 AND kind = ?2 AND leaf_index < ?3
             ORDER BY leaf_index DESC LIMIT 1",
        )?;
        let found = statement.query_row(params![no.0, kind, int(before.0)], |row| {
            Ok((LeafIndex(uint(row.get(0)?)), row.get(1)?))
        });
        Ok(found.optional()?)
    }

    /// Where the newest entry that a device signed stands.
    pub fn newest_of(
        &self,
        no: CommitteeNo,
        author: DeviceId,
    ) -> Result<Option<LeafIndex>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT leaf_index FROM entry WHERE committee = ?1 AND author = ?2
             ORDER BY author_seq DESC LIMIT 1",
        )?;
        let found = statement.query_row(params![no.0, author.as_bytes()], |row| row.get(0));
        Ok(found.optional()?.map(|index| LeafIndex(uint(index))))
    }

    /// The node of the tree at `position`.
    pub fn node(&self, no: CommitteeNo, position: u64) -> Result<Option<Hash>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT hash FROM node WHERE committee = ?1 AND position = ?2")?;
        let found = statement.query_row(params![no.0, int(position)], |row| Ok(Hash(row.get(0)?)));
        Ok(found.optional()?)
    }
}

impl Write<'_> {
    /// Stores an entry. A place that is taken is a defect of the caller: nothing is overwritten.
    pub fn put_entry(&self, no: CommitteeNo, entry: &StoredEntry<'_>) -> Result<(), VaultError> {
        self.transaction
            .prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                no.0,
                int(entry.index.0),
                entry.leaf_hash.as_bytes(),
                entry.author.as_bytes(),
                int(entry.author_seq.0),
                entry.kind,
                entry.epoch.0,
                entry.bytes,
            ])?;
        Ok(())
    }

    /// Puts an entry in the place of the same entry with its payload, or without it.
    pub fn replace_entry(
        &self,
        no: CommitteeNo,
        index: LeafIndex,
        bytes: &[u8],
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE entry SET bytes = ?3 WHERE committee = ?1 AND leaf_index = ?2",
            params![no.0, int(index.0), bytes],
        )?;
        Ok(())
    }

    /// Stores nodes that follow one another, the first at `position`.
    pub fn put_nodes(
        &self,
        no: CommitteeNo,
        position: u64,
        nodes: &[Hash],
    ) -> Result<(), VaultError> {
        let mut statement =
            self.transaction.prepare_cached("INSERT INTO node VALUES (?1, ?2, ?3)")?;
        for (position, node) in (position..).zip(nodes) {
            statement.execute(params![no.0, int(position), node.as_bytes()])?;
        }
        Ok(())
    }
}
