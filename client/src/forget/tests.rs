use sealpost_protocol::id::TreeSize;

use super::*;
use crate::catalog::list;
use crate::village::{MemoryRelay, Person};

fn leaf_of(relay: &MemoryRelay, index: LeafIndex) -> String {
    let bytes = &relay.pulled(TreeSize(index.0)).entries[0];
    UnverifiedEntry::decode(bytes).expect("an entry").leaf().to_string()
}

/// Isla has founded, let Baran in and written two notes; the place of the first.
fn scene() -> (MemoryRelay, Person, Person, LeafIndex) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    let first = LeafIndex(isla.size().0);
    for text in ["one", "two"] {
        isla.writes(text);
    }
    isla.sends(&mut relay).expect("sent");
    baran.follows(&relay).expect("followed");
    (relay, isla, baran, first)
}

fn texts(person: &Person) -> Vec<String> {
    let opened = list(&person.app, None).expect("listed");
    let opened = opened.into_iter().zip(person.reads());
    opened.filter(|(row, _)| row.state == "accepted").map(|(_, (_, text))| text).collect()
}

fn states(person: &Person) -> Vec<&'static str> {
    list(&person.app, None).expect("listed").into_iter().map(|row| row.state).collect()
}

#[test]
fn what_the_log_forgets_is_gone_here_and_its_place_stays() {
    let (mut relay, mut isla, mut baran, first) = scene();
    let leaf = leaf_of(&relay, first);
    isla.wants(&Intent::Forget { index: first.0, leaf });
    isla.sends(&mut relay).expect("sent");
    baran.follows(&relay).expect("followed");
    for person in [&isla, &baran] {
        assert_eq!(texts(person), ["two"]);
        assert_eq!(states(person), ["forgotten", "accepted"]);
        let (no, vault) = (person.no, &person.app.vault);
        assert!(vault.read(|vault| is_forgotten(vault, no, first)).expect("read"));
        assert_eq!(person.size(), TreeSize(relay.pulled(TreeSize(0)).entries.len() as u64));
    }
    // Wanted once more it is done already.
    isla.wants(&Intent::Forget { index: first.0, leaf: leaf_of(&relay, first) });
    assert!(isla.prepares().is_empty());
}

#[test]
fn who_follows_later_is_shown_the_log_without_it() {
    let (mut relay, mut isla, baran, first) = scene();
    let copy = baran.copies();
    isla.wants(&Intent::Forget { index: first.0, leaf: leaf_of(&relay, first) });
    isla.sends(&mut relay).expect("sent");
    relay.drops(first);
    let mut newcomer = Person::joins("carol", &mut isla, &mut relay);
    newcomer.follows(&relay).expect("the log verifies");
    assert_eq!(texts(&newcomer), ["two"]);
    assert_eq!(states(&newcomer), ["forgotten", "accepted"]);
    // Nor is somebody told otherwise who had it before.
    let mut baran = baran.puts_back(&copy);
    baran.follows(&relay).expect("the log verifies");
    assert_eq!(texts(&baran), ["two"]);
}

#[test]
fn a_fold_made_again_from_the_entries_knows_what_was_forgotten() {
    let (mut relay, mut isla, mut baran, first) = scene();
    isla.wants(&Intent::Forget { index: first.0, leaf: leaf_of(&relay, first) });
    isla.sends(&mut relay).expect("sent");
    baran.follows(&relay).expect("followed");
    let no = baran.no;
    let position = baran.app.vault.read(|vault| vault.position(no)).expect("read").expect("one");
    let older = crate::vault::committees::Position { fold: vec![0x80], ..position };
    baran.app.vault.write(|vault| vault.set_position(no, &older)).expect("written");
    let log = baran.log();
    assert_eq!(log.pulled().expect("folded again").lacking().count(), 0);
}
