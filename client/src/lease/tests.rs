use sealpost_protocol::id::TreeSize;

use super::*;
use crate::changes::{Intent, PolicyParts};
use crate::village::{MemoryRelay, Person};

const WEEK: u64 = 7 * DAY_MILLIS;

/// Three coordinators and a member, under a lease of a week that is enforced or not.
fn scene(enforced: bool) -> (MemoryRelay, Person, [Person; 3]) {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, mut others) = crate::village::three_coordinators(&mut relay);
    let lease_enforced = Some(enforced);
    isla.wants(&Intent::Policy(PolicyParts { lease_enforced, ..PolicyParts::default() }));
    if enforced {
        isla.sends_all(&mut relay);
    }
    for person in &mut others {
        person.follows(&relay).expect("followed");
    }
    (relay, isla, others)
}

/// A cosignature of `by` as another device keeps it once it has verified it.
fn mark(by: &Person, size: TreeSize, at: UnixMillis) -> Cosigned {
    let signer = Cosigner::Device(by.app.device.device_id()).to_string();
    let root = sealpost_protocol::hash::Hash::ZERO;
    Cosigned { signer, size, root, at, line: String::new() }
}

fn lease(person: &Person, marks: &[Cosigned]) -> Lease {
    let log = person.log();
    let own = person.app.device.device_id();
    Lease::of(log.pulled().expect("pulled"), own, marks, person.app.clock.now())
}

#[test]
fn two_of_three_coordinators_must_have_been_heard_within_the_lease() {
    let (_, isla, [olga, tomas, baran]) = scene(true);
    let (size, now) = (baran.size(), baran.app.clock.now());
    let at = |millis: u64| UnixMillis(now.0 - millis);
    let one = [mark(&isla, size, at(0)), mark(&baran, size, at(0))];
    assert!(lease(&baran, &one).is_over(), "his own word is not a coordinator's");
    let two = [mark(&isla, size, at(WEEK)), mark(&olga, size, at(1))];
    assert!(!lease(&baran, &two).is_over());
    let stale = [mark(&isla, size, at(WEEK + 1)), mark(&olga, size, at(1))];
    assert!(lease(&baran, &stale).is_over());
    let three = [stale[0].clone(), stale[1].clone(), mark(&tomas, size, at(1))];
    assert!(!lease(&baran, &three).is_over());
}

#[test]
fn who_vouches_for_more_than_was_shown_or_from_next_week_was_not_heard() {
    let (_, isla, [olga, _, baran]) = scene(true);
    let (size, now) = (baran.size(), baran.app.clock.now());
    let honest = [mark(&isla, size, now), mark(&olga, size, now)];
    assert!(!lease(&baran, &honest).is_over());
    let ahead = [mark(&isla, TreeSize(size.0 + 1), now), honest[1].clone()];
    assert!(lease(&baran, &ahead).is_over());
    let tomorrow = UnixMillis(now.0 + DAY_MILLIS + 1);
    assert!(lease(&baran, &[mark(&isla, size, tomorrow), honest[1].clone()]).is_over());
}

#[test]
fn a_committee_of_one_coordinator_asks_nobody() {
    let mut relay = MemoryRelay::new(9);
    let isla = Person::founds("isla", &mut relay);
    let lease = lease(&isla, &[]);
    assert_eq!((lease.needed, lease.is_over()), (0, false));
}

#[test]
fn past_an_enforced_lease_no_record_is_sealed_and_a_suspension_still_goes() {
    let (mut relay, mut isla, [olga, tomas, mut baran]) = scene(true);
    baran.writes("kept back");
    let refused = crate::push::prepare(&mut baran.app, baran.no).map(|_| ()).expect_err("over");
    assert_eq!(refused.kind, Error::NotDelivered);
    assert!(refused.what.contains("silent: isla, olga, tomas"), "{}", refused.what);
    let (size, now) = (baran.size(), baran.app.clock.now());
    let another_log = [mark(&isla, size, now), mark(&olga, size, now)];
    for mark in &another_log {
        baran.app.vault.write(|vault| vault.put_cosignature(baran.no, mark)).expect("kept");
    }
    let refused = crate::push::prepare(&mut baran.app, baran.no).map(|_| ()).expect_err("over");
    assert_eq!(refused.kind, Error::NotDelivered, "who vouches for another log was not heard");
    let root = baran.log().checkpoint().expect("pulled").root;
    for mark in another_log.map(|mark| Cosigned { root, ..mark }) {
        let mark = &mark;
        baran.app.vault.write(|vault| vault.put_cosignature(baran.no, mark)).expect("kept");
    }
    baran.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    assert_eq!(isla.reads(), [("accepted".to_owned(), "kept back".to_owned())]);

    isla.writes("after the suspension");
    let whom = crate::changes::Whom::Member(tomas.number());
    isla.wants(&Intent::Suspend { whom });
    let batch = isla.prepares();
    assert_eq!(batch.len(), 1, "the suspension does not wait for anybody's word");
}

#[test]
fn a_lease_is_shown_in_numbers_and_says_what_it_keeps_back() {
    let (_, isla, [_, _, baran]) = scene(true);
    let shown = lease(&baran, &[mark(&isla, baran.size(), baran.app.clock.now())]).shown();
    let expected = LeaseShown { heard: 1, of: 3, needed: 2, days: 7, over: true, enforced: true };
    assert_eq!(shown, expected);
    assert!(shown.words().ends_with(": over, and no record is sealed until then"));
    let fine = LeaseShown { heard: 2, over: false, ..shown };
    assert_eq!(fine.words(), "lease  2 of 3 other coordinators heard within 7 days, 2 needed");
}

#[test]
fn a_lease_that_is_not_enforced_keeps_nothing_back() {
    let (mut relay, _, [_, _, mut baran]) = scene(false);
    baran.writes("sent");
    baran.sends_all(&mut relay);
    assert_eq!(baran.reads(), [("accepted".to_owned(), "sent".to_owned())]);
}

#[test]
fn the_word_of_a_device_that_was_cut_off_counts_no_more() {
    let (mut relay, mut isla, [olga, tomas, mut baran]) = scene(true);
    let device = olga.app.device.device_id();
    isla.wants(&Intent::Suspend { whom: crate::changes::Whom::Device(device.to_string()) });
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    let (size, now) = (baran.size(), baran.app.clock.now());
    let marks = [mark(&isla, size, now), mark(&olga, size, now)];
    let heard = lease(&baran, &marks);
    assert_eq!((heard.others.len(), heard.is_over()), (2, true), "hers was her only device");
    assert!(!lease(&baran, &[mark(&isla, size, now), mark(&tomas, size, now)]).is_over());
}
