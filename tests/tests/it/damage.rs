//! A data folder that is not as the relay left it: caches are made anew, an unfinished last write
//! is cut off with a word, and damage is refused by `run` and located by `check` (rows F2, F5, F9).

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use sealpost_tests::campaign::disk::{KillWhenTold, ORDERS};
use sealpost_tests::home::Home;
use sealpost_tests::programs::Programs;
use sealpost_tests::relay::{Options, Relay};
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::programs;

const RECORDS: usize = 5;

fn note(text: &str) -> Value {
    json!({ "text": text })
}

fn scene() -> Scene {
    let scene = Scene::new(&programs());
    for number in 1..=RECORDS {
        scene.isla.record_new("note", &scene.committee, &note(&format!("Note {number}.")));
    }
    scene
}

/// All files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Changes every byte of every file under a folder.
fn spoil(folder: &Path) {
    let files = files(folder);
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    for path in files {
        let bytes: Vec<u8> = fs::read(&path).expect("ours").iter().map(|byte| !byte).collect();
        fs::write(&path, bytes).expect("ours");
    }
}

fn remove(folder: &Path) {
    fs::remove_dir_all(folder).expect("ours");
}

/// The only segment of a journal.
fn segment(relay: &Relay) -> PathBuf {
    let mut files = files(&relay.data().join("journal"));
    files.retain(|path| !path.ends_with("next"));
    let [segment] = files.as_slice() else { panic!("one segment: {files:?}") };
    segment.clone()
}

#[test]
fn caches_that_are_lost_or_spoiled_are_made_anew_from_the_journal() {
    type Harm = fn(&Path);
    let Scene { mut relay, isla, baran, committee } = scene();
    let harm: [(&str, Harm); 6] = [
        ("index", remove),
        ("index", spoil),
        ("tiles", spoil),
        ("snapshots", remove_contents),
        ("tiles", remove_contents),
        ("index", remove_contents),
    ];
    for (round, (cache, harm)) in harm.into_iter().enumerate() {
        relay.stop();
        harm(&relay.data().join(cache));
        relay.restart();
        // Someone who has nothing yet asks for everything, proofs included.
        let newcomer = Home::in_country(&programs(), &format!("selin-{round}"), "DE");
        isla.let_in(&committee, &newcomer);
        assert_eq!(newcomer.records().len(), RECORDS + round, "{cache}");
        isla.record_new("note", &committee, &note(&format!("After round {round}.")));
    }
    baran.sync();
    assert_eq!(baran.records().len(), RECORDS + 6);
    relay.stop();
    let _ = relay.run(&["check"]).exits(0);
}

fn remove_contents(folder: &Path) {
    for path in files(folder) {
        fs::remove_file(path).expect("ours");
    }
}

#[test]
fn an_unfinished_last_write_is_cut_off_with_a_word_before_anything_is_appended() {
    let mortal =
        Programs { relay: env!("CARGO_BIN_EXE_sealpost-relay-dying").into(), ..programs() };
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let orders = folder.path().join("orders");
    let environment = vec![(ORDERS.to_owned(), orders.display().to_string())];
    let relay = Relay::start_with(&mortal, Options { environment, ..Options::default() });
    let address = relay.address().to_owned();
    let Scene { mut relay, isla, baran, committee } = Scene::at(&mortal, relay, &address);
    isla.record_later("note", &committee, &note("Half of this is written."));
    KillWhenTold::order(&orders, 1, KillWhenTold::HALF_WRITTEN);
    let syncing = isla.start(&["sync"]);
    assert_eq!(relay.wait().signal(), Some(Signal::KILL.as_raw()));
    drop(syncing);

    let torn = fs::read(segment(&relay)).expect("ours");
    let _ = relay.run(&["check"]).exits(0).says("an unfinished last write");
    assert_eq!(fs::read(segment(&relay)).expect("ours"), torn, "check changes nothing");
    assert!(!relay.log().contains("cut off"), "{}", relay.log());
    relay.restart();
    assert!(relay.log().contains("cut off"), "{}", relay.log());
    let cut = fs::read(segment(&relay)).expect("ours");
    assert!(written(&cut) < written(&torn), "what was torn is still there");

    assert_eq!(isla.sync()["unsent"], 0);
    baran.sync();
    assert_eq!(baran.records().len(), 1);
    relay.stop();
    let _ = relay.run(&["check"]).exits(0);
}

/// Up to where a segment is more than the zeros it was made of.
fn written(segment: &[u8]) -> usize {
    segment.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[test]
fn damage_in_the_middle_is_refused_by_run_located_by_check_and_nothing_is_changed() {
    let Scene { mut relay, isla, baran, .. } = scene();
    relay.stop();
    let path = segment(&relay);
    let sound = fs::read(&path).expect("ours");
    let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
    let middle = written(&sound) / 2;
    let mut damaged = sound.clone();
    damaged[middle] ^= 0x10;
    fs::write(&path, &damaged).expect("ours");

    let located = relay.run(&["check", "--json"]).fails(7, "damaged");
    let findings = located.json();
    let findings = findings.as_array().expect("an array of findings");
    let at = findings.iter().find(|finding| finding["file"] == format!("journal/{name}"));
    let at = at.unwrap_or_else(|| panic!("not located: {located:?}"))["offset"].as_u64();
    let frame_bytes_max = 16 * 1024;
    let near = at.is_some_and(|at| (at..at + frame_bytes_max).contains(&(middle as u64)));
    assert!(near, "located at {at:?} instead of {middle}");
    // With the index, which says where everything is, and without it.
    let _ = relay.refuses_to_run(&["--json"]).fails(7, "damaged");
    remove(&relay.data().join("index"));
    let _ = relay.refuses_to_run(&["--json"]).fails(7, "damaged");
    assert!(fs::read(&path).expect("ours") == damaged, "run changed a damaged journal");

    fs::write(&path, sound).expect("ours");
    relay.restart();
    isla.sync();
    baran.sync();
    assert_eq!(baran.records().len(), RECORDS);
}
