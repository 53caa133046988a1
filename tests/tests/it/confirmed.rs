//! What others' cosignatures are for: records that are confirmed, coordinators who were heard within the
//! lease, and colleagues who vouch for another log.

use std::path::Path;
use std::process::Command;

use sealpost_protocol::frame::{CosignatureOf, Empty, HeadState, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::TreeSize;
use sealpost_tests::home::Home;
use sealpost_tests::relay::Relay;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::tap::Tap;
use sealpost_tests::village::Village;
use serde_json::{Value, json};

use crate::programs;

/// State, devices and countries of a record, as `home` lists it.
fn state(home: &Home, reference: &str) -> (Value, Value, Value) {
    let records = home.records();
    let row = records.iter().find(|row| row["ref"] == reference).expect("it is listed");
    (row["state"].clone(), row["held"]["devices"].clone(), row["held"]["countries"].clone())
}

fn note(text: &str) -> Value {
    json!({ "text": text })
}

#[test]
fn a_record_is_sent_and_then_confirmed_as_colleagues_vouch_for_the_log() {
    let relay = Relay::start(&programs());
    let people =
        [("isla", "CH", "coordinator"), ("baran", "TR", "member"), ("mira", "TR", "member")];
    let village = Village::of(&programs(), &relay, &people);
    let (committee, isla) = (village.committee.as_str(), village.home("isla"));
    let policy = ["committee", "policy", committee, "--confirm-devices", "2"];
    let _ = isla.run(&policy).exits(0);
    let written = isla.record_new("note", committee, &note("Hearing on Monday.")).reference;
    let yours = || {
        let known = isla.status()["committees"][0].clone();
        (known["sent"].clone(), known["confirmed"].clone())
    };
    assert_eq!(state(isla, &written), (json!("accepted"), json!(0), json!(0)));
    assert_eq!(yours(), (json!(1), json!(0)));
    let listed = isla.run_plain(&["record", "list"]).exits(0);
    assert!(listed.stdout_text().contains(" sent"), "{listed:?}");

    village.home("baran").sync();
    isla.sync();
    assert_eq!(state(isla, &written), (json!("accepted"), json!(1), json!(1)));
    village.home("mira").sync();
    isla.sync();
    assert_eq!(state(isla, &written), (json!("confirmed"), json!(2), json!(1)));
    assert_eq!(yours(), (json!(1), json!(1)));
    let words = "confirmed by 2 of 2 devices in 1 country";
    for arguments in [&["record", "list"][..], &["record", "show", &written], &["who", &written]] {
        let ran = isla.run_plain(arguments).exits(0);
        assert!(ran.stdout_text().contains(words), "{ran:?}");
    }
    let status = isla.run_plain(&["status"]).exits(0);
    assert!(status.stdout_text().contains("1 sent, 1 confirmed"), "{status:?}");
    let who = isla.run(&["who", &written]).exits(0).json();
    let held = json!({ "devices": 2, "of": 2, "countries": 1, "confirmed": true });
    assert_eq!((&who["held"], &isla.show(&written)["held"]), (&held, &held));

    // Both are in one country.
    let _ = isla.run(&["committee", "policy", committee, "--confirm-countries", "2"]).exits(0);
    assert_eq!(state(isla, &written).0, "accepted");
    let board = isla.status()["committees"][0]["board"].to_string();
    assert!(board.contains("nothing you write can be confirmed"), "{board}");
}

#[test]
fn status_says_of_those_told_of_a_suspension_how_many_have_followed_it() {
    let relay = Relay::start(&programs());
    let people = [
        ("isla", "CH", "coordinator"),
        ("baran", "TR", "member"),
        ("mira", "DE", "member"),
        ("olga", "NO", "coordinator"),
    ];
    let village = Village::of(&programs(), &relay, &people);
    let isla = village.home("isla");
    let cut = isla.run(&["member", "suspend", "baran", "--yes"]).exits(0).json();
    assert_eq!(cut["committees"][0]["told"], json!({ "told": 2, "confirmed": 0 }));
    let cut_off = || isla.status()["committees"][0]["cut_off"].clone();
    assert_eq!((&cut_off()["told"], &cut_off()["confirmed"]), (&json!(2), &json!(0)));
    assert_eq!(cut_off()["entry"], cut["committees"][0]["entry"]);
    village.home("mira").sync();
    isla.sync();
    assert_eq!(cut_off()["confirmed"], 1);
    let status = isla.run_plain(&["status"]).exits(0);
    assert!(status.stdout_text().contains("told 2 members, 1 confirmed"), "{status:?}");
}

/// Everything but cosignatures is as it should be.
fn withhold_cosignatures(relay: &Tap) {
    relay.lie(|_, reply| match reply {
        Reply::Cosignatures(_) => Reply::Cosignatures(Vec::new()),
        other => other,
    });
}

#[test]
fn past_an_enforced_lease_nothing_is_sealed_until_coordinators_are_heard() {
    let relay = Tap::start();
    let [isla, olga, baran] = ["isla", "olga", "baran"].map(|who| Home::of(&programs(), who));
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    withhold_cosignatures(&relay);
    isla.let_in(&committee, &olga);
    let _ = isla.run(&["member", "role", "olga", "coordinator"]).exits(0);
    isla.let_in(&committee, &baran);
    let _ = isla.run(&["committee", "policy", &committee, "--lease-enforced", "true"]).exits(0);
    olga.sync();

    let kept = baran.try_record_new("note", &committee, &note("Kept back."));
    let kept = kept.fails(3, "not-delivered").says("0 of 2 coordinators were heard");
    assert_eq!(kept.field("state"), "saved", "{kept:?}");
    let lease = || baran.status()["committees"][0]["lease"].clone();
    let over =
        json!({ "heard": 0, "of": 2, "needed": 2, "days": 7, "over": true, "enforced": true });
    assert_eq!(lease(), over);
    let audited = baran.run_plain(&["committee", "audit", &committee]).exits(0);
    assert!(audited.stdout_text().contains("no record is sealed until then"), "{audited:?}");
    // One of hers, for it to be asked about.
    let hers = olga.try_record_new("note", &committee, &note("Kept back too."));
    let _ = hers.fails(3, "not-delivered");

    relay.tell_the_truth();
    for home in [&isla, &olga, &baran] {
        let _ = home.run(&["sync"]).exits(0);
    }
    assert_eq!(lease()["over"], false);
    isla.sync();
    assert_eq!(isla.records().len(), 2);
    let reference = isla.records()[0]["ref"].as_str().expect("a REF").to_owned();
    let who = baran.run(&["who", &reference]).exits(0).json();
    assert_eq!((&who["lease"]["over"], &who["lease"]["heard"]), (&json!(false), &json!(2)));
}

#[test]
fn a_colleague_who_vouches_for_another_log_is_named_at_each_sync_and_stops_nobody() {
    let relay = Tap::start();
    let isla = Home::of(&programs(), "isla");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let mut rogue = Rogue::ask(&isla.invite(&committee), "mallory");
    isla.sync();
    let _ = isla.admit(rogue.among(&isla.asking())).exits(0);
    rogue.follow();
    let shows = |mark: CosignatureOf| {
        relay.lie(move |_, reply| match reply {
            Reply::Cosignatures(_) => Reply::Cosignatures(vec![mark.clone()]),
            other => other,
        });
    };
    shows(rogue.vouches(TreeSize(2), Hash::of(b"what mallory is shown")));

    isla.record_new("note", &committee, &note("Sent in spite of it."));
    let waits = isla.record_later("note", &committee, &note("This one too.")).reference;
    for sent in [1, 0] {
        let synced = isla.run(&["sync"]).fails(7, "verification-failed");
        let synced = synced.says("of mallory vouches for another log");
        assert_eq!((&synced.json()["sent"], &synced.json()["unsent"]), (&json!(sent), &json!(0)));
    }
    assert_eq!(state(&isla, &waits).0, "accepted", "her word confirms nothing");
    let status = isla.status();
    assert!(status.to_string().contains("vouches for another log"), "{status}");
    assert_eq!(status["committees"][0]["evidence"], 1);
    let audited = isla.run(&["committee", "audit", &committee]).fails(7, "verification-failed");
    assert!(audited.stdout_text().contains("contradicts"), "{audited:?}");
    let three = isla.record_new("note", &committee, &note("And a third."));
    assert_eq!(three.state, "accepted");

    // Until her device vouches for the log that is here.
    rogue.follow();
    let head = rogue.world().committee.seen();
    shows(rogue.vouches(head.size, head.root));
    isla.sync();
    assert_eq!(state(&isla, &waits).0, "confirmed");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success(), "cp {} {}", from.display(), to.display());
}

#[test]
fn a_vault_put_back_whose_device_vouched_for_more_than_the_relay_shows_says_so() {
    let relay = Tap::start();
    let isla = Home::of(&programs(), "isla");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let backup = elsewhere.path().join("backup");
    copy(&isla.vault(), &backup);
    isla.record_new("note", &committee, &note("After the copy."));
    std::fs::remove_dir_all(isla.vault()).expect("it is ours");
    copy(&backup, &isla.vault());
    // The relay hides what came after, and gives its own device's word for it away.
    relay.lie(|request, reply| match (request, reply) {
        (Request::Heads(asked), Reply::Heads(_)) => {
            Reply::Heads(asked.committees.iter().map(|_| HeadState::Same(Empty {})).collect())
        }
        (_, reply) => reply,
    });
    let words = "itself vouched for 2 entries and holds 1";
    let _ = isla.run(&["sync"]).fails(7, "verification-failed").says(words);
    let _ = isla.run(&["sync"]).fails(7, "verification-failed").says(words);
    relay.tell_the_truth();
    let _ = isla.run(&["sync"]).exits(0).says("put back from a backup");
    assert_eq!(isla.records().len(), 1);
}
