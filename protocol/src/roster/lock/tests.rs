use crate::change::Change;
use crate::committee::Refusal;
use crate::id::Epoch;
use crate::roster::PeerRosterError;
use crate::roster::trial::{A, M, Trial, member, number};
use crate::world::{lock, next_lock, remove, restore, suspend};

#[test]
fn a_lock_is_due_while_a_device_that_is_not_active_holds_the_epoch() {
    let mut trial = Trial::of_one();
    assert!(!trial.roster().lock_pending());
    trial.does(A, suspend(member(M)));
    assert!(trial.roster().lock_pending());
    assert_eq!(trial.records(A), Err(Refusal::LockPending));
    // Who comes back before the lock was changed reads on, as if nothing had been.
    trial.does(A, restore(member(M)));
    assert!(!trial.roster().lock_pending());
    trial.does(A, remove(number(M)));
    trial.relocks(A);
    assert!(!trial.roster().lock_pending());
    trial.records(A).unwrap();
}

#[test]
fn who_is_no_coordinator_changes_a_lock_that_is_due_and_withholds_no_history() {
    let mut trial = Trial::of_one();
    let early = next_lock(trial.roster());
    assert_eq!(trial.refuses(M, early), PeerRosterError::NotCoordinator);
    trial.does(A, suspend(member(1)));
    let devices: Vec<_> = trial.roster().active_devices().collect();
    let bare = || Change::Lock(Box::new(lock(201, &devices, false)));
    assert_eq!(trial.refuses(M, bare()), PeerRosterError::LinkMissing);
    let linked = next_lock(trial.roster());
    trial.does(M, linked);
    assert_eq!(trial.roster().epoch(), Epoch(2));
    // To withhold is for coordinators to decide, due or not.
    let mut trial = Trial::of_one();
    let devices: Vec<_> = trial.roster().active_devices().collect();
    trial.does(A, Change::Lock(Box::new(lock(201, &devices, false))));
    assert!(!trial.roster().current_lock().linked);
}

/// With one approval a restoration carries nothing; who returns is granted the epoch by a repair.
#[test]
fn who_returned_after_a_lock_is_granted_the_epoch_by_a_repair() {
    let mut trial = Trial::of_one();
    trial.does(A, suspend(member(M)));
    trial.relocks(A);
    trial.does(A, restore(member(M)));
    assert_eq!(trial.roster().ungranted().collect::<Vec<_>>(), [trial.id(M)]);
    let (device, file) = (trial.id(M), crate::world::hybrid_file().into());
    let repair = crate::change::RepairGrant { device, epoch: Epoch(2), file };
    trial.does(A, Change::Grant(repair));
    assert_eq!(trial.roster().ungranted().count(), 0);
    let granted: Vec<_> = trial.roster().current_lock().granted().collect();
    assert_eq!(granted, trial.roster().active_devices().collect::<Vec<_>>());
}
