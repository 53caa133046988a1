use sealpost_protocol::id::{Epoch, TreeSize};

use super::*;
use crate::changes::{Intent, Whom};
use crate::village::{MemoryRelay, Person, scene};

fn write(person: &mut Person, relay: &mut MemoryRelay, text: &str) -> Record {
    person.writes(text);
    person.sends_all(relay);
    let records = person.app.vault.read(|vault| vault.records(person.no)).expect("read");
    records.last().expect("it is in the log").clone()
}

fn who(person: &Person, record: &Record, on: Option<UnixMillis>) -> Result<Who, Failure> {
    person.app.vault.read(|vault| can_open(vault, record.clone(), on))
}

/// Handle, whether granted, whether served, whether cut off.
fn rows(who: &Who) -> Vec<(&str, bool, bool, bool)> {
    let mut rows: Vec<_> = who
        .readers
        .iter()
        .map(|one| (one.handle.as_str(), one.granted, one.served, one.cut_off.is_some()))
        .collect();
    rows.sort_unstable();
    rows
}

#[test]
fn who_holds_the_lock_could_open_it_and_who_comes_later_through_links() {
    let (mut relay, mut isla, _) = scene();
    let first = write(&mut isla, &mut relay, "under lock 1");
    isla.locks();
    isla.sends_all(&mut relay);
    let second = write(&mut isla, &mut relay, "under lock 2");
    Person::joins("mira", &mut isla, &mut relay);
    isla.follows(&relay).expect("followed");
    let of_first = who(&isla, &first, None).expect("answered");
    let expected =
        [("baran", true, true, false), ("isla", true, true, false), ("mira", false, true, false)];
    assert_eq!(rows(&of_first), expected);
    let of_second = who(&isla, &second, None).expect("answered");
    assert!(rows(&of_second).iter().all(|(_, granted, ..)| *granted));
    // mira came in with the entry after the record under lock 2.
    let mira = of_first.readers.iter().find(|one| one.handle == "mira").expect("hers");
    assert_eq!(mira.since, LeafIndex(second.index.0 + 1));
}

#[test]
fn history_that_was_withheld_is_not_theirs() {
    let (mut relay, mut isla, _) = scene();
    let before = write(&mut isla, &mut relay, "before");
    isla.wants(&Intent::Lock { withhold: true, if_pending: false });
    isla.sends_all(&mut relay);
    Person::joins("mira", &mut isla, &mut relay);
    isla.follows(&relay).expect("followed");
    let who = who(&isla, &before, None).expect("answered");
    assert!(who.readers.iter().all(|one| one.handle != "mira"));
}

#[test]
fn who_was_cut_off_could_open_what_came_before_and_nothing_after() {
    let (mut relay, mut isla, baran) = scene();
    let before = write(&mut isla, &mut relay, "before");
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    let after = write(&mut isla, &mut relay, "after");
    assert_eq!(after.epoch, Epoch(2));
    let before = who(&isla, &before, None).expect("answered");
    assert_eq!(rows(&before), [("baran", true, true, true), ("isla", true, true, false)]);
    let after = who(&isla, &after, None).expect("answered");
    assert_eq!(rows(&after), [("isla", true, true, false)]);
}

#[test]
fn a_device_cut_off_between_lock_and_record_was_not_served_it() {
    let (mut relay, mut isla, baran) = scene();
    // What is admitted under the old lock after a suspension: nothing. So the record is told to have
    // come right behind the suspension, as a log with another rule would have it.
    let mut record = write(&mut isla, &mut relay, "before");
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    record.index = LeafIndex(record.index.0 + 2);
    let who = who(&isla, &record, None).expect("answered");
    assert_eq!(rows(&who), [("baran", true, false, true), ("isla", true, true, false)]);
    let baran = who.readers.iter().find(|one| one.handle == "baran").expect("his");
    assert_eq!(baran.had(), "after cut-off");
}

#[test]
fn only_a_mark_for_this_very_log_beyond_the_record_says_delivered() {
    let (mut relay, mut isla, baran) = scene();
    let record = write(&mut isla, &mut relay, "a record");
    let device = baran.app.device.device_id();
    let log = isla.log();
    let size = TreeSize(record.index.0 + 1);
    let root = isla.app.vault.read(|vault| log.root_at(vault, size)).expect("a root");
    let at = UnixMillis(7_200_000);
    let mark = |size, root| {
        let signer = Cosigner::Device(device).to_string();
        Cosigned { signer, size, root, at, line: String::new() }
    };
    let had = |mark: Cosigned| {
        let read = |vault: &Read<'_>| delivered(vault, &log, &[mark], device, record.index);
        isla.app.vault.read(read).expect("read")
    };
    assert_eq!(had(mark(size, root)), Some(at));
    assert_eq!(had(mark(size, sealpost_protocol::hash::Hash::ZERO)), None, "another log");
    let before = TreeSize(size.0 - 1);
    let earlier = isla.app.vault.read(|vault| log.root_at(vault, before)).expect("a root");
    assert_eq!(had(mark(before, earlier)), None, "not as far");
    assert_eq!(had(mark(TreeSize(size.0 + 9), root)), None, "not known here");
}

#[test]
fn the_past_is_answered_as_the_log_stood_then() {
    let (mut relay, mut isla, _) = scene();
    let record = write(&mut isla, &mut relay, "a record");
    let then = isla.app.clock.now();
    isla.app.clock = crate::clock::Clock::Stopped(UnixMillis(then.0 + 1_000));
    Person::joins("mira", &mut isla, &mut relay);
    isla.follows(&relay).expect("followed");
    assert_eq!(who(&isla, &record, None).expect("now").readers.len(), 3);
    assert_eq!(who(&isla, &record, Some(then)).expect("then").readers.len(), 2);
    let later = UnixMillis(then.0 + 1_000);
    assert_eq!(who(&isla, &record, Some(later)).expect("later").readers.len(), 3);
    let too_early = who(&isla, &record, Some(UnixMillis(then.0 - 1)));
    assert_eq!(too_early.expect_err("not written").kind, Error::NotFound);
}
