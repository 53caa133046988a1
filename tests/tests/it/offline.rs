//! Without a network nothing is lost and everything says so; with it back, what was written goes
//! out once.

use std::sync::{Arc, mpsc};

use sealpost_protocol::id::UnixMillis;
use sealpost_relay::clock;
use sealpost_tests::home::Home;
use sealpost_tests::proxy::{Direction, Proxy};
use sealpost_tests::relay::Relay;
use sealpost_tests::scene::Scene;
use sealpost_tests::tap::Tap;
use serde_json::json;

use crate::programs;

#[test]
fn a_record_written_while_the_relay_is_away_is_saved_said_and_sent_once() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    relay.stop();

    let note = json!({ "text": "Visit on Friday." });
    let ran = isla.try_record_new("note", &committee, &note).fails(3, "not-delivered");
    assert_eq!(ran.field("state"), "saved");
    let reference = ran.field("ref");
    let listed = isla.records();
    assert_eq!(listed[0]["ref"], reference.as_str());
    assert_eq!(listed[0]["state"], "saved");
    let shown = isla.show(&reference);
    assert_eq!(shown["record"]["text"], "Visit on Friday.");
    assert_eq!(shown["verified"], false);
    assert_eq!(shown["entry"], json!(null));

    let status = isla.status();
    let unsent = &status["unsent"][0];
    assert_eq!(unsent["ref"], reference.as_str());
    assert_eq!(unsent["committee"], committee.as_str());
    assert_eq!(unsent["since"], listed[0]["made_at"], "{status}");
    assert_eq!(status["committees"][0]["relay_answered"], false, "{status}");
    let words = isla.run_plain(&["status"]).exits(0).stdout_text();
    assert!(words.contains(&reference) && words.contains("did not answer"), "{words}");

    let _ = isla.run(&["sync"]).fails(3, "not-delivered");
    let _ = baran.run(&["sync"]).fails(11, "relay-unreachable");
    relay.restart();
    let synced = isla.sync();
    assert_eq!((&synced["sent"], &synced["unsent"]), (&json!(1), &json!(0)));
    assert_eq!(isla.sync()["sent"], 0, "once");
    assert_eq!(isla.status()["unsent"], json!([]));
    assert_eq!(baran.sync()["received"], 1);
    let records = baran.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["ref"], reference.as_str(), "the same REF on both sides");
    assert_eq!(isla.show(&reference)["verified"], true);
}

#[test]
fn later_only_saves() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let first = isla.record_later("note", &committee, &json!({ "text": "one" }));
    let second = isla.record_later("note", &committee, &json!({ "text": "two" }));
    assert_eq!(first.state, "saved");
    assert_eq!(baran.sync()["received"], 0);
    assert_eq!(isla.sync()["sent"], 2);
    assert_eq!(baran.sync()["received"], 2);
    let index = |reference: &str| baran.show(reference)["entry"]["leaf_index"].as_u64();
    assert!(index(&first.reference) < index(&second.reference), "in the order of writing");
}

#[test]
fn two_syncs_on_one_vault_are_refused_and_other_commands_are_not() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let proxy = Arc::new(Proxy::start(relay.listens_at()));
    let address = relay.address_at(proxy.address());
    let Scene { isla, committee, relay: _relay, .. } = Scene::at(&programs, relay, &address);
    isla.record_later("note", &committee, &json!({ "text": "Visit on Friday." }));

    // Connected, and then cut off, a sync waits half a minute for the relay's next word.
    let (line, (cutting, is_cut)) = (Arc::downgrade(&proxy), mpsc::channel());
    proxy.at(Direction::ToRelay, 8, move || {
        line.upgrade().expect("the test holds it").cut();
        cutting.send(()).unwrap();
    });
    let waiting = isla.start(&["sync"]);
    is_cut.recv().unwrap();
    let _ = isla.run(&["sync"]).fails(1, "busy").says("sync");
    // Neither reading nor writing waits for it.
    isla.record_later("note", &committee, &json!({ "text": "Bring the file." }));
    assert_eq!(isla.records().len(), 2);
    proxy.restore();
    let first = waiting.finish();
    assert_eq!(first.exits(0).json()["unsent"], 0);
    assert_eq!(isla.status()["unsent"], json!([]));
}

#[test]
fn two_commands_at_once_are_both_done() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let arguments = ["record", "new", "note", "--committee", &committee, "--from", "-"];
    let mut writing: Vec<_> = (0..4).map(|_| isla.start(&arguments)).collect();
    for (number, process) in writing.iter_mut().enumerate() {
        process.feed(json!({ "text": format!("note {number}") }).to_string().as_bytes());
    }
    for process in writing {
        let ran = process.finish();
        // One that found another sending leaves its record to it, or to the next sync.
        assert!(matches!(ran.code(), Some(0 | 3)), "{ran:?}");
    }
    isla.sync();
    assert_eq!(isla.status()["unsent"], json!([]));
    baran.sync();
    let mut texts: Vec<_> = baran
        .records()
        .iter()
        .map(|row| baran.show(row["ref"].as_str().expect("a ref"))["record"]["text"].clone())
        .collect();
    texts.sort_by_key(ToString::to_string);
    assert_eq!(texts, ["note 0", "note 1", "note 2", "note 3"]);
}

const YEAR_MILLIS: u64 = 365 * 24 * 60 * 60 * 1000;

/// A clock that is thirty years ahead of everybody's.
fn ahead() -> UnixMillis {
    UnixMillis(clock::now().0 + 30 * YEAR_MILLIS)
}

/// And one that is as far behind.
fn behind() -> UnixMillis {
    UnixMillis(clock::now().0.saturating_sub(30 * YEAR_MILLIS))
}

#[test]
fn a_clock_that_is_years_wrong_changes_nothing_but_what_is_claimed() {
    let programs = programs();
    // Which of the two is wrong makes no difference to either.
    for relays_clock in [ahead, behind] {
        let relay = Tap::start_at(relays_clock);
        let isla = Home::of(&programs, "isla");
        let baran = Home::of(&programs, "baran");
        let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
        isla.let_in(&committee, &baran);
        let text = json!({ "text": "Hearing moved to Monday." });
        let written = isla.record_new("note", &committee, &text);
        baran.sync();
        assert_eq!(baran.show(&written.reference)["verified"], true);
        // An invitation's end is the relay's to judge, and said in the relay's time.
        let made = isla.run(&["invite", "new", "--committee", &committee]).exits(0);
        let year = year_of(&made.field("expires"));
        let now = year_of(&clock::to_text(relays_clock()));
        assert!((year - now).abs() <= 1, "{made:?}");
        let audit = baran.run(&["committee", "audit", &committee]).exits(0);
        assert_eq!(audit.json()["evidence"], 0, "{audit:?}");
    }
}

/// The year of an RFC 3339 time.
fn year_of(time: &str) -> i64 {
    time.split('-').next().and_then(|year| year.parse().ok()).expect("a year")
}
