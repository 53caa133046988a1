//! Relays that sign what contradicts itself: a file of evidence that anybody can check, nothing new taken, nothing
//! more sent to that relay for that committee until it shows again what was verified.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sealpost_protocol::entry::{Entry, Header, UnverifiedEntry};
use sealpost_protocol::frame::{Accepted, Checkpointed, HeadState, PushResult, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
use sealpost_protocol::sign::SigningKey;
use sealpost_protocol::tree::{self, Frontier};
use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::ran::Ran;
use sealpost_tests::tap::{Signer, Tap};
use serde_json::{Value, json};

use crate::programs;

/// The file that stderr names.
#[track_caller]
pub(crate) fn named(ran: &Ran) -> PathBuf {
    let stderr = ran.stderr_text();
    let (_, rest) = stderr.split_once("(evidence: ").unwrap_or_else(|| panic!("none: {ran:?}"));
    let (path, _) = rest.split_once(')').unwrap_or_else(|| panic!("no end: {ran:?}"));
    PathBuf::from(path)
}

/// Verifies where there is no vault, no home and no environment at all.
pub(crate) fn verify(path: &Path) -> Ran {
    let mut command = programs().client();
    command.env_clear().current_dir("/");
    command.args(["--json", "proof", "verify"]).arg(path);
    Process::spawn(&mut command).finish()
}

/// A command ended with exit 7 and names a file; anybody finds in it what is said, and nobody can alter it.
#[track_caller]
pub(crate) fn is_evidence(ran: Ran, kind: &str) -> (PathBuf, Value) {
    let ran = ran.fails(7, "verification-failed");
    let path = named(&ran);
    let text = fs::read(&path).expect("it is there");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let verified = verify(&path).exits(0).json();
    assert_eq!(verified["evidence"], kind, "{verified}");
    assert_eq!(verified["by_signatures_alone"], kind != "rollback");
    let elsewhere = tempfile::tempdir().unwrap();
    let altered = elsewhere.path().join("altered");
    // Every byte is tried where that takes no process each (SPEC.md §27).
    for at in (0..text.len()).step_by(text.len() / 8) {
        let mut text = text.clone();
        text[at] ^= 1;
        fs::write(&altered, text).unwrap();
        let refused = verify(&altered);
        assert!([2, 7].contains(&refused.code().unwrap()), "byte {at}: {refused:?}");
    }
    (path, verified)
}

fn evidence_files(home: &Home) -> usize {
    fs::read_dir(home.vault().join("evidence")).map_or(0, Iterator::count)
}

fn leaf(bytes: &[u8]) -> Hash {
    UnverifiedEntry::decode(bytes).expect("an entry").leaf()
}

/// A committee of two at a relay that can lie and sign what it likes; all that it took in honestly is known.
struct Scene {
    relay: Tap,
    founder: Home,
    reader: Home,
    committee: String,
    log: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scene {
    fn new() -> Self {
        let programs = programs();
        let scene = Self {
            relay: Tap::start(),
            founder: Home::of(&programs, "isla"),
            reader: Home::of(&programs, "baran"),
            committee: String::new(),
            log: Arc::default(),
        };
        scene.tells_the_truth();
        let founder = &scene.founder;
        let committee = founder.found(scene.relay.address(), &scene.relay.permit(), "Harbour");
        founder.let_in(&committee, &scene.reader);
        let scene = Self { committee, ..scene };
        scene.writes("Hearing moved to Monday.");
        scene.reader.sync();
        scene
    }

    fn writes(&self, text: &str) {
        self.founder.record_new("note", &self.committee, &json!({ "text": text }));
    }

    /// Everything passes, and what is taken in is remembered.
    fn tells_the_truth(&self) {
        let log = self.log.clone();
        self.relay.lie(move |request, reply| {
            let mut log = log.lock().unwrap();
            match (request, &reply) {
                (Request::Found(found), Reply::Pushed(_)) => log.push(found.entry.to_vec()),
                (Request::Push(push), Reply::Pushed(pushed)) => {
                    let taken = push.entries.iter().zip(&pushed.results);
                    let taken = taken.filter(|(_, it)| matches!(it, PushResult::Accepted(_)));
                    log.extend(taken.map(|(entry, _)| entry.to_vec()));
                }
                _ => {}
            }
            reply
        });
    }

    fn leaves(&self) -> Vec<Hash> {
        self.log.lock().unwrap().iter().map(|entry| leaf(entry)).collect()
    }

    fn id(&self) -> CommitteeId {
        CommitteeId(self.leaves()[0])
    }

    /// A note over any leaves.
    fn signs(&self, leaves: &[Hash]) -> String {
        self.relay.signs(self.id(), leaves)
    }

    /// What the reader has: nothing of a lie may change it.
    fn digest(&self) -> (Vec<Value>, Value) {
        let mut committee = self.reader.status()["committees"][0].clone();
        for changes in ["evidence", "stopped", "board", "relay_answered", "relay_asked_at"] {
            committee[changes] = Value::Null;
        }
        (self.reader.records(), committee)
    }

    fn stopped(&self) -> Value {
        self.reader.status()["committees"][0]["stopped"].clone()
    }

    /// The reader syncs while the relay lies, twice: one file, the vault as before, and told by `status`.
    fn is_caught(&self, kind: &str) -> Value {
        let before = self.digest();
        let (path, verified) = is_evidence(self.reader.run(&["sync"]), kind);
        assert_eq!(self.digest(), before);
        assert_eq!(self.stopped()["evidence"], path.to_str().unwrap());
        let files = evidence_files(&self.reader);
        let again = self.reader.run(&["sync"]).fails(7, "verification-failed");
        assert_eq!((named(&again), evidence_files(&self.reader)), (path, files));
        verified
    }

    /// The same relay, honest again, is dealt with: what waited goes.
    fn recovers(&self, records: usize) {
        self.tells_the_truth();
        let synced = self.reader.run(&["sync"]).exits(0).json();
        assert!(synced["news"].to_string().contains("evidence stays"), "{synced}");
        assert_eq!((self.stopped(), self.reader.records().len()), (Value::Null, records));
        self.founder.sync();
        assert_eq!(self.founder.records().len(), records);
    }
}

/// Heads that all say the same.
fn heads(reply: Reply, note: &str) -> Reply {
    match reply {
        Reply::Heads(states) => {
            let said = |_| HeadState::Other(Checkpointed { checkpoint: note.to_owned() });
            Reply::Heads(states.into_iter().map(said).collect())
        }
        other => other,
    }
}

#[test]
fn a_rollback_leaves_evidence_stops_that_committee_alone_and_ends_with_the_truth() {
    let scene = Scene::new();
    let Scene { reader, .. } = &scene;
    // Another committee, at another relay.
    let other = Tap::start();
    let elsewhere = reader.found(other.address(), &other.permit(), "Lantern");
    let old = scene.signs(&scene.leaves()[..2]);
    scene.relay.lie(move |_, reply| heads(reply, &old));
    let verified = scene.is_caught("rollback");
    assert!(verified["shows_not"][0].as_str().unwrap().contains("order"), "{verified}");
    // What is written waits; what is for others goes.
    let written = reader.try_record_new("note", &scene.committee, &json!({ "text": "Waits." }));
    assert_eq!(written.fails(7, "verification-failed").field("state"), "saved");
    reader.record_new("note", &elsewhere, &json!({ "text": "Goes." }));
    assert_eq!(reader.run(&["sync"]).fails(7, "verification-failed").json()["unsent"], 1);
    scene.tells_the_truth();
    let synced = reader.run(&["sync"]).exits(0).json();
    assert_eq!((&synced["sent"], &synced["unsent"]), (&json!(1), &json!(0)));
    assert_eq!(scene.stopped(), Value::Null);
    scene.founder.sync();
    assert_eq!(scene.founder.records().len(), 2);
}

#[test]
fn two_roots_for_one_size_leave_evidence_by_signatures_alone() {
    let scene = Scene::new();
    let mut leaves = scene.leaves();
    *leaves.last_mut().unwrap() = Hash::of(b"another entry");
    let fork = scene.signs(&leaves);
    scene.relay.lie(move |_, reply| heads(reply, &fork));
    let verified = scene.is_caught("fork");
    assert!(verified["shows"].as_str().unwrap().contains("two different logs"), "{verified}");
    scene.recovers(1);
}

#[test]
fn an_entry_that_its_author_did_not_sign_leaves_evidence() {
    let scene = Scene::new();
    scene.writes("As it was written.");
    let mut log = scene.log.lock().unwrap().clone();
    let last = UnverifiedEntry::decode(&log.pop().unwrap()).unwrap();
    let header = Header { content: Hash::of(b"rewritten"), ..last.header().clone() };
    let stranger = SigningKey::from_bytes(&[7; 32]);
    let forged = Entry::sign(header, last.payload().unwrap().to_vec(), &stranger).encode();
    let leaves: Vec<Hash> = log.iter().chain([&forged]).map(|entry| leaf(entry)).collect();
    let note = scene.signs(&leaves);
    scene.relay.lie(move |_, reply| match reply {
        Reply::Entries(mut entries) => {
            *entries.last_mut().unwrap() = forged.clone().into();
            Reply::Entries(entries)
        }
        Reply::End(mut end) => {
            end.checkpoint.clone_from(&note);
            Reply::End(end)
        }
        other => heads(other, &note),
    });
    let verified = scene.is_caught("rewritten");
    assert!(verified["shows"].as_str().unwrap().contains("did not sign"), "{verified}");
    scene.recovers(2);
}

/// A receipt for the reader's entry behind one that nobody is ever shown.
fn acknowledges(signer: &Signer, leaves: &[Hash], entry: &[u8]) -> (String, Accepted) {
    let all = [leaves, &[Hash::of(b"never shown"), leaf(entry)]].concat();
    let mut tree = Frontier::new();
    let nodes: Vec<Hash> = all.iter().flat_map(|leaf| tree.append(*leaf)).collect();
    let size = TreeSize(all.len() as u64);
    let index = LeafIndex(size.0 - 1);
    let proof = tree::inclusion_proof(index, size, nodes.as_slice()).unwrap();
    (signer.signs(CommitteeId(leaves[0]), &all), Accepted { index, proof })
}

#[test]
fn an_entry_that_was_acknowledged_and_dropped_leaves_evidence_and_waits_in_the_vault() {
    let scene = Scene::new();
    let (signer, leaves) = (scene.relay.signer(), scene.leaves());
    let shown = scene.signs(&leaves);
    // It takes the entry in, says so, and shows the log without it.
    scene.relay.lie(move |request, reply| match (request, reply) {
        (Request::Push(push), Reply::Pushed(mut pushed)) => {
            let (note, accepted) = acknowledges(&signer, &leaves, &push.entries[0]);
            pushed.checkpoint = note;
            pushed.results = vec![PushResult::Accepted(accepted)];
            Reply::Pushed(pushed)
        }
        (_, Reply::Entries(_)) => Reply::Entries(Vec::new()),
        (_, Reply::End(mut end)) => {
            end.checkpoint.clone_from(&shown);
            Reply::End(end)
        }
        (_, other) => heads(other, &shown),
    });
    let note = json!({ "text": "Acknowledged." });
    let ran = scene.reader.try_record_new("note", &scene.committee, &note);
    assert_ne!(ran.field("state"), "accepted");
    let (_, verified) = is_evidence(ran, "rollback");
    assert!(verified["shows"].as_str().unwrap().contains("acknowledged"), "{verified}");
    let again = scene.is_caught("rollback");
    assert_eq!(again["notes"], verified["notes"]);
    // Then it goes on without it.
    scene.relay.tell_the_truth();
    scene.writes("one");
    scene.writes("two");
    let _ = is_evidence(scene.reader.run(&["sync"]), "dropped");
    assert_eq!(scene.reader.status()["unsent"].as_array().unwrap().len(), 1);
}
