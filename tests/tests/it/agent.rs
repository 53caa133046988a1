//! The agent: what it opens and for how long, who may ask it, and that nothing of it is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use sealpost_tests::agent::{self, Running, processes};
use sealpost_tests::home::Home;
use sealpost_tests::process::{DEADLINE, Process};
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::as_root::is_root;
use crate::programs;

/// Runs a command without a passphrase, and without a terminal to ask for one at.
#[track_caller]
pub(crate) fn without_passphrase(home: &Home, arguments: &[&str]) -> Ran {
    Process::spawn(&mut agent::without_passphrase(home, arguments)).finish()
}

#[track_caller]
pub(crate) fn is_locked(home: &Home) {
    let _ = without_passphrase(home, &["record", "list"]).fails(4, "locked");
}

#[track_caller]
pub(crate) fn is_unlocked(home: &Home) {
    let _ = without_passphrase(home, &["record", "list"]).exits(0);
}

pub(crate) fn socket(home: &Home) -> PathBuf {
    home.vault().join("agent.sock")
}

/// Has a watch opened by an agent that ends by `limit`, and returns once both are gone. How long a watch
/// needs to come up on a busy machine nobody knows: where the time was too short, a longer one is tried.
#[track_caller]
pub(crate) fn watches_until_it_ends(home: &Home, limit: &str, unlock: impl Fn(&[&str])) {
    for seconds in [4, 8, 16, 32, 64] {
        unlock(&[limit, &format!("{seconds}s")]);
        let ends = Running::still_of(&home.vault());
        let mut watch = Process::spawn(&mut agent::without_passphrase(home, &["sync", "--watch"]));
        let came_up = watch.line().is_some();
        if let Some(agent) = ends {
            agent.is_gone_within(DEADLINE);
        }
        let _ = watch.finish().fails(4, "locked");
        if came_up {
            return;
        }
    }
    panic!("no time was long enough for a watch to come up");
}

#[test]
fn between_unlock_and_lockup_no_passphrase_is_needed() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    is_locked(&isla);
    assert_eq!(isla.status()["unlocked"], Value::Null);
    let unlocked = isla.run(&["unlock"]).exits(0).json();
    let agent = Running::of(&isla.vault());
    assert!(unlocked["until"].as_str() > unlocked["unused_until"].as_str(), "{unlocked}");
    let new = ["record", "new", "note", "--committee", &committee, "--from"];
    let text =
        isla.file("note.json", json!({ "text": "Hearing on Monday." }).to_string().as_bytes());
    let written = [&new[..], &[text.to_str().expect("a plain path")]].concat();
    let written = without_passphrase(&isla, &written).exits(0).field("ref");
    let _ = without_passphrase(&isla, &["sync"]).exits(0);
    baran.sync();
    assert_eq!(baran.show(&written)["record"]["text"], "Hearing on Monday.");
    // Words, for people, and of the command with the passphrase too.
    let shown = without_passphrase(&isla, &["status"]).exits(0).json();
    assert_eq!(shown["unlocked"]["until"].as_str().map(str::len), Some(24), "{shown}");
    let _ = isla.run_plain(&["status"]).exits(0).says("Unlocked until 2").says("sealpost lockup");

    let _ = isla.run_plain(&["lockup"]).exits(0).says("Locked");
    agent.is_gone_within(Duration::ZERO);
    assert_eq!(processes(&isla.vault()), []);
    assert!(!socket(&isla).exists());
    is_locked(&isla);
    assert_eq!(isla.status()["unlocked"], Value::Null);
    assert_eq!(isla.run(&["lockup"]).exits(0).json(), json!({ "ended": false }));
}

#[test]
fn a_wrong_passphrase_starts_nothing() {
    let home = Home::of(&programs(), "isla");
    fs::write(home.passphrase_file(), "summer light").expect("it is ours");
    let _ = home.run(&["unlock"]).fails(4, "locked");
    assert_eq!(processes(&home.vault()), []);
    is_locked(&home);
}

#[test]
fn a_passphrase_by_flag_is_read_whether_or_not_there_is_an_agent() {
    let home = Home::of(&programs(), "isla");
    let _agent = Running::unlock(&home, &[]);
    fs::write(home.passphrase_file(), "summer light").expect("it is ours");
    let _ = home.run(&["record", "list"]).fails(4, "locked");
    is_unlocked(&home);
}

#[test]
fn its_time_ends_it_and_so_does_idleness() {
    let home = Home::of(&programs(), "isla");
    for limit in [["--for", "2s"], ["--idle", "2s"]] {
        let unlocked = home.run(&[&["unlock"], &limit[..]].concat()).exits(0).json();
        assert!(unlocked["unused_until"].is_string(), "{unlocked}");
        // On a busy machine it may be over by now.
        if let Some(agent) = Running::still_of(&home.vault()) {
            agent.is_gone_within(DEADLINE);
        }
        assert_eq!(processes(&home.vault()), []);
        assert!(!socket(&home).exists());
        is_locked(&home);
    }
}

#[test]
fn a_watch_that_the_agent_opened_ends_with_it() {
    let relay = Relay::start(&programs());
    let home = Home::of(&programs(), "isla");
    home.found(relay.address(), &relay.permit(), "Harbour");
    let agent = Running::unlock(&home, &[]);
    let mut watch = Process::spawn(&mut agent::without_passphrase(&home, &["sync", "--watch"]));
    // It is in the midst of it, and has the keys.
    let _ = watch.line_where(|line| line.contains("received"));
    let _ = home.run(&["lockup"]).exits(0);
    agent.is_gone_within(DEADLINE);
    let _ = watch.finish().fails(4, "locked");
    assert_eq!(processes(&home.vault()), []);
    watches_until_it_ends(&home, "--for", |more| {
        let _ = home.run(&[&["unlock"], more].concat()).exits(0);
    });
    assert_eq!(processes(&home.vault()), []);
}

#[test]
fn a_second_unlock_begins_anew() {
    let home = Home::of(&programs(), "isla");
    let first = Running::unlock(&home, &["--for", "1h"]);
    let until = |home: &Home| home.status()["unlocked"]["until"].as_str().map(str::to_owned);
    let before = until(&home);
    let second = Running::unlock(&home, &["--for", "2h"]);
    first.is_gone_within(Duration::ZERO);
    assert_ne!(first.pid(), second.pid());
    assert!(before.is_some() && until(&home) > before);
    is_unlocked(&home);
}

#[test]
fn one_that_was_killed_or_told_to_end_is_no_hurdle() {
    let home = Home::of(&programs(), "isla");
    let killed = Running::unlock(&home, &[]);
    killed.signal(Signal::KILL);
    killed.is_gone_within(DEADLINE);
    assert!(socket(&home).exists(), "nobody took it away");
    is_locked(&home);
    home.status();
    let told = Running::unlock(&home, &[]);
    is_unlocked(&home);
    told.signal(Signal::TERM);
    told.is_gone_within(DEADLINE);
    assert!(!socket(&home).exists(), "a clean end");
}

#[test]
fn one_that_does_not_answer_is_killed_by_lockup() {
    let home = Home::of(&programs(), "isla");
    let stopped = Running::unlock(&home, &[]);
    stopped.signal(Signal::STOP);
    is_locked(&home);
    let _ = home.run(&["lockup"]).exits(0);
    stopped.is_gone_within(Duration::ZERO);
    assert!(!socket(&home).exists());
}

#[test]
fn one_that_no_lockup_can_reach_ends_by_itself() {
    let home = Home::of(&programs(), "isla");
    let lost = Running::unlock(&home, &[]);
    fs::remove_file(socket(&home)).expect("it is there");
    lost.is_gone_within(DEADLINE);
}

#[test]
fn it_holds_nothing_open_and_does_nothing_but_answer() {
    // The folder of a process that keeps its memory to itself is shown to root alone.
    if !is_root() {
        return;
    }
    let home = Home::of(&programs(), "isla");
    // A passphrase's file that the shell opened, and a pipe that somebody reads to its end.
    let mut shell = Command::new("sh");
    let script = "exec \"$0\" --home \"$1\" --passphrase-fd 3 --json unlock 3<\"$2\" 4>&1";
    shell.args(["-c", script]).arg(home.bare().get_program());
    shell.arg(home.vault()).arg(home.passphrase_file());
    let _ = Process::spawn(&mut shell).finish().exits(0);
    let agent = Running::of(&home.vault());
    is_unlocked(&home);
    let mut open: Vec<PathBuf> = fs::read_dir(agent.proc("fd"))
        .expect("it runs")
        .map(|entry| fs::read_link(entry.expect("it runs").path()).expect("it runs"))
        .collect();
    open.retain(|path| path.starts_with("/") && path != Path::new("/dev/null"));
    assert_eq!(open, [home.vault()], "the folder, to reach its own socket through");
    assert_eq!(fs::read_link(agent.proc("cwd")).expect("it runs"), Path::new("/"));
    let ids = fs::read_to_string(agent.proc("stat")).expect("it runs");
    let session =
        ids.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3)).map(str::to_owned);
    assert_eq!(session, Some(agent.pid().as_raw_nonzero().to_string()), "a session of its own");
}
