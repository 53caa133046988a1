//! The third day of the storyboard: a coordinator on a telephone's line cuts off an arrested member
//! in four committees of ten.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost_protocol::change::Change;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::frame::Request;
use sealpost_protocol::limits;
use sealpost_tests::home::Home;
use sealpost_tests::proxy::{Direction, Proxy, Weather};
use sealpost_tests::relay::readdressed;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::tap::{Frame, Tap};
use serde_json::json;

use crate::programs;

const COMMITTEES: usize = 4;
/// Beside the coordinator and the member: ten in each committee.
const OTHERS: usize = 8;
/// 64 kbit/s each way.
const BYTES_A_SECOND: u32 = 8_000;
const DELAY: Duration = Duration::from_millis(200);
/// What a notice may cost on the wire, both ways, acknowledgements and all.
const NOTICE_WIRE_BYTES_MAX: usize = 2_000;

/// What only probes of the path reach.
const PROBE_BYTES_MIN: usize = 1_300;

/// A grant, a link, or what a label is beside its text: a hybrid header and its grease, which is as long
/// as chance wants it.
const SEALED_BYTES: std::ops::RangeInclusive<usize> = 1_850..=2_100;
/// The text of a label is filled up to a multiple of this.
const LABEL_STEP_BYTES: usize = 4 * 1024;
/// What a frame and the entry in it are beside what is sealed.
const FRAME_AND_ENTRY_BYTES_MAX: usize = 1_000;

/// The coordinator reaches the relay through the proxy; the others live beside it.
struct Stage {
    relay: Tap,
    proxy: Arc<Proxy>,
    isla: Home,
    baran: Home,
    committees: Vec<String>,
}

impl Stage {
    fn set() -> Self {
        let programs = programs();
        let relay = Tap::start();
        let host = relay.address().split('@').nth(1).expect("a host").parse().expect("loopback");
        let proxy = Arc::new(Proxy::start(host));
        let line = readdressed(relay.address(), proxy.address());
        let isla = Home::in_country(&programs, "isla", "CH");
        let baran = Home::in_country(&programs, "baran", "TR");
        let mut committees = Vec::new();
        for number in 0..COMMITTEES {
            let committee = isla.found(&line, &relay.permit(), &format!("Harbour {number}"));
            let uses = (OTHERS + 1).to_string();
            let new = ["invite", "new", "--committee", &committee, "--uses", &uses];
            let invitation = isla.run(&new).exits(0).field("invitation");
            let _ = baran.join(&invitation).exits(0);
            let others: Vec<Rogue> = (0..OTHERS)
                .map(|other| Rogue::ask(&invitation, &format!("person-{other}")))
                .collect();
            isla.sync();
            let asking = isla.asking();
            assert_eq!(asking.len(), others.len() + 1);
            for one in &asking {
                let _ = isla.admit(one).exits(0);
            }
            committees.push(committee);
        }
        baran.sync();
        isla.sync();
        Self { relay, proxy, isla, baran, committees }
    }
}

/// Everything that went either way, with 20 bytes of IPv4 and 8 of UDP for each datagram. A young
/// connection finds out in these same seconds how long datagrams may be; what it sends for that is no
/// notice's, and nothing of a notice is that long.
fn on_the_wire(proxy: &Proxy) -> usize {
    let recorded = proxy.recorded();
    let lengths = recorded.iter().map(|datagram| datagram.bytes.len());
    lengths.filter(|length| *length < PROBE_BYTES_MIN).map(|length| length + 28).sum()
}

/// The change in the only entry of a push.
fn pushed(request: &Request) -> Option<Change> {
    let Request::Push(push) = request else { return None };
    let [entry] = push.entries.as_slice() else { return None };
    let entry = UnverifiedEntry::decode(entry).ok()?;
    let payload = entry.payload().filter(|_| entry.header().kind == Kind::Roster)?;
    codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).ok()
}

/// What the coordinator asked, in order, by a word each, with the bytes of the frame.
fn asked(frames: &[Frame]) -> Vec<(&'static str, usize)> {
    let word = |frame: &Frame| {
        let request: Request = sealpost_protocol::frame::decode(&frame.bytes[4..]).ok()?;
        let word = match pushed(&request) {
            Some(Change::Suspend(_)) => "notice",
            Some(Change::Lock(_)) => "lock",
            Some(_) => "change",
            None => match request {
                Request::Hello(_) => "hello",
                Request::Heads(_) => "heads",
                Request::Pull(_) => "pull",
                Request::Push(_) => "push",
                Request::Cosign(_) => "cosign",
                _ => "other",
            },
        };
        Some((word, frame.bytes.len()))
    };
    frames.iter().filter(|frame| frame.direction == Direction::ToRelay).filter_map(word).collect()
}

#[test]
fn a_member_is_cut_off_in_four_committees_over_64_kbits() {
    let stage = Stage::set();
    let Stage { relay, proxy, isla, baran, committees } = &stage;
    relay.forget_frames();
    proxy.set_weather(Weather {
        seed: 3,
        lost: 5,
        doubled: 10,
        overtaken: 10,
        delay: DELAY,
        bytes_a_second: Some(BYTES_A_SECOND),
        ..Weather::default()
    });
    // How much had gone over the wire when the relay answered each notice.
    let answered: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (seen, watched) = (answered.clone(), Arc::downgrade(proxy));
    relay.lie(move |request, reply| {
        if let (Some(Change::Suspend(_)), Some(proxy)) = (pushed(request), watched.upgrade()) {
            seen.lock().unwrap().push(on_the_wire(&proxy));
        }
        reply
    });
    let cut = isla.run_plain(&["member", "suspend", "baran", "--yes"]).exits(0);

    // The notices come first, nothing between them: one round trip each on the warm connection.
    let asked = asked(&relay.frames());
    let words: Vec<&str> = asked.iter().map(|(word, _)| *word).collect();
    assert_eq!(words[..5], ["hello", "notice", "notice", "notice", "notice"], "{asked:?}");
    assert_eq!(words.iter().filter(|word| **word == "notice").count(), COMMITTEES);
    let answered = answered.lock().unwrap().clone();
    for pair in answered.windows(2) {
        let cost = pair[1] - pair[0];
        assert!(cost < NOTICE_WIRE_BYTES_MAX, "{cost} bytes on the wire for a notice");
    }

    // The locks: a grant for each of nine, a link and a label, once each, and no byte of a record.
    let locks: Vec<usize> =
        asked.iter().filter(|(word, _)| *word == "lock").map(|(_, bytes)| *bytes).collect();
    assert_eq!(locks.len(), COMMITTEES);
    let sealed = OTHERS + 1 + 1 + 1;
    let bytes_min = sealed * SEALED_BYTES.start() + LABEL_STEP_BYTES;
    let bytes_max = sealed * SEALED_BYTES.end() + LABEL_STEP_BYTES + FRAME_AND_ENTRY_BYTES_MAX;
    assert!(locks.iter().all(|bytes| (bytes_min..bytes_max).contains(bytes)), "{locks:?}");
    assert!(!words.contains(&"pull"), "what was sent does not come back: {words:?}");
    assert!(!words.contains(&"push"), "no record was sent again: {words:?}");

    // At each moment it says what is safe already: every notice, and then every lock.
    let told = cut.stderr_text();
    let place = |what: &str| told.find(what).unwrap_or_else(|| panic!("no {what:?} in {told}"));
    for committee in committees {
        let notice = place(&format!("{committee}  cut-off notice taken"));
        let lock = place(&format!("{committee}  lock 2: what is sealed from now on"));
        assert!(notice < lock);
        for other in committees {
            assert!(notice < place(&format!("{other}  lock 2")), "{told}");
        }
    }
    let shown = cut.stdout_text();
    assert_eq!(shown.matches("accepted (0.").count(), COMMITTEES, "{shown}");
    assert_eq!(shown.matches("changed (").count(), COMMITTEES, "{shown}");
    for committee in committees {
        assert!(shown.contains(committee.as_str()), "{shown}");
    }
    let _ = baran.run(&["sync"]).fails(5, "not-allowed");
    println!("{locks:?} bytes of locks; wire bytes at the notices: {answered:?}");
}

#[test]
fn what_one_relay_does_not_take_is_pending_and_goes_when_it_is_back() {
    use sealpost_tests::relay::Relay;
    let programs = programs();
    let (here, mut there) = (Relay::start(&programs), Relay::start(&programs));
    let isla = Home::in_country(&programs, "isla", "CH");
    let baran = Home::in_country(&programs, "baran", "TR");
    let near = isla.found(here.address(), &here.permit(), "Near");
    let far = isla.found(there.address(), &there.permit(), "Far");
    isla.let_in(&near, &baran);
    isla.let_in(&far, &baran);
    there.kill();
    let cut = isla.run(&["member", "suspend", "baran", "--yes"]);
    assert_eq!(cut.failure()["error"], "not-delivered");
    let json = cut.exits(3).json();
    let row = |committee: &str| {
        let rows = json["committees"].as_array().expect("rows");
        rows.iter().find(|row| row["ref"] == committee).expect("its row").clone()
    };
    assert_eq!(
        (&row(&near)["notice"], &row(&near)["lock"]),
        (&json!("accepted"), &json!("changed"))
    );
    assert_eq!((&row(&far)["notice"], &row(&far)["lock"]), (&json!("pending"), &json!("pending")));
    // He is out in the one, and the other learns it as soon as it is back.
    let refused = baran.run(&["sync"]);
    let _ = refused.fails(5, "not-allowed");
    there.restart();
    isla.sync();
    let again = isla.run(&["member", "suspend", "baran", "--yes"]).exits(0).json();
    let rows = again["committees"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["lock"] == "changed"), "{again}");
}

#[test]
fn nothing_is_asked_of_a_script_and_nothing_done_without_a_yes() {
    use sealpost_tests::scene::Scene;
    let Scene { relay: _relay, isla, baran, committee: _ } = Scene::new(&programs());
    let _ = isla.run(&["member", "suspend", "baran"]).fails(2, "usage").says("--yes");
    let mut terminal = isla.unlocked_at_terminal(&["member", "suspend", "baran"]);
    terminal.expect("Type baran to go on: ");
    terminal.type_line("isla");
    assert_eq!(terminal.finish().0.code(), Some(1));
    baran.sync();
    let mut terminal = isla.unlocked_at_terminal(&["member", "suspend", "baran"]);
    terminal.expect("Type baran to go on: ");
    terminal.type_line("baran");
    assert_eq!(terminal.finish().0.code(), Some(0));
    let _ = baran.run(&["sync"]).fails(5, "not-allowed");
}

#[test]
fn two_persons_of_one_handle_are_told_apart_and_one_person_is_cut_off_everywhere() {
    use sealpost_tests::relay::Relay;
    let programs = programs();
    let relay = Relay::start(&programs);
    let isla = Home::in_country(&programs, "isla", "CH");
    let (baran, other) = (Home::of(&programs, "baran"), Home::of(&programs, "baran"));
    let near = isla.found(relay.address(), &relay.permit(), "Near");
    let far = isla.found(relay.address(), &relay.permit(), "Far");
    let common = isla.found(relay.address(), &relay.permit(), "Common");
    isla.let_in(&near, &baran);
    isla.let_in(&far, &other);
    // The same device under another handle is the same person.
    let _ =
        baran.run_with(&["join", "--handle", "karim"], isla.invite(&common).as_bytes()).exits(0);
    isla.sync();
    let asking = isla.asking();
    let karim = asking.iter().find(|one| one.handle == "karim").expect("he asks");
    let _ = isla.admit(karim).exits(0);
    baran.sync();

    let unclear = isla.run(&["member", "suspend", "baran", "--yes"]);
    let _ = unclear.fails(6, "ambiguous").says("two persons");
    other.sync();
    let cut = ["member", "suspend", "baran", "--committee", &near, "--yes"];
    let cut = isla.run(&cut).exits(0).json();
    let committees = cut["committees"].as_array().expect("rows");
    let mut refs: Vec<&str> =
        committees.iter().map(|row| row["ref"].as_str().expect("a REF")).collect();
    refs.sort_unstable();
    let mut expected = [near.as_str(), common.as_str()];
    expected.sort_unstable();
    assert_eq!(refs, expected);
    let _ = baran.run(&["sync"]).fails(5, "not-allowed");
    other.sync();
    // Who only is a member cuts nobody off.
    let _ = other.run(&["member", "suspend", "isla", "--yes"]).fails(5, "not-allowed");
}

#[test]
fn a_cut_off_beside_another_sync_is_saved_and_goes_with_the_next() {
    use sealpost_tests::scene::Scene;
    let Scene { relay: _relay, isla, baran, committee: _ } = Scene::new(&programs());
    let home = sealpost::vault::Home::new(isla.vault());
    let other = sealpost::vault::SyncLock::take(&home).expect("nobody syncs");
    let cut = isla.run(&["member", "suspend", "baran", "--yes"]).exits(3).json();
    assert_eq!(cut["committees"][0]["notice"], "pending");
    baran.sync();
    drop(other);
    assert_eq!(isla.sync()["sent"], 2, "the notice and the lock");
    let _ = baran.run(&["sync"]).fails(5, "not-allowed");
}

#[test]
fn a_notice_counts_as_taken_only_when_the_notice_was() {
    use sealpost_protocol::code::Code;
    use sealpost_protocol::frame::{PushResult, Refused, Reply};
    let programs = programs();
    let relay = Tap::start();
    let isla = Home::in_country(&programs, "isla", "CH");
    let baran = Home::in_country(&programs, "baran", "TR");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    isla.let_in(&committee, &baran);
    // A record in flight, whose receipt never came.
    let refuse = |reply: Reply| match reply {
        Reply::Pushed(mut pushed) => {
            let refused = PushResult::Refused(Refused { code: Code::Busy });
            pushed.results.fill(refused);
            Reply::Pushed(pushed)
        }
        reply => reply,
    };
    relay.lie(move |request, reply| match request {
        Request::Push(_) => refuse(reply),
        Request::Pull(_) | Request::Heads(_) => Reply::Refused(Refused { code: Code::Busy }),
        _ => reply,
    });
    let note = json!({ "text": "in flight" });
    let _ = isla.try_record_new("note", &committee, &note).exits(3);
    // It is taken now, and the notice behind it is not.
    relay.lie(move |request, reply| match pushed(request) {
        Some(Change::Suspend(_)) => refuse(reply),
        _ => reply,
    });
    let cut = isla.run_plain(&["member", "suspend", "baran", "--yes"]);
    assert!(!cut.stderr_text().contains("notice taken"), "{cut:?}");
    relay.tell_the_truth();
    isla.sync();
    let again = isla.run(&["member", "suspend", "baran", "--yes"]).exits(0).json();
    assert_eq!(again["committees"][0]["lock"], "changed");
}
