//! `sync --watch` stays, says at once what comes, survives the relay, and ends when told to.

use std::fs;

use rustix::process::Signal;
use sealpost_tests::agent;
use sealpost_tests::process::Process;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::programs;

/// The next round that is told of.
#[track_caller]
fn round(watching: &mut Process) -> Value {
    let line = watching.line().expect("it stays");
    let round: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    let members: Vec<&str> = round.as_object().into_iter().flatten().map(|(k, _)| &**k).collect();
    let all = ["sent", "received", "fetched", "unsent", "relays", "notices", "news"];
    assert_eq!(members, all, "{round}");
    round
}

#[test]
fn a_colleagues_record_comes_at_once_and_one_written_here_goes_out() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let mut watching = baran.start(&["sync", "--watch"]);
    assert_eq!(round(&mut watching)["received"], 0, "the first round is told of in any case");

    let written = isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    assert_eq!(round(&mut watching)["received"], 1);
    // The watch holds the vault for no one command.
    let shown = baran.show(&written.reference);
    assert_eq!(shown["record"]["text"], "Hearing on Monday.");
    baran.record_later("note", &committee, &json!({ "text": "Thanks." }));
    let sent = round(&mut watching);
    assert_eq!((&sent["sent"], &sent["unsent"]), (&json!(1), &json!(0)));
    assert_eq!(isla.sync()["received"], 1);

    watching.signal(Signal::TERM);
    let ended = watching.finish().exits(0);
    assert_eq!(ended.stderr_text(), "", "{ended:?}");
}

#[test]
fn a_relay_that_comes_back_is_followed_again() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    let mut watching = baran.start(&["sync", "--watch"]);
    round(&mut watching);
    relay.kill();
    relay.restart();
    isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    assert_eq!(round(&mut watching)["received"], 1);
    // A graceful stop cuts watches off by itself.
    relay.stop();
    relay.restart();
    isla.record_new("note", &committee, &json!({ "text": "And on Tuesday." }));
    assert_eq!(round(&mut watching)["received"], 1);
    watching.signal(Signal::INT);
    let _ = watching.finish().exits(0);
    assert_eq!(baran.records().len(), 2);
}

#[test]
fn what_may_lock_its_memory_keeps_its_heap_locked_while_the_vault_is_read_and_written() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let mut watching = baran.start(&["sync", "--watch"]);
    round(&mut watching);
    isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    assert_eq!(round(&mut watching)["received"], 1);
    let maps = fs::read_to_string(agent::proc(watching.pid(), "smaps")).expect("we are root");
    let (writable, unlocked) = writable(&maps);
    assert!(writable > 10, "{maps}");
    assert_eq!(unlocked, Vec::<&str>::new());
    watching.signal(Signal::TERM);
    let _ = watching.finish().exits(0);
}

/// How many private mappings can be written to, and those of them that the kernel may swap out. The stack is none of
/// them: what the vault gave is on the heap.
fn writable(maps: &str) -> (usize, Vec<&str>) {
    let (mut mapping, mut count, mut unlocked) = ("", 0, Vec::new());
    for line in maps.lines() {
        match line.strip_prefix("VmFlags:") {
            None if line.contains(" rw-p ") && !line.ends_with("[stack]") => {
                (mapping, count) = (line, count + 1);
            }
            None if line.contains("-p ") => mapping = "",
            Some(flags) if !mapping.is_empty() && !flags.contains(" lo ") => unlocked.push(mapping),
            _ => {}
        }
    }
    (count, unlocked)
}
