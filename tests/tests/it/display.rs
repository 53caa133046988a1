//! What others wrote, shown by real commands at a terminal: the bytes that arrive there make it print
//! and end lines, and do nothing else. The longer campaign:
//! `cargo run --release -p sealpost-tests --bin campaign -- display --seed S --rounds N`.

use std::process::Command;

use sealpost::ui::display::is_deceptive;
use sealpost_protocol::entry::Kind;
use sealpost_protocol::limits;
use sealpost_tests::campaign::display::{Stage, rename_all};
use sealpost_tests::helped::Helped;
use sealpost_tests::home::Home;
use sealpost_tests::pty::Pty;
use sealpost_tests::relay::Relay;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::scene::Scene;
use sealpost_tests::terminal::{LAYOUT, Terminal, deceives};
use serde_json::{Map, Value, json};

use crate::programs;

const SEED: u64 = 0x5ea1_0003;
const ROUNDS: u64 = 4;
const ULID: &str = "01M886ZTD9EZMS7DJE1HX92456";
/// So many entries to pull that a bar is drawn.
const ENTRIES_FOR_A_BAR: u32 = 520;

/// What a progress bar draws itself with: up by lines, erase the line.
const BAR: [&str; 2] = ["CSI A", "CSI K"];

/// The strings of the corpus.
fn corpus() -> Vec<String> {
    let lines = include_str!("../../../client/testdata/display/corpus.txt").lines();
    let cases = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    cases.map(|line| serde_json::from_str(line).expect("a JSON string a line")).collect()
}

/// Those short enough for a handle, in the order of the corpus.
fn handles() -> Vec<String> {
    let mut handles = corpus();
    handles.retain(|handle| (1..=limits::HANDLE_BYTES_MAX).contains(&handle.len()));
    handles
}

/// Runs a command at a terminal, looks at every byte, and returns what was printed.
#[track_caller]
fn looks_harmless(command: &Command, exit: i32) -> String {
    let (status, bytes) = Pty::spawn(command).finish_bytes();
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    assert_eq!(status.code(), Some(exit), "{command:?}\n{shown}");
    assert!(std::str::from_utf8(&bytes).is_ok(), "{command:?}: no UTF-8: {shown:?}");
    let terminal = Terminal::gets(&bytes);
    assert_eq!(terminal.beyond(&LAYOUT), Vec::<&String>::new(), "{command:?}\n{shown:?}");
    assert!(!terminal.printed.chars().any(deceives), "{command:?}\n{shown:?}");
    terminal.printed
}

/// As [`looks_harmless`], for people and for scripts that somebody watches.
#[track_caller]
fn both_look_harmless(home: &Home, arguments: &[&str], exit: i32) -> String {
    let plain = looks_harmless(&home.command(arguments), exit);
    let _ = looks_harmless(&home.command(&[arguments, &["--json"]].concat()), exit);
    plain
}

/// A record such as no honest client writes: names, values, nested ones, the kind itself.
fn hostile_record() -> Map<String, Value> {
    let mut record = json!({
        "kind": "note", "schema": 1, "created": "2026-03-11T12:00:00.000Z",
        "text": corpus().join("\n"), "about": corpus(), "class": "\u{1b}]0;H0\u{7}",
    });
    let fields = record.as_object_mut().expect("an object");
    for (number, text) in corpus().into_iter().enumerate().filter(|(number, _)| number % 4 == 0) {
        fields.insert(format!("x{number}{text}"), json!({ "inside": { text: number } }));
    }
    fields.clone()
}

/// Lets a member in who keeps to no client's rules.
fn rogue_in(founder: &Home, committee: &str, handle: &str) -> Rogue {
    let mut rogue = Rogue::ask(&founder.invite(committee), handle);
    founder.sync();
    let _ = founder.admit(rogue.among(&founder.asking())).exits(0);
    rogue.follow();
    rogue
}

#[test]
fn a_terminal_would_obey_the_corpus_if_it_came_as_it_is() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let raw = folder.path().join("corpus");
    let mut obeyed = 0;
    for text in corpus() {
        obeyed += usize::from(!Terminal::gets(text.as_bytes()).beyond(&LAYOUT).is_empty());
    }
    assert!(obeyed >= 40, "{obeyed}");
    // By the way that the other tests look by.
    std::fs::write(&raw, corpus().join("\n")).expect("it is ours");
    let mut cat = Command::new("/bin/cat");
    cat.arg(&raw);
    let (_, bytes) = Pty::spawn(&cat).finish_bytes();
    let terminal = Terminal::gets(&bytes);
    for action in ["CSI J", "OSC", "DCS q", "ESC 0x63", "execute 0x07", "execute 0x9b"] {
        assert!(terminal.actions.iter().any(|told| told == action), "{action}");
    }
    assert!(terminal.printed.chars().any(deceives));
}

#[test]
fn records_of_a_member_who_means_harm_move_no_terminal() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let mut rogue = rogue_in(&isla, &committee, "mallory");
    for (number, kind) in ["note", "\u{1b}]0;kind\u{7}\u{202e}\u{9b}2J"].iter().enumerate() {
        let mut record = hostile_record();
        record.insert("kind".to_owned(), json!(kind));
        let id = format!("{}{number}", &ULID[..25]);
        let (payload, content) = rogue.sealed(record, &id, &rogue.binding());
        let mut header = rogue.header(Kind::Record);
        header.content = content;
        rogue.push(header, payload).expect("the relay cannot tell");
        rogue.follow();
    }
    looks_harmless(&baran.command(&["sync"]), 0);
    let listed = both_look_harmless(&baran, &["record", "list"], 0);
    assert!(listed.contains("mallory"), "{listed}");
    let rows = baran.records();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in &rows {
        let reference = row["ref"].as_str().expect("a REF");
        let shown = both_look_harmless(&baran, &["record", "show", reference], 0);
        assert!(shown.contains("<U+001B>") && shown.contains("<U+202E>"), "{shown}");
        both_look_harmless(&baran, &["who", reference], 0);
    }
    // A script gets the very text.
    let shown = baran.show(rows[0]["ref"].as_str().expect("a REF"));
    assert_eq!(shown["record"]["about"], json!(corpus()));
}

#[test]
fn handles_of_those_who_ask_move_no_terminal_and_lookalikes_are_told() {
    let Scene { relay: _relay, isla, committee, .. } = Scene::new(&programs());
    let mut asked: Vec<String> = handles();
    // The rest is refused before it is shown to anybody.
    asked.retain(|handle| !handle.chars().any(char::is_control));
    let mut rogues = Vec::new();
    for some in asked.chunks(limits::JOIN_REQUESTS_MAX) {
        let uses = some.len().to_string();
        let new = ["invite", "new", "--committee", &committee, "--uses", &uses];
        let invitation = isla.run(&new).exits(0).field("invitation");
        rogues.extend(some.iter().map(|handle| Rogue::ask(&invitation, handle)));
    }
    assert!(rogues.len() >= 25, "{}", rogues.len());
    let listed = both_look_harmless(&isla, &["member", "list", "--asking"], 0);
    assert!(
        listed.contains("reads like baran") && listed.contains("more than one script"),
        "{listed}"
    );
    let rows = isla.asking();
    for (handle, rogue) in asked.iter().zip(&rogues) {
        let row = rogue.among(&rows);
        assert_eq!(&row.handle, handle);
        let hides = handle.chars().any(deceives);
        let looks_like_another = handle == "b\u{430}ran";
        if hides || looks_like_another {
            let number = &row.safety_number;
            let admit = ["member", "admit", &row.reference, "--safety-number", number];
            both_look_harmless(&isla, &admit, 1);
        }
    }
}

#[test]
fn names_in_a_hostile_label_move_no_terminal() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let written = baran.record_new("note", &committee, &json!({ "text": "An honest word." }));
    isla.sync();
    let (name, all) = (corpus().concat(), handles());
    for two in all.chunks(2).step_by(4) {
        rename_all(&isla, &name, two);
        for arguments in [
            &["status"][..],
            &["member", "list"],
            &["committee", "list"],
            &["committee", "show"],
            &["who", &written.reference],
        ] {
            both_look_harmless(&isla, arguments, 0);
        }
    }
    rename_all(&isla, &name, &["baran".to_owned(), "b\u{430}ran".to_owned()]);
    for arguments in [&["member", "list"][..], &["committee", "audit"]] {
        let told = both_look_harmless(&isla, arguments, 0);
        assert!(told.contains("alike") || told.contains("reads like"), "{told}");
        assert!(told.contains("script"), "{told}");
    }
    rename_all(&isla, &name, &all[..2]);
    both_look_harmless(&isla, &["record", "list"], 0);
    both_look_harmless(&isla, &["member", "suspend", "baran", "--yes"], 6);
}

#[test]
fn names_out_of_the_log_among_helpers_in_an_exposure_and_in_news_move_no_terminal() {
    let mut helped = Helped::new(&programs());
    // Who wrote what a device holds is told in an exposure.
    let note = json!({ "text": "Hearing on Monday." });
    helped.olga.record_new("note", &helped.scene.committee, &note);
    let (name, all) = (corpus().concat(), handles());
    let owner = helped.owner.clone();
    let shows = |helped: &Helped| {
        let (isla, baran) = (&helped.scene.isla, &helped.scene.baran);
        let help = ["--json", "recovery", "help", &owner];
        [
            (looks_harmless(&isla.command(&["sync"]), 0), "mallory"),
            (looks_harmless(&baran.command(&["--json", "sync"]), 0), "mallory"),
            (both_look_harmless(isla, &["member", "exposure", &owner], 0), "olga"),
            (both_look_harmless(isla, &["recovery", "show"], 0), "baran"),
            (both_look_harmless(baran, &["recovery", "show"], 0), "olga"),
            (looks_harmless(&isla.command(&help), 0), "baran"),
        ]
    };
    for four in all.chunks(4).step_by(3) {
        let called = |at: usize| four.get(at).map_or("", String::as_str);
        helped.everybody_is_called(&name, [0, 1, 2, 3].map(called));
        shows(&helped);
    }
    // They are in what is shown.
    let hidden = ["isla", "baran", "olga", "mallory"].map(|handle| format!("{handle}\u{202e}"));
    helped.everybody_is_called(&name, hidden.each_ref().map(String::as_str));
    for (shown, handle) in shows(&helped) {
        let visible = ["<U+202E>", "\\u202e"].map(|mark| format!("{handle}{mark}"));
        assert!(visible.iter().any(|name| shown.contains(name)), "{handle}: {shown}");
    }
}

#[test]
fn what_a_claim_is_told_comes_back_harmless() {
    let helped = Helped::new(&programs());
    let isla = &helped.scene.isla;
    // A device that asks for a share calls itself what it likes.
    let mut asked = handles();
    asked.retain(|handle| !handle.chars().any(char::is_control));
    for handle in asked.iter().step_by(6) {
        let rogue = Rogue::ask(&helped.code(isla), handle);
        both_look_harmless(isla, &["member", "list", "--asking"], 0);
        let asking = rogue.among(&isla.asking()).reference.clone();
        let wrong = ["recovery", "help", &asking, "--safety-number", "00000 00000 00000 00000"];
        both_look_harmless(isla, &wrong, 7);
    }

    let new = Home::of(&programs(), "baran");
    let claims = |arguments: &[&str], exit: i32| {
        let mut at_terminal = new.unlocked_at_terminal(arguments);
        at_terminal.expect("nothing to look for answers");
        at_terminal.type_line("");
        let (status, bytes) = at_terminal.finish_bytes();
        assert_eq!(status.code(), Some(exit), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(Terminal::harm_in(&bytes), None, "{}", String::from_utf8_lossy(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    for text in corpus().into_iter().filter(|text| !text.contains('\0')).step_by(6) {
        for code in [text.as_bytes(), b""] {
            let ran = new.run_with(&["recovery", "claim", &format!("--handle={text}")], code);
            assert!(matches!(ran.code(), Some(2 | 6)), "{ran:?}");
            let said = [&ran.stdout[..], &ran.stderr].concat();
            assert_eq!(Terminal::harm_in(&said), None, "{ran:?}");
        }
    }
    for helper in [isla, &helped.olga] {
        helped.helps(helper, &new);
    }
    let other = claims(&["recovery", "claim", "--handle", "sel\u{202e}in\u{9b}2J"], 7);
    assert!(other.contains("<U+202E>in<U+009B>2J"), "{other}");
    claims(&["recovery", "claim", "--handle", "baran"], 0);
    assert_eq!(new.run(&["recovery", "show"]).exits(0).json(), json!([]));
}

#[test]
fn what_was_typed_or_pasted_comes_back_harmless() {
    let home = Home::of(&programs(), "isla");
    // No argument holds a NUL, and a dash at its front is a flag.
    for text in corpus().into_iter().filter(|text| !text.contains('\0')).step_by(2) {
        for arguments in
            [&[text.as_str()][..], &["record", "show", &text], &["member", "role", &text, &text]]
        {
            let (status, bytes) = Pty::spawn(&home.command(arguments)).finish_bytes();
            assert!(matches!(status.code(), Some(2 | 6)), "{arguments:?}: {status}");
            let terminal = Terminal::gets(&bytes);
            assert!(terminal.beyond(&LAYOUT).is_empty(), "{arguments:?}: {:?}", terminal.actions);
            assert!(!terminal.printed.chars().any(deceives), "{arguments:?}");
        }
    }
    let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";
    looks_harmless(&home.command(&["man", "--out", &format!("/dev/null/{hostile}")]), 1);
    looks_harmless(&home.command(&["passphrase", "--new-passphrase-file", hostile]), 4);
    let there = home.file(hostile, b"there already");
    let there = there.to_str().expect("UTF-8");
    both_look_harmless(&home, &["device", "backup", "--out", there], 1);
    looks_harmless(&home.command(&["record", "new", hostile, "--from", "-"]), 2);
    looks_harmless(&home.command(&["device", "show", "--json", hostile]), 2);
    let mut elsewhere = home.bare();
    elsewhere.args(["status", "--home", &format!("{hostile} nowhere")]);
    looks_harmless(&elsewhere, 10);
    looks_harmless(&home.command(&["--help"]), 0);
}

#[test]
fn what_the_operator_typed_or_pasted_comes_back_harmless() {
    for text in corpus().into_iter().filter(|text| !text.contains('\0')).step_by(2) {
        let elsewhere = format!("/dev/null/{text}");
        for arguments in [
            &[text.as_str()][..],
            &["run", "--listen", &text],
            &["--data", &elsewhere, "check"],
            &["--data", &elsewhere, "check", "--json"],
            &["--json", "permit", &text],
        ] {
            let mut relay = programs().relay();
            relay.args(arguments);
            let (status, bytes) = Pty::spawn(&relay).finish_bytes();
            assert!(!status.success(), "{arguments:?}");
            let terminal = Terminal::gets(&bytes);
            assert!(terminal.beyond(&LAYOUT).is_empty(), "{arguments:?}: {:?}", terminal.actions);
            assert!(!terminal.printed.chars().any(deceives), "{arguments:?}");
        }
    }
    let relay = Relay::start(&programs());
    // Controls are not taken for a label.
    let hostile = "\u{202e}lawyers\u{200b}";
    let _ = relay.run(&["permit", "new", "--label", hostile]).exits(0);
    let listed = looks_harmless(&relay.command(&["permit", "list"]), 0);
    assert!(listed.contains("<U+202E>lawyers<U+200B>"), "{listed}");
    looks_harmless(&relay.command(&["permit", "list", "--json"]), 0);
}

#[test]
fn what_the_client_makes_visible_the_relay_does_too() {
    for char in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        let shown = sealpost_relay::display::line(&char.to_string());
        let visible = format!("<U+{:04X}>", u32::from(char));
        assert!(!is_deceptive(char) || shown == visible, "{visible}");
    }
}

#[test]
fn a_progress_bar_draws_itself_with_what_is_listed_and_no_more() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let mut rogue = rogue_in(&isla, &committee, "mallory");
    let mut record = hostile_record();
    record.remove("about");
    let (payload, content) = rogue.sealed(record, ULID, &rogue.binding());
    for _ in 0..ENTRIES_FOR_A_BAR {
        let mut header = rogue.header(Kind::Record);
        header.content = content;
        rogue.push(header, payload.clone()).expect("the relay cannot tell");
        rogue.follow();
    }
    // On a dumb one no bar is drawn.
    let mut sync = baran.command(&["sync"]);
    sync.env("TERM", "xterm-256color");
    let (status, bytes) = Pty::spawn(&sync).finish_bytes();
    assert!(status.success(), "{}", String::from_utf8_lossy(&bytes));
    let terminal = Terminal::gets(&bytes);
    let allowed = [&LAYOUT[..], &BAR].concat();
    assert_eq!(terminal.beyond(&allowed), Vec::<&String>::new());
    assert!(
        terminal.actions.iter().any(|action| BAR.contains(&action.as_str())),
        "no bar was drawn"
    );
    assert!(!terminal.printed.chars().any(deceives));
}

#[test]
fn random_strings_move_no_terminal_by_any_way() {
    let told = Stage::new(&programs(), SEED).rounds(ROUNDS);
    println!("seed {SEED}: {} of {} strings are harmful as they come", told.harmful, told.shown);
    assert!(told.amiss.is_empty(), "{:#?}", told.amiss);
    assert!(told.shown >= ROUNDS * 200 && told.harmful > told.shown / 2, "{told:?}");
}
