//! What nobody came to name goes, in time.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::CommitteeId;

use super::super::StoreError;
use super::super::disk::{FileInfo, remove_if_there};
use super::super::embedded::Inner;
use super::folder::{BLOBS, Kept, UPLOADS, UploadName, files};
use super::{Blobs, lock};

impl Blobs {
    /// Removes what has lain too long by `now` and no entry names, in both folders of every committee;
    /// how many it were. What an entry names is brought to its place instead.
    pub(in crate::store) fn collect(
        &self,
        inner: &Inner,
        now: SystemTime,
    ) -> Result<u64, StoreError> {
        let looking = || StoreError::io("looking for what to collect");
        // An entry whose outcome is unknown may name what nobody seems to. A full disk is no reason.
        if let Err(StoreError::StoreStopped) = inner.ready() {
            return Err(StoreError::StoreStopped);
        }
        self.ready()?;
        let mut removed = 0;
        for folder in [UPLOADS, BLOBS] {
            let folder = self.root.join(folder);
            for name in self.disk.list(&folder).map_err(looking())? {
                let Ok(committee) = name.parse() else { continue };
                removed += self.collect_of(inner, committee, now)?;
            }
        }
        self.collected.fetch_add(removed, Ordering::Relaxed);
        Ok(removed)
    }

    fn collect_of(
        &self,
        inner: &Inner,
        committee: CommitteeId,
        now: SystemTime,
    ) -> Result<u64, StoreError> {
        let looking = || StoreError::io("looking for what to collect");
        self.with_kept(committee, |kept| {
            let mut removed = 0;
            let folder = self.upload_folder(committee);
            for file in files(self.disk.as_ref(), &folder).map_err(looking())? {
                let name = UploadName::parse(&file.name);
                let goes = match name {
                    Some(name) => self.upload_goes(inner, kept, committee, name, &file, now)?,
                    None => self.is_old(&file, now),
                };
                if goes {
                    self.remove(&folder.join(&file.name))?;
                    removed += 1;
                    let of = name.map(|name| ((name.device, name.sha256), name.whole));
                    if let Some((of, whole)) = of
                        && kept.uploads.get(&of).is_some_and(|lying| lying.whole == whole)
                    {
                        kept.uploads.remove(&of);
                    }
                }
            }
            let folder = self.blob_folder(committee);
            for file in files(self.disk.as_ref(), &folder).map_err(looking())? {
                let sha256: Option<Hash> = file.name.parse().ok();
                let needed = sha256.map(|sha256| self.is_needed(inner, committee, sha256));
                if self.is_old(&file, now) && !needed.transpose()?.unwrap_or(false) {
                    self.remove(&folder.join(&file.name))?;
                    removed += 1;
                    sha256.and_then(|sha256| kept.blobs.remove(&sha256));
                }
            }
            Ok(removed)
        })
    }

    /// Whether an upload is to be removed; one that an entry names is on its way to its place.
    fn upload_goes(
        &self,
        inner: &Inner,
        kept: &Kept,
        committee: CommitteeId,
        name: UploadName,
        file: &FileInfo,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let of = (name.device, name.sha256);
        let pinned = lock(&self.pins).contains_key(&(committee, name.sha256));
        if pinned || self.running_of(committee, of).is_some() {
            return Ok(false);
        }
        let Some(named) = inner.named_blob(committee, name.sha256)? else {
            return Ok(self.is_old(file, now));
        };
        let in_place = kept.blobs.get(&name.sha256) == Some(&named.size)
            && !self.is_damaged(committee, name.sha256);
        if name.whole && file.len == named.size {
            self.named(committee, [named]);
            return Ok(false);
        }
        Ok(in_place && self.is_old(file, now))
    }

    /// Whether a file was not written to for so long that it may go. One of the future is young.
    fn is_old(&self, file: &FileInfo, now: SystemTime) -> bool {
        now.duration_since(file.written).is_ok_and(|lain| lain >= self.options.unnamed_kept)
    }

    fn remove(&self, path: &std::path::Path) -> Result<(), StoreError> {
        remove_if_there(self.disk.as_ref(), path).map_err(StoreError::io("collecting uploads"))
    }
}
