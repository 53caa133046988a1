//! A log on its way out of its relay: what a pull from 0 brings, and the note over it (SPEC.md §26).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Blob, UnverifiedEntry};
use sealpost_protocol::export;
use sealpost_protocol::frame::CosignatureOf;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};

use super::fold::FoldError;
use super::import::must_be_whole;
use super::log::Log;
use crate::hub::Head;
use crate::store::{LogStore, NoteStore, StoreError};

/// Entry bytes read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A committee's log that nobody appends to, read from its beginning to its head.
pub struct Export<'s, S> {
    store: &'s S,
    committee: CommitteeId,
    log: Log,
    head: Head,
    next: LeafIndex,
    blobs: BTreeMap<Hash, Blob>,
}

impl<'s, S: LogStore + NoteStore> Export<'s, S> {
    /// Folds a log and signs for all of it, as a start of the relay does.
    pub async fn open(
        store: &'s S,
        key: &SigningKey,
        committee: CommitteeId,
    ) -> Result<Self, FoldError> {
        must_be_whole(store).await?;
        let log = Log::load(store, key, committee, &Arc::default()).await?;
        if let Some(index) = log.with_fold(|fold| fold.lacking().next()) {
            let why = "its payload is missing, and nothing forgets it".to_owned();
            return Err(FoldError::StoreInadmissible { committee, index, why });
        }
        let (head, next) = (log.head(), LeafIndex(0));
        Ok(Self { store, committee, log, head, next, blobs: BTreeMap::new() })
    }

    /// How many entries it has.
    pub fn size(&self) -> TreeSize {
        self.head.size
    }

    /// The note over all of them.
    pub fn note(&self) -> &str {
        &self.head.note
    }

    /// The next entries, in log order; none at the end.
    pub async fn entries(&mut self) -> Result<Vec<Bytes>, StoreError> {
        let left = self.head.size.0 - self.next.0;
        if left == 0 {
            return Ok(Vec::new());
        }
        let mut entries = self.store.read(self.committee, self.next, READ_BYTES).await?;
        entries.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        if entries.is_empty() {
            let error = Arc::new(io::ErrorKind::UnexpectedEof.into());
            return Err(StoreError::StoreIo { doing: "reading a log", error });
        }
        for bytes in &entries {
            // It was folded a moment ago. A forgotten record names no blobs any more.
            let entry = UnverifiedEntry::decode(bytes).ok();
            let entry = entry.filter(|entry| entry.payload().is_some());
            let named = entry.iter().flat_map(|entry| &entry.header().blobs);
            self.blobs.extend(named.map(|blob| (blob.sha256, *blob)));
        }
        self.next = LeafIndex(self.next.0 + entries.len() as u64);
        Ok(entries)
    }

    /// The blobs that the entries read so far name, and that are not forgotten.
    pub fn blobs(&self) -> impl Iterator<Item = Blob> {
        self.blobs.values().copied()
    }

    /// Each device's last cosignature, by device. What is damaged in that cache its device posts again.
    pub async fn cosignatures(&self) -> Result<Vec<CosignatureOf>, StoreError> {
        let kept = self.store.cosignatures(self.committee).await?;
        let mut kept: Vec<CosignatureOf> =
            kept.iter().filter_map(|(_, bytes)| codec::decode(bytes, bytes.len()).ok()).collect();
        kept.retain(|kept| {
            kept.size <= self.head.size
                && self.log.root_at(self.store, kept.size) == Some(kept.root)
                && self.log.with_fold(|fold| export::check_cosignature(fold, kept)).is_ok()
        });
        kept.sort_by_key(|kept| kept.device);
        Ok(kept)
    }
}
