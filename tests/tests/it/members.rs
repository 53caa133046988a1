//! Members who misbehave. What they write is refused, or shown for what it is; the others' work
//! goes on.

use sealpost_protocol::change::Change;
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Header, Kind};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, Epoch};
use sealpost_protocol::record::{Binding, Fields};
use sealpost_protocol::seal::{EpochKeys, EpochSecret};
use sealpost_protocol::world;
use sealpost_tests::home::Home;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::scene::Scene;
use sealpost_tests::tap::Tap;
use serde_json::{Value, json};

use crate::programs;

const ULID: &str = "01M886ZTD9EZMS7DJE1HX92456";

fn note(text: &str) -> Fields {
    let note = json!({
        "kind": "note", "schema": 1, "created": "2026-03-11T12:00:00.000Z", "text": text,
    });
    note.as_object().expect("an object").clone()
}

/// Lets a rogue into a committee.
fn rogue_in(founder: &Home, committee: &str) -> Rogue {
    let mut rogue = Rogue::ask(&founder.invite(committee), "mallory");
    founder.sync();
    let _ = founder.admit(rogue.among(&founder.asking())).exits(0);
    rogue.follow();
    rogue
}

/// Pushes a record whose header is honest; what is inside is the test's.
fn push(rogue: &mut Rogue, payload: Vec<u8>, content: Hash) {
    let mut header = rogue.header(Kind::Record);
    header.content = content;
    rogue.push(header, payload).expect("the relay cannot tell");
    rogue.follow();
}

fn row<'r>(records: &'r [Value], author: &str) -> Vec<&'r Value> {
    records.iter().filter(|row| row["author"] == author).collect()
}

#[test]
fn an_honest_record_made_over_the_wire_is_read() {
    // What the tests below do differently from this is what they show.
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let mut rogue = rogue_in(&isla, &committee);
    let (payload, content) = rogue.sealed(note("An honest word."), ULID, &rogue.binding());
    push(&mut rogue, payload, content);
    baran.sync();
    let records = baran.records();
    let [row] = row(&records, "mallory")[..] else { panic!("{records:?}") };
    let shown = baran.show(row["ref"].as_str().expect("a ref"));
    assert_eq!(shown["record"]["text"], "An honest word.");
    assert_eq!(shown["verified"], true);
}

#[test]
fn what_is_not_bound_to_its_place_is_shown_as_unopened_with_its_author() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let honest = isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    let mut rogue = rogue_in(&isla, &committee);
    let own = rogue.binding();
    let isla_device = {
        let mut devices = rogue.world().committee.roster().devices();
        devices.find(|(_, device)| device.member.0 == 1).expect("the founder").0
    };
    let other = CommitteeId(Hash::of(b"another committee"));
    // Somebody else's name, another committee, another lock, and fields that were not signed for.
    let lies = [
        Binding { author: isla_device, ..own },
        Binding { committee: other, ..own },
        Binding { epoch: Epoch(2), ..own },
    ];
    for binding in lies {
        let (payload, content) = rogue.sealed(note("A false word."), ULID, &binding);
        push(&mut rogue, payload, content);
    }
    let (payload, _) = rogue.sealed(note("A false word."), ULID, &own);
    push(&mut rogue, payload, Hash::of(b"other fields"));
    // Sealed under a secret that nobody was given.
    let keys = EpochKeys::new(EpochSecret::generate(&[7; 32]));
    push(&mut rogue, keys.seal_record(b"{}").expect("it is short"), Hash::of(b"content"));
    push(&mut rogue, world::record_file(), Hash::of(b"content"));

    let synced = baran.sync();
    assert_eq!(synced["received"], 8, "all of it is in the log: {synced}");
    let records = baran.records();
    let unopened = row(&records, "mallory");
    assert_eq!(unopened.len(), 6, "{records:?}");
    for row in unopened {
        assert_eq!(row["state"], "unopened");
        let reference = row["ref"].as_str().expect("a ref");
        let ran = baran.run(&["record", "show", reference]);
        assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
        assert!(!ran.stderr_text().contains("false word"), "{ran:?}");
        let _ = ran.failure();
        // The very bytes can still be had, as evidence.
        assert!(baran.sealed(reference).starts_with(b"age-encryption.org/v1\n"));
    }
    assert_eq!(row(&records, "isla").len(), 1, "nothing was put into isla's mouth");
    assert_eq!(baran.show(&honest.reference)["record"]["text"], "Hearing on Monday.");
    // And baran goes on working.
    baran.record_new("note", &committee, &json!({ "text": "Understood." }));
}

#[test]
fn a_record_with_a_colleagues_id_takes_nobodys_place() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let honest = isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    let mut rogue = rogue_in(&isla, &committee);
    let (payload, content) = rogue.sealed(note("On Tuesday."), &honest.id, &rogue.binding());
    push(&mut rogue, payload, content);
    for home in [&isla, &baran] {
        home.sync();
        assert_eq!(home.show(&honest.reference)["record"]["text"], "Hearing on Monday.");
        let records = home.records();
        assert_eq!(row(&records, "isla").len(), 1);
        let [copy] = row(&records, "mallory")[..] else { panic!("{records:?}") };
        assert_ne!(copy["ref"], honest.reference.as_str());
    }
}

#[test]
fn the_relay_refuses_what_a_member_may_not_write() {
    let Scene { relay: _relay, isla, committee, .. } = Scene::new(&programs());
    let rogue = rogue_in(&isla, &committee);
    let devices: Vec<_> = rogue.world().active();
    let lock = Change::Lock(Box::new(world::lock(9, &devices, true)));
    let refused = rogue.push(rogue.header(Kind::Roster), codec::encode(&lock));
    assert_eq!(refused, Err(Code::NotEntitled), "a lock by no coordinator");

    let (payload, content) = rogue.sealed(note("word"), ULID, &rogue.binding());
    let mut header = rogue.header(Kind::Record);
    header.content = content;
    let with = |change: fn(&mut Header)| {
        let mut changed = header.clone();
        change(&mut changed);
        rogue.push(changed, payload.clone())
    };
    assert_eq!(with(|header| header.epoch = Epoch(2)), Err(Code::StaleEpoch));
    assert_eq!(with(|header| header.seen.root = Hash::of(b"other")), Err(Code::Disputed));
    assert_eq!(with(|header| header.author_prev = Hash::of(b"other")), Err(Code::AuthorChain));
    assert_eq!(with(|header| header.committee.0 = Hash::of(b"other")), Err(Code::OtherLog));
    assert_eq!(rogue.push(header.clone(), b"plain text".to_vec()), Err(Code::BadPayload));
    let work_factor = String::from_utf8_lossy(&payload[..80]).replace(" 1\n", " 20\n");
    let bomb = [work_factor.as_bytes(), &payload[80..]].concat();
    assert_eq!(rogue.push(header.clone(), bomb), Err(Code::BadPayload));
    let taken = rogue.push(header.clone(), payload.clone());
    assert!(taken.is_ok(), "none of it spoiled the honest one");
    assert_eq!(rogue.push(header, payload), taken, "the same again is where it was");
}

#[test]
fn nobody_who_listens_can_tell_whether_a_record_opened() {
    let programs = programs();
    let relay = Tap::start();
    let isla = Home::of(&programs, "isla");
    let baran = Home::of(&programs, "baran");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    isla.let_in(&committee, &baran);
    let mut rogue = rogue_in(&isla, &committee);
    baran.sync();
    let keys = EpochKeys::new(EpochSecret::generate(&[7; 32]));
    let bad = (keys.seal_record(&[b' '; 1024]).expect("it is short"), Hash::of(b"content"));
    let good = rogue.sealed(note("An honest word."), ULID, &rogue.binding());
    assert_eq!(bad.0.len(), good.0.len(), "from outside they look the same");
    // What goes over the wire when baran's device meets each of them.
    let [bad, good] = [bad, good].map(|(payload, content)| {
        push(&mut rogue, payload, content);
        relay.forget_frames();
        baran.sync();
        let frames = relay.frames();
        frames.iter().map(|frame| (frame.direction, frame.bytes.len())).collect::<Vec<_>>()
    });
    assert_eq!(bad, good);
    assert!(bad.len() > 4, "{bad:?}");
    let states: Vec<_> = baran.records().iter().map(|row| row["state"].clone()).collect();
    assert!(
        states.contains(&json!("unopened")) && states.contains(&json!("confirmed")),
        "{states:?}"
    );
}
