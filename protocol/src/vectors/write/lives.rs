//! Logs of committees that live: three coordinators of whom two must agree, and a member. Only the
//! last entry is at fault.

use super::write;
use crate::change::{Change, Role, Target};
use crate::codec;
use crate::entry::{Entry, Kind};
use crate::hash::Hash;
use crate::id::{MemberNumber, UnixMillis};
use crate::limits;
use crate::world::{
    TestDevice, World, admission, approval, lock, next_lock, record_file, remove, restore,
    set_approvals, set_role, suspend,
};

pub(super) const MEMBER: usize = 3;

/// The committee, and what its people do in it.
pub(super) struct Life {
    pub(super) world: World,
    pub(super) people: [TestDevice; 5],
}

impl Life {
    pub(super) fn new() -> Self {
        let people = [1, 2, 3, 4, 5].map(TestDevice::new);
        let mut world = World::found(&people[0]);
        for (person, role) in
            people[1..=MEMBER].iter().zip([Role::Coordinator, Role::Coordinator, Role::Member])
        {
            world.admit(&people[0], person, role).unwrap();
        }
        world.change(&people[0], &set_approvals(2)).unwrap();
        Self { world, people }
    }

    /// An entry that is admitted. Returns its leaf hash.
    pub(super) fn does(&mut self, who: usize, change: &Change) -> Hash {
        self.world.change(&self.people[who], change).unwrap().entry.leaf()
    }

    pub(super) fn approves(&mut self, who: usize, entry: Hash) {
        let approve = Change::Approve(approval(self.world.committee.roster(), entry));
        self.does(who, &approve);
    }

    fn relocks(&mut self, who: usize) {
        let lock = next_lock(self.world.committee.roster());
        self.does(who, &lock);
    }

    /// An entry whatever comes of it.
    pub(super) fn tries(&mut self, who: usize, change: &Change) {
        self.tries_at(who, change, UnixMillis(1_700_000_000_000));
    }

    /// An entry of a further device's.
    pub(super) fn tries_as(&mut self, author: &TestDevice, change: &Change) {
        let header = self.world.header(author.id(), Kind::Roster);
        let entry = Entry::sign(header, codec::encode(change), &author.signing);
        self.world.log.push(entry.encode());
    }

    fn tries_at(&mut self, who: usize, change: &Change, made_at: UnixMillis) {
        let author = &self.people[who];
        let mut header = self.world.header(author.id(), Kind::Roster);
        header.made_at = made_at;
        let entry = Entry::sign(header, codec::encode(change), &author.signing);
        self.world.log.push(entry.encode());
    }

    pub(super) fn written(&self, name: &str, expect: &str, comment: &str) {
        write("log", name, expect, &[("comment", comment)], &self.world.log);
    }
}

pub(super) fn member(number: u32) -> Target {
    Target::Member(MemberNumber(number))
}

pub(super) fn write_all() {
    long_life();
    cut_off();
    approvals();
    rules();
}

/// Everything once, and all of it admitted.
fn long_life() {
    let mut life = Life::new();
    life.does(0, &suspend(member(4)));
    life.relocks(1);
    life.world.record(&life.people[1]).unwrap();
    let returns = life.does(0, &restore(member(4)));
    life.approves(1, returns);
    life.world.record(&life.people[MEMBER]).unwrap();
    life.does(0, &suspend(member(2)));
    life.relocks(0);
    let undecided = life.world.committee.roster().undecided().next().unwrap().0;
    life.approves(2, undecided);
    let returns = life.does(2, &restore(member(2)));
    life.approves(0, returns);
    let raised = life.does(1, &set_role(MemberNumber(4), Role::Coordinator));
    life.approves(2, raised);
    let removal = life.does(0, &remove(MemberNumber(3)));
    life.approves(1, removal);
    life.relocks(MEMBER);
    life.world.record(&life.people[0]).unwrap();
    let root = life.world.committee.root().to_string();
    let comment =
        "suspended, restored, a coordinator suspended, decided and restored, one made, one removed";
    write("log", "life", "success", &[("comment", comment), ("root", &root)], &life.world.log);
}

fn cut_off() {
    let mut life = Life::new();
    life.does(0, &suspend(member(4)));
    let header = life.world.record_header(&life.people[MEMBER]);
    let entry = Entry::sign(header, record_file(), &life.people[MEMBER].signing);
    life.world.log.push(entry.encode());
    life.written("suspended_author", "NotActive", "X2: who was suspended writes");

    let mut life = Life::new();
    let mut header = life.world.record_header(&life.people[MEMBER]);
    header.made_at = UnixMillis(1_600_000_000_000);
    let kept_back = Entry::sign(header, record_file(), &life.people[MEMBER].signing).encode();
    life.does(0, &suspend(member(4)));
    life.world.log.push(kept_back);
    life.written(
        "suspended_back_dated",
        "NotActive",
        "X2: signed before, and kept back until after",
    );

    let mut life = Life::new();
    life.does(0, &suspend(member(2)));
    life.tries(1, &restore(member(2)));
    life.written("suspended_restores", "NotActive", "X4: who was suspended restores themselves");

    let mut life = Life::new();
    life.does(0, &suspend(member(4)));
    let header = life.world.record_header(&life.people[0]);
    let entry = Entry::sign(header, record_file(), &life.people[0].signing);
    life.world.log.push(entry.encode());
    life.written(
        "lock_pending",
        "LockPending",
        "X1: a record under a lock that the suspended holds",
    );

    let mut life = Life::new();
    life.does(0, &suspend(member(2)));
    let devices = life.world.active();
    life.tries(MEMBER, &Change::Lock(Box::new(lock(201, &devices, false))));
    life.written("lock_withholds", "Change(LinkMissing", "M5: a member withholds history");

    let mut life = Life::new();
    let removal = life.does(0, &remove(MemberNumber(4)));
    life.approves(1, removal);
    life.relocks(0);
    let header = life.world.record_header(&life.people[MEMBER]);
    let entry = Entry::sign(header, record_file(), &life.people[MEMBER].signing);
    life.world.log.push(entry.encode());
    life.written("removed_author", "NotActive", "X2: who was removed writes");

    let mut life = Life::new();
    let removal = life.does(0, &remove(MemberNumber(4)));
    life.approves(1, removal);
    life.relocks(0);
    let again = admission(life.world.committee.roster(), &life.people[MEMBER], Role::Member);
    life.tries(0, &Change::Admit(Box::new(again)));
    life.written("removed_returns", "Change(DeviceKnown", "X4: a removed device is admitted again");
}

fn approvals() {
    let mut life = Life::new();
    let returns = removal_of_member(&mut life);
    let approve = bare(&life, returns);
    life.tries(0, &approve);
    life.written("approved_twice", "Change(AlreadyApproved", "M5b: the proposer approves");

    let mut life = Life::new();
    let lowers = life.does(0, &set_role(MemberNumber(4), Role::Coordinator));
    life.approves(1, lowers);
    let removal = life.does(0, &remove(MemberNumber(2)));
    let approve = bare(&life, removal);
    life.tries(1, &approve);
    life.written("approved_by_target", "Change(NotForThisMember", "M5b: the target approves");

    let mut life = Life::new();
    let removal = removal_of_member(&mut life);
    let month = limits::PROPOSAL_DAYS_MAX * 24 * 60 * 60 * 1_000;
    let change = bare(&life, removal);
    life.tries_at(1, &change, UnixMillis(1_700_000_000_000 + month + 1));
    life.written(
        "approved_late",
        "Change(ProposalTooOld",
        "M5: an approval 30 days and 1 ms later",
    );

    let mut life = Life::new();
    let removal = removal_of_member(&mut life);
    life.does(0, &suspend(member(2)));
    let approve = bare(&life, removal);
    life.tries(2, &approve);
    life.written(
        "approved_void",
        "Change(NoSuchProposal",
        "M5: void since the coordinators changed",
    );

    let mut life = Life::new();
    life.does(0, &suspend(member(4)));
    life.relocks(0);
    let returns = life.does(0, &restore(member(4)));
    let approve = bare(&life, returns);
    life.tries(1, &approve);
    life.written("approved_without_grant", "Change(Grants", "M4: who returns is granted nothing");

    let mut life = Life::new();
    life.does(0, &suspend(member(4)));
    life.relocks(0);
    let returns = life.does(0, &restore(member(4)));
    let mut approve = approval(life.world.committee.roster(), returns);
    approve.grants.push(crate::world::grant(life.people[4].id()));
    life.tries(1, &Change::Approve(approve));
    life.written(
        "approved_with_too_many",
        "Change(Grants",
        "M4: a stranger is granted the lock too",
    );

    let mut life = Life::new();
    let admit = admission(life.world.committee.roster(), &life.people[4], Role::Coordinator);
    let granted =
        crate::change::Admit { grants: vec![crate::world::grant(life.people[4].id())], ..admit };
    life.tries(0, &Change::Admit(Box::new(granted)));
    life.written("pending_grants", "Change(Grants", "M5b: a coordinator admitted by one alone");

    let mut life = Life::new();
    life.does(0, &suspend(member(2)));
    life.tries(0, &suspend(member(3)));
    life.written("second_suspension", "Change(Bound", "M5b: a bound coordinator suspends a second");

    let mut life = Life::new();
    life.does(0, &suspend(member(2)));
    life.tries(0, &remove(MemberNumber(2)));
    life.written("bound_removes", "Change(Bound", "M5b: a bound coordinator removes the target");
}

fn rules() {
    let mut life = Life::new();
    life.tries(MEMBER, &suspend(member(1)));
    life.written("member_suspends", "Change(NotCoordinator", "M5: a member suspends");

    let mut life = Life::new();
    life.tries(0, &set_approvals(3));
    let expect = "Change(TooFewCoordinators";
    life.written("too_many_approvals", expect, "three approvals of three coordinators");

    let mut life = Life::new();
    life.does(0, &suspend(member(2)));
    life.does(2, &suspend(member(1)));
    life.tries(2, &suspend(member(3)));
    life.written("last_coordinator", "Change(LastCoordinator", "M5b: the last one leaves");
}

fn removal_of_member(life: &mut Life) -> Hash {
    life.does(0, &remove(MemberNumber(4)))
}

fn bare(life: &Life, entry: Hash) -> Change {
    let approve = approval(life.world.committee.roster(), entry);
    Change::Approve(crate::change::Approve { grants: vec![], label: None, ..approve })
}
