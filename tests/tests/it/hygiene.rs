//! The client as a guest on a machine: what it leaves there, what others can see, and what it says
//! when something is not right.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::process::Process;
use sealpost_tests::relay::Relay;
use sealpost_tests::scan::Marker;
use sealpost_tests::scene::Scene;
use serde_json::json;

use crate::programs;

/// The names below a folder, with the bits of who may do what.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut modes = Vec::new();
    for entry in fs::read_dir(folder).expect("it is ours") {
        let entry = entry.expect("it is ours");
        let mode = entry.metadata().expect("it is ours").permissions().mode() & 0o777;
        modes.push((entry.file_name().to_string_lossy().into_owned(), mode));
    }
    modes.sort();
    modes
}

#[test]
fn a_home_holds_four_files_for_its_owner_alone_and_nothing_is_left_beside_it() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    isla.record_later("note", &committee, &json!({ "text": "Visit on Friday." }));
    for home in [&isla, &baran] {
        home.sync();
        let vault = fs::metadata(home.vault()).expect("it is there").permissions().mode();
        assert_eq!(vault & 0o777, 0o700);
        let known = ["identity.age", "lock", "vault.db", "vault.db-journal"];
        assert_eq!(modes(&home.vault()), known.map(|name| (name.to_owned(), 0o600)));
        let beside: Vec<_> = modes(home.disk()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(beside, ["passphrase", "vault"], "TMPDIR and HOME are here too");
    }
}

#[test]
fn an_umask_that_lets_all_in_changes_nothing() {
    let home = Home::empty(&programs());
    let mut shell = std::process::Command::new("sh");
    let init = home.command(&["init", "--handle", "isla", "--danger-work-factor", "1"]);
    let script = "umask 000 && exec \"$@\"";
    shell.args(["-c", script, "sh"]).arg(init.get_program()).args(init.get_args());
    let _ = Process::spawn(&mut shell).finish().exits(0);
    assert_eq!(fs::metadata(home.vault()).expect("made").permissions().mode() & 0o777, 0o700);
    assert!(modes(&home.vault()).iter().all(|(_, mode)| *mode == 0o600), "{:?}", home.vault());
}

#[test]
fn others_on_the_machine_see_no_secret_and_no_name() {
    let programs = programs();
    let mut scene = Scene::new(&programs);
    let marker = Marker::random();
    let text = json!({ "text": marker.text() });
    scene.isla.record_new("note", &scene.committee, &text);
    let mut watching = scene.baran.start(&["sync", "--watch"]);
    watching.line();
    // What `ps` shows, of the client and of the relay, to every user.
    for pid in [watching.pid(), scene.relay.pid()] {
        let pid = pid.as_raw_nonzero();
        for seen in ["cmdline", "environ", "comm"] {
            let bytes = match fs::read(format!("/proc/{pid}/{seen}")) {
                // The client shows its environment to nobody, its own user included.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
                bytes => bytes.expect("it runs"),
            };
            let shown = String::from_utf8_lossy(&bytes);
            for secret in [marker.text(), PASSPHRASE, "isla", "baran", "Harbour", "winter"] {
                assert!(!shown.contains(secret), "{secret} in {seen}: {shown}");
            }
        }
    }
    // No crash writes memory to a file.
    let limits = fs::read_to_string(format!("/proc/{}/limits", watching.pid().as_raw_nonzero()));
    let limits = limits.expect("it runs");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(cores.is_some_and(|line| line.split_whitespace().nth(4) == Some("0")), "{limits}");
    watching.signal(Signal::TERM);
    let ended = watching.finish().exits(0);
    assert_eq!(marker.in_bytes(&ended.stderr), None);
    scene.relay.stop();
    assert_eq!(marker.in_bytes(scene.relay.log().as_bytes()), None);
}

#[test]
fn the_relays_log_names_nobody_and_nothing_above_debug() {
    let mut scene = Scene::new(&programs());
    let text = json!({ "text": "Hearing on Monday." });
    scene.isla.record_new("note", &scene.committee, &text);
    let stranger = Home::of(&programs(), "stranger");
    let _ = stranger.join(&scene.isla.invite(&scene.committee)).exits(0);
    let ids: Vec<String> = [&scene.isla, &scene.baran, &stranger]
        .iter()
        .flat_map(|home| {
            let shown = home.run(&["device", "show"]).exits(0).json();
            shown
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, value)| value.clone())
                .collect::<Vec<_>>()
        })
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect();
    let committee = scene.isla.run(&["committee", "show"]).exits(0).field("id");
    scene.relay.stop();
    let log = scene.relay.log();
    assert!(log.contains("ready") && log.contains("stopp"), "it does log:\n{log}");
    for name in ids.iter().chain([&committee]) {
        assert!(!log.contains(name.as_str()), "{name} in\n{log}");
    }
    assert!(!log.contains("127.0.0.1"), "an address in\n{log}");
}

#[test]
fn a_wrong_passphrase_is_exit_4_and_says_only_that() {
    let home = Home::of(&programs(), "isla");
    let passphrase = |text: &str| fs::write(home.passphrase_file(), text).expect("it is ours");
    for wrong in ["winter light over the harbou", "Winter light over the harbour", "xyzzy"] {
        passphrase(wrong);
        let ran = home.run(&["status"]).fails(4, "locked");
        assert!(!ran.stderr_text().contains(wrong), "{ran:?}");
    }
    passphrase("");
    let empty = home.run(&["status"]);
    assert!(matches!(empty.code(), Some(2 | 4)), "{empty:?}");
    let _ = empty.failure();
    fs::remove_file(home.passphrase_file()).expect("it is ours");
    let _ = home.run(&["status"]).fails(4, "locked");
    // One line feed at the end is no part of it; that is how editors write files.
    passphrase(&format!("{PASSPHRASE}\n"));
    home.status();
}

#[test]
fn the_passphrase_comes_from_a_descriptor_too() {
    let home = Home::of(&programs(), "isla");
    let mut shell = std::process::Command::new("sh");
    let script = "exec \"$0\" --home \"$1\" --passphrase-fd 3 --json status 3<\"$2\"";
    shell.args(["-c", script]).arg(home.bare().get_program());
    shell.arg(home.vault()).arg(home.passphrase_file());
    assert_eq!(Process::spawn(&mut shell).finish().exits(0).field("handle"), "isla");
}

#[test]
fn without_a_vault_every_command_that_needs_one_is_exit_10() {
    let home = Home::empty(&programs());
    let relay = "sealpost://aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq@127.0.0.1:1";
    let commands: &[&[&str]] = &[
        &["status"],
        &["sync"],
        &["sync", "--watch"],
        &["device", "show"],
        &["committee", "list"],
        &["committee", "show"],
        &["committee", "audit"],
        &["committee", "lock", "C-0000000", "--yes"],
        &["invite", "new"],
        &["invite", "list"],
        &["invite", "cancel", "IV-0000000"],
        &["join"],
        &["member", "list"],
        &["member", "admit", "DV-0000000"],
        &["record", "new", "note"],
        &["record", "list"],
        &["record", "show", "N-0000000"],
        &["unlock"],
    ];
    for command in commands {
        let _ = home.run(command).fails(10, "no-vault").says("init");
    }
    assert!(!home.vault().exists(), "and none was made");
    let founding = ["committee", "found", "--relay", relay, "--permit", "x", "--name-from", "-"];
    let founding = home.run_with(&founding, b"Harbour");
    assert!(matches!(founding.code(), Some(2 | 10)), "{founding:?}");
}

#[test]
fn a_second_init_is_refused_and_the_vault_stays_as_it_is() {
    let home = Home::of(&programs(), "isla");
    let device = home.run(&["device", "show"]).exits(0).field("ref");
    let _ = home.init("somebody").fails(1, "vault-exists");
    assert_eq!(home.run(&["device", "show"]).exits(0).field("ref"), device);
    assert_eq!(home.status()["handle"], "isla");
}

#[test]
fn a_guess_costs_what_was_promised_unless_a_test_asked_for_less() {
    let home = Home::empty(&programs());
    let made = home.run(&["init", "--handle", "isla"]).exits(0);
    assert!(!made.stderr_text().contains("Danger"), "{made:?}");
    let work_factor = |home: &Home| {
        let identity = fs::read(home.vault().join("identity.age")).expect("it is there");
        let header = String::from_utf8_lossy(&identity[..120]).into_owned();
        let stanza = header.lines().nth(1).unwrap_or_default().to_owned();
        let factor = stanza.rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(stanza.starts_with("-> scrypt "), "{header}");
        factor
    };
    assert_eq!(work_factor(&home), "18");
    let quick = Home::empty(&programs());
    let _ = quick.init("isla").exits(0).says("Danger");
    assert_eq!(work_factor(&quick), "1");
    home.status();
}

#[test]
fn every_command_has_help_and_a_man_page_and_completions() {
    let home = Home::empty(&programs());
    let mut pages = BTreeSet::new();
    let mut commands = vec![(Vec::new(), sealpost::cli::grammar())];
    while let Some((path, command)) = commands.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = home.run_plain(&arguments).exits(0).stdout_text();
        assert!(help.contains("Usage:"), "{arguments:?}: {help}");
        let about = command.get_about().unwrap_or_else(|| panic!("{path:?} says nothing"));
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let about = in_one_line(&about.to_string());
        assert!(in_one_line(&help).contains(&about), "{arguments:?}: {help}");
        // What only the program itself starts has no page.
        if !command.is_hide_set() {
            pages.insert([&["sealpost".to_owned()][..], &path].concat().join("-") + ".1");
        }
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = [&path[..], &[sub.get_name().to_owned()]].concat();
            commands.push((path, sub.clone()));
        }
    }
    assert!(pages.len() > 20, "{pages:?}");
    let out = home.disk().join("man");
    let out = out.to_str().expect("a plain path");
    let _ = home.run_plain(&["man", "--out", out]).exits(0);
    let written: BTreeSet<String> =
        modes(Path::new(out)).into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = pages.difference(&written).collect();
    assert!(missing.is_empty(), "no page: {missing:?}, but {written:?}");
    for page in &written {
        let page = fs::read_to_string(Path::new(out).join(page)).expect("it was written");
        assert!(page.contains(".TH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run_plain(&["completions", shell]).exits(0).stdout_text();
        assert!(script.contains("sealpost") && script.contains("committee"), "{shell}");
    }
}

#[test]
fn global_flags_stand_before_and_after_the_command() {
    let home = Home::of(&programs(), "isla");
    let (vault, passphrase) = (home.vault(), home.passphrase_file());
    let vault = ["--home", vault.to_str().expect("a plain path")];
    let passphrase = ["--passphrase-file", passphrase.to_str().expect("a plain path")];
    let orders: [&[&[&str]]; 3] = [
        &[&vault, &passphrase, &["--json"], &["device", "show"]],
        &[&["device", "show"], &vault, &passphrase, &["--json"]],
        &[&vault, &["device"], &["--json"], &["show"], &passphrase],
    ];
    let shown: BTreeSet<String> = orders
        .iter()
        .map(|words| {
            let mut command = home.bare();
            command.args(words.iter().copied().flatten());
            Process::spawn(&mut command).finish().exits(0).field("ref")
        })
        .collect();
    assert_eq!(shown.len(), 1);
    let mut by_environment = home.bare();
    by_environment
        .env("SEALPOST_HOME", vault[1])
        .args(passphrase)
        .args(["device", "show", "--json"]);
    assert!(shown.contains(&Process::spawn(&mut by_environment).finish().exits(0).field("ref")));
}

#[test]
fn an_error_is_one_object_with_what_is_safe_and_what_to_type_next() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let home = Home::of(&programs, "isla");
    let committee = home.found(relay.address(), &relay.permit(), "Harbour");
    let note = home.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    let mut mistyped = note.reference.clone();
    mistyped.replace_range(2..3, if mistyped[2..].starts_with('Z') { "Y" } else { "Z" });
    let cases: &[(&[&str], &str, i32, &str)] = &[
        (&["record", "burn"], "", 2, "usage"),
        (&["record", "new", "poem", "--from", "-"], "{}", 2, "usage"),
        (&["record", "new", "note", "--from", "-"], "no JSON", 2, "usage"),
        (&["record", "new", "note", "--from", "-"], "{\"words\": \"x\"}", 2, "usage"),
        (&["record", "new", "note", "--from", "-"], "", 2, "usage"),
        (&["record", "new", "note"], "", 2, "usage"),
        (&["record", "show", &mistyped], "", 2, "usage"),
        (&["record", "show", "N-00000000"], "", 6, "not-found"),
        (&["committee", "show", "C-00000000"], "", 6, "not-found"),
        (&["member", "admit", "DV-00000000", "--safety-number", "1"], "", 6, "not-found"),
        (&["invite", "cancel", "IV-00000000"], "", 6, "not-found"),
        (&["committee", "lock", &committee], "", 2, "usage"),
        (&["join"], "sealpost1nonsense", 2, "usage"),
    ];
    for (arguments, input, exit, error) in cases {
        let ran = home.run_with(arguments, input.as_bytes()).fails(*exit, error);
        assert_eq!(ran.stdout_text(), "", "{ran:?}");
        // The same for people: what happened, what is safe, what to type next.
        let mut plain = Process::spawn(&mut home.command(arguments));
        plain.feed(input.as_bytes());
        let plain = plain.finish().exits(*exit);
        assert!(!plain.stderr_text().trim().is_empty(), "{plain:?}");
    }
    assert_eq!(home.records().len(), 1, "nothing of it was saved");
}

#[test]
fn what_others_wrote_moves_no_terminal() {
    let programs = programs();
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs);
    let hostile = "plain \u{1b}[2J\u{1b}]0;title\u{7} \u{202e}txet\u{2066} end";
    let written = isla.record_new("note", &committee, &json!({ "text": hostile }));
    baran.sync();
    let shown = baran.run_plain(&["record", "show", &written.reference]).exits(0).stdout_text();
    assert!(shown.contains("plain") && shown.contains("U+202E"), "{shown}");
    for control in ['\u{1b}', '\u{7}', '\u{202e}', '\u{2066}'] {
        assert!(!shown.contains(control), "{shown:?}");
    }
    // A script gets the very text.
    assert_eq!(baran.show(&written.reference)["record"]["text"], hostile);
    let raw = baran.run(&["record", "show", &written.reference]).exits(0).stdout_text();
    assert!(!raw.contains('\u{202e}') && !raw.contains('\u{1b}'), "{raw:?}");
}
