//! Notes in memory: the durable ones, and what is on its way to the journal.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::{Commit, CommitError, NOTE_KEY_BYTES_MAX, NOTE_VALUE_BYTES_MAX, NOTES_BYTES_MAX};

/// A note set, or removed when there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoteChange {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Bytes>,
}

/// The durable notes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    values: BTreeMap<Vec<u8>, Bytes>,
    bytes: usize,
}

impl Notes {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.values.get(key)
    }

    pub(super) fn scan(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Bytes)> {
        self.values
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(super) fn apply(&mut self, change: &NoteChange) {
        let old = match &change.value {
            Some(value) => {
                self.bytes += change.key.len() + value.len();
                self.values.insert(change.key.clone(), value.clone())
            }
            None => self.values.remove(&change.key),
        };
        if let Some(old) = old {
            self.bytes -= change.key.len() + old.len();
        }
    }
}

/// Changes in the queue: what the next commit is checked against, over the durable notes.
#[derive(Debug, Default)]
pub(super) struct QueuedNotes {
    /// The newest queued change of each key, and how many queued changes the key has.
    newest: HashMap<Vec<u8>, (Option<Bytes>, usize)>,
    bytes: usize,
}

impl QueuedNotes {
    /// Checks a commit against limits and requirements and turns it into changes.
    pub(super) fn admit(
        &self,
        commit: Commit,
        durable: &Notes,
    ) -> Result<Vec<NoteChange>, CommitError> {
        for (key, required) in commit.require {
            let now = match self.newest.get(&key) {
                Some((queued, _)) => queued.as_ref(),
                None => durable.get(&key),
            };
            if now != required.as_ref() {
                return Err(CommitError::RequireFailed { key });
            }
        }
        let put = commit.put.into_iter().map(|(key, value)| (key, Some(value)));
        let delete = commit.delete.into_iter().map(|key| (key, None));
        let changes: Vec<NoteChange> =
            put.chain(delete).map(|(key, value)| NoteChange { key, value }).collect();
        let fits = |change: &NoteChange| {
            change.key.len() <= NOTE_KEY_BYTES_MAX
                && change.value.as_ref().is_none_or(|value| value.len() <= NOTE_VALUE_BYTES_MAX)
        };
        let puts = changes.iter().any(|change| change.value.is_some());
        let total = durable.bytes + self.bytes + put_bytes(&changes);
        if !changes.iter().all(fits) || (puts && total > NOTES_BYTES_MAX) {
            return Err(CommitError::LocalSize);
        }
        Ok(changes)
    }

    pub(super) fn push(&mut self, changes: &[NoteChange]) {
        self.bytes += put_bytes(changes);
        for change in changes {
            let queued = self.newest.entry(change.key.clone()).or_default();
            queued.0.clone_from(&change.value);
            queued.1 += 1;
        }
    }

    /// The changes became durable.
    pub(super) fn pop(&mut self, changes: &[NoteChange]) {
        self.bytes -= put_bytes(changes);
        for change in changes {
            let Some(queued) = self.newest.get_mut(&change.key) else { continue };
            queued.1 -= 1;
            if queued.1 == 0 {
                self.newest.remove(&change.key);
            }
        }
    }
}

fn put_bytes(changes: &[NoteChange]) -> usize {
    let puts = changes.iter().filter_map(|change| Some((&change.key, change.value.as_ref()?)));
    puts.map(|(key, value)| key.len() + value.len()).sum()
}
