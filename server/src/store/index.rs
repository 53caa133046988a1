//! The index: what stands where, in sled. A pure cache of the journal.
//!
//! sled's `flush` is no fsync and a damaged database may not open, so nothing here is a promise.
//! One key, the mark, says up to which frame of the journal the index goes; it is written in the
//! same batch as what it vouches for. Changes are gathered in memory and handed to sled many at a
//! time, or when something is read. Whoever opens the index compares it with the journal and
//! makes it anew when it does not fit; the only thing that is lost then are cosignatures, which
//! devices post again.
//!
//! Keys begin with one letter. Committees are numbered in the order in which the journal names
//! them first, to keep keys short.
//!
//! | key | value |
//! |---|---|
//! | `m` | version; segment, offset, length and crc of the last frame; its sequence |
//! | `c` committee | number, size |
//! | `p` number, leaf index | segment, offset, length |
//! | `a` number, author, author_seq | leaf index, leaf hash |
//! | `b` number, SHA-256 of a blob, leaf index of an entry that names it | size |
//! | `f` number, leaf index of an entry that is forgotten and still to be dropped | nothing |
//! | `n` key | value of a note |
//! | `x` committee, device | cosignature |

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, CommitteeId, DeviceId, LeafIndex, TreeSize};

use super::StoreError;
use super::disk::{self, Disk};
use super::frame::{Appended, Reader};
use super::journal::segment::Place;
use super::journal::{FramePlace, Mark};
use super::notes::NoteChange;

const VERSION: u32 = 1;
/// sled's default of 1 GiB would be most of a small machine.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
const FLUSH_EVERY_MS: u64 = 1_000;
/// How long a database may hold its file after it was dropped.
const LOCK_MAX: Duration = Duration::from_secs(5);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Changes that may wait in memory. Measured: handing each group commit to sled by itself woke all
/// of its threads each time and took a quarter of the relay's processor time. A restart after a
/// kill reads the journal behind them again: some hundreds of entries.
const WAITING_MAX: usize = 1_024;

/// The file of an [`Opening`].
const MARKER: &str = "index.opening";

const MARK: &[u8] = b"m";
const COMMITTEE: u8 = b'c';
const PLACE: u8 = b'p';
const AUTHOR: u8 = b'a';
const BLOB: u8 = b'b';
/// Its value is empty as long as something of it may be on the disk, and then [`DROPPED`].
const FORGOTTEN: u8 = b'f';
const DROPPED: &[u8] = b"d";
const NOTE: u8 = b'n';
const COSIGNATURE: u8 = b'x';

/// A committee in the index: its number there, and how many entries are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Indexed {
    pub(super) number: u32,
    pub(super) size: TreeSize,
}

/// The database, and what it has not been given yet.
///
/// Whatever is read here is brought up to date first.
#[derive(Debug)]
pub(super) struct Index {
    database: RwLock<Database>,
    waiting: Mutex<IndexBatch>,
}

#[derive(Debug)]
enum Database {
    Open(sled::Db),
    /// It failed, and another one is to take its place.
    GivenUp,
    Closed,
}

/// What the index knows when it is opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) mark: Option<Mark>,
    pub(super) committees: Vec<(CommitteeId, Indexed)>,
    pub(super) notes: Vec<(Vec<u8>, Bytes)>,
    /// Numbers of committees, and what of theirs is forgotten and still to be dropped.
    pub(super) forgotten: Vec<(u32, LeafIndex)>,
    /// And what was dropped already.
    pub(super) dropped: Vec<(u32, LeafIndex)>,
}

/// Changes that become part of the index together.
#[derive(Debug, Default)]
pub(super) struct IndexBatch {
    /// The last value of each key; none removes it.
    values: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Roughly how much it changes, so that a rebuild goes in steps.
    pub(super) changes: usize,
}

impl IndexBatch {
    pub(super) fn append(&mut self, number: u32, segment: u32, at: u64, appended: &Appended) {
        for (entry, index) in appended.entries.iter().zip(appended.first.0..) {
            let offset = u32::try_from(at).expect("segments end far below 4 GiB") + entry.offset;
            let value = [segment, offset, entry.len].map(u32::to_be_bytes).concat();
            self.insert(place_key(number, LeafIndex(index)), value);
            let mut value = index.to_be_bytes().to_vec();
            value.extend_from_slice(entry.leaf_hash.as_bytes());
            self.insert(author_key(number, entry.author, entry.author_seq), value);
            for blob in entry.blobs.iter().filter(|_| !entry.dropped) {
                let key = blob_key(number, blob.sha256, LeafIndex(index));
                self.insert(key, blob.size.to_be_bytes().to_vec());
            }
        }
    }

    /// An entry is forgotten: from now on it names no blobs, and is to be dropped.
    pub(super) fn forget(&mut self, number: u32, index: LeafIndex) {
        self.insert(forgotten_key(number, index), Vec::new());
    }

    pub(super) fn committee(&mut self, committee: CommitteeId, indexed: Indexed) {
        let mut value = indexed.number.to_be_bytes().to_vec();
        value.extend_from_slice(&indexed.size.0.to_be_bytes());
        self.insert(key(COMMITTEE, &[committee.as_bytes()]), value);
    }

    pub(super) fn note(&mut self, change: &NoteChange) {
        let value = change.value.as_ref().map(|value| value.to_vec());
        self.values.insert(key(NOTE, &[&change.key]), value);
        self.changes += 1;
    }

    fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.values.insert(key, Some(value));
        self.changes += 1;
    }

    fn extend(&mut self, later: Self) {
        self.values.extend(later.values);
        self.changes += later.changes;
    }

    fn mark(&mut self, mark: &Mark) {
        let Mark { place, sequence } = mark;
        let mut value = VERSION.to_be_bytes().to_vec();
        value.extend_from_slice(&place.segment.to_be_bytes());
        value.extend_from_slice(&place.offset.to_be_bytes());
        value.extend_from_slice(&place.len.to_be_bytes());
        value.extend_from_slice(&place.crc.to_be_bytes());
        value.extend_from_slice(&sequence.to_be_bytes());
        self.insert(MARK.to_vec(), value);
    }
}

impl Index {
    /// Opens the index in `folder`, or an empty one that vanishes with it when the disk has no
    /// place for libraries. An error means that it should be removed and made anew.
    pub(super) fn open(folder: Option<&PathBuf>) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .mode(sled::Mode::HighThroughput);
        let config = match folder {
            Some(folder) => config.path(folder),
            None => config.temporary(true),
        };
        let began = Instant::now();
        let database = loop {
            match config.open() {
                Err(error) if is_held(&error) && began.elapsed() < LOCK_MAX => {
                    #[expect(clippy::disallowed_methods, reason = "sled tells nobody when")]
                    std::thread::sleep(LOCK_LOOK_EVERY);
                }
                opened => break opened.map_err(|error| failed(&error))?,
            }
        };
        Ok(Self { database: RwLock::new(Database::Open(database)), waiting: Mutex::default() })
    }

    /// Reads everything that is held in memory. `None`: no index of this version, or one that
    /// does not decode.
    pub(super) fn contents(&self) -> Result<Option<Contents>, StoreError> {
        self.with(|database| {
            let Some(mark) = database.get(MARK)? else { return Ok(None) };
            let Some(mark) = decode_mark(&mark) else { return Ok(None) };
            let mut contents = Contents { mark: Some(mark), ..Contents::default() };
            for row in database.scan_prefix([COMMITTEE]) {
                let (key, value) = row?;
                let Some(committee) = decode_committee(&key, &value) else { return Ok(None) };
                contents.committees.push(committee);
            }
            for row in database.scan_prefix([NOTE]) {
                let (key, value) = row?;
                contents.notes.push((key[1..].to_vec(), Bytes::copy_from_slice(&value)));
            }
            for row in database.scan_prefix([FORGOTTEN]) {
                let (key, value) = row?;
                let Some(forgotten) = decode_forgotten(&key) else { return Ok(None) };
                let of_its_kind = match &*value {
                    DROPPED => &mut contents.dropped,
                    _ => &mut contents.forgotten,
                };
                of_its_kind.push(forgotten);
            }
            Ok(Some(contents))
        })
    }

    /// Applies a batch that brings the index up to `mark`, whole or not at all.
    pub(super) fn apply(&self, mut batch: IndexBatch, mark: &Mark) -> Result<(), StoreError> {
        batch.mark(mark);
        let mut waiting = self.waiting();
        waiting.extend(batch);
        if waiting.changes < WAITING_MAX {
            return Ok(());
        }
        self.hand_over(&mut waiting)
    }

    /// An entry that named these blobs was dropped, and they are gone where nothing else names them.
    pub(super) fn dropped(&self, number: u32, index: LeafIndex, blobs: &[Hash]) {
        let mut waiting = self.waiting();
        for sha256 in blobs {
            waiting.values.insert(blob_key(number, *sha256, index), None);
        }
        waiting.values.insert(forgotten_key(number, index), Some(DROPPED.to_vec()));
        waiting.changes += blobs.len() + 1;
    }

    /// What was dropped is on the disk again.
    pub(super) fn is_back(&self, number: u32, index: LeafIndex) {
        let mut waiting = self.waiting();
        waiting.values.insert(forgotten_key(number, index), Some(Vec::new()));
        waiting.changes += 1;
    }

    /// What is forgotten and still to be dropped, with the numbers of committees.
    pub(super) fn forgotten(&self) -> Result<Vec<(u32, LeafIndex)>, StoreError> {
        let rows = self.with(|database| {
            let rows = database.scan_prefix([FORGOTTEN]);
            rows.collect::<sled::Result<Vec<_>>>()
        })?;
        let pending = rows.iter().filter(|(_, value)| &**value != DROPPED);
        pending.map(|(key, _)| decode_forgotten(key).ok_or_else(undecodable)).collect()
    }

    /// Gives the database what waits for it, in one batch. What it does not take waits on.
    fn hand_over(&self, waiting: &mut IndexBatch) -> Result<(), StoreError> {
        if waiting.changes == 0 {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for (key, value) in &waiting.values {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.ask(|database| database.apply_batch(batch))?;
        *waiting = IndexBatch::default();
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, IndexBatch> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The places of entries from `from` on, as many as `max_bytes` holds, but at least one if
    /// there is any.
    pub(super) fn places(
        &self,
        number: u32,
        from: LeafIndex,
        max_bytes: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let first = place_key(number, from);
        let end = place_key(number, LeafIndex(u64::MAX));
        self.with(|database| {
            let mut places = Vec::new();
            let (mut bytes, mut index) = (0, from.0);
            for row in database.range(first..end) {
                let (key, value) = row?;
                if key != place_key(number, LeafIndex(index)) {
                    break;
                }
                let Some(place) = decode_place(&value) else { break };
                bytes += place.len as usize;
                if bytes > max_bytes && !places.is_empty() {
                    break;
                }
                places.push(place);
                index += 1;
            }
            Ok(places)
        })
    }

    pub(super) fn find(
        &self,
        number: u32,
        author: DeviceId,
        author_seq: AuthorSeq,
    ) -> Result<Option<(LeafIndex, Hash)>, StoreError> {
        let found = self.with(|database| database.get(author_key(number, author, author_seq)))?;
        let Some(value) = found else { return Ok(None) };
        let mut reader = Reader(&value);
        match (reader.u64(), reader.hash()) {
            (Some(index), Some(leaf)) => Ok(Some((LeafIndex(index), leaf))),
            _ => Err(undecodable()),
        }
    }

    /// The blob with that hash, when an entry of the committee with that number names it which is
    /// not forgotten.
    pub(super) fn blob(&self, number: u32, sha256: Hash) -> Result<Option<Blob>, StoreError> {
        let named = self.named(key(BLOB, &[&blob_prefix(number, sha256)]), 1)?;
        Ok(named.first().copied())
    }

    /// The blobs that entries of the committee with that number name which are not forgotten, each
    /// once, in order.
    pub(super) fn blobs(&self, number: u32) -> Result<Vec<Blob>, StoreError> {
        let mut found = self.named(key(BLOB, &[&number.to_be_bytes()]), usize::MAX)?;
        found.dedup_by_key(|blob| blob.sha256);
        Ok(found)
    }

    /// At most `max` blobs below a prefix, one for each entry that names one and is not forgotten.
    fn named(&self, prefix: Vec<u8>, max: usize) -> Result<Vec<Blob>, StoreError> {
        let decoded = self.with(|database| {
            let mut found = Vec::new();
            for row in database.scan_prefix(prefix) {
                let (key, value) = row?;
                let Some((number, blob, index)) = decode_blob(&key, &value) else {
                    return Ok(None);
                };
                // In this order: both go at once when the entry is dropped.
                let is_forgotten = database.contains_key(forgotten_key(number, index))?;
                if !is_forgotten && database.contains_key(&key)? {
                    found.push(blob);
                }
                if found.len() >= max {
                    break;
                }
            }
            Ok(Some(found))
        })?;
        decoded.ok_or_else(undecodable)
    }

    pub(super) fn put_cosignature(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let key = key(COSIGNATURE, &[committee.as_bytes(), device.as_bytes()]);
        self.with(|database| database.insert(key, bytes)).map(drop)
    }

    pub(super) fn cosignatures(
        &self,
        committee: CommitteeId,
    ) -> Result<Vec<(DeviceId, Bytes)>, StoreError> {
        self.with(|database| {
            let mut found = Vec::new();
            for row in database.scan_prefix(key(COSIGNATURE, &[committee.as_bytes()])) {
                let (key, value) = row?;
                if let Some(device) = Reader(&key[33..]).hash() {
                    found.push((DeviceId(device), Bytes::copy_from_slice(&value)));
                }
            }
            Ok(found)
        })
    }

    /// Hands what is in memory to the operating system and lets go of the files.
    pub(super) fn close(&self) {
        if let Err(error) = self.hand_over(&mut self.waiting()) {
            tracing::warn!(%error, "the index is behind: it will be brought up to date");
        }
        if let Database::Open(database) = self.put(Database::Closed)
            && let Err(error) = database.flush()
        {
            let error = failed(&error);
            tracing::warn!(%error, "the index was not flushed: it will be brought up to date");
        }
    }

    /// Lets go of a database that failed; what waits for it is in the journal. Nothing is found until
    /// [`Self::replace`].
    pub(super) fn give_up(&self) {
        *self.waiting() = IndexBatch::default();
        let database = self.put(Database::GivenUp);
        // It tries to write what it has once more, and on a full disk may do anything.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }

    /// Puts a new database in place of one that was given up.
    pub(super) fn replace(&self, new: Self) {
        let database = new.database.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.waiting() = new.waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.put(database);
    }

    /// Puts a database in place of the one there is, which is given back.
    fn put(&self, database: Database) -> Database {
        let mut held = self.database.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut held, database)
    }

    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        self.hand_over(&mut self.waiting())?;
        self.ask(work)
    }

    fn ask<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = match &*database {
            Database::Open(database) => database,
            Database::GivenUp => return Err(StoreError::StoreIndex("it failed".to_owned())),
            Database::Closed => return Err(StoreError::StoreStopped),
        };
        // sled panics on some damage, when it comes to it.
        match catch_unwind(AssertUnwindSafe(|| work(database))) {
            Ok(done) => done.map_err(|error| failed(&error)),
            Err(_) => Err(StoreError::StoreIndex("reading it panicked".to_owned())),
        }
    }
}

/// The database is locked. The data folder is this process's alone, so it is the one before, whose
/// last thread is about to end.
fn is_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("acquire lock"))
}

/// In words of our own: sled's may quote what stands in the index.
fn failed(error: &sled::Error) -> StoreError {
    StoreError::StoreIndex(match error {
        sled::Error::Io(error) => error.to_string(),
        sled::Error::Corruption { .. } => "it is damaged".to_owned(),
        sled::Error::Unsupported(_)
        | sled::Error::CollectionNotFound(_)
        | sled::Error::ReportableBug(_) => "sled does not take it".to_owned(),
    })
}

fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![letter];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn place_key(number: u32, index: LeafIndex) -> Vec<u8> {
    key(PLACE, &[&number.to_be_bytes(), &index.0.to_be_bytes()])
}

fn author_key(number: u32, author: DeviceId, author_seq: AuthorSeq) -> Vec<u8> {
    key(AUTHOR, &[&number.to_be_bytes(), author.as_bytes(), &author_seq.0.to_be_bytes()])
}

fn blob_prefix(number: u32, blob: Hash) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), blob.as_bytes()].concat()
}

fn blob_key(number: u32, blob: Hash, index: LeafIndex) -> Vec<u8> {
    key(BLOB, &[&blob_prefix(number, blob), &index.0.to_be_bytes()])
}

fn forgotten_key(number: u32, index: LeafIndex) -> Vec<u8> {
    key(FORGOTTEN, &[&number.to_be_bytes(), &index.0.to_be_bytes()])
}

fn decode_forgotten(key: &[u8]) -> Option<(u32, LeafIndex)> {
    let mut reader = Reader(key.get(1..)?);
    Some((reader.u32()?, LeafIndex(reader.u64()?)))
}

fn decode_mark(value: &[u8]) -> Option<Mark> {
    let mut reader = Reader(value);
    (reader.u32()? == VERSION).then_some(())?;
    let place = FramePlace {
        segment: reader.u32()?,
        offset: reader.u64()?,
        len: reader.u64()?,
        crc: reader.u32()?,
    };
    Some(Mark { place, sequence: reader.u64()? })
}

fn decode_committee(key: &[u8], value: &[u8]) -> Option<(CommitteeId, Indexed)> {
    let committee = CommitteeId(Reader(key.get(1..)?).hash()?);
    let mut reader = Reader(value);
    Some((committee, Indexed { number: reader.u32()?, size: TreeSize(reader.u64()?) }))
}

/// The number of a committee, a blob, and the leaf index of an entry that names it.
fn decode_blob(key: &[u8], value: &[u8]) -> Option<(u32, Blob, LeafIndex)> {
    let mut reader = Reader(key.get(1..)?);
    let number = reader.u32()?;
    let blob = Blob { sha256: reader.hash()?, size: Reader(value).u64()? };
    Some((number, blob, LeafIndex(reader.u64()?)))
}

fn undecodable() -> StoreError {
    StoreError::StoreIndex("a value does not decode".to_owned())
}

fn decode_place(value: &[u8]) -> Option<Place> {
    let mut reader = Reader(value);
    Some(Place { segment: reader.u32()?, offset: reader.u32()?, len: reader.u32()? })
}

/// A file that stands while the index is being opened, or is in doubt. If it is found at a start,
/// the last one died in there (sled panics on some damage), or an entry was not where the index
/// said: the index is made anew instead of dying on it for ever. It holds the number of the last
/// frame that was durable when the doubt arose; 0 when that is not known.
#[derive(Debug)]
pub(super) struct Opening<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
}

impl<'d> Opening<'d> {
    /// Begins, with the last frame that is known to be durable; gives what an earlier opening that
    /// never ended said of that.
    pub(super) fn begin(
        disk: &'d dyn Disk,
        root: &Path,
        durable: u64,
    ) -> Result<(Self, Option<u64>), StoreError> {
        let path = root.join(MARKER);
        let doubt = begin_at(disk, &path, durable).map_err(StoreError::io("opening the index"))?;
        Ok((Self { disk, path }, doubt))
    }

    /// Whether an earlier opening never ended, or the index is in doubt.
    pub(super) fn is_under_way(disk: &dyn Disk, root: &Path) -> Result<bool, StoreError> {
        let found = disk::read_file(disk, &root.join(MARKER));
        Ok(found.map_err(StoreError::io("looking at the index"))?.is_some())
    }

    pub(super) fn end(self) -> Result<(), StoreError> {
        disk::remove_if_there(self.disk, &self.path).map_err(StoreError::io("opening the index"))
    }
}

fn begin_at(disk: &dyn Disk, path: &Path, durable: u64) -> io::Result<Option<u64>> {
    if let Some(found) = disk::read_file(disk, path)? {
        return Ok(Some(Reader(&found).u64().unwrap_or(0)));
    }
    disk.create(path)?.write_all_at(&durable.to_be_bytes(), 0)?;
    Ok(None)
}

#[cfg(test)]
mod tests;
