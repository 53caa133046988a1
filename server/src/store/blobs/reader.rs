//! Reading blobs that entries name.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::CommitteeId;
use sealpost_protocol::limits::BLOB_FRAME_BYTES;
use tokio::task::spawn_blocking;

use super::super::disk::DiskFile;
use super::super::embedded::Inner;
use super::super::{BlobError, BlobRead, StoreError};
use super::upload::joined;
use super::{Blobs, lock};

/// A blob being read.
#[derive(Clone, Debug)]
pub struct Reader {
    blobs: Arc<Blobs>,
    file: Arc<dyn DiskFile>,
    committee: CommitteeId,
    sha256: Hash,
    size: u64,
    /// Whether it was removed since it was opened.
    removed: Arc<AtomicBool>,
}

impl Blobs {
    /// A blob that an entry names.
    pub(in crate::store) fn blob(
        self: &Arc<Self>,
        inner: &Inner,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<Option<Reader>, BlobError> {
        let opened = self.open(inner, committee, sha256)?;
        // Whoever got it would find that it is another.
        if self.is_damaged(committee, sha256) { Err(BlobError::StoreLost) } else { Ok(opened) }
    }

    /// As [`Self::blob`], also one that is known to be damaged.
    pub(super) fn open(
        self: &Arc<Self>,
        inner: &Inner,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<Option<Reader>, BlobError> {
        let Some(named) = inner.named_blob(committee, sha256)? else { return Ok(None) };
        self.with_kept(committee, |kept| {
            let path = match kept.waiting(named) {
                Some(device) if kept.blobs.get(&sha256) != Some(&named.size) => {
                    self.named(committee, [named]);
                    self.upload_path(committee, (device, sha256), true)
                }
                _ => self.blob_path(committee, sha256),
            };
            let file = match self.disk.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // It may be sent again.
                    kept.blobs.remove(&sha256);
                    return Err(self.lost(committee, sha256));
                }
                opened => opened.map_err(StoreError::io("opening a blob"))?,
            };
            let len = file.len().map_err(StoreError::io("opening a blob"))?;
            if len != named.size {
                return Err(self.lost(committee, sha256));
            }
            Ok(Some(Reader {
                blobs: Arc::clone(self),
                file: file.into(),
                committee,
                sha256,
                size: named.size,
                removed: self.begin_reading(committee, sha256),
            }))
        })
    }

    /// What will say to whoever opens a blob that it was removed.
    pub(super) fn begin_reading(&self, committee: CommitteeId, sha256: Hash) -> Arc<AtomicBool> {
        let mut readers = lock(&self.readers);
        // Of those who have ended nothing is kept.
        readers.retain(|_, removed| removed.strong_count() > 0);
        let known = readers.get(&(committee, sha256)).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let removed = Arc::default();
            readers.insert((committee, sha256), Arc::downgrade(&removed));
            removed
        })
    }

    /// Tells whoever reads a blob that it is removed.
    pub(super) fn end_reading(&self, committee: CommitteeId, sha256: Hash) {
        let reader = lock(&self.readers).remove(&(committee, sha256));
        if let Some(removed) = reader.and_then(|removed| removed.upgrade()) {
            removed.store(true, Ordering::Release);
        }
    }
}

impl BlobRead for Reader {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, offset: u64) -> Result<Bytes, BlobError> {
        let reader = self.clone();
        let bytes = joined(spawn_blocking(move || reader.read_blocking(offset)).await)?;
        self.blobs.read_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Reader {
    /// As [`BlobRead::read`], where waiting is allowed, and counted for nobody.
    pub(super) fn read_blocking(&self, offset: u64) -> Result<Bytes, BlobError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; left.min(BLOB_FRAME_BYTES)];
        let read = self.file.read_exact_at(&mut buffer, offset);
        // Afterwards: it is written over only after that is said.
        if self.removed.load(Ordering::Acquire) {
            return Err(BlobError::Forgotten);
        }
        match read {
            Ok(()) => Ok(buffer.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.blobs.lost(self.committee, self.sha256))
            }
            Err(error) => Err(StoreError::io("reading a blob")(error).into()),
        }
    }
}
