//! A log on its way into a relay (SPEC.md §26): all of it, or the relay does not serve until it is.
//!
//! ```text
//! file, first time   → VerifiedExport: every entry admitted, the note this relay's own
//!                    → Import: its home is here, and what is held is the beginning of it
//! blobs              → uploads, that no entry names yet
//! file, second time  → mark → appends → checkpoint → mark gone
//! ```
//!
//! The mark is a note of the journal. While it stands a relay does not start: it would serve less than it
//! has signed for.

use bytes::Bytes;
use sealpost_protocol::checkpoint::{Checkpoint, UnverifiedCheckpoint};
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Blob, UnverifiedEntry};
use sealpost_protocol::export::VerifiedExport;
use sealpost_protocol::id::{CommitteeId, DeviceId, LeafIndex, TreeSize};
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::tree;

use super::fold::{FoldError, TreeNodes, is_of_log};
use super::retire::is_retired;
use crate::store::{
    Append, AppendError, BlobError, BlobStore, Commit, CommitError, LogStore, NoteStore,
    StoreError, StoredEntry,
};

/// Entries are put behind each other so many bytes at a time.
const APPEND_BYTES: usize = 1024 * 1024;
const MARK_PREFIX: &[u8] = b"import/";

/// Why a log is not taken. The texts name no committee, so that they may be logged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The roster has another relay as the committee's home: this one could not sign for its log.
    #[error("the committee's home is another relay: this one never signs for its log")]
    LocalOtherHome,
    /// The data folder holds another log of the same committee: two histories of one.
    #[error(
        "the data folder holds another log of this committee: after {common} entries they differ"
    )]
    PeerOtherLog {
        /// How many entries were compared.
        common: TreeSize,
    },
    /// An import of more of this log was broken off: this file is too short to finish it.
    #[error("more of this log was being imported, and that is to be finished first")]
    LocalUnfinished,
    /// An export retired the log: it goes on elsewhere.
    #[error("an export retired this log here: it goes on in another data folder")]
    LocalRetired,
    /// Blobs that records name are nowhere.
    #[error("{0} of the attachments that the log names are neither here nor beside the file")]
    LocalBlobsMissing(usize),
    /// The file is not what it was when it was verified.
    #[error("the file was changed while it was read")]
    PeerChanged,
    /// The store failed. What was done so far is finished by the same import.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An append was not accepted.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The mark could not be set or removed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A blob was not taken.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Refuses a store with a log that was not wholly taken.
pub(super) async fn must_be_whole<S: NoteStore>(store: &S) -> Result<(), FoldError> {
    match store.scan(MARK_PREFIX).await?.first() {
        None => Ok(()),
        Some(_) => Err(FoldError::LocalImporting),
    }
}

/// Refuses a log whose home is not the relay with that key.
pub fn must_be_home(key: PublicKey, export: &VerifiedExport) -> Result<(), ImportError> {
    let home = *export.fold().roster().home().address.key();
    if home == key { Ok(()) } else { Err(ImportError::LocalOtherHome) }
}

fn mark(committee: CommitteeId) -> Vec<u8> {
    [MARK_PREFIX, committee.as_bytes()].concat()
}

/// What became of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many entries it has here now.
    pub size: TreeSize,
    /// How many of them came.
    pub taken: u64,
}

/// A verified log, being put behind what is held of it.
pub struct Import<'i, S> {
    store: &'i S,
    export: &'i VerifiedExport,
    held: TreeSize,
    next: LeafIndex,
    batch: Vec<StoredEntry>,
    batch_bytes: usize,
    /// From how many on they are put behind the log.
    append_bytes: usize,
    forgets: Vec<LeafIndex>,
}

impl<'i, S: LogStore + NoteStore + BlobStore> Import<'i, S> {
    /// Whether the relay with that key may take the log: it is its home, and holds nothing else of it.
    /// Changes nothing.
    pub async fn open(
        store: &'i S,
        key: PublicKey,
        export: &'i VerifiedExport,
    ) -> Result<Self, ImportError> {
        must_be_home(key, export)?;
        let committee = export.committee();
        if is_retired(store, committee).await? {
            return Err(ImportError::LocalRetired);
        }
        let held = store.head(committee).await;
        let common = held.min(export.fold().size());
        let other = || ImportError::PeerOtherLog { common };
        if held > TreeSize(0) {
            let root = tree::root_at(common, &TreeNodes(store.nodes(committee)));
            if root.ok() != export.root_at(common) {
                return Err(other());
            }
        }
        // What was signed for here is at most what is held, or the store had not opened.
        if let Some((size, note)) = store.last_checkpoint(committee)?
            && !is_of_log(&note, size, store.nodes(committee))
        {
            return Err(other());
        }
        // What was broken off is finished by as much of the same log, or by more.
        if let Some(note) = store.get(&mark(committee)).await? {
            let marked = UnverifiedCheckpoint::parse(&note).map(|note| *note.claimed());
            let goes_on = |marked: Checkpoint| export.root_at(marked.size) == Some(marked.root);
            if !marked.is_ok_and(goes_on) {
                return Err(ImportError::LocalUnfinished);
            }
        }
        Ok(Self {
            store,
            export,
            held,
            next: LeafIndex(0),
            batch: Vec::new(),
            batch_bytes: 0,
            append_bytes: APPEND_BYTES,
            forgets: Vec::new(),
        })
    }

    /// The blobs that are not here, with the device to take each from.
    pub async fn missing_blobs(&self) -> Result<Vec<(DeviceId, Blob)>, ImportError> {
        let mut missing = Vec::new();
        for (device, blob) in self.export.blobs().into_values() {
            let pin = self.store.pin(self.export.committee(), device, vec![blob]).await?;
            if pin.is_none() {
                missing.push((device, blob));
            }
        }
        Ok(missing)
    }

    /// From here on the relay does not serve before [`Self::finish`].
    pub async fn begin(&self) -> Result<(), ImportError> {
        if self.held >= self.export.fold().size() {
            return Ok(());
        }
        let note = Bytes::from(self.export.note().text().to_owned());
        let put = vec![(mark(self.export.committee()), note)];
        Ok(self.store.commit(Commit { put, ..Commit::default() }).await?)
    }

    /// Takes the next entry of the log; one that is held is passed over.
    pub async fn take(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        let index = self.next;
        self.next = LeafIndex(index.0 + 1);
        if index.0 < self.held.0 {
            return Ok(());
        }
        let entry = UnverifiedEntry::decode(bytes).map_err(|_| ImportError::PeerChanged)?;
        let dropped = self.export.is_forgotten(index);
        if self.export.leaf_at(index) != Some(entry.leaf())
            || (entry.payload().is_none() && !dropped)
        {
            return Err(ImportError::PeerChanged);
        }
        let forgets = self.export.forgets(index);
        let first = index.0 - self.batch.len() as u64;
        let behind = forgets.is_some_and(|forgotten| forgotten.0 >= first);
        if behind || self.batch_bytes >= self.append_bytes {
            self.append(index).await?;
        }
        self.forgets.extend(forgets.filter(|forgotten| !self.forgets.contains(forgotten)));
        let entry = if dropped { entry.with_payload_dropped() } else { entry };
        let header = entry.header();
        self.batch_bytes += bytes.len();
        self.batch.push(StoredEntry {
            leaf_hash: entry.leaf(),
            author: header.author,
            author_seq: header.author_seq,
            blobs: header.blobs.clone(),
            bytes: entry.encode().into(),
            dropped,
        });
        Ok(())
    }

    /// Puts what waits behind the log, durably; `end` is the place behind it.
    async fn append(&mut self, end: LeafIndex) -> Result<(), ImportError> {
        let entries = std::mem::take(&mut self.batch);
        let forgets = std::mem::take(&mut self.forgets);
        self.batch_bytes = 0;
        if entries.is_empty() {
            return Ok(());
        }
        let expected = TreeSize(end.0 - entries.len() as u64);
        let committee = self.export.committee();
        self.store.append(Append { committee, expected, entries, forgets }).await?;
        Ok(())
    }

    /// Remembers what was signed for, and lets the relay serve again.
    pub async fn finish(mut self) -> Result<Imported, ImportError> {
        let (committee, size) = (self.export.committee(), self.export.fold().size());
        if self.next.0 != size.0 {
            return Err(ImportError::PeerChanged);
        }
        self.append(self.next).await?;
        self.store.record_checkpoint(committee, size, self.export.note().text())?;
        self.keep_cosignatures().await?;
        if self.store.get(&mark(committee)).await?.is_some() {
            let delete = vec![mark(committee)];
            self.store.commit(Commit { delete, ..Commit::default() }).await?;
        }
        Ok(Imported { size: size.max(self.held), taken: size.0.saturating_sub(self.held.0) })
    }

    /// A device's newest one stays, whichever it is.
    async fn keep_cosignatures(&self) -> Result<(), ImportError> {
        let committee = self.export.committee();
        let held = self.store.cosignatures(committee).await?;
        for kept in self.export.cosignatures() {
            if held.iter().any(|(device, _)| *device == kept.device) {
                continue;
            }
            let bytes = Bytes::from(codec::encode(kept));
            self.store.put_cosignature(committee, kept.device, bytes).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
