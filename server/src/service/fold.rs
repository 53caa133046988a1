//! From the store to a fold: how a log is brought back to life.

use sealpost_protocol::checkpoint::UnverifiedCheckpoint;
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::forget::{Forget, Past, PastEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
use sealpost_protocol::{limits, tree};

use crate::store::{LogStore, Nodes, StoreError};

/// Entry bytes read at a time when a log is folded again.
const REPLAY_BYTES: usize = 4 * 1024 * 1024;

/// Why a log cannot be folded from the store. The texts name no committee, so that they may be
/// logged.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds an entry that admission refuses: it was changed behind the relay's back.
    #[error("the entry at {index} of a log is not admissible: {why}")]
    StoreInadmissible {
        /// Whose log.
        committee: CommitteeId,
        /// Which entry.
        index: LeafIndex,
        /// What admission or decoding says.
        why: String,
    },
    /// The store holds another log than the one this relay signed for: it was changed behind the
    /// relay's back, and a second root for one size is never signed.
    #[error("a log of {size} entries is not the one that was signed for")]
    StoreForked {
        /// Whose log.
        committee: CommitteeId,
        /// The size that was signed for.
        size: TreeSize,
    },
    /// An import was interrupted: the data folder holds less of a log than was signed for.
    #[error("an import was interrupted: a log is not all here")]
    LocalImporting,
    /// All logs of the data folder go on in another one.
    #[error("every log of this data folder was retired by an export and goes on elsewhere")]
    LocalRetired,
}

/// The store's nodes, as proofs want them.
pub(super) struct TreeNodes<N>(pub(super) N);

impl<N: Nodes> tree::Nodes for TreeNodes<N> {
    type Error = StoreError;

    fn node(&self, position: u64) -> Result<Hash, StoreError> {
        self.0.node(position)
    }
}

/// How much of what is on disk is believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// This relay admitted it before: signatures are not checked again.
    OwnJournal,
    /// Nothing is: every rule from the founding entry on.
    Nothing,
}

/// Folds a log that this relay admitted, from its last snapshot on if snapshot and tree nodes fit
/// the journal. Both are caches: when they do not, they are of a journal that was put back.
pub(super) async fn own_fold<S: LogStore>(
    store: &S,
    committee: CommitteeId,
) -> Result<Committee, FoldError> {
    let from = snapshot(store, committee).await?;
    let fold = fold_from_store(store, committee, from, Trust::OwnJournal).await;
    let fits = |fold: &Committee| {
        let nodes = TreeNodes(store.nodes(committee));
        tree::root_at(fold.size(), &nodes).is_ok_and(|root| root == fold.root())
    };
    match fold {
        Ok(fold) if fits(&fold) => return Ok(fold),
        Ok(_) | Err(FoldError::StoreInadmissible { .. }) => {}
        Err(error) => return Err(error),
    }
    tracing::warn!("snapshot or tree nodes do not fit the journal: made anew");
    store.forget_nodes(committee);
    fold_from_store(store, committee, None, Trust::OwnJournal).await
}

/// Folds a log from the store, behind what was folded already.
pub(super) async fn fold_from_store<S: LogStore>(
    store: &S,
    committee: CommitteeId,
    from: Option<Committee>,
    trust: Trust,
) -> Result<Committee, FoldError> {
    let mut fold = from;
    let head = store.head(committee).await;
    loop {
        let from = fold.as_ref().map_or(LeafIndex(0), |fold| fold.size().next_index());
        if from.0 >= head.0 {
            break;
        }
        for bytes in store.read(committee, from, REPLAY_BYTES).await? {
            let index = fold.as_ref().map_or(LeafIndex(0), |fold| fold.size().next_index());
            if let Err(why) = fold_next(store, committee, &mut fold, &bytes, trust).await? {
                return Err(FoldError::StoreInadmissible { committee, index, why });
            }
        }
    }
    fold.filter(|fold| fold.id() == committee).ok_or_else(|| FoldError::StoreInadmissible {
        committee,
        index: LeafIndex(0),
        why: "the founding entry is another committee's, or missing".to_owned(),
    })
}

/// Folds one entry more, or says in words why it cannot.
async fn fold_next<S: LogStore>(
    store: &S,
    committee: CommitteeId,
    fold: &mut Option<Committee>,
    bytes: &[u8],
    trust: Trust,
) -> Result<Result<(), String>, StoreError> {
    let entry = match UnverifiedEntry::decode(bytes) {
        Ok(entry) => entry,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let target = forgotten_by(store, committee, &entry).await?;
    let forgotten = target.map(|target| target.entry);
    let past = StoredPast { nodes: TreeNodes(store.nodes(committee)), forgotten };
    Ok(fold_one(fold, entry, trust, &past))
}

/// What a `forget` names.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// The entry.
    pub(super) entry: PastEntry,
    /// Whether it is forgotten already.
    pub(super) is_forgotten: bool,
}

/// The entry that a `forget` names, if it is one and that is here. What the store does not have durably no
/// honest author has seen.
pub(super) async fn forgotten_by<S: LogStore>(
    store: &S,
    committee: CommitteeId,
    entry: &UnverifiedEntry,
) -> Result<Option<Target>, StoreError> {
    let payload = entry.payload().filter(|_| entry.header().kind == Kind::Forget);
    let forget: Option<Forget> =
        payload.and_then(|payload| codec::decode(payload, limits::FORGET_PAYLOAD_BYTES_MAX).ok());
    let Some(forget) = forget else { return Ok(None) };
    let named = store.read(committee, forget.index, 0).await?;
    let named = named.first().and_then(|bytes| UnverifiedEntry::decode(bytes).ok());
    let target = |named: &UnverifiedEntry| Target {
        entry: PastEntry::from(named),
        is_forgotten: named.payload().is_none(),
    };
    Ok(named.as_ref().map(target))
}

/// A log in the store before the end of its fold.
struct StoredPast<N> {
    nodes: TreeNodes<N>,
    forgotten: Option<PastEntry>,
}

impl<N: Nodes> Past for StoredPast<N> {
    type Error = String;

    fn root_at(&self, size: TreeSize) -> Result<Hash, String> {
        tree::root_at(size, &self.nodes).map_err(|error| error.to_string())
    }

    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, String> {
        self.forgotten.ok_or_else(|| format!("there is no entry {index}"))
    }
}

fn fold_one<N: Nodes>(
    fold: &mut Option<Committee>,
    entry: UnverifiedEntry,
    trust: Trust,
    past: &StoredPast<N>,
) -> Result<(), String> {
    let Some(fold) = fold else {
        *fold = Some(Committee::found(entry).map_err(|refusal| refusal.to_string())?.0);
        return Ok(());
    };
    let signed = match (trust, fold.roster().signing_key(entry.header().author)) {
        (Trust::OwnJournal, Some(key)) => entry.danger_from_own_journal(key),
        _ => fold.verify_signature(entry).map_err(|refusal| refusal.to_string())?,
    };
    fold.admit_logged(signed, past).map(|_| ()).map_err(|error| error.to_string())
}

/// The last snapshot, if it decodes and its root is the log's at that size.
async fn snapshot<S: LogStore>(
    store: &S,
    committee: CommitteeId,
) -> Result<Option<Committee>, StoreError> {
    let Some((size, bytes)) = store.snapshot(committee).await? else { return Ok(None) };
    let nodes = TreeNodes(store.nodes(committee));
    let fold: Option<Committee> = codec::decode(&bytes, usize::MAX).ok();
    let sound = fold.filter(|fold| {
        fold.size() == size && tree::root_at(size, &nodes).is_ok_and(|root| root == fold.root())
    });
    if sound.is_none() {
        tracing::warn!("a snapshot does not fit its log: folding from the start");
    }
    Ok(sound)
}

/// Whether a note that this relay recorded for `size` is about the log that is on disk.
pub(super) fn is_of_log<N: Nodes>(note: &str, size: TreeSize, nodes: N) -> bool {
    let claimed = UnverifiedCheckpoint::parse(note.as_bytes()).map(|note| *note.claimed());
    let root = tree::root_at(size, &TreeNodes(nodes));
    match (claimed, root) {
        (Ok(claimed), Ok(root)) => claimed.size == size && claimed.root == root,
        _ => false,
    }
}
