use sealpost_protocol::change::Role;
use sealpost_protocol::entry::Entry;
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

/// What a relay shows that put an entry into the log behind its own rules.
fn shown_behind_the_rules(relay: &MemoryRelay, entry: Vec<u8>) -> NotActive {
    let entries: Vec<Vec<u8>> = relay.entries.iter().cloned().chain([entry.clone()]).collect();
    let mut frontier = tree::Frontier::new();
    let leaf = |bytes: &Vec<u8>| UnverifiedEntry::decode(bytes).expect("an entry").leaf();
    let nodes: Vec<_> = entries.iter().flat_map(|bytes| frontier.append(leaf(bytes))).collect();
    let index = LeafIndex(entries.len() as u64 - 1);
    let proof = tree::inclusion_proof(index, frontier.size(), nodes.as_slice()).expect("in it");
    NotActive { entry: entry.into(), index, proof, checkpoint: relay.note_over(&entries) }
}

#[test]
fn a_cut_off_in_anothers_name_or_of_another_committee_is_a_lie() {
    let (relay, mut baran, shown) = scene();
    let honest = UnverifiedEntry::decode(&shown.entry).expect("an entry");
    let payload = honest.payload().expect("it is there").to_vec();
    let stranger = crate::vault::Secrets::generate().expect("randomness").device;
    let forged = Entry::sign(honest.header().clone(), payload.clone(), stranger.signing_key());
    let forged = shown_behind_the_rules(&relay, forged.encode());
    assert!(matches!(lie(told_of(&mut baran, &forged)), Lie::CutOffEntry));
    let mut elsewhere = honest.header().clone();
    elsewhere.committee.0 = sealpost_protocol::hash::Hash::of(b"another committee");
    elsewhere.author = stranger.device_id();
    let moved = Entry::sign(elsewhere, payload, stranger.signing_key());
    let moved = shown_behind_the_rules(&relay, moved.encode());
    assert!(matches!(lie(told_of(&mut baran, &moved)), Lie::CutOffEntry));
}

#[test]
fn an_approval_of_somebody_elses_removal_cuts_nobody_off() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut others = ["olga", "tomas", "baran", "mira"].map(|handle| {
        let mut person = Person::joins(handle, &mut isla, &mut relay);
        person.follows(&relay).expect("let in");
        person
    });
    for other in &others[..2] {
        let (member, role) = (other.number(), crate::changes::RoleName::Coordinator);
        isla.wants(&Intent::Role { member, role });
    }
    let parts = crate::changes::PolicyParts { approvals: Some(2), ..Default::default() };
    isla.wants(&Intent::Policy(parts));
    isla.wants(&Intent::Remove { member: others[2].number() });
    isla.sends_all(&mut relay);
    for person in &mut others {
        person.follows(&relay).expect("followed");
    }
    let [mut olga, _, mut baran, mut mira] = others;
    let log = olga.log();
    let (leaf, _) = log.pulled().expect("pulled").roster().proposals().next().expect("it waits");
    olga.wants(&Intent::Approve { entry: leaf.to_string() });
    relay.append(&olga.prepares()[0]).expect("no rule forbids it");
    let shown = relay.not_active(LeafIndex(relay.entries.len() as u64 - 1));
    let FollowError::Failed(failure) = told_of(&mut baran, &shown) else { panic!("a lie?") };
    assert!(failure.what.contains("removed"), "{}", failure.what);
    assert!(matches!(lie(told_of(&mut mira, &shown)), Lie::CutOffEntry));
}

#[test]
fn a_cut_off_from_before_the_return_is_a_lie() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let whom = Whom::Member(baran.number());
    isla.wants(&Intent::Suspend { whom: whom.clone() });
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Restore { whom });
    isla.sends_all(&mut relay);
    let shown = relay.not_active(LeafIndex(2));
    // As long as the return was not shown, it may be true.
    assert!(matches!(told_of(&mut baran, &shown), FollowError::Failed(_)));
    baran.follows(&relay).expect("served again");
    assert!(matches!(lie(told_of(&mut baran, &shown)), Lie::CutOffOver));
}
