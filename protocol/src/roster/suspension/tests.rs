use crate::change::{Role, Target};
use crate::committee::Refusal;
use crate::roster::trial::{A, B, C, D, E, F, M, Trial, member, number};
use crate::roster::{PeerRosterError, Standing};
use crate::world::{remove, restore, set_approvals, set_role, suspend};

#[test]
fn one_coordinator_suspends_at_once() {
    let mut trial = Trial::of_two();
    trial.does(A, suspend(member(M)));
    assert!(!trial.roster().is_active(trial.id(M)));
    assert_eq!(trial.roster().proposals().count(), 0);
    trial.does(A, suspend(member(B)));
    assert!(!trial.roster().is_active(trial.id(B)));
}

#[test]
fn a_member_suspends_nobody() {
    let mut trial = Trial::of_two();
    assert_eq!(trial.refuses(M, suspend(member(B))), PeerRosterError::NotCoordinator);
    assert_eq!(trial.refuses(M, suspend(trial.device(M))), PeerRosterError::NotCoordinator);
}

#[test]
fn who_is_not_there_is_not_suspended() {
    let mut trial = Trial::of_two();
    assert_eq!(trial.refuses(A, suspend(member(7))), PeerRosterError::NoSuchMember);
    assert_eq!(trial.refuses(A, suspend(trial.device(7))), PeerRosterError::NoSuchDevice);
}

#[test]
fn nobody_is_suspended_twice_but_a_member_beside_a_device_is() {
    let mut trial = Trial::of_two();
    trial.does(A, suspend(trial.device(M)));
    assert_eq!(trial.refuses(A, suspend(trial.device(M))), PeerRosterError::AlreadySuspended);
    trial.does(A, suspend(member(M)));
    assert_eq!(trial.refuses(B, suspend(member(M))), PeerRosterError::AlreadySuspended);
}

#[test]
fn one_device_is_suspended_and_the_members_others_go_on() {
    let mut trial = Trial::of_one();
    trial.adds_device(M, 6);
    trial.does(A, suspend(trial.device(M)));
    assert!(!trial.roster().is_active(trial.id(M)) && trial.roster().is_active(trial.id(6)));
    trial.relocks(A);
    assert_eq!(trial.records(M), Err(Refusal::NotActive));
    trial.records(6).unwrap();
    trial.does(A, suspend(member(M)));
    assert!(!trial.roster().is_active(trial.id(6)), "the member's suspension is of all devices");
}

#[test]
fn who_suspended_a_coordinator_suspends_no_further_one() {
    let mut trial = Trial::of_two();
    let first = trial.does(A, suspend(member(B)));
    assert_eq!(trial.undecided(), [first]);
    assert_eq!(trial.refuses(A, suspend(member(C))), PeerRosterError::Bound);
    assert_eq!(trial.refuses(A, suspend(trial.device(C))), PeerRosterError::Bound);
    // Who is no coordinator can be cut off all the same.
    trial.does(A, suspend(member(M)));
    assert_eq!(trial.undecided(), [first]);
}

#[test]
fn a_suspension_of_a_coordinators_device_binds_too() {
    let mut trial = Trial::of_two();
    trial.adds_device(B, 6);
    trial.does(A, suspend(trial.device(B)));
    assert_eq!(trial.refuses(A, suspend(member(C))), PeerRosterError::Bound);
    // The rest of the same coordinator may follow: it is one coordinator still.
    trial.does(A, suspend(trial.device(6)));
    trial.does(A, suspend(member(B)));
    assert_eq!(trial.undecided().len(), 3);
}

#[test]
fn with_one_approval_nobody_is_bound() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(B)));
    assert_eq!(trial.undecided(), []);
    trial.does(A, suspend(member(C)));
    trial.does(A, remove(number(B)));
}

#[test]
fn who_cuts_off_an_own_device_is_not_bound_by_it() {
    let mut trial = Trial::of_two();
    trial.adds_device(A, 6);
    trial.does(A, suspend(trial.device(6)));
    assert_eq!(trial.undecided(), []);
    trial.does(A, suspend(member(B)));
}

#[test]
fn a_bound_suspender_has_no_say_on_the_target() {
    let mut trial = Trial::of_six(2);
    let removal = trial.does(C, remove(number(B)));
    trial.does(A, suspend(member(B)));
    assert_eq!(trial.refuses(A, remove(number(B))), PeerRosterError::Bound);
    assert_eq!(trial.refuses(A, restore(member(B))), PeerRosterError::Bound);
    assert_eq!(trial.refuses(A, Trial::bare(removal)), PeerRosterError::Bound);
    let restoration = trial.does(C, restore(member(B)));
    assert_eq!(trial.refuses(A, Trial::bare(restoration)), PeerRosterError::Bound);
    // Whom they did not suspend is another matter.
    trial.does(A, remove(number(E)));
    trial.approves(D, removal);
    assert!(matches!(trial.roster().standing_of(trial.id(B)), Some(Standing::Ended(_))));
}

#[test]
fn the_others_decide_and_the_suspender_is_free() {
    let mut trial = Trial::of_two();
    let suspension = trial.does(A, suspend(member(B)));
    trial.approves(C, suspension);
    assert_eq!(trial.undecided(), []);
    assert!(!trial.roster().is_active(trial.id(B)), "the suspension stands");
    let restoration = trial.does(A, restore(member(B)));
    trial.approves(C, restoration);
    assert!(trial.roster().is_active(trial.id(B)));
}

#[test]
fn as_many_decide_as_the_policy_asks_for_or_as_there_are() {
    // Of six, B is the target and A the suspender: four decide, of whom three are needed.
    let mut trial = Trial::of_six(3);
    let suspension = trial.does(A, suspend(member(B)));
    trial.approves(C, suspension);
    trial.approves(D, suspension);
    assert_eq!(trial.undecided(), [suspension]);
    trial.approves(E, suspension);
    assert_eq!(trial.undecided(), []);
    // With two other coordinators at rest by A's and C's doing, fewer are there.
    let mut trial = Trial::of_six(5);
    let suspension = trial.does(A, suspend(member(B)));
    for approver in [C, D, E] {
        trial.approves(approver, suspension);
        assert_eq!(trial.undecided(), [suspension]);
    }
    trial.approves(F, suspension);
    assert_eq!(trial.undecided(), []);
}

#[test]
fn neither_target_nor_suspender_decides() {
    let mut trial = Trial::of_six(2);
    trial.adds_device(B, 6);
    let suspension = trial.does(A, suspend(trial.device(B)));
    // B goes on with another device.
    assert_eq!(trial.refuses(6, Trial::bare(suspension)), PeerRosterError::NotForThisMember);
    assert_eq!(trial.refuses(A, Trial::bare(suspension)), PeerRosterError::NotForThisMember);
    assert_eq!(trial.refuses(6, Trial::bare(suspension)), PeerRosterError::NotForThisMember);
    let deciders = trial.roster().undecided().map(|(_, it)| trial.roster().deciders(it)).next();
    assert_eq!(deciders, Some([C, D, E, F].map(number).into()));
}

#[test]
fn another_undecided_suspender_does_not_decide() {
    let mut trial = Trial::of_six(2);
    let first = trial.does(A, suspend(member(B)));
    trial.approves(C, first);
    trial.does(C, suspend(member(E)));
    // What C said before C was bound counts no more.
    assert_eq!(trial.undecided().len(), 2);
    trial.approves(D, first);
    assert!(trial.undecided().contains(&first));
    let second = trial.undecided().into_iter().find(|leaf| *leaf != first).unwrap();
    assert_eq!(trial.refuses(A, Trial::bare(second)), PeerRosterError::NotForThisMember);
    trial.approves(F, first);
    assert_eq!(trial.undecided(), [second]);
    trial.approves(A, second);
    trial.approves(D, second);
    assert_eq!(trial.undecided(), []);
}

#[test]
fn nobody_decides_twice() {
    let mut trial = Trial::of_six(2);
    trial.adds_device(C, 6);
    let suspension = trial.does(A, suspend(member(B)));
    trial.approves(C, suspension);
    assert_eq!(trial.refuses(C, Trial::bare(suspension)), PeerRosterError::AlreadyApproved);
    assert_eq!(trial.refuses(6, Trial::bare(suspension)), PeerRosterError::AlreadyApproved);
    assert_eq!(trial.undecided(), [suspension]);
}

#[test]
fn a_suspension_that_nobody_can_decide_stands_and_binds_nobody() {
    // The two who are left suspended somebody each: nobody is there who might decide.
    let mut trial = Trial::of_two();
    trial.does(A, suspend(member(B)));
    trial.does(C, suspend(member(A)));
    assert_eq!(trial.undecided(), []);
    assert_eq!(trial.roster().active_coordinators(), [number(C)].into());
    // Alone C gets no further than m.
    let restoration = trial.does(C, restore(member(B)));
    assert_eq!(trial.refuses(C, Trial::bare(restoration)), PeerRosterError::AlreadyApproved);
    let policy = trial.does(C, set_approvals(1));
    assert_eq!(trial.refuses(C, Trial::bare(policy)), PeerRosterError::AlreadyApproved);
}

#[test]
fn restoring_or_removing_decides_a_suspension() {
    for change in [restore(member(B)), remove(number(B))] {
        let mut trial = Trial::of_six(2);
        trial.does(A, suspend(member(B)));
        let proposal = trial.does(C, change);
        trial.approves(D, proposal);
        assert_eq!(trial.undecided(), []);
        trial.does(A, suspend(member(E)));
    }
}

/// The device's own standing says "suspended" for ever; its member has ended.
#[test]
fn removing_the_member_decides_the_suspension_of_a_device() {
    let mut trial = Trial::of_six(2);
    trial.does(A, suspend(trial.device(B)));
    let removal = trial.does(C, remove(number(B)));
    trial.approves(D, removal);
    assert_eq!(trial.undecided(), []);
    trial.does(A, suspend(member(E)));
}

#[test]
fn lowering_the_target_decides_a_suspension() {
    let mut trial = Trial::of_six(2);
    trial.does(A, suspend(member(B)));
    let lowered = trial.does(C, set_role(number(B), Role::Member));
    trial.approves(D, lowered);
    assert_eq!(trial.undecided(), []);
}

#[test]
fn a_policy_of_one_approval_decides_all_suspensions() {
    let mut trial = Trial::of_six(2);
    trial.does(A, suspend(member(B)));
    let policy = trial.does(C, set_approvals(1));
    trial.approves(D, policy);
    assert_eq!(trial.undecided(), []);
}

/// Two who suspend each other: the first in the log counts, the other is no longer active.
#[test]
fn of_two_who_suspend_each_other_the_first_counts() {
    let mut trial = Trial::of_two();
    let first = trial.does(A, suspend(member(B)));
    assert_eq!(trial.attempt(B, suspend(member(A)), None), Err(Refusal::NotActive));
    assert_eq!(trial.undecided(), [first]);
}

#[test]
fn a_device_of_an_ended_member_is_not_suspended() {
    let mut trial = Trial::of_one();
    trial.does(A, remove(number(M)));
    assert_eq!(trial.refuses(A, suspend(trial.device(M))), PeerRosterError::Ended);
    assert_eq!(trial.refuses(A, suspend(member(M))), PeerRosterError::Ended);
    assert!(matches!(trial.roster().member(number(M)).unwrap().standing, Standing::Ended(_)));
}

#[test]
fn the_last_active_coordinator_is_not_suspended() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(B)));
    trial.does(A, suspend(member(C)));
    assert_eq!(trial.refuses(A, suspend(member(A))), PeerRosterError::LastCoordinator);
    // Nor left without a device.
    assert_eq!(trial.refuses(A, suspend(trial.device(A))), PeerRosterError::LastCoordinator);
    trial.adds_device(A, 6);
    trial.does(A, suspend(trial.device(6)));
    let own: Target = trial.device(A);
    assert_eq!(trial.refuses(A, suspend(own)), PeerRosterError::LastCoordinator);
}

/// With three coordinators, two of whom must agree, m stays within what a loss leaves; a
/// suspension is never refused for that.
#[test]
fn a_suspension_is_never_refused_for_the_number_of_approvals() {
    let mut trial = Trial::of_two();
    let suspension = trial.does(A, suspend(member(B)));
    trial.approves(C, suspension);
    trial.does(A, suspend(member(C)));
    assert_eq!(trial.roster().active_coordinators(), [number(A)].into());
    assert_eq!(trial.roster().policy().approvals, 2);
}
