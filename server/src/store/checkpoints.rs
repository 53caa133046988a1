//! The last checkpoint signed for each committee, kept twice (SPEC.md §20.6).
//!
//! It is written before the note goes out, so a kill cannot lose it, and synced about a second
//! later. Two files a committee take turns: after a sync the other one is written, so whatever
//! tears the newer leaves the older whole. When the store opens, a log shorter than either says
//! was rolled back, and is not served.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealpost_protocol::id::{CommitteeId, TreeSize};
use sealpost_protocol::limits::NOTE_BYTES_MAX;

use super::StoreError;
use super::disk::{self, Disk, DiskFile};
use super::frame::Reader;

/// How long a signed checkpoint may wait for its sync.
const SYNC_EVERY: Duration = Duration::from_secs(1);
pub(super) const SIDES: [&str; 2] = ["a", "b"];

/// The checkpoint files of all committees.
#[derive(Debug)]
pub(super) struct Checkpoints {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    slots: Mutex<HashMap<CommitteeId, Arc<Mutex<Slot>>>>,
    failed: AtomicBool,
    pace: Mutex<Pace>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    size: TreeSize,
    note: String,
    /// Which of the two files is written next.
    side: usize,
    dirty: bool,
    /// Both files say the same.
    settled: bool,
}

#[derive(Debug, Default)]
struct Pace {
    dirty: bool,
    closing: bool,
}

impl Checkpoints {
    /// Reads both files of every committee; the newer sound one of each counts.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: PathBuf) -> Result<Self, StoreError> {
        let reading = "reading the signed checkpoints";
        let mut slots: HashMap<CommitteeId, Slot> = HashMap::new();
        for (side, name) in SIDES.iter().enumerate() {
            let side_folder = folder.join(name);
            for file in disk.list(&side_folder).map_err(StoreError::io(reading))? {
                let Ok(committee) = file.parse::<CommitteeId>() else { continue };
                let path = side_folder.join(file);
                let bytes =
                    disk::read_file(disk.as_ref(), &path).map_err(StoreError::io(reading))?;
                let slot = slots.entry(committee).or_default();
                match decode(committee, &bytes.unwrap_or_default()) {
                    Some((size, note)) if size >= slot.size => {
                        *slot = Slot { size, note, side: 1 - side, dirty: false, settled: true };
                    }
                    Some(_) => {}
                    None => tracing::warn!(side = name, "a signed checkpoint is damaged"),
                }
            }
        }
        let slots = slots.into_iter().map(|(id, slot)| (id, Arc::new(Mutex::new(slot))));
        Ok(Self {
            disk,
            folder,
            slots: Mutex::new(slots.collect()),
            failed: AtomicBool::new(false),
            pace: Mutex::default(),
            wake: Condvar::new(),
        })
    }

    /// Every size signed for.
    pub(super) fn signed(&self) -> Vec<(CommitteeId, TreeSize)> {
        let slots = lock(&self.slots);
        slots.iter().map(|(committee, slot)| (*committee, lock(slot).size)).collect()
    }

    pub(super) fn last(&self, committee: CommitteeId) -> Option<(TreeSize, String)> {
        let slot = lock(&self.slots).get(&committee).cloned()?;
        let slot = lock(&slot);
        (!slot.note.is_empty()).then(|| (slot.size, slot.note.clone()))
    }

    /// Whether what was recorded could not be made durable: nothing is recorded any more.
    pub(super) fn have_failed(&self) -> bool {
        self.failed.load(atomic::Ordering::Acquire)
    }

    /// Writes the note, unless a larger size is recorded already.
    pub(super) fn record(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        note: &str,
    ) -> Result<(), StoreError> {
        if self.have_failed() {
            return Err(StoreError::StoreStopped);
        }
        let recording = "recording a signed checkpoint";
        if note.len() > NOTE_BYTES_MAX {
            return Err(StoreError::io(recording)(io::ErrorKind::InvalidInput.into()));
        }
        let slot = Arc::clone(lock(&self.slots).entry(committee).or_default());
        {
            let mut slot = lock(&slot);
            match size.cmp(&slot.size) {
                Ordering::Less => return Ok(()),
                Ordering::Equal if note == slot.note => return Ok(()),
                Ordering::Equal if !slot.note.is_empty() => return Err(StoreError::StoreForked),
                Ordering::Equal | Ordering::Greater => {}
            }
            let path = self.path(committee, slot.side);
            self.write(&path, &encode(committee, size, note)).map_err(StoreError::io(recording))?;
            (slot.size, slot.note) = (size, note.to_owned());
            (slot.dirty, slot.settled) = (true, false);
        }
        let mut pace = lock(&self.pace);
        if !pace.dirty {
            pace.dirty = true;
            self.wake.notify_all();
        }
        Ok(())
    }

    /// Makes durable what was recorded; the other file of each is written next. After a failure
    /// nothing is recorded any more: a checkpoint that may vanish must not go out.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        lock(&self.pace).dirty = false;
        let mut synced = Ok(());
        for (committee, slot) in self.slots() {
            let mut slot = lock(&slot);
            if slot.dirty {
                let path = self.path(committee, slot.side);
                let one = self.sync_one(&path);
                if one.is_ok() {
                    (slot.side, slot.dirty) = (1 - slot.side, false);
                }
                synced = synced.and(one);
            }
        }
        synced.map_err(|error| {
            self.failed.store(true, atomic::Ordering::Release);
            tracing::error!(%error, "signed checkpoints are not durable: signing stops");
            StoreError::io("syncing the signed checkpoints")(error)
        })
    }

    /// Brings the older file of each up to the newer one, durably.
    fn settle(&self) -> Result<(), StoreError> {
        for (committee, slot) in self.slots() {
            let mut slot = lock(&slot);
            if !slot.settled {
                let path = self.path(committee, slot.side);
                self.write(&path, &encode(committee, slot.size, &slot.note))
                    .map_err(StoreError::io("recording a signed checkpoint"))?;
                (slot.dirty, slot.settled) = (true, true);
            }
        }
        self.sync()
    }

    fn slots(&self) -> Vec<(CommitteeId, Arc<Mutex<Slot>>)> {
        let slots = lock(&self.slots);
        slots.iter().map(|(committee, slot)| (*committee, Arc::clone(slot))).collect()
    }

    /// Syncs at most once a second, until `close`.
    pub(super) fn keep_synced(&self) {
        loop {
            let mut pace = lock(&self.pace);
            while !pace.dirty && !pace.closing {
                pace = self.wake.wait(pace).unwrap_or_else(PoisonError::into_inner);
            }
            // Lets a second of checkpoints gather; a call to close ends the wait.
            let pace = self
                .wake
                .wait_timeout_while(pace, SYNC_EVERY, |pace| !pace.closing)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            let closing = pace.closing;
            drop(pace);
            let synced = self.sync();
            if closing {
                let settled = synced.and_then(|()| self.settle());
                if let Err(error) = settled {
                    tracing::warn!(%error, "signed checkpoints are not kept twice");
                }
                return;
            }
            if synced.is_err() {
                return;
            }
        }
    }

    pub(super) fn close(&self) {
        lock(&self.pace).closing = true;
        self.wake.notify_all();
    }

    fn path(&self, committee: CommitteeId, side: usize) -> PathBuf {
        self.folder.join(SIDES[side]).join(committee.to_string())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file: Box<dyn DiskFile> = match self.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.disk.create(path)?,
            opened => opened?,
        };
        file.write_all_at(bytes, 0)
    }

    fn sync_one(&self, path: &Path) -> io::Result<()> {
        self.disk.open(path)?.sync()?;
        self.disk.sync_folder(path.parent().unwrap_or(&self.folder))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(committee: CommitteeId, size: TreeSize, note: &str) -> Vec<u8> {
    let len = u32::try_from(note.len()).expect("limited by NOTE_BYTES_MAX");
    let mut bytes = size.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(note.as_bytes());
    let crc = crc(committee, &bytes);
    [&crc.to_be_bytes()[..], &bytes].concat()
}

/// Bytes behind the note are left from a longer one.
pub(super) fn decode(committee: CommitteeId, file: &[u8]) -> Option<(TreeSize, String)> {
    let mut reader = Reader(file);
    let sum = reader.u32()?;
    let body = reader.0;
    let size = TreeSize(reader.u64()?);
    let len = usize::try_from(reader.u32()?).ok()?;
    let note = reader.take(len)?;
    (crc(committee, &body[..12 + len]) == sum).then_some(())?;
    Some((size, String::from_utf8(note.to_vec()).ok()?))
}

fn crc(committee: CommitteeId, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(committee.as_bytes()), bytes)
}

#[cfg(test)]
mod tests;
