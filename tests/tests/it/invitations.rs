//! An invitation is good until it was used, cancelled, or ran out by the relay's clock; then it is
//! dead, and says no more than one that never was.

use std::sync::atomic::{AtomicU64, Ordering};

use sealpost_protocol::id::UnixMillis;
use sealpost_relay::clock;
use sealpost_tests::home::Home;
use sealpost_tests::relay::Relay;
use sealpost_tests::tap::Tap;
use serde_json::Value;

use crate::programs;

/// Nobody is shown why: the four deaths look the same.
#[track_caller]
fn dead(home: &Home, invitation: &str) -> Value {
    let mut failure = home.join(invitation).fails(6, "not-found").failure();
    // Nothing of the attempt stays.
    assert_eq!(home.run(&["committee", "list"]).exits(0).json(), serde_json::json!([]));
    failure["next"].take();
    failure
}

fn states(home: &Home) -> Vec<String> {
    let listed = home.run(&["invite", "list"]).exits(0).json();
    let rows = listed.as_array().expect("an array").iter();
    rows.map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn a_used_and_a_cancelled_invitation_are_dead() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let home = |handle| Home::of(&programs, handle);
    let (isla, baran, late) = (home("isla"), home("baran"), home("late"));
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");

    let invitation = isla.invite(&committee);
    let _ = baran.join(&invitation).exits(0);
    let used = dead(&late, &invitation);
    // The one who used it may ask again: a lost answer is no reason to stay outside.
    let _ = baran.run(&["sync"]);
    isla.sync();
    assert_eq!(isla.asking().len(), 1);
    assert_eq!(states(&isla), ["used"]);

    let made = isla.run(&["invite", "new", "--committee", &committee]).exits(0);
    assert_eq!(states(&isla), ["used", "open"]);
    let _ = isla.run(&["invite", "cancel", &made.field("ref")]).exits(0);
    assert_eq!(states(&isla), ["used", "cancelled"]);
    let cancelled = dead(&late, &made.field("invitation"));
    assert_eq!(used, cancelled);

    // The same relay would have let them ask.
    let _ = late.join(&isla.invite(&committee)).exits(0);
    isla.sync();
    assert_eq!(isla.asking().len(), 2);
}

#[test]
fn an_invitation_for_two_lets_two_ask() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let home = |handle| Home::of(&programs, handle);
    let (isla, one, two, three) = (home("isla"), home("one"), home("two"), home("three"));
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let arguments = ["invite", "new", "--committee", &committee, "--uses", "2", "--role", "reader"];
    let invitation = isla.run(&arguments).exits(0).field("invitation");
    let _ = one.join(&invitation).exits(0);
    let _ = two.join(&invitation).exits(0);
    dead(&three, &invitation);
    isla.sync();
    for asking in isla.asking() {
        let _ = isla.admit(&asking).exits(0);
    }
    one.sync();
    // Readers read and post no records.
    let refused = one.try_record_new("note", &committee, &serde_json::json!({ "text": "No." }));
    assert_eq!(refused.code(), Some(5), "{refused:?}");
}

/// How far the relay's clock of this file's test has moved.
static MOVED: AtomicU64 = AtomicU64::new(0);

fn moving_clock() -> UnixMillis {
    UnixMillis(clock::now().0 + MOVED.load(Ordering::SeqCst))
}

#[test]
fn an_expired_invitation_is_dead_by_the_relays_clock() {
    const HOUR_MILLIS: u64 = 60 * 60 * 1000;
    let programs = programs();
    let relay = Tap::start_at(moving_clock);
    let home = |handle| Home::of(&programs, handle);
    let (isla, baran, late) = (home("isla"), home("baran"), home("late"));
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let arguments = ["invite", "new", "--committee", &committee, "--expires", "2h", "--uses", "2"];
    let invitation = isla.run(&arguments).exits(0).field("invitation");

    MOVED.store(HOUR_MILLIS, Ordering::SeqCst);
    let _ = baran.join(&invitation).exits(0);
    isla.sync();
    MOVED.store(3 * HOUR_MILLIS, Ordering::SeqCst);
    dead(&late, &invitation);
    // Who asked in time is still let in.
    let asking = isla.asking().pop().expect("baran asked in time");
    let _ = isla.admit(&asking).exits(0);
    baran.sync();
}

#[test]
fn what_is_no_invitation_is_a_slip_and_no_lie() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let (isla, baran) = (Home::of(&programs, "isla"), Home::of(&programs, "baran"));
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let invitation = isla.invite(&committee);
    let mut mistyped = invitation.clone();
    let last = mistyped.pop().expect("it is not empty");
    mistyped.push(if last == 'q' { 'p' } else { 'q' });
    for slip in ["", "hello", &invitation[..40], &mistyped] {
        let _ = baran.join(slip).fails(2, "usage");
    }
    // Capital letters, as a code to scan has them, are the same invitation.
    let _ = baran.join(&invitation.to_uppercase()).exits(0);
}
