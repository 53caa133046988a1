//! A committee to try the fold with: three coordinators, of whom two must agree, and a member.

use crate::change::{Approve, Change, Role, Target};
use crate::codec;
use crate::committee::Refusal;
use crate::entry::{Entry, Kind};
use crate::hash::Hash;
use crate::id::{DeviceId, MemberNumber, UnixMillis};
use crate::world::{TestDevice, World, add_device, admission, approval, set_approvals, set_role};

use super::{PeerRosterError, Roster};

/// The first coordinator's place among the people, who are members in this order from 1.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
pub(super) const C: usize = 2;
/// The member without a role beyond that.
pub(super) const M: usize = 3;
/// Nobody yet.
pub(super) const N: usize = 4;
/// The further coordinators of six, whom M and N are not among then.
pub(super) const D: usize = 3;
pub(super) const E: usize = 4;
pub(super) const F: usize = 5;

/// The committee and everybody in it or about to be.
pub(super) struct Trial {
    pub(super) world: World,
    pub(super) people: [TestDevice; 8],
}

/// The number of one of the people.
pub(super) fn number(who: usize) -> MemberNumber {
    MemberNumber(u32::try_from(who + 1).unwrap())
}

/// One of the people as whom a change is about.
pub(super) fn member(who: usize) -> Target {
    Target::Member(number(who))
}

#[expect(clippy::needless_pass_by_value, reason = "most changes are made where they are tried")]
impl Trial {
    /// Three coordinators and a member, and one approval is enough.
    pub(super) fn of_one() -> Self {
        let people = [1, 2, 3, 4, 5, 6, 7, 8].map(TestDevice::new);
        let mut world = World::found(&people[A]);
        for (who, role) in [(B, Role::Coordinator), (C, Role::Coordinator), (M, Role::Member)] {
            world.admit(&people[A], &people[who], role).unwrap();
        }
        Self { world, people }
    }

    /// The same, and two have to agree.
    pub(super) fn of_two() -> Self {
        let mut trial = Self::of_one();
        trial.does(A, set_approvals(2));
        trial
    }

    /// Six coordinators, of whom that many have to agree.
    pub(super) fn of_six(approvals: u16) -> Self {
        let mut trial = Self::of_one();
        trial.does(A, set_role(number(D), Role::Coordinator));
        for who in [E, F] {
            trial.world.admit(&trial.people[A], &trial.people[who], Role::Coordinator).unwrap();
        }
        if approvals > 1 {
            trial.does(A, set_approvals(approvals));
        }
        trial
    }

    pub(super) fn roster(&self) -> &Roster {
        self.world.committee.roster()
    }

    pub(super) fn id(&self, who: usize) -> DeviceId {
        self.people[who].id()
    }

    pub(super) fn device(&self, who: usize) -> Target {
        Target::Device(self.id(who))
    }

    /// The author makes a change, which is admitted. Its leaf hash.
    pub(super) fn does(&mut self, author: usize, change: Change) -> Hash {
        self.world.change(&self.people[author], &change).unwrap().entry.leaf()
    }

    /// The author approves, with all it must carry.
    pub(super) fn approves(&mut self, author: usize, entry: Hash) -> Hash {
        let approve = self.approval(entry);
        self.does(author, approve)
    }

    pub(super) fn approval(&self, entry: Hash) -> Change {
        Change::Approve(approval(self.roster(), entry))
    }

    /// An approval that carries nothing.
    pub(super) fn bare(entry: Hash) -> Change {
        Change::Approve(Approve { entry, grants: Vec::new(), label: None })
    }

    pub(super) fn admission_of(&self, who: usize, role: Role) -> Change {
        Change::Admit(Box::new(admission(self.roster(), &self.people[who], role)))
    }

    pub(super) fn records(&mut self, author: usize) -> Result<(), Refusal> {
        self.world.record(&self.people[author]).map(|_| ())
    }

    pub(super) fn relocks(&mut self, author: usize) {
        self.world.change_locks(&self.people[author]).unwrap();
    }

    /// What the author's change meets. Says also that it changed nothing.
    pub(super) fn refuses(&mut self, author: usize, change: Change) -> PeerRosterError {
        match self.attempt(author, change, None) {
            Err(Refusal::Change(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// The author makes a change at a time of their own. When it is refused, nothing changed.
    pub(super) fn attempt(
        &mut self,
        author: usize,
        change: Change,
        made_at: Option<UnixMillis>,
    ) -> Result<Hash, Refusal> {
        let before = self.world.committee.clone();
        let author = &self.people[author];
        let mut header = self.world.header(author.id(), Kind::Roster);
        header.made_at = made_at.unwrap_or(header.made_at);
        let entry = Entry::sign(header, codec::encode(&change), &author.signing);
        let result = self.world.push(&entry).map(|admitted| admitted.entry.leaf());
        if result.is_err() {
            assert_eq!(self.world.committee, before, "a refusal changes nothing");
        }
        result
    }

    /// A member adds one of the other people's devices as an own one.
    pub(super) fn adds_device(&mut self, owner: usize, device: usize) {
        let added = add_device(&self.people[device]);
        self.does(owner, added);
    }

    /// What waits for approvals, the oldest first.
    pub(super) fn waiting(&self) -> Vec<Hash> {
        let mut waiting: Vec<_> =
            self.roster().proposals().map(|(leaf, it)| (it.at, leaf)).collect();
        waiting.sort();
        waiting.into_iter().map(|(_, leaf)| leaf).collect()
    }

    pub(super) fn undecided(&self) -> Vec<Hash> {
        self.roster().undecided().map(|(leaf, _)| leaf).collect()
    }
}
