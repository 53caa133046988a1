//! Old copies put back: a relay's data folder, a person's vault. What is older than what somebody
//! has seen is noticed, and nothing is written twice.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use sealpost_protocol::frame::{self, Request};
use sealpost_protocol::id::UnixMillis;
use sealpost_relay::clock;
use sealpost_tests::home::Home;
use sealpost_tests::proxy::Direction;
use sealpost_tests::scene::Scene;
use sealpost_tests::tap::Tap;
use serde_json::{Value, json};

use crate::evidence::is_evidence;
use crate::programs;

/// Copies a folder as an operator would.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success(), "cp {} {}", from.display(), to.display());
}

/// Puts a copy in a folder's place.
fn put_back(copy_of: &Path, folder: &Path) {
    std::fs::remove_dir_all(folder).expect("it is ours");
    copy(copy_of, folder);
}

fn evidence(home: &Home, committee: &str) -> u64 {
    let ran = home.run(&["committee", "audit", committee]);
    let json = ran.json();
    json["evidence"].as_u64().unwrap_or_else(|| panic!("no evidence: {ran:?}"))
}

#[test]
fn a_relay_restored_from_a_backup_is_caught_and_both_notes_are_kept() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let backup = elsewhere.path().join("backup");
    relay.stop();
    copy(&relay.data(), &backup);
    relay.restart();
    let written = isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    baran.sync();
    relay.stop();
    put_back(&backup, &relay.data());
    relay.restart();

    for home in [&isla, &baran] {
        is_evidence(home.run(&["sync"]), "rollback");
        // What was verified stays readable.
        assert_eq!(home.show(&written.reference)["verified"], true);
    }
    assert!(evidence(&baran, &committee) > 0);
    // Nothing is written onto a log that lost what was accepted.
    let note = json!({ "text": "And on Tuesday." });
    let refused = isla.try_record_new("note", &committee, &note);
    let _ = refused.fails(7, "verification-failed");
}

#[test]
fn a_relay_that_shows_two_people_two_histories_is_caught_when_one_sees_the_other() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let (before, islas) = (elsewhere.path().join("before"), elsewhere.path().join("islas"));
    isla.sync();
    relay.stop();
    copy(&relay.data(), &before);
    relay.restart();
    isla.record_new("note", &committee, &json!({ "text": "What isla is shown." }));
    relay.stop();
    copy(&relay.data(), &islas);
    put_back(&before, &relay.data());
    relay.restart();
    baran.record_new("note", &committee, &json!({ "text": "What baran is shown." }));
    // Of one size the two look the same from afar: it is the cosignatures that differ.
    let audited = isla.run(&["committee", "audit", &committee]).fails(7, "verification-failed");
    assert_eq!(audited.json()["size"], 3);
    assert!(audited.stdout_text().contains("contradicts"), "{audited:?}");
    baran.record_new("note", &committee, &json!({ "text": "And more of it." }));
    is_evidence(isla.run(&["sync"]), "fork");
    assert!(evidence(&isla, &committee) > 0);
    relay.stop();
    put_back(&islas, &relay.data());
    relay.restart();
    is_evidence(baran.run(&["sync"]), "fork");
    assert!(evidence(&baran, &committee) > 0);
    // She is shown again what she had verified, and the relay is dealt with again. What baran vouched for stays
    // disputed.
    let disputed = isla.run(&["sync"]).fails(7, "verification-failed");
    let _ = disputed.says("vouches for another log");
    assert_eq!(isla.status()["committees"][0]["stopped"], Value::Null);
}

#[test]
fn an_old_copy_of_a_vault_put_back_learns_what_it_wrote_and_forks_nothing() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let backup = elsewhere.path().join("backup");
    isla.record_new("note", &committee, &json!({ "text": "one" }));
    copy(&isla.vault(), &backup);
    isla.record_new("note", &committee, &json!({ "text": "two" }));
    put_back(&backup, &isla.vault());
    assert_eq!(isla.records().len(), 1);

    let third = isla.record_new("note", &committee, &json!({ "text": "three" }));
    assert_eq!(isla.records().len(), 3, "its own second record came back from the log");
    baran.sync();
    assert_eq!(baran.records().len(), 3);
    assert_eq!(baran.show(&third.reference)["verified"], true);
    assert_eq!(evidence(&baran, &committee), 0);
    assert_eq!(evidence(&isla, &committee), 0);
}

/// A week, when it has passed.
static PASSED: AtomicU64 = AtomicU64::new(0);

fn a_week_may_pass() -> UnixMillis {
    UnixMillis(clock::now().0 + PASSED.load(Ordering::SeqCst))
}

fn a_week_passes() {
    PASSED.store(7 * 24 * 60 * 60 * 1000, Ordering::SeqCst);
}

/// What people wrote, as `home` reads it.
fn texts(home: &Home) -> Vec<String> {
    let text = |row: &Value| {
        let shown = home.show(row["ref"].as_str().expect("a REF"));
        shown["record"]["text"].as_str().expect("a note").to_owned()
    };
    let mut texts: Vec<String> = home.records().iter().map(text).collect();
    texts.sort();
    texts
}

#[test]
fn a_vault_copied_back_after_a_week_says_so_catches_up_and_sends_nothing_twice() {
    let relay = Tap::start_at(a_week_may_pass);
    let people = [("isla", "CH"), ("baran", "TR"), ("mira", "DE")];
    let [isla, baran, mira] = people.map(|(who, land)| Home::in_country(&programs(), who, land));
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    isla.let_in(&committee, &baran);
    isla.let_in(&committee, &mira);
    baran.sync();
    // In the copy it waits to be sent; by the time that it is put back it was.
    baran.record_later("note", &committee, &json!({ "text": "one" }));
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let backup = elsewhere.path().join("backup");
    copy(&baran.vault(), &backup);

    baran.sync();
    let _ = isla.run(&["committee", "lock", &committee, "--yes"]).exits(0);
    baran.sync();
    baran.record_new("note", &committee, &json!({ "text": "two" }));
    let _ = isla.run(&["member", "suspend", "mira", "--yes"]).exits(0);
    baran.sync();
    a_week_passes();
    put_back(&backup, &baran.vault());
    let lock = || {
        let shown = baran.run(&["committee", "show", &committee]).exits(0).json();
        (shown["epoch"].clone(), shown["lock_pending"].clone())
    };
    assert_eq!((lock().0, texts(&baran).len()), (json!(1), 1), "it knows nothing of it");
    let _ = baran.run(&["sync"]).exits(0).says("put back from a backup");
    assert_eq!(texts(&baran), ["one", "two"]);
    // What was decided meanwhile holds for it: the locks, and who is in.
    assert_eq!(lock(), (json!(3), json!(false)));
    let again = baran.run(&["sync"]).exits(0);
    assert!(!again.stderr_text().contains("put back"), "said once: {again:?}");
    baran.record_new("note", &committee, &json!({ "text": "three" }));
    isla.sync();
    assert_eq!(texts(&isla), ["one", "three", "two"]);
    let _ = mira.run(&["sync"]).fails(5, "not-allowed");
    for home in [&isla, &baran] {
        assert_eq!(evidence(home, &committee), 0);
    }
}

/// What a relay was asked.
fn asked(relay: &Tap) -> Vec<Request> {
    let frames = relay.frames();
    let asked = frames.iter().filter(|frame| frame.direction == Direction::ToRelay);
    asked.map(|frame| frame::decode(&frame.bytes[4..]).expect("a request")).collect()
}

/// Whether a request holds what a device signed.
fn signs(asked: &Request) -> bool {
    matches!(asked, Request::Push(_) | Request::Cosign(_))
}

#[test]
fn a_vault_copied_back_of_a_device_that_was_retired_meanwhile_signs_nothing() {
    let relay = Tap::start();
    let [laptop, phone] = ["CH", "CH"].map(|land| Home::in_country(&programs(), "isla", land));
    let committee = laptop.found(relay.address(), &relay.permit(), "Harbour");
    let added = laptop.adds(&phone);
    let gone = added[0]["ref"].as_str().expect("a REF");
    phone.sync();
    phone.record_later("note", &committee, &json!({ "text": "one" }));
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let backup = elsewhere.path().join("backup");
    copy(&phone.vault(), &backup);
    phone.sync();
    let _ = laptop.run(&["device", "retire", gone, "--yes"]).exits(0);
    put_back(&backup, &phone.vault());

    let size = || laptop.run(&["committee", "audit", &committee]).exits(0).json()["size"].clone();
    let before = size();
    assert!(asked(&relay).iter().any(signs), "so far they did");
    relay.forget_frames();
    let _ = phone.run(&["sync"]).fails(5, "not-allowed");
    let note = json!({ "text": "two" });
    let _ = phone.try_record_new("note", &committee, &note).fails(5, "not-allowed");
    let _ = phone.run(&["sync"]).exits(5);
    let asked = asked(&relay);
    assert!(!asked.is_empty() && !asked.iter().any(signs), "{asked:?}");
    laptop.sync();
    assert_eq!(size(), before);
    assert_eq!(texts(&laptop), ["one"]);
    assert_eq!(evidence(&laptop, &committee), 0);
}
