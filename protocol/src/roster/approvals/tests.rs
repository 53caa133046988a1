use crate::change::{Approve, Change, Grant, Policy, Role};
use crate::committee::Refusal;
use crate::hash::Hash;
use crate::id::UnixMillis;
use crate::limits;
use crate::roster::PeerRosterError;
use crate::roster::trial::{A, B, C, D, E, F, M, N, Trial, member, number};
use crate::world::{
    grant, hybrid_file, record_file, remove, restore, set_approvals, set_role, suspend,
};

mod voiding;

/// A member beside the six coordinators.
const G: usize = 6;

/// Six coordinators and a member; B is suspended, which was decided.
fn seven(approvals: u16) -> Trial {
    let mut trial = Trial::of_six(approvals);
    let admission = trial.admission_of(G, Role::Member);
    trial.does(A, admission);
    let suspension = trial.does(A, suspend(member(B)));
    for who in [C, D, E, F] {
        if trial.undecided().contains(&suspension) {
            trial.approves(who, suspension);
        }
    }
    trial
}

/// A change, and whether it has taken effect.
type Grave = (Change, fn(&Trial) -> bool);

/// Every change that one coordinator cannot make alone when several have to agree.
fn grave(trial: &Trial) -> [Grave; 6] {
    let role = |who, role| set_role(number(who), role);
    let longer = Change::Policy(Policy { retention_months: 3, ..*trial.roster().policy() });
    [
        (restore(member(B)), |trial| trial.roster().is_active(trial.id(B))),
        (remove(number(G)), |trial| !trial.roster().is_active(trial.id(G))),
        (longer, |trial| trial.roster().policy().retention_months == 3),
        (trial.admission_of(7, Role::Coordinator), |trial| trial.roster().is_active(trial.id(7))),
        (role(G, Role::Coordinator), |trial| {
            trial.roster().role_of(trial.id(G)) == Some(Role::Coordinator)
        }),
        (role(F, Role::Reader), |trial| trial.roster().role_of(trial.id(F)) == Some(Role::Reader)),
    ]
}

#[test]
fn with_one_approval_every_change_takes_effect_at_once() {
    for at in 0..6 {
        let mut trial = seven(1);
        let (change, effective) = grave(&trial)[at].clone();
        trial.does(A, change);
        assert!(effective(&trial) && trial.waiting().is_empty());
    }
}

#[test]
fn with_more_a_grave_change_waits_until_enough_have_approved() {
    for at in 0..6 {
        let mut trial = seven(3);
        let (change, effective) = grave(&trial)[at].clone();
        let proposal = trial.does(A, change);
        assert!(!effective(&trial));
        assert_eq!(trial.waiting(), [proposal]);
        trial.approves(C, proposal);
        assert!(!effective(&trial), "two of three");
        trial.approves(D, proposal);
        assert!(effective(&trial));
        assert_eq!(trial.waiting(), []);
    }
}

#[test]
fn what_is_not_grave_takes_effect_at_once() {
    let mut trial = Trial::of_two();
    trial.does(A, set_role(number(M), Role::Reader));
    assert_eq!(trial.roster().role_of(trial.id(M)), Some(Role::Reader));
    let admission = trial.admission_of(N, Role::Reader);
    trial.does(A, admission);
    assert_eq!(trial.roster().role_of(trial.id(N)), Some(Role::Reader));
    trial.does(A, suspend(member(N)));
    trial.relocks(A);
    assert_eq!(trial.waiting(), []);
}

/// What waits changes nothing: the member goes on, and nobody need change the lock.
#[test]
fn who_may_be_removed_goes_on_until_then() {
    let mut trial = Trial::of_two();
    let removal = trial.does(A, remove(number(M)));
    trial.records(M).unwrap();
    assert!(!trial.roster().lock_pending());
    trial.approves(B, removal);
    assert!(trial.roster().lock_pending());
    assert_eq!(trial.records(M), Err(Refusal::NotActive));
}

#[test]
fn a_member_approves_nothing() {
    let mut trial = Trial::of_two();
    let removal = trial.does(A, remove(number(M)));
    assert_eq!(trial.refuses(M, Trial::bare(removal)), PeerRosterError::NotCoordinator);
    trial.approves(B, removal);
}

#[test]
fn approvals_count_members_and_not_devices() {
    let mut trial = Trial::of_two();
    trial.adds_device(A, 6);
    let removal = trial.does(A, remove(number(M)));
    assert_eq!(trial.refuses(A, Trial::bare(removal)), PeerRosterError::AlreadyApproved);
    assert_eq!(trial.refuses(6, Trial::bare(removal)), PeerRosterError::AlreadyApproved);
    assert!(trial.roster().is_active(trial.id(M)));
    trial.approves(B, removal);
}

#[test]
fn nobody_approves_twice_on_the_way() {
    let mut trial = seven(3);
    let removal = trial.does(A, remove(number(G)));
    trial.approves(C, removal);
    assert_eq!(trial.refuses(C, Trial::bare(removal)), PeerRosterError::AlreadyApproved);
    trial.approves(D, removal);
}

#[test]
fn the_target_does_not_count() {
    let mut trial = seven(2);
    // Not as an approver.
    let removal = trial.does(A, remove(number(F)));
    assert_eq!(trial.refuses(F, Trial::bare(removal)), PeerRosterError::NotForThisMember);
    trial.approves(C, removal);
    // And not as the proposer.
    let lowered = trial.does(E, set_role(number(E), Role::Member));
    assert_eq!(trial.refuses(E, Trial::bare(lowered)), PeerRosterError::NotForThisMember);
    trial.approves(A, lowered);
    assert_eq!(trial.roster().role_of(trial.id(E)), Some(Role::Coordinator));
    trial.approves(C, lowered);
    assert_eq!(trial.roster().role_of(trial.id(E)), Some(Role::Member));
}

/// Nor for a device of theirs: who lost a laptop to the police does not bring it back.
#[test]
fn the_owner_of_a_device_does_not_count_for_its_return() {
    let mut trial = Trial::of_two();
    trial.adds_device(A, 6);
    trial.does(A, suspend(trial.device(6)));
    let restoration = trial.does(A, restore(trial.device(6)));
    assert_eq!(trial.refuses(A, Trial::bare(restoration)), PeerRosterError::NotForThisMember);
    trial.approves(B, restoration);
    assert!(!trial.roster().is_active(trial.id(6)));
    trial.approves(C, restoration);
    assert!(trial.roster().is_active(trial.id(6)));
}

#[test]
fn only_what_waits_is_approved() {
    let mut trial = Trial::of_two();
    let role = trial.does(A, set_role(number(M), Role::Reader));
    assert_eq!(trial.refuses(B, Trial::bare(role)), PeerRosterError::NoSuchProposal);
    let invented = Trial::bare(Hash::of(b"nothing"));
    assert_eq!(trial.refuses(B, invented), PeerRosterError::NoSuchProposal);
    let removal = trial.does(A, remove(number(M)));
    let approval = trial.approves(B, removal);
    assert_eq!(trial.refuses(C, Trial::bare(removal)), PeerRosterError::NoSuchProposal);
    assert_eq!(trial.refuses(C, Trial::bare(approval)), PeerRosterError::NoSuchProposal);
}

#[test]
fn an_approval_comes_within_thirty_days_of_the_proposal() {
    let month = limits::PROPOSAL_DAYS_MAX * super::DAY_MILLIS;
    assert_eq!(month, 30 * 24 * 3600 * 1000);
    let mut trial = Trial::of_two();
    let proposed = UnixMillis(1_800_000_000_000);
    let removal = trial.attempt(A, remove(number(M)), Some(proposed)).unwrap();
    let late = Some(UnixMillis(proposed.0 + month + 1));
    let refused = trial.attempt(B, Trial::bare(removal), late);
    assert_eq!(refused, Err(Refusal::Change(PeerRosterError::ProposalTooOld)));
    let last = Some(UnixMillis(proposed.0 + month));
    trial.attempt(B, Trial::bare(removal), last).unwrap();
    assert!(!trial.roster().is_active(trial.id(M)));
    // A clock behind the proposer's is no reason.
    let removal = trial.attempt(A, trial.admission_of(N, Role::Coordinator), Some(proposed));
    let approval = trial.approval(removal.unwrap());
    trial.attempt(B, approval, Some(UnixMillis(0))).unwrap();
    assert!(trial.roster().is_active(trial.id(N)));
}

/// Until a suspension is decided it binds, however long that takes.
#[test]
fn a_suspension_is_decided_after_any_time() {
    let mut trial = Trial::of_two();
    let suspension = trial.attempt(A, suspend(member(B)), Some(UnixMillis(0))).unwrap();
    trial.attempt(C, Trial::bare(suspension), Some(UnixMillis(u64::MAX))).unwrap();
    assert_eq!(trial.undecided(), []);
}

/// An approval with grants for these people and a label.
fn with(trial: &Trial, entry: Hash, who: &[usize], label: bool) -> Change {
    let grants = who.iter().map(|who| grant(trial.id(*who))).collect();
    Change::Approve(Approve { entry, grants, label: label.then(|| hybrid_file().into()) })
}

#[test]
fn the_last_approval_of_an_admission_brings_the_grant_and_the_label() {
    let mut trial = Trial::of_two();
    let admission = trial.admission_of(N, Role::Coordinator);
    let proposal = trial.does(A, admission);
    let bare = with(&trial, proposal, &[], true);
    assert_eq!(trial.refuses(B, bare), PeerRosterError::Grants);
    let too_many = with(&trial, proposal, &[A, N], true);
    assert_eq!(trial.refuses(B, too_many), PeerRosterError::Grants);
    let another = with(&trial, proposal, &[7], true);
    assert_eq!(trial.refuses(B, another), PeerRosterError::Grants);
    let unlabelled = with(&trial, proposal, &[N], false);
    assert_eq!(trial.refuses(B, unlabelled), PeerRosterError::ApprovalLabel);
    let sealed = |device, file: Vec<u8>, label: Vec<u8>| {
        let grants = vec![Grant { device, file: file.into() }];
        Change::Approve(Approve { entry: proposal, grants, label: Some(label.into()) })
    };
    for (file, label, part) in
        [(hybrid_file(), record_file(), "label"), (record_file(), hybrid_file(), "grant")]
    {
        let shapeless = sealed(trial.id(N), file, label);
        let refused = trial.refuses(B, shapeless);
        assert!(matches!(refused, PeerRosterError::Sealed { part: p, .. } if p == part));
    }
    let whole = with(&trial, proposal, &[N], true);
    trial.does(B, whole);
    assert!(trial.roster().current_lock().granted().any(|device| device == trial.id(N)));
    assert_eq!(trial.roster().ungranted().count(), 0);
}

#[test]
fn an_admission_that_waits_carries_no_grant() {
    let mut trial = Trial::of_two();
    let Change::Admit(mut admit) = trial.admission_of(N, Role::Coordinator) else { unreachable!() };
    admit.grants = vec![grant(trial.id(N))];
    let granted = Change::Admit(admit.clone());
    assert_eq!(trial.refuses(A, granted), PeerRosterError::Grants);
    admit.grants.clear();
    trial.does(A, Change::Admit(admit));
    assert!(!trial.roster().holds(trial.id(N), trial.roster().epoch()));
}

#[test]
fn the_member_number_of_an_admission_is_given_when_it_takes_effect() {
    let mut trial = Trial::of_two();
    let waiting = trial.admission_of(N, Role::Coordinator);
    let proposal = trial.does(A, waiting);
    let overtakes = trial.admission_of(5, Role::Member);
    trial.does(B, overtakes);
    trial.approves(B, proposal);
    let member_of = |who: usize| trial.roster().device(trial.id(who)).map(|it| it.member);
    assert_eq!(member_of(5), Some(number(4)));
    assert_eq!(member_of(N), Some(number(5)));
    assert_eq!(trial.roster().next_member(), number(6));
}

#[test]
fn a_device_that_came_in_otherwise_is_not_admitted_by_what_waited() {
    let mut trial = Trial::of_two();
    let waiting = trial.admission_of(N, Role::Coordinator);
    let proposal = trial.does(A, waiting);
    let overtakes = trial.admission_of(N, Role::Member);
    trial.does(B, overtakes);
    let late = with(&trial, proposal, &[N], true);
    assert_eq!(trial.refuses(B, late), PeerRosterError::DeviceKnown);
    assert_eq!(trial.roster().role_of(trial.id(N)), Some(Role::Member));
}

#[test]
fn the_last_approval_of_a_restoration_grants_the_devices_that_return_and_lack_the_epoch() {
    let mut trial = Trial::of_six(2);
    trial.adds_device(B, 7);
    for target in [trial.device(7), member(B)] {
        let suspension = trial.does(A, suspend(target));
        trial.approves(C, suspension);
        trial.approves(D, suspension);
    }
    trial.relocks(A);
    let proposal = trial.does(C, restore(member(B)));
    let none = with(&trial, proposal, &[], false);
    assert_eq!(trial.refuses(D, none), PeerRosterError::Grants);
    // The device that stays suspended is granted nothing.
    let mut both = [B, 7];
    both.sort_by_key(|who| trial.id(*who));
    let both = with(&trial, proposal, &both, false);
    assert_eq!(trial.refuses(D, both), PeerRosterError::Grants);
    let labelled = with(&trial, proposal, &[B], true);
    assert_eq!(trial.refuses(D, labelled), PeerRosterError::ApprovalLabel);
    let exact = with(&trial, proposal, &[B], false);
    trial.does(D, exact);
    assert!(trial.roster().holds(trial.id(B), trial.roster().epoch()));
    assert!(!trial.roster().lock_pending());
}

#[test]
fn who_still_holds_the_epoch_is_granted_nothing_on_return() {
    let mut trial = seven(2);
    let proposal = trial.does(A, restore(member(B)));
    let needless = with(&trial, proposal, &[B], false);
    assert_eq!(trial.refuses(C, needless), PeerRosterError::Grants);
    let bare = with(&trial, proposal, &[], false);
    trial.does(C, bare);
    trial.records(B).unwrap();
}

/// Who was active and lacked the epoch is repaired by `grant`, and is no part of others' return.
#[test]
fn an_approval_grants_nobody_who_was_active_before() {
    let mut trial = seven(1);
    trial.relocks(A);
    trial.does(A, restore(member(B)));
    trial.does(A, suspend(member(G)));
    trial.relocks(A);
    // B holds epoch 3 by the lock; another device of B's comes in without a grant.
    trial.adds_device(B, 7);
    let id = trial.id(7);
    trial.world.committee.roster_mut().locks.last_mut().unwrap().granted.remove(&id);
    trial.does(A, set_approvals(2));
    let proposal = trial.does(A, restore(member(G)));
    let both = with(&trial, proposal, &[G, 7], false);
    assert_eq!(trial.refuses(C, both), PeerRosterError::Grants);
    let exact = with(&trial, proposal, &[G], false);
    trial.does(C, exact);
    assert_eq!(trial.roster().ungranted().collect::<Vec<_>>(), [id]);
}

#[test]
fn an_approval_that_completes_nothing_carries_nothing() {
    let mut trial = seven(3);
    trial.relocks(A);
    for change in [restore(member(B)), trial.admission_of(7, Role::Coordinator)] {
        let proposal = trial.does(A, change);
        let early = with(&trial, proposal, &[B], false);
        assert_eq!(trial.refuses(C, early), PeerRosterError::Grants);
        let labelled = with(&trial, proposal, &[], true);
        assert_eq!(trial.refuses(C, labelled), PeerRosterError::ApprovalLabel);
        trial.does(C, Trial::bare(proposal));
    }
    let suspension = trial.does(A, suspend(member(F)));
    let granting = with(&trial, suspension, &[C], false);
    assert_eq!(trial.refuses(C, granting), PeerRosterError::Grants);
    let labelled = with(&trial, suspension, &[], true);
    assert_eq!(trial.refuses(C, labelled), PeerRosterError::ApprovalLabel);
    trial.approves(C, suspension);
}

#[test]
fn what_could_not_take_effect_is_not_proposed() {
    let mut trial = Trial::of_two();
    assert_eq!(trial.refuses(A, restore(member(M))), PeerRosterError::NotSuspended);
    assert_eq!(trial.refuses(A, remove(number(7))), PeerRosterError::NoSuchMember);
    assert_eq!(trial.refuses(A, set_approvals(2)), PeerRosterError::NothingChanges);
    let coordinator = set_role(number(B), Role::Coordinator);
    assert_eq!(trial.refuses(A, coordinator), PeerRosterError::NothingChanges);
    let known = trial.admission_of(M, Role::Coordinator);
    assert_eq!(trial.refuses(A, known), PeerRosterError::DeviceKnown);
    assert_eq!(trial.waiting(), []);
}

#[test]
fn one_member_has_sixteen_proposals_waiting_and_one_more_drops_the_oldest() {
    let mut trial = Trial::of_two();
    let others = trial.does(B, remove(number(M)));
    let mut mine: Vec<Hash> = Vec::new();
    for _ in 0..limits::PROPOSALS_MAX {
        mine.push(trial.does(A, remove(number(M))));
    }
    let waiting = |trial: &Trial| trial.waiting();
    assert_eq!(waiting(&trial), [vec![others], mine.clone()].concat());
    mine.push(trial.does(A, remove(number(M))));
    assert_eq!(waiting(&trial), [vec![others], mine[1..].to_vec()].concat());
    assert_eq!(trial.refuses(C, Trial::bare(mine[0])), PeerRosterError::NoSuchProposal);
    trial.approves(C, others);
}

#[test]
fn what_is_missing_is_told() {
    let mut trial = seven(3);
    let proposal = trial.does(A, remove(number(G)));
    let missing = |trial: &Trial| {
        trial.roster().proposal(proposal).map(|it| trial.roster().missing_approvals(it))
    };
    assert_eq!(missing(&trial), Some(2));
    trial.approves(C, proposal);
    assert_eq!(missing(&trial), Some(1));
    trial.approves(D, proposal);
    assert_eq!(missing(&trial), None);
}
