//! Logs of invented devices that one relay signs for, whatever is in them.

use super::{Evidence, Finding, Placed};
use crate::change::Role;
use crate::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use crate::entry::{Entry, Header, Kind, UnverifiedEntry};
use crate::hash::Hash;
use crate::id::{LeafIndex, Term, TreeSize};
use crate::sign::{PublicKey, SigningKey};
use crate::tree::{self, Proof};
use crate::world::{TestDevice, World, record_file, relay_key, reread};

pub(crate) const FOUNDER: u8 = 1;
pub(crate) const MEMBER: u8 = 2;

/// A log, and what its relay signs of it.
pub(crate) struct Scene {
    pub(crate) world: World,
    entries: Vec<UnverifiedEntry>,
    nodes: Vec<Hash>,
    tree: tree::Frontier,
}

impl Scene {
    /// A committee of two whose log has these records, by turns of both.
    pub(crate) fn new(records: &[&str]) -> Self {
        let people = [FOUNDER, MEMBER].map(TestDevice::new);
        let mut world = World::found(&people[0]);
        world.admit(&people[0], &people[1], Role::Member).unwrap();
        for (at, text) in records.iter().enumerate() {
            let author = &people[at % 2];
            let header =
                Header { content: Hash::of(text.as_bytes()), ..world.record_header(author) };
            world.push(&Entry::sign(header, record_file(), &author.signing)).unwrap();
        }
        let entries = world.log.iter().map(|bytes| UnverifiedEntry::decode(bytes).unwrap());
        let mut scene = Self {
            entries: Vec::new(),
            nodes: Vec::new(),
            tree: tree::Frontier::new(),
            world: World { committee: world.committee, nodes: world.nodes, log: Vec::new() },
        };
        entries.for_each(|entry| scene.lets_in(entry));
        scene
    }

    /// Whatever it is.
    pub(crate) fn lets_in(&mut self, entry: UnverifiedEntry) {
        self.nodes.extend(self.tree.append(entry.leaf()));
        self.entries.push(entry);
    }

    /// An entry of the member's that a relay of no scruples may let in.
    pub(crate) fn entry(
        &self,
        change: impl FnOnce(&mut Header),
        key: &SigningKey,
    ) -> UnverifiedEntry {
        let mut header = self.world.header(TestDevice::new(MEMBER).id(), Kind::Record);
        change(&mut header);
        reread(&Entry::sign(header, record_file(), key))
    }

    pub(crate) fn size(&self) -> u64 {
        self.tree.size().0
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { committee: self.world.committee.id(), term: Term(1) }
    }

    pub(crate) fn root(&self, size: u64) -> Hash {
        tree::root_at(TreeSize(size), self.nodes.as_slice()).unwrap()
    }

    pub(crate) fn note(&self, size: u64) -> SignedCheckpoint {
        let (origin, root) = (self.origin(), self.root(size));
        Checkpoint { origin, size: TreeSize(size), root }.sign(&relay_key())
    }

    pub(crate) fn steps(&self, index: u64, size: u64) -> Proof {
        tree::inclusion_proof(LeafIndex(index), TreeSize(size), self.nodes.as_slice()).unwrap()
    }

    pub(crate) fn leaf(&self, index: u64) -> Hash {
        self.entries[usize::try_from(index).unwrap()].leaf()
    }

    pub(crate) fn placed(&self, index: u64, size: u64) -> Placed {
        let entry = self.entries[usize::try_from(index).unwrap()].clone().with_payload_dropped();
        Placed { index: LeafIndex(index), entry, steps: self.steps(index, size) }
    }

    /// A note of any size against one of this log that is not shorter.
    pub(crate) fn fork(&self, old: &SignedCheckpoint, size: u64) -> Finding {
        let from = old.checkpoint().size;
        let steps = tree::consistency_proof(from, TreeSize(size), self.nodes.as_slice()).unwrap();
        Finding::Fork { old: old.clone(), new: self.note(size), begins: self.root(from.0), steps }
    }

    pub(crate) fn of_fork(&self, old: &SignedCheckpoint, size: u64) -> Option<Evidence> {
        Evidence::of_fork(relay(), old, &self.note(size), self.nodes.as_slice()).unwrap()
    }

    /// What it says of an entry whose author saw something.
    pub(crate) fn seen(&self, index: u64, size: u64) -> Finding {
        let entry = self.placed(index, size);
        let at = entry.header().seen.size;
        let steps = tree::consistency_proof(at, TreeSize(size), self.nodes.as_slice()).unwrap();
        Finding::Seen { note: self.note(size), entry, begins: self.root(at.0), steps }
    }
}

pub(crate) fn relay() -> PublicKey {
    relay_key().verifying_key().into()
}

/// One of each kind.
pub(crate) fn findings() -> Vec<Finding> {
    let honest = Scene::new(&["one", "two", "three", "four", "five"]);
    let other = Scene::new(&["one", "another", "three", "four", "five", "six"]);
    let dropped = Finding::Dropped {
        held: honest.note(5),
        receipt: honest.placed(3, 5),
        shown: other.note(7),
        leaf: other.leaf(3),
        steps: other.steps(3, 7),
    };
    let rolled_back =
        Finding::Rollback { held: honest.note(6), shown: honest.note(4), receipt: None };
    let receipt = Some(honest.placed(5, 6));
    let shortened = Finding::Rollback { held: honest.note(6), shown: honest.note(4), receipt };
    let forks = [honest.fork(&other.note(5), 7), honest.fork(&other.note(7), 7)];
    let each = [rolled_back, shortened, dropped, rewritten(), seen()];
    forks.into_iter().chain(each).collect()
}

/// An entry that somebody else signed in the member's name.
pub(crate) fn rewritten() -> Finding {
    let mut scene = Scene::new(&["one"]);
    let entry = scene.entry(|_| {}, &TestDevice::new(FOUNDER).signing);
    scene.lets_in(entry);
    let keys = TestDevice::new(MEMBER).card.keys();
    Finding::Rewritten { note: scene.note(4), entry: scene.placed(3, 4), keys }
}

/// An entry of the member, who saw another log.
pub(crate) fn seen() -> Finding {
    let mut scene = Scene::new(&["one", "two"]);
    let root = Hash::of(b"another log");
    let entry = scene.entry(|header| header.seen.root = root, &TestDevice::new(MEMBER).signing);
    scene.lets_in(entry);
    scene.seen(4, 5)
}
