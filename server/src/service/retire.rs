//! A log that goes on in another data folder: this one never serves it again (SPEC.md §26).
//!
//! The mark is a note of the journal, set when the export is durable. Before it nothing has happened, behind it
//! the log stays as it is: it may be exported once more, and is neither served nor imported.

use std::collections::BTreeSet;

use bytes::Bytes;
use sealpost_protocol::id::CommitteeId;

use super::fold::FoldError;
use crate::store::{Commit, CommitError, LogStore, NoteStore, StoreError};

const MARK_PREFIX: &[u8] = b"retired/";

/// Marks logs, all of them or none. Each comes with the note over all that was exported of it.
pub async fn retire<S: NoteStore>(
    store: &S,
    exported: Vec<(CommitteeId, String)>,
) -> Result<(), CommitError> {
    let put = exported.into_iter().map(|(id, note)| (mark(id), Bytes::from(note))).collect();
    store.commit(Commit { put, ..Commit::default() }).await
}

/// The committees whose logs are not served from here any more. Refuses a store that has no other.
pub(super) async fn retired<S: LogStore + NoteStore>(
    store: &S,
) -> Result<BTreeSet<CommitteeId>, FoldError> {
    let marks = store.scan(MARK_PREFIX).await?;
    let retired: BTreeSet<CommitteeId> = marks.iter().filter_map(|(key, _)| named(key)).collect();
    let held = store.committees().await;
    match held.iter().any(|(committee, _)| !retired.contains(committee)) {
        false if !held.is_empty() => Err(FoldError::LocalRetired),
        _ => Ok(retired),
    }
}

/// Whether the log of a committee goes on elsewhere.
pub(super) async fn is_retired<S: NoteStore>(
    store: &S,
    committee: CommitteeId,
) -> Result<bool, StoreError> {
    Ok(store.get(&mark(committee)).await?.is_some())
}

fn mark(committee: CommitteeId) -> Vec<u8> {
    [MARK_PREFIX, committee.as_bytes()].concat()
}

/// The committee that a note marks, if it is such a mark.
pub(super) fn named(key: &[u8]) -> Option<CommitteeId> {
    let bytes: [u8; 32] = key.strip_prefix(MARK_PREFIX)?.try_into().ok()?;
    Some(CommitteeId(sealpost_protocol::hash::Hash(bytes)))
}

#[cfg(test)]
mod tests;
