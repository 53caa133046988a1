//! A committee lives: people come, change roles, are cut off, come back and go, over years and
//! borders.

use sealpost_tests::home::Home;
use sealpost_tests::relay::Relay;
use sealpost_tests::village::Village;
use serde_json::{Value, json};

use crate::programs;

/// Eight people in three countries, three of whom coordinate, with two approvals needed.
fn village(relay: &Relay) -> Village {
    let people = [
        ("isla", "CH", "coordinator"),
        ("olga", "CH", "coordinator"),
        ("tomas", "DE", "coordinator"),
        ("baran", "TR", "member"),
        ("mira", "TR", "member"),
        ("nasrin", "DE", "member"),
        ("jonas", "CH", "reader"),
        ("selma", "TR", "member"),
    ];
    let village = Village::of(&programs(), relay, &people);
    let policy = ["committee", "policy", &village.committee, "--approvals", "2"];
    let _ = village.run("isla", &policy).exits(0);
    village.everybody_syncs();
    village
}

fn note(home: &Home, committee: &str, text: &str) {
    let _ = home.record_new("note", committee, &json!({ "text": text }));
}

fn state_of(home: &Home, committee: &str, handle: &str) -> Value {
    let shown = home.run(&["committee", "show", committee]).exits(0).json();
    let members = shown["members"].as_array().expect("members");
    let member = members.iter().find(|member| member["handle"] == handle);
    member.unwrap_or_else(|| panic!("no {handle}: {shown}"))["devices"][0]["state"].clone()
}

fn role_of(home: &Home, committee: &str, handle: &str) -> Value {
    let shown = home.run(&["committee", "show", committee]).exits(0).json();
    let members = shown["members"].as_array().expect("members");
    let member = members.iter().find(|member| member["handle"] == handle);
    member.unwrap_or_else(|| panic!("no {handle}: {shown}"))["role"].clone()
}

fn epoch(home: &Home, committee: &str) -> u64 {
    let shown = home.run(&["committee", "show", committee]).exits(0).json();
    shown["epoch"].as_u64().expect("a number")
}

#[test]
fn a_member_becomes_coordinator_when_a_second_coordinator_approves_and_not_before() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    // A member may not even propose it.
    let _ = village.run("mira", &["member", "role", "mira", "coordinator"]).fails(5, "not-allowed");
    // What is not grave one coordinator does alone.
    let _ = village.run("olga", &["member", "role", "jonas", "member"]).exits(0);

    let proposed = village.run("isla", &["member", "role", "nasrin", "coordinator"]);
    let reference = Village::proposed(&proposed);
    let failure = proposed.fails(8, "second-person").failure();
    let next = failure["next"].as_str().expect("words");
    assert!(next.contains(&format!("sealpost approve {reference}")), "{next}");
    village.home("tomas").sync();
    assert_eq!(role_of(village.home("tomas"), committee, "nasrin"), "member");

    // The proposer's second word is no second person; a member's is none at all.
    let again = village.run("isla", &["approve", &reference]);
    let _ = again.fails(8, "second-person");
    let _ = village.run("mira", &["approve", &reference]).fails(5, "not-allowed");

    // Whoever has not heard of it finds it by its REF.
    let approved = village.run("olga", &["approve", &reference]).exits(0).json();
    assert_eq!(approved["state"], "done");
    assert_eq!(approved["what"], "make nasrin coordinator");
    village.home("tomas").sync();
    assert_eq!(role_of(village.home("tomas"), committee, "nasrin"), "coordinator");
    let gone = village.run("tomas", &["approve", &reference]);
    let _ = gone.fails(6, "not-found");
}

#[test]
fn status_and_show_say_what_waits_for_whom_and_the_command_to_type() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let proposed = village.run("isla", &["member", "remove", "selma", "--yes"]);
    let reference = Village::proposed(&proposed);
    let command = format!("sealpost approve {reference}");
    let synced = village.home("olga").sync();
    let news = synced["news"].to_string();
    assert!(news.contains("isla proposes to remove selma") && news.contains(&command), "{news}");
    village.home("mira").sync();
    for (handle, may) in [("olga", true), ("isla", false), ("mira", false)] {
        let shown = village.run(handle, &["committee", "show", committee]).exits(0).json();
        let waiting = &shown["waiting"][0];
        assert_eq!(waiting["ref"], json!(reference));
        assert_eq!(waiting["what"], "remove selma");
        assert_eq!((&waiting["by"], &waiting["missing"]), (&json!("isla"), &json!(1)));
        assert_eq!(waiting["waits_for"], json!(["olga", "tomas"]));
        assert_eq!(waiting["next"], if may { json!(command) } else { Value::Null }, "{handle}");
        let words = village.home(handle).run_plain(&["committee", "show", committee]).exits(0);
        assert_eq!(words.stdout_text().contains(&command), may, "{handle}");
    }
}

#[test]
fn a_colleagues_record_written_offline_during_a_suspension_is_locked_anew_and_arrives_once() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let mira = village.home("mira");
    mira.record_later("note", committee, &json!({ "text": "written on the road" }));
    let before = epoch(village.home("isla"), committee);

    let suspended = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0).json();
    let cut = &suspended["committees"][0];
    assert_eq!((&cut["notice"], &cut["lock"]), (&json!("accepted"), &json!("changed")));
    assert_eq!(epoch(village.home("isla"), committee), before + 1);

    // He is told which entry did it, and by whom.
    let refused = village.run("baran", &["sync"]);
    let failure = refused.fails(5, "not-allowed").failure();
    let what = failure["what"].as_str().expect("words");
    let entry = format!("suspended in {committee} by isla, entry {}", cut["entry"]);
    assert!(what.contains(&entry), "{what}");

    assert_eq!(mira.sync()["sent"], 1);
    village.home("olga").sync();
    assert_eq!(village.reads("olga"), ["written on the road"]);
    assert_eq!(village.reads("mira"), ["written on the road"]);
    assert!(village.reads("baran").is_empty());
    // Typing it again changes nothing and is no failure.
    let again = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0).json();
    assert_eq!(again["committees"][0]["entry"], cut["entry"]);
}

#[test]
fn nobody_is_restored_by_one_coordinator_alone_and_everybody_reads_after_two() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let _ = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0);
    note(village.home("mira"), committee, "while he was away");
    let asked = village.run("isla", &["member", "restore", "baran"]);
    let reference = Village::proposed(&asked);
    let _ = asked.fails(8, "second-person");
    let _ = village.run("baran", &["sync"]).fails(5, "not-allowed");
    let _ = village.run("olga", &["approve", &reference]).exits(0);
    village.home("baran").sync();
    assert_eq!(village.reads("baran"), ["while he was away"]);
    note(village.home("baran"), committee, "and back");
    village.home("selma").sync();
    assert_eq!(village.reads("selma"), ["while he was away", "and back"]);
}

#[test]
fn who_is_removed_never_comes_back_with_the_same_device() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let before = epoch(village.home("isla"), committee);
    let removal = village.run("tomas", &["member", "remove", "selma", "--yes"]);
    let reference = Village::proposed(&removal);
    // Until then she is a member like any other.
    note(village.home("selma"), committee, "still here");
    let _ = village.run("isla", &["approve", &reference]).exits(0);
    assert_eq!(epoch(village.home("isla"), committee), before + 1, "the lock went with her");
    let failure = village.run("selma", &["sync"]).fails(5, "not-allowed").failure();
    assert!(failure["what"].as_str().expect("words").contains("removed"), "{failure}");
    note(village.home("mira"), committee, "without her");
    assert_eq!(village.reads("selma"), ["still here"]);
    village.home("olga").sync();
    assert_eq!(state_of(village.home("olga"), committee, "selma"), "ended");
    let restored = village.run("olga", &["member", "restore", "selma"]);
    let _ = restored.fails(1, "failed").says("ended for good");
}

#[test]
fn who_comes_in_from_now_reads_nothing_from_before_until_it_is_handed_over() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let isla = village.home("isla");
    note(isla, committee, "from before");
    let newcomer = Home::in_country(&programs(), "petra", "DE");
    let _ = newcomer.join(&isla.invite(committee)).exits(0);
    isla.sync();
    let asking = isla.asking();
    let admit = ["member", "admit", &asking[0].reference, "--from-now", "--safety-number"];
    let _ = isla.run(&[&admit[..], &[&asking[0].safety_number]].concat()).exits(0);
    note(isla, committee, "from now");
    newcomer.sync();
    let mut states: Vec<String> =
        newcomer.records().iter().map(|row| row["state"].to_string()).collect();
    states.sort();
    assert_eq!(states, ["\"confirmed\"", "\"unopened\""]);
    // The others read on as before.
    village.home("mira").sync();
    assert_eq!(village.reads("mira"), ["from before", "from now"]);

    let granted = village.run("mira", &["member", "grant", "petra", "--history"]).exits(0).json();
    assert_eq!(granted["locks"], json!([1]));
    newcomer.sync();
    let records = newcomer.records();
    assert!(records.iter().all(|row| row["state"] == "confirmed"), "{records:?}");
    assert_eq!(records.len(), 2);
}

#[test]
fn the_rules_of_approvals_name_the_command_that_comes_first() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    // Three coordinators, two approvals: none may go, and three approvals would be too many.
    let lowered = village.run("isla", &["member", "role", "tomas", "member"]);
    let failure = lowered.fails(8, "second-person").failure();
    let next = failure["next"].as_str().expect("words");
    assert!(next.contains("committee policy") && next.contains("--approvals 1"), "{next}");
    let more = village.run("isla", &["committee", "policy", committee, "--approvals", "3"]);
    let _ = more.fails(8, "second-person");
    // A change of the policy waits for the second.
    let less = village.run("isla", &["committee", "policy", committee, "--approvals", "1"]);
    let _ = less.fails(8, "second-person");
    let shown = village.run("olga", &["committee", "policy", committee]).exits(0).json();
    assert_eq!(shown["policy"]["approvals"], 2);
}

#[test]
fn a_coordinator_who_suspends_another_is_bound_until_the_others_decide() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let _ = village.run("isla", &["member", "suspend", "olga", "--yes"]).exits(0);
    // No further coordinator, and no say about this one.
    let _ = village.run("isla", &["member", "suspend", "tomas", "--yes"]).fails(8, "second-person");
    let _ = village.run("isla", &["member", "restore", "olga"]).fails(8, "second-person");
    // A member she may still cut off: an arrest does not wait.
    let _ = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0);
    let synced = village.home("tomas").sync();
    let shown = village.run("tomas", &["committee", "show", committee]).exits(0).json();
    let undecided = &shown["waiting"][0];
    assert_eq!(undecided["what"], "let the suspension of olga stand", "{synced}");
    let reference = undecided["ref"].as_str().expect("a REF");
    let _ = village.run("tomas", &["approve", reference]).exits(0);
    village.home("isla").sync();
    let restored = village.run("isla", &["member", "restore", "olga"]);
    let reference = Village::proposed(&restored);
    let _ = village.run("tomas", &["approve", &reference]).exits(0);
    village.home("olga").sync();
    assert_eq!(state_of(village.home("olga"), committee, "olga"), "active");
}

#[test]
fn who_could_read_a_record_and_what_a_suspended_device_holds_is_told_from_the_log() {
    let relay = Relay::start(&programs());
    let village = village(&relay);
    let committee = village.committee.as_str();
    let (isla, mira) = (village.home("isla"), village.home("mira"));
    let before = mira.record_new("note", committee, &json!({ "text": "before" })).reference;
    village.everybody_syncs();
    let cut = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0).json();
    let held = &cut["exposure"]["devices"][0];
    assert_eq!((&held["records"], &held["locks"]), (&json!(1), &json!([1])));
    assert_eq!(cut["exposure"]["authors"], json!([{ "name": "mira", "records": 1 }]));
    mira.sync();
    let after = mira.record_new("note", committee, &json!({ "text": "after" })).reference;
    isla.sync();

    let readers = |reference: &str, on: &[&str]| {
        let arguments = [&["who", reference], on].concat();
        let shown = isla.run(&arguments).exits(0).json();
        let rows = shown["readers"].as_array().expect("rows").clone();
        let named = |row: &Value| row["handle"].as_str().expect("a handle").to_owned();
        let mut handles: Vec<String> = rows.iter().map(named).collect();
        handles.sort();
        (handles, rows)
    };
    let everybody = ["baran", "isla", "jonas", "mira", "nasrin", "olga", "selma", "tomas"];
    let (handles, rows) = readers(&before, &[]);
    assert_eq!(handles, everybody);
    let baran = rows.iter().find(|row| row["handle"] == "baran").expect("his row");
    assert_eq!(baran["cut_off"], cut["committees"][0]["entry"]);
    let (handles, _) = readers(&after, &[]);
    let others: Vec<&str> = everybody.into_iter().filter(|one| *one != "baran").collect();
    assert_eq!(handles, others);
    // Whoever vouched for the log beyond it has it; the audit fetches who did.
    let board = isla.run(&["committee", "audit", committee]).exits(0).json();
    assert!(board["board"].as_array().expect("items").iter().all(|item| item["next"] != ""));
    let (_, rows) = readers(&before, &[]);
    let olga = rows.iter().find(|row| row["handle"] == "olga").expect("her row");
    assert_eq!(olga["had"], "delivered");
    // On the day before there was nothing to read.
    let early = isla.run(&["who", &before, "--on", "2020-01-01"]);
    let _ = early.fails(6, "not-found");
    let _ = isla.run(&["who", &before, "--on", "yesterday"]).fails(2, "usage");
    let _ = isla.run(&["who", "N-2222222"]).fails(2, "usage");
    let exposure = village.run("olga", &["member", "exposure", "baran"]).exits(0).json();
    assert_eq!(exposure["devices"][0]["device"], held["device"]);
}
