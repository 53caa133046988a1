//! Relays that are not who they should be, or do not say what they should: exit 7, or 12, and never
//! a network error. Peers that are not as they should be: refused.

use std::sync::{Arc, Mutex};

use quinn::ConnectionError;
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{Accepted, PushResult, Refused, Reply, Request};
use sealpost_protocol::id::LeafIndex;
use sealpost_protocol::tree::Proof;
use sealpost_protocol::wire;
use sealpost_tests::home::Home;
use sealpost_tests::peer::{Exchange, Login, Manner, Peer};
use sealpost_tests::relay::Relay;
use sealpost_tests::tap::Tap;
use serde_json::json;

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

/// A committee of two on a relay that can lie, its second member having synced all but the last
/// record.
struct Pulling {
    relay: Tap,
    founder: Home,
    reader: Home,
    committee: String,
}

impl Pulling {
    fn new() -> Self {
        let programs = programs();
        let relay = Tap::start();
        let founder = Home::of(&programs, "isla");
        let reader = Home::of(&programs, "baran");
        let committee = founder.found(relay.address(), &relay.permit(), "Harbour");
        founder.let_in(&committee, &reader);
        let pulling = Self { relay, founder, reader, committee };
        pulling.write("Hearing moved to Monday.");
        pulling.reader.sync();
        pulling
    }

    fn write(&self, text: &str) {
        self.founder.record_new("note", &self.committee, &json!({ "text": text }));
    }

    /// The reader syncs while the relay lies: exit 7, and nothing of it is believed.
    fn caught(&self, lie: impl FnMut(&Request, Reply) -> Reply + Send + 'static) {
        let before = self.reader.records();
        self.relay.lie(lie);
        let _ = self.reader.run(&["sync"]).fails(7, "verification-failed");
        assert_eq!(self.reader.records(), before);
    }

    /// A lie does not outlive the liar: the same relay, honest again, is believed.
    fn recovers(&self, records: usize) {
        self.relay.tell_the_truth();
        let _ = self.reader.run(&["sync"]).exits(0);
        assert_eq!(self.reader.records().len(), records);
    }
}

#[test]
fn a_dropped_entry_is_noticed() {
    let pulling = Pulling::new();
    pulling.write("one");
    pulling.write("two");
    pulling.caught(|_, reply| match reply {
        Reply::Entries(mut entries) if entries.len() > 1 => {
            entries.remove(0);
            Reply::Entries(entries)
        }
        other => other,
    });
    pulling.recovers(3);
}

#[test]
fn a_tail_that_is_left_out_is_noticed() {
    let pulling = Pulling::new();
    pulling.write("one");
    pulling.write("two");
    // No author's chain shows that the last one is missing: only the root does.
    pulling.caught(|_, reply| match reply {
        Reply::Entries(mut entries) => {
            entries.pop();
            Reply::Entries(entries)
        }
        other => other,
    });
    pulling.recovers(3);
}

#[test]
fn exchanged_entries_are_noticed() {
    let pulling = Pulling::new();
    pulling.write("one");
    pulling.write("two");
    pulling.caught(|_, reply| match reply {
        Reply::Entries(mut entries) => {
            entries.reverse();
            Reply::Entries(entries)
        }
        other => other,
    });
    pulling.recovers(3);
}

#[test]
fn a_changed_payload_is_noticed() {
    let pulling = Pulling::new();
    pulling.write("one");
    pulling.caught(|_, reply| match reply {
        Reply::Entries(mut entries) => {
            for entry in &mut entries {
                if let Some(last) = entry.last_mut() {
                    *last ^= 1;
                }
            }
            Reply::Entries(entries)
        }
        other => other,
    });
    pulling.recovers(2);
}

#[test]
fn a_changed_checkpoint_is_noticed() {
    let pulling = Pulling::new();
    pulling.write("one");
    for line in 0..5 {
        pulling.caught(move |_, reply| match reply {
            Reply::End(mut end) => {
                end.checkpoint = changed(&end.checkpoint, line);
                Reply::End(end)
            }
            other => other,
        });
    }
    pulling.recovers(2);
}

/// The note with one symbol of one line changed: origin, size, root, the empty line, signature.
fn changed(note: &str, line: usize) -> String {
    let mut lines: Vec<String> = note.split('\n').map(str::to_owned).collect();
    let symbol = lines[line].pop();
    lines[line].push(if symbol == Some('1') { '2' } else { '1' });
    lines.join("\n")
}

#[test]
fn an_acknowledgement_without_proof_is_none() {
    let pulling = Pulling::new();
    let lies: [fn(&mut Accepted); 2] = [
        |accepted| accepted.index = LeafIndex(accepted.index.0 + 1),
        |accepted| accepted.proof = Proof::default(),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        pulling.relay.lie(move |_, reply| match reply {
            Reply::Pushed(mut pushed) => {
                for result in &mut pushed.results {
                    if let PushResult::Accepted(accepted) = result {
                        lie(accepted);
                    }
                }
                Reply::Pushed(pushed)
            }
            other => other,
        });
        let note = json!({ "text": format!("note {number}") });
        let ran = pulling.founder.try_record_new("note", &pulling.committee, &note);
        let reference = ran.fails(7, "verification-failed").field("ref");
        assert_eq!(pulling.founder.show(&reference)["verified"], false);
        pulling.relay.tell_the_truth();
        // It was taken after all: the same bytes sent again find their place, and are not doubled.
        pulling.founder.sync();
        assert_eq!(pulling.founder.show(&reference)["verified"], true);
    }
    pulling.recovers(3);
}

#[test]
fn a_rolled_back_log_is_noticed() {
    let pulling = Pulling::new();
    // What the relay says of the log now is kept, to be said again when it has grown.
    let old = Arc::new(Mutex::new(None));
    pulling.write("one");
    let kept = old.clone();
    pulling.relay.lie(move |request, reply| {
        if let (Request::Heads(_), Reply::Heads(_)) = (request, &reply) {
            kept.lock().unwrap().get_or_insert_with(|| reply.clone());
        }
        reply
    });
    pulling.reader.sync();
    let old = old.lock().unwrap().clone().expect("the reader asked for heads");
    pulling.relay.tell_the_truth();
    pulling.write("two");
    pulling.reader.sync();
    pulling.caught(move |request, reply| match request {
        Request::Heads(_) => old.clone(),
        _ => reply,
    });
    pulling.recovers(3);
}
