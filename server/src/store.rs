//! Where the relay keeps logs and notes: the seam between the service and a backend.
//!
//! ```text
//! append ┐                                        ┌ head, index_of
//! commit ┴→ queue → one frame → fdatasync → answer┤ read, nodes
//!           (order is fixed here)  (journal)      └ get, scan
//!
//! blob's bytes → upload → durable → named by an entry → blob
//! ```
//!
//! Each method's comment states what it promises about durability; [`conformance`] holds every
//! backend to it. [`Store`] is the embedded backend: SPEC.md §20 is its format.
//! An error from a write means *unknown*: it may be in the log or not. Whoever needs to know reads
//! again.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, CommitteeId, DeviceId, LeafIndex, TreeSize};
use tokio::sync::mpsc;

pub mod conformance;
pub mod disk;

mod blobs;
mod check;
mod checkpoints;
mod commit;
mod embedded;
mod frame;
mod index;
mod journal;
mod notes;
mod snapshots;
mod tiles;

pub use blobs::{BlobCounts, BlobOptions, Pin, Reader, Scrubbed, Upload};
pub use check::{Fault, Finding, Forgetting, Look, check};
pub use embedded::{ForgetCounts, Options, Store};
pub use tiles::CommitteeNodes;

/// Entry bytes and their heads that one append may carry: a push is one wire frame, and one
/// journal frame must hold it.
pub const APPEND_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What may wait for the disk before callers are told to come back: bounds memory.
pub const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A note's key.
pub const NOTE_KEY_BYTES_MAX: usize = 256;
/// A note's value: a join request with room.
pub const NOTE_VALUE_BYTES_MAX: usize = 64 * 1024;
/// All notes together: they are held in memory.
pub const NOTES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// One cosignature.
pub const COSIGNATURE_BYTES_MAX: usize = sealpost_protocol::limits::NOTE_BYTES_MAX;

/// An admitted entry on its way into the log. The store does not look into `bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The leaf of the committee's tree.
    pub leaf_hash: Hash,
    /// Who signed it.
    pub author: DeviceId,
    /// Its place in the author's own chain.
    pub author_seq: AuthorSeq,
    /// The blobs it names, at most [`sealpost_protocol::limits::BLOBS_MAX`].
    pub blobs: Vec<Blob>,
    /// The encoded entry, exactly as it came.
    pub bytes: Bytes,
    /// Its payload was forgotten before it came here, and is not in `bytes`.
    pub dropped: bool,
}

/// Entries to put behind the `expected` ones of one committee's log, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Whose log. An unknown committee is a log of size 0.
    pub committee: CommitteeId,
    /// How many entries the log has, those still in the queue included.
    pub expected: TreeSize,
    /// In log order; at least one.
    pub entries: Vec<StoredEntry>,
    /// What these entries make forgotten: places of entries before them.
    pub forgets: Vec<LeafIndex>,
}

/// Changes of notes that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// What must be so, changes still in the queue included: this value, or no value.
    pub require: Vec<(Vec<u8>, Option<Bytes>)>,
    /// Values to set.
    pub put: Vec<(Vec<u8>, Bytes)>,
    /// Keys to remove; one that does not exist is no error.
    pub delete: Vec<Vec<u8>>,
}

/// Why the store cannot do its work. None of these is the fault of a peer. The texts name no
/// committee, so that they may be logged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The operator named a folder that is no data folder. It is never created by accident.
    #[error("{} is no data folder of a relay", .0.display())]
    LocalNoDataFolder(PathBuf),
    /// The operator asked to create a data folder where something is already.
    #[error("{} is not empty: nothing was created", .0.display())]
    LocalExists(PathBuf),
    /// Another process serves this folder.
    #[error("{} is in use by another process", .0.display())]
    LocalInUse(PathBuf),
    /// Made by another version of this program.
    #[error("the data folder has format version {found}; this program knows {known}")]
    LocalVersion {
        /// What the folder says.
        found: u32,
        /// What this program writes.
        known: u32,
    },
    /// The disk is (nearly) full. Nothing was written; the same write may succeed later.
    #[error("the disk is full: nothing was written")]
    StoreFull,
    /// More waits for the disk than memory allows, or the index is being made anew. Nothing was queued;
    /// `room` says when to retry.
    #[error("too much is waiting for the disk: nothing was queued")]
    StoreBusy,
    /// An earlier write failed half-way, so nothing more is written until a restart has looked at
    /// what is on disk. Whether the write that meets this first took effect is unknown.
    #[error("writing stopped after a failed write: restart the relay")]
    StoreStopped,
    /// What is on disk is not what was written there.
    #[error("damaged: journal segment {segment} at byte {offset}")]
    StoreDamaged {
        /// The segment's number, which is its file name.
        segment: u32,
        /// Where in the file.
        offset: u64,
    },
    /// The log is shorter than this relay has signed: a backup was put back, or the disk lied.
    #[error("rolled back: a log has {held} entries, but {signed} were signed for")]
    StoreRolledBack {
        /// Whose log.
        committee: CommitteeId,
        /// The size in the last signed checkpoint.
        signed: TreeSize,
        /// The size of the log on disk.
        held: TreeSize,
    },
    /// A checkpoint was to be recorded that says something else of a size than one that went out.
    #[error("a second checkpoint for one size: it was not signed for")]
    StoreForked,
    /// The operating system refused.
    #[error("{doing}: {error}")]
    StoreIo {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: Arc<io::Error>,
    },
    /// The index, a cache, does not answer. It is made anew from the journal as soon as there is room.
    #[error("the index does not answer ({0}): it is made anew when there is room on the disk")]
    StoreIndex(String),
}

/// Refuses a folder that is no data folder of this version.
pub fn must_be_data_folder(disk: &dyn disk::Disk, path: &Path) -> Result<(), StoreError> {
    embedded::check_format(disk, path)
}

/// Refuses a folder in which no data folder can be made: something is there already.
pub fn must_be_free(disk: &dyn disk::Disk, path: &Path) -> Result<(), StoreError> {
    embedded::must_be_free(disk, path)
}

impl StoreError {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::StoreIo { doing, error: Arc::new(error) }
    }
}

/// Why an append was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The log has another size: somebody else appended. Nothing was queued.
    #[error("the log has {actual} entries")]
    WrongSize {
        /// The size, those still in the queue included.
        actual: TreeSize,
    },
    /// No entries, or more than [`APPEND_BYTES_MAX`]. Nothing was queued.
    #[error("an append carries 1 to {APPEND_BYTES_MAX} bytes of entries")]
    LocalSize,
    /// It forgets what does not stand before it in the log. Nothing was queued.
    #[error("what is forgotten stands before what forgets it")]
    LocalForgets,
    /// The store's own trouble; the outcome is unknown unless the variant says otherwise.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a commit was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// A required value is not so. Nothing was queued.
    #[error("a required note has another value")]
    RequireFailed {
        /// The first such key.
        key: Vec<u8>,
    },
    /// Beyond a limit on notes. Nothing was queued.
    #[error("a note, or all notes together, would be too large")]
    LocalSize,
    /// The store's own trouble; the outcome is unknown unless the variant says otherwise.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The logs of all committees.
pub trait LogStore: Send + Sync + 'static {
    /// Nodes of one committee's tree.
    type Nodes: Nodes;

    /// Queues entries behind the log, at once; the future answers with the new size.
    ///
    /// **Durable when it answers `Ok`**: the disk has confirmed it. The place in the log is fixed
    /// when this *returns*, so a caller may queue the next append (`expected` = the size after
    /// this one) before this one is durable, and needs its own lock only around the call.
    /// Dropping the future does not take the entries back. Should an append fail, all that were
    /// queued behind it fail too.
    ///
    /// What it makes forgotten is forgotten as durably as its entries are there: from the answer on
    /// [`Self::read`] gives those entries without their payloads, and no blob is there by their
    /// naming. Payloads and blobs go from the disk soon afterwards, or when the disk takes it.
    fn append(
        &self,
        append: Append,
    ) -> impl Future<Output = Result<TreeSize, AppendError>> + Send + use<Self>;

    /// Whether a write would be taken now; the error says why not: [`StoreError::StoreFull`],
    /// [`StoreError::StoreBusy`] or [`StoreError::StoreStopped`]. No promise, and cheap: asked
    /// before work that would be in vain.
    fn ready(&self) -> Result<(), StoreError>;

    /// Waits until the queue has room again after [`StoreError::StoreBusy`].
    fn room(&self) -> impl Future<Output = ()> + Send;

    /// Entries from `from` on, as many as fit into `max_bytes` but at least one if there is any.
    /// **Only durable ones**, each checked against its checksum; forgotten ones without their
    /// payload, from the moment that is durable.
    fn read(
        &self,
        committee: CommitteeId,
        from: LeafIndex,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<Bytes>, StoreError>> + Send;

    /// How many entries are **durable**; 0 for an unknown committee.
    fn head(&self, committee: CommitteeId) -> impl Future<Output = TreeSize> + Send;

    /// Every committee that has an entry, with its size, by id.
    fn committees(&self) -> impl Future<Output = Vec<(CommitteeId, TreeSize)>> + Send;

    /// Where the author's entry of that number stands, and its leaf hash. **Only durable ones.**
    fn index_of(
        &self,
        committee: CommitteeId,
        author: DeviceId,
        author_seq: AuthorSeq,
    ) -> impl Future<Output = Result<Option<(LeafIndex, Hash)>, StoreError>> + Send;

    /// The nodes of the committee's tree: a **cache**, computed again from the log when damaged.
    fn nodes(&self, committee: CommitteeId) -> Self::Nodes;

    /// Throws the nodes of a committee's tree away: they are not of the log that is there.
    fn forget_nodes(&self, committee: CommitteeId);

    /// Keeps the service's fold as it was at `size`. A **cache**: it may be gone after a restart,
    /// is never half there, and replaces an older one.
    fn put_snapshot(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The snapshot, if there is a sound one that is not ahead of the log.
    fn snapshot(
        &self,
        committee: CommitteeId,
    ) -> impl Future<Output = Result<Option<(TreeSize, Bytes)>, StoreError>> + Send;

    /// Keeps a device's newest cosignature in place of its older one. **Not durable by promise**:
    /// devices post a lost one again. [`StoreError::StoreFull`] while the disk is.
    fn put_cosignature(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The cosignatures of a committee, by device.
    fn cosignatures(
        &self,
        committee: CommitteeId,
    ) -> impl Future<Output = Result<Vec<(DeviceId, Bytes)>, StoreError>> + Send;

    /// What was counted of what is forgotten since it was opened, for metrics.
    fn forget_counts(&self) -> ForgetCounts;

    /// Remembers that a checkpoint of `size` was signed; to be called **before** the note goes
    /// out, and only for a durable size. Another note for a recorded size is
    /// [`StoreError::StoreForked`]. Survives a kill when it returns, a power cut about a
    /// second later; the store then refuses to open with a shorter log.
    fn record_checkpoint(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        note: &str,
    ) -> Result<(), StoreError>;

    /// The last checkpoint recorded for a committee.
    fn last_checkpoint(
        &self,
        committee: CommitteeId,
    ) -> Result<Option<(TreeSize, String)>, StoreError>;
}

/// Complete nodes of one tree by position: the leaf L stands at 2L − popcount(L), and the node of
/// level l that it completes l places later.
pub trait Nodes: Send {
    /// The node at `position`, checked. One beyond the durable log is
    /// [`io::ErrorKind::NotFound`] inside [`StoreError::StoreIo`].
    fn node(&self, position: u64) -> Result<Hash, StoreError>;
}

/// Small values by key: invitations, join requests, permits.
pub trait NoteStore: Send + Sync + 'static {
    /// The **durable** value of `key`.
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// All **durable** notes whose key starts with `prefix`, by key.
    fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, Bytes)>, StoreError>> + Send;

    /// Queues the changes, at once; checked against what is required when this *returns*, and
    /// **durable, all of them, when the future answers `Ok`**.
    fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<(), CommitError>> + Send + use<Self>;
}

/// Why a blob was not taken, or is not given.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BlobError {
    /// What came is not the blob that was named: another hash, or more bytes. The sender's fault.
    #[error("what came is not the blob that was named")]
    PeerOther,
    /// The bytes ended early. What came is kept, to go on from.
    #[error("the blob's bytes ended early")]
    PeerShort,
    /// The same device began to send the same blob anew: that upload goes on, this one does not. Or an
    /// entry that named the blob was forgotten, and what came with it: it may be sent anew.
    #[error("a newer upload of the blob took over, or it was forgotten")]
    PeerTakenOver,
    /// The device sends, or has left lying, as many as it may.
    #[error("the device has too many uploads")]
    PeerTooMany,
    /// The committee's room for blobs is used up. Nothing was begun.
    #[error("the committee's room for blobs is used up")]
    LocalNoRoom,
    /// What named the blob was forgotten while it was read.
    #[error("the blob was forgotten")]
    Forgotten,
    /// An entry names the blob, and it is not there as it was written.
    #[error("a blob that an entry names is missing or damaged: run check")]
    StoreLost,
    /// The store's own trouble. What is whole of an upload is kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What becomes of a blob that somebody wants to send.
#[derive(Debug)]
pub enum Begun<U> {
    /// It is all here, durably.
    Whole,
    /// It is to be sent from the upload's offset on.
    At(U),
}

/// The blobs of all committees: sealed attachments, by committee and SHA-256.
///
/// ```text
/// upload → receive (durable, no entry names it) ─┐
///              pin ── append of the entry ───────┴→ named: given to readers, kept
/// ```
///
/// An upload belongs to one device of one committee until an entry names its blob.
pub trait BlobStore: Send + Sync + 'static {
    /// An upload under way; dropping it ends it, and what came is kept.
    type Upload: BlobUpload;
    /// Keeps blobs from being collected, until it is dropped.
    type Pin: Send + 'static;
    /// A blob being read.
    type Reader: BlobRead;

    /// Begins to take a blob, or goes on where `device` was when its last upload of it ended;
    /// [`Begun::Whole`] is a promise as [`Self::receive`]'s `Ok`. One upload of a blob by a device at a
    /// time: a newer one ends an older one that hangs. Room for what is still to come is looked for
    /// first: [`BlobError::LocalNoRoom`], [`StoreError::StoreFull`].
    fn upload(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        blob: Blob,
    ) -> impl Future<Output = Result<Begun<Self::Upload>, BlobError>> + Send;

    /// Takes the bytes behind the upload's offset, until `body` ends. **Durable when it answers
    /// `Ok`**: the whole blob, its hash checked. Otherwise what came is kept where it can be, and what
    /// is not the blob is thrown away. Waits for nothing else than the body, the disk and room on it.
    fn receive(
        &self,
        upload: Self::Upload,
        body: mpsc::Receiver<Bytes>,
    ) -> impl Future<Output = Result<(), BlobError>> + Send;

    /// Holds blobs for an entry that is about to name them: **each is durable**, with that size, and
    /// stays as long as the pin lives, from then on as long as an entry names it. `None` when one is
    /// neither named in the committee already nor wholly sent by `device`.
    fn pin(
        &self,
        committee: CommitteeId,
        device: DeviceId,
        blobs: Vec<Blob>,
    ) -> impl Future<Output = Result<Option<Self::Pin>, StoreError>> + Send;

    /// A blob that a **durable** entry of the committee names; `None` when none does, and
    /// [`BlobError::StoreLost`] when it should be there and is not.
    fn blob(
        &self,
        committee: CommitteeId,
        sha256: Hash,
    ) -> impl Future<Output = Result<Option<Self::Reader>, BlobError>> + Send;

    /// What was counted since it was opened, for metrics.
    fn blob_counts(&self) -> BlobCounts;
}

/// An upload under way.
pub trait BlobUpload: std::fmt::Debug + Send + 'static {
    /// How many bytes of the blob are here.
    fn offset(&self) -> u64;
}

/// A blob being read.
pub trait BlobRead: Send + Sync + 'static {
    /// How many bytes it has.
    fn size(&self) -> u64;

    /// The bytes from `offset` on, at most [`sealpost_protocol::limits::BLOB_FRAME_BYTES`] and at least one if there is
    /// any. [`BlobError::StoreLost`] when the file is shorter than the blob.
    fn read(&self, offset: u64) -> impl Future<Output = Result<Bytes, BlobError>> + Send;
}
