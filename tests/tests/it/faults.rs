//! Disks without room, folders that cannot be written, data of another version: named errors,
//! nothing lost, reads go on (rows F4, F8). Other faults stand elsewhere: passphrases in
//! `hygiene.rs`, syncs and clocks in `offline.rs`, ports and second relays in `operator.rs`,
//! relays of another version in `lies.rs`.

use std::fs;
use std::process::Command;

use sealpost_tests::process::Process;
use sealpost_tests::scene::Scene;
use serde_json::json;

use crate::programs;

/// Runs a scenario of `src/bin/confined.rs` with mounts of its own.
#[track_caller]
fn confined(scenario: &str) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command.args([env!("CARGO_BIN_EXE_sealpost-confined"), scenario]);
    command.env("TMPDIR", folder.path());
    let ran = Process::spawn(&mut command).finish();
    assert!(
        !ran.stderr_text().contains("unshare: "),
        "this test needs user namespaces, and they are off here. To turn them on, as root:\n\
         \tsysctl -w user.max_user_namespaces=10000\n\
         \tsysctl -w kernel.unprivileged_userns_clone=1              (Debian before 11)\n\
         \tsysctl -w kernel.apparmor_restrict_unprivileged_userns=0  (Ubuntu from 23.10)\n\
         In a container: docker run --security-opt seccomp=unconfined --cap-add SYS_ADMIN\n{ran:?}"
    );
    let _ = ran.exits(0);
}

#[test]
fn a_relay_without_room_refuses_writes_by_name_and_serves_reads() {
    confined("full-disk-of-relay");
}

#[test]
fn a_client_without_room_says_so_and_loses_nothing() {
    confined("full-disk-of-client");
}

#[test]
fn a_relay_that_cannot_write_its_folder_does_not_start_and_says_why() {
    confined("read-only-folder-of-relay");
}

#[test]
fn a_client_that_cannot_write_its_vault_says_so_and_shows_what_it_has() {
    confined("read-only-folder-of-client");
}

#[test]
fn a_data_folder_of_another_version_is_refused_by_every_command_and_stays_as_it_is() {
    let Scene { mut relay, isla, baran, committee } = Scene::new(&programs());
    isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    relay.stop();
    let format = relay.data().join("format");
    let ours = fs::read_to_string(&format).expect("every data folder has one");
    for version in ["0", "2", "4000000000"] {
        let line = ours.replace(" 1\n", &format!(" {version}\n"));
        assert_ne!(line, ours);
        fs::write(&format, &line).expect("it is ours");
        let _ = relay.refuses_to_run(&["--json"]).fails(12, "other-version");
        let _ = relay.run(&["check", "--json"]).fails(12, "other-version");
        let _ = relay.run(&["permit", "new", "--json"]).fails(12, "other-version");
        assert_eq!(fs::read_to_string(&format).expect("it is there"), line);
    }
    fs::write(&format, ours).expect("it is ours");
    relay.restart();
    assert_eq!(baran.sync()["received"], 1);
}
