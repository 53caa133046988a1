use super::*;
use crate::change::{Change, Policy};
use crate::committee::Refusal;
use crate::roster::trial::{A, B, C, M, N, Trial, member, number};
use crate::world::{
    TestDevice, add_device, grant, lock, next_lock, recovery, remove, restore, retire,
    set_approvals, set_role, suspend,
};

/// Devices that nobody has yet.
const O: usize = 5;
const P: usize = 6;
const S: usize = 7;

/// The member with a spare, whose helpers are the three coordinators.
fn with_spare() -> Trial {
    let mut trial = Trial::of_one();
    trial.adds_device(M, S);
    let shares = shares(&trial, S, &[A, B, C]);
    trial.does(M, shares);
    trial
}

fn shares(trial: &Trial, spare: usize, helpers: &[usize]) -> Change {
    let helpers: Vec<DeviceId> = helpers.iter().map(|who| trial.id(*who)).collect();
    Change::Recovery(recovery(trial.id(spare), 2, &helpers))
}

fn standing(trial: &Trial, who: usize) -> Standing {
    trial.roster().device(trial.id(who)).unwrap().standing
}

/// The place of the entry that was admitted last.
fn last(trial: &Trial) -> LeafIndex {
    LeafIndex(trial.world.log.len() as u64 - 1)
}

/// Ended by that entry.
fn ended_now(trial: &Trial) -> Standing {
    Standing::Ended(last(trial))
}

fn needs_coordinator(trial: &mut Trial) {
    let policy = *trial.roster().policy();
    let change = Change::Policy(Policy { device_needs_coordinator: true, ..policy });
    let proposed = trial.does(A, change);
    if trial.roster().proposal(proposed).is_some() {
        trial.approves(B, proposed);
    }
}

#[test]
fn a_members_further_device_acts_as_the_first_does() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, N);
    let added = trial.roster().device(trial.id(N)).unwrap();
    assert_eq!((added.member, added.since), (number(M), last(&trial)));
    assert!(trial.roster().holds(trial.id(N), trial.roster().epoch()));
    trial.records(N).unwrap();
    trial.records(M).unwrap();
    trial.records(N).unwrap();
    trial.does(A, suspend(member(M)));
    assert!(!trial.roster().is_active(trial.id(N)));
}

#[test]
fn a_further_device_is_new_and_granted_the_lock_in_force() {
    let mut trial = Trial::of_one();
    let known = add_device(&trial.people[A]);
    assert_eq!(trial.refuses(M, known), PeerRosterError::DeviceKnown);
    let others = AddDevice { card: trial.people[N].card.clone(), grant: grant(trial.id(M)) };
    assert_eq!(trial.refuses(M, Change::Device(Box::new(others))), PeerRosterError::Grants);
    let mut shapeless = AddDevice { card: trial.people[N].card.clone(), grant: grant(trial.id(N)) };
    shapeless.grant.file = vec![0].into();
    let refused = trial.refuses(M, Change::Device(Box::new(shapeless)));
    assert!(matches!(refused, PeerRosterError::Sealed { part: "grant", .. }), "{refused:?}");
}

#[test]
fn a_member_has_at_most_five_devices() {
    let mut trial = Trial::of_one();
    let more: Vec<TestDevice> = (20..26).map(TestDevice::new).collect();
    for device in &more[..4] {
        trial.does(M, add_device(device));
    }
    assert_eq!(trial.refuses(M, add_device(&more[4])), PeerRosterError::TooManyOwnDevices);
    // A suspended one may come back, a retired one does not.
    trial.does(A, suspend(Target::Device(more[0].id())));
    assert_eq!(trial.refuses(M, add_device(&more[4])), PeerRosterError::TooManyOwnDevices);
    trial.does(M, retire(more[0].id()));
    trial.does(M, add_device(&more[4]));
    assert_eq!(trial.refuses(M, add_device(&more[5])), PeerRosterError::TooManyOwnDevices);
}

#[test]
fn where_the_policy_says_so_one_coordinator_sees_to_a_further_device() {
    for mut trial in [Trial::of_one(), Trial::of_two()] {
        needs_coordinator(&mut trial);
        let added = add_device(&trial.people[N]);
        let proposed = trial.does(M, added);
        assert!(trial.roster().device(trial.id(N)).is_none());
        let own = trial.approval(proposed);
        assert_eq!(trial.refuses(M, own), PeerRosterError::NotCoordinator);
        assert_eq!(trial.refuses(A, Trial::bare(proposed)), PeerRosterError::Grants);
        trial.approves(A, proposed);
        assert!(trial.roster().is_active(trial.id(N)));
        assert!(trial.roster().holds(trial.id(N), trial.roster().epoch()));
        // A coordinator sees to an own one.
        trial.adds_device(A, O);
        assert!(trial.roster().is_active(trial.id(O)));
    }
}

#[test]
fn a_device_that_waits_is_void_once_its_owner_is_suspended() {
    let mut trial = Trial::of_one();
    needs_coordinator(&mut trial);
    let added = add_device(&trial.people[N]);
    let proposed = trial.does(M, added);
    trial.does(A, suspend(member(M)));
    assert_eq!(trial.refuses(A, Trial::bare(proposed)), PeerRosterError::NoSuchProposal);
}

#[test]
fn what_could_not_be_added_is_not_proposed() {
    let mut trial = Trial::of_one();
    needs_coordinator(&mut trial);
    let known = add_device(&trial.people[A]);
    assert_eq!(trial.refuses(M, known), PeerRosterError::DeviceKnown);
}

#[test]
fn a_device_is_retired_by_its_member_alone_and_for_good() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, N);
    let theirs = retire(trial.id(N));
    assert_eq!(trial.refuses(A, theirs.clone()), PeerRosterError::NotOwnDevice);
    let stranger = retire(trial.id(P));
    assert_eq!(trial.refuses(M, stranger), PeerRosterError::NoSuchDevice);
    trial.does(M, theirs.clone());
    assert_eq!(standing(&trial, N), ended_now(&trial));
    assert!(trial.roster().lock_pending());
    assert_eq!(trial.attempt(N, retire(trial.id(M)), None), Err(Refusal::NotActive));
    assert_eq!(trial.refuses(M, theirs), PeerRosterError::Ended);
    let again = add_device(&trial.people[N]);
    assert_eq!(trial.refuses(M, again), PeerRosterError::DeviceKnown);
    let returns = restore(trial.device(N));
    assert_eq!(trial.refuses(A, returns), PeerRosterError::Ended);
}

#[test]
fn a_device_may_retire_itself_but_not_the_last_of_the_last_coordinator() {
    let mut trial = Trial::of_one();
    let own = retire(trial.id(C));
    trial.does(C, own);
    trial.does(A, suspend(member(B)));
    let own = retire(trial.id(A));
    assert_eq!(trial.refuses(A, own.clone()), PeerRosterError::LastCoordinator);
    // A spare in helpers' hands is no hand on the roster.
    trial.adds_device(A, S);
    trial.adds_device(A, O);
    let shared = shares(&trial, S, &[M]);
    assert_eq!(trial.refuses(A, shared), PeerRosterError::Threshold);
    trial.world.admit(&trial.people[A], &trial.people[P], Role::Member).unwrap();
    let shared = shares(&trial, S, &[M, P]);
    trial.does(A, shared);
    trial.does(A, retire(trial.id(O)));
    assert_eq!(trial.refuses(A, own), PeerRosterError::LastCoordinator);
}

#[test]
fn a_coordinators_last_device_voids_what_waits() {
    let mut trial = Trial::of_two();
    trial.adds_device(C, N);
    let waiting = trial.does(A, remove(number(M)));
    trial.does(C, retire(trial.id(N)));
    assert_eq!(trial.waiting(), [waiting]);
    trial.does(C, retire(trial.id(C)));
    assert_eq!(trial.waiting(), []);
}

#[test]
fn a_coordinator_who_goes_and_comes_back_by_a_spare_voids_nothing() {
    let mut trial = Trial::of_two();
    trial.adds_device(C, S);
    let shared = shares(&trial, S, &[A, B]);
    trial.does(C, shared);
    let waiting = trial.does(A, remove(number(M)));
    trial.does(C, retire(trial.id(C)));
    assert_eq!(trial.waiting(), [waiting]);
    trial.adds_device(S, O);
    assert_eq!(trial.waiting(), [waiting]);
    trial.approves(O, waiting);
    assert!(matches!(trial.roster().member(number(M)).unwrap().standing, Standing::Ended(_)));
}

#[test]
fn a_suspended_device_that_is_retired_is_decided() {
    let mut trial = Trial::of_two();
    trial.adds_device(B, N);
    let lost = suspend(trial.device(N));
    trial.does(A, lost);
    assert_eq!(trial.undecided().len(), 1);
    trial.does(B, retire(trial.id(N)));
    assert_eq!(trial.undecided(), []);
}

#[test]
fn of_a_device_and_its_member_the_end_comes_first_and_then_the_members_standing() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, N);
    let of_it = |trial: &Trial| trial.roster().standing_of(trial.id(N));
    trial.does(A, suspend(trial.device(N)));
    trial.does(A, suspend(member(M)));
    assert_eq!(of_it(&trial), Some(Standing::Suspended(last(&trial))));
    trial.does(A, restore(member(M)));
    trial.does(M, retire(trial.id(N)));
    let retired = ended_now(&trial);
    trial.does(A, suspend(member(M)));
    assert_eq!(of_it(&trial), Some(retired));
    trial.does(A, remove(number(M)));
    assert_eq!(of_it(&trial), Some(ended_now(&trial)));
}

#[test]
fn what_waits_for_a_suspended_device_is_void_once_it_is_retired() {
    let mut trial = Trial::of_two();
    trial.adds_device(M, N);
    trial.does(A, suspend(trial.device(N)));
    let returns = trial.does(A, restore(trial.device(N)));
    let other = trial.does(A, remove(number(M)));
    assert_eq!(trial.waiting(), [returns, other]);
    trial.does(M, retire(trial.id(N)));
    assert_eq!(trial.waiting(), [other]);
}

#[test]
fn a_suspended_spare_that_another_takes_the_place_of_is_decided() {
    let mut trial = Trial::of_two();
    trial.adds_device(B, S);
    let shared = shares(&trial, S, &[A, C]);
    trial.does(B, shared);
    trial.does(A, suspend(trial.device(S)));
    assert_eq!(trial.undecided().len(), 1);
    trial.adds_device(B, O);
    let shared = shares(&trial, O, &[A, C]);
    trial.does(B, shared);
    assert_eq!(trial.undecided(), []);
}

#[test]
fn shares_are_for_active_devices_of_others_each_of_another_member() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, S);
    trial.adds_device(M, O);
    trial.adds_device(A, P);
    let refused = |trial: &mut Trial, helpers: &[usize]| {
        let shared = shares(trial, S, helpers);
        trial.refuses(M, shared)
    };
    for helpers in [&[A, O][..], &[A, P], &[A, N], &[A, A]] {
        assert_eq!(refused(&mut trial, helpers), PeerRosterError::Shares, "{helpers:?}");
    }
    trial.does(A, suspend(member(C)));
    assert_eq!(refused(&mut trial, &[A, C]), PeerRosterError::Shares);
    let ids = [trial.id(A), trial.id(B)];
    let with = |threshold| Change::Recovery(recovery(trial.id(S), threshold, &ids));
    for (threshold, shared) in [0, 1, 3].map(|threshold| (threshold, with(threshold))) {
        assert_eq!(trial.refuses(M, shared), PeerRosterError::Threshold, "{threshold}");
    }
    let mut unsorted = recovery(trial.id(S), 2, &ids);
    unsorted.shares.reverse();
    assert_eq!(trial.refuses(M, Change::Recovery(unsorted)), PeerRosterError::Shares);
    let mut shapeless = recovery(trial.id(S), 2, &ids);
    shapeless.shares[1].file = vec![0].into();
    let refused = trial.refuses(M, Change::Recovery(shapeless));
    assert!(matches!(refused, PeerRosterError::Sealed { part: "share", .. }), "{refused:?}");
    let mut long = recovery(trial.id(S), 2, &ids);
    long.shares[0].file = vec![0; limits::SHARE_BYTES_MAX + 1].into();
    let refused = trial.refuses(M, Change::Recovery(long));
    assert!(matches!(refused, PeerRosterError::TooLarge { part: "share", .. }), "{refused:?}");
}

#[test]
fn a_spare_has_at_most_sixteen_helpers() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, S);
    let mut helpers = vec![trial.id(A)];
    for seed in 20..36 {
        let helper = TestDevice::new(seed);
        trial.world.admit(&trial.people[A], &helper, Role::Member).unwrap();
        helpers.push(helper.id());
    }
    assert_eq!(helpers.len(), limits::SHARES_MAX + 1);
    let shared = Change::Recovery(recovery(trial.id(S), 3, &helpers));
    assert_eq!(trial.refuses(M, shared), PeerRosterError::Shares);
    helpers.pop();
    let shared = Change::Recovery(recovery(trial.id(S), 3, &helpers));
    trial.does(M, shared);
    let (device, helpers) = (trial.id(S), helpers.into_iter().collect());
    let spare = Spare { device, threshold: 3, helpers, at: last(&trial) };
    assert_eq!(trial.roster().spare_of(number(M)), Some(&spare));
}

#[test]
fn a_spare_is_another_device_of_ones_own_that_helps_nobody() {
    let mut trial = with_spare();
    for spare in [M, A, N] {
        let shared = shares(&trial, spare, &[B, C]);
        assert_eq!(trial.refuses(M, shared), PeerRosterError::NotASpare, "{spare}");
    }
    // Nor is one that may not act.
    trial.adds_device(M, P);
    trial.does(A, suspend(trial.device(P)));
    let shared = shares(&trial, P, &[B, C]);
    assert_eq!(trial.refuses(M, shared.clone()), PeerRosterError::NotASpare);
    trial.does(M, retire(trial.id(P)));
    assert_eq!(trial.refuses(M, shared), PeerRosterError::NotASpare);
    trial.adds_device(A, O);
    let helper = shares(&trial, A, &[B, M]);
    assert_eq!(trial.refuses(O, helper), PeerRosterError::NotASpare);
    let to_spare = shares(&trial, O, &[B, S]);
    assert_eq!(trial.refuses(A, to_spare), PeerRosterError::Shares);
}

#[test]
fn a_new_spare_ends_the_one_before_and_none_is_shared_twice() {
    let mut trial = with_spare();
    let again = shares(&trial, S, &[A, B]);
    assert_eq!(trial.refuses(M, again), PeerRosterError::SharedAlready);
    trial.adds_device(M, O);
    let next = shares(&trial, O, &[A, B]);
    trial.does(M, next);
    assert_eq!(standing(&trial, S), ended_now(&trial));
    assert_eq!(trial.roster().spare_of(number(M)).unwrap().device, trial.id(O));
    assert!(trial.roster().lock_pending(), "it held the lock");
}

#[test]
fn a_spare_brings_its_owner_back_and_does_nothing_else() {
    let mut trial = with_spare();
    trial.does(A, set_role(number(M), Role::Coordinator));
    assert_eq!(trial.records(S), Err(Refusal::NotEntitled));
    let grave = [
        suspend(member(B)),
        set_approvals(2),
        trial.admission_of(N, Role::Member),
        Trial::bare(crate::hash::Hash::ZERO),
        Change::Label(crate::change::Label { sealed: crate::world::hybrid_file().into() }),
    ];
    for change in grave {
        assert_eq!(trial.refuses(S, change), PeerRosterError::BySpare);
    }
    let relock = next_lock(trial.roster());
    assert_eq!(trial.refuses(S, relock), PeerRosterError::NotCoordinator, "no lock is due");
    trial.adds_device(S, O);
    trial.does(S, retire(trial.id(M)));
    let devices: Vec<DeviceId> = trial.roster().active_devices().collect();
    let withheld = Change::Lock(Box::new(lock(201, &devices, false)));
    assert_eq!(trial.refuses(S, withheld), PeerRosterError::LinkMissing);
    let relock = next_lock(trial.roster());
    trial.does(S, relock);
    assert_eq!(trial.roster().role_of(trial.id(O)), Some(Role::Coordinator));
    trial.records(O).unwrap();
}

#[test]
fn a_spare_ends_with_the_first_of_its_helpers_and_does_not_come_back() {
    type Ends = fn(&mut Trial) -> crate::hash::Hash;
    let ends: [Ends; 4] = [
        |trial| trial.does(A, suspend(member(B))),
        |trial| trial.does(A, suspend(trial.device(B))),
        |trial| trial.does(A, remove(number(B))),
        |trial| trial.does(B, retire(trial.id(B))),
    ];
    for (way, end) in ends.into_iter().enumerate() {
        let mut trial = with_spare();
        assert!(trial.roster().is_active(trial.id(S)), "{way}");
        end(&mut trial);
        assert_eq!(standing(&trial, S), ended_now(&trial), "{way}");
        assert_eq!(trial.roster().spare_of(number(M)), None, "{way}");
        assert_eq!(trial.attempt(S, retire(trial.id(M)), None), Err(Refusal::NotActive), "{way}");
    }
    let mut trial = with_spare();
    trial.does(A, suspend(member(B)));
    trial.does(A, restore(member(B)));
    assert!(!trial.roster().is_active(trial.id(S)));
}

#[test]
fn a_spare_falls_with_its_owner() {
    let mut trial = with_spare();
    trial.does(A, suspend(member(M)));
    assert_eq!(trial.attempt(S, add_device(&trial.people[O]), None), Err(Refusal::NotActive));
    // And comes back with them; so does one that was suspended alone.
    trial.does(A, restore(member(M)));
    trial.does(A, suspend(trial.device(S)));
    trial.does(A, restore(trial.device(S)));
    trial.adds_device(S, P);
    assert!(trial.roster().is_spare(trial.id(S)));
    trial.does(A, suspend(member(M)));
    trial.does(A, remove(number(M)));
    assert_eq!(trial.roster().spare_of(number(M)), None);
    assert_eq!(trial.attempt(S, add_device(&trial.people[O]), None), Err(Refusal::NotActive));
}

#[test]
fn a_spare_that_is_retired_is_none_any_more() {
    let mut trial = with_spare();
    trial.does(M, retire(trial.id(S)));
    assert_eq!(trial.roster().spare_of(number(M)), None);
    let theirs = trial.roster().spares().count();
    assert_eq!(theirs, 0);
}
