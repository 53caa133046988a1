use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::change::{Role, Target};
use crate::checkpoint::{Checkpoint, Cosignature, Cosigner, Origin};
use crate::committee::Refusal;
use crate::entry::{Blob, Entry, RosterHead, UnverifiedEntry};
use crate::hash::Hash;
use crate::id::{LeafIndex, MemberNumber, Term, TreeSize, UnixMillis};
use crate::record::{Binding, Record, RecordBody, RecordId};
use crate::seal::two_keys::body_under;
use crate::seal::{
    AttachmentPassphrase, AttachmentSealer, BlobSink, EpochKeys, EpochSecret, Plain, blob_size,
};
use crate::sign::SigningKey;
use crate::tree::{self, Frontier};
use crate::world::{TestDevice, World, remove, reread, restore, suspend};

/// One epoch for all tests. The worlds' locks hold another recipient: shapes alone are checked there.
static EPOCH: LazyLock<EpochKeys> =
    LazyLock::new(|| EpochKeys::new(EpochSecret::generate(&[0xa7; 32])));

const ID: &str = "01JBSEA1P0ST0000000000ABCD";
const ATTACHMENT_ID: &str = "01JBSEA1P0ST0000000000ABCE";
const HOUR: UnixMillis = UnixMillis(7_200_000);

/// A log as a relay has it, whatever it lets in.
struct Scene {
    world: World,
    entries: Vec<UnverifiedEntry>,
    nodes: Vec<Hash>,
    tree: Frontier,
    coordinator: TestDevice,
    member: TestDevice,
    /// Where the member's record and its attachment stand.
    record: LeafIndex,
    attachment: LeafIndex,
    blob: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let (coordinator, member) = (TestDevice::new(1), TestDevice::new(2));
        let mut world = World::found(&coordinator);
        world.admit(&coordinator, &member, Role::Member).unwrap();
        world.record(&coordinator).unwrap();
        world.admit(&coordinator, &TestDevice::new(3), Role::Reader).unwrap();
        let mut scene = Self {
            world,
            entries: Vec::new(),
            nodes: Vec::new(),
            tree: Frontier::new(),
            coordinator,
            member,
            record: LeafIndex(0),
            attachment: LeafIndex(0),
            blob: Vec::new(),
        };
        let sealed =
            scene.sealed(ID, json!({"kind": "note", "text": "three letters", "n": [1, 2]}));
        scene.record = scene.admits(&sealed);
        // The attachment is written under a later roster than its record.
        let suspended = suspend(Target::Member(MemberNumber(3)));
        scene.world.change(&scene.coordinator, &suspended).unwrap();
        scene.world.change(&scene.coordinator, &restore(Target::Member(MemberNumber(3)))).unwrap();
        let passphrase = AttachmentPassphrase::generate(&[9; 32]);
        let mut sealer = AttachmentSealer::new(BlobSink::new(Vec::new()), &passphrase).unwrap();
        sealer.write(&[b'f'; 3_000]).unwrap();
        let (sink, plain) = sealer.finish().unwrap();
        let (blob, named) = sink.finish();
        scene.blob = blob;
        let fields = attachment_fields(plain, named, passphrase.expose());
        let sealed = scene.sealed_with(ATTACHMENT_ID, fields, vec![named]);
        scene.attachment = scene.admits(&sealed);
        scene.world.record(&scene.coordinator).unwrap();
        let log = scene.world.log.clone();
        log.iter().for_each(|bytes| scene.lets_in(UnverifiedEntry::decode(bytes).unwrap()));
        scene
    }

    fn sealed(&self, id: &str, fields: serde_json::Value) -> Entry {
        self.sealed_with(id, fields, Vec::new())
    }

    /// The member's next record, really sealed.
    fn sealed_with(&self, id: &str, fields: serde_json::Value, blobs: Vec<Blob>) -> Entry {
        self.sealed_by(&self.member, id, fields, blobs)
    }

    fn sealed_by(
        &self,
        author: &TestDevice,
        id: &str,
        fields: serde_json::Value,
        blobs: Vec<Blob>,
    ) -> Entry {
        let mut header = self.world.record_header(author);
        let (committee, epoch) = (header.committee, header.epoch);
        let binding = Binding { committee, author: header.author, epoch };
        let serde_json::Value::Object(fields) = fields else { panic!("an object") };
        let id: RecordId = id.parse().unwrap();
        let bound = RecordBody { fields }.bind(&binding, &id, &[7; 32]).unwrap();
        header.content = bound.content;
        header.blobs = blobs;
        let payload = EPOCH.seal_record(&bound.plaintext).unwrap();
        Entry::sign(header, payload, &author.signing)
    }

    /// Lets an entry in without a question, as the last of the log.
    fn plants(&mut self, entry: &Entry) -> LeafIndex {
        let index = self.tree.size().next_index();
        self.lets_in(reread(entry));
        index
    }

    fn admits(&mut self, entry: &Entry) -> LeafIndex {
        self.world.push(entry).unwrap().index
    }

    /// Appends without a question.
    fn lets_in(&mut self, entry: UnverifiedEntry) {
        self.nodes.extend(self.tree.append(entry.leaf()));
        self.entries.push(entry);
    }

    fn entry(&self, index: LeafIndex) -> UnverifiedEntry {
        self.entries[usize::try_from(index.0).unwrap()].clone()
    }

    fn placed(&self, index: LeafIndex) -> Placed {
        let size = self.tree.size();
        let proof = tree::inclusion_proof(index, size, self.nodes.as_slice()).unwrap();
        Placed { entry: self.entry(index), inclusion: Inclusion { index, size, proof } }
    }

    fn checkpoint(&self) -> Checkpoint {
        let origin = Origin { committee: self.world.committee.id(), term: Term(1) };
        Checkpoint { origin, size: self.tree.size(), root: self.tree.root() }
    }

    fn note(&self) -> Vec<u8> {
        let relay = SigningKey::from_bytes(&[90; 32]);
        self.checkpoint().sign(&relay).text().as_bytes().to_vec()
    }

    fn cosignatures(&self, devices: &[&TestDevice]) -> Vec<u8> {
        let mut devices = devices.to_vec();
        devices.sort_by_key(|device| device.id());
        let line = |device: &&TestDevice| {
            let cosigner = Cosigner::Device(device.id());
            let signed = Cosignature::sign(&self.checkpoint(), cosigner, &device.signing, HOUR);
            signed.text().to_owned()
        };
        devices.iter().map(line).collect::<String>().into_bytes()
    }

    /// The roster entries up to that with this number.
    fn roster(&self, last: u64) -> Vec<Placed> {
        let kind = |entry: &UnverifiedEntry| entry.header().kind == crate::entry::Kind::Roster;
        let all = (0..).map(LeafIndex).zip(&self.entries).filter(|(_, entry)| kind(entry));
        let follows = |entry: &UnverifiedEntry| match entry.header().roster_head {
            RosterHead::NONE => true,
            RosterHead { number, .. } => number < last,
        };
        all.filter(|(_, entry)| follows(entry)).map(|(index, _)| self.placed(index)).collect()
    }

    fn whole(&self, index: LeafIndex) -> Whole {
        let entry = self.entry(index);
        let payload = entry.payload().unwrap();
        let key = EPOCH.file_key(payload).unwrap();
        Whole::of(payload, key, AttachmentPassphrase::generate(&[5; 32])).unwrap()
    }

    fn opened(&self, index: LeafIndex) -> Record {
        let entry = self.entry(index);
        let header = entry.header();
        let plaintext = EPOCH.open_record(entry.payload().unwrap()).unwrap();
        let (committee, author) = (header.committee, header.author);
        let binding = Binding { committee, author, epoch: header.epoch };
        Record::open(&plaintext, &binding, &header.content).unwrap_or_else(|it| panic!("{it}"))
    }

    /// All of the record.
    fn folder(&self) -> Folder {
        Folder {
            note: self.note(),
            cosignatures: self.cosignatures(&[&self.member, &self.coordinator]),
            roster: self.roster(2),
            record: self.placed(self.record),
            shown: Shown::Whole(self.whole(self.record)),
            attachments: Vec::new(),
        }
    }

    /// Some of its fields.
    fn part(&self, paths: &[&str]) -> Folder {
        let shown = Shown::part(&self.opened(self.record), |path| paths.contains(&path));
        Folder { shown, ..self.folder() }
    }

    /// With the attachment.
    fn with_attachment(&self, folder: Folder) -> Folder {
        let attachment = (self.placed(self.attachment), self.whole(self.attachment));
        Folder { roster: self.roster(4), attachments: vec![attachment], ..folder }
    }
}

/// What the record of an attachment to the scene's record says.
fn attachment_fields(plain: Plain, blob: Blob, passphrase: &str) -> serde_json::Value {
    json!({
        "kind": "attachment", "to": ID, "label": "scan.jpg", "size": plain.size,
        "sha256": plain.sha256.to_string(),
        "blob": {
            "sha256": blob.sha256.to_string(), "size": blob.size, "passphrase": passphrase,
        },
    })
}

fn made(folder: Folder) -> Made {
    folder.make().unwrap_or_else(|error| panic!("{error}"))
}

fn refused(folder: Folder) -> PeerFolderError {
    folder.make().err().expect("it does not hold")
}

/// What a verifier says to these files once their manifest was made anew.
fn listed_anew(mut files: Files, blobs: &BTreeMap<String, Hash>) -> Result<(), PeerFolderError> {
    files.remove(MANIFEST);
    let manifest = Manifest::of(&hashes(&files, blobs)).to_string();
    files.insert(MANIFEST.to_owned(), manifest.into_bytes());
    verify(files, blobs).map(|_| ())
}

/// The three kinds of folders.
fn kinds(scene: &Scene) -> [Made; 3] {
    [
        made(scene.folder()),
        made(scene.part(&["/text", "/n/1"])),
        made(scene.with_attachment(scene.part(&["/id"]))),
    ]
}

#[test]
fn what_is_made_holds_and_says_who_signed_what_where() {
    let scene = Scene::new();
    for Made { files, blobs, .. } in kinds(&scene) {
        let proof = verify(files, &blobs).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(proof.committee, scene.world.committee.id());
        assert_eq!(proof.record.index, scene.record);
        assert_eq!(proof.record.header.author, scene.member.id());
        assert_eq!((proof.record.member, proof.record.role), (MemberNumber(2), Role::Member));
        assert_eq!(proof.note.checkpoint(), &scene.checkpoint());
        assert_eq!(proof.cosigners.len(), 2);
    }
}

#[test]
fn a_whole_record_is_shown_with_its_plaintext_and_a_part_with_its_fields_alone() {
    let scene = Scene::new();
    let [whole, part, _] = kinds(&scene);
    let ShownPart::Whole(record, plaintext) = &whole.proof.record.part else { panic!("whole") };
    assert_eq!(record.body().fields["text"], "three letters");
    assert_eq!(whole.files["record/plaintext.json"], plaintext.as_slice());
    let ShownPart::Fields(fields) = &part.proof.record.part else { panic!("a part") };
    let shown: Vec<_> =
        fields.iter().map(|field| (field.path.as_str(), field.value.as_str())).collect();
    assert_eq!(shown, [("/n/1", "2"), ("/text", "\"three letters\"")]);
    assert!(
        !part.files.keys().any(|name| name.contains("file-key") || name.contains("record.age"))
    );
}

#[test]
fn an_attachment_is_shown_with_what_opens_it() {
    let scene = Scene::new();
    for folder in [scene.folder(), scene.part(&["/id"])] {
        let Made { files, blobs, proof } = made(scene.with_attachment(folder));
        let [attachment] = proof.attachments.as_slice() else { panic!("one") };
        let attached = attachment.attached.as_ref().unwrap();
        assert_eq!((attached.label.as_str(), attached.plain.size), ("scan.jpg", 3_000));
        assert_eq!(blobs, [("attachment-1/blob.age".to_owned(), Hash::of(&scene.blob))].into());
        assert!(verify(files.clone(), &blobs).is_ok());
        let other = [("attachment-1/blob.age".to_owned(), Hash::of(b"another"))].into();
        let altered = PeerFolderError::Altered("attachment-1/blob.age".to_owned());
        assert_eq!(listed_anew(files.clone(), &other), Err(altered));
        let missing = PeerFolderError::Missing("attachment-1/blob.age".to_owned());
        assert_eq!(listed_anew(files, &BTreeMap::new()), Err(missing));
    }
    // Without the id nobody sees that it belongs to the record.
    let error = refused(scene.with_attachment(scene.part(&["/text"])));
    assert_eq!(error, PeerFolderError::Attachment("attachment-1".to_owned()));
}

#[test]
fn no_secret_of_the_epoch_and_no_other_record_is_in_a_folder() {
    use age::secrecy::ExposeSecret;

    let scene = Scene::new();
    let passphrase = EPOCH.secret().record_passphrase();
    let identity = EPOCH.secret().identity().to_string();
    let secrets = [
        passphrase.expose_secret().as_bytes(),
        identity.expose_secret().as_bytes(),
        EPOCH.secret().seed().as_slice(),
    ];
    for Made { files, .. } in kinds(&scene) {
        for (name, bytes) in &files {
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{name}");
            }
        }
        let shown = files.keys().filter(|name| name.ends_with("payload.age")).count();
        assert!(shown <= 2);
    }
    // The salt would open every field that is not shown.
    let part = made(scene.part(&["/text"]));
    for (name, bytes) in &part.files {
        assert!(!bytes.windows(32).any(|window| window == [7; 32]), "{name}");
    }
}

#[test]
fn every_changed_byte_of_every_file_is_noticed() {
    let scene = Scene::new();
    for Made { files, blobs, .. } in kinds(&scene) {
        for (name, bytes) in &files {
            for at in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
                let mut changed = files.clone();
                changed.get_mut(name).unwrap()[at] ^= 1;
                assert!(verify(changed, &blobs).is_err(), "{name}, byte {at}");
            }
        }
    }
}

/// The manifest is nobody's word: whoever changes a file lists it anew.
#[test]
fn every_changed_byte_is_noticed_though_the_manifest_lists_it() {
    let scene = Scene::new();
    for Made { files, blobs, .. } in kinds(&scene) {
        for (name, bytes) in files.iter().filter(|(name, _)| *name != MANIFEST) {
            for at in (0..bytes.len()).step_by(bytes.len() / 12 + 1) {
                let mut changed = files.clone();
                changed.get_mut(name).unwrap()[at] ^= 1;
                assert!(listed_anew(changed, &blobs).is_err(), "{name}, byte {at}");
            }
        }
    }
}

#[test]
fn a_file_that_is_missing_or_has_no_place_is_noticed_though_the_manifest_lists_it() {
    let scene = Scene::new();
    for Made { files, blobs, .. } in kinds(&scene) {
        for name in files.keys().filter(|name| *name != MANIFEST) {
            let mut without = files.clone();
            without.remove(name);
            assert!(listed_anew(without, &blobs).is_err(), "{name}");
        }
        let beyond = ["a.txt", "record/a.txt", "roster/a", "devices/a", "attachment-9/header.cbor"];
        for name in beyond {
            let mut with = files.clone();
            with.insert(name.to_owned(), b"1".to_vec());
            assert!(listed_anew(with, &blobs).is_err(), "{name}");
        }
        let mut with = blobs.clone();
        with.insert("attachment-7/blob.age".to_owned(), Hash::ZERO);
        let extra = PeerFolderError::Extra("attachment-7/blob.age".to_owned());
        assert_eq!(listed_anew(files, &with), Err(extra));
    }
}

#[test]
fn what_the_manifest_does_not_list_is_named() {
    let Made { files, blobs, .. } = made(Scene::new().folder());
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = files.clone();
        change(&mut files);
        verify(files, &blobs).map(|_| ()).unwrap_err()
    };
    let note = || files::NOTE.to_owned();
    let removed = changed(&|files| drop(files.remove("note.txt")));
    assert_eq!(removed, PeerFolderError::Missing(note()));
    let altered = changed(&|files| files.get_mut("note.txt").unwrap().push(b'\n'));
    assert_eq!(altered, PeerFolderError::Altered(note()));
    let extra = changed(&|files| drop(files.insert("x".to_owned(), Vec::new())));
    assert_eq!(extra, PeerFolderError::Extra("x".to_owned()));
    let none = changed(&|files| drop(files.remove(MANIFEST)));
    assert_eq!(none, PeerFolderError::Missing(MANIFEST.to_owned()));
    let mut read = Files::new();
    read.insert(MANIFEST.to_owned(), b"no manifest".to_vec());
    assert_eq!(verify(read, &blobs).err(), Some(PeerFolderError::Manifest));
}

#[test]
fn a_manifest_has_one_text() {
    let hash = Hash::of(b"a");
    let one = |name: &str| format!("{hash}  {name}\n");
    let parse = |text: String| Manifest::parse(text.as_bytes());
    assert!(parse(one("a") + &one("b/c-1.txt")).is_ok());
    let names = ["/a", "../a", "a/../b", "a//b", "a b", "", ".a", "a\\b", "é"];
    let texts = names.map(one).into_iter().chain([
        one("b") + &one("a"),
        one("a") + &one("a"),
        one("a").to_uppercase(),
        one("a").trim_end().to_owned(),
        one("a").replace("  ", " *"),
        one("a") + "\n",
        one("a").replace('\n', "\r\n"),
    ]);
    for text in texts {
        assert_eq!(parse(text.clone()), Err(PeerFolderError::Manifest), "{text}");
    }
}

#[test]
fn a_place_has_one_text() {
    let hash = Hash::of(b"a");
    let sound = format!("index 1\nsize 2\n{hash}\n");
    let read = Inclusion::parse(sound.as_bytes()).unwrap();
    assert_eq!((read.index, read.size), (LeafIndex(1), TreeSize(2)));
    assert_eq!(read.to_string(), sound);
    let many = format!("index 1\nsize 2\n{}", format!("{hash}\n").repeat(65));
    for text in [
        sound.replace("index 1", "index 01"),
        sound.replace("index 1", "index +1"),
        sound.trim_end().to_owned(),
        sound.to_uppercase(),
        sound.replace("size", "length"),
        sound.clone() + "x\n",
        String::new(),
        many,
    ] {
        assert_eq!(Inclusion::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_payload_that_opens_under_two_file_keys_is_refused_under_the_other_key() {
    let mut scene = Scene::new();
    let own = EPOCH.seal_record(b"x").unwrap();
    let key = EPOCH.file_key(&own).unwrap();
    let other = RecordKey::from_bytes(&[0xee; 16]).unwrap();
    // What colleagues open, and what a court is to be shown: one body, taken for whole under both.
    let body = body_under([key.expose(), other.expose()]);
    let payload = [&own[..149], &body].concat();
    assert!(EPOCH.open_record(&payload).is_ok());
    let mut header = scene.world.record_header(&scene.member);
    header.content = Hash::of(b"of the other text");
    let entry = Entry::sign(header, payload.clone(), &scene.member.signing);
    let index = scene.tree.size().next_index();
    scene.lets_in(reread(&entry));
    let passphrase = AttachmentPassphrase::generate(&[5; 32]);
    let sealed_anew = other.seal_anew(&payload, &passphrase).unwrap();
    let plaintext = other.open(&sealed_anew).unwrap().to_vec();
    let whole = Whole { key: other, plaintext, sealed_anew, passphrase };
    let (record, shown) = (scene.placed(index), Shown::Whole(whole));
    let folder = Folder { roster: scene.roster(4), record, shown, ..scene.folder() };
    let named = PeerFolderError::OtherKey("record/payload.age".to_owned());
    assert_eq!(refused(folder), named);
}

#[test]
fn a_payload_with_a_rewritten_header_is_not_what_was_signed_for() {
    let scene = Scene::new();
    let Made { mut files, blobs, .. } = made(scene.folder());
    assert_eq!(listed_anew(files.clone(), &blobs), Ok(()));
    // Both headers made with one key, and the payload is another than its entry's.
    let anew = files["record/record.age"].clone();
    files.insert("record/payload.age".to_owned(), anew);
    let refused = listed_anew(files, &blobs);
    assert!(matches!(refused, Err(PeerFolderError::Entry { .. })), "{refused:?}");
}

#[test]
fn what_was_sealed_anew_has_the_body_and_the_key_of_the_payload() {
    let scene = Scene::new();
    let with = |change: &dyn Fn(&mut Whole)| {
        let mut whole = scene.whole(scene.record);
        change(&mut whole);
        refused(Folder { shown: Shown::Whole(whole), ..scene.folder() })
    };
    let anew = || "record/record.age".to_owned();
    let body = with(&|whole| *whole.sealed_anew.last_mut().unwrap() ^= 1);
    assert_eq!(body, PeerFolderError::OtherBody(anew()));
    let header = with(&|whole| {
        let other = RecordKey::from_bytes(&[1; 16]).unwrap();
        whole.sealed_anew = other.seal_anew(&whole.sealed_anew, &whole.passphrase).unwrap();
    });
    assert_eq!(header, PeerFolderError::OtherKey(anew()));
    let passphrase = with(&|whole| whole.passphrase = AttachmentPassphrase::generate(&[6; 32]));
    assert!(matches!(passphrase, PeerFolderError::Open { .. }), "{passphrase}");
    let text = with(&|whole| whole.plaintext[200] ^= 1);
    assert_eq!(text, PeerFolderError::Plaintext("record/plaintext.json".to_owned()));
    let key = with(&|whole| whole.key = RecordKey::from_bytes(&[1; 16]).unwrap());
    assert_eq!(key, PeerFolderError::OtherKey("record/payload.age".to_owned()));
}

#[test]
fn a_roster_that_omits_a_removal_is_refused() {
    let mut scene = Scene::new();
    // The member is removed, and with the relay's help a record of theirs stands behind that.
    scene.world.change(&scene.coordinator, &remove(MemberNumber(2))).unwrap();
    scene.world.change_locks(&scene.coordinator).unwrap();
    let before = scene.entries.len();
    let log = scene.world.log.clone();
    log[before..].iter().for_each(|bytes| scene.lets_in(UnverifiedEntry::decode(bytes).unwrap()));
    let sealed = scene.sealed(ID, json!({"kind": "note", "text": "planted"}));
    let index = scene.tree.size().next_index();
    scene.lets_in(reread(&sealed));
    let folder = |roster: Vec<Placed>| {
        let (record, shown) = (scene.placed(index), Shown::Whole(scene.whole(index)));
        let cosignatures = Vec::new();
        refused(Folder { roster, record, shown, cosignatures, ..scene.folder() })
    };
    let all = scene.roster(6);
    // Shown, it is seen.
    let of_record = |error: PeerFolderError| match error {
        PeerFolderError::Roster { name, error } if name == "record" => error,
        other => panic!("{other}"),
    };
    assert_eq!(of_record(folder(all.clone())), Refusal::NotActive.into());
    // The end of the roster is left out: the record names what is not there.
    for shown in 1..all.len() {
        let gap = of_record(folder(all[..shown].to_vec()));
        assert!(matches!(gap, PeerChainError::Gap { .. }), "{shown}: {gap}");
    }
    // The removal alone is left out: the next change names it.
    let at = all.len() - 2;
    let without = [&all[..at], &all[at + 1..]].concat();
    let error = folder(without);
    let PeerFolderError::Roster { name, error } = error else { panic!("{error}") };
    assert_eq!(name, files::roster(all[at + 1].inclusion.index));
    assert!(matches!(error, PeerChainError::Gap { .. }), "{error}");
}

#[test]
fn a_roster_longer_than_what_is_signed_under_it_or_out_of_place_is_refused() {
    let scene = Scene::new();
    let longer = refused(Folder { roster: scene.roster(3), ..scene.folder() });
    assert!(matches!(longer, PeerFolderError::Extra(_)), "{longer}");
    let none = refused(Folder { roster: Vec::new(), ..scene.folder() });
    assert!(matches!(none, PeerFolderError::Missing(_)), "{none}");
    let mut elsewhere = scene.roster(2);
    elsewhere[1].inclusion.index = LeafIndex(2);
    let elsewhere = refused(Folder { roster: elsewhere, ..scene.folder() });
    assert!(matches!(elsewhere, PeerFolderError::Inclusion { .. }), "{elsewhere}");
}

#[test]
fn an_invented_field_leads_to_no_content() {
    let scene = Scene::new();
    assert!(scene.part(&["/text"]).check().is_ok());
    let with = |change: &dyn Fn(&mut field::ShownField)| {
        let Folder { shown: Shown::Part(mut fields), .. } = scene.part(&["/text"]) else {
            panic!("a part")
        };
        change(&mut fields[0]);
        refused(Folder { shown: Shown::Part(fields), ..scene.folder() })
    };
    let cheats: [&dyn Fn(&mut field::ShownField); 6] = [
        &|field| field.leaf.value = "\"four letters\"".to_owned(),
        &|field| field.leaf.path = "/title".to_owned(),
        &|field| field.leaf.blind[0] ^= 1,
        &|field| field.inclusion.index = LeafIndex(0),
        &|field| field.inclusion.size = TreeSize(32),
        // The border between path and value moved.
        &|field| {
            field.leaf.path = "/text\"".to_owned();
            field.leaf.value = "three letters\"".to_owned();
        },
    ];
    for cheat in cheats {
        let error = with(cheat);
        assert!(matches!(error, PeerFolderError::Inclusion { .. }), "{error}");
    }
    // A tree of the forger's own, smaller than any record's.
    let own = with(&|field| {
        field.inclusion =
            Inclusion { index: LeafIndex(0), size: TreeSize(1), proof: tree::Proof::default() };
    });
    assert!(matches!(own, PeerFolderError::Inclusion { .. }), "{own}");
}

#[test]
fn a_field_that_is_none_of_a_records_is_malformed() {
    let Made { files, blobs, .. } = made(Scene::new().part(&["/text"]));
    let name = "record/field-1/leaf.bin";
    let leaf = |path: &str, value: &str| {
        let length = u32::try_from(path.len()).unwrap().to_be_bytes();
        [[1; 32].as_slice(), &length, path.as_bytes(), value.as_bytes()].concat()
    };
    for bytes in [
        leaf("text", "1"),
        leaf("/text", "1 "),
        leaf("/text", "[1]"),
        leaf("/text", "{\"a\":1}"),
        leaf("/text", "\"\\u0041\""),
        leaf("/text", ""),
        leaf("/text", "1")[..35].to_vec(),
        [[1; 32].as_slice(), &[0xff; 8]].concat(),
    ] {
        let mut files = files.clone();
        files.insert(name.to_owned(), bytes);
        assert_eq!(listed_anew(files, &blobs), Err(PeerFolderError::Malformed(name.to_owned())));
    }
}

/// Leaves are sorted by their paths: one that stands twice has two values.
#[test]
fn two_fields_of_one_path_or_out_of_their_order_are_malformed() {
    let Made { files, blobs, .. } = made(Scene::new().part(&["/n/1", "/text"]));
    let second = "record/field-2/leaf.bin";
    let of = |name: &str| files[name].clone();
    let mut same_path = files.clone();
    same_path.insert(second.to_owned(), of("record/field-1/leaf.bin"));
    let mut swapped = files.clone();
    for file in ["leaf.bin", "inclusion.txt"] {
        let [first, second] = [1, 2].map(|number| format!("record/field-{number}/{file}"));
        swapped.insert(first.clone(), of(&second));
        swapped.insert(second, of(&first));
    }
    for files in [same_path, swapped] {
        let malformed = PeerFolderError::Malformed(second.to_owned());
        assert_eq!(listed_anew(files, &blobs), Err(malformed));
    }
}

#[test]
fn a_folder_has_a_limit_for_each_file_for_all_and_for_blobs() {
    let counts = |sizes: &[usize]| {
        let mut measure = Measure::default();
        sizes.iter().try_for_each(|bytes| measure.file("a.bin", *bytes))
    };
    let full = vec![PROOF_FILE_BYTES_MAX; PROOF_BYTES_MAX / PROOF_FILE_BYTES_MAX];
    assert_eq!(counts(&full), Ok(()));
    assert_eq!(counts(&[full.as_slice(), &[1]].concat()), Err(PeerFolderError::TooLarge));
    let long = PeerFolderError::FileTooLarge("a.bin".to_owned());
    assert_eq!(counts(&[PROOF_FILE_BYTES_MAX + 1]), Err(long));
    assert_eq!(counts(&[1; PROOF_FILES_MAX]), Ok(()));
    assert_eq!(counts(&[1; PROOF_FILES_MAX + 1]), Err(PeerFolderError::TooManyFiles));
    let blobs = |sizes: &[u64]| {
        let mut measure = Measure::default();
        sizes.iter().try_for_each(|bytes| measure.blob(*bytes))
    };
    assert_eq!(blobs(&[1; PROOF_BLOBS_MAX]), Ok(()));
    assert_eq!(blobs(&[1; PROOF_BLOBS_MAX + 1]), Err(PeerFolderError::TooManyBlobs));
    assert_eq!(blobs(&[PROOF_BLOBS_BYTES_MAX - 1, 1]), Ok(()));
    assert_eq!(blobs(&[PROOF_BLOBS_BYTES_MAX, 1]), Err(PeerFolderError::BlobsTooLarge));
    assert_eq!(blobs(&[u64::MAX, u64::MAX]), Err(PeerFolderError::BlobsTooLarge));
}

#[test]
fn what_is_verified_is_held_against_the_limits_too() {
    let Made { mut files, blobs, .. } = made(Scene::new().folder());
    files.insert("a.bin".to_owned(), vec![0; PROOF_FILE_BYTES_MAX + 1]);
    let long = PeerFolderError::FileTooLarge("a.bin".to_owned());
    assert_eq!(listed_anew(files, &blobs), Err(long));
}

#[test]
fn a_note_is_the_home_relays_and_of_the_tree_that_is_shown() {
    let scene = Scene::new();
    let with = |note: &Checkpoint, key: u8| {
        let note = note.sign(&SigningKey::from_bytes(&[key; 32])).text().as_bytes().to_vec();
        refused(Folder { note, ..scene.folder() })
    };
    let sound = scene.checkpoint();
    let other_key = with(&sound, 91);
    assert_eq!(other_key, PeerFolderError::Note(PeerNoteError::OtherKey));
    let origin = Origin { term: Term(2), ..sound.origin };
    let other_log = with(&Checkpoint { origin, ..sound }, 90);
    assert_eq!(other_log, PeerFolderError::Note(PeerNoteError::OtherOrigin(origin)));
    let other_tree = with(&Checkpoint { root: Hash::ZERO, ..sound }, 90);
    assert!(matches!(other_tree, PeerFolderError::Inclusion { .. }), "{other_tree}");
    let other_size = with(&Checkpoint { size: TreeSize(99), ..sound }, 90);
    assert!(matches!(other_size, PeerFolderError::OtherTree(_)), "{other_size}");
}

#[test]
fn cosignatures_are_of_this_checkpoint_by_active_devices_that_are_shown() {
    let scene = Scene::new();
    let with = |cosignatures: Vec<u8>| Folder { cosignatures, ..scene.folder() };
    let both = scene.cosignatures(&[&scene.member, &scene.coordinator]);
    let made = made(with(both.clone()));
    assert_eq!(made.proof.cosigners.iter().map(|one| one.at).collect::<Vec<_>>(), [HOUR, HOUR]);
    assert!(with(Vec::new()).check().is_ok_and(|proof| proof.cosigners.is_empty()));
    let stranger = TestDevice::new(9);
    let refused_as = refused(with(scene.cosignatures(&[&stranger])));
    assert_eq!(refused_as, PeerFolderError::Cosigner(stranger.id()));
    let one = scene.cosignatures(&[&scene.member]);
    let twice = refused(with([one.as_slice(), &one].concat()));
    assert_eq!(twice, PeerFolderError::Malformed("cosignatures.txt".to_owned()));
    let mut of_another = Scene::new();
    of_another.lets_in(scene.entry(LeafIndex(2)));
    let other = refused(with(of_another.cosignatures(&[&scene.member])));
    assert_eq!(other, PeerFolderError::Cosignature(PeerNoteError::Signature));
}

#[test]
fn a_record_of_another_or_a_roster_entry_is_no_attachment() {
    let mut scene = Scene::new();
    let fields = json!({"kind": "note", "to": ID});
    let sealed = scene.sealed("01JBSEA1P0ST0000000000ABCF", fields);
    let index = scene.tree.size().next_index();
    scene.lets_in(reread(&sealed));
    let attachment = (scene.placed(index), scene.whole(index));
    let folder =
        Folder { roster: scene.roster(4), attachments: vec![attachment], ..scene.folder() };
    assert_eq!(refused(folder), PeerFolderError::Attachment("attachment-1".to_owned()));
    let change = scene.placed(LeafIndex(3));
    let attachment = (change, scene.whole(scene.record));
    let folder = Folder { attachments: vec![attachment], ..scene.folder() };
    let error = refused(folder);
    assert!(
        matches!(error, PeerFolderError::Roster { error: PeerChainError::Kind, .. }),
        "{error}"
    );
}

/// An id can be copied by anybody who reads the record.
#[test]
fn an_attachment_of_another_member_is_none_of_the_record() {
    let mut scene = Scene::new();
    let plain = Plain { sha256: Hash::of(b"a file"), size: 6 };
    let blob = Blob { sha256: Hash::of(b"a blob"), size: blob_size(6) };
    let passphrase = AttachmentPassphrase::generate(&[9; 32]);
    let fields = attachment_fields(plain, blob, passphrase.expose());
    let sealed = scene.sealed_by(&scene.coordinator, ATTACHMENT_ID, fields, vec![blob]);
    let index = scene.plants(&sealed);
    for folder in [scene.folder(), scene.part(&["/id"])] {
        let attachments = vec![(scene.placed(index), scene.whole(index))];
        let folder = Folder { roster: scene.roster(4), attachments, ..folder };
        assert_eq!(refused(folder), PeerFolderError::OtherMember("attachment-1".to_owned()));
    }
}

/// Its steps look for what was signed in the header, where a blob's hash is what its author likes.
#[test]
fn a_record_whose_header_names_blobs_is_refused() {
    let mut scene = Scene::new();
    let blob = Blob { sha256: Hash::of(b"a blob"), size: 2_000 };
    let fields = json!({"kind": "note", "text": "three letters"});
    let sealed = scene.sealed_with("01JBSEA1P0ST0000000000ABCF", fields, vec![blob]);
    let index = scene.plants(&sealed);
    let part = Shown::part(&scene.opened(index), |path| path == "/text");
    for shown in [Shown::Whole(scene.whole(index)), part] {
        let (roster, record) = (scene.roster(4), scene.placed(index));
        let folder = Folder { roster, record, shown, ..scene.folder() };
        assert_eq!(refused(folder), PeerFolderError::Blobs("record".to_owned()));
    }
}

#[test]
fn members_who_vouch_are_counted_and_the_author_is_none_of_them() {
    let scene = Scene::new();
    let by = |devices: &[&TestDevice]| {
        let cosignatures = scene.cosignatures(devices);
        let proof = made(Folder { cosignatures, ..scene.folder() }).proof;
        (proof.cosigners.len(), proof.independent())
    };
    assert_eq!(by(&[&scene.member]), (1, [].into()));
    assert_eq!(by(&[&scene.member, &scene.coordinator]), (2, [MemberNumber(1)].into()));
}

#[test]
fn a_record_that_another_wrote_is_refused_whole() {
    let mut scene = Scene::new();
    // The coordinator signs the member's text, sealed anew, as their own.
    let theirs = scene.entry(scene.record);
    let mut header = scene.world.record_header(&scene.coordinator);
    header.content = theirs.header().content;
    let payload = theirs.payload().unwrap().to_vec();
    let entry = Entry::sign(header, payload, &scene.coordinator.signing);
    let index = scene.tree.size().next_index();
    scene.lets_in(reread(&entry));
    let (record, shown) = (scene.placed(index), Shown::Whole(scene.whole(index)));
    let folder = Folder { roster: scene.roster(4), record, shown, ..scene.folder() };
    let name = "record/plaintext.json".to_owned();
    let error = PeerRecordError::Author;
    assert_eq!(refused(folder), PeerFolderError::Record { name, error });
}

/// The steps follow from the folder: nobody puts easier ones beside a proof.
#[test]
fn the_steps_are_those_for_the_folder() {
    let scene = Scene::new();
    let [whole, part, attached] = kinds(&scene);
    let steps = |made: &Made| String::from_utf8(made.files["VERIFY.md"].clone()).unwrap();
    for made in [&whole, &part, &attached] {
        let text = steps(made);
        assert!(!text.contains("{folder}") && !text.contains("{number}"), "{text}");
        let placeholders =
            ["{rows}", "{partly}", "{author}", "{more}", "{part}", "{heading}", "{term}", "{left}"];
        for placeholder in placeholders {
            assert!(!text.contains(placeholder), "{placeholder}");
        }
        assert!(text.contains(&scene.world.committee.id().to_string()));
        assert!(text.contains(&scene.member.id().to_string()));
    }
    assert!(steps(&whole).contains("openssl kdf") && !steps(&part).contains("openssl kdf"));
    let mut files = whole.files.clone();
    files.insert("VERIFY.md".to_owned(), part.files["VERIFY.md"].clone());
    assert_eq!(listed_anew(files, &whole.blobs), Err(PeerFolderError::Steps));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_a_folder_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        static MADE: LazyLock<Made> = LazyLock::new(|| made(Scene::new().part(&["/text"])));
        let mut files = MADE.files.clone();
        let name = at.get(&files.keys().collect::<Vec<_>>()).to_string();
        files.insert(name.clone(), bytes);
        let read = match name == MANIFEST {
            true => verify(files, &MADE.blobs).map(|_| ()),
            false => listed_anew(files, &MADE.blobs),
        };
        prop_assert!(read.is_err());
    }
}
