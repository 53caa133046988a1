//! The relay's service: what each request means, whichever transport brought it.
//!
//! ```text
//! request → access (may this device know of this log?) → log or notes → replies
//! ```
//!
//! Who may know of a log is asked first, in one table by login key, so that a stranger's question
//! about a log that exists takes the same path, and gets the same answer, as one about a log that
//! does not.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use minicbor::bytes::ByteVec;
use sealpost_protocol::change::Change;
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::frame::{
    Accepted, Checkpointed, Empty, FoundRequest, HeadState, HeadsRequest, Hello, HelloReply,
    PullRequest, PushRequest, PushResult, Pushed, Refused, Reply, Request, VERSION,
};
use sealpost_protocol::id::{CommitteeId, DeviceId, LeafIndex, TreeSize, UnixMillis};
use sealpost_protocol::limits;
use sealpost_protocol::sign::PublicKey;
use tokio::sync::{Mutex, mpsc};

use crate::hub::{self, CutOff, CutOffs, Head, Watched};
use crate::permit;
use crate::store::{BlobStore, LogStore, NoteStore, StoreError};

mod access;
mod blobs;
mod cosignatures;
mod examine;
mod export;
mod fold;
mod import;
mod invitations;
mod log;
mod pace;
mod retire;

use access::{Denied, Standing};
pub use examine::Examiner;
pub use export::Export;
pub use fold::FoldError;
use fold::{Trust, fold_from_store, forgotten_by};
use import::must_be_whole;
pub use import::{Import, ImportError, Imported, must_be_home};
use log::{Log, Outcome, Push, Targets};
use pace::Pace;
pub use retire::retire;
use retire::retired;

/// What a stranger may send at most: a founding entry or a join request.
const STRANGER_REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What follows a request on its stream: the bytes of a blob, as they come. Ends where the stream does,
/// however it does.
pub type Body = mpsc::Receiver<Bytes>;

/// The clock that judges expiry: milliseconds since 1970.
pub type Clock = fn() -> UnixMillis;

/// The relay without its transports.
pub struct Service<S> {
    store: Arc<S>,
    key: Arc<SigningKey>,
    clock: Clock,
    logs: RwLock<HashMap<CommitteeId, Arc<Log>>>,
    /// Whose logs go on in another data folder: here they are as if they were not.
    retired: BTreeSet<CommitteeId>,
    /// One reload or founding at a time.
    opening: Mutex<()>,
    access: RwLock<HashMap<PublicKey, HashMap<CommitteeId, DeviceId>>>,
    pace: Arc<Pace>,
    cut_offs: Arc<CutOffs>,
}

impl<S: LogStore + NoteStore + BlobStore> Service<S> {
    /// Folds every log in the store but those that are retired.
    pub async fn open(store: Arc<S>, key: SigningKey, clock: Clock) -> Result<Self, FoldError> {
        must_be_whole(store.as_ref()).await?;
        let retired = retired(store.as_ref()).await?;
        if !retired.is_empty() {
            tracing::warn!(logs = retired.len(), "retired by an export: not served from here");
        }
        let service = Self {
            store,
            key: Arc::new(key),
            clock,
            logs: RwLock::default(),
            retired,
            opening: Mutex::default(),
            access: RwLock::default(),
            pace: Arc::default(),
            cut_offs: Arc::default(),
        };
        for (committee, _) in service.store.committees().await {
            if service.retired.contains(&committee) {
                continue;
            }
            service.install(committee, &Arc::new(service.load(committee).await?));
        }
        Ok(service)
    }

    /// The store under it.
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// What `peer` may send at most in one request.
    pub fn request_bytes_max(&self, peer: PublicKey) -> usize {
        if self.knows(peer) { limits::FRAME_BYTES_MAX } else { STRANGER_REQUEST_BYTES_MAX }
    }

    /// Hears when a committee here suspends or removes the device that logs in with `peer`.
    pub fn cut_off(&self, peer: PublicKey) -> CutOff {
        self.cut_offs.listen(peer)
    }

    /// Answers one request. Ends when the answer is complete or nobody listens any more. `body` is read
    /// for a blob alone.
    pub async fn call(
        self: &Arc<Self>,
        peer: PublicKey,
        request: Request,
        body: Body,
        replies: mpsc::Sender<Reply>,
    ) {
        let answer = match request {
            Request::Hello(hello) => self.hello(&hello).map_err(Denied::from),
            Request::Found(found) => self.found(found).await.map_err(Denied::from),
            Request::Heads(heads) => self.heads(peer, &heads).await,
            Request::Push(push) => self.push(peer, push).await,
            Request::Pull(pull) => self.pull(peer, pull, &replies).await,
            Request::Watch(heads) => return self.watch(peer, &heads, replies).await,
            Request::Cosign(cosign) => self.cosign(peer, cosign).await,
            Request::Cosignatures(ask) => self.cosignatures(peer, ask.committee).await,
            Request::Join(join) => self.join(join).await.map_err(Denied::from),
            Request::Joins(ask) => self.joins(peer, ask.committee).await,
            Request::Invite(invite) => self.invite(peer, invite).await,
            Request::Answer(answer) => self.answer(peer, answer).await,
            Request::BlobPut(put) => self.blob_put(peer, put, body, &replies).await,
            Request::BlobGet(get) => self.blob_get(peer, get, &replies).await,
        };
        let reply = answer.unwrap_or_else(Reply::from);
        // A peer that went away needs no answer.
        let _ = replies.send(reply).await;
    }

    fn hello(&self, hello: &Hello) -> Result<Reply, Code> {
        if !hello.versions.contains(&VERSION) {
            return Err(Code::Unsupported);
        }
        Ok(Reply::Hello(HelloReply { version: VERSION, now: (self.clock)() }))
    }

    async fn found(&self, request: FoundRequest) -> Result<Reply, Code> {
        let entry = UnverifiedEntry::decode(&request.entry).map_err(|error| Code::from(&error))?;
        let committee = CommitteeId(entry.leaf());
        let (fold, admitted) = Committee::found(entry).map_err(|refusal| Code::from(&refusal))?;
        if *fold.roster().home().address.key() != PublicKey::from(self.key.verifying_key()) {
            return Err(Code::OtherLog);
        }
        if self.retired.contains(&committee) {
            return Err(Code::NotFound);
        }
        self.ready()?;
        permit::redeem(self.store.as_ref(), &request.permit, committee).await?;
        let _opening = self.opening.lock().await;
        // The same founding entry sent again finds its log.
        let log = match self.log(committee) {
            Some(log) => log,
            None => {
                let log = Arc::new(Log::found(fold, &self.cut_offs));
                log.push_founding(&self.store, &self.key, admitted);
                log.durable(TreeSize(1)).await?;
                self.install(committee, &log);
                log
            }
        };
        let head = log.durable(TreeSize(1)).await?;
        self.pushed(&log, &head, &[Ok(LeafIndex(0))])
    }

    async fn heads(&self, peer: PublicKey, request: &HeadsRequest) -> Result<Reply, Denied> {
        if request.committees.len() > limits::HEADS_COMMITTEES_MAX {
            return Err(Code::TooLarge.into());
        }
        let mut states = Vec::with_capacity(request.committees.len());
        for ask in &request.committees {
            states.push(match self.standing(peer, ask.committee).await {
                Err(Denied::Code(Code::NotFound)) => HeadState::Unknown(Empty {}),
                Err(Denied::NotActive(why)) => HeadState::NotActive(*why),
                Err(denied) => return Err(denied),
                Ok(standing) => match standing.log.head() {
                    head if head.size == ask.size => HeadState::Same(Empty {}),
                    head => HeadState::Other(checkpointed(&head)),
                },
            });
        }
        Ok(Reply::Heads(states))
    }

    async fn push(&self, peer: PublicKey, request: PushRequest) -> Result<Reply, Denied> {
        let standing = self.standing(peer, request.committee).await?;
        if request.entries.len() > limits::PUSH_ENTRIES_MAX {
            return Err(Code::TooLarge.into());
        }
        let mut decoded: Vec<_> = request
            .entries
            .iter()
            .map(|bytes| UnverifiedEntry::decode(bytes).map_err(|error| Code::from(&error)))
            .collect();
        drop(request.entries);
        let mut pins = Vec::new();
        for entry in &mut decoded {
            let Ok(sound) = entry else { continue };
            match self.hold_blobs(&standing, sound).await {
                Ok(pin) => pins.extend(pin),
                Err(code) => *entry = Err(code),
            }
        }
        let changes_roster = decoded.iter().flatten().any(moves_access);
        let (places, entries): (Vec<_>, Vec<_>) = split(decoded);
        self.ready()?;
        let mut targets = Targets::new();
        for entry in &entries {
            let named = forgotten_by(self.store.as_ref(), standing.committee, entry).await;
            if let Some(named) = named.map_err(|error| store_code(&error))? {
                targets.insert(entry.leaf(), named);
            }
        }
        let push = Push { entries, targets, pins };
        let outcomes = standing.log.push(&self.store, &self.key, push, Instant::now())?;
        let mut outcomes = outcomes.into_iter();
        let mut results = Vec::with_capacity(places.len());
        for refused in places {
            let outcome = match refused {
                Some(code) => Outcome::Refused(code),
                None => outcomes.next().expect("one outcome for each entry pushed"),
            };
            results.push(self.settle(&standing.log, outcome).await?);
        }
        let last = results.iter().flatten().max();
        let size = last.map_or(TreeSize(0), |index| TreeSize(index.0 + 1));
        let head = standing.log.durable(size).await?;
        if changes_roster {
            self.open_access(standing.committee, &standing.log);
        }
        Ok(self.pushed(&standing.log, &head, &results)?)
    }

    /// Where an entry came to stand; an old entry sent again finds its old place.
    async fn settle(&self, log: &Log, outcome: Outcome) -> Result<Result<LeafIndex, Code>, Code> {
        let signed = match outcome {
            Outcome::At(index) => return Ok(Ok(index)),
            Outcome::Refused(code) => return Ok(Err(code)),
            Outcome::Past(signed) => signed,
        };
        let header = signed.header();
        let place = self
            .store
            .index_of(log.with_fold(Committee::id), header.author, header.author_seq)
            .await
            .map_err(|error| store_code(&error))?;
        Ok(match place {
            Some((index, leaf)) if leaf == signed.leaf() => Ok(index),
            _ => Err(Code::AuthorChain),
        })
    }

    fn pushed(
        &self,
        log: &Log,
        head: &Head,
        results: &[Result<LeafIndex, Code>],
    ) -> Result<Reply, Code> {
        let receipt = |result: &Result<LeafIndex, Code>| match *result {
            Err(code) => Ok(PushResult::Refused(Refused { code })),
            Ok(index) => log
                .inclusion(self.store.as_ref(), index, head.size)
                .map(|proof| PushResult::Accepted(Accepted { index, proof }))
                .ok_or(Code::Stopped),
        };
        let results = results.iter().map(receipt).collect::<Result<_, _>>()?;
        Ok(Reply::Pushed(Pushed { results, checkpoint: head.note.to_string() }))
    }

    async fn pull(
        &self,
        peer: PublicKey,
        request: PullRequest,
        replies: &mpsc::Sender<Reply>,
    ) -> Result<Reply, Denied> {
        let mut cut = self.cut_off(peer);
        let standing = self.standing(peer, request.committee).await?;
        let _leave = self.pace.answer(peer)?;
        let mut head = standing.log.head();
        let mut from = request.from.next_index();
        let mut sent = 0;
        while sent < limits::PULL_BYTES_MAX {
            if from.0 >= head.size.0 {
                // What was forgotten meanwhile is left out of what was sent: so what forgot it is sent too.
                let now = standing.log.head();
                if now.size == head.size {
                    break;
                }
                head = now;
                continue;
            }
            let mut entries = self
                .store
                .read(request.committee, from, limits::PULL_FRAME_BYTES)
                .await
                .map_err(|error| store_code(&error))?;
            let wanted = usize::try_from(head.size.0 - from.0).unwrap_or(usize::MAX);
            entries.truncate(wanted);
            if entries.is_empty() {
                return Err(Code::Stopped.into());
            }
            from = LeafIndex(from.0 + entries.len() as u64);
            sent += entries.iter().map(Bytes::len).sum::<usize>();
            let entries = entries.iter().map(|bytes| ByteVec::from(bytes.to_vec())).collect();
            loop {
                tokio::select! {
                    biased;
                    // Perhaps in another committee: then this goes on.
                    () = cut.told() => drop(self.standing(peer, request.committee).await?),
                    place = replies.reserve() => {
                        place.map_err(|_| Code::Busy)?.send(Reply::Entries(entries));
                        break;
                    }
                }
            }
        }
        if from.0 >= head.size.0 {
            return Ok(Reply::End(checkpointed(&head)));
        }
        let note = standing.log.note_at(self.store.as_ref(), &self.key, TreeSize(from.0));
        let checkpoint = note.ok_or(Code::Stopped)?;
        Ok(Reply::End(Checkpointed { checkpoint }))
    }

    /// Says so when the logs grow that this device may know of; the others are left out, as long
    /// as there is one. Which they are, heads say.
    async fn watch(&self, peer: PublicKey, request: &HeadsRequest, replies: mpsc::Sender<Reply>) {
        let cut = self.cut_off(peer);
        let mut watched = Vec::new();
        let mut denied = Denied::Code(Code::NotFound);
        for ask in request.committees.iter().take(limits::HEADS_COMMITTEES_MAX) {
            match self.standing(peer, ask.committee).await {
                Ok(Standing { log, .. }) => {
                    let head = log.subscribe();
                    watched.push(Watched { committee: ask.committee, held: ask.size, head });
                }
                Err(Denied::NotActive(why)) => denied = Denied::NotActive(why),
                Err(Denied::Code(_)) => {}
            }
        }
        if watched.is_empty() {
            let _ = replies.send(denied.into()).await;
        } else {
            hub::watch(watched, replies, cut).await;
        }
    }

    /// Refuses work that would end in a write which the store does not take now.
    fn ready(&self) -> Result<(), Code> {
        self.store.ready().map_err(|error| store_code(&error))
    }

    fn log(&self, committee: CommitteeId) -> Option<Arc<Log>> {
        read(&self.logs).get(&committee).cloned()
    }

    /// The log, folded again from the store if an append to it failed.
    async fn live_log(&self, committee: CommitteeId) -> Result<Arc<Log>, Code> {
        match self.log(committee) {
            Some(log) if log.head().broken.is_none() => return Ok(log),
            Some(_) => {}
            None => return Err(Code::NotFound),
        }
        let _opening = self.opening.lock().await;
        match self.log(committee) {
            Some(log) if log.head().broken.is_none() => Ok(log),
            broken => {
                // What is still on its way must be in what is folded now.
                if let Some(broken) = broken {
                    broken.settled().await;
                }
                let log = Arc::new(self.load(committee).await.map_err(|error| {
                    tracing::error!(%error, "a log could not be folded again");
                    Code::Stopped
                })?);
                self.install(committee, &log);
                Ok(log)
            }
        }
    }

    async fn load(&self, committee: CommitteeId) -> Result<Log, FoldError> {
        Log::load(self.store.as_ref(), &self.key, committee, &self.cut_offs).await
    }
}

/// Folds every log from its founding entry on and believes nothing, signatures included.
/// Returns how many entries there are.
pub async fn check_logs<S: LogStore>(store: &S) -> Result<u64, FoldError> {
    let mut entries = 0;
    for (committee, _) in store.committees().await {
        let fold = fold_from_store(store, committee, None, Trust::Nothing).await?;
        if let Some(index) = fold.lacking().next() {
            let why = "its payload is missing, and it was not forgotten".to_owned();
            return Err(FoldError::StoreInadmissible { committee, index, why });
        }
        entries += fold.size().0;
    }
    Ok(entries)
}

/// Whether an entry, once admitted, changes who may know of its log.
fn moves_access(entry: &UnverifiedEntry) -> bool {
    let change: Option<Change> = entry
        .payload()
        .filter(|_| entry.header().kind == Kind::Roster)
        .and_then(|payload| codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).ok());
    matches!(change, Some(Change::Admit(_) | Change::Device(_) | Change::Approve(_)))
}

/// Splits decoded entries into the entries and, for each place, the code of what did not decode.
fn split(decoded: Vec<Result<UnverifiedEntry, Code>>) -> (Vec<Option<Code>>, Vec<UnverifiedEntry>) {
    let places = decoded.iter().map(|entry| entry.as_ref().err().copied()).collect();
    (places, decoded.into_iter().flatten().collect())
}

fn checkpointed(head: &Head) -> Checkpointed {
    Checkpointed { checkpoint: head.note.to_string() }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::StoreFull => Code::Full,
        StoreError::StoreBusy => Code::Busy,
        // The store said so itself, once.
        StoreError::StoreStopped | StoreError::StoreDamaged { .. } => Code::Stopped,
        _ => {
            tracing::error!(%error, "the store failed");
            Code::Stopped
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// A note's value as the store takes it.
fn note<T: minicbor::Encode<()>>(value: &T) -> Bytes {
    codec::encode(value).into()
}

#[cfg(test)]
pub(crate) mod tests;
