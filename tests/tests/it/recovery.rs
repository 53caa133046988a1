//! Every device is lost: the way back in by helpers' shares.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::mpsc;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sealpost_tests::home::{Asking, Home};
use sealpost_tests::proxy::{Direction, Proxy};
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use sealpost_tests::village::Village;
use serde_json::{Value, json};

use crate::programs;

const LIE: &str = "verification-failed";
const ACTIVE: &str = "\"active\"";
const ENDED: &str = "\"ended\"";
const HELPERS: [&str; 3] = ["isla", "olga", "selin"];

/// Isla and Olga coordinate, Baran and Selin are members: in three countries.
fn village(relay: &Relay) -> Village {
    let people = [
        ("isla", "CH", "coordinator"),
        ("olga", "DE", "coordinator"),
        ("baran", "TR", "member"),
        ("selin", "DE", "member"),
    ];
    Village::of(&programs(), relay, &people)
}

fn set(home: &Home, helpers: &[&str], threshold: &str) -> Ran {
    let arguments =
        [&["recovery", "set", "--threshold", threshold, "--helpers"][..], helpers].concat();
    home.run(&arguments)
}

/// Baran shares a spare among the three others, and all hear of it.
fn shares(village: &Village) -> String {
    let spare = set(village.home("baran"), &HELPERS, "2").exits(0).field("ref");
    helpers_sync(village);
    spare
}

fn helpers_sync(village: &Village) {
    for helper in HELPERS {
        village.home(helper).sync();
    }
}

/// Whether what a command shows people holds these words.
fn shows(home: &Home, arguments: &[&str], words: &str) -> bool {
    home.run_plain(arguments).exits(0).stdout_text().contains(words)
}

fn claim(home: &Home, code: &str) -> Ran {
    home.run_with(&["recovery", "claim"], code.as_bytes())
}

/// One helper's part: a code, the claim on it, and who asks then.
fn asks(helper: &Home, owner: &str, new: &Home) -> Asking {
    let code = helper.run(&["recovery", "help", owner]).exits(0).field("code");
    let _ = claim(new, &code).exits(0);
    helper.sync();
    let asking = helper.asking();
    let [asking] = asking.as_slice() else { panic!("one asks: {asking:?}") };
    asking.clone()
}

/// A helper's whole part.
fn helps(helper: &Home, new: &Home) {
    helps_owner(helper, "baran", new);
}

/// Baran shares a spare, loses all, and two of the three help: what it takes, before he goes on.
fn two_help(village: &Village) -> Home {
    shares(village);
    let new = phone();
    for helper in ["selin", "olga"] {
        helps(village.home(helper), &new);
    }
    new
}

fn helps_owner(helper: &Home, owner: &str, new: &Home) {
    let asking = asks(helper, owner, new);
    let number = ["--safety-number", asking.safety_number.as_str()];
    let given = ["recovery", "help", asking.reference.as_str()];
    assert_eq!(helper.run(&[&given[..], &number].concat()).exits(0).field("state"), "given");
}

/// One step on, and how far that is: state, shares here.
fn looks(new: &Home) -> (Value, Value) {
    let claims = claim(new, "").exits(0).json();
    (claims[0]["state"].clone(), claims[0]["shares"].clone())
}

fn phone() -> Home {
    Home::in_country(&programs(), "baran", "TR")
}

/// The states of one's own devices, sorted, as JSON.
fn states(home: &Home) -> Vec<String> {
    let shown = home.run(&["device", "show"]).exits(0).json();
    let devices = shown["devices"].as_array().expect("a list");
    let mut states: Vec<_> = devices.iter().map(|device| device["state"].to_string()).collect();
    states.sort();
    states
}

#[test]
fn a_lost_phone_comes_back_with_two_of_three_helpers_in_two_countries() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, lost) = (village.committee.as_str(), village.home("baran"));
    let _ = lost.record_new("note", committee, &json!({ "text": "before it was lost" }));
    shares(&village);
    let new = phone();
    helps(village.home("selin"), &new);
    assert_eq!(looks(&new), (json!("asked"), json!(1)));
    // One share lets nobody in.
    assert_eq!(states(lost), [ACTIVE, "\"spare\""]);
    helps(village.home("isla"), &new);
    // Had the helpers another's spare in mind, that other would come back here.
    let other = new.run_with(&["recovery", "claim", "--handle", "selin"], b"").fails(7, LIE);
    let _ = other.says("The shares bring back baran, not selin");
    let named = new.run_with(&["recovery", "claim", "--handle", "baran"], b"").exits(0).json();
    assert_eq!(named[0]["state"], "in");
    assert_eq!(states(&new), [ACTIVE, ENDED, ENDED]);
    let shown = new.run(&["committee", "show", committee]).exits(0).json();
    assert_eq!((&shown["epoch"], &shown["lock_pending"]), (&json!(2), &json!(false)));
    // The lost one is shut out; the new one reads all, and writes.
    let _ = lost.run(&["sync"]).fails(5, "not-allowed");
    let read = new.show(new.records()[0]["ref"].as_str().expect("a REF"));
    assert_eq!(read["record"]["text"], "before it was lost");
    let _ = new.record_new("note", committee, &json!({ "text": "back again" }));
    for coordinator in ["isla", "olga"] {
        let told = village.run(coordinator, &["sync"]).exits(0);
        let _ = told.says("baran came back on device");
        assert!(village.reads(coordinator).contains(&"back again".to_owned()));
    }
    // The way back in is used up, and a new one is asked for.
    assert!(shows(&new, &["status"], "your spare"));
    let _ = claim(&new, "").fails(6, "not-found");
    let _ = set(&new, &["isla", "olga"], "2").exits(0);
    assert!(!shows(&new, &["status"], "your spare"));
}

#[test]
fn a_helper_gives_nothing_before_the_number_was_heard_and_a_drill_tells_that_shares_open() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    shares(&village);
    let (baran, olga) = (village.home("baran"), village.home("olga"));
    let shown = olga.run(&["recovery", "show"]).exits(0).json();
    assert_eq!((&shown[0]["owner"], &shown[0]["share"]), (&json!("baran"), &json!("opens")));
    let code = shown[0]["drill_code"].as_str().expect("twenty digits").to_owned();
    let other = village.run("isla", &["recovery", "show"]).exits(0).json();
    let wrong = other[0]["drill_code"].as_str().expect("twenty digits").to_owned();
    let _ = baran.run(&["recovery", "drill", "olga", "--code", &wrong]).fails(7, LIE);
    let _ = baran.run(&["recovery", "drill", "olga", "--code", &code]).exits(0);
    let own = baran.run(&["recovery", "show"]).exits(0).json();
    let heard = |one: &Value| one["drilled_at"].is_string();
    let heard: Vec<bool> = own[0]["helpers"].as_array().expect("three").iter().map(heard).collect();
    assert_eq!(heard.iter().filter(|heard| **heard).count(), 1, "{own}");

    let new = phone();
    // The first code went astray.
    let _ = asks(olga, "baran", &new);
    let astray = olga.run(&["invite", "list"]).exits(0).json()[0]["ref"].clone();
    let _ = olga.run(&["invite", "cancel", astray.as_str().expect("a REF")]).exits(0);
    let code = olga.run(&["recovery", "help", "baran"]).exits(0).field("code");
    let _ = claim(&new, &code).exits(0);
    olga.sync();
    let asking = olga.asking().pop().expect("one asks");
    let give = ["recovery", "help", asking.reference.as_str(), "--safety-number"];
    let wrong = [&give[..], &["00000 00000 00000 00000"]].concat();
    let _ = olga.run(&wrong).fails(7, LIE);
    assert_eq!(looks(&new), (json!("asked"), json!(0)));
    // Nor is it a person to be let in, or a device of Olga's.
    let right = ["--safety-number", asking.safety_number.as_str()];
    let admit = [&["member", "admit", asking.reference.as_str()][..], &right].concat();
    let _ = olga.run(&admit).fails(2, "usage");
    let add = [&["device", "add", asking.reference.as_str()][..], &right].concat();
    let _ = olga.run(&add).fails(6, "not-found");
    let given = [&give[..], &[asking.safety_number.as_str()]].concat();
    assert_eq!(olga.run(&given).exits(0).field("state"), "given");
    assert_eq!(looks(&new), (json!("asked"), json!(1)));
    // Who has no share makes no code.
    let _ = olga.run(&["recovery", "help", "selin"]).fails(6, "not-found");
}

#[test]
fn helpers_are_in_two_countries_unless_it_cannot_be() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let baran = village.home("baran");
    let _ = set(baran, &["olga", "selin"], "2").fails(2, "usage");
    let _ = set(baran, &["isla", "baran"], "2").fails(2, "usage");
    let _ = set(baran, &["isla", "olga"], "1").fails(2, "usage");
    assert_eq!(states(baran), [ACTIVE]);
    let same = ["recovery", "set", "--same-country", "--threshold", "2", "--helpers"];
    let _ = baran.run(&[&same[..], &["olga", "selin"]].concat()).exits(0);
    assert_eq!(states(baran), [ACTIVE, "\"spare\""]);
}

#[test]
fn a_suspended_owners_spare_is_dead() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let new = two_help(&village);
    let _ = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0);
    let dead = claim(&new, "").fails(5, "not-allowed").failure();
    assert!(dead["what"].as_str().expect("words").contains("Your spare was stopped"), "{dead}");
    let shown = village.run("isla", &["committee", "show", &village.committee]).exits(0).json();
    let devices = shown["members"][2]["devices"].as_array().expect("a list").len();
    assert_eq!(devices, 2, "{shown}");
    // Restored, it is the way back in that it was.
    let _ = village.run("isla", &["member", "restore", "baran"]).exits(0);
    village.home("isla").sync();
    assert_eq!(looks(&new).0, "in");
}

#[test]
fn a_spare_ends_with_a_helper_and_the_shares_that_are_left_bring_nobody_back() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let new = two_help(&village);
    let _ = village.run("isla", &["member", "suspend", "selin", "--yes"]).exits(0);
    let _ = claim(&new, "").fails(5, "not-allowed").says("Your spare was stopped");
    // Nor once she is back: what was given cannot be taken back, so it ended for good.
    let _ = village.run("isla", &["member", "restore", "selin"]).exits(0);
    let _ = claim(&new, "").fails(5, "not-allowed");
    let baran = village.home("baran");
    baran.sync();
    assert!(shows(baran, &["status"], "your spare"));
    assert!(shows(baran, &["committee", "audit"], "sealpost recovery set"));
    let _ = set(baran, &["isla", "olga"], "2").exits(0);
    assert_eq!(baran.run(&["recovery", "show"]).exits(0).json()[0]["own"], true);
    // Whoever cannot come back as they were comes in as somebody new, on that same device.
    let _ = new.run(&["sync"]).exits(5);
    let invitation = village.home("isla").invite(&village.committee);
    let _ = new.run_with(&["join", "--handle", "baran again"], invitation.as_bytes()).exits(0);
    village.home("isla").sync();
    let asking = village.home("isla").asking();
    let _ = village.home("isla").admit(&asking[0]).exits(0);
    new.sync();
    let _ = new.record_new("note", &village.committee, &json!({ "text": "as somebody new" }));
}

#[test]
fn where_the_policy_says_so_a_coordinator_sees_to_the_spare_and_to_the_device_that_comes_back() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let policy = ["committee", "policy", &village.committee, "--device-needs-coordinator", "true"];
    let _ = village.run("isla", &policy).exits(0);
    let lost = village.home("baran");
    lost.sync();
    let waiting = set(lost, &HELPERS, "2").exits(8);
    let approve = Village::proposed(&waiting);
    assert_eq!(lost.run(&["recovery", "show"]).exits(0).json(), json!([]));
    let _ = village.run("olga", &["sync"]).exits(0);
    let _ = village.run("olga", &["approve", &approve]).exits(0);
    lost.sync();
    assert_eq!(lost.run(&["recovery", "show"]).exits(0).json()[0]["threshold"], 2);
    helpers_sync(&village);
    let new = phone();
    for helper in ["selin", "olga"] {
        helps(village.home(helper), &new);
    }
    let waits = claim(&new, "").fails(8, "second-person").failure();
    // What was lost is ended at once, whoever has yet to approve.
    let _ = lost.run(&["sync"]).fails(5, "not-allowed");
    // What colleagues seal to him meanwhile is not lost to him.
    let strict = ["record", "new", "trial-note", "--from", "-", "--reader", "baran"];
    let isla = village.home("isla");
    isla.sync();
    let typed = json!({
        "hearing": "second", "role_of_author": "observer", "what_happened": "The bench changed.",
        "lawyer_only": "for Baran",
    });
    let _ = isla.run_with(&strict, typed.to_string().as_bytes()).exits(0);
    let next = waits["next"].as_str().expect("a command");
    let approve = next.split("sealpost approve ").nth(1).expect("it is to be approved");
    let approve = approve.split(';').next().expect("a REF");
    let told = village.run("olga", &["sync"]).exits(0);
    let _ = told.says("come back on device").says("by the shares of helpers");
    let _ = village.run("olga", &["approve", approve]).exits(0);
    new.sync();
    let read = new.show(new.records()[0]["ref"].as_str().expect("a REF"));
    assert_eq!(read["record"]["sealed"]["lawyer_only"], "for Baran", "{read}");
    assert_eq!(states(&new), [ACTIVE, ENDED, ENDED]);
    let _ = new.record_new("note", &village.committee, &json!({ "text": "back again" }));
}

/// Runs a claim that is killed when so many datagrams have gone to the relay. Whether it was.
fn killed_at(proxy: &Proxy, n: u64, new: &Home) -> bool {
    let (tell, told) = mpsc::channel();
    proxy.at(Direction::ToRelay, n, move || {
        // The datagram may be there before this side knows whose it is.
        if let Ok(victim) = told.recv() {
            let _ = pidfd_send_signal::<OwnedFd>(victim, Signal::KILL);
        }
    });
    let mut claiming = new.start(&["recovery", "claim"]);
    claiming.feed(b"");
    let victim = pidfd_open(claiming.pid(), PidfdFlags::empty()).expect("our child");
    tell.send(victim).expect("the proxy waits");
    let ran = claiming.finish();
    proxy.forget_actions();
    let killed = ran.status.signal() == Some(Signal::KILL.as_raw());
    let _ = if killed { ran } else { ran.exits(0) };
    killed
}

#[test]
fn a_claim_of_a_sole_coordinator_that_is_killed_again_and_again_goes_on() {
    const STEP: u64 = 4;
    const KILLS_MAX: u64 = 60;
    let relay = Relay::start(&programs());
    let proxy = Proxy::start(relay.listens_at());
    let people =
        [("isla", "CH", "coordinator"), ("baran", "TR", "member"), ("selin", "DE", "member")];
    let village = Village::at(&programs(), &relay, &relay.address_at(proxy.address()), &people);
    let lost = village.home("isla");
    let second = Home::in_country(&programs(), "isla", "CH");
    let _ = lost.adds(&second);
    second.sync();
    let _ = set(lost, &["baran", "selin"], "2").exits(0);
    let new = Home::in_country(&programs(), "isla", "CH");
    for helper in ["baran", "selin"] {
        village.home(helper).sync();
        helps_owner(village.home(helper), "isla", &new);
    }
    // Each life gets a little further than the one before.
    let mut kills = 0;
    while killed_at(&proxy, (kills + 2) * STEP, &new) {
        kills += 1;
        assert!(kills < KILLS_MAX, "it gets nowhere");
    }
    assert!(kills > 3, "{kills} kills met nothing unfinished");
    new.sync();
    assert_eq!(states(&new), [ACTIVE, ENDED, ENDED, ENDED]);
    let shown = new.run(&["committee", "show", &village.committee]).exits(0).json();
    assert_eq!(shown["lock_pending"], false, "{shown}");
    for home in [lost, &second] {
        let _ = home.run(&["sync"]).fails(5, "not-allowed");
    }
    let _ = new.record_new("note", &village.committee, &json!({ "text": "back again" }));
    village.home("baran").sync();
    assert_eq!(village.reads("baran"), ["back again"]);
}
