//! What a coordinator who misbehaves seals wrongly is named by all, and can be repaired.

use sealpost_protocol::change::{Lock, RepairGrant, RepairLink};
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::id::UnixMillis;
use sealpost_protocol::seal::seal_grant;

use super::*;
use crate::app::App;
use crate::changes::build::{Maker, build};
use crate::changes::{Intent, RoleName};
use crate::clock::Clock;
use crate::names;
use crate::village::{MemoryRelay, Person, scene};

/// Runs `work` with the keys of the present lock.
fn with_keys<T>(person: &Person, work: impl FnOnce(&Fold, &EpochKeys) -> T) -> T {
    let log = person.log();
    let fold = log.pulled().expect("pulled");
    let App { vault, device, .. } = &person.app;
    let mut keys = Keys::new(device, person.no, fold);
    let epoch = fold.roster().epoch();
    let held =
        vault.read(|vault| keys.of(vault, epoch).map(|held| held.map(|keys| work(fold, keys))));
    held.expect("readable").expect("held")
}

/// A new lock as `person` would make it.
fn lock_by(person: &Person) -> Lock {
    let log = person.log();
    let label = names::label(&log.known).expect("reads").expect("is there");
    let fold = log.pulled().expect("pulled");
    let App { vault, device, .. } = &person.app;
    let mut keys = Keys::new(device, person.no, fold);
    let made = vault.read(|vault| {
        let (no, label) = (person.no, Some(&label));
        build(
            &Intent::LOCK,
            &mut Maker { vault, no, fold, keys: &mut keys, label, now: UnixMillis(1) },
        )
    });
    match made.expect("built") {
        Change::Lock(lock) => *lock,
        other => panic!("no lock: {other:?}"),
    }
}

#[test]
fn a_grant_that_does_not_open_is_named_and_its_repair_opens_what_came_meanwhile() {
    let (mut relay, mut isla, mut baran) = scene();
    let mut lock = lock_by(&isla);
    let own = isla.app.device.device_id();
    let of_isla = lock.grants.iter().find(|grant| grant.device == own).expect("hers").file.clone();
    let of_baran = lock.grants.iter_mut().find(|grant| grant.device != own).expect("his");
    of_baran.file = of_isla;
    isla.posts(&mut relay, &Change::Lock(Box::new(lock)));
    isla.writes("under lock 2");
    isla.sends(&mut relay).expect("sent");
    let brought = baran.follows(&relay).expect("followed");
    assert!(brought.faults[0].contains("grant of lock 2"), "{:?}", brought.faults);
    let rows = baran.reads();
    assert_eq!(rows[0].0, "unopened");
    assert!(rows[0].1.contains("no key for lock 2"), "{}", rows[0].1);
    Person::joins("mira", &mut isla, &mut relay);
    baran.follows(&relay).expect("followed");
    assert!(!knows(&baran, "mira"), "her name is under lock 2");

    let device = baran.app.device.device_id();
    let recipient = baran.app.device.hybrid().recipient();
    let file = with_keys(&isla, |_, keys| seal_grant(keys.secret(), &recipient));
    let repair = RepairGrant { device, epoch: Epoch(2), file: file.into() };
    isla.posts(&mut relay, &Change::Grant(repair));
    let brought = baran.follows(&relay).expect("followed");
    assert!(brought.faults.is_empty(), "{:?}", brought.faults);
    assert_eq!(baran.reads(), [("accepted".to_owned(), "under lock 2".to_owned())]);
    assert!(knows(&baran, "mira"));
}

fn knows(person: &Person, handle: &str) -> bool {
    let label = names::label(&person.log().known).expect("reads").expect("is there");
    label.members.values().any(|member| member.handle == handle)
}

#[test]
fn a_grant_of_another_secret_than_the_locks_is_not_taken() {
    let (mut relay, mut isla, mut baran) = scene();
    let mut lock = lock_by(&isla);
    let own = isla.app.device.device_id();
    let recipient: Recipient = baran.app.device.hybrid().recipient();
    let of_baran = lock.grants.iter_mut().find(|grant| grant.device != own).expect("his");
    of_baran.file = with_keys(&isla, |_, keys| seal_grant(keys.secret(), &recipient)).into();
    isla.posts(&mut relay, &Change::Lock(Box::new(lock)));
    let brought = baran.follows(&relay).expect("followed");
    assert!(brought.faults[0].contains("not that of the lock"), "{:?}", brought.faults);
    let held = baran.app.vault.read(|vault| vault.epochs_held(baran.no)).expect("read");
    assert_eq!(held, [Epoch(1)]);
}

#[test]
fn a_link_that_leads_nowhere_is_named_by_every_holder_and_its_repair_leads_back() {
    let (mut relay, mut isla, mut baran) = scene();
    isla.writes("under lock 1");
    isla.sends(&mut relay).expect("sent");
    let first = with_keys(&isla, |_, keys| EpochSecret::generate(keys.secret().identity().seed()));
    let stranger = EpochKeys::new(EpochSecret::generate(&[7; 32]));
    let mut lock = lock_by(&isla);
    lock.link = Some(stranger.seal_link(stranger.secret()).into());
    isla.posts(&mut relay, &Change::Lock(Box::new(lock)));
    let brought = baran.follows(&relay).expect("followed");
    assert!(brought.faults[0].contains("link of lock 1"), "{:?}", brought.faults);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    assert_eq!(mira.reads()[0].0, "unopened");

    let file = with_keys(&isla, |_, keys| keys.seal_link(&first));
    let repair = RepairLink { epoch: Epoch(2), file: file.into() };
    isla.posts(&mut relay, &Change::Link(repair));
    mira.follows(&relay).expect("followed");
    assert_eq!(mira.reads(), [("accepted".to_owned(), "under lock 1".to_owned())]);
}

/// Isla, who founded, and Olga coordinate; Baran is a member. Isla makes a lock whose link is broken.
fn broken_link() -> (MemoryRelay, [Person; 3]) {
    let (mut relay, mut isla, baran) = scene();
    let mut olga = Person::joins("olga", &mut isla, &mut relay);
    olga.follows(&relay).expect("let in");
    let (member, role) = (olga.number(), RoleName::Coordinator);
    isla.wants(&Intent::Role { member, role });
    isla.writes("under lock 1");
    isla.sends_all(&mut relay);
    let mut lock = lock_by(&isla);
    lock.link = Some(garbage().into());
    isla.posts(&mut relay, &Change::Lock(Box::new(lock)));
    (relay, [isla, olga, baran])
}

fn garbage() -> Vec<u8> {
    let stranger = EpochKeys::new(EpochSecret::generate(&[7; 32]));
    stranger.seal_link(stranger.secret())
}

fn later(person: &mut Person, millis: u64) {
    person.app.clock = Clock::Stopped(UnixMillis(person.app.clock.now().0 + millis));
}

#[test]
fn a_broken_link_is_repaired_once_by_a_coordinator_who_did_not_make_it() {
    let (mut relay, [mut isla, mut olga, mut baran]) = broken_link();
    let mut tomas = Person::joins("tomas", &mut isla, &mut relay);
    tomas.follows(&relay).expect("let in");
    assert!(isla.prepares().is_empty(), "who broke it is not asked to mend it");
    baran.follows(&relay).expect("followed");
    assert!(baran.prepares().is_empty(), "there is a coordinator for it");
    olga.follows(&relay).expect("followed");
    assert_eq!(olga.prepares().len(), 1);
    olga.sends_all(&mut relay);
    // Whoever comes to it together with its repair leaves it at that, and who had begun too.
    later(&mut baran, 25 * 60 * 60 * 1000);
    assert_eq!(baran.prepares().len(), 1);
    baran.follows(&relay).expect("followed");
    assert!(baran.prepares().is_empty());
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    assert_eq!(mira.reads(), [("accepted".to_owned(), "under lock 1".to_owned())]);
}

#[test]
fn a_broken_link_that_coordinators_leave_for_a_day_is_repaired_by_whoever_can() {
    let (mut relay, [_, _, mut baran]) = broken_link();
    baran.follows(&relay).expect("followed");
    assert!(baran.prepares().is_empty());
    later(&mut baran, 25 * 60 * 60 * 1000);
    assert_eq!(baran.prepares().len(), 1);
    baran.sends_all(&mut relay);
    assert!(baran.prepares().is_empty());
}

#[test]
fn a_repair_that_leads_nowhere_is_named_and_mends_nothing() {
    let (mut relay, [mut isla, mut olga, mut baran]) = broken_link();
    let broken = || Change::Link(RepairLink { epoch: Epoch(2), file: garbage().into() });
    olga.follows(&relay).expect("followed");
    isla.posts(&mut relay, &broken());
    let brought = olga.follows(&relay).expect("followed");
    assert!(brought.faults[0].contains("link of lock 1"), "{:?}", brought.faults);
    olga.sends_all(&mut relay);
    // Where a link leads back, another that does not is only named.
    isla.posts(&mut relay, &broken());
    let brought = baran.follows(&relay).expect("followed");
    assert_eq!(brought.faults.len(), 3, "{:?}", brought.faults);
    later(&mut baran, 25 * 60 * 60 * 1000);
    olga.follows(&relay).expect("followed");
    assert!(olga.prepares().is_empty() && baran.prepares().is_empty());
}

#[test]
fn a_link_is_not_mended_by_who_lacks_what_it_leads_to() {
    let (mut relay, [mut isla, ..]) = broken_link();
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    let broken = RepairLink { epoch: Epoch(2), file: garbage().into() };
    isla.posts(&mut relay, &Change::Link(broken));
    let brought = mira.follows(&relay).expect("followed");
    assert!(brought.faults[0].contains("link of lock 1"), "{:?}", brought.faults);
    later(&mut mira, 25 * 60 * 60 * 1000);
    assert!(mira.prepares().is_empty());
}
