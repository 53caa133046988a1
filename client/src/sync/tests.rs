use super::*;
use crate::vault::stops::Stop;
use crate::village::{MemoryRelay, Person};

#[test]
fn a_head_binds_the_relay_and_a_smaller_one_is_a_lie() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    isla.writes("one");
    isla.sends(&mut relay).expect("sent");
    let known = isla.app.vault.read(|vault| vault.committee_no(isla.no)).expect("known");
    let error = keep_head(&mut isla.app, &known, &relay.note_at(1)).expect_err("rolled back");
    let FollowError::Caught(caught) = error else { panic!("not caught: {error:?}") };
    assert!(matches!(caught.lie, Lie::RolledBack { .. }), "{:?}", caught.lie);
    assert_eq!(caught.exhibits.len(), 2, "both notes");
    let foreign = sealpost_protocol::sign::SigningKey::from_bytes(&[8; 32]);
    let ours = isla.log().checkpoint().expect("pulled").sign(&foreign);
    keep_head(&mut isla.app, &known, ours.text()).expect_err("another's signature");
    let ahead = |isla: &Person| isla.app.vault.read(|vault| vault.ahead(isla.no)).expect("read");
    assert_eq!(ahead(&isla), []);
    isla.writes("two");
    relay.append(&isla.prepares()[0]).expect("admitted");
    keep_head(&mut isla.app, &known, &relay.note_at(3)).expect("more than is held");
    assert_eq!(ahead(&isla).len(), 1);
    isla.takes(&crate::log::Pulled { entries: Vec::new(), note: relay.note_at(2) })
        .expect_err("less than it has signed for");
}

#[test]
fn a_log_that_is_gone_is_a_lie_shown_by_the_note_that_is_held() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let known = isla.app.vault.read(|vault| vault.committee_no(isla.no)).expect("known");
    let caught = gone(&isla.app, &known).expect("caught");
    assert!(matches!(caught.lie, Lie::Gone(size) if size == known.size));
    assert_eq!(caught.exhibits.len(), 1);
    not_let_in(&isla.app, isla.no).expect_err("a part of it was shown before");
    let other = crate::vault::fixture::add_committee(&mut isla.app.vault, 8);
    not_let_in(&isla.app, other).expect("nothing was");
}

#[test]
fn a_relay_that_does_not_serve_a_log_has_not_answered() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let known = isla.app.vault.read(|vault| vault.committee_no(isla.no)).expect("known");
    let asked = |address: &str| Asked { address: address.to_owned(), answered: true };
    let relays = vec![asked("another"), asked(&known.relay)];
    let mut report = Report { relays, ..Report::default() };
    note_answer(&mut isla.app, [&known], true).expect("noted");
    let error = |code| FollowError::from(AskError::Refused(code));
    report_failure(&mut isla.app, &known, Err(error(Code::NotFound)), &mut report).expect("noted");
    let answered = |report: &Report| [0, 1].map(|at| report.relays[at].answered);
    assert_eq!(answered(&report), [true, true]);
    report_failure(&mut isla.app, &known, Err(error(Code::Stopped)), &mut report).expect("noted");
    assert_eq!(answered(&report), [true, false]);
    let known = isla.app.vault.read(|vault| vault.committee_no(isla.no)).expect("known");
    assert_eq!(known.answered, Some(false));
    report.relays.remove(0);
    report.failures.remove(0);
    assert_eq!(report.into_result().expect_err("nobody answered").kind.exit(), 11);
}

fn exit_of(unsent: u64, answered: &[bool], kinds: &[Error]) -> u8 {
    let asked = |answered: &bool| Asked { address: String::new(), answered: *answered };
    let report = Report {
        brought: Brought::default(),
        unsent,
        relays: answered.iter().map(asked).collect(),
        faulty: Vec::new(),
        disputed: Vec::new(),
        failures: kinds.iter().map(|kind| Failure::new(*kind, "something happened")).collect(),
    };
    report.into_result().map_or_else(|failure| failure.kind.exit(), |()| 0)
}

#[test]
fn a_round_ends_with_the_exit_code_of_the_worst_that_happened() {
    assert_eq!(exit_of(0, &[], &[]), 0);
    assert_eq!(exit_of(0, &[true, true], &[]), 0);
    assert_eq!(exit_of(1, &[true], &[]), 3);
    assert_eq!(exit_of(1, &[false], &[Error::Unreachable]), 3);
    assert_eq!(exit_of(0, &[false], &[Error::Unreachable]), 11);
    assert_eq!(exit_of(0, &[true, false], &[Error::Unreachable]), 0);
    assert_eq!(exit_of(0, &[true], &[Error::NotFound]), 6);
    assert_eq!(exit_of(1, &[true], &[Error::NotAllowed]), 5);
    assert_eq!(exit_of(1, &[true, false], &[Error::Unreachable, Error::Verification]), 7);
    assert_eq!(exit_of(1, &[true], &[Error::TooOld, Error::Verification]), 7);
}

#[test]
fn a_device_vouches_for_more_or_again_after_a_day_and_never_for_less() {
    let at = UnixMillis(1_773_216_000_000);
    let root = sealpost_protocol::hash::Hash::ZERO;
    let last = Cosigned { signer: String::new(), size: TreeSize(5), root, at, line: String::new() };
    let after = |size, millis| is_news(&last, TreeSize(size), UnixMillis(at.0 + millis));
    assert!(after(6, 0));
    assert!(!after(5, VOUCH_AGAIN_MILLIS) && after(5, VOUCH_AGAIN_MILLIS + 1));
    assert!(!after(4, VOUCH_AGAIN_MILLIS + 1));
}

#[test]
fn a_relay_that_lied_is_told_of_however_silent_it_is_until_it_is_dealt_with_again() {
    let mut isla = Person::founds("isla", &mut MemoryRelay::new(9));
    let told = |isla: &Person| {
        let mut report = Report::default();
        close(&isla.app, Scope::All, &mut report).expect("read");
        report.into_followed().map_err(|failure| (failure.kind.exit(), failure.what))
    };
    assert_eq!(told(&isla), Ok(()));
    let now = isla.app.clock.now();
    let stop = Stop { kind: "fork".to_owned(), file: "0123.txt".to_owned(), since: now };
    isla.app.vault.write(|vault| vault.put_stop(isla.no, &stop)).expect("written");
    let (exit, what) = told(&isla).expect_err("it lied");
    assert!(exit == 7 && what.contains("evidence") && what.contains("0123.txt"), "{exit} {what}");
    isla.app.vault.write(|vault| vault.lift_stop(isla.no)).expect("written");
    assert_eq!(told(&isla), Ok(()));
}
