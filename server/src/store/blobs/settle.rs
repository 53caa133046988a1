//! Files follow what entries say: a blob that is named moves to its place.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId};

use super::super::StoreError;
use super::super::disk::remove_if_there;
use super::super::embedded::Inner;
use super::begin::write_error;
use super::folder::Kept;
use super::{Blobs, Settling, lock};

impl Blobs {
    /// Durable entries name these; their files are moved soon.
    pub(in crate::store) fn named(
        &self,
        committee: CommitteeId,
        blobs: impl IntoIterator<Item = Blob>,
    ) {
        self.settle_soon(blobs.into_iter().map(|blob| Settling::Named(committee, blob)));
    }

    pub(super) fn settle_soon(&self, work: impl IntoIterator<Item = Settling>) {
        let mut waiting = lock(&self.settling);
        waiting.extend(work);
        if !waiting.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Moves files as they are named, and removes them as they are forgotten, until closed.
    pub(in crate::store) fn keep_settled(&self, inner: &Inner) {
        loop {
            let next = {
                let waiting = lock(&self.settling);
                let mut waiting = self
                    .wake
                    .wait_while(waiting, |waiting| waiting.is_empty() && !self.is_closing())
                    .unwrap_or_else(PoisonError::into_inner);
                waiting.pop_front()
            };
            match next {
                // Forgotten meanwhile: what is there of it now is an upload that nothing names.
                Some(Settling::Named(committee, blob))
                    if matches!(inner.named_blob(committee, blob.sha256), Ok(None)) => {}
                Some(Settling::Named(committee, blob)) => {
                    if let Err(error) = self.settle(committee, blob) {
                        tracing::warn!(%error, "a blob that an entry names is not in its place yet");
                    }
                }
                // The next start goes on with it.
                Some(Settling::Forgotten(..)) if self.is_closing() => {}
                Some(Settling::Forgotten(committee, sha256)) => {
                    self.remove_forgotten(inner, committee, sha256);
                }
                Some(Settling::Removed(file, from)) => self.wipe(file, from),
                None => return,
            }
        }
    }

    /// Lets [`Self::keep_settled`] end when nothing waits.
    pub(in crate::store) fn close(&self) {
        {
            let _waiting = lock(&self.settling);
            self.closing.store(true, Ordering::Relaxed);
        }
        self.wake.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Moves the file of a blob that an entry names to its place, if it is not there.
    pub(super) fn settle(&self, committee: CommitteeId, blob: Blob) -> Result<(), StoreError> {
        self.ready()?;
        self.with_kept(committee, |kept| {
            let is_damaged = self.is_damaged(committee, blob.sha256);
            if is_damaged || kept.blobs.get(&blob.sha256) != Some(&blob.size) {
                let Some(device) = kept.waiting(blob) else { return Ok(()) };
                self.move_into_place(kept, committee, (device, blob.sha256))?;
                if lock(&self.damaged).remove(&(committee, blob.sha256)) {
                    tracing::info!("a blob that was missing or damaged was sent again");
                }
            }
            self.drop_copies(kept, committee, blob.sha256)
        })
    }

    fn move_into_place(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
        of: (DeviceId, Hash),
    ) -> Result<(), StoreError> {
        let full = |error| write_error("moving a blob to its place", error);
        let folder = self.blob_folder(committee);
        let (from, to) = (self.upload_path(committee, of, true), self.blob_path(committee, of.1));
        self.make_blob_folder(kept, committee).map_err(full)?;
        self.rename(&from, &to).map_err(full)?;
        if let Err(error) = self.disk.sync_folder(&folder) {
            // The old name must not go before the new one is durable.
            if self.rename(&to, &from).is_err() {
                self.stopped.store(true, Ordering::Relaxed);
                tracing::error!("a blob could not be moved: no more are taken until a restart");
            }
            return Err(full(error));
        }
        if let Some(lying) = kept.uploads.remove(&of) {
            kept.blobs.insert(of.1, lying.len());
        }
        self.disk.sync_folder(&self.upload_folder(committee)).map_err(full)
    }

    /// Removes what other devices sent of a blob that is in its place.
    fn drop_copies(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<(), StoreError> {
        let whole = kept.uploads.iter().filter(|((_, hash), lying)| *hash == sha256 && lying.whole);
        let copies: Vec<_> = whole.map(|(of, _)| *of).collect();
        for of in copies {
            let path = self.upload_path(committee, of, true);
            remove_if_there(self.disk.as_ref(), &path)
                .map_err(StoreError::io("removing an upload"))?;
            kept.uploads.remove(&of);
        }
        Ok(())
    }
}
