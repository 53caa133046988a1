//! The whole way: two people in two countries, a committee, records both ways, a new lock.

use std::collections::BTreeSet;

use sealpost::kinds::{Kind, Type};
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::frame::Reply;
use sealpost_tests::home::Home;
use sealpost_tests::peer::replies;
use sealpost_tests::proxy::Direction;
use sealpost_tests::relay::Relay;
use sealpost_tests::scene::Scene;
use sealpost_tests::tap::Tap;
use serde_json::{Value, json};

use crate::programs;

fn note(text: &str) -> Value {
    json!({ "text": text })
}

fn trial_note() -> Value {
    json!({
        "hearing": "Criminal court 23, second hearing",
        "role_of_author": "observer",
        "what_happened": "The bench changed.\nThe defence asked for the file.",
    })
}

fn health_report() -> Value {
    json!({
        "person": "Cedar-31",
        "form": "A",
        "as_of": "2026-03-11",
        "learned_from": "letter",
        "summary": "Insulin comes every second day only.",
        "urgency": "urgent",
    })
}

fn text_of(shown: &Value, field: &str) -> String {
    shown["record"][field].as_str().unwrap_or_else(|| panic!("no {field}: {shown}")).to_owned()
}

#[test]
fn a_person_is_let_in_after_their_safety_number_was_compared() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let isla = Home::in_country(&programs, "isla", "CH");
    let baran = Home::in_country(&programs, "baran", "TR");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let invitation = isla.invite(&committee);
    assert!(invitation.starts_with("sealpost1"), "{invitation}");

    let joined = baran.join(&invitation).exits(0);
    isla.sync();
    let asking = isla.asking();
    let [asking] = asking.as_slice() else { panic!("one asks: {asking:?}") };
    assert_eq!(asking.handle, "baran");
    assert_eq!(asking.safety_number, joined.field("safety_number"), "the same on both sides");
    let digits = asking.safety_number.chars().filter(char::is_ascii_digit).count();
    assert_eq!(digits, 20, "{asking:?}");

    let mut wrong = asking.clone();
    wrong.safety_number = "73018 44917 02586 31190".to_owned();
    let refused = isla.admit(&wrong);
    assert_eq!(refused.code(), Some(7), "{refused:?}");
    assert_eq!(members(&isla, &committee), 1);
    let mut persian = asking.clone();
    persian.safety_number = persian_digits(&asking.safety_number);
    let _ = isla.admit(&persian).exits(0);

    baran.sync();
    assert_eq!(members(&isla, &committee), 2);
    assert_eq!(members(&baran, &committee), 2);
    assert!(isla.asking().is_empty());
}

fn members(home: &Home, committee: &str) -> usize {
    let ran = home.run(&["member", "list", "--committee", committee]).exits(0);
    ran.json().as_array().unwrap_or_else(|| panic!("no array: {ran:?}")).len()
}

fn persian_digits(text: &str) -> String {
    let persian = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(0x6f0 + digit));
    text.chars().map(|c| persian(c).unwrap_or(c)).collect()
}

#[test]
fn records_of_every_kind_travel_both_ways() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let kinds = [
        ("note", note("Hearing moved to Monday.")),
        ("trial-note", trial_note()),
        ("health-report", health_report()),
    ];
    for (kind, fields) in &kinds {
        for (author, reader, handle) in [(&isla, &baran, "isla"), (&baran, &isla, "baran")] {
            let written = author.record_new(kind, &committee, fields);
            assert_eq!(written.state, "accepted");
            let synced = reader.sync();
            assert_eq!(synced["received"], 1, "{synced}");
            let own = author.show(&written.reference);
            let shown = reader.show(&written.reference);
            for same in ["record", "entry", "attachments"] {
                assert_eq!(shown[same], own[same], "the same on both sides");
            }
            assert_eq!(shown["verified"], true);
            assert_eq!(shown["entry"]["author"], handle);
            assert_eq!(shown["entry"]["epoch"], 1);
            assert_eq!(shown["record"]["id"], written.id.as_str());
            for (name, value) in fields.as_object().into_iter().flatten() {
                assert_eq!(&shown["record"][name], value, "{name}");
            }
        }
    }
    let (mine, theirs) = (isla.records(), baran.records());
    assert_eq!(mine.len(), 6);
    let refs = |records: &[Value]| -> BTreeSet<String> {
        records.iter().map(|row| row["ref"].to_string()).collect()
    };
    assert_eq!(refs(&mine), refs(&theirs));
    for row in &mine {
        let members: Vec<&str> = row.as_object().into_iter().flatten().map(|(k, _)| &**k).collect();
        assert_eq!(members, ["ref", "kind", "committee", "author", "made_at", "state", "held"]);
        assert_eq!(row["committee"], committee.as_str());
    }
}

#[test]
fn what_is_strict_opens_for_named_readers_alone() {
    let programs = programs();
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs);
    let miriam = Home::in_country(&programs, "miriam", "DE");
    isla.let_in(&committee, &miriam);
    let mut fields = trial_note();
    fields["lawyer_only"] = json!("What the client told in confidence.");
    let arguments = [
        "record",
        "new",
        "trial-note",
        "--committee",
        &committee,
        "--from",
        "-",
        "--reader",
        "baran",
    ];
    let written = isla.run_with(&arguments, fields.to_string().as_bytes()).exits(0).field("ref");
    for home in [&baran, &miriam] {
        home.sync();
        let shown = home.show(&written);
        assert_eq!(shown["verified"], true);
        assert_eq!(shown["record"]["what_happened"], fields["what_happened"]);
    }
    for home in [&isla, &baran] {
        let sealed = &home.show(&written)["record"]["sealed"];
        assert_eq!(sealed["lawyer_only"], fields["lawyer_only"], "{sealed}");
    }
    let shown = miriam.show(&written)["record"].to_string();
    assert!(!shown.contains("confidence") && !shown.contains("lawyer_only"), "{shown}");
    // Nobody of that name: nothing is saved.
    let nobody = ["record", "new", "trial-note", "--from", "-", "--reader", "nobody"];
    let _ = isla.run_with(&nobody, fields.to_string().as_bytes()).fails(6, "not-found");
    assert_eq!(isla.records().len(), 1);
}

#[test]
fn a_records_text_comes_from_a_file_too() {
    let Scene { relay: _relay, isla, committee, .. } = Scene::new(&programs());
    let file = isla.file("note.json", note("From a file.").to_string().as_bytes());
    let file = file.to_str().expect("a plain path");
    let ran = isla.run(&["record", "new", "note", "--committee", &committee, "--from", file]);
    let reference = ran.exits(0).field("ref");
    assert_eq!(text_of(&isla.show(&reference), "text"), "From a file.");
    // Whoever has one committee need not name it.
    let ran = isla.run(&["record", "new", "note", "--from", file]).exits(0);
    assert!(ran.field("ref").starts_with("N-"));
}

#[test]
fn what_is_shown_as_sealed_is_what_the_relay_serves() {
    let programs = programs();
    let relay = Tap::start();
    let isla = Home::of(&programs, "isla");
    let baran = Home::of(&programs, "baran");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    isla.let_in(&committee, &baran);
    let written = isla.record_new("note", &committee, &note("Hearing moved to Monday."));
    relay.forget_frames();
    baran.sync();
    let sealed = baran.sealed(&written.reference);
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "), "an age file");
    assert_eq!(sealed, isla.sealed(&written.reference));

    let served: Vec<Vec<u8>> = relay
        .frames()
        .iter()
        .filter(|frame| frame.direction == Direction::ToClient)
        .flat_map(|frame| replies(&frame.bytes))
        .filter_map(|reply| match reply {
            Reply::Entries(entries) => Some(entries),
            _ => None,
        })
        .flatten()
        .filter_map(|bytes| UnverifiedEntry::decode(&bytes).ok()?.payload().map(<[u8]>::to_vec))
        .collect();
    assert_eq!(served, [sealed]);
}

#[test]
fn a_new_lock_seals_what_comes_and_old_records_stay_readable() {
    let programs = programs();
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs);
    let before = isla.record_new("note", &committee, &note("Under the first lock."));
    baran.sync();

    let changed = isla.run(&["committee", "lock", &committee, "--yes"]).exits(0);
    assert_eq!(changed.json()["epoch"], 2, "{changed:?}");
    let after = isla.record_new("note", &committee, &note("Under the second lock."));
    // Written before baran's device heard of the new lock: sealed late, so no trouble.
    let answer = baran.record_new("note", &committee, &note("An answer."));
    isla.sync();
    for (home, written, epoch) in
        [(&baran, &before, 1), (&baran, &after, 2), (&isla, &before, 1), (&isla, &answer, 2)]
    {
        assert_eq!(home.show(&written.reference)["entry"]["epoch"], epoch);
    }
    // Whoever comes later holds the second lock, and by its link the first.
    let miriam = Home::in_country(&programs, "miriam", "DE");
    isla.let_in(&committee, &miriam);
    for written in [&before, &after, &answer] {
        let [hers, mine] = [&miriam, &isla].map(|home| home.show(&written.reference));
        assert_eq!((&hers["record"], &hers["entry"]), (&mine["record"], &mine["entry"]));
    }
    // Only a coordinator changes the lock.
    let _ = baran.run(&["committee", "lock", &committee, "--yes"]).fails(5, "not-allowed");
}

#[test]
fn an_exported_lock_is_two_lines_that_open_the_sealed_file() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let written = isla.record_new("note", &committee, &note("Hearing moved to Monday."));
    baran.sync();
    let exported = |home: &Home| {
        let ran = home.run_plain(&["committee", "lock", &committee, "--export", "--yes"]);
        ran.exits(0).stdout_text()
    };
    let lines = exported(&isla);
    assert_eq!(lines, exported(&baran), "one lock for all");
    let [identity, passphrase] = lines.lines().collect::<Vec<_>>()[..] else {
        panic!("not two lines: {} of them", lines.lines().count());
    };
    assert!(identity.starts_with("AGE-SECRET-KEY-PQ-1"));
    let passphrase = passphrase.strip_prefix("record passphrase: ").expect("the second line");
    let plain = opened(&isla.sealed(&written.reference), passphrase);
    let record: Value = serde_json::from_slice(plain.trim_ascii_end()).expect("a record is JSON");
    assert_eq!(record["text"], "Hearing moved to Monday.");
    assert_eq!(plain.len(), 1024, "padded");
}

/// Opens an age file as any age implementation does.
fn opened(sealed: &[u8], passphrase: &str) -> Vec<u8> {
    use std::io::Read;
    let identity = age::scrypt::Identity::new(passphrase.to_owned().into());
    let decryptor = age::Decryptor::new(sealed).expect("an age file");
    let mut plain = Vec::new();
    let opening = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
    opening.expect("the passphrase opens it").read_to_end(&mut plain).expect("it is whole");
    plain
}

#[test]
fn audit_shows_that_both_devices_vouch_and_the_head_codes_are_the_same() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    isla.record_new("note", &committee, &note("Hearing moved to Monday."));
    baran.sync();
    isla.sync();
    let audit = |home: &Home| home.run(&["committee", "audit", &committee]).exits(0).json();
    let (mine, theirs) = (audit(&isla), audit(&baran));
    assert_eq!(mine["head_code"], theirs["head_code"]);
    assert_eq!(mine["size"], 3, "founding, admission, record: {mine}");
    for audited in [&mine, &theirs] {
        let vouches = audited["vouches"].as_array().expect("an array");
        assert_eq!(vouches.len(), 2, "{audited}");
        for vouch in vouches {
            assert_eq!(vouch["size"], audited["size"], "{audited}");
        }
        assert_eq!(audited["evidence"], 0);
    }
    let show = |home: &Home| home.run(&["committee", "show", &committee]).exits(0).json();
    assert_eq!(show(&isla)["head_code"], mine["head_code"]);
    assert_eq!(show(&isla)["name"], "Harbour");
    assert_eq!(show(&baran)["name"], "Harbour");
    assert_eq!(show(&baran)["epoch"], 1);
    let listed = baran.run(&["committee", "list"]).exits(0).json();
    assert_eq!(listed[0]["ref"], committee.as_str());
    assert_eq!(listed[0]["name"], "Harbour");
}

#[test]
fn status_and_device_show_say_who_and_where_one_is() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let device = isla.run(&["device", "show"]).exits(0);
    let status = isla.status();
    assert_eq!(status["device"], device.json()["ref"]);
    assert_eq!(status["handle"], "isla");
    assert_eq!(status["unsent"], json!([]));
    assert_eq!(status["committees"][0]["ref"], committee.as_str());
    assert_eq!(status["committees"][0]["relay_answered"], true);
    let theirs = baran.run(&["device", "show"]).exits(0).field("ref");
    assert_ne!(theirs, device.field("ref"));
    let members = baran.run(&["member", "list"]).exits(0).stdout_text();
    assert!(members.contains(&theirs) && members.contains(&device.field("ref")), "{members}");
}

#[test]
fn every_kind_can_be_typed_and_what_nobody_knows_is_unknown() {
    let Scene { relay: _relay, isla, committee, .. } = Scene::new(&programs());
    for kind in Kind::all() {
        let arguments = ["record", "new", &kind.kind, "--committee", &committee];
        let mut terminal = isla.unlocked_at_terminal(&arguments);
        let (mut typed, mut first) = (Vec::new(), true);
        for field in kind.typed_fields() {
            terminal.expect(&field.ask);
            // The first question of each kind is left open.
            let answer = match field.value {
                _ if std::mem::take(&mut first) && field.value != Type::Md => String::new(),
                Type::Date => "2026-03-11".to_owned(),
                Type::Enum => "1".to_owned(),
                _ => format!("words about {}", field.name),
            };
            terminal.type_line(&answer);
            if field.value == Type::Md {
                terminal.type_line(".");
            }
            typed.push((field, answer));
        }
        let (status, shown) = terminal.finish();
        assert!(status.success(), "{}: {shown}", kind.kind);
        let prefix = format!("{}-", kind.prefix);
        let reference = shown.split_whitespace().find(|word| word.starts_with(&prefix));
        let record = isla.show(reference.unwrap_or_else(|| panic!("no REF in {shown}")));
        for (field, answer) in typed {
            let expected = match field.value {
                _ if answer.is_empty() => "unknown",
                Type::Enum => field.values[0].value(),
                _ => &answer,
            };
            assert_eq!(text_of(&record, &field.name).trim(), expected, "{}", field.name);
        }
    }
}

#[test]
fn the_same_way_by_hand_at_a_terminal() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let (isla, baran) = (Home::empty(&programs), Home::empty(&programs));
    for (home, handle) in [(&isla, "isla"), (&baran, "baran")] {
        let mut init = home.at_terminal(&["init", "--handle", handle, "--danger-work-factor", "1"]);
        init.expect_hidden("New passphrase: ");
        init.type_line(sealpost_tests::home::PASSPHRASE);
        init.expect_hidden("The same again: ");
        init.type_line(sealpost_tests::home::PASSPHRASE);
        let (status, shown) = init.finish();
        assert!(status.success(), "{shown}");
        assert!(!shown.contains("winter"), "the passphrase is shown: {shown}");
    }
    let permit = relay.permit();
    let found = ["committee", "found", "--relay", relay.address(), "--permit", &permit];
    let mut found = isla.unlocked_at_terminal(&found);
    found.expect("The committee's name: ");
    found.type_line("Harbour");
    let (status, shown) = found.finish();
    assert!(status.success(), "{shown}");
    let committee = isla.committee();

    let invitation = isla.invite(&committee);
    let mut join = baran.unlocked_at_terminal(&["join"]);
    join.expect("Invitation: ");
    join.type_line(&invitation);
    let (status, shown) = join.finish();
    assert!(status.success(), "{shown}");
    isla.sync();
    let asking = isla.asking().pop().expect("baran asks");
    assert!(shown.contains(&asking.safety_number), "{shown}");

    let mut admit = isla.unlocked_at_terminal(&["member", "admit", &asking.reference]);
    admit.expect("reads it out: ");
    admit.type_line(&asking.safety_number);
    let (status, shown) = admit.finish();
    assert!(status.success(), "{shown}");
    baran.sync();

    let mut record = baran.unlocked_at_terminal(&["record", "new", "note"]);
    record.expect("Text");
    record.type_line("Visit on Friday.");
    record.type_line("Bring the file.");
    record.type_line(".");
    let (status, shown) = record.finish();
    assert!(status.success(), "{shown}");
    let reference = baran.records()[0]["ref"].as_str().expect("a ref").to_owned();
    assert!(shown.contains(&reference), "{shown}");
    isla.sync();
    assert_eq!(text_of(&isla.show(&reference), "text").trim(), "Visit on Friday.\nBring the file.");

    // What cannot be undone asks for the REF to be typed.
    let mut lock = isla.unlocked_at_terminal(&["committee", "lock", &committee]);
    lock.expect(&format!("Type {committee} to go on: "));
    lock.type_line("C-0000000");
    let (status, shown) = lock.finish();
    assert_eq!(status.code(), Some(1), "{shown}");
    let mut lock = isla.unlocked_at_terminal(&["committee", "lock", &committee]);
    lock.expect(&format!("Type {committee} to go on: "));
    lock.type_line(&committee);
    let (status, shown) = lock.finish();
    assert!(status.success(), "{shown}");
    // A sealed file is no text for a terminal.
    let sealed = isla.unlocked_at_terminal(&["record", "show", &reference, "--sealed"]);
    let (status, shown) = sealed.finish();
    assert_eq!(status.code(), Some(2), "{shown}");
    assert!(!shown.contains("age-encryption.org"), "{shown}");
}
