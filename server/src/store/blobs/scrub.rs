//! Reads every blob again, slowly, to find damage while there are still copies elsewhere.

use std::sync::Arc;
use std::time::Duration;

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::CommitteeId;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::super::embedded::Inner;
use super::super::{BlobError, StoreError};
use super::upload::joined;
use super::{Blobs, Reader, lock};

/// What one round of reading all blobs again found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// As they were written.
    pub sound: u64,
    /// Missing or damaged.
    pub damaged: u64,
}

impl Blobs {
    /// Reads every blob that an entry names and compares its hash, at so many bytes a second. May be
    /// dropped at any point.
    pub(in crate::store) async fn scrub(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        bytes_a_second: u64,
    ) -> Result<Scrubbed, StoreError> {
        let mut scrubbed = Scrubbed::default();
        for (committee, number) in inner.numbers() {
            let asked = Arc::clone(inner);
            for blob in joined(spawn_blocking(move || asked.named_blobs(number)).await)? {
                match self.is_sound(inner, committee, blob, bytes_a_second).await? {
                    true => {
                        scrubbed.sound += 1;
                        // Somebody put it back.
                        lock(&self.damaged).remove(&(committee, blob.sha256));
                    }
                    false => {
                        scrubbed.damaged += 1;
                        self.lost(committee, blob.sha256);
                    }
                }
            }
        }
        Ok(scrubbed)
    }

    async fn is_sound(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        committee: CommitteeId,
        blob: Blob,
        bytes_a_second: u64,
    ) -> Result<bool, StoreError> {
        let (blobs, asked) = (Arc::clone(self), Arc::clone(inner));
        let opened = spawn_blocking(move || blobs.open(&asked, committee, blob.sha256)).await;
        let reader = match joined(opened) {
            Ok(Some(reader)) => reader,
            // No entry names it any more.
            Ok(None) => return Ok(true),
            Err(BlobError::Store(error)) => return Err(error),
            Err(_) => return Ok(false),
        };
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < blob.size {
            let step = step(reader.clone(), hash, at);
            match joined(spawn_blocking(step).await) {
                Ok((so_far, read)) => {
                    (hash, at) = (so_far, at + read);
                    let rest = read.saturating_mul(1_000_000) / bytes_a_second.max(1);
                    sleep(Duration::from_micros(rest)).await;
                }
                // The disk says that it cannot read it, or that there is less of it.
                Err(BlobError::StoreLost | BlobError::Store(StoreError::StoreIo { .. })) => {
                    return Ok(false);
                }
                Err(BlobError::Store(error)) => return Err(error),
                Err(BlobError::Forgotten) => return Ok(true),
                Err(_) => return Ok(false),
            }
        }
        Ok(Hash(hash.finalize().into()) == blob.sha256)
    }
}

fn step(
    reader: Reader,
    mut hash: Sha256,
    at: u64,
) -> impl FnOnce() -> Result<(Sha256, u64), BlobError> {
    move || {
        let bytes = reader.read_blocking(at)?;
        hash.update(&bytes);
        Ok((hash, bytes.len() as u64))
    }
}
