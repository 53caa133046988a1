//! What lies in the folders of one committee, and what its files are called.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId};

use super::super::StoreError;
use super::super::disk::{Disk, FileInfo};
use super::{Blobs, lock};

pub(in crate::store) const BLOBS: &str = "blobs";
pub(in crate::store) const UPLOADS: &str = "uploads";
const PART: &str = ".part";

/// What lies in the folders of one committee.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Sizes of the files in `blobs/`.
    pub(super) blobs: HashMap<Hash, u64>,
    /// What devices sent, and no entry names yet or its file was not moved yet.
    pub(super) uploads: HashMap<(DeviceId, Hash), Lying>,
    turn: u64,
    /// Which of its folders are known to be there durably: one may be there that was made before a kill.
    made: [bool; 2],
}

/// An upload as it lies there, whether or not it runs.
#[derive(Clone, Debug)]
pub(super) struct Lying {
    /// How many bytes of it are written; whoever writes keeps it.
    pub(super) len: Arc<AtomicU64>,
    pub(super) whole: bool,
    /// The larger, the later it was begun or gone on with.
    turn: u64,
}

impl Lying {
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }
}

impl Kept {
    fn read(disk: &dyn Disk, root: &Path, committee: CommitteeId) -> io::Result<Self> {
        let mut kept = Self::default();
        for file in files(disk, &root.join(BLOBS).join(committee.to_string()))? {
            if let Ok(sha256) = file.name.parse() {
                kept.blobs.insert(sha256, file.len);
            }
        }
        let mut uploads = files(disk, &root.join(UPLOADS).join(committee.to_string()))?;
        uploads.sort_by_key(|file| file.written);
        for file in uploads {
            let Some(name) = UploadName::parse(&file.name) else { continue };
            let of = (name.device, name.sha256);
            // A whole one is never less than its part.
            if name.whole || !kept.uploads.contains_key(&of) {
                kept.put(of, file.len, name.whole);
            }
        }
        Ok(kept)
    }

    /// Makes an upload the last that was begun or gone on with.
    pub(super) fn put(&mut self, of: (DeviceId, Hash), len: u64, whole: bool) -> Lying {
        self.turn += 1;
        let lying = Lying { len: Arc::new(AtomicU64::new(len)), whole, turn: self.turn };
        self.uploads.insert(of, lying.clone());
        lying
    }

    /// A whole upload of the blob, by whomever.
    pub(super) fn waiting(&self, blob: Blob) -> Option<DeviceId> {
        let fits = |lying: &Lying| lying.whole && lying.len() == blob.size;
        let mut uploads = self.uploads.iter();
        uploads.find(|((_, hash), lying)| *hash == blob.sha256 && fits(lying)).map(|(of, _)| of.0)
    }

    /// The uploads of a device, the oldest first.
    pub(super) fn of_device(&self, device: DeviceId) -> Vec<Hash> {
        let mut found: Vec<_> = self
            .uploads
            .iter()
            .filter(|((of, _), _)| *of == device)
            .map(|((_, hash), lying)| (lying.turn, *hash))
            .collect();
        found.sort_by_key(|(turn, _)| *turn);
        found.into_iter().map(|(_, hash)| hash).collect()
    }

    /// Bytes of blobs and uploads.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs.values().sum::<u64>() + self.uploads.values().map(Lying::len).sum::<u64>()
    }
}

/// The files of a folder that need not exist.
pub(in crate::store) fn files(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<FileInfo>> {
    match disk.files(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found,
    }
}

/// The name of a file in `uploads/<committee>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct UploadName {
    pub(in crate::store) device: DeviceId,
    pub(in crate::store) sha256: Hash,
    pub(in crate::store) whole: bool,
}

impl UploadName {
    pub(in crate::store) fn parse(name: &str) -> Option<Self> {
        let (device, rest) = name.split_once('-')?;
        let sha256 = rest.strip_suffix(PART).unwrap_or(rest);
        let found = Self {
            device: DeviceId(device.parse().ok()?),
            sha256: sha256.parse().ok()?,
            whole: sha256.len() == rest.len(),
        };
        // One spelling a name.
        (found.text() == name).then_some(found)
    }

    fn text(self) -> String {
        let part = if self.whole { "" } else { PART };
        format!("{}-{}{part}", self.device, self.sha256)
    }
}

impl Blobs {
    /// Works on what lies there of a committee, which is read first when it was not yet.
    pub(super) fn with_kept<T, E: From<StoreError>>(
        &self,
        committee: CommitteeId,
        work: impl FnOnce(&mut Kept) -> Result<T, E>,
    ) -> Result<T, E> {
        let held = lock(&self.committees).entry(committee).or_default().clone();
        let mut held = lock(&held);
        if let Some(kept) = held.as_mut() {
            return work(kept);
        }
        let read = Kept::read(self.disk.as_ref(), &self.root, committee);
        work(held.insert(read.map_err(StoreError::io("looking for blobs"))?))
    }

    pub(super) fn blob_folder(&self, committee: CommitteeId) -> PathBuf {
        self.root.join(BLOBS).join(committee.to_string())
    }

    pub(super) fn upload_folder(&self, committee: CommitteeId) -> PathBuf {
        self.root.join(UPLOADS).join(committee.to_string())
    }

    pub(super) fn blob_path(&self, committee: CommitteeId, sha256: Hash) -> PathBuf {
        self.blob_folder(committee).join(sha256.to_string())
    }

    pub(super) fn upload_path(
        &self,
        committee: CommitteeId,
        (device, sha256): (DeviceId, Hash),
        whole: bool,
    ) -> PathBuf {
        self.upload_folder(committee).join(UploadName { device, sha256, whole }.text())
    }

    /// Makes a committee's folder for blobs, durably.
    pub(super) fn make_blob_folder(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
    ) -> io::Result<()> {
        self.make_folder(&mut kept.made[0], BLOBS, &self.blob_folder(committee))
    }

    /// And the one for uploads.
    pub(super) fn make_upload_folder(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
    ) -> io::Result<()> {
        self.make_folder(&mut kept.made[1], UPLOADS, &self.upload_folder(committee))
    }

    fn make_folder(&self, made: &mut bool, within: &str, folder: &Path) -> io::Result<()> {
        if !*made {
            self.disk.create_folder(folder)?;
            self.disk.sync_folder(&self.root.join(within))?;
            *made = true;
        }
        Ok(())
    }

    /// Renames a file. An error means that it has its old name.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let renamed = self.disk.rename(from, to);
        // It may have happened all the same.
        if renamed.is_err() && self.disk.open(to).is_ok() && self.disk.open(from).is_err() {
            return Ok(());
        }
        renamed
    }

    /// Takes an upload's file away.
    pub(super) fn discard(
        &self,
        kept: &mut Kept,
        committee: CommitteeId,
        of: (DeviceId, Hash),
    ) -> Result<(), StoreError> {
        let Some(lying) = kept.uploads.get(&of) else { return Ok(()) };
        let path = self.upload_path(committee, of, lying.whole);
        super::super::disk::remove_if_there(self.disk.as_ref(), &path)
            .map_err(StoreError::io("removing an upload"))?;
        kept.uploads.remove(&of);
        Ok(())
    }
}
