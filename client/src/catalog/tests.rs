use sealpost_protocol::id::Epoch;

use super::*;
use crate::clock::Clock;
use crate::vault::fixture;

fn app() -> (tempfile::TempDir, App, CommitteeNo) {
    let (dir, home) = fixture::home();
    let (mut vault, secrets) = fixture::create(&home).expect("a vault");
    let no = fixture::add_committee(&mut vault, 1);
    let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
    (dir, App { vault, device: secrets.device, clock }, no)
}

#[test]
fn a_record_in_the_log_is_shown_with_its_place_and_an_unopened_one_with_its_author() {
    let (_dir, mut app, no) = app();
    let id = "01JQ0000000000000000000000";
    let author = app.device.device_id();
    let record = |index, content| Record {
        committee: no,
        index: LeafIndex(index),
        id: id.replace('Q', &index.to_string()),
        reference: Ref::new("N", &[u8::try_from(index).expect("small")]).to_string(),
        kind: "note".to_owned(),
        author,
        epoch: Epoch(2),
        made: UnixMillis(5),
        content,
    };
    let opened = record(3, Content::Opened(r#"{"text":"heron"}"#.to_owned()));
    let unopened = record(4, Content::Unopened("no key for lock 2".to_owned()));
    app.vault
        .write(|vault| vault.put_record(&opened).and_then(|()| vault.put_record(&unopened)))
        .expect("stored");
    let place = show(&app, &opened.reference).expect("shown").entry.expect("a place");
    assert_eq!((place.index, place.epoch), (LeafIndex(3), Epoch(2)));
    let failure = show(&app, &unopened.reference).expect_err("not opened");
    let author = names::device_ref(&author).to_string();
    assert!(failure.what.contains(&author) && failure.what.contains("no key"), "{}", failure.what);
    let states: Vec<_> = list(&app, None).expect("listed").iter().map(|row| row.state).collect();
    assert_eq!(states, ["accepted", "unopened"]);
}
