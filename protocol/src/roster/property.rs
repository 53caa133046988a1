//! Any sequence of changes, sound or not, by anybody: the relay that admits them one by one and a client
//! that is given the log, from the start or from a snapshot, come to the same fold.

use proptest::prelude::*;

use crate::change::{Change, RepairGrant, Role, Target};
use crate::codec;
use crate::committee::{Committee, RosterChain};
use crate::entry::{Admitted, Kind, UnverifiedEntry};
use crate::forget::Forget;
use crate::id::{Epoch, LeafIndex, MemberNumber};
use crate::world::{
    Held, TestDevice, World, add_device, admission, approval, hybrid_file, lock, next_lock,
    recovery, remove, restore, retire, set_approvals, set_role, suspend,
};

use super::{Proposed, Standing};

const PEOPLE: u8 = 6;

/// What somebody tries.
#[derive(Clone, Debug)]
enum Act {
    Record,
    Admit(u8, Role),
    Role(u32, Role),
    Suspend(Whom),
    Restore(Whom),
    Remove(u32),
    Policy(u16),
    Approve(usize, bool),
    Lock(bool),
    WrongLock,
    Grant(u8, u32),
    Device(u8),
    Retire(u8),
    Share(u8, Vec<u8>),
    Forget(usize),
}

#[derive(Clone, Copy, Debug)]
enum Whom {
    Member(u32),
    Device(u8),
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Coordinator), Just(Role::Member), Just(Role::Reader)]
}

fn whom() -> impl Strategy<Value = Whom> {
    prop_oneof![(1..=5_u32).prop_map(Whom::Member), (1..=PEOPLE).prop_map(Whom::Device)]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Record),
        2 => (1..=PEOPLE, role()).prop_map(|(who, role)| Act::Admit(who, role)),
        2 => (1..=5_u32, role()).prop_map(|(who, role)| Act::Role(who, role)),
        3 => whom().prop_map(Act::Suspend),
        3 => whom().prop_map(Act::Restore),
        1 => (1..=5_u32).prop_map(Act::Remove),
        2 => (0..=3_u16).prop_map(Act::Policy),
        5 => (0..4_usize, any::<bool>()).prop_map(|(which, bare)| Act::Approve(which, bare)),
        3 => any::<bool>().prop_map(Act::Lock),
        1 => Just(Act::WrongLock),
        2 => (1..=PEOPLE, 0..4_u32).prop_map(|(who, epoch)| Act::Grant(who, epoch)),
        3 => (1..=PEOPLE).prop_map(Act::Device),
        2 => (1..=PEOPLE).prop_map(Act::Retire),
        2 => (1..=PEOPLE, proptest::sample::subsequence((1..=PEOPLE).collect::<Vec<_>>(), 2..4))
            .prop_map(|(spare, helpers)| Act::Share(spare, helpers)),
        2 => (0..40_usize).prop_map(Act::Forget),
    ]
}

fn change_of(world: &World, act: &Act) -> Option<Change> {
    let roster = world.committee.roster();
    let target = |whom: &Whom| match whom {
        Whom::Member(number) => Target::Member(MemberNumber(*number)),
        Whom::Device(seed) => Target::Device(TestDevice::new(*seed).id()),
    };
    Some(match act {
        Act::Record | Act::Forget(_) => return None,
        Act::Admit(seed, role) => {
            Change::Admit(Box::new(admission(roster, &TestDevice::new(*seed), *role)))
        }
        Act::Role(number, role) => set_role(MemberNumber(*number), *role),
        Act::Suspend(whom) => suspend(target(whom)),
        Act::Restore(whom) => restore(target(whom)),
        Act::Remove(number) => remove(MemberNumber(*number)),
        Act::Policy(approvals) => set_approvals(*approvals),
        Act::Approve(which, bare) => {
            let waiting = roster.proposals().map(|(leaf, _)| leaf);
            let mut waiting = waiting.chain(roster.undecided().map(|(leaf, _)| leaf));
            let mut approve =
                approval(roster, waiting.nth(*which).unwrap_or(crate::hash::Hash::ZERO));
            if *bare {
                approve.grants.clear();
            }
            Change::Approve(approve)
        }
        Act::Lock(linked) => match next_lock(roster) {
            Change::Lock(mut lock) if !linked => {
                lock.link = None;
                Change::Lock(lock)
            }
            linked => linked,
        },
        Act::WrongLock => Change::Lock(Box::new(lock(250, &world.active()[1..], true))),
        Act::Grant(seed, epoch) => Change::Grant(RepairGrant {
            device: TestDevice::new(*seed).id(),
            epoch: Epoch(*epoch),
            file: hybrid_file().into(),
        }),
        Act::Device(seed) => add_device(&TestDevice::new(*seed)),
        Act::Retire(seed) => retire(TestDevice::new(*seed).id()),
        Act::Share(spare, helpers) => {
            let helpers: Vec<_> = helpers.iter().map(|seed| TestDevice::new(*seed).id()).collect();
            Change::Recovery(recovery(TestDevice::new(*spare).id(), 2, &helpers))
        }
    })
}

/// Has somebody try something, and gives what the log grew by, if it did.
fn tries(world: &mut World, who: u8, act: &Act) -> Option<Admitted> {
    let author = TestDevice::new(who);
    let before = world.committee.clone();
    let admitted = match (act, change_of(world, act)) {
        (Act::Forget(which), _) => {
            let at = which % world.log.len();
            let leaf = UnverifiedEntry::decode(&world.log[at]).unwrap().leaf();
            world.forget(&author, Forget { index: LeafIndex(at as u64), leaf })
        }
        (_, None) => world.record(&author),
        (_, Some(change)) => world.change(&author, &change),
    };
    assert!(admitted.is_ok() || world.committee == before, "a refusal changes nothing: {act:?}");
    admitted.ok()
}

fn check(world: &World) {
    let roster = world.committee.roster();
    let mut in_hand = roster.active_devices().filter(|device| !roster.is_spare(*device));
    let can_change = |device| roster.role_of(device) == Some(Role::Coordinator);
    assert!(in_hand.any(can_change), "somebody can change the roster");
    let lasting = roster.members().filter(|(_, member)| {
        member.role == Role::Coordinator && !matches!(member.standing, Standing::Ended(_))
    });
    let most = lasting.count().saturating_sub(1).max(1);
    assert!(usize::from(roster.policy().approvals) <= most);
    let due = roster.current_lock().granted().any(|device| !roster.is_active(device));
    assert_eq!(roster.lock_pending(), due);
    for (owner, spare) in roster.spares() {
        assert!(spare.helpers.iter().all(|helper| roster.is_active(*helper)));
        assert!(spare.helpers.len() >= usize::from(spare.threshold));
        let owns = roster.devices_of(owner).any(|(device, _)| device == spare.device);
        assert!(owns && !matches!(roster.member(owner).unwrap().standing, Standing::Ended(_)));
    }
    for (_, proposal) in roster.proposals() {
        assert!(proposal.approved.is_subset(&roster.active_coordinators()));
        assert!(proposal.approved.len() < usize::from(roster.policy().approvals));
    }
}

/// A fold over entries as a client is given them.
fn folds(fold: Option<Committee>, entries: &[Vec<u8>], past: &Held<'_>) -> Committee {
    let mut fold = fold;
    for bytes in entries {
        let entry = UnverifiedEntry::decode(bytes).unwrap();
        let Some(committee) = &mut fold else {
            fold = Some(Committee::found(entry).unwrap().0);
            continue;
        };
        let signed = committee.verify_signature(entry).unwrap();
        committee.admit_logged(signed, past).unwrap();
    }
    fold.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn relay_and_client_come_to_the_same_whatever_is_tried(
        acts in proptest::collection::vec((1..=PEOPLE, act()), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::found(&TestDevice::new(1));
        for (seed, role) in [(2, Role::Coordinator), (3, Role::Coordinator), (4, Role::Member)] {
            world.admit(&TestDevice::new(1), &TestDevice::new(seed), role).unwrap();
        }
        world.change(&TestDevice::new(1), &set_approvals(2)).unwrap();
        let mut forgotten = world.log.clone();
        for (who, act) in &acts {
            let admitted = tries(&mut world, *who, act);
            check(&world);
            let Some(admitted) = admitted else { continue };
            forgotten.push(admitted.entry.encode());
            if let Some(index) = admitted.forgets {
                let at = usize::try_from(index.0).unwrap();
                let entry = UnverifiedEntry::decode(&forgotten[at]).unwrap();
                prop_assert_eq!(entry.header().kind, Kind::Record);
                forgotten[at] = entry.with_payload_dropped().encode();
            }
        }
        let past = world.past();
        let whole = folds(None, &world.log, &past);
        prop_assert_eq!(&whole, &world.committee);
        // What was forgotten is not missed.
        prop_assert_eq!(&folds(None, &forgotten, &past), &world.committee);
        // From a snapshot on, as a restarted relay or a client between two pulls.
        let at = cut.index(world.log.len()).max(1);
        let early = folds(None, &world.log[..at], &past);
        let snapshot: Committee = codec::decode(&codec::encode(&early), usize::MAX).unwrap();
        let late = folds(Some(snapshot), &world.log[at..], &past);
        prop_assert_eq!(codec::encode(&late), codec::encode(&world.committee));
        // From the roster entries alone, as a proof shows them: all but what waits to be forgotten.
        let mut roster = world.committee.roster().clone();
        roster.proposals.retain(|_, waits| !matches!(waits.change, Proposed::Forget(_)));
        let chain = follows(&world.log);
        prop_assert_eq!(chain.roster(), &roster);
    }
}

/// The roster entries of a log, folded without what stands between them.
fn follows(log: &[Vec<u8>]) -> RosterChain {
    let decoded = log.iter().map(|bytes| UnverifiedEntry::decode(bytes).unwrap());
    let placed = (0..).map(LeafIndex).zip(decoded);
    let mut roster = placed.filter(|(_, entry)| entry.header().kind == Kind::Roster);
    let mut chain = RosterChain::found(roster.next().unwrap().1).unwrap();
    roster.for_each(|(index, entry)| chain.follow(entry, index).unwrap());
    chain
}

/// Most of what is tried at random is refused: enough is not.
#[test]
fn what_is_tried_reaches_every_kind_of_change() {
    let mut world = World::found(&TestDevice::new(1));
    let tried = [
        (1, Act::Admit(2, Role::Coordinator)),
        (1, Act::Admit(3, Role::Coordinator)),
        (1, Act::Admit(4, Role::Member)),
        (1, Act::Policy(2)),
        (1, Act::Suspend(Whom::Member(4))),
        (2, Act::Lock(true)),
        (4, Act::Record),
        (1, Act::Restore(Whom::Member(4))),
        (2, Act::Approve(0, false)),
        (4, Act::Record),
        (1, Act::Role(4, Role::Reader)),
        (1, Act::Remove(4)),
        (3, Act::Approve(0, true)),
        (3, Act::Lock(false)),
        (2, Act::Grant(3, 1)),
        (1, Act::WrongLock),
        (1, Act::Device(5)),
        (1, Act::Device(6)),
        (1, Act::Share(6, vec![2, 3])),
        (6, Act::Record),
        (6, Act::Retire(5)),
        (2, Act::Retire(5)),
        (3, Act::Forget(9)),
        (2, Act::Approve(0, true)),
        (2, Act::Forget(0)),
    ];
    let mut admitted = Vec::new();
    for (who, act) in &tried {
        admitted.push(tries(&mut world, *who, act).is_some());
    }
    let refused: Vec<usize> = (0..tried.len()).filter(|at| !admitted[*at]).collect();
    assert_eq!(
        refused,
        [6, 15, 19, 21, 24],
        "what a suspended member writes, a wrong lock, what a spare writes, another's device retired, \
         the founding forgotten"
    );
}
