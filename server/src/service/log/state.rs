//! What one lock guards of a log: the fold and what it says of those who ask, and what waits for
//! the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use sealpost_protocol::change::{Change, Role};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::committee::{AdmitError, Committee, Refusal};
use sealpost_protocol::entry::{Admitted, Kind, SignedEntry, UnverifiedEntry};
use sealpost_protocol::forget::{Past, PastEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, LeafIndex, MemberNumber, TreeSize};
use sealpost_protocol::limits;
use sealpost_protocol::roster::Standing;
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::tree;

use crate::service::access::login_key;
use crate::service::fold::{Target, TreeNodes};
use crate::service::pace::RosterPace;
use crate::store::LogStore;

/// Old roots kept at hand; authors who write on without pulling ask for the same one.
const ROOTS_MAX: usize = 256;

/// What one lock guards. The fold runs ahead of the disk by what `queued` holds.
pub(super) struct State {
    pub(super) fold: Committee,
    /// Sizes queued for the disk, with their roots, not yet signed for.
    pub(super) queued: BTreeMap<TreeSize, Hash>,
    /// Places of entries not yet durable.
    pub(super) in_flight: HashMap<Hash, LeafIndex>,
    roots: HashMap<TreeSize, Hash>,
    /// An append failed: the fold holds what the disk does not, and admits nothing more. Says what
    /// to answer.
    pub(super) broken: Option<Code>,
    /// A dispute was said: its author could go on for ever.
    disputed: bool,
    /// Devices that may act, or may no longer, by what is not durable below that size.
    pub(super) moved: HashMap<DeviceId, TreeSize>,
    /// Login keys to be cut off once the log is durable up to that size.
    pub(super) cutting: BTreeMap<TreeSize, Vec<PublicKey>>,
    pace: RosterPace,
}

/// What a device may do in a log.
pub(crate) enum Activity {
    /// Act, in this role.
    Active(Role),
    /// Nothing: the entry at this place suspended or ended it.
    Inactive(LeafIndex),
    /// It does not stand in the roster.
    Unknown,
}

/// What admission made of one entry of a push.
pub(crate) enum Outcome {
    /// In the log, or on its way there.
    At(LeafIndex),
    /// Its author's chain is past it: perhaps it is an old entry sent again.
    Past(Box<SignedEntry>),
    /// Not admitted.
    Refused(Code),
}

/// What the `forget`s of a push name, by their own leaf hashes: looked up before the lock is taken.
pub(crate) type Targets = HashMap<Hash, Target>;

/// What one admission asks of the log before its end, looked up already.
struct AsAsked {
    root: Result<Hash, NoRoot>,
    forgotten: Option<PastEntry>,
}

impl Past for AsAsked {
    type Error = NoRoot;

    fn root_at(&self, _: TreeSize) -> Result<Hash, NoRoot> {
        self.root
    }

    fn entry_at(&self, _: LeafIndex) -> Result<PastEntry, NoRoot> {
        self.forgotten.ok_or(NoRoot)
    }
}

/// An entry of a push after the check that needs no lock.
pub(super) enum Checked {
    Signed(Box<SignedEntry>),
    AuthorUnknown(Box<UnverifiedEntry>),
    Refused(Code),
}

impl Checked {
    pub(super) fn may_change_roster(&self) -> bool {
        match self {
            Self::Signed(signed) => signed.header().kind == Kind::Roster,
            Self::AuthorUnknown(entry) => entry.header().kind == Kind::Roster,
            Self::Refused(_) => false,
        }
    }
}

impl State {
    pub(super) fn new(fold: Committee) -> Self {
        Self {
            fold,
            queued: BTreeMap::new(),
            in_flight: HashMap::new(),
            roots: HashMap::new(),
            broken: None,
            disputed: false,
            moved: HashMap::new(),
            cutting: BTreeMap::new(),
            pace: RosterPace::default(),
        }
    }

    pub(super) fn admit<S: LogStore>(
        &mut self,
        entry: Checked,
        store: &S,
        now: Instant,
        targets: &Targets,
        admitted: &mut Vec<Admitted>,
    ) -> Outcome {
        let signed = match entry {
            Checked::Signed(signed) => *signed,
            Checked::Refused(code) => return Outcome::Refused(code),
            Checked::AuthorUnknown(entry) => match self.fold.verify_signature(*entry) {
                Ok(signed) => signed,
                Err(refusal) => return Outcome::Refused(Code::from(&refusal)),
            },
        };
        let leaf = signed.leaf();
        if let Some(index) = self.in_flight.get(&leaf) {
            return Outcome::At(*index);
        }
        let author = signed.header().author;
        let seq = signed.header().author_seq;
        if self.fold.author_head(author).is_some_and(|head| seq <= head.seq) {
            return Outcome::Past(Box::new(signed));
        }
        let paced = self.paced(author).filter(|_| moves_head(&signed));
        if paced.is_some_and(|member| !self.pace.allows(member, now)) {
            return Outcome::Refused(Code::TooMany);
        }
        let seen = signed.header().seen.size;
        let root = if seen < self.fold.size() { self.root_at(store, seen) } else { Err(NoRoot) };
        let target = targets.get(&leaf);
        let past = AsAsked { root, forgotten: target.map(|target| target.entry) };
        match self.fold.admit(signed, &past) {
            Ok(mut entry) => {
                if target.is_some_and(|target| target.is_forgotten) {
                    // Said again: there is nothing more to drop.
                    entry.forgets = None;
                }
                let index = entry.index;
                if let Some(member) = paced {
                    self.pace.count(member, now);
                }
                self.in_flight.insert(leaf, index);
                admitted.push(entry);
                Outcome::At(index)
            }
            Err(AdmitError::Refused(refusal)) => {
                if let Refusal::Disputed(seen) = &refusal
                    && !std::mem::replace(&mut self.disputed, true)
                {
                    tracing::warn!(size = seen.size.0, "an author saw another log of this size");
                }
                Outcome::Refused(Code::from(&refusal))
            }
            // Sizes that are not durable were signed for by nobody: no honest author saw one.
            Err(AdmitError::Past(NoRoot)) => Outcome::Refused(Code::SeenOutOfRange),
        }
    }

    /// The member whose roster entries are counted, when this is a device of one: coordinators
    /// change the roster as they need.
    fn paced(&self, author: DeviceId) -> Option<MemberNumber> {
        let roster = self.fold.roster();
        let role = roster.role_of(author)?;
        let member = roster.device(author)?.member;
        (role != Role::Coordinator).then_some(member)
    }

    /// The devices that may act.
    pub(super) fn active(&self) -> BTreeSet<DeviceId> {
        self.fold.roster().active_devices().collect()
    }

    /// Notes who may act since this push, and who no longer; `before` could before it.
    pub(super) fn note_moved(&mut self, before: &BTreeSet<DeviceId>) {
        let (size, after) = (self.fold.size(), self.active());
        let moved = before.symmetric_difference(&after).map(|device| (*device, size));
        self.moved.extend(moved);
        let roster = self.fold.roster();
        let ended = before.difference(&after).filter_map(|device| roster.device(*device));
        let ended: Vec<PublicKey> = ended.map(login_key).collect();
        if !ended.is_empty() {
            self.cutting.insert(size, ended);
        }
    }

    pub(super) fn activity(&self, device: DeviceId) -> Activity {
        let roster = self.fold.roster();
        match (roster.standing_of(device), roster.role_of(device)) {
            (Some(Standing::Suspended(at) | Standing::Ended(at)), _) => Activity::Inactive(at),
            (Some(Standing::Active), Some(role)) => Activity::Active(role),
            (Some(Standing::Active) | None, _) => Activity::Unknown,
        }
    }

    pub(super) fn root_at<S: LogStore>(
        &mut self,
        store: &S,
        size: TreeSize,
    ) -> Result<Hash, NoRoot> {
        if let Some(root) = self.roots.get(&size) {
            return Ok(*root);
        }
        let nodes = TreeNodes(store.nodes(self.fold.id()));
        let root = tree::root_at(size, &nodes).map_err(|_| NoRoot)?;
        self.keep_root(size, root);
        Ok(root)
    }

    pub(super) fn keep_root(&mut self, size: TreeSize, root: Hash) {
        if self.roots.len() >= ROOTS_MAX {
            self.roots.clear();
        }
        self.roots.insert(size, root);
    }
}

/// Whether an entry, once admitted, is a roster change that others sign against.
fn moves_head(signed: &SignedEntry) -> bool {
    let change = signed
        .payload()
        .filter(|_| signed.header().kind == Kind::Roster)
        .and_then(|payload| codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).ok());
    // What does not decode is refused by admission.
    change.is_some_and(|change| !matches!(change, Change::Grant(_) | Change::Link(_)))
}

/// The store cannot say the root at that size: it is not durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRoot;
