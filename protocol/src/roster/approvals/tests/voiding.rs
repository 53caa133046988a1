//! What makes others' approvals worthless, and what must not.

use crate::change::{Change, Label, RepairGrant, Role};
use crate::roster::PeerRosterError;
use crate::roster::trial::{A, B, C, D, E, F, M, Trial, member, number};
use crate::world::{hybrid_file, remove, restore, set_approvals, set_role, suspend};

use super::{G, seven};

/// What waits is void after `change`, which needs `approvers`.
#[track_caller]
fn voids(mut trial: Trial, waiting: Change, change: Change, approvers: &[usize]) {
    let proposal = trial.does(A, waiting);
    let entry = trial.does(C, change);
    for approver in approvers {
        assert!(trial.waiting().contains(&proposal));
        trial.approves(*approver, entry);
    }
    assert!(!trial.waiting().contains(&proposal));
    assert_eq!(trial.refuses(D, Trial::bare(proposal)), PeerRosterError::NoSuchProposal);
}

/// What waits waits on after `change`, and takes effect with one more approval.
#[track_caller]
fn leaves(mut trial: Trial, waiting: Change, change: Change, approvers: &[usize]) -> Trial {
    let proposal = trial.does(A, waiting);
    let entry = trial.does(C, change);
    for approver in approvers {
        trial.approves(*approver, entry);
    }
    assert_eq!(trial.waiting(), [proposal]);
    trial.approves(D, proposal);
    assert_eq!(trial.waiting(), []);
    trial
}

#[test]
fn a_change_of_the_active_coordinators_voids_what_waits() {
    voids(seven(2), remove(number(G)), suspend(member(E)), &[]);
    voids(seven(2), remove(number(G)), remove(number(F)), &[E]);
    voids(seven(2), remove(number(G)), restore(member(B)), &[E]);
    voids(seven(2), remove(number(G)), set_role(number(F), Role::Member), &[E]);
    let trial = seven(2);
    let admission = trial.admission_of(7, Role::Coordinator);
    voids(trial, remove(number(G)), admission, &[E]);
}

#[test]
fn a_coordinators_only_device_is_the_coordinator() {
    let trial = seven(2);
    let device = trial.device(E);
    voids(trial, remove(number(G)), suspend(device), &[]);
    let mut trial = seven(2);
    trial.adds_device(E, 7);
    let device = trial.device(E);
    leaves(trial, remove(number(G)), suspend(device), &[]);
}

#[test]
fn another_policy_voids_what_waits() {
    voids(seven(2), remove(number(G)), set_approvals(3), &[E]);
}

#[test]
fn a_change_of_the_targets_standing_voids_what_waits() {
    let promoted = set_role(number(G), Role::Coordinator);
    voids(seven(2), promoted.clone(), suspend(member(G)), &[]);
    voids(seven(2), promoted, remove(number(G)), &[E]);
    let mut trial = seven(2);
    trial.does(A, suspend(member(G)));
    voids(trial, remove(number(G)), restore(member(G)), &[E]);
    // A device in its own right.
    let mut trial = seven(2);
    let device = trial.device(G);
    trial.does(A, suspend(device));
    voids(trial, restore(device), suspend(member(G)), &[]);
    let mut trial = seven(2);
    trial.does(A, suspend(device));
    let first = trial.does(A, restore(device));
    let second = trial.does(A, restore(device));
    trial.approves(C, first);
    assert_eq!(trial.refuses(D, Trial::bare(second)), PeerRosterError::NoSuchProposal);
}

#[test]
fn a_change_of_the_targets_role_by_others_voids_what_waits() {
    // G is suspended, so that a promotion changes nothing of who is an active coordinator.
    let mut trial = seven(2);
    trial.does(A, suspend(member(G)));
    voids(trial, restore(member(G)), set_role(number(G), Role::Coordinator), &[E]);
    let mut trial = seven(2);
    trial.does(A, suspend(member(G)));
    voids(trial, remove(number(G)), set_role(number(G), Role::Coordinator), &[E]);
}

#[test]
fn suspending_the_target_leaves_its_removal_waiting() {
    let trial = leaves(seven(2), remove(number(G)), suspend(member(G)), &[]);
    assert!(!trial.roster().is_active(trial.id(G)));
    // A coordinator's too, though all else that waits is void.
    let mut trial = seven(2);
    let removal = trial.does(A, remove(number(F)));
    let other = trial.does(A, remove(number(G)));
    trial.does(C, suspend(member(F)));
    assert_eq!(trial.waiting(), [removal]);
    assert_eq!(trial.refuses(D, Trial::bare(other)), PeerRosterError::NoSuchProposal);
    trial.approves(D, removal);
    // And when it is the only device of theirs.
    let mut trial = seven(2);
    let removal = trial.does(A, remove(number(F)));
    trial.does(C, suspend(trial.device(F)));
    assert_eq!(trial.waiting(), [removal]);
}

#[test]
fn the_suspension_of_another_leaves_no_removal_waiting() {
    let mut trial = seven(2);
    trial.does(A, remove(number(F)));
    trial.does(C, suspend(member(E)));
    assert_eq!(trial.waiting(), []);
}

#[test]
fn a_device_of_the_targets_voids_only_its_own_return() {
    let mut trial = seven(2);
    trial.adds_device(G, 7);
    let device = trial.device(7);
    leaves(trial, set_role(number(G), Role::Coordinator), suspend(device), &[]);
}

/// Or a coordinator alone could keep a change from ever getting through.
#[test]
fn what_one_coordinator_may_do_at_will_voids_nothing() {
    let as_reader = set_role(number(G), Role::Reader);
    leaves(seven(2), remove(number(G)), as_reader.clone(), &[]);
    leaves(seven(2), set_role(number(G), Role::Coordinator), as_reader.clone(), &[]);
    let mut trial = seven(2);
    trial.does(A, suspend(member(G)));
    leaves(trial, restore(member(G)), as_reader, &[]);

    let mut trial = Trial::of_two();
    let removal = trial.does(A, remove(number(M)));
    let admission = trial.admission_of(5, Role::Member);
    trial.does(B, admission);
    trial.does(B, suspend(member(4)));
    trial.relocks(B);
    trial.does(B, Change::Label(Label { sealed: hybrid_file().into() }));
    let (device, epoch) = (trial.id(C), trial.roster().epoch());
    trial.does(B, Change::Grant(RepairGrant { device, epoch, file: hybrid_file().into() }));
    trial.does(B, remove(number(4)));
    assert_eq!(trial.waiting()[0], removal);
    trial.approves(B, removal);
}

#[test]
fn other_changes_go_on_waiting_when_one_takes_effect() {
    let mut trial = seven(2);
    let removal = trial.does(A, remove(number(G)));
    let same = trial.does(C, remove(number(G)));
    let restoration = trial.does(C, restore(member(B)));
    trial.approves(C, removal);
    assert_eq!(trial.waiting(), [restoration], "the target of {same} has changed");
}
