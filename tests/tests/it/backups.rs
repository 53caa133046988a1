//! Old copies put back: a relay's data folder, a person's vault. What is older than what somebody
//! has seen is noticed, and nothing is written twice.

use std::path::Path;
use std::process::Command;

use sealpost_tests::home::Home;
use sealpost_tests::scene::Scene;
use serde_json::json;

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
        let caught = home.run(&["sync"]).fails(7, "verification-failed");
        assert!(caught.stderr_text().contains("evidence"), "{caught:?}");
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
    let _ = isla.run(&["sync"]).fails(7, "verification-failed");
    assert!(evidence(&isla, &committee) > 0);
    relay.stop();
    put_back(&islas, &relay.data());
    relay.restart();
    let _ = baran.run(&["sync"]).fails(7, "verification-failed");
    assert!(evidence(&baran, &committee) > 0);
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
