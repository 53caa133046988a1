//! An upload under way: written as it comes, hashed while it is written.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId};
use sealpost_protocol::limits::BLOB_FRAME_BYTES;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use super::super::disk::DiskFile;
use super::super::embedded::Inner;
use super::super::{BlobError, BlobUpload, StoreError};
use super::begin::write_error;
use super::{Blobs, lock};
use crate::limits::BODY_CHUNKS_WAITING;

/// The open file of an upload.
#[derive(Debug)]
pub(super) struct Part {
    file: Box<dyn DiskFile>,
    /// A sync failed: some of it may never come to the disk, however whole it reads.
    spoiled: AtomicBool,
    /// A failed sync is said to one of those who wait for it: one at a time.
    syncing: Mutex<()>,
}

impl Part {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, spoiled: AtomicBool::new(false), syncing: Mutex::default() }
    }

    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }

    fn sync(&self) -> Result<(), StoreError> {
        let _one = lock(&self.syncing);
        if self.is_spoiled() {
            return Err(StoreError::StoreStopped);
        }
        self.file.sync().map_err(|error| {
            self.spoil();
            write_error("syncing an upload", error)
        })
    }
}

/// What whoever writes an upload holds.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) part: Arc<Part>,
    /// Over the first `hashed` bytes. What was written in an earlier life is read again, beside what comes.
    hash: Sha256,
    hashed: u64,
    unsynced: u64,
}

impl Writing {
    pub(super) fn new(part: Arc<Part>) -> Self {
        Self { part, hash: Sha256::new(), hashed: 0, unsynced: 0 }
    }
}

/// An upload that runs, as others see it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) committee: CommitteeId,
    pub(super) of: (DeviceId, Hash),
    pub(super) size: u64,
    pub(super) len: Arc<AtomicU64>,
    writing: Mutex<Writing>,
    taken_over: watch::Sender<bool>,
}

impl Running {
    pub(super) fn new(
        committee: CommitteeId,
        of: (DeviceId, Hash),
        size: u64,
        len: Arc<AtomicU64>,
        writing: Writing,
    ) -> Arc<Self> {
        let (writing, taken_over) = (Mutex::new(writing), watch::Sender::new(false));
        Arc::new(Self { committee, of, size, len, writing, taken_over })
    }

    /// Gives what it has to whoever ends it; its next step fails.
    pub(super) fn hand_over(&self) -> Writing {
        let writing = lock(&self.writing);
        self.taken_over.send_replace(true);
        writing.clone()
    }

    fn must_be_ours(&self) -> Result<(), BlobError> {
        if *self.taken_over.borrow() { Err(BlobError::PeerTakenOver) } else { Ok(()) }
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }
}

/// A sync beside the writing. What comes of it the part knows: whoever syncs next waits for it.
type Syncing = JoinHandle<Result<(), StoreError>>;

/// An upload under way.
#[derive(Debug)]
pub struct Upload(Arc<Ours>);

/// What the blocking threads of an upload share with it.
#[derive(Debug)]
struct Ours {
    inner: Arc<Inner>,
    blobs: Arc<Blobs>,
    running: Arc<Running>,
    /// Nobody waits for it any more.
    ended: AtomicBool,
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        lock(&self.blobs.running).retain(|one| !Arc::ptr_eq(one, &self.running));
    }
}

impl BlobUpload for Upload {
    fn offset(&self) -> u64 {
        self.0.running.len()
    }
}

impl Upload {
    pub(super) fn new(inner: Arc<Inner>, blobs: Arc<Blobs>, running: Arc<Running>) -> Self {
        Self(Arc::new(Ours { inner, blobs, running, ended: AtomicBool::new(false) }))
    }

    /// Takes the rest of the blob.
    pub(in crate::store) async fn receive(
        self,
        body: mpsc::Receiver<Bytes>,
    ) -> Result<(), BlobError> {
        let hashing = self.catching_up();
        let taken = match self.take(body).await {
            Ok(()) => joined(hashing.await),
            error => error,
        };
        let ended = match taken {
            Ok(()) => self.blocking(Ours::finish).await,
            Err(error) => Err(error),
        };
        match ended {
            // In the second case whoever ended it sees to what is there.
            Ok(()) | Err(BlobError::PeerTakenOver) => ended,
            Err(error) => {
                self.blocking(|ours| {
                    ours.keep();
                    Ok(())
                })
                .await?;
                Err(error)
            }
        }
    }

    /// Hashes what was written in an earlier life, while more comes: its sender is not to wait for it.
    fn catching_up(&self) -> JoinHandle<Result<(), BlobError>> {
        let ours = Arc::clone(&self.0);
        spawn_blocking(move || ours.catch_up())
    }

    /// Writes what comes until nothing more does.
    async fn take(&self, mut body: mpsc::Receiver<Bytes>) -> Result<(), BlobError> {
        let mut taken_over = self.0.running.taken_over.subscribe();
        let mut syncing: Option<Syncing> = None;
        let mut chunks = Vec::with_capacity(BODY_CHUNKS_WAITING);
        loop {
            let came = tokio::select! {
                biased;
                _ = taken_over.wait_for(|taken| *taken) => return Err(BlobError::PeerTakenOver),
                came = body.recv_many(&mut chunks, BODY_CHUNKS_WAITING) => came,
            };
            if came == 0 {
                break;
            }
            let chunks = std::mem::take(&mut chunks);
            if self.blocking(move |ours| ours.write(&chunks)).await? {
                if let Some(syncing) = syncing.take() {
                    joined(syncing.await)?;
                }
                let part = Arc::clone(&lock(&self.0.running.writing).part);
                syncing = Some(spawn_blocking(move || part.sync()));
            }
        }
        if self.0.running.len() < self.0.running.size { Err(BlobError::PeerShort) } else { Ok(()) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ours) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let ours = Arc::clone(&self.0);
        joined(spawn_blocking(move || work(&ours)).await)
    }
}

/// What a blocking thread came to.
pub(super) fn joined<T, E: From<StoreError>>(
    done: Result<Result<T, E>, tokio::task::JoinError>,
) -> Result<T, E> {
    // The panic was said, or the runtime is ending.
    done.unwrap_or_else(|_| Err(StoreError::StoreStopped.into()))
}

impl Ours {
    /// Reads what is there and was not hashed, until that has caught up with what is written.
    fn catch_up(&self) -> Result<(), BlobError> {
        let (part, mut hash, mut at) = {
            let writing = lock(&self.running.writing);
            (Arc::clone(&writing.part), writing.hash.clone(), writing.hashed)
        };
        let mut buffer = Vec::new();
        loop {
            {
                // A newer upload goes on from here, and so does who writes, once all is hashed.
                let mut writing = lock(&self.running.writing);
                self.running.must_be_ours()?;
                if at >= writing.hashed {
                    (writing.hash, writing.hashed) = (hash.clone(), at);
                }
                if writing.hashed >= self.running.len() {
                    return Ok(());
                }
            }
            if self.ended.load(Ordering::Relaxed) {
                return Err(BlobError::PeerShort);
            }
            let left = usize::try_from(self.running.len() - at).unwrap_or(usize::MAX);
            buffer.resize(left.min(BLOB_FRAME_BYTES), 0);
            if let Err(error) = part.file.read_exact_at(&mut buffer, at) {
                // Nothing can be gone on from.
                part.spoil();
                return Err(StoreError::io("reading an upload again")(error).into());
            }
            hash.update(&buffer);
            at += buffer.len() as u64;
        }
    }

    /// Writes what came; whether it is time for a sync.
    fn write(&self, chunks: &[Bytes]) -> Result<bool, BlobError> {
        let mut writing = lock(&self.running.writing);
        self.running.must_be_ours()?;
        if writing.part.is_spoiled() {
            return Err(StoreError::StoreStopped.into());
        }
        for chunk in chunks {
            let at = self.running.len();
            let room = usize::try_from(self.running.size - at).unwrap_or(usize::MAX);
            let fits = &chunk[..chunk.len().min(room)];
            if let Err(error) = writing.part.file.write_all_at(fits, at) {
                // What is behind the length that is known would be read as if it had come.
                let _ = writing.part.file.set_len(at);
                return Err(write_error("writing an upload", error).into());
            }
            if writing.hashed == at {
                writing.hash.update(fits);
                writing.hashed += fits.len() as u64;
            }
            writing.unsynced += fits.len() as u64;
            self.running.len.store(at + fits.len() as u64, Ordering::Relaxed);
            self.blobs.received_bytes.fetch_add(fits.len() as u64, Ordering::Relaxed);
            if fits.len() < chunk.len() {
                return Err(BlobError::PeerOther);
            }
        }
        let due = writing.unsynced >= self.blobs.options.sync_every_bytes;
        if due {
            writing.unsynced = 0;
        }
        Ok(due)
    }

    /// Makes a whole upload durable under the name of one, if it is the blob that was named.
    fn finish(&self) -> Result<(), BlobError> {
        let Running { committee, of, .. } = *self.running;
        let (part, hash) = {
            let writing = lock(&self.running.writing);
            self.running.must_be_ours()?;
            (Arc::clone(&writing.part), writing.hash.clone())
        };
        if Hash(hash.finalize().into()) != of.1 {
            part.spoil();
            return Err(BlobError::PeerOther);
        }
        part.sync()?;
        let blobs = &self.blobs;
        blobs.with_kept(committee, |kept| {
            let _writing = lock(&self.running.writing);
            self.running.must_be_ours()?;
            blobs.ready()?;
            let (from, to) =
                (blobs.upload_path(committee, of, false), blobs.upload_path(committee, of, true));
            let renamed = blobs.rename(&from, &to);
            renamed.map_err(|error| write_error("keeping an upload", error))?;
            if let Some(lying) = kept.uploads.get_mut(&of) {
                lying.whole = true;
            }
            if let Err(error) = blobs.disk.sync_folder(&blobs.upload_folder(committee)) {
                // Whether its name is durable nobody knows.
                part.spoil();
                blobs.discard(kept, committee, of)?;
                return Err(write_error("keeping an upload", error).into());
            }
            // An entry may name it already, when the relay had lost it.
            if let Some(named) = self.inner.named_blob(committee, of.1)? {
                blobs.named(committee, [named]);
            }
            Ok(())
        })
    }

    /// Keeps what came of an upload that ended early, or throws it away if nothing can be made of it.
    fn keep(&self) {
        let Running { committee, of, .. } = *self.running;
        let part = Arc::clone(&lock(&self.running.writing).part);
        if !part.is_spoiled() && part.sync().is_ok() {
            return;
        }
        let discarded = self.blobs.with_kept(committee, |kept| {
            if self.running.must_be_ours().is_ok() {
                self.blobs.discard(kept, committee, of)?;
            }
            Ok::<_, StoreError>(())
        });
        if let Err(error) = discarded {
            tracing::warn!(%error, "an upload that came to nothing is left lying");
        }
    }
}
