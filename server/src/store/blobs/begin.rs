//! Where an upload begins: whether there is room for it, and where it goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId};

use super::super::disk::{DiskFile, is_full};
use super::super::embedded::Inner;
use super::super::{Begun, BlobError, StoreError};
use super::folder::{Kept, Lying};
use super::forget::Removed;
use super::upload::{Part, Running, Writing};
use super::{Blobs, Upload, lock};

impl Blobs {
    /// Begins an upload, or goes on with one.
    pub(in crate::store) fn upload(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        committee: CommitteeId,
        device: DeviceId,
        blob: Blob,
    ) -> Result<Begun<Upload>, BlobError> {
        // An entry whose outcome is unknown may name what a further upload would displace.
        inner.ready()?;
        self.ready()?;
        let mut removed = Removed::new();
        let begun = self.with_kept(committee, |kept| {
            // What is sent again after it was forgotten is not what is still to be removed.
            removed = self.take_names(inner, kept, committee, blob.sha256)?;
            let of = (device, blob.sha256);
            match self.whole(inner, kept, committee, device, blob.sha256)? {
                Some(size) if size == blob.size => return Ok(Begun::Whole),
                Some(_) => return Err(BlobError::PeerOther),
                None => {}
            }
            let running = self.running_of(committee, of);
            let writing =
                running.map(|running| self.take_over(kept, &running, blob)).transpose()?;
            let (lying, writing) = match writing.flatten() {
                Some(writing) => {
                    let len = kept.uploads.get(&of).map_or(0, Lying::len);
                    (kept.put(of, len, false), writing)
                }
                None => self.begin(inner, kept, committee, of, blob.size)?,
            };
            let running = Running::new(committee, of, blob.size, lying.len, writing);
            lock(&self.running).push(Arc::clone(&running));
            Ok(Begun::At(Upload::new(Arc::clone(inner), Arc::clone(self), running)))
        });
        self.wipe_soon(removed);
        begun
    }

    pub(super) fn running_of(
        &self,
        committee: CommitteeId,
        of: (DeviceId, Hash),
    ) -> Option<Arc<Running>> {
        let running = lock(&self.running);
        running.iter().find(|one| (one.committee, one.of) == (committee, of)).cloned()
    }

    /// Ends an upload for a newer one of the same blob, which goes on where it is; from the beginning
    /// when it was spoiled.
    fn take_over(
        &self,
        kept: &mut Kept,
        running: &Arc<Running>,
        blob: Blob,
    ) -> Result<Option<Writing>, BlobError> {
        if running.size != blob.size {
            return Err(BlobError::PeerOther);
        }
        let writing = self.end(running);
        if writing.part.is_spoiled() {
            self.discard(kept, running.committee, running.of)?;
            return Ok(None);
        }
        Ok(Some(writing))
    }

    /// Ends an upload that runs, and gives what it has.
    pub(super) fn end(&self, running: &Arc<Running>) -> Writing {
        // Waits for a write that is under way; the next one sees it.
        let writing = running.hand_over();
        lock(&self.running).retain(|one| !Arc::ptr_eq(one, running));
        writing
    }

    /// Opens the file of an upload that does not run, if there is room.
    fn begin(
        &self,
        inner: &Inner,
        kept: &mut Kept,
        committee: CommitteeId,
        of: (DeviceId, Hash),
        size: u64,
    ) -> Result<(Lying, Writing), BlobError> {
        // Who named another size then lied then, or does now.
        if kept.uploads.get(&of).is_some_and(|lying| lying.len() > size) {
            self.discard(kept, committee, of)?;
        }
        let offset = kept.uploads.get(&of).map_or(0, Lying::len);
        self.find_room(kept, committee, of.0, size - offset)?;
        let file = if kept.uploads.contains_key(&of) {
            let opened = self.disk.open(&self.upload_path(committee, of, false));
            opened.map_err(StoreError::io("opening an upload"))?
        } else {
            self.displace(inner, kept, committee, of.0)?;
            self.create(kept, committee, of)?
        };
        let lying = kept.put(of, offset, false);
        Ok((lying, Writing::new(Arc::new(Part::new(file)))))
    }

    /// Whether so many more bytes may come.
    fn find_room(
        &self,
        kept: &Kept,
        committee: CommitteeId,
        device: DeviceId,
        to_come: u64,
    ) -> Result<(), BlobError> {
        let (mut all, mut own) = (to_come, to_come);
        {
            let running = lock(&self.running);
            let of_device = running.iter().filter(|one| one.of.0 == device).count();
            if of_device >= self.options.device_running_max {
                return Err(BlobError::PeerTooMany);
            }
            let of_committee = running.iter().filter(|one| one.committee == committee).count();
            if of_committee >= self.options.committee_running_max
                || running.len() >= self.options.running_max
            {
                return Err(StoreError::StoreBusy.into());
            }
            for one in running.iter() {
                all = all.saturating_add(one.to_come());
                if one.committee == committee {
                    own = own.saturating_add(one.to_come());
                }
            }
        }
        if kept.bytes().saturating_add(own) > self.options.committee_bytes_max {
            return Err(BlobError::LocalNoRoom);
        }
        let looking = StoreError::io("asking how full the disk is");
        let free = self.disk.free_bytes(&self.root).map_err(looking)?;
        if free < all.saturating_add(self.options.reserve_bytes) {
            return Err(StoreError::StoreFull.into());
        }
        Ok(())
    }

    /// Makes room for one more upload of a device: the oldest goes that nobody needs.
    fn displace(
        &self,
        inner: &Inner,
        kept: &mut Kept,
        committee: CommitteeId,
        device: DeviceId,
    ) -> Result<(), BlobError> {
        let lying = kept.of_device(device);
        if lying.len() < self.options.device_uploads_max {
            return Ok(());
        }
        for sha256 in lying {
            let of = (device, sha256);
            let runs = self.running_of(committee, of).is_some();
            if !runs && !self.is_needed(inner, committee, sha256)? {
                return Ok(self.discard(kept, committee, of)?);
            }
        }
        Err(BlobError::PeerTooMany)
    }

    fn create(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
        of: (DeviceId, Hash),
    ) -> Result<Box<dyn DiskFile>, StoreError> {
        let folder = self.upload_folder(committee);
        let path = self.upload_path(committee, of, false);
        let mut create = || {
            self.make_upload_folder(kept, committee)?;
            let file = match self.disk.create(&path) {
                // One that could not be removed.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let file = self.disk.open(&path)?;
                    file.set_len(0)?;
                    file
                }
                created => created?,
            };
            self.disk.sync_folder(&folder)?;
            Ok(file)
        };
        create().map_err(|error| write_error("beginning an upload", error))
    }
}

/// Why something could not be written.
pub(super) fn write_error(doing: &'static str, error: std::io::Error) -> StoreError {
    if is_full(&error) { StoreError::StoreFull } else { StoreError::io(doing)(error) }
}

impl Running {
    /// How many bytes of it are still to come.
    fn to_come(&self) -> u64 {
        self.size.saturating_sub(self.len.load(Ordering::Relaxed))
    }
}
