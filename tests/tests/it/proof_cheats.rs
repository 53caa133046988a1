//! Proofs out of logs that no program of ours would write: what `proof verify` refuses, the typed steps do too.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sealpost_protocol::change::{Change, Role};
use sealpost_protocol::checkpoint::Checkpoint;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Blob, Entry, Kind, RosterHead, UnverifiedEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{LeafIndex, TreeSize};
use sealpost_protocol::proof::{Folder, Inclusion, Made, Placed, Shown, Whole};
use sealpost_protocol::record::{Binding, Record, RecordBody, RecordId};
use sealpost_protocol::seal::{
    AttachmentPassphrase, AttachmentSealer, BlobSink, EpochKeys, EpochSecret,
};
use sealpost_protocol::tree::{self, Frontier};
use sealpost_protocol::world::{TestDevice, World, record_file, relay_key, reread};
use serde_json::{Value, json};

use crate::proof::{by_hand, copy, fails_by_hand, holds_by_hand, list_anew, verify};

/// The worlds' locks hold another recipient: relays and proofs look at their shapes alone.
static EPOCH: LazyLock<EpochKeys> =
    LazyLock::new(|| EpochKeys::new(EpochSecret::generate(&[0xa7; 32])));

const ID: &str = "01JBSEA1P0ST0000000000ABCD";
const OTHER_ID: &str = "01JBSEA1P0ST0000000000ABCE";
/// The number for which the root of [`Forged`] begins as it must.
const GROUND: u64 = 299_276_940;
const ATTACHMENT_ID: &str = "01JBSEA1P0ST0000000000ABCF";

/// A committee of two, one of whom cheats, and the relay with them.
struct Cheats {
    world: World,
    /// What stands in the relay's log behind what the world admitted.
    planted: Vec<Entry>,
    founder: TestDevice,
    member: TestDevice,
    disk: tempfile::TempDir,
}

impl Cheats {
    fn new() -> Self {
        let (founder, member) = (TestDevice::new(1), TestDevice::new(2));
        let mut world = World::found(&founder);
        world.admit(&founder, &member, Role::Member).expect("a sound admission");
        let disk = tempfile::tempdir().expect("a temporary folder");
        Self { world, planted: Vec::new(), founder, member, disk }
    }

    /// The member writes a record, really sealed.
    fn writes(&mut self, id: &str, fields: Value, blobs: Vec<Blob>) -> (LeafIndex, Record) {
        let mut header = self.world.record_header(&self.member);
        let (committee, author) = (header.committee, header.author);
        let binding = Binding { committee, author, epoch: header.epoch };
        let Value::Object(fields) = fields else { panic!("an object") };
        let id: RecordId = id.parse().expect("a sound id");
        let bound = RecordBody { fields }.bind(&binding, &id, &[7; 32]).expect("sound fields");
        (header.content, header.blobs) = (bound.content, blobs);
        let payload = EPOCH.seal_record(&bound.plaintext).expect("sealed");
        let entry = Entry::sign(header, payload, &self.member.signing);
        let index = self.world.push(&entry).expect("admitted").index;
        let record = Record::open(&bound.plaintext, &binding, &bound.content);
        (index, record.unwrap_or_else(|error| panic!("{error}")))
    }

    /// The member attaches a file to the record with that id.
    fn attaches(&mut self, to: &str) -> (LeafIndex, Vec<u8>) {
        let passphrase = AttachmentPassphrase::generate(&[9; 32]);
        let mut sealer =
            AttachmentSealer::new(BlobSink::new(Vec::new()), &passphrase).expect("begun");
        sealer.write(&[b'f'; 3_000]).expect("sealed");
        let (sink, plain) = sealer.finish().expect("sealed");
        let (bytes, blob) = sink.finish();
        let fields = json!({
            "kind": "attachment", "to": to, "label": "\"to\":\"scan.jpg", "size": plain.size,
            "sha256": plain.sha256.to_string(),
            "blob": {
                "sha256": blob.sha256.to_string(), "size": blob.size,
                "passphrase": passphrase.expose(),
            },
            // What only looks like the record's id.
            "custody": [{"to": ID, "event": format!("\",\"to\":\"{ID}\"")}],
        });
        (self.writes(ATTACHMENT_ID, fields, vec![blob]).0, bytes)
    }

    /// The relay takes an entry in that no rule allows.
    fn plants(&mut self, entry: Entry) -> LeafIndex {
        let index = self.log().len() as u64;
        self.planted.push(entry);
        LeafIndex(index)
    }

    fn log(&self) -> Vec<UnverifiedEntry> {
        let admitted = self.world.log.iter();
        let admitted = admitted.map(|bytes| UnverifiedEntry::decode(bytes).expect("admitted"));
        admitted.chain(self.planted.iter().map(reread)).collect()
    }

    fn entry(&self, index: LeafIndex) -> UnverifiedEntry {
        self.log()[usize::try_from(index.0).expect("a short log")].clone()
    }

    /// The tree over all of it, and its nodes.
    fn tree(&self) -> (Frontier, Vec<Hash>) {
        let (mut tree, mut nodes) = (Frontier::default(), Vec::new());
        self.log().iter().for_each(|entry| nodes.extend(tree.append(entry.leaf())));
        (tree, nodes)
    }

    fn note(&self) -> Vec<u8> {
        let (tree, _) = self.tree();
        let (size, root) = (tree.size(), tree.root());
        let checkpoint = Checkpoint { size, root, ..self.world.checkpoint() };
        checkpoint.sign(&relay_key()).text().as_bytes().to_vec()
    }

    fn placed(&self, index: LeafIndex) -> Placed {
        let (tree, nodes) = self.tree();
        let size = tree.size();
        let proof = tree::inclusion_proof(index, size, nodes.as_slice());
        let proof = proof.expect("all nodes are at hand");
        Placed { entry: self.entry(index), inclusion: Inclusion { index, size, proof } }
    }

    fn whole(&self, index: LeafIndex) -> Whole {
        let entry = self.entry(index);
        let payload = entry.payload().expect("it was not forgotten");
        let key = EPOCH.file_key(payload).expect("sealed under it");
        Whole::of(payload, key, AttachmentPassphrase::generate(&[5; 32])).expect("it opens")
    }

    /// The folder that shows a record, as it is made.
    fn makes(&self, record: LeafIndex, shown: Shown, attachments: &[LeafIndex]) -> Made {
        let attachments =
            attachments.iter().map(|index| (self.placed(*index), self.whole(*index))).collect();
        let folder = Folder {
            note: self.note(),
            cosignatures: Vec::new(),
            roster: [0, 1].map(|index| self.placed(LeafIndex(index))).into(),
            record: self.placed(record),
            shown,
            attachments,
        };
        folder.make().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Puts a folder on the disk, with the blob of its attachments.
    fn puts(&self, name: &str, made: &Made, blob: &[u8]) -> PathBuf {
        let dir = self.disk.path().join(name);
        let blobs = made.blobs.keys().map(|name| (name, blob));
        let files = made.files.iter().map(|(name, bytes)| (name, bytes.as_slice()));
        for (name, bytes) in files.chain(blobs) {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("it is ours");
            fs::write(path, bytes).expect("it is ours");
        }
        dir
    }
}

/// Puts an entry in the place of the one that a folder shows.
fn put_entry(folder: &Path, placed: &Placed, payload: &str) {
    let entry = &placed.entry;
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("it is ours");
    fs::create_dir_all(folder).expect("it is ours");
    put("header.cbor", entry.header_bytes());
    put("signature.bin", &entry.signature().to_bytes());
    put(payload, entry.payload().expect("nobody forgot it"));
    put("inclusion.txt", placed.inclusion.to_string().as_bytes());
}

/// The program refuses the folder, though its manifest lists it; so do the steps, and say why.
fn refused(dir: &Path, by_program: &str, by_steps: &str) {
    list_anew(dir);
    let failure = verify(dir).fails(7, "verification-failed").failure();
    let what = failure["what"].to_string();
    assert!(what.contains(by_program), "{by_program}: {what}");
    fails_by_hand(dir, by_steps);
}

fn part(record: &Record, path: &str) -> Shown {
    Shown::part(record, |shown| shown == path)
}

/// A field of a tree of its own, which its maker can have at will but for the root. This root begins with
/// bytes that a header has where one blob ends and the next begins: found by trying, in seconds.
struct Forged {
    leaf: Vec<u8>,
    place: Inclusion,
    root: Hash,
}

impl Forged {
    fn new() -> Self {
        let (path, value) = ("/text", "\"Visit allowed, no complaint.\"");
        let length = u32::try_from(path.len()).expect("short").to_be_bytes();
        let leaf = [[0; 32].as_slice(), &length, path.as_bytes(), value.as_bytes()].concat();
        let mut last = [0; 32];
        last[24..].copy_from_slice(&GROUND.to_be_bytes());
        let beside = [Hash::ZERO, Hash::ZERO, Hash::ZERO, Hash(last)];
        let here = Hash::of(&[&[0], leaf.as_slice()].concat());
        let node = |left: Hash, right: &Hash| {
            Hash::of(&[[1].as_slice(), left.as_bytes(), right.as_bytes()].concat())
        };
        let root = beside.iter().fold(here, node);
        let (index, size, proof) = (LeafIndex(0), TreeSize(16), beside.to_vec().into());
        Self { leaf, place: Inclusion { index, size, proof }, root }
    }

    /// Two blobs between which the header reads `0d 58 20` and the root.
    fn blobs(&self) -> Vec<Blob> {
        let root = self.root.as_bytes();
        assert_eq!(root[1..4], [0x82, 0x58, 0x20], "ground for this leaf");
        let (mut first, mut second) = ([0xaa; 32], [0xaa; 32]);
        first[29..].copy_from_slice(&[0x0d, 0x58, 0x20]);
        second[..28].copy_from_slice(&root[4..]);
        let first = Blob { sha256: Hash(first), size: u64::from(root[0]) };
        vec![first, Blob { sha256: Hash(second), size: 2_000 }]
    }
}

#[test]
fn a_header_whose_blobs_read_like_another_content_shows_no_other_field() {
    let mut cheats = Cheats::new();
    let forged = Forged::new();
    let mut header = cheats.world.record_header(&cheats.member);
    header.blobs = forged.blobs();
    let entry = Entry::sign(header, record_file(), &cheats.member.signing);
    let planted = cheats.world.push(&entry).expect("a log takes what it does not open").index;
    let (record, opened) =
        cheats.writes(ID, json!({"kind": "note", "text": "Visit refused."}), Vec::new());
    let dir = cheats.puts("sound", &cheats.makes(record, part(&opened, "/text"), &[]), &[]);
    assert!(verify(&dir).exits(0).stdout.len() > 100);
    holds_by_hand(&dir);

    let entry = cheats.entry(planted);
    let needle = [&[0x0d, 0x58, 0x20], forged.root.as_bytes().as_slice()].concat();
    let reads_like_it = entry.header_bytes().windows(35).filter(|bytes| *bytes == needle).count();
    assert_eq!(reads_like_it, 1);
    put_entry(&dir.join("record"), &cheats.placed(planted), "payload.age");
    let field = dir.join("record/field-1");
    fs::write(field.join("leaf.bin"), &forged.leaf).expect("it is ours");
    fs::write(field.join("inclusion.txt"), forged.place.to_string()).expect("it is ours");
    refused(&dir, "record/field-1: it is not in the tree", "no header of version 1 with one blob");
}

#[test]
fn a_record_that_names_a_blob_is_refused_by_the_steps_too() {
    let mut cheats = Cheats::new();
    let fields = || json!({"kind": "note", "text": "Visit refused."});
    let (sound, opened) = cheats.writes(ID, fields(), Vec::new());
    let blob = Blob { sha256: Hash::of(b"a blob"), size: 2_000 };
    // The same text under the same salt: content, field and its place are those of the sound one.
    let (with_blob, _) = cheats.writes(ID, fields(), vec![blob]);
    let dir = cheats.puts("blob", &cheats.makes(sound, part(&opened, "/text"), &[]), &[]);
    put_entry(&dir.join("record"), &cheats.placed(with_blob), "payload.age");
    refused(&dir, "record: its header names blobs", "record: its header names a blob");
}

#[test]
fn an_attachment_of_another_record_is_refused_by_the_steps_too() {
    let mut cheats = Cheats::new();
    let fields = || json!({"kind": "note", "text": "Visit refused."});
    let (record, opened) = cheats.writes(ID, fields(), Vec::new());
    let (other, other_opened) = cheats.writes(OTHER_ID, fields(), Vec::new());
    let (to_other, blob) = cheats.attaches(OTHER_ID);
    let (to_record, own_blob) = cheats.attaches(ID);
    let make = |record, shown, attachment| cheats.makes(record, shown, &[attachment]);
    let sound = make(record, Shown::Whole(cheats.whole(record)), to_record);
    let whole = cheats.puts("whole", &sound, &own_blob);
    let sound = make(record, part(&opened, "/id"), to_record);
    let part_of = cheats.puts("part", &sound, &own_blob);
    let of_other = make(other, part(&other_opened, "/id"), to_other);
    let of_other = cheats.puts("other", &of_other, &blob);
    for dir in [&whole, &part_of, &of_other] {
        let _ = verify(dir).exits(0);
        holds_by_hand(dir);
    }
    for dir in [whole, part_of] {
        let attachment = dir.join("attachment-1");
        fs::remove_dir_all(&attachment).expect("it is ours");
        fs::rename(copy(&of_other.join("attachment-1"), "moved"), attachment).expect("ours too");
        refused(&dir, "no attachment of this record", "it belongs to another record");
    }
}

/// A relay has the log that it likes, but not the keys of those who may change it.
#[test]
fn a_change_that_its_author_did_not_sign_lets_nobody_in() {
    let mut cheats = Cheats::new();
    let fields = json!({"kind": "note", "text": "Visit refused."});
    let (record, opened) = cheats.writes(ID, fields, Vec::new());
    let stranger = TestDevice::new(7);
    let admit = Change::Admit(Box::new(cheats.world.admission(&stranger, Role::Member)));
    let header = cheats.world.header(cheats.founder.id(), Kind::Roster);
    let forged = cheats.plants(Entry::sign(header, codec::encode(&admit), &stranger.signing));
    let mut header = cheats.world.record_header(&stranger);
    header.roster_head = RosterHead { number: 2, leaf: cheats.entry(forged).leaf() };
    header.seen.size = TreeSize(forged.0 + 1);
    header.content = cheats.entry(record).header().content;
    let planted = cheats.plants(Entry::sign(header, record_file(), &stranger.signing));
    let dir = cheats.puts("forged", &cheats.makes(record, part(&opened, "/text"), &[]), &[]);
    holds_by_hand(&dir);

    put_entry(&dir.join("record"), &cheats.placed(planted), "payload.age");
    let folder = dir.join(format!("roster/{:010}", forged.0));
    put_entry(&folder, &cheats.placed(forged), "payload.cbor");
    let [keys, old] = [&stranger, &cheats.member].map(|it| format!("devices/{}.keys", it.id()));
    fs::write(dir.join(keys), stranger.card.keys()).expect("it is ours");
    fs::remove_file(dir.join(old)).expect("it is ours");
    alter(&dir.join("VERIFY.md"), |text| {
        text.replace(&cheats.member.id().to_string(), &stranger.id().to_string())
    });
    let name = format!("roster/{:010}: ", forged.0);
    refused(&dir, &name, &format!("{name}the signature"));
}

#[test]
fn a_place_that_is_not_written_in_its_one_form_ends_the_steps_and_says_so_on_stderr() {
    let mut cheats = Cheats::new();
    let (record, opened) =
        cheats.writes(ID, json!({"kind": "note", "text": "Visit refused."}), Vec::new());
    let sound = cheats.puts("sound", &cheats.makes(record, part(&opened, "/text"), &[]), &[]);
    type Change = fn(&str) -> String;
    let changes: [(&str, Change, &str); 5] = [
        ("octal", |text| text.replace("index ", "index 0"), "its first line"),
        ("first", |text| text.replace("index", "at"), "its first line"),
        ("second", |text| text.replace("size ", "size +"), "its second line"),
        ("beyond", |text| format!("index 99\n{}", behind(text)), "a place beyond the tree"),
        ("word", |text| format!("{text}a hash\n"), "a line that is no hash"),
    ];
    for file in ["record/inclusion.txt", "record/field-1/inclusion.txt"] {
        for (name, change, why) in changes {
            let dir = copy(&sound, name);
            alter(&dir.join(file), change);
            list_anew(&dir);
            let _ = verify(&dir).fails(7, "verification-failed");
            fails_by_hand(&dir, &format!("{file}: {why}"));
            // Nothing goes on behind it.
            assert_eq!(String::from_utf8_lossy(&by_hand(&dir).stdout), "", "{name}");
            fs::remove_dir_all(&dir).expect("it is ours");
        }
    }
}

fn behind(text: &str) -> &str {
    text.split_once('\n').expect("more than a line").1
}

fn alter(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).expect("text");
    fs::write(path, change(&text)).expect("it is ours");
}

/// The first of 16 leaves leads by the same hashes to the same root in a tree of 9.
#[test]
fn a_field_of_a_tree_that_no_record_has_is_refused_by_the_steps_too() {
    let mut cheats = Cheats::new();
    let (record, opened) =
        cheats.writes(ID, json!({"kind": "note", "text": "Visit refused."}), Vec::new());
    let first = opened.leaves()[0].path.clone();
    let dir = cheats.puts("size", &cheats.makes(record, part(&opened, &first), &[]), &[]);
    holds_by_hand(&dir);
    alter(&dir.join("record/field-1/inclusion.txt"), |text| text.replace("size 16", "size 9"));
    refused(&dir, "record/field-1: it is not in the tree", "no tree of a record has that size");
}

#[test]
fn links_special_files_and_empty_folders_are_refused_before_anything_is_read() {
    let mut cheats = Cheats::new();
    let (record, opened) =
        cheats.writes(ID, json!({"kind": "note", "text": "Visit refused."}), Vec::new());
    let sound = cheats.puts("sound", &cheats.makes(record, part(&opened, "/text"), &[]), &[]);
    let link = |dir: &Path| {
        let moved = dir.with_file_name("elsewhere.txt");
        fs::rename(dir.join("note.txt"), &moved).expect("it is ours");
        symlink(&moved, dir.join("note.txt")).expect("it is ours");
    };
    let pipe = |dir: &Path| {
        let status = std::process::Command::new("mkfifo").arg(dir.join("pipe")).status();
        assert!(status.expect("mkfifo is there").success());
    };
    let empty = |dir: &Path| fs::create_dir(dir.join("empty")).expect("it is ours");
    type Case<'c> = (&'c str, &'c dyn Fn(&Path), &'c str, &'c str);
    let cases: [Case<'_>; 3] = [
        ("link", &link, "no plain file", "links or special files"),
        ("pipe", &pipe, "no plain file", "links or special files"),
        ("empty", &empty, "nothing is in it", "an empty folder"),
    ];
    for (name, change, by_program, by_steps) in cases {
        let dir = copy(&sound, name);
        change(&dir);
        let what = verify(&dir).fails(7, "verification-failed").failure()["what"].to_string();
        assert!(what.contains(by_program), "{name}: {what}");
        fails_by_hand(&dir, by_steps);
    }
}

/// A terminal does what is written to it: a field of others goes there as plain ASCII, path and value apart.
#[test]
fn a_field_is_printed_by_the_steps_so_that_it_moves_no_terminal() {
    let mut cheats = Cheats::new();
    let fields = json!({"kind": "note", "a\n\u{9b}31m is \"x\"": "\u{202e}Виз\u{9b}2J"});
    let (record, opened) = cheats.writes(ID, fields, Vec::new());
    let path = "/a\n\u{9b}31m is \"x\"";
    let dir = cheats.puts("escapes", &cheats.makes(record, part(&opened, path), &[]), &[]);
    let shown = verify(&dir).exits(0).json()["record"]["fields"][0].clone();
    assert_eq!(shown["path"], path);
    let output = by_hand(&dir);
    let said = String::from_utf8(output.stdout).expect("plain ASCII");
    assert!(output.status.success() && said.is_ascii(), "{said}");
    let line = said.lines().find(|line| line.starts_with("record/field-1: ")).expect("shown");
    assert_eq!(
        line,
        "record/field-1: /a?M-BM-^[31m is \"x\" is \"M-bM-^@M-.M-PM-^RM-PM-8M-PM-7M-BM-^[2J\""
    );
}
