//! Scenarios that need a file system of their own: a small one, and one that is read-only. Run
//! inside a user and mount namespace by the tests of `faults.rs`:
//!
//! ```text
//! TMPDIR=EMPTY-FOLDER unshare --user --map-root-user --mount confined SCENARIO
//! ```
//!
//! In there we are root of our own mounts and of nothing else.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::statvfs;
use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::programs::Programs;
use sealpost_tests::ran::Ran;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

const MIB: u64 = 1024 * 1024;
/// A relay's first segment takes 64 MiB; it must leave 32 free, and clients are small.
const DISK_BYTES: u64 = 144 * MIB;
/// Less than a relay must leave free, more than a client needs.
const SCARCE_BYTES: u64 = 16 * MIB;
/// A sync takes a tenth of a second, and a relay looks for room each second.
const TRIES_MAX: u32 = 100;

fn main() {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    match scenario.as_str() {
        "full-disk-of-relay" => full_disk_of_relay(&small_disk()),
        "full-disk-of-client" => full_disk_of_client(&small_disk()),
        "read-only-folder-of-relay" => read_only_folder_of_relay(),
        "read-only-folder-of-client" => read_only_folder_of_client(),
        other => panic!("no scenario {other:?}"),
    }
}

/// The relay refuses writes with words and serves reads; the client keeps what it could not
/// deliver, and delivers it when there is room again.
fn full_disk_of_relay(disk: &Path) {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let before = isla.record_new("note", &committee, &note("Before the disk was full."));
    let ballast = Ballast::leaving(disk, SCARCE_BYTES);
    let refused = isla.try_record_new("note", &committee, &note("While it was full."));
    assert!(said(&refused, 3, "not-delivered").contains("Full"), "{refused:?}");
    // Reads go on, also after a restart.
    assert_eq!(baran.sync()["received"], 1);
    relay.stop();
    relay.restart();
    let again = isla.run(&["sync"]);
    assert!(said(&again, 3, "not-delivered").contains("Full"), "{again:?}");
    baran.sync();
    assert_eq!(baran.show(&before.reference)["record"]["text"], "Before the disk was full.");
    assert!(relay.log().contains("the disk is full: writes are refused, reads go on"));

    drop(ballast);
    let report = isla.sync();
    assert_eq!((&report["sent"], &report["unsent"]), (&json!(1), &json!(0)));
    assert_eq!(baran.sync()["received"], 1);
    assert_eq!(texts(&baran), ["Before the disk was full.", "While it was full."]);
    relay.stop();
    let _ = relay.run(&["check"]).exits(0);
}

/// A client without room says so, changes nothing and shows what it has.
fn full_disk_of_client(disk: &Path) {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    isla.record_new("note", &committee, &note("Before the disk was full."));
    let later = isla.record_later("note", &committee, &note("Saved before."));
    let ballast = Ballast::leaving(disk, 0);
    let refused = isla.try_record_new("note", &committee, &note("There is no room for this."));
    let _ = refused.fails(1, "disk-full");
    assert_eq!(texts(&isla), ["Before the disk was full.", "Saved before."]);
    assert_eq!(isla.show(&later.reference)["record"]["text"], "Saved before.");
    let _ = baran.run(&["sync"]).fails(1, "disk-full");
    let _ = isla.run(&["sync"]).fails(1, "disk-full");

    drop(ballast);
    synced(&isla);
    synced(&baran);
    assert_eq!(texts(&baran), ["Before the disk was full.", "Saved before."]);
    relay.stop();
    let _ = relay.run(&["check"]).exits(0);
}

/// A relay whose folder cannot be written does not start, says why, and has changed nothing.
fn read_only_folder_of_relay() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    isla.record_new("note", &committee, &note("Hearing on Monday."));
    relay.stop();
    {
        let _read_only = ReadOnly::made(&relay.data());
        let _ = relay.refuses_to_run(&["--json"]).fails(1, "not-writable");
        let _ = relay.run(&["permit", "new", "--json"]).fails(1, "not-writable");
    }
    relay.restart();
    baran.sync();
    assert_eq!(texts(&baran), ["Hearing on Monday."]);

    let parent = tempfile::tempdir().expect("the temporary folder is writable");
    let _read_only = ReadOnly::made(parent.path());
    let mut init = programs().relay();
    init.arg("--data").arg(parent.path().join("data"));
    init.args(["run", "--init", "--listen", "127.0.0.1:0", "--json"]);
    let _ = Process::spawn(&mut init).finish().fails(1, "not-writable");
}

/// A client whose vault cannot be written says so, and shows what it has.
fn read_only_folder_of_client() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let written = isla.record_new("note", &committee, &note("Hearing on Monday."));
    {
        let _read_only = ReadOnly::made(&isla.vault());
        let refused = isla.try_record_new("note", &committee, &note("This cannot be kept."));
        let _ = refused.fails(1, "not-writable");
        let _ = isla.run(&["sync"]).fails(1, "not-writable");
        assert_eq!(texts(&isla), ["Hearing on Monday."]);
        assert_eq!(isla.show(&written.reference)["record"]["text"], "Hearing on Monday.");
    }
    isla.record_new("note", &committee, &note("This can."));
    baran.sync();
    assert_eq!(texts(&baran), ["Hearing on Monday.", "This can."]);

    let nowhere = Home::empty(&programs());
    let _read_only = ReadOnly::made(nowhere.disk());
    let _ = nowhere.init("selin").fails(1, "not-writable");
}

/// What takes the room on a disk; dropping it gives it back.
struct Ballast(PathBuf);

impl Ballast {
    /// Takes all but so many bytes.
    fn leaving(disk: &Path, bytes: u64) -> Self {
        let path = disk.join("ballast");
        let mut file = File::create_new(&path).expect("the disk is not full yet");
        let zeros = vec![0; 64 * 1024];
        // Written, not only reserved, and to the last byte: until the disk takes no more.
        while free_bytes(disk) > bytes {
            let step = (free_bytes(disk) - bytes).min(zeros.len() as u64);
            let step = usize::try_from(step).expect("at most the zeros");
            if file.write_all(&zeros[..step]).is_err() {
                break;
            }
        }
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it is ours");
    }
}

/// A folder that is mounted read-only; dropping it makes it as it was.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn made(folder: &Path) -> Self {
        let path = folder.to_str().expect("a plain path");
        run("mount", &["--bind", path, path]);
        run("mount", &["-o", "remount,bind,ro", path]);
        Self(folder.to_owned())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        run("umount", &[self.0.to_str().expect("a plain path")]);
    }
}

/// Everything temporary stands on a small disk of its own from now on.
fn small_disk() -> PathBuf {
    let folder = std::env::temp_dir();
    let size = format!("size={DISK_BYTES}");
    run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", folder.to_str().expect("a plain path")]);
    folder
}

fn free_bytes(disk: &Path) -> u64 {
    let found = statvfs(disk).expect("it is mounted");
    found.f_bavail * found.f_frsize
}

fn run(program: &str, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).output().expect("util-linux is there");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments:?}: {said}");
}

/// Syncs until all is sent and followed. Where nothing at all was left, the relay's index may have failed:
/// it says so until it has made it anew, within seconds of there being room.
fn synced(home: &Home) {
    for _ in 0..TRIES_MAX {
        let ran = home.run(&["sync"]);
        match ran.code() {
            Some(0) => return,
            Some(3 | 11) => assert!(format!("{ran:?}").contains("the relay refused"), "{ran:?}"),
            _ => panic!("{ran:?}"),
        }
    }
    panic!("the relay does not recover");
}

/// What a command that failed so says happened.
fn said(ran: &Ran, code: i32, error: &str) -> String {
    let failure = ran.failure();
    assert_eq!((ran.code(), failure["error"].as_str()), (Some(code), Some(error)), "{ran:?}");
    failure["what"].to_string()
}

fn note(text: &str) -> Value {
    json!({ "text": text })
}

/// The texts of all records, in the order of the list.
fn texts(home: &Home) -> Vec<String> {
    let shown = |row: &Value| {
        let shown = home.show(row["ref"].as_str().expect("every record has one"));
        shown["record"]["text"].as_str().expect("notes have text").to_owned()
    };
    home.records().iter().map(shown).collect()
}

/// The programs beside this one.
fn programs() -> Programs {
    let here = std::env::current_exe().expect("Linux knows what runs");
    let beside = |name: &str| here.with_file_name(name);
    Programs { client: beside("sealpost-tested"), relay: beside("sealpost-relay-tested") }
}
