//! `sealpost demo`: what a newcomer types first.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::programs::Programs;
use serde_json::Value;

use crate::programs;

/// The demo on a machine without a vault, with the relay's program in PATH, and its processes and
/// folders where they can be seen.
fn demo(programs: &Programs, home: &Home, path: &str) -> Command {
    let mut command = programs.client();
    let temporary = home.disk().join("tmp");
    fs::create_dir_all(&temporary).expect("it is ours");
    command.env("PATH", path).env("HOME", home.disk()).env("TMPDIR", temporary).arg("demo");
    command
}

fn relay_in_path(programs: &Programs, home: &Home) -> String {
    let folder = home.disk().join("bin");
    fs::create_dir_all(&folder).expect("it is ours");
    symlink(&programs.relay, folder.join("sealpost-relay")).expect("it is ours");
    folder.to_str().expect("a plain path").to_owned()
}

/// Processes that were started with this folder for their TMPDIR and still run.
fn left_running(home: &Home) -> Vec<String> {
    let folder = home.disk().to_str().expect("a plain path").to_owned();
    let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let ours = processes.filter(|process| {
        fs::read(process.path().join("environ"))
            .is_ok_and(|environ| String::from_utf8_lossy(&environ).contains(&folder))
    });
    ours.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_demo_shows_the_whole_way_and_leaves_nothing() {
    let programs = programs();
    let home = Home::empty(&programs);
    let path = relay_in_path(&programs, &home);
    let shown = Process::spawn(&mut demo(&programs, &home, &path)).finish().exits(0);
    let shown = shown.stdout_text();
    for part in [
        "sealpost-relay",
        "committee found",
        "sealpost join",
        "Safety number",
        "member admit",
        "record new trial-note",
        "sync",
        "61 67 65 2d 65 6e 63 72 79 70 74 69 6f 6e", // age-encryption, as the relay holds it
        "no defence witness",
        "NotFound",
        "by hand",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let left: Vec<_> = fs::read_dir(home.disk().join("tmp")).expect("ours").collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(left_running(&home), [""; 0]);
    assert!(!home.disk().join(".local").exists(), "the person's own vault was not touched");
}

#[test]
fn for_scripts_the_demo_is_one_object() {
    let programs = programs();
    let home = Home::empty(&programs);
    let path = relay_in_path(&programs, &home);
    let ran = Process::spawn(demo(&programs, &home, &path).arg("--json")).finish().exits(0);
    let json: Value = ran.json();
    assert_eq!(json["plaintext_at_relay"], false, "{json}");
    assert_eq!(json["uninvited"], "NotFound", "{json}");
}

#[test]
fn without_a_relay_program_the_demo_says_how_to_get_one() {
    let programs = programs();
    let home = Home::empty(&programs);
    // Alone in a folder: a relay's program that was built may stand beside the tested one.
    let alone = home.disk().join("sealpost");
    fs::copy(&programs.client, &alone).expect("it is ours");
    let programs = Programs { client: alone, ..programs };
    let mut command = demo(&programs, &home, "/nonexistent");
    let failed = Process::spawn(command.arg("--json")).finish().fails(6, "not-found");
    let _ = failed.says("cargo build");
    assert_eq!(left_running(&home), [""; 0]);
}
