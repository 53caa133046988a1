//! The embedded backend: one data folder, one process.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, CommitteeId, DeviceId, LeafIndex, TreeSize};
use tokio::sync::mpsc;

use super::blobs::{self, BlobCounts, BlobOptions, Blobs, Scrubbed};
use super::checkpoints::Checkpoints;
use super::commit::{self, Queue, Ticket};
use super::disk::{Disk, DiskLock};
use super::frame::{self, Batch, EntryHead, Forgotten, Item};
use super::index::{Index, IndexBatch, Indexed, Opening};
use super::journal::segment::{Place, Segments};
use super::journal::{FramePlace, Mark, Sizes};
use super::notes::Notes;
use super::snapshots::Snapshots;
use super::tiles::{CommitteeNodes, Tiles};
use super::{
    Append, AppendError, Begun, BlobError, BlobStore, COSIGNATURE_BYTES_MAX, Commit, CommitError,
    LogStore, NoteStore, StoreError,
};

mod forgotten;
mod opening;

pub(super) use forgotten::Dropped;
pub use forgotten::ForgetCounts;
use forgotten::Pending;
pub(super) use opening::{check_format, lock, must_be_free};

/// Entries whose bytes are near each other in a segment are read in one go.
const READ_GAP_BYTES_MAX: u32 = 4 * 1024;
/// Entry bytes read at once to make tree nodes anew.
const LEAVES_READ_BYTES: usize = 1024 * 1024;

/// Sizes of the embedded backend. The defaults are for a relay; tests use smaller ones.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How large a new journal segment is made. Existing ones keep their size.
    pub segment_bytes: u64,
    /// Writes are refused while less than this is free: index and tree nodes need room too.
    pub reserve_bytes: u64,
    /// How long what is forgotten waits before it is dropped from the disk, so that several go at once.
    pub drop_after: Duration,
    /// What blobs may take.
    pub blobs: BlobOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    /// Those of a relay.
    pub const DEFAULT: Self = Self {
        segment_bytes: 64 * 1024 * 1024,
        reserve_bytes: 32 * 1024 * 1024,
        drop_after: Duration::from_secs(1),
        blobs: BlobOptions::DEFAULT,
    };

    fn sizes(self) -> Sizes {
        Sizes { segment_bytes: self.segment_bytes, reserve_bytes: self.reserve_bytes }
    }
}

/// A data folder that this process serves. Cloning is cheap; the last clone that goes closes it.
///
/// Journal and tree are read on tokio's blocking threads: what is not in the page cache may take
/// milliseconds, and a worker that waits would hold up every connection it serves, while the hop
/// costs some microseconds a call of up to half a megabyte. Single look-ups in the index and in
/// memory are made directly.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
    closer: Arc<Closer>,
}

/// What the store, its threads and the readers share.
#[derive(Debug)]
pub(super) struct Inner {
    root: PathBuf,
    segments: Arc<Segments>,
    index: Index,
    tiles: Tiles,
    snapshots: Snapshots,
    checkpoints: Checkpoints,
    blobs: Arc<Blobs>,
    queue: Queue,
    view: RwLock<View>,
    /// The last frame that is known to be durable.
    durable: AtomicU64,
    /// The index is marked as doubtful, and that was said.
    doubted: AtomicBool,
    /// How much room must be left for an index to be made.
    reserve_bytes: u64,
    /// How long what is forgotten waits.
    drop_after: Duration,
    /// Payloads dropped since, and times that failed.
    dropped: AtomicU64,
    drops_failed: AtomicU64,
    /// The segment from which on the next one is written anew.
    drop_turn: AtomicU32,
}

/// What is durable, and is held in memory.
#[derive(Debug, Default)]
struct View {
    committees: BTreeMap<CommitteeId, Indexed>,
    notes: Notes,
    forgotten: BTreeMap<CommitteeId, Pending>,
    /// What was forgotten and dropped: it is given to nobody, should it be on the disk again.
    dropped: BTreeMap<CommitteeId, BTreeSet<LeafIndex>>,
}

/// Ends the threads, then gives the folder back.
#[derive(Debug)]
struct Closer {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Ends after the others: they leave it work.
    settling: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl Store {
    /// Creates a data folder at `path`, which must not exist or be empty, and opens it.
    pub fn create(disk: &Arc<dyn Disk>, path: &Path, options: Options) -> Result<Self, StoreError> {
        Self::create_with(disk, path, options, || Ok::<_, StoreError>(()))
    }

    /// As [`Self::create`]. `prepare` puts the relay's own files into the folder, while nobody
    /// else has it and before it counts as a data folder; after an interruption it may be called
    /// again on the same folder.
    pub fn create_with<E: From<StoreError>>(
        disk: &Arc<dyn Disk>,
        path: &Path,
        options: Options,
        prepare: impl FnOnce() -> Result<(), E>,
    ) -> Result<Self, E> {
        opening::create(disk, path, options, prepare)?;
        Ok(Self::open(disk, path, options)?)
    }

    /// The folder of the operating system at `path`, if the store's disk has one.
    pub fn host_folder(&self, path: &Path) -> Option<PathBuf> {
        self.inner.segments.disk().host_folder(path)
    }

    /// Opens the data folder at `path`; it is never created by accident. Brings index and notes
    /// up to date with the journal and cuts off a torn tail.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, options: Options) -> Result<Self, StoreError> {
        let (inner, journal, lock) = opening::open(disk, path, options)?;
        let inner = Arc::new(inner);
        let closer = Closer {
            inner: Arc::clone(&inner),
            threads: Mutex::default(),
            settling: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        };
        let (committing, syncing) = (Arc::clone(&inner), Arc::clone(&inner));
        inner.go_on_forgetting();
        let settles = Arc::clone(&inner);
        let settling = spawn("blobs", move || settles.blobs.keep_settled(&settles))?;
        closer.settling.lock().unwrap_or_else(PoisonError::into_inner).replace(settling);
        closer.spawn("journal", move || commit::run(&committing, journal))?;
        closer.spawn("checkpoints", move || syncing.checkpoints.keep_synced())?;
        Ok(Self { inner, closer: Arc::new(closer) })
    }

    /// Finishes what is queued, makes checkpoints durable and lets go of the folder. Everything
    /// afterwards is [`StoreError::StoreStopped`]. Dropping the last clone does the same.
    pub fn close(&self) {
        self.closer.close();
    }
}

impl Closer {
    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = spawn(name, work)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn close(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.queue.close();
        self.inner.checkpoints.close();
        threads.drain(..).for_each(join);
        self.inner.blobs.close();
        self.settling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .into_iter()
            .for_each(join);
        self.inner.index.close();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(StoreError::io("starting a thread"))
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the store panicked");
    }
}

/// What a batch changes.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// Committees, as they are after it.
    committees: BTreeMap<CommitteeId, Indexed>,
    /// What is forgotten for the first time, and the blobs it named, once that was looked up.
    forgotten: BTreeMap<(CommitteeId, LeafIndex), Option<Vec<Hash>>>,
}

impl View {
    /// Says how to index a batch and what it makes of its committees. `None`: it does not continue
    /// what is known.
    fn plan(&self, place: FramePlace, batch: &Batch, index: &mut IndexBatch) -> Option<Planned> {
        let mut planned = Planned::default();
        let mut number = self.committees.len();
        for item in &batch.items {
            match item {
                Item::Notes(changes) => changes.iter().for_each(|change| index.note(change)),
                Item::Append(appended) => {
                    let id = appended.committee;
                    let known = planned.committees.get(&id).or_else(|| self.committees.get(&id));
                    let known = known.copied();
                    let before = known.unwrap_or_else(|| {
                        let new = u32::try_from(number).expect("far fewer committees than that");
                        number += 1;
                        Indexed { number: new, size: TreeSize(0) }
                    });
                    (appended.first == before.size.next_index()).then_some(())?;
                    let size = TreeSize(before.size.0 + appended.entries.len() as u64);
                    index.append(before.number, place.segment, place.offset, appended);
                    planned.committees.insert(id, Indexed { size, ..before });
                }
                Item::Forget(Forgotten { committee, places }) => {
                    let known = planned.committees.get(committee);
                    let known = known.or_else(|| self.committees.get(committee)).copied()?;
                    for place in places {
                        (place.0 < known.size.0).then_some(())?;
                        if !self.is_forgotten(*committee, *place) {
                            index.forget(known.number, *place);
                            planned.forgotten.insert((*committee, *place), None);
                        }
                    }
                }
            }
        }
        let committees = planned.committees.iter();
        committees.for_each(|(committee, indexed)| index.committee(*committee, *indexed));
        Some(planned)
    }

    fn publish(&mut self, planned: Planned, batch: &Batch) {
        self.committees.extend(planned.committees);
        for ((committee, index), blobs) in planned.forgotten {
            self.forgotten.entry(committee).or_default().insert(index, blobs);
        }
        for item in &batch.items {
            if let Item::Notes(changes) = item {
                changes.iter().for_each(|change| self.notes.apply(change));
            }
        }
    }
}

impl Inner {
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// How long what is forgotten waits before it is dropped.
    pub(super) fn drop_after(&self) -> Duration {
        self.drop_after
    }

    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.checkpoints.have_failed() {
            return Err(StoreError::StoreStopped);
        }
        self.queue.ready(self.segments.disk(), self.segments.folder())
    }

    pub(super) fn head(&self, committee: CommitteeId) -> TreeSize {
        self.held(committee).map_or(TreeSize(0), |held| held.size)
    }

    pub(super) fn with_notes<T>(&self, work: impl FnOnce(&Notes) -> T) -> T {
        self.view(|view| work(&view.notes))
    }

    /// The blobs that durable entries of the committee with that number name.
    pub(super) fn named_blobs(&self, number: u32) -> Result<Vec<Blob>, StoreError> {
        self.doubting(self.index.blobs(number))
    }

    /// Every committee's number in the index.
    pub(super) fn numbers(&self) -> Vec<(CommitteeId, u32)> {
        self.view(|view| view.committees.iter().map(|(id, held)| (*id, held.number)).collect())
    }

    /// A node of the committee's durable tree.
    pub(super) fn node(&self, committee: CommitteeId, position: u64) -> Result<Hash, StoreError> {
        let leaves = |from| self.leaves(committee, from);
        self.tiles.node(committee, self.head(committee), position, &leaves)
    }

    /// Makes a durable frame findable, in index and tree nodes; `publish` then shows it.
    pub(super) fn index(&self, place: FramePlace, batch: &Batch) -> Planned {
        let mut index = IndexBatch::default();
        let planned = self.view(|view| view.plan(place, batch, &mut index));
        let mut planned = planned.expect("the queue lets in only what continues the log");
        let mark = Mark { place, sequence: batch.sequence };
        self.durable.store(batch.sequence, Ordering::Relaxed);
        if self.doubting(self.index.apply(index, &mark)).is_err() {
            // It is made anew from the journal, this frame included.
            return planned;
        }
        for item in &batch.items {
            if let Item::Append(appended) = item {
                let leaves: Vec<Hash> =
                    appended.entries.iter().map(|entry| entry.leaf_hash).collect();
                let earlier = |from| self.leaves(appended.committee, from);
                self.tiles.append(appended.committee, appended.first, &leaves, &earlier);
            }
        }
        for ((committee, index), blobs) in &mut planned.forgotten {
            *blobs = self.look_up_forgotten(*committee, *index);
        }
        planned
    }

    /// Makes an index that failed anew, if so much room is enough for it; for the thread that writes the
    /// journal, which therefore stands still.
    pub(super) fn mend_index(&self, free_bytes: u64) -> Result<(), StoreError> {
        if free_bytes < self.reserve_bytes {
            return Err(StoreError::StoreFull);
        }
        let durable = self.durable.load(Ordering::Relaxed);
        self.index.give_up();
        let index = opening::index_anew(&self.root, &self.segments, durable)
            .inspect_err(|error| tracing::warn!(%error, "the index could not be made anew yet"))?;
        self.index.replace(index);
        self.doubted.store(false, Ordering::Relaxed);
        self.forget_again()?;
        tracing::info!("the index was made anew: all is served again");
        Ok(())
    }

    /// Shows it; whether it makes anything forgotten that was not.
    pub(super) fn publish(&self, planned: Planned, batch: &Batch) -> bool {
        let forgets = !planned.forgotten.is_empty();
        self.with_view(|view| view.publish(planned, batch));
        for item in &batch.items {
            if let Item::Append(appended) = item {
                let blobs = appended.entries.iter().flat_map(|entry| entry.blobs.iter().copied());
                self.blobs.named(appended.committee, blobs);
            }
        }
        forgets
    }

    /// The blob with that hash, when a durable entry of the committee names it.
    pub(super) fn named_blob(
        &self,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<Option<Blob>, StoreError> {
        let Some(held) = self.held(committee) else { return Ok(None) };
        self.doubting(self.index.blob(held.number, sha256))
    }

    fn view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_view<T>(&self, work: impl FnOnce(&mut View) -> T) -> T {
        work(&mut self.view.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn held(&self, committee: CommitteeId) -> Option<Indexed> {
        self.view(|view| view.committees.get(&committee).copied())
    }

    fn leaves(&self, committee: CommitteeId, from: LeafIndex) -> Result<Vec<Hash>, StoreError> {
        let held = self.held(committee);
        let Some(held) = held.filter(|held| from.0 < held.size.0) else { return Ok(Vec::new()) };
        let entries = self.entries(committee, held, from, LEAVES_READ_BYTES)?;
        Ok(entries.into_iter().map(|(head, _)| head.leaf_hash).collect())
    }

    fn read(
        &self,
        committee: CommitteeId,
        from: LeafIndex,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, StoreError> {
        let held = self.held(committee);
        let Some(held) = held.filter(|held| from.0 < held.size.0) else { return Ok(Vec::new()) };
        let entries = self.entries(committee, held, from, max_bytes)?;
        let to = LeafIndex(from.0 + entries.len() as u64);
        let forgotten = self.view(|view| view.forgotten(committee, from..to));
        let whole = entries.iter().zip(from.0..).filter(|((head, _), _)| !head.dropped);
        self.are_back(committee, whole.map(|(_, index)| LeafIndex(index)));
        let given = entries.into_iter().zip(from.0..).map(|((head, bytes), index)| {
            forgotten::given(&head, bytes, forgotten.contains(&LeafIndex(index)))
        });
        let given: Option<Vec<Bytes>> = given.collect();
        given.ok_or_else(|| StoreError::io("forgetting")(std::io::ErrorKind::InvalidData.into()))
    }

    /// Durable entries from `from` on, each checked against its checksum.
    fn entries(
        &self,
        committee: CommitteeId,
        held: Indexed,
        from: LeafIndex,
        max_bytes: usize,
    ) -> Result<Vec<(EntryHead, Bytes)>, StoreError> {
        let places = self.index.places(held.number, from, max_bytes);
        let mut places = self.doubting(places)?;
        // The index may already be ahead of what was published.
        places.truncate(usize::try_from(held.size.0 - from.0).unwrap_or(usize::MAX));
        if places.is_empty() {
            self.distrust_index();
            return Err(StoreError::StoreIndex("an entry is missing in it".to_owned()));
        }
        let mut entries = Vec::with_capacity(places.len());
        let mut index = from.0;
        for stretch in places.chunk_by(near) {
            let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
            let len = (last.offset - first.offset + last.len) as usize;
            let bytes = self.segments.read(first.segment, first.offset, len)?;
            for place in stretch {
                let start = (place.offset - first.offset) as usize;
                let whole = bytes.slice(start..start + place.len as usize);
                match frame::decode_entry(&whole, committee, LeafIndex(index)) {
                    Some((head, len)) if len == whole.len() => {
                        let bytes = whole.slice(head.entry.clone());
                        entries.push((head, bytes));
                    }
                    _ => return Err(self.damaged(*place)),
                }
                index += 1;
            }
        }
        Ok(entries)
    }

    fn damaged(&self, place: Place) -> StoreError {
        self.distrust_index();
        StoreError::StoreDamaged { segment: place.segment, offset: place.offset.into() }
    }

    /// An index that fails once is made anew: now, or at the next start if this process ends before.
    fn doubting<T>(&self, asked: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::StoreIndex(_)) = &asked {
            self.distrust_index();
            self.queue.mend_index();
        }
        asked
    }

    /// Has the index made anew at the next start: it, not the journal, may be what is wrong.
    fn distrust_index(&self) {
        if self.doubted.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::error!(
            "the index failed, or an entry is not where it says: it is to be made anew"
        );
        let durable = self.durable.load(Ordering::Relaxed);
        if let Err(error) = Opening::begin(self.segments.disk(), &self.root, durable) {
            tracing::warn!(%error, "the index could not be marked as doubtful");
        }
    }
}

/// Whether two entries are read in one go.
fn near(one: &Place, next: &Place) -> bool {
    let end = one.offset + one.len;
    one.segment == next.segment && next.offset >= end && next.offset - end <= READ_GAP_BYTES_MAX
}

async fn settled(ticket: Ticket) -> Result<(), StoreError> {
    // The sender is dropped only when the commit thread has died.
    ticket.await.unwrap_or(Err(StoreError::StoreStopped))
}

impl Store {
    /// Runs work that may wait for the disk where waiting is allowed.
    async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        // The panic was said, and its message may name what was being read.
        done.unwrap_or_else(
            |_| Err(StoreError::StoreIndex("reading it panicked".to_owned()).into()),
        )
    }

    /// Removes uploads that no entry came to name, by what the clock says; how many it were. Other than
    /// that only blobs go that are forgotten.
    pub async fn collect_uploads(&self, now: SystemTime) -> Result<u64, StoreError> {
        self.blocking(move |inner| inner.blobs.collect(inner, now)).await
    }

    /// Reads every blob again, so many bytes a second, and says in log and counts what is damaged. It is
    /// mended by nobody. May be dropped at any point.
    pub async fn scrub_blobs(&self, bytes_a_second: u64) -> Result<Scrubbed, StoreError> {
        self.inner.blobs.scrub(&self.inner, bytes_a_second).await
    }
}

impl LogStore for Store {
    type Nodes = CommitteeNodes;

    fn append(
        &self,
        append: Append,
    ) -> impl Future<Output = Result<TreeSize, AppendError>> + Send + use<> {
        let size = TreeSize(append.expected.0 + append.entries.len() as u64);
        let ticket = self.inner.queue.append(&self.inner, append);
        async move {
            settled(ticket?).await?;
            Ok(size)
        }
    }

    fn ready(&self) -> Result<(), StoreError> {
        self.inner.ready()
    }

    async fn room(&self) {
        self.inner.queue.room().await;
    }

    async fn read(
        &self,
        committee: CommitteeId,
        from: LeafIndex,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, StoreError> {
        self.blocking(move |inner| inner.read(committee, from, max_bytes)).await
    }

    async fn head(&self, committee: CommitteeId) -> TreeSize {
        self.inner.head(committee)
    }

    async fn committees(&self) -> Vec<(CommitteeId, TreeSize)> {
        self.inner.view(|view| view.committees.iter().map(|(id, held)| (*id, held.size)).collect())
    }

    async fn index_of(
        &self,
        committee: CommitteeId,
        author: DeviceId,
        author_seq: AuthorSeq,
    ) -> Result<Option<(LeafIndex, Hash)>, StoreError> {
        let Some(held) = self.inner.held(committee) else { return Ok(None) };
        let found = self.inner.index.find(held.number, author, author_seq);
        let found = self.inner.doubting(found)?;
        Ok(found.filter(|(index, _)| index.0 < held.size.0))
    }

    fn nodes(&self, committee: CommitteeId) -> CommitteeNodes {
        CommitteeNodes::new(Arc::clone(&self.inner), committee)
    }

    fn forget_nodes(&self, committee: CommitteeId) {
        self.inner.tiles.forget(committee);
    }

    async fn put_snapshot(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.snapshots.put(committee, size, &bytes)).await
    }

    async fn snapshot(
        &self,
        committee: CommitteeId,
    ) -> Result<Option<(TreeSize, Bytes)>, StoreError> {
        let newest = self.blocking(move |inner| inner.snapshots.newest(committee)).await?;
        Ok(newest.filter(|(size, _)| *size <= self.inner.head(committee)))
    }

    async fn put_cosignature(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        if bytes.len() > COSIGNATURE_BYTES_MAX {
            let error = std::io::ErrorKind::InvalidInput.into();
            return Err(StoreError::io("keeping a cosignature")(error));
        }
        // The index is nearly all that still takes room while reads go on. Without any it fails.
        if let Err(StoreError::StoreFull) = self.inner.ready() {
            return Err(StoreError::StoreFull);
        }
        self.inner.doubting(self.inner.index.put_cosignature(committee, device, &bytes))
    }

    async fn cosignatures(
        &self,
        committee: CommitteeId,
    ) -> Result<Vec<(DeviceId, Bytes)>, StoreError> {
        self.inner.doubting(self.inner.index.cosignatures(committee))
    }

    fn forget_counts(&self) -> ForgetCounts {
        self.inner.forget_counts()
    }

    fn record_checkpoint(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        note: &str,
    ) -> Result<(), StoreError> {
        self.inner.checkpoints.record(committee, size, note)
    }

    fn last_checkpoint(
        &self,
        committee: CommitteeId,
    ) -> Result<Option<(TreeSize, String)>, StoreError> {
        Ok(self.inner.checkpoints.last(committee))
    }
}

impl NoteStore for Store {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.inner.with_notes(|notes| notes.get(key).cloned()))
    }

    async fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        Ok(self.inner.with_notes(|notes| notes.scan(prefix)))
    }

    fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<(), CommitError>> + Send + use<> {
        let ticket = self.inner.queue.commit(&self.inner, commit);
        async move { Ok(settled(ticket?).await?) }
    }
}

impl BlobStore for Store {
    type Upload = blobs::Upload;
    type Pin = blobs::Pin;
    type Reader = blobs::Reader;

    async fn upload(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        blob: Blob,
    ) -> Result<Begun<Self::Upload>, BlobError> {
        self.blocking(move |inner| inner.blobs.upload(inner, committee, device, blob)).await
    }

    async fn receive(
        &self,
        upload: Self::Upload,
        body: mpsc::Receiver<Bytes>,
    ) -> Result<(), BlobError> {
        upload.receive(body).await
    }

    async fn pin(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        blobs: Vec<Blob>,
    ) -> Result<Option<Self::Pin>, StoreError> {
        self.blocking(move |inner| inner.blobs.pin(inner, committee, device, &blobs)).await
    }

    async fn blob(
        &self,
        committee: CommitteeId,
        sha256: Hash,
    ) -> Result<Option<Self::Reader>, BlobError> {
        self.blocking(move |inner| inner.blobs.blob(inner, committee, sha256)).await
    }

    fn blob_counts(&self) -> BlobCounts {
        self.inner.blobs.counts()
    }
}

#[cfg(test)]
mod tests;
