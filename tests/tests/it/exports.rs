//! Logs that leave a relay as files, and come back into another folder of the same relay.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sealpost_tests::home::Home;
use sealpost_tests::relay::Relay;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::programs;

fn evidence(home: &Home, committee: &str) -> Value {
    home.run(&["committee", "audit", committee]).exits(0).json()["evidence"].clone()
}

/// Every committee's log, with its attachments: the files.
fn exported(relay: &Relay, out: &Path) -> Vec<PathBuf> {
    let out = out.to_str().expect("a plain name");
    let export = relay.run(&["export", "--all", "--blobs", "--out", out, "--json"]).exits(0).json();
    let path = |one: &Value| PathBuf::from(one["file"].as_str().expect("a path"));
    export.as_array().expect("one a committee").iter().map(path).collect()
}

/// What an operator does who has a new disk: an empty folder, and in it the relay's key alone.
fn wipe(relay: &Relay) {
    let key = fs::read(relay.data().join("key")).expect("it is there");
    fs::remove_dir_all(relay.data()).expect("it is ours");
    fs::create_dir(relay.data()).expect("it is ours");
    let file = relay.data().join("key");
    fs::write(&file, key).expect("it is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
}

#[test]
fn a_relay_that_moves_to_another_folder_is_noticed_by_nobody() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let written = isla.record_new("note", &committee, &json!({ "text": "with a scan" })).reference;
    let scan = isla.file("scan.jpg", &[7; 100_000]);
    let attach = ["attach", &written, scan.to_str().expect("a plain name"), "--as", "scan"];
    let _ = isla.run(&attach).exits(0);
    let regretted = baran.record_new("note", &committee, &json!({ "text": "too much" })).reference;
    let _ = baran.run(&["record", "forget", &regretted, "--yes"]).exits(0);
    isla.sync();
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let out = elsewhere.path().join("out");
    let busy = ["export", "--all", "--out", out.to_str().expect("a plain name"), "--json"];
    let _ = relay.run(&busy).fails(1, "in-use");

    relay.stop();
    let files = exported(&relay, &out);
    wipe(&relay);
    let file = files[0].to_str().expect("a plain name");
    let came = relay.run(&["import", "--init", "--json", file]).exits(0).json();
    assert_eq!(came[0]["taken"], came[0]["size"]);
    let _ = relay.run(&["check"]).exits(0).says("in 1 logs are sound");
    // It goes out as it came in, and comes in once.
    let again = exported(&relay, &elsewhere.path().join("again"));
    assert_eq!(fs::read(&again[0]).expect("a file"), fs::read(file).expect("a file"));
    assert_eq!(relay.run(&["import", "--json", file]).exits(0).json()[0]["taken"], 0);
    relay.restart();

    for home in [&isla, &baran] {
        assert_eq!(home.sync()["sent"], 0);
        assert_eq!(evidence(home, &committee), 0);
    }
    let after = baran.record_new("note", &committee, &json!({ "text": "as ever" })).reference;
    isla.sync();
    assert_eq!(isla.show(&after)["verified"], true);
    // Who comes now is shown all of it, and the attachment.
    let mira = Home::in_country(&programs(), "mira", "DE");
    isla.let_in(&committee, &mira);
    let saved = mira.run(&["save", &written, "--out", "."]).exits(0).json();
    let saved = Path::new(saved[0]["path"].as_str().expect("a path"));
    assert_eq!(fs::read(mira.disk().join(saved)).expect("it was saved"), [7; 100_000]);
    let forgotten = |row: &&Value| row["state"] == "forgotten";
    assert_eq!(mira.records().iter().filter(forgotten).count(), 1);
    assert_eq!(evidence(&mira, &committee), 0);
}

#[test]
fn a_folder_whose_log_was_retired_serves_it_no_more_and_the_new_one_does() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    relay.stop();
    let out = elsewhere.path().to_str().expect("a plain name");
    let export = ["export", "--all", "--retire", "--out", out, "--json"];
    let retired = relay.run(&export).exits(0).json();
    assert_eq!(retired[0]["retired"], true);
    let file = retired[0]["file"].as_str().expect("a path");
    // Once it is retired it stays so, and says so, whatever is typed.
    for _ in 0..2 {
        let _ = relay.run(&["run", "--json"]).fails(1, "retired").says("goes on elsewhere");
    }
    let _ = relay.run(&["import", file, "--json"]).fails(1, "retired");
    let _ = relay.run(&["check"]).exits(0).says("was retired by an export");
    let again = elsewhere.path().join("again");
    let again = exported(&relay, &again);
    assert_eq!(fs::read(&again[0]).expect("a file"), fs::read(file).expect("a file"));

    wipe(&relay);
    let _ = relay.run(&["import", "--init", file]).exits(0);
    relay.restart();
    baran.record_new("note", &committee, &json!({ "text": "as ever" }));
    assert_eq!(isla.sync()["sent"], 0);
    assert_eq!(isla.records().len(), 1);
}

/// A kill before the mark leaves a folder that serves, and files that are whole or not there.
#[test]
fn an_export_that_was_broken_off_retires_nothing() {
    let Scene { mut relay, isla, committee, .. } = Scene::new(&programs());
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    relay.stop();
    let out = elsewhere.path().to_str().expect("a plain name");
    let _ = exported(&relay, elsewhere.path());
    // The file is there, as after a kill behind it: it is not written over, and nothing is retired.
    let export = ["export", "--all", "--retire", "--out", out, "--json"];
    let _ = relay.run(&export).fails(1, "file-exists");
    relay.restart();
    isla.record_new("note", &committee, &json!({ "text": "as ever" }));
    assert_eq!(isla.sync()["sent"], 0);
}

#[test]
fn an_old_export_put_in_the_place_of_a_newer_log_is_caught() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    relay.stop();
    let files = exported(&relay, elsewhere.path());
    relay.restart();
    isla.record_new("note", &committee, &json!({ "text": "accepted since" }));
    baran.sync();
    relay.stop();
    // Where the log is, the old one changes nothing.
    let file = files[0].to_str().expect("a plain name");
    let kept = relay.run(&["import", "--json", file]).exits(0).json();
    assert_eq!((&kept[0]["taken"], &kept[0]["size"]), (&json!(0), &json!(3)));
    // Where nothing is, the relay cannot know. Those who saw more do.
    wipe(&relay);
    let _ = relay.run(&["import", "--init", file]).exits(0);
    relay.restart();
    for home in [&isla, &baran] {
        let _ = home.run(&["sync"]).fails(7, "verification-failed");
    }
}
