//! Blobs of forgotten entries go, unless another entry names them.

use std::io;
use std::sync::atomic::Ordering;

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::CommitteeId;

use super::super::StoreError;
use super::super::disk::{DiskFile, remove_if_there};
use super::super::embedded::Inner;
use super::folder::Kept;
use super::{Blobs, Settling, lock};

/// Bytes written over at once …
const WIPE_STEP_BYTES: u64 = 1024 * 1024;
/// … and in one turn: a film is not what everybody's blobs wait for.
const WIPE_TURN_BYTES: u64 = 64 * 1024 * 1024;
/// Files without a name that wait to be written over. Each is held open, so more are let go as they are.
pub(super) const WIPES_WAITING_MAX: usize = 64;

/// Files that have no name any more, and are still to be written over.
pub(super) type Removed = Vec<Box<dyn DiskFile>>;

impl Blobs {
    /// An entry that named these is forgotten: they are to be removed where nothing else names them.
    pub(in crate::store) fn forgotten(&self, committee: CommitteeId, blobs: &[Hash]) {
        lock(&self.forgotten).extend(blobs.iter().map(|sha256| (committee, *sha256)));
        self.remove_soon(committee, blobs);
    }

    /// Whether nothing of these is still to be removed; what is, is tried again.
    pub(in crate::store) fn are_gone(&self, committee: CommitteeId, blobs: &[Hash]) -> bool {
        let left: Vec<Hash> = {
            let forgotten = lock(&self.forgotten);
            let of = |sha256: &&Hash| forgotten.contains(&(committee, **sha256));
            blobs.iter().filter(of).copied().collect()
        };
        self.remove_soon(committee, &left);
        left.is_empty()
    }

    fn remove_soon(&self, committee: CommitteeId, blobs: &[Hash]) {
        self.settle_soon(blobs.iter().map(|sha256| Settling::Forgotten(committee, *sha256)));
    }

    /// Removes a blob that was forgotten, if that may be; and has it noted.
    pub(super) fn remove_forgotten(&self, inner: &Inner, committee: CommitteeId, sha256: Hash) {
        let removed =
            self.with_kept(committee, |kept| self.take_names(inner, kept, committee, sha256));
        match removed {
            Ok(removed) => {
                self.said_forgotten.store(false, Ordering::Relaxed);
                removed.into_iter().for_each(|file| self.wipe(file, 0));
                if !lock(&self.forgotten).contains(&(committee, sha256)) {
                    inner.queue().drop_forgotten(inner.drop_after());
                }
            }
            Err(error) => {
                if !self.said_forgotten.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "forgotten blobs could not be removed yet");
                }
                inner.drop_failed();
            }
        }
    }

    /// Takes the names of what there is of a forgotten blob, durably; it may be sent again from then on.
    /// Nothing while an entry may be about to name it, and nothing ever when one does.
    ///
    /// The bytes are for the caller to write over, when nobody waits. Not before: a file under that name
    /// that holds anything else would be taken for the blob.
    pub(super) fn take_names(
        &self,
        inner: &Inner,
        kept: &mut Kept,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<Removed, StoreError> {
        if !lock(&self.forgotten).contains(&(committee, sha256)) {
            return Ok(Removed::new());
        }
        // In this order: a pin goes only after the index knows what it was for, or writing has stopped.
        if lock(&self.pins).contains_key(&(committee, sha256)) {
            return Ok(Removed::new());
        }
        if inner.named_blob(committee, sha256)?.is_some() {
            lock(&self.forgotten).remove(&(committee, sha256));
            return Ok(Removed::new());
        }
        // An entry whose outcome is unknown may name it.
        if let Err(StoreError::StoreStopped) = inner.ready() {
            return Err(StoreError::StoreStopped);
        }
        self.ready()?;
        let removed = self
            .take_all_names(kept, committee, sha256)
            .map_err(StoreError::io("removing a forgotten blob"))?;
        self.end_reading(committee, sha256);
        lock(&self.damaged).remove(&(committee, sha256));
        lock(&self.forgotten).remove(&(committee, sha256));
        Ok(removed)
    }

    /// Uploads of it go too, and those that run end: what came of them was sent before it was forgotten.
    fn take_all_names(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
        sha256: Hash,
    ) -> io::Result<Removed> {
        let mut removed = Removed::new();
        let uploads = kept.uploads.iter().filter(|(of, _)| of.1 == sha256);
        let uploads: Vec<_> = uploads.map(|(of, lying)| (*of, lying.whole)).collect();
        let running = uploads.iter().filter_map(|(of, _)| self.running_of(committee, *of));
        running.for_each(|running| drop(self.end(&running)));
        let mut paths = vec![self.blob_path(committee, sha256)];
        paths.extend(uploads.iter().map(|(of, whole)| self.upload_path(committee, *of, *whole)));
        for path in &paths {
            // One that cannot be opened is removed all the same.
            removed.extend(self.disk.open(path).ok());
            remove_if_there(self.disk.as_ref(), path)?;
        }
        kept.blobs.remove(&sha256);
        uploads.iter().for_each(|(of, _)| drop(kept.uploads.remove(of)));
        // Both, also when nothing was there: perhaps it was taken away before, and not durably.
        for folder in [self.blob_folder(committee), self.upload_folder(committee)] {
            match self.disk.sync_folder(&folder) {
                // Nothing was ever in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => synced?,
            }
        }
        Ok(removed)
    }

    /// Has files written over that have no name any more.
    pub(super) fn wipe_soon(&self, removed: Removed) {
        removed.into_iter().for_each(|file| self.wipe_later(file, 0));
    }

    fn wipe_later(&self, file: Box<dyn DiskFile>, from: u64) {
        let mut waiting = lock(&self.settling);
        let wipes = waiting.iter().filter(|one| matches!(one, Settling::Removed(..))).count();
        if wipes < WIPES_WAITING_MAX {
            waiting.push_back(Settling::Removed(file, from));
            self.wake.notify_one();
        }
    }

    /// Writes zeros over a file that has no name any more: what a disk keeps underneath nobody knows, so
    /// this is as much as can be done, and no promise. Ends early when the store is closed, and goes on
    /// in turns with others.
    pub(super) fn wipe(&self, file: Box<dyn DiskFile>, from: u64) {
        let Ok(len) = file.len() else { return };
        let zeros = vec![0; usize::try_from(len.min(WIPE_STEP_BYTES)).expect("at most a step")];
        let mut at = from;
        while at < len && !self.is_closing() {
            if at >= from + WIPE_TURN_BYTES {
                let _ = file.sync();
                return self.wipe_later(file, at);
            }
            let step = usize::try_from((len - at).min(WIPE_STEP_BYTES)).expect("at most a step");
            if file.write_all_at(&zeros[..step], at).is_err() {
                return;
            }
            at += step as u64;
        }
        let _ = file.sync();
    }
}
