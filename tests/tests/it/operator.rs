//! The relay as its operator has it: permits, the address, checks, metrics, a graceful end.

use rustix::process::Signal;
use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::programs;

fn listed(relay: &Relay) -> Vec<Value> {
    let ran = relay.run(&["permit", "list", "--json"]).exits(0);
    ran.json().as_array().unwrap_or_else(|| panic!("no array: {ran:?}")).clone()
}

#[test]
fn the_address_is_the_same_beside_a_running_relay_and_without_one() {
    let mut relay = Relay::start(&programs());
    let beside = relay.run(&["key"]).exits(0).stdout_text();
    assert_eq!(beside, format!("{}\n", relay.address()), "the address alone");
    relay.stop();
    assert_eq!(relay.run(&["key"]).exits(0).stdout_text(), beside);
    relay.restart();
    assert_eq!(relay.run(&["key"]).exits(0).stdout_text(), beside);
}

#[test]
fn a_permit_founds_one_committee_and_a_revoked_one_none() {
    let programs = programs();
    let mut relay = Relay::start(&programs);
    let home = Home::of(&programs, "isla");
    let (first, second) = (relay.permit(), relay.permit());
    assert_eq!(listed(&relay).len(), 2);
    home.found(relay.address(), &first, "Harbour");
    let again = home.try_found(relay.address(), &first, "Another");
    assert!(!again.status.success(), "{again:?}");
    let _ = again.failure();
    assert_eq!(home.run(&["committee", "list"]).exits(0).json().as_array().map(Vec::len), Some(1));

    let used = |permit: &Value| permit["used"] == true;
    let permits = listed(&relay);
    assert_eq!(permits.iter().filter(|permit| used(permit)).count(), 1, "{permits:?}");
    let unused = permits.iter().find(|permit| !used(permit)).expect("the second");
    let id = unused["id"].as_str().expect("an id").to_owned();
    let _ = relay.run(&["permit", "revoke", &id]).exits(0);
    let _ = home.try_found(relay.address(), &second, "Another").fails(6, "not-found");
    let _ = home.try_found(relay.address(), "no code", "Another").fails(2, "usage");
    // A used one cannot be revoked, and what never was neither; both with words.
    let founded = permits.iter().find(|permit| used(permit)).expect("the first");
    let _ = relay.run(&["permit", "revoke", founded["id"].as_str().expect("an id")]).exits(6);
    let _ = relay.run(&["permit", "revoke", "00000000"]).exits(6);
    // Permits stand in the journal like everything else, and are made without a relay too.
    relay.kill();
    let third = relay.permit();
    relay.restart();
    let left = listed(&relay);
    assert_eq!(left.iter().filter(|permit| used(permit)).count(), 1, "{left:?}");
    home.found(relay.address(), &third, "Another");
}

#[test]
fn check_verifies_a_folder_that_nobody_serves_and_refuses_one_that_is_served() {
    let Scene { mut relay, isla, committee, .. } = Scene::new(&programs());
    isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    let busy = relay.run(&["check", "--json"]);
    assert!(!busy.status.success(), "{busy:?}");
    let _ = busy.failure();
    relay.stop();
    let sound = relay.run(&["check"]).exits(0);
    let _ = sound.says("3 entries in 1 logs are sound");
    // It changes nothing: twice the same, and the relay goes on.
    let _ = relay.run(&["check"]).exits(0).says("3 entries in 1 logs are sound");
    relay.restart();
    isla.sync();
}

#[test]
fn a_second_relay_on_a_folder_or_a_port_is_refused_by_name() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let refused = |ran: &Ran, words: &str| {
        assert!(!ran.status.success(), "{ran:?}");
        let said = ran.failure()["what"].to_string();
        assert!(said.contains(words), "{said}");
    };
    let folder = relay.run(&["run", "--listen", "127.0.0.1:0", "--json"]);
    refused(&folder, "another");
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let port = |data: &str| {
        let mut command = programs.relay();
        command.args(["--data", data, "run", "--init", "--json"]);
        command.args(["--listen", &relay.listens_at().to_string()]);
        Process::spawn(&mut command).finish()
    };
    let data = elsewhere.path().join("data");
    refused(&port(data.to_str().expect("a plain path")), "in use");
    // The first one goes on.
    let home = Home::of(&programs, "isla");
    home.found(relay.address(), &relay.permit(), "Harbour");
}

#[test]
fn a_data_folder_is_never_made_or_overwritten_by_accident() {
    let programs = programs();
    let mut relay = Relay::start(&programs);
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let data = elsewhere.path().join("data");
    let mut command = programs.relay();
    command.arg("--data").arg(&data).args(["run", "--listen", "127.0.0.1:0", "--json"]);
    let refused = Process::spawn(&mut command).finish();
    assert!(!refused.status.success(), "{refused:?}");
    let _ = refused.failure();
    assert!(!data.exists(), "none was made");
    relay.stop();
    let again = relay.refuses_to_run(&["--init", "--json"]);
    assert!(!again.status.success(), "{again:?}");
    let _ = again.failure();
    relay.restart();
}

#[test]
fn told_to_stop_it_says_goodbye_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
        let mut watching = baran.start(&["sync", "--watch"]);
        watching.line();
        rustix::process::kill_process(relay.pid(), signal).expect("it runs");
        assert!(relay.wait().success(), "{}", relay.log());
        relay.restart();
        isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
        watching.line_where(|line| line.contains("\"received\":1"));
    }
}
