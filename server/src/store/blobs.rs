//! Blobs in files (SPEC.md §20.7).
//!
//! ```text
//! uploads/<committee>/<device>-<hash>.part   as it comes
//!     → uploads/<committee>/<device>-<hash>  whole, hash checked, durable; no entry names it
//!     → blobs/<committee>/<hash>             an entry names it
//!     → gone                                 all entries that named it are forgotten
//! ```
//!
//! Which blobs entries name, the index knows; a file follows: it is moved after the entry is durable and
//! never before, so whatever happens in between, a blob that is named is in one of the two places. What
//! lies there of a committee is listed once, when it is first asked for, and known from then on.
//!
//! Locks are taken in this order: what is [`Kept`] of a committee, the state of an upload that runs, and
//! then at most one of the others.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId};

use super::disk::{Disk, DiskFile};
use super::embedded::Inner;
use super::{BlobError, StoreError};

mod begin;
mod collect;
pub(super) mod folder;
mod forget;
mod reader;
mod scrub;
mod settle;
mod upload;

pub use reader::Reader;
pub use scrub::Scrubbed;
pub use upload::Upload;

use folder::Kept;
use upload::Running;

/// What blobs may take. The defaults are for a relay; tests use smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobOptions {
    /// Blobs and uploads of one committee together: some thousands of scans and a few films.
    pub committee_bytes_max: u64,
    /// No upload is begun that would leave less than this free: text must go on when scans no longer
    /// fit.
    pub reserve_bytes: u64,
    /// Uploads of one device in one committee that no entry names. A further one displaces the oldest
    /// that is not running.
    pub device_uploads_max: usize,
    /// Uploads of one device that run at a time: one, and one of another committee.
    pub device_running_max: usize,
    /// Uploads of one committee that run at a time: the others have as many left.
    pub committee_running_max: usize,
    /// Uploads that run at a time: each holds a MiB of memory and keeps the disk busy.
    pub running_max: usize,
    /// An upload that nothing was written to for so long, and that no entry names, is removed.
    pub unnamed_kept: Duration,
    /// So many bytes of an upload are written before they are synced, beside what comes next: so
    /// that the last sync is short.
    pub sync_every_bytes: u64,
}

impl BlobOptions {
    /// Those of a relay.
    pub const DEFAULT: Self = Self {
        committee_bytes_max: 256 * 1024 * 1024 * 1024,
        reserve_bytes: 256 * 1024 * 1024,
        device_uploads_max: 32,
        device_running_max: 2,
        committee_running_max: 8,
        running_max: 16,
        unnamed_kept: Duration::from_secs(30 * 24 * 60 * 60),
        sync_every_bytes: 16 * 1024 * 1024,
    };
}

impl Default for BlobOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What was counted since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobCounts {
    /// Bytes that came and were written.
    pub received_bytes: u64,
    /// Bytes that were read for those who asked.
    pub read_bytes: u64,
    /// Uploads that run now.
    pub running: u64,
    /// Blobs that entries name and that are missing or damaged, as far as that was noticed.
    pub damaged: u64,
    /// Uploads that were removed because no entry came to name them.
    pub collected: u64,
}

/// All blobs and uploads of a data folder.
#[derive(Debug)]
pub(super) struct Blobs {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    options: BlobOptions,
    committees: Mutex<HashMap<CommitteeId, Arc<Mutex<Option<Kept>>>>>,
    pins: Mutex<HashMap<(CommitteeId, Hash), usize>>,
    running: Mutex<Vec<Arc<Running>>>,
    /// What is to be moved or removed.
    settling: Mutex<VecDeque<Settling>>,
    wake: Condvar,
    closing: AtomicBool,
    /// Named by entries that are forgotten, and still to be removed.
    forgotten: Mutex<BTreeSet<(CommitteeId, Hash)>>,
    /// What is being read, and whether it was removed since: whoever reads it may read zeros.
    readers: Mutex<HashMap<(CommitteeId, Hash), Weak<AtomicBool>>>,
    /// The operator was told that forgotten ones could not be removed.
    said_forgotten: AtomicBool,
    /// Missing or damaged ones that were said.
    damaged: Mutex<BTreeSet<(CommitteeId, Hash)>>,
    /// A name could neither be made durable nor taken back: nothing more is done with names.
    stopped: AtomicBool,
    received_bytes: AtomicU64,
    read_bytes: AtomicU64,
    collected: AtomicU64,
}

/// Files follow what entries say.
#[derive(Debug)]
enum Settling {
    /// A durable entry names it: to be moved to its place.
    Named(CommitteeId, Blob),
    /// One that named it is forgotten: to be removed if no other does.
    Forgotten(CommitteeId, Hash),
    /// It was, and its bytes are to be written over from there on.
    Removed(Box<dyn DiskFile>, u64),
}

/// Holds blobs for an entry that is about to name them.
#[derive(Debug)]
pub struct Pin {
    blobs: Arc<Blobs>,
    committee: CommitteeId,
    hashes: Vec<Hash>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        {
            let mut pins = lock(&self.blobs.pins);
            for hash in &self.hashes {
                let key = (self.committee, *hash);
                match pins.get_mut(&key) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(pins.remove(&key)),
                }
            }
        }
        // Those that were forgotten meanwhile wait for nothing else.
        self.blobs.are_gone(self.committee, &self.hashes);
    }
}

impl Blobs {
    pub(super) fn new(disk: Arc<dyn Disk>, root: &Path, options: BlobOptions) -> Self {
        Self {
            disk,
            root: root.to_owned(),
            options,
            committees: Mutex::default(),
            pins: Mutex::default(),
            running: Mutex::default(),
            settling: Mutex::default(),
            wake: Condvar::new(),
            closing: AtomicBool::new(false),
            forgotten: Mutex::default(),
            readers: Mutex::default(),
            said_forgotten: AtomicBool::new(false),
            damaged: Mutex::default(),
            stopped: AtomicBool::new(false),
            received_bytes: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            collected: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> BlobCounts {
        BlobCounts {
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            read_bytes: self.read_bytes.load(Ordering::Relaxed),
            running: lock(&self.running).len() as u64,
            damaged: lock(&self.damaged).len() as u64,
            collected: self.collected.load(Ordering::Relaxed),
        }
    }

    /// Holds blobs, if all of them are here.
    pub(super) fn pin(
        self: &Arc<Self>,
        inner: &Inner,
        committee: CommitteeId,
        device: DeviceId,
        blobs: &[Blob],
    ) -> Result<Option<Pin>, StoreError> {
        self.with_kept(committee, |kept| {
            for blob in blobs {
                let size = self.whole(inner, kept, committee, device, blob.sha256)?;
                if size != Some(blob.size) {
                    return Ok(None);
                }
            }
            let hashes: Vec<Hash> = blobs.iter().map(|blob| blob.sha256).collect();
            let mut pins = lock(&self.pins);
            for hash in &hashes {
                *pins.entry((committee, *hash)).or_default() += 1;
            }
            drop(pins);
            Ok(Some(Pin { blobs: Arc::clone(self), committee, hashes }))
        })
    }

    /// The size of a blob that is wholly and durably here for that device.
    fn whole(
        &self,
        inner: &Inner,
        kept: &Kept,
        committee: CommitteeId,
        device: DeviceId,
        sha256: Hash,
    ) -> Result<Option<u64>, StoreError> {
        if let Some(upload) = kept.uploads.get(&(device, sha256)).filter(|upload| upload.whole) {
            return Ok(Some(upload.len()));
        }
        let Some(named) = inner.named_blob(committee, sha256)? else { return Ok(None) };
        let is_here = !self.is_damaged(committee, sha256)
            && (kept.blobs.get(&sha256) == Some(&named.size) || kept.waiting(named).is_some());
        Ok(is_here.then_some(named.size))
    }

    /// Whether nothing may be taken away: an entry is about to name it, or does.
    fn is_needed(
        &self,
        inner: &Inner,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<bool, StoreError> {
        // In this order: a pin goes only after the index knows what it was for.
        let pinned = lock(&self.pins).contains_key(&(committee, sha256));
        Ok(pinned || inner.named_blob(committee, sha256)?.is_some())
    }

    fn is_damaged(&self, committee: CommitteeId, sha256: Hash) -> bool {
        lock(&self.damaged).contains(&(committee, sha256))
    }

    /// Says once that a blob is missing or damaged.
    fn lost(&self, committee: CommitteeId, sha256: Hash) -> BlobError {
        if lock(&self.damaged).insert((committee, sha256)) {
            tracing::error!("a blob that an entry names is missing or damaged: run check");
        }
        BlobError::StoreLost
    }

    /// Whether anything may be done with names. One that is neither here nor there may yet come to
    /// light.
    fn ready(&self) -> Result<(), StoreError> {
        if self.stopped.load(Ordering::Relaxed) { Err(StoreError::StoreStopped) } else { Ok(()) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
