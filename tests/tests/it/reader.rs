//! A second reader, written from the text of the formats alone: what it says of logs that people left, and
//! of what may be done to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use sealpost_protocol::change::Change;
use sealpost_protocol::checkpoint::{Checkpoint, UnverifiedCheckpoint};
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::export::{Part, PartReader};
use sealpost_protocol::id::TreeSize;
use sealpost_protocol::limits::ROSTER_PAYLOAD_BYTES_MAX;
use sealpost_protocol::sign::SigningKey;
use sealpost_protocol::tree::Frontier;
use sealpost_protocol::world::export_of;
use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use sealpost_tests::village::Village;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Has it read a file.
#[track_caller]
fn reads(file: &Path) -> Ran {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/reader/reader.py")).arg(file);
    Process::spawn(&mut command).finish()
}

/// An export, taken apart.
#[derive(Clone)]
struct Parts {
    note: String,
    entries: Vec<Vec<u8>>,
    cosignatures: Vec<Vec<u8>>,
}

impl Parts {
    fn of(export: &[u8]) -> Self {
        let mut reader = PartReader::default();
        reader.push(export);
        let mut parts = Self { note: String::new(), entries: Vec::new(), cosignatures: Vec::new() };
        while let Some(part) = reader.next_part().expect("an honest export") {
            match part {
                Part::Note(note) => parts.note = String::from_utf8(note).expect("a note is text"),
                Part::Entry(entry) => parts.entries.push(entry),
                Part::Cosignature(cosignature) => parts.cosignatures.push(cosignature),
            }
        }
        reader.finish().expect("a whole export");
        parts
    }

    fn encode(&self) -> Vec<u8> {
        export_of(&self.note, &self.entries, &self.cosignatures)
    }

    fn claimed(&self) -> Checkpoint {
        *UnverifiedCheckpoint::parse(self.note.as_bytes()).expect("a note").claimed()
    }

    /// As a relay that lies would sign for it: over whatever entries there are now.
    fn signed_by(mut self, key: &SigningKey) -> Self {
        let mut tree = Frontier::default();
        for bytes in &self.entries {
            tree.append(UnverifiedEntry::decode(bytes).expect("an entry").leaf());
        }
        let Checkpoint { origin, .. } = self.claimed();
        let size = TreeSize(self.entries.len() as u64);
        self.note = Checkpoint { origin, size, root: tree.root() }.sign(key).text().to_owned();
        self.cosignatures.clear();
        self
    }
}

/// What an entry is, in a word.
fn kind(bytes: &[u8]) -> &'static str {
    let entry = UnverifiedEntry::decode(bytes).expect("an entry");
    let payload = entry.payload().unwrap_or_default();
    match entry.header().kind {
        Kind::Record => "record",
        Kind::Forget => "forget",
        Kind::Roster => match codec::decode(payload, ROSTER_PAYLOAD_BYTES_MAX).expect("a change") {
            Change::Found(_) => "found",
            Change::Admit(_) => "admit",
            Change::Device(_) => "device",
            Change::Retire(_) => "retire",
            Change::Role(_) => "role",
            Change::Suspend(_) => "suspend",
            Change::Restore(_) => "restore",
            Change::Remove(_) => "remove",
            Change::Lock(_) => "lock",
            Change::Grant(_) => "grant",
            Change::Link(_) => "link",
            Change::Policy(_) => "policy",
            Change::Relays(_) => "relays",
            Change::Label(_) => "label",
            Change::Recovery(_) => "recovery",
            Change::Approve(_) => "approve",
        },
    }
}

/// A log that a committee left, and the key of its relay.
struct Left {
    folder: TempDir,
    export: PathBuf,
    key: SigningKey,
    /// What the committee's own client says of it.
    shown: Value,
}

impl Left {
    fn parts(&self) -> Parts {
        Parts::of(&fs::read(&self.export).expect("it is there"))
    }

    /// The places of the first entry of each kind.
    fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for (at, bytes) in self.parts().entries.iter().enumerate() {
            kinds.entry(kind(bytes)).or_insert(at);
        }
        kinds
    }

    /// Fails unless the reader refuses it in one sentence, naming the entry at fault if it is one.
    #[track_caller]
    fn refused(&self, what: &str, export: &[u8], entry: Option<usize>) {
        let file = self.folder.path().join("altered.log");
        fs::write(&file, export).expect("it is ours");
        let said = reads(&file).exits(7).stderr_text();
        let sentence = said.strip_suffix(".\n").unwrap_or_else(|| panic!("{what}: {said}"));
        assert!(!sentence.contains('\n') && sentence.contains('§'), "{what}: {said}");
        if let Some(entry) = entry {
            assert!(sentence.starts_with(&format!("entry {entry}: ")), "{what}: {said}");
        }
    }
}

fn note(home: &Home, committee: &str, text: &str) -> String {
    home.record_new("note", committee, &json!({ "text": text })).reference
}

/// The relay's key, as an intruder at its disk has it.
fn key_of(relay: &Relay) -> SigningKey {
    let text = fs::read_to_string(relay.data().join("key")).expect("it is there");
    let seed = HEXLOWER.decode(text.lines().nth(2).expect("three lines").as_bytes());
    SigningKey::from_bytes(&seed.expect("hex").try_into().expect("32 bytes"))
}

/// A committee lives a while: people come, write, change roles, agree, are cut off, come back and go; one
/// has a second device for a time, and a record is forgotten.
fn lived() -> Left {
    let mut relay = Relay::start(&programs());
    let people = [
        ("isla", "CH", "coordinator"),
        ("olga", "CH", "coordinator"),
        ("tomas", "DE", "coordinator"),
        ("baran", "TR", "member"),
        ("selma", "TR", "member"),
        ("jonas", "CH", "reader"),
    ];
    let village = Village::of(&programs(), &relay, &people);
    let committee = village.committee.as_str();
    let (isla, baran) = (village.home("isla"), village.home("baran"));
    let regretted = note(baran, committee, "too much said");
    note(village.home("selma"), committee, "a hearing on Monday");
    let policy = ["committee", "policy", committee, "--approvals", "2"];
    let _ = village.run("isla", &policy).exits(0);
    let _ = village.run("olga", &["member", "role", "jonas", "member"]).exits(0);
    village.everybody_syncs();
    let agreed = |proposer: &str, approver: &str, arguments: &[&str]| {
        let reference = Village::proposed(&village.run(proposer, arguments));
        let _ = village.run(approver, &["approve", &reference]).exits(0);
    };
    let _ = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0);
    village.home("jonas").sync();
    note(village.home("jonas"), committee, "while baran was away");
    agreed("isla", "olga", &["member", "restore", "baran"]);
    baran.sync();
    note(baran, committee, "back");
    agreed("tomas", "isla", &["member", "remove", "selma", "--yes"]);
    let phone = Home::in_country(&programs(), "baran", "TR");
    let _ = baran.adds(&phone);
    phone.sync();
    note(&phone, committee, "from the phone");
    let gone = phone.run(&["device", "show"]).exits(0).field("ref");
    let _ = baran.run(&["device", "retire", &gone, "--yes"]).exits(0);
    let _ = baran.run(&["record", "forget", &regretted, "--yes"]).exits(0);
    note(isla, committee, "and on we go");
    let shown = isla.run(&["committee", "show", committee]).exits(0).json();
    relay.stop();
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let out = folder.path().to_str().expect("a plain name");
    let export = relay.run(&["export", "--all", "--out", out, "--json"]).exits(0).json();
    let export = PathBuf::from(export[0]["file"].as_str().expect("a path"));
    Left { folder, export, key: key_of(&relay), shown }
}

#[test]
fn a_second_reader_accepts_what_a_committee_left() {
    let left = lived();
    let kinds: Vec<&str> = left.kinds().into_keys().collect();
    for kind in [
        "admit", "approve", "device", "forget", "found", "lock", "policy", "record", "remove",
        "restore", "retire", "role", "suspend",
    ] {
        assert!(kinds.contains(&kind), "no {kind} among {kinds:?}");
    }
    let said = reads(&left.export).exits(0).stdout_text();
    let parts = left.parts();
    let Checkpoint { size, root, .. } = parts.claimed();
    let head = format!("size {size}, root {root}, epoch {}, members: ", left.shown["epoch"]);
    let members = said.trim_end().strip_prefix(&head).unwrap_or_else(|| panic!("{said}"));
    let expected = [
        "1 coordinator (1 of 1 devices)",
        "2 coordinator (1 of 1 devices)",
        "3 coordinator (1 of 1 devices)",
        "4 member (1 of 2 devices)",
        "5 member ended (1 of 1 devices)",
        "6 member (1 of 1 devices)",
    ];
    assert_eq!(members, expected.join(", "));
    assert!(parts.cosignatures.len() > 3, "people vouched for it: {}", parts.cosignatures.len());
    // Taken apart and put together again it is the same: what follows alters nothing else.
    assert_eq!(parts.encode(), fs::read(&left.export).expect("it is there"));
}

#[test]
fn a_second_reader_refuses_every_alteration() {
    let left = lived();
    let _ = reads(&left.export).exits(0);
    let parts = left.parts();
    for (kind, at) in left.kinds() {
        // In the header, and at the end: in the payload, or in the signature where it was forgotten.
        for from_end in [false, true] {
            let mut altered = parts.clone();
            let len = altered.entries[at].len();
            altered.entries[at][if from_end { len - 1 } else { 100 }] ^= 1;
            let what = format!("a bit of {kind} {at}");
            left.refused(&what, &altered.encode(), Some(at));
        }
    }
    // Here the relay itself lies: it signs for what it shows. Later entries give it away.
    let last = parts.entries.len() - 1;
    for (kind, at) in left.kinds() {
        let mut dropped = parts.clone();
        dropped.entries.remove(at);
        let what = format!("{kind} {at} dropped");
        left.refused(&what, &dropped.encode(), None);
        if (1..last).contains(&at) {
            left.refused(&what, &dropped.signed_by(&left.key).encode(), None);
        }
        if (1..last).contains(&at) {
            let mut swapped = parts.clone();
            swapped.entries.swap(at, at + 1);
            let swapped = swapped.signed_by(&left.key).encode();
            left.refused(&format!("{kind} {at} swapped with the next"), &swapped, None);
        }
    }
    // A removal left out: its approval, by which it takes effect, and all that came of it.
    let removal = left.kinds()["remove"];
    let mut kept = parts.clone();
    kept.entries.drain(removal..=removal + 1);
    left.refused("a removal left out", &kept.signed_by(&left.key).encode(), Some(removal));
    // A payload that nobody forgot.
    let mut withheld = parts.clone();
    let record = UnverifiedEntry::decode(&withheld.entries[last]).expect("an entry");
    withheld.entries[last] = record.with_payload_dropped().encode();
    left.refused("a payload withheld", &withheld.encode(), Some(last));

    let other = parts.clone().signed_by(&SigningKey::from_bytes(&[7; 32]));
    left.refused("another relay's note", &other.encode(), None);
    let shorter = Parts { entries: parts.entries[..last].to_vec(), ..parts.clone() };
    left.refused("an older log under the last note", &shorter.encode(), None);
    let mut vouched = parts.clone();
    vouched.cosignatures.reverse();
    left.refused("cosignatures in another order", &vouched.encode(), None);
    let whole = parts.encode();
    left.refused("cut short", &whole[..whole.len() - 1], None);
    left.refused("something behind the end", &[&whole[..], b"x"].concat(), None);
}

/// A vector's header field.
fn field<'v>(vector: &'v str, name: &str) -> Option<&'v str> {
    let (header, _) = vector.split_once("\n\n")?;
    header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn vectors(format: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join("protocol/testdata").join(format);
    let paths = fs::read_dir(folder).expect("it is there");
    let vector = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a vector is text");
        (path, text)
    };
    paths.map(|entry| vector(entry.expect("it can be listed").path())).collect()
}

#[test]
fn a_second_reader_judges_logs_as_the_vectors_say() {
    let logs = vectors("log");
    assert!(logs.len() > 40, "only {} logs", logs.len());
    for (path, text) in logs {
        let ran = reads(&path);
        if field(&text, "expect") == Some("success") {
            let root = field(&text, "root").expect("of a sound log");
            let _ = ran.exits(0).says(&format!("root {root}, "));
        } else {
            // The last entry alone is at fault.
            let last = text.split("\n\n").count() - 2;
            let said = ran.exits(7).stderr_text();
            assert!(said.starts_with(&format!("entry {last}: ")), "{}: {said}", path.display());
        }
    }
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    for (path, text) in vectors("export") {
        let (_, body) = text.split_once("\n\n").expect("a vector has a body");
        let hex: String = body.split_ascii_whitespace().collect();
        let file = folder.path().join(path.file_name().expect("it has a name"));
        fs::write(&file, HEXLOWER.decode(hex.as_bytes()).expect("hex")).expect("it is ours");
        let exit = match field(&text, "expect") {
            Some("success") => 0,
            Some("NewerVersion") => 12,
            _ => 7,
        };
        let _ = reads(&file).exits(exit);
    }
}
