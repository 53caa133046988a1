//! Snapshots of the service's folds, one file a committee: a cache, replaced whole.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sealpost_protocol::id::{CommitteeId, TreeSize};

use super::StoreError;
use super::disk::{self, Disk};
use super::frame::Reader;

/// The snapshot files.
#[derive(Debug)]
pub(super) struct Snapshots {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

impl Snapshots {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder }
    }

    pub(super) fn put(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let mut file = crc(committee, size, bytes).to_be_bytes().to_vec();
        file.extend_from_slice(&size.0.to_be_bytes());
        file.extend_from_slice(bytes);
        disk::replace_file(self.disk.as_ref(), &self.path(committee), &file)
            .map_err(StoreError::io("writing a snapshot"))
    }

    /// The snapshot, unless there is none or it is damaged.
    pub(super) fn newest(
        &self,
        committee: CommitteeId,
    ) -> Result<Option<(TreeSize, Bytes)>, StoreError> {
        let read = disk::read_file(self.disk.as_ref(), &self.path(committee))
            .map_err(StoreError::io("reading a snapshot"))?;
        let Some(file) = read.map(Bytes::from) else { return Ok(None) };
        let sound = decode(committee, &file);
        if sound.is_none() {
            tracing::warn!("a snapshot is damaged: not used");
        }
        Ok(sound)
    }

    fn path(&self, committee: CommitteeId) -> PathBuf {
        self.folder.join(committee.to_string())
    }
}

pub(super) fn decode(committee: CommitteeId, file: &Bytes) -> Option<(TreeSize, Bytes)> {
    let mut reader = Reader(file);
    let sum = reader.u32()?;
    let size = TreeSize(reader.u64()?);
    let bytes = file.slice(12..);
    (crc(committee, size, &bytes) == sum).then_some((size, bytes))
}

fn crc(committee: CommitteeId, size: TreeSize, bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c(committee.as_bytes());
    let crc = crc32c::crc32c_append(crc, &size.0.to_be_bytes());
    crc32c::crc32c_append(crc, bytes)
}

#[cfg(test)]
mod tests;
