use super::*;
use crate::changes::{Intent, Whom};
use crate::persons;
use crate::village::{MemoryRelay, Person};

fn exposed(person: &Person, handle: &str) -> Exposure {
    let read = |vault: &Read<'_>| {
        let memberships = persons::everywhere(vault, handle, None)?;
        of(vault, &Wanted { memberships, device: None })
    };
    person.app.vault.read(read).expect("told")
}

#[test]
fn what_came_before_the_cut_off_is_open_to_them_and_nothing_after() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    mira.follows(&relay).expect("let in");
    for text in ["one", "two"] {
        mira.writes(text);
    }
    mira.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    isla.writes("hers");
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    isla.writes("after");
    isla.sends_all(&mut relay);

    let exposure = exposed(&isla, "baran");
    let [device] = exposure.devices.as_slice() else { panic!("one device: {exposure:?}") };
    assert_eq!((device.locks.as_slice(), device.records), ([1].as_slice(), 3));
    assert_eq!((device.delivered, device.seen_at.as_ref()), (0, None), "he never vouched");
    assert!(device.cut_off.is_some());
    let authors: Vec<(&str, usize)> =
        exposure.authors.iter().map(|one| (one.name.as_str(), one.records)).collect();
    assert_eq!(authors, [("mira", 2), ("isla", 1)], "most records first");
    assert!(exposure.words().contains("cannot be taken back"));
}

#[test]
fn what_they_wrote_themselves_warns_nobody() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    baran.writes("his own");
    baran.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    let exposure = exposed(&isla, "baran");
    assert_eq!((exposure.devices[0].records, exposure.authors.len()), (1, 0));
}

#[test]
fn persons_are_found_by_ref_wherever_they_stand_and_nothing_else_is() {
    let person = Ref::new("P", b"somebody").to_string();
    let note = Ref::new("N", b"a note").to_string();
    let json =
        serde_json::json!({ "about": [person, note], "text": "P-4K7Q", "deep": { "p": person } });
    let mut found = Vec::new();
    collect(&json, &mut found);
    assert_eq!(found, [person.clone(), person]);
}

#[test]
fn a_long_list_is_cut_to_those_who_come_up_most() {
    let counted = (0..NAMED_MAX + 3).map(|n| (format!("{n:02}"), n)).collect();
    let (named, more) = most(counted);
    assert_eq!((named.len(), more), (NAMED_MAX, 3));
    assert_eq!((named[0].name.as_str(), named[0].records), ("12", 12));
}
