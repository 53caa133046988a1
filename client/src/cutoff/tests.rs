use sealpost_protocol::change::Role;
use sealpost_protocol::id::LeafIndex;
use sealpost_protocol::tree::Proof;

use super::*;
use crate::changes::{Intent, Whom};
use crate::village::{MemoryRelay, Person};

/// isla suspended baran, and wrote on. What an honest relay shows him, and him.
fn scene() -> (MemoryRelay, Person, NotActive) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    isla.writes("under the new lock");
    isla.sends_all(&mut relay);
    let shown = relay.not_active(LeafIndex(2));
    (relay, baran, shown)
}

fn told_of(baran: &mut Person, shown: &NotActive) -> FollowError {
    let known = baran.log().known;
    told(&mut baran.app, &known, shown)
}

fn lie(error: FollowError) -> Lie {
    match error {
        FollowError::Caught(caught) => caught.lie,
        FollowError::Failed(failure) => panic!("no lie: {failure:?}"),
    }
}

#[test]
fn who_was_cut_off_is_told_by_whom_and_the_relay_is_bound_to_it() {
    let (relay, mut baran, shown) = scene();
    let FollowError::Failed(failure) = told_of(&mut baran, &shown) else { panic!("a lie?") };
    assert_eq!(failure.kind, Error::NotAllowed);
    assert!(failure.what.contains("suspended") && failure.what.contains("by isla, entry 2"));
    let ahead = baran.app.vault.read(|vault| vault.ahead(baran.no)).expect("read");
    assert_eq!(ahead.len(), 1);
    assert_eq!(usize::try_from(ahead[0].size.0), Ok(relay.entries.len()));
}

#[test]
fn a_cut_off_that_is_not_in_the_log_is_a_lie() {
    let (_, mut baran, shown) = scene();
    let moved = NotActive { index: LeafIndex(1), ..shown.clone() };
    assert!(matches!(lie(told_of(&mut baran, &moved)), Lie::CutOffProof(_)));
    let unproven = NotActive { proof: Proof::default(), ..shown };
    assert!(matches!(lie(told_of(&mut baran, &unproven)), Lie::CutOffProof(_)));
}

#[test]
fn another_entry_than_a_cut_off_is_a_lie() {
    let (relay, mut baran, _) = scene();
    // His own admission, and a record.
    for index in [LeafIndex(1), LeafIndex(4)] {
        let shown = relay.not_active(index);
        assert!(matches!(lie(told_of(&mut baran, &shown)), Lie::CutOffEntry), "{index}");
    }
}

#[test]
fn a_cut_off_under_another_relays_note_is_a_lie() {
    let (_, mut baran, shown) = scene();
    let other = MemoryRelay::new(10);
    let note = other.note_for(&shown);
    let forged = NotActive { checkpoint: note, ..shown };
    assert!(matches!(lie(told_of(&mut baran, &forged)), Lie::Note(_)));
}

#[test]
fn somebody_elses_suspension_cuts_nobody_off() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    mira.follows(&relay).expect("let in");
    assert_eq!(role(&mira), Some(Role::Member));
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    let shown = relay.not_active(LeafIndex(3));
    assert!(matches!(told_of(&mut baran, &shown), FollowError::Failed(_)));
    assert!(matches!(lie(told_of(&mut mira, &shown)), Lie::CutOffEntry));
}

fn role(person: &Person) -> Option<Role> {
    let log = person.log();
    log.pulled().expect("pulled").roster().role_of(person.app.device.device_id())
}
