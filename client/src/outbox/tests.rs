use serde_json::json;

use super::*;
use crate::catalog::{list, show};
use crate::clock::Clock;
use crate::vault::{VaultError, fixture};

fn app() -> (tempfile::TempDir, App, CommitteeNo) {
    let (dir, home) = fixture::home();
    let (mut vault, secrets) = fixture::create(&home).expect("a vault");
    let no = fixture::add_committee(&mut vault, 1);
    let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
    (dir, App { vault, device: secrets.device, clock }, no)
}

fn save(app: &mut App, no: CommitteeNo, kind: &str, given: Value) -> Result<Saved, Failure> {
    save_record(app, no, &Kind::named(kind).expect("a known kind"), given, &[])
}

#[test]
fn a_saved_record_is_listed_and_shown_as_it_will_be_sealed() {
    let (_dir, mut app, no) = app();
    let saved = save(&mut app, no, "note", json!({"text": "heron"})).expect("saved");
    assert_eq!(saved.reference, Ref::new("N", saved.id.as_bytes()));
    let rows = list(&app, None).expect("listed");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].state, rows[0].author.as_str()), ("saved", "baran"));
    assert_eq!(rows[0].reference, saved.reference.to_string());
    for name in [saved.reference.to_string(), saved.id.clone()] {
        let shown = show(&app, &name).expect("shown");
        assert_eq!(shown.record["text"], "heron");
        assert_eq!(shown.record["id"], saved.id.as_str());
        assert_eq!(shown.record["created"], "2026-03-11T09:14:00.007Z");
        assert!(shown.entry.is_none());
    }
}

#[test]
fn a_record_survives_the_process() {
    let (_dir, mut app, no) = app();
    let saved = save(&mut app, no, "note", json!({"text": "heron"})).expect("saved");
    let home = app.vault.home().clone();
    let App { vault, device, clock } = app;
    drop(vault);
    let (vault, _) = crate::vault::Vault::open(home, &fixture::passphrase()).expect("it opens");
    let app = App { vault, device, clock };
    assert_eq!(show(&app, &saved.id).expect("shown").record["text"], "heron");
}

#[test]
fn what_is_for_named_readers_stands_apart_in_the_draft() {
    let (_dir, mut app, no) = app();
    let given = json!({"what_happened": "x", "lawyer_only": "y"});
    let saved = save(&mut app, no, "trial-note", given).expect("class H3");
    assert!(saved.is_apart);
    let shown = show(&app, &saved.id).expect("shown").record;
    assert_eq!((&shown["what_happened"], &shown["lawyer_only"]), (&json!("x"), &Value::Null));
    assert_eq!(shown["sealed"], json!({"lawyer_only": "y"}));
    let kind = Kind::named("note").expect("a kind");
    let open = save_record(&mut app, no, &kind, json!({"text": "x"}), &[MemberNumber(1)]);
    assert_eq!(open.expect_err("nothing is apart").kind, Error::Usage);
}

#[test]
fn a_record_that_could_never_be_sealed_is_refused_before_it_is_saved() {
    let (_dir, mut app, no) = app();
    let failure = save(&mut app, no, "note", json!({"text": "x".repeat(1 << 20)}));
    assert_eq!(failure.expect_err("too long").kind, Error::Usage);
    let about: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let failure = save(&mut app, no, "note", json!({"text": "x", "about": about}));
    assert_eq!(failure.expect_err("too many values").kind, Error::Usage);
    assert_eq!(list(&app, None).expect("listed").len(), 0);
}

#[test]
fn nothing_is_written_for_a_committee_that_may_never_come_to_be() {
    let (_dir, mut app, no) = app();
    for standing in [Standing::Founding, Standing::Joining] {
        app.vault.write(|vault| vault.set_standing(no, standing)).expect("set");
        assert_eq!(must_write(&app, no).expect_err("not in yet").kind, Error::NotAllowed);
        let failure = save(&mut app, no, "note", json!({"text": "heron"})).expect_err("not in yet");
        assert_eq!(failure.kind, Error::NotAllowed);
    }
    app.vault.write(|vault| vault.set_standing(no, Standing::Active)).expect("set");
    must_write(&app, no).expect("in");
    save(&mut app, no, "note", json!({"text": "heron"})).expect("in");
    let removed: Result<(), VaultError> = app.vault.write(|vault| vault.remove_unopened(no));
    removed.expect_err("what was written is never removed along with it");
    assert_eq!(list(&app, None).expect("listed").len(), 1);
}
