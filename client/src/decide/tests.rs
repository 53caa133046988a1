use super::*;
use crate::changes::{PolicyParts, RoleName, Whom};
use crate::village::{MemoryRelay, Person};

/// Three coordinators of whom two must agree, and baran.
fn scene() -> (MemoryRelay, Person, [Person; 3]) {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, mut others) = crate::village::three_coordinators(&mut relay);
    let parts = PolicyParts { approvals: Some(2), ..PolicyParts::default() };
    isla.wants(&Intent::Policy(parts));
    isla.sends_all(&mut relay);
    for other in &mut others {
        other.follows(&relay).expect("followed");
    }
    (relay, isla, others)
}

fn is_so(before: &Before, wanted: &Intent, person: &Person) -> bool {
    let log = person.log();
    before.is_so(wanted, log.pulled().expect("pulled")).expect("told")
}

fn before(person: &Person, wanted: &Intent) -> (Before, Change) {
    let change = rehearse(&person.app, person.no, wanted).expect("allowed");
    (Before::of(&person.app, person.no, &change).expect("read"), change)
}

fn waits(person: &Person, wanted: &Intent, change: &Change) -> Option<usize> {
    let log = person.log();
    let roster = log.pulled().expect("pulled").roster();
    still_waits(&person.app, roster, wanted, change).map(|(_, missing)| missing)
}

#[test]
fn a_proposal_that_became_void_is_not_in_force_for_waiting_no_more() {
    let (mut relay, mut isla, [olga, _, baran]) = scene();
    let wanted = Intent::Remove { member: baran.number() };
    let (before, change) = before(&isla, &wanted);
    isla.wants(&wanted);
    isla.sends_all(&mut relay);
    assert_eq!(waits(&isla, &wanted, &change), Some(1));
    isla.wants(&Intent::Suspend { whom: Whom::Member(olga.number()) });
    isla.sends_all(&mut relay);
    assert_eq!(waits(&isla, &wanted, &change), None);
    assert!(!is_so(&before, &wanted, &isla));
    let outcome = settled(&isla.app, isla.no, &wanted, &change, &before).expect("judged");
    assert!(matches!(outcome, Outcome::Overtaken), "{outcome:?}");
}

#[test]
fn an_end_is_in_force_and_its_lock_due_until_that_is_changed() {
    let (mut relay, mut isla, [_, _, baran]) = scene();
    let wanted = Intent::Suspend { whom: Whom::Member(baran.number()) };
    let (before, change) = before(&isla, &wanted);
    isla.wants(&wanted);
    let outcome = |isla: &Person| settled(&isla.app, isla.no, &wanted, &change, &before);
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    isla.follows(&relay).expect("followed");
    assert!(matches!(outcome(&isla).expect("judged"), Outcome::LockDue));
    isla.sends_all(&mut relay);
    assert!(matches!(outcome(&isla).expect("judged"), Outcome::InForce));
}

#[test]
fn an_approval_is_in_force_when_what_it_approved_is() {
    let (mut relay, mut isla, [mut olga, mut tomas, baran]) = scene();
    isla.wants(&Intent::Remove { member: baran.number() });
    isla.sends_all(&mut relay);
    for other in [&mut olga, &mut tomas] {
        other.follows(&relay).expect("followed");
    }
    let log = olga.log();
    let (leaf, _) = log.pulled().expect("pulled").roster().proposals().next().expect("it waits");
    let wanted = Intent::Approve { entry: leaf.to_string() };
    let (before, change) = before(&olga, &wanted);
    assert!(!is_so(&before, &wanted, &olga), "not before it is approved");
    olga.wants(&wanted);
    olga.sends_all(&mut relay);
    assert_eq!(waits(&olga, &wanted, &change), None);
    assert!(is_so(&before, &wanted, &olga));
}

#[test]
fn a_lock_is_in_force_once_the_epoch_is_another() {
    let (mut relay, mut isla, _) = scene();
    let (before, _) = before(&isla, &Intent::LOCK);
    assert!(!is_so(&before, &Intent::LOCK, &isla));
    isla.locks();
    isla.sends_all(&mut relay);
    assert!(is_so(&before, &Intent::LOCK, &isla));
}

#[test]
fn a_policy_waits_as_itself_though_another_part_became_another() {
    let (mut relay, mut isla, _) = scene();
    let days =
        |days| Intent::Policy(PolicyParts { lease_days: Some(days), ..PolicyParts::default() });
    let (_, stale) = before(&isla, &days(9));
    let confirm =
        PolicyParts { lease_days: Some(9), confirm_devices: Some(2), ..PolicyParts::default() };
    isla.wants(&Intent::Policy(confirm));
    isla.sends_all(&mut relay);
    assert_eq!(waits(&isla, &days(9), &stale), Some(1));
    assert_eq!(waits(&isla, &days(8), &stale), None);
}

#[test]
fn a_suspension_that_still_lacks_deciders_waits() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [olga, tomas, mut baran]) = crate::village::three_coordinators(&mut relay);
    let (member, role) = (baran.number(), RoleName::Coordinator);
    isla.wants(&Intent::Role { member, role });
    isla.wants(&Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() }));
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Suspend { whom: Whom::Member(tomas.number()) });
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    let log = baran.log();
    let (leaf, _) = log.pulled().expect("pulled").roster().undecided().next().expect("undecided");
    let wanted = Intent::Approve { entry: leaf.to_string() };
    let (_, change) = before(&baran, &wanted);
    baran.wants(&wanted);
    baran.sends_all(&mut relay);
    assert_eq!(waits(&baran, &wanted, &change), Some(1), "{} decides too", olga.number());
}
