//! One person, several devices: added, used side by side, retired; and a vault put back from a copy.

use sealpost_tests::home::Home;
use sealpost_tests::relay::Relay;
use sealpost_tests::village::Village;
use serde_json::{Value, json};

use crate::programs;

const FAR: &[&str] = &["record", "new", "note", "--from", "-", "--later", "--committee"];

/// Isla coordinates with Olga; Baran is a member. All write.
fn village(relay: &Relay) -> Village {
    let people =
        [("isla", "CH", "coordinator"), ("olga", "DE", "coordinator"), ("baran", "TR", "member")];
    Village::of(&programs(), relay, &people)
}

fn writes_later(home: &Home, committee: &str, text: &str) {
    let arguments = [FAR, &[committee]].concat();
    let _ = home.run_with(&arguments, json!({ "text": text }).to_string().as_bytes()).exits(0);
}

fn reference(home: &Home) -> String {
    home.run(&["device", "show"]).exits(0).field("ref")
}

fn own_devices(home: &Home) -> Vec<Value> {
    let shown = home.run(&["device", "show"]).exits(0).json();
    shown["devices"].as_array().expect("a list").clone()
}

fn texts(home: &Home) -> Vec<String> {
    let readable = |row: &&Value| row["state"] == "accepted" || row["state"] == "confirmed";
    let text = |row: &Value| {
        let shown = home.show(row["ref"].as_str().expect("a REF"));
        shown["record"]["text"].as_str().expect("a note").to_owned()
    };
    let mut texts: Vec<String> = home.records().iter().filter(readable).map(text).collect();
    texts.sort();
    texts
}

#[test]
fn a_second_device_reads_all_writes_as_its_owner_and_neither_forks_the_others_chain() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, laptop) = (village.committee.as_str(), village.home("baran"));
    let _ = laptop.record_new("note", committee, &json!({ "text": "before" }));
    let phone = Home::in_country(&programs(), "baran", "TR");
    assert_eq!(laptop.adds(&phone)[0]["state"], "done");
    phone.sync();
    assert_eq!(texts(&phone), ["before"]);
    // Both write without a network, then one after the other finds it.
    for round in ["one", "two"] {
        writes_later(laptop, committee, &format!("laptop {round}"));
        writes_later(&phone, committee, &format!("phone {round}"));
    }
    laptop.sync();
    phone.sync();
    laptop.sync();
    let all = ["before", "laptop one", "laptop two", "phone one", "phone two"];
    village.home("olga").sync();
    for home in [laptop, &phone, village.home("olga")] {
        assert_eq!(texts(home), all);
    }
    // Who wrote it is the person, whichever device did.
    let olga = village.home("olga");
    let shown = olga.run(&["committee", "show", committee]).exits(0).json();
    let member = &shown["members"][2];
    assert_eq!(
        (&member["handle"], member["devices"].as_array().map(Vec::len)),
        (&json!("baran"), Some(2))
    );
    let devices = own_devices(laptop);
    assert!(devices.iter().all(|one| one["state"] == "active"), "{devices:?}");
    let this: Vec<&Value> = devices.iter().filter(|one| one["this"] == true).collect();
    assert!(this.len() == 1 && this[0]["last_contact"].is_string(), "{devices:?}");
}

/// When each of one's own devices last vouched for the log, this one first.
fn last_contacts(home: &Home) -> Vec<Value> {
    let mut devices = own_devices(home);
    devices.sort_by_key(|one| one["this"] != true);
    devices.iter().map(|one| one["last_contact"].clone()).collect()
}

#[test]
fn two_devices_that_send_at_once_both_arrive_and_each_sees_when_the_other_was_there() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, laptop) = (village.committee.as_str(), village.home("baran"));
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    let contacts = last_contacts(laptop);
    assert!(contacts.len() == 2 && contacts[1].is_null(), "it was not there yet: {contacts:?}");
    phone.sync();
    let homes = [laptop, &phone];
    let mut all = Vec::new();
    for round in ["one", "two", "three"] {
        for (home, name) in homes.iter().zip(["laptop", "phone"]) {
            let text = format!("{name} {round}");
            writes_later(home, committee, &text);
            all.push(text);
        }
        let syncing = homes.map(|home| home.start(&["sync"]));
        for synced in syncing {
            let synced = synced.finish().exits(0).json();
            assert_eq!((&synced["sent"], &synced["unsent"]), (&json!(1), &json!(0)));
        }
    }
    all.sort();
    village.home("olga").sync();
    assert_eq!(texts(village.home("olga")), all);
    for home in homes {
        home.sync();
        assert_eq!(texts(home), all);
        let contacts = last_contacts(home);
        assert!(contacts.len() == 2 && contacts.iter().all(Value::is_string), "{contacts:?}");
    }
}

#[test]
fn removing_a_member_ends_every_device_for_good() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, laptop) = (village.committee.as_str(), village.home("baran"));
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    phone.sync();
    writes_later(&phone, committee, "kept back");
    village.home("isla").sync();
    let _ = village.run("isla", &["member", "remove", "baran", "--yes"]).exits(0);
    let shown = village.run("isla", &["committee", "show", committee]).exits(0).json();
    assert_eq!((&shown["epoch"], &shown["lock_pending"]), (&json!(2), &json!(false)));
    let _ = village.home("isla").record_new("note", committee, &json!({ "text": "without him" }));
    for home in [laptop, &phone] {
        let _ = home.run(&["sync"]).fails(5, "not-allowed");
        // Nor does it bring another one in.
        let _ = home.run(&["device", "add"]).exits(5);
        assert!(!texts(home).contains(&"without him".to_owned()));
    }
    let again = village.run("isla", &["member", "restore", "baran"]).fails(1, "failed");
    let _ = again.says("ended for good");
    village.home("olga").sync();
    assert_eq!(texts(village.home("olga")), ["without him"]);
}

#[test]
fn suspending_a_member_suspends_every_device_and_restoring_brings_them_back() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let laptop = village.home("baran");
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    phone.sync();
    village.home("isla").sync();
    let _ = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0);
    for home in [laptop, &phone] {
        let _ = home.run(&["sync"]).fails(5, "not-allowed");
    }
    let _ = village.run("isla", &["member", "restore", "baran"]).exits(0);
    village.home("isla").sync();
    for home in [laptop, &phone] {
        home.sync();
        let _ = home.record_new("note", &village.committee, &json!({ "text": "back" }));
    }
}

#[test]
fn a_retired_device_is_refused_and_opens_nothing_sealed_later() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, laptop) = (village.committee.as_str(), village.home("baran"));
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    phone.sync();
    let gone = reference(&phone);
    // Nobody retires another's.
    let _ = village.run("isla", &["device", "retire", &gone, "--yes"]).fails(6, "not-found");
    // No terminal to type the REF at, and no `--yes`.
    let _ = laptop.run(&["device", "retire", &gone]).fails(2, "usage");
    let retired = laptop.run(&["device", "retire", &gone, "--yes"]).exits(0).json();
    assert_eq!(retired[0]["state"], "done");
    let shown = laptop.run(&["committee", "show", committee]).exits(0).json();
    assert_eq!((&shown["epoch"], &shown["lock_pending"]), (&json!(2), &json!(false)));
    let _ = laptop.record_new("note", committee, &json!({ "text": "without the phone" }));
    let _ = phone.run(&["sync"]).fails(5, "not-allowed");
    assert_eq!(texts(&phone), Vec::<String>::new());
    // The others are told, and it does not come back.
    let _ = village.run("olga", &["sync"]).exits(0).says("baran retired device");
    let states: Vec<Value> = own_devices(laptop).iter().map(|one| one["state"].clone()).collect();
    assert!(states.contains(&json!("ended")), "{states:?}");
    let _ = laptop.run(&["device", "retire", &gone, "--yes"]).exits(0);
}

#[test]
fn a_device_that_retires_itself_leaves_the_lock_to_the_others() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, laptop) = (village.committee.as_str(), village.home("baran"));
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    phone.sync();
    let _ = phone.run(&["device", "retire", "--yes"]).exits(0);
    let _ = phone.run(&["sync"]).fails(5, "not-allowed");
    village.home("isla").sync();
    let shown = village.run("isla", &["committee", "show", committee]).exits(0).json();
    assert_eq!((&shown["epoch"], &shown["lock_pending"]), (&json!(2), &json!(false)));
    laptop.sync();
    let _ = laptop.record_new("note", committee, &json!({ "text": "on one device" }));
}

#[test]
fn a_device_is_added_while_a_lock_is_due_and_the_lock_is_changed_with_it() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let (committee, laptop) = (village.committee.as_str(), village.home("baran"));
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    phone.sync();
    // No coordinator is there to change the lock after it.
    let _ = phone.run(&["device", "retire", "--yes"]).exits(0);
    laptop.sync();
    let lock = |home: &Home| {
        let shown = home.run(&["committee", "show", committee]).exits(0).json();
        (shown["epoch"].clone(), shown["lock_pending"].clone())
    };
    assert_eq!(lock(laptop), (json!(1), json!(true)));
    let tablet = Home::in_country(&programs(), "baran", "TR");
    assert_eq!(laptop.adds(&tablet)[0]["state"], "done");
    assert_eq!(lock(laptop), (json!(2), json!(false)));
    tablet.sync();
    let _ = tablet.record_new("note", committee, &json!({ "text": "from the tablet" }));
    village.home("olga").sync();
    assert_eq!(texts(village.home("olga")), ["from the tablet"]);
}

#[test]
fn where_the_policy_says_so_a_coordinator_sees_to_a_further_device() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let policy = ["committee", "policy", &village.committee, "--device-needs-coordinator", "true"];
    let _ = village.run("isla", &policy).exits(0);
    let laptop = village.home("baran");
    laptop.sync();
    let phone = Home::in_country(&programs(), "baran", "TR");
    let added = laptop.adds(&phone);
    assert_eq!(added[0]["state"], "waiting");
    phone.sync();
    assert_eq!(phone.records().len(), 0);
    let approve = added[0]["approve"].as_str().expect("a REF");
    let told = village.run("olga", &["sync"]).exits(0);
    let _ = told.says(&format!("sealpost approve {approve}"));
    let _ = village.run("olga", &["approve", approve]).exits(0);
    phone.sync();
    let _ = phone.record_new("note", &village.committee, &json!({ "text": "from the phone" }));
}

#[test]
fn one_voice_call_adds_a_device_in_every_committee() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let laptop = village.home("baran");
    let second = laptop.found(relay.address(), &relay.permit(), "Two lawyers");
    let phone = Home::in_country(&programs(), "baran", "TR");
    let added = laptop.adds(&phone);
    assert_eq!(added.len(), 2, "{added:?}");
    phone.sync();
    for committee in [village.committee.as_str(), second.as_str()] {
        let _ = phone.record_new("note", committee, &json!({ "text": "in both" }));
    }
}

#[test]
fn what_fails_in_one_committee_stops_a_device_in_no_other() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let laptop = village.home("baran");
    let second = laptop.found(relay.address(), &relay.permit(), "Two lawyers");
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = laptop.adds(&phone);
    phone.sync();
    // In the second one the laptop would leave nobody who can change the roster.
    let alone = phone.run(&["device", "retire", "--yes"]).exits(0).json();
    assert_eq!(alone.as_array().map(Vec::len), Some(2), "{alone}");
    laptop.sync();
    let last = laptop.run(&["device", "retire", "--yes"]);
    let last = last.fails(8, "second-person").json();
    let state = |committee: &str| {
        let rows = last.as_array().expect("one a committee");
        rows.iter().find(|row| row["committee"] == committee).expect("it is there")["state"].clone()
    };
    assert_eq!(state(&second), "failed");
    assert_eq!(state(&village.committee), "done");
}

#[test]
fn another_safety_number_adds_nothing() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let laptop = village.home("baran");
    let phone = Home::in_country(&programs(), "baran", "TR");
    let invited = laptop.run(&["device", "add"]).exits(0).json();
    let _ = phone.join(invited[0]["invitation"].as_str().expect("a text")).exits(0);
    laptop.sync();
    let device = laptop.asking()[0].reference.clone();
    let wrong = ["device", "add", &device, "--safety-number", "00000 00000 00000 00000"];
    let _ = laptop.run(&wrong).fails(7, "verification-failed");
    phone.sync();
    assert_eq!(own_devices(laptop).len(), 1);
    // A person's request is no device's.
    let mira = Home::in_country(&programs(), "mira", "TR");
    let isla = village.home("isla");
    let _ = mira.join(&isla.invite(&village.committee)).exits(0);
    isla.sync();
    let asking = isla.asking();
    let hers = ["device", "add", &asking[0].reference, "--safety-number", &asking[0].safety_number];
    let _ = isla.run(&hers).fails(6, "not-found");
}
