//! One committee's log as the service runs it: the fold, what waits for the disk, and the head.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use sealpost_protocol::checkpoint::{Checkpoint, Origin};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::{Admitted, UnverifiedEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId, LeafIndex, TreeSize};
use sealpost_protocol::tree::{self, Proof};
use tokio::sync::watch;

use super::fold::{FoldError, TreeNodes, is_of_log, own_fold};
use crate::hub::{CutOffs, Head};
use crate::store::{Append, AppendError, LogStore, StoreError, StoredEntry};

mod state;

pub(crate) use state::{Activity, Outcome, Targets};
use state::{Checked, State};

/// Entries between two snapshots of a fold: bounds what a restart folds again.
const SNAPSHOT_ENTRIES: u64 = 50_000;

/// Entries to be pushed, and what was looked up for them.
pub(crate) struct Push<P> {
    /// In this order.
    pub(crate) entries: Vec<UnverifiedEntry>,
    /// What those among them that forget something name.
    pub(crate) targets: Targets,
    /// Holds the blobs that they name, until the store has answered.
    pub(crate) pins: P,
}

#[cfg(test)]
impl Push<()> {
    /// An entry that names nothing.
    pub(crate) fn of(entry: UnverifiedEntry) -> Self {
        Self { entries: vec![entry], targets: Targets::new(), pins: () }
    }
}

/// One committee's log.
pub(crate) struct Log {
    state: Mutex<State>,
    head: watch::Sender<Head>,
    /// Appends that the store has not answered yet.
    running: watch::Sender<usize>,
    cut_offs: Arc<CutOffs>,
}

impl Log {
    /// Starts a log at its founding entry, which is queued by the first [`Self::append`].
    pub(crate) fn found(fold: Committee, cut_offs: &Arc<CutOffs>) -> Self {
        let head = Head { size: TreeSize(0), note: "".into(), broken: None };
        Self::new(fold, head, cut_offs)
    }

    /// Folds a log that is on disk, from its last snapshot on.
    pub(crate) async fn load<S: LogStore>(
        store: &S,
        key: &SigningKey,
        committee: CommitteeId,
        cut_offs: &Arc<CutOffs>,
    ) -> Result<Self, FoldError> {
        let fold = own_fold(store, committee).await?;
        let signed = store.last_checkpoint(committee)?;
        if let Some((size, note)) = &signed
            && !is_of_log(note, *size, store.nodes(committee))
        {
            return Err(FoldError::StoreForked { committee, size: *size });
        }
        let note = sign(key, &fold, fold.size(), fold.root());
        let head = match (store.record_checkpoint(committee, fold.size(), &note), signed) {
            (Ok(()), _) => Head { size: fold.size(), note: note.into(), broken: None },
            // What cannot be signed for is not served; what was signed for still is.
            (Err(StoreError::StoreStopped), Some((size, note))) => {
                Head { size, note: note.into(), broken: None }
            }
            (Err(error), _) => return Err(error.into()),
        };
        Ok(Self::new(fold, head, cut_offs))
    }

    fn new(fold: Committee, head: Head, cut_offs: &Arc<CutOffs>) -> Self {
        Self {
            state: Mutex::new(State::new(fold)),
            head: watch::Sender::new(head),
            running: watch::Sender::new(0),
            cut_offs: cut_offs.clone(),
        }
    }

    /// Where the head appears.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// The head: what is durable and signed for.
    pub(crate) fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// Looks at the fold, which may be ahead of the disk.
    pub(crate) fn with_fold<T>(&self, look: impl FnOnce(&Committee) -> T) -> T {
        look(&self.lock().fold)
    }

    /// Admits entries in order and queues the admitted ones for the disk.
    ///
    /// Signatures are verified before the lock is taken, so that pushes of many authors share
    /// the processors; the lock is held for admission and queueing, so that the order of
    /// admission is the order of the log.
    pub(crate) fn push<S: LogStore, P: Send + 'static>(
        self: &Arc<Self>,
        store: &Arc<S>,
        key: &Arc<SigningKey>,
        push: Push<P>,
        now: Instant,
    ) -> Result<Vec<Outcome>, Code> {
        let Push { entries, targets, pins } = push;
        let checked = self.verify_signatures(entries);
        let mut state = self.lock();
        if let Some(code) = state.broken {
            return Err(code);
        }
        let expected = state.fold.size();
        let changes_roster = checked.iter().any(Checked::may_change_roster);
        let before = changes_roster.then(|| state.active());
        let mut admitted = Vec::new();
        let outcomes = checked
            .into_iter()
            .map(|entry| state.admit(entry, store.as_ref(), now, &targets, &mut admitted))
            .collect();
        if let Some(before) = before {
            state.note_moved(&before);
        }
        if !admitted.is_empty() {
            self.append(state, store, key, expected, &admitted, pins);
        }
        Ok(outcomes)
    }

    /// Queues a founding entry.
    pub(crate) fn push_founding<S: LogStore>(
        self: &Arc<Self>,
        store: &Arc<S>,
        key: &Arc<SigningKey>,
        founding: Admitted,
    ) {
        let mut state = self.lock();
        state.in_flight.insert(founding.entry.leaf(), founding.index);
        self.append(state, store, key, TreeSize(0), &[founding], ());
    }

    /// Hands admitted entries to the store and sees to what follows, whether or not whoever
    /// pushed them still waits.
    fn append<S: LogStore, P: Send + 'static>(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        store: &Arc<S>,
        key: &Arc<SigningKey>,
        expected: TreeSize,
        admitted: &[Admitted],
        pins: P,
    ) {
        let size = state.fold.size();
        let root = state.fold.root();
        state.queued.insert(size, root);
        let crossed = size.0 / SNAPSHOT_ENTRIES > expected.0 / SNAPSHOT_ENTRIES;
        let snapshot = crossed.then(|| codec::encode(&state.fold));
        let committee = state.fold.id();
        // Each is looked up before the answer: said a thousand times it is said once.
        let forgets: BTreeSet<LeafIndex> =
            admitted.iter().filter_map(|admitted| admitted.forgets).collect();
        let durable = store.append(Append {
            committee,
            expected,
            entries: admitted.iter().map(stored).collect(),
            forgets: forgets.into_iter().collect(),
        });
        self.running.send_modify(|running| *running += 1);
        drop(state);
        let (log, store, key) = (self.clone(), store.clone(), key.clone());
        tokio::spawn(async move {
            let durable = durable.await;
            drop(pins);
            match durable {
                Ok(_) => log.publish(store.as_ref(), &key).await,
                Err(error) => log.stop(&error),
            }
            log.running.send_modify(|running| *running -= 1);
            if let Some(bytes) = snapshot
                && let Err(error) = store.put_snapshot(committee, size, bytes.into()).await
            {
                tracing::warn!(%error, "a snapshot was not kept: a restart will take longer");
            }
        });
    }

    /// Signs for the largest size that is durable. The first of a group commit to come here signs
    /// for all of them.
    async fn publish<S: LogStore>(&self, store: &S, key: &SigningKey) {
        let committee = self.with_fold(Committee::id);
        let durable = store.head(committee).await;
        let mut state = self.lock();
        let Some((size, root)) = state.queued.range(..=durable).next_back().map(|(s, r)| (*s, *r))
        else {
            return;
        };
        let note = sign(key, &state.fold, size, root);
        if let Err(error) = store.record_checkpoint(committee, size, &note) {
            drop(state);
            return self.stop(&error.into());
        }
        state.queued = state.queued.split_off(&size.next());
        state.in_flight.retain(|_, index| index.0 >= size.0);
        state.moved.retain(|_, moved| *moved > size);
        let later = state.cutting.split_off(&size.next());
        let cutting = std::mem::replace(&mut state.cutting, later);
        state.keep_root(size, root);
        self.head.send_modify(|head| {
            head.size = size;
            head.note = note.into();
        });
        drop(state);
        for key in cutting.into_values().flatten() {
            self.cut_offs.cut(key);
        }
    }

    /// The fold holds what the disk may not: nothing more is admitted to it. The service folds
    /// the log again from the store.
    fn stop(&self, error: &AppendError) {
        let code = match error {
            AppendError::Store(StoreError::StoreFull) => Code::Full,
            AppendError::Store(StoreError::StoreBusy) => Code::Busy,
            AppendError::Store(StoreError::StoreStopped) => Code::Stopped,
            error => {
                tracing::error!(%error, "an append failed");
                Code::Stopped
            }
        };
        let code = *self.lock().broken.get_or_insert(code);
        self.head.send_modify(|head| head.broken = Some(code));
    }

    /// Waits until the store has answered every append: what it holds then is all it will.
    pub(crate) async fn settled(&self) {
        // An error would mean that this log itself is gone.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Waits until everything below `size` is durable and signed for.
    pub(crate) async fn durable(&self, size: TreeSize) -> Result<Head, Code> {
        let mut head = self.subscribe();
        tokio::select! {
            reached = head.wait_for(|head| head.broken.is_some() || head.size >= size) => {
                // This log holds the sender.
                drop(reached.map_err(|_| Code::Stopped)?);
            }
            // Nothing is on its way: what the disk holds cannot be signed for.
            () = self.settled() => {}
        }
        // What came before the append that failed may still be on its way.
        if self.head().size < size {
            self.settled().await;
        }
        match self.head() {
            head if head.size >= size => Ok(head),
            head => Err(head.broken.unwrap_or(Code::Stopped)),
        }
    }

    /// What a device may do. What changed that is waited for: what the disk may yet lose neither
    /// lets anybody in nor puts anybody out, and while it is under way nobody is answered by what
    /// was before.
    pub(crate) async fn activity(&self, device: DeviceId) -> Result<Activity, Code> {
        loop {
            let size = {
                let state = self.lock();
                match state.moved.get(&device) {
                    Some(size) => *size,
                    None => return Ok(state.activity(device)),
                }
            };
            self.durable(size).await?;
        }
    }

    /// This log's root at a durable size.
    pub(crate) fn root_at<S: LogStore>(&self, store: &S, size: TreeSize) -> Option<Hash> {
        self.lock().root_at(store, size).ok()
    }

    /// The checkpoint of a durable size below the head's: the root is the one it had then.
    pub(crate) fn note_at<S: LogStore>(
        &self,
        store: &S,
        key: &SigningKey,
        size: TreeSize,
    ) -> Option<String> {
        let root = self.root_at(store, size)?;
        Some(self.with_fold(|fold| sign(key, fold, size, root)))
    }

    /// The proof that the entry at `index` is in the log of `size`.
    pub(crate) fn inclusion<S: LogStore>(
        &self,
        store: &S,
        index: LeafIndex,
        size: TreeSize,
    ) -> Option<Proof> {
        let nodes = TreeNodes(store.nodes(self.with_fold(Committee::id)));
        tree::inclusion_proof(index, size, &nodes).ok()
    }

    fn verify_signatures(&self, entries: Vec<UnverifiedEntry>) -> Vec<Checked> {
        let keys: Vec<_> = {
            let state = self.lock();
            let key_of = |entry: &UnverifiedEntry| {
                state.fold.roster().signing_key(entry.header().author).copied()
            };
            entries.iter().map(key_of).collect()
        };
        let check = |(entry, key): (UnverifiedEntry, Option<_>)| match key {
            Some(key) => entry.verify(&key).map_or_else(
                |_| Checked::Refused(Code::BadSignature),
                |signed| Checked::Signed(Box::new(signed)),
            ),
            // Perhaps an entry before it in this push brings the author in.
            None => Checked::AuthorUnknown(Box::new(entry)),
        };
        entries.into_iter().zip(keys).map(check).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would leave a fold that is ahead of what was queued; the size
        // check of the store then refuses what follows.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sign(key: &SigningKey, fold: &Committee, size: TreeSize, root: Hash) -> String {
    let origin = Origin { committee: fold.id(), term: fold.term() };
    Checkpoint { origin, size, root }.sign(key).text().to_owned()
}

fn stored(admitted: &Admitted) -> StoredEntry {
    let header = admitted.entry.header();
    StoredEntry {
        leaf_hash: admitted.entry.leaf(),
        author: header.author,
        author_seq: header.author_seq,
        blobs: header.blobs.clone(),
        bytes: Bytes::from(admitted.entry.encode()),
        dropped: false,
    }
}
