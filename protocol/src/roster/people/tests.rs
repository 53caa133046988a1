use crate::change::{Change, Policy, Role, Target};
use crate::committee::Refusal;
use crate::roster::trial::{A, B, C, M, N, Trial, member, number};
use crate::roster::{PeerRosterError, Standing};
use crate::world::{remove, restore, set_approvals, set_role, suspend};

#[test]
fn a_role_changes_what_a_member_may_do() {
    let mut trial = Trial::of_one();
    trial.records(M).unwrap();
    trial.does(A, set_role(number(M), Role::Reader));
    assert_eq!(trial.records(M), Err(Refusal::NotEntitled));
    trial.does(A, set_role(number(M), Role::Coordinator));
    trial.does(M, suspend(member(B)));
    trial.does(A, set_role(number(M), Role::Member));
    assert_eq!(trial.refuses(M, suspend(member(C))), PeerRosterError::NotCoordinator);
}

#[test]
fn only_coordinators_give_roles_restore_remove_and_set_the_policy() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(B)));
    let changes = [
        set_role(number(M), Role::Coordinator),
        restore(member(B)),
        remove(number(B)),
        set_approvals(2),
    ];
    for change in changes {
        assert_eq!(trial.refuses(M, change.clone()), PeerRosterError::NotCoordinator);
        trial.does(A, change);
        trial = Trial::of_one();
        trial.does(A, suspend(member(B)));
    }
}

#[test]
fn a_role_is_for_a_member_who_is_there_and_another_than_the_present_one() {
    let mut trial = Trial::of_one();
    let coordinator = |who| set_role(number(who), Role::Coordinator);
    assert_eq!(trial.refuses(A, coordinator(7)), PeerRosterError::NoSuchMember);
    assert_eq!(trial.refuses(A, coordinator(B)), PeerRosterError::NothingChanges);
    trial.does(A, remove(number(M)));
    assert_eq!(trial.refuses(A, coordinator(M)), PeerRosterError::Ended);
}

#[test]
fn a_suspended_member_is_given_a_role_and_stays_suspended() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(M)));
    trial.does(A, set_role(number(M), Role::Coordinator));
    assert_eq!(trial.roster().role_of(trial.id(M)), None);
    assert_eq!(trial.roster().member(number(M)).unwrap().role, Role::Coordinator);
}

#[test]
fn who_is_suspended_is_restored_with_the_role_they_had() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(B)));
    assert_eq!(trial.records(B), Err(Refusal::NotActive));
    trial.does(A, restore(member(B)));
    trial.records(B).unwrap();
    assert_eq!(trial.roster().role_of(trial.id(B)), Some(Role::Coordinator));
}

#[test]
fn only_what_is_suspended_is_restored() {
    let mut trial = Trial::of_one();
    assert_eq!(trial.refuses(A, restore(member(M))), PeerRosterError::NotSuspended);
    assert_eq!(trial.refuses(A, restore(member(7))), PeerRosterError::NoSuchMember);
    assert_eq!(trial.refuses(A, restore(trial.device(7))), PeerRosterError::NoSuchDevice);
    trial.does(A, suspend(member(M)));
    assert_eq!(trial.refuses(A, restore(trial.device(M))), PeerRosterError::NotSuspended);
}

/// A member and each of its devices have a standing of their own.
#[test]
fn a_device_suspended_beside_its_member_stays_so_when_the_member_returns() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, 6);
    trial.does(A, suspend(trial.device(6)));
    trial.does(A, suspend(member(M)));
    trial.does(A, restore(member(M)));
    assert!(trial.roster().is_active(trial.id(M)) && !trial.roster().is_active(trial.id(6)));
    trial.does(A, restore(trial.device(6)));
    assert!(trial.roster().is_active(trial.id(6)));
}

#[test]
fn a_device_restored_before_its_member_is_not_active() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(trial.device(M)));
    trial.does(A, suspend(member(M)));
    trial.does(A, restore(trial.device(M)));
    assert!(!trial.roster().is_active(trial.id(M)));
    trial.does(A, restore(member(M)));
    assert!(trial.roster().is_active(trial.id(M)));
}

#[test]
fn removal_is_for_good() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(trial.device(M)));
    trial.does(A, remove(number(M)));
    assert_eq!(trial.attempt(M, restore(member(M)), None), Err(Refusal::NotActive));
    assert_eq!(trial.refuses(A, restore(member(M))), PeerRosterError::Ended);
    assert_eq!(trial.refuses(A, restore(trial.device(M))), PeerRosterError::Ended);
    assert_eq!(trial.refuses(A, remove(number(M))), PeerRosterError::Ended);
    let again = trial.admission_of(M, Role::Member);
    assert_eq!(trial.refuses(A, again), PeerRosterError::DeviceKnown);
    // The number is not given again either.
    assert_eq!(trial.roster().next_member(), number(N));
    assert_eq!(trial.refuses(A, remove(number(7))), PeerRosterError::NoSuchMember);
}

#[test]
fn what_ended_a_device_is_said_before_what_suspended_it() {
    let mut trial = Trial::of_one();
    assert_eq!(trial.roster().standing_of(trial.id(M)), Some(Standing::Active));
    assert_eq!(trial.roster().standing_of(trial.id(7)), None);
    trial.does(A, suspend(trial.device(M)));
    let at = trial.world.committee.size().next_index();
    assert!(matches!(trial.roster().standing_of(trial.id(M)), Some(Standing::Suspended(_))));
    trial.does(A, remove(number(M)));
    assert_eq!(trial.roster().standing_of(trial.id(M)), Some(Standing::Ended(at)));
}

#[test]
fn the_last_active_coordinator_stays() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(B)));
    trial.does(A, remove(number(C)));
    let lowered = set_role(number(A), Role::Member);
    assert_eq!(trial.refuses(A, lowered.clone()), PeerRosterError::LastCoordinator);
    assert_eq!(trial.refuses(A, remove(number(A))), PeerRosterError::LastCoordinator);
    // A suspended coordinator is none who could go on; a restored one is.
    trial.does(A, restore(member(B)));
    trial.does(A, lowered);
    assert_eq!(trial.roster().active_coordinators(), [number(B)].into());
}

#[test]
fn the_policy_asks_for_no_more_than_the_loss_of_a_coordinator_leaves() {
    let mut trial = Trial::of_one();
    let three = trial.refuses(A, set_approvals(3));
    assert_eq!(three, PeerRosterError::TooFewCoordinators { needed: 3, most: 2 });
    // Who is suspended counts, who was removed does not.
    trial.does(A, suspend(member(C)));
    trial.does(A, set_approvals(2));
    let mut trial = Trial::of_one();
    trial.does(A, remove(number(C)));
    let two = trial.refuses(A, set_approvals(2));
    assert_eq!(two, PeerRosterError::TooFewCoordinators { needed: 2, most: 1 });
}

#[test]
fn no_change_leaves_too_few_coordinators_for_the_policy() {
    let mut trial = Trial::of_two();
    let few = PeerRosterError::TooFewCoordinators { needed: 2, most: 1 };
    assert_eq!(trial.refuses(A, remove(number(C))), few);
    assert_eq!(trial.refuses(A, set_role(number(C), Role::Member)), few);
    // First another coordinator, then it can be done.
    let another = trial.does(A, set_role(number(M), Role::Coordinator));
    trial.approves(B, another);
    let removal = trial.does(A, remove(number(C)));
    trial.approves(B, removal);
    assert_eq!(trial.roster().active_coordinators(), [A, B, M].map(number).into());
}

/// A committee with one coordinator must be able to change its policy.
#[test]
fn one_coordinator_alone_has_one_approval() {
    let mut trial = Trial::of_one();
    trial.does(A, remove(number(B)));
    trial.does(A, remove(number(C)));
    let longer = Policy { retention_months: 3, ..Policy::default() };
    trial.does(A, Change::Policy(longer));
    assert_eq!(*trial.roster().policy(), longer);
}

#[test]
fn a_policy_is_one_that_can_be_kept_and_another_than_the_present_one() {
    let mut trial = Trial::of_one();
    assert_eq!(trial.refuses(A, set_approvals(0)), PeerRosterError::NoApprovals);
    assert_eq!(trial.refuses(A, set_approvals(1)), PeerRosterError::NothingChanges);
    let format = Policy { format: 2, ..Policy::default() };
    assert_eq!(trial.refuses(A, Change::Policy(format)), PeerRosterError::PolicyFormat);
}

#[test]
fn what_is_known_of_people_is_told() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, 6);
    trial.does(A, suspend(trial.device(6)));
    let devices: Vec<_> = trial.roster().devices_of(number(M)).map(|(id, _)| id).collect();
    let mut expected = vec![trial.id(M), trial.id(6)];
    expected.sort();
    assert_eq!(devices, expected);
    assert_eq!(trial.roster().active_devices().count(), 4);
    assert_eq!(trial.roster().member(number(7)), None);
    let key = (*trial.people[6].card.login_key()).into();
    assert_eq!(trial.roster().device_by_login(key), Some(trial.id(6)));
    let targets = [Target::Member(number(7)), trial.device(7)];
    assert!(targets.into_iter().all(|target| trial.roster().member_of(target).is_err()));
}
