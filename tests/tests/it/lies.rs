//! Relays that are not who they should be, or do not say what they should: exit 7, or 12, and never
//! a network error. Peers that are not as they should be: refused.
//!
//! Each row of the table is one lie: who is lied to believes the relay before and after on the same scene; in between
//! a sync ends with that exit and that error, and what the vault shows is what it showed before.

use quinn::ConnectionError;
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{Refused, Reply, Request};
use sealpost_protocol::id::CommitteeId;
use sealpost_protocol::wire;
use sealpost_tests::home::Home;
use sealpost_tests::liar::{About, Switch};
use sealpost_tests::peer::{Exchange, Login, Manner, Peer};
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use sealpost_tests::tap::Tap;
use serde_json::{Value, json};

use crate::evidence::is_evidence;
use crate::programs;

#[test]
fn only_the_hybrid_key_exchange_raw_ed25519_keys_and_our_protocol_get_in() {
    let relay = Relay::start(&programs());
    let honest = Manner::seeded(3);
    Peer::connect(relay.address(), &honest).expect("an honest peer gets in");
    let hostile = [
        Manner { exchange: Exchange::X25519, ..honest.clone() },
        Manner { exchange: Exchange::P256, ..honest.clone() },
        Manner { login: Login::Ecdsa, ..honest.clone() },
        Manner { login: Login::Nobody, ..honest.clone() },
        Manner { alpn: b"sealpost/2".to_vec(), ..honest.clone() },
        Manner { alpn: b"h3".to_vec(), ..honest.clone() },
    ];
    for manner in hostile {
        // The login key is looked at last: a peer may believe for a moment that it is in.
        let error = match Peer::connect(relay.address(), &manner) {
            Err(error) => error,
            Ok(peer) => peer.closed(),
        };
        let refused = matches!(&error, ConnectionError::ConnectionClosed(_));
        assert!(refused, "{manner:?}: {error}");
    }
    Peer::connect(relay.address(), &honest).expect("an honest peer still gets in");
}

#[test]
fn another_relays_key_in_the_address_is_exit_7_and_never_a_network_error() {
    let programs = programs();
    let (relay, other) = (Relay::start(&programs), Relay::start(&programs));
    let home = Home::of(&programs, "isla");
    let wrong = other.address_at(relay.listens_at());
    let refused = home.try_found(&wrong, &relay.permit(), "Harbour");
    let _ = refused.fails(7, "verification-failed").says("key");
    home.found(relay.address(), &relay.permit(), "Harbour");
}

#[test]
fn an_impostor_in_the_relays_place_is_exit_7() {
    let programs = programs();
    let (mut relay, mut other) = (Relay::start(&programs), Relay::start(&programs));
    let home = Home::of(&programs, "isla");
    home.found(relay.address(), &relay.permit(), "Harbour");
    home.sync();
    let place = relay.listens_at();
    relay.stop();
    other.stop();
    other.restart_at(place);
    let committee = home.committee();
    let write = |text: &str| home.try_record_new("note", &committee, &json!({ "text": text }));
    let written = write("Visit on Friday.").fails(7, "verification-failed");
    assert_eq!(written.field("state"), "saved", "whatever was written is safe");
    let _ = home.run(&["sync"]).fails(7, "verification-failed");
    // Nobody answered as the relay: the next record does not try.
    let _ = write("Bring the file.").fails(3, "not-delivered");
    other.stop();
    relay.restart();
    let synced = home.run(&["sync"]).exits(0);
    assert_eq!(synced.json()["sent"], 2, "{synced:?}");
}

#[test]
fn a_relay_of_another_version_is_exit_12() {
    let programs = programs();
    let home = Home::of(&programs, "isla");
    let newer = Tap::start_as(b"sealpost/2");
    let refused = home.try_found(newer.address(), &newer.permit(), "Harbour");
    let _ = refused.fails(12, "version-too-old");

    let relay = Tap::start();
    relay.lie(|request, reply| match request {
        Request::Hello(_) => Reply::Refused(Refused { code: Code::Unsupported }),
        _ => reply,
    });
    let refused = home.try_found(relay.address(), &relay.permit(), "Harbour");
    let _ = refused.fails(12, "version-too-old");
    relay.tell_the_truth();
    home.found(relay.address(), &relay.permit(), "Harbour");
    assert_eq!(wire::ALPN, b"sealpost/1");
}

/// The exit and the error.
pub(crate) type Ending = (i32, &'static str);

pub(crate) const LIE: Ending = (7, "verification-failed");

/// How an attack on somebody ends.
pub(crate) struct End {
    pub(crate) refused: Ending,
    /// What stderr says of it.
    pub(crate) says: &'static str,
    /// Which kind of evidence it leaves, if any.
    pub(crate) evidence: Option<&'static str>,
}

impl End {
    #[track_caller]
    fn is_that_of(&self, ran: Ran, what: &str) {
        let (exit, error) = self.refused;
        assert_eq!(ran.code(), Some(exit), "{what}: {ran:?}");
        let ran = ran.fails(exit, error).says(self.says);
        let stderr = ran.stderr_text();
        match self.evidence {
            Some(kind) => drop(is_evidence(ran, kind)),
            None => assert!(!stderr.contains("(evidence:"), "{what}: {stderr}"),
        }
    }
}

/// A relay's lie, the rows of the threats that it is in, and how it ends.
type Lie = (Switch, &'static [&'static str], Ending, &'static str, Option<&'static str>);

const NOT_SIGNED_FOR: &str = "the entries it sent are not those it signed for";
const NO_ENTRY: &str = "what it sent for entry";
const NO_CHECKPOINT: &str = "its checkpoint is not sound";
const SHOWS_LESS: &str = "and has signed for";
const SOMETHING_ELSE: &str = "the relay answered something else than was asked";

const LIES: &[Lie] = &[
    (Switch::DropsOne, &["R1"], LIE, NOT_SIGNED_FOR, None),
    (Switch::DropsTheTail, &["R2", "R8"], LIE, NOT_SIGNED_FOR, None),
    (Switch::Reorders, &["R3"], LIE, NOT_SIGNED_FOR, None),
    (Switch::Duplicates, &["R3"], LIE, NOT_SIGNED_FOR, None),
    (Switch::AltersPayloads, &["R7"], LIE, NO_ENTRY, None),
    (Switch::SwapsPayloads, &["R7"], LIE, NO_ENTRY, None),
    (Switch::WithholdsAPayload, &["R7"], LIE, "without its payload", None),
    (Switch::NestsDeeply, &["R12"], LIE, NO_ENTRY, None),
    (Switch::NeverEnds, &["R12"], LIE, "does not end", None),
    (Switch::TellsTooFewHeads, &["R12"], LIE, SOMETHING_ELSE, None),
    (Switch::TellsTooManyHeads, &["R12"], LIE, SOMETHING_ELSE, None),
    (Switch::AltersTheCheckpoint(0), &["R11"], LIE, NO_CHECKPOINT, None),
    (Switch::AltersTheCheckpoint(1), &["R11"], LIE, NO_CHECKPOINT, None),
    (Switch::AltersTheCheckpoint(2), &["R11"], LIE, NO_CHECKPOINT, None),
    (Switch::AltersTheCheckpoint(3), &["R11"], LIE, NO_CHECKPOINT, None),
    (Switch::AltersTheCheckpoint(4), &["R11"], LIE, NO_CHECKPOINT, None),
    (Switch::DoublesTheCheckpoint, &["R11"], LIE, NO_CHECKPOINT, None),
    (Switch::TellsAnotherHead, &["R6"], LIE, NO_CHECKPOINT, None),
    (Switch::ShowsAnotherLog, &["R6"], LIE, NO_CHECKPOINT, None),
    (Switch::SaysItIsGone, &["R4"], LIE, "it holds nothing of a log", None),
    (Switch::RollsBack, &["R4"], LIE, SHOWS_LESS, Some("rollback")),
    (Switch::Alternates, &["R4", "R5"], LIE, SHOWS_LESS, Some("rollback")),
    (Switch::SignsTwoRoots, &["R5", "R11"], LIE, "two different logs", Some("fork")),
    (Switch::AcknowledgesElsewhere, &["R6b"], LIE, "receipt", None),
    (Switch::AcknowledgesWithoutProof, &["R6b"], LIE, "receipt", None),
    (Switch::AnswersForTooFew, &["R6b"], LIE, "it answered for 0 entries of 1", None),
    (Switch::AnswersForTooMany, &["R6b"], LIE, "it answered for 2 entries of 1", None),
];

/// A committee of two at a relay that can lie, and another one there.
pub(crate) struct Scene {
    pub(crate) relay: Tap,
    pub(crate) isla: Home,
    pub(crate) baran: Home,
    pub(crate) committee: String,
    pub(crate) id: CommitteeId,
    pub(crate) other: CommitteeId,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let programs = programs();
        let relay = Tap::start();
        let [isla, baran] = ["isla", "baran"].map(|handle| Home::of(&programs, handle));
        let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
        let [(id, _)] = relay.logs()[..] else { panic!("one committee") };
        isla.let_in(&committee, &baran);
        let neighbour = Home::of(&programs, "nadia");
        let theirs = neighbour.found(relay.address(), &relay.permit(), "Lantern");
        neighbour.record_new("note", &theirs, &json!({ "text": "Of another committee." }));
        let other = relay.logs().into_iter().map(|(other, _)| other).find(|other| *other != id);
        let other = other.expect("there are two now");
        let scene = Self { relay, isla, baran, committee, id, other };
        scene.is_believed();
        scene
    }

    /// Two records that baran has not heard of.
    pub(crate) fn isla_writes(&self) {
        for text in ["Hearing moved to Monday.", "Bring the file."] {
            self.isla.record_new("note", &self.committee, &json!({ "text": text }));
        }
    }

    /// The honest case: two records come, and are read.
    fn is_believed(&self) {
        self.isla_writes();
        self.tells_baran();
    }

    /// It tells the truth, and is believed at once.
    pub(crate) fn tells_baran(&self) {
        let before = self.baran.records().len();
        self.relay.tell_the_truth();
        let _ = self.baran.run(&["sync"]).exits(0);
        assert_eq!(self.baran.records().len(), before + 2);
    }

    fn lies(&self, switch: Switch, to: &Home) {
        let size = to.status()["committees"][0]["size"].as_u64().expect("a size");
        let held = usize::try_from(size).expect("small");
        switch.on(&self.relay, &About { committee: self.id, other: self.other, held });
    }

    /// Whoever syncs meanwhile is told how the attack ends, and shows what they showed before.
    #[track_caller]
    pub(crate) fn is_refused(home: &Home, end: &End, what: &str) {
        let before = digest(home);
        end.is_that_of(home.run(&["sync"]), what);
        assert_eq!(digest(home), before, "{what}");
    }
}

/// What is verified in a vault: nothing of a lie may change it.
fn digest(home: &Home) -> Value {
    let mut committees = home.status()["committees"].clone();
    for committee in committees.as_array_mut().expect("a list") {
        for changes in ["evidence", "stopped", "board", "relay_answered", "relay_asked_at"] {
            committee[changes] = Value::Null;
        }
    }
    let unsent = |row: &Value| row["state"] == "saved" || row["state"] == "sending";
    let mut records = home.records();
    records.retain(|row| !unsent(row));
    json!({ "committees": committees, "records": records })
}

#[test]
fn no_lie_of_a_relay_is_believed_by_who_reads() {
    let scene = Scene::new();
    for (switch, _, refused, says, evidence) in LIES {
        if switch.is_about_receipts() {
            continue;
        }
        scene.isla_writes();
        scene.lies(*switch, &scene.baran);
        let end = End { refused: *refused, says, evidence: *evidence };
        Scene::is_refused(&scene.baran, &end, &format!("{switch:?}"));
        scene.tells_baran();
    }
}

#[test]
fn no_lie_of_a_relay_is_believed_by_who_writes() {
    let scene = Scene::new();
    for (switch, _, refused, says, evidence) in LIES {
        if !switch.is_about_receipts() {
            continue;
        }
        // She has heard who vouches for what she wrote before: of that nothing is news.
        scene.isla.sync();
        let note = json!({ "text": format!("{switch:?}") });
        let reference = scene.isla.record_later("note", &scene.committee, &note).reference;
        scene.lies(*switch, &scene.isla);
        let end = End { refused: *refused, says, evidence: *evidence };
        Scene::is_refused(&scene.isla, &end, &format!("{switch:?}"));
        assert_eq!(scene.isla.show(&reference)["verified"], false, "{switch:?}");
        // It was taken after all: the same bytes sent again find their place, and are not doubled.
        scene.relay.tell_the_truth();
        scene.isla.sync();
        assert_eq!(scene.isla.show(&reference)["verified"], true, "{switch:?}");
        assert_eq!(scene.baran.sync()["received"], 1, "{switch:?}");
    }
}

/// Which row of the threats a test of this file has in its table.
pub(crate) fn covered() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIES.iter().flat_map(|(switch, threats, ..)| {
        let test = match switch.is_about_receipts() {
            true => "no_lie_of_a_relay_is_believed_by_who_writes",
            false => "no_lie_of_a_relay_is_believed_by_who_reads",
        };
        threats.iter().map(move |row| (*row, test))
    })
}
