//! What people leave at a relay, before implementations of transparency logs that are not ours.
//!
//! `signed_note` reads and verifies notes (C2SP signed-note), `ct-merkle` trees and proofs (RFC 6962).
//! Our code makes what they are shown and is not asked what it thinks of it: leaves, key ids and signed
//! texts are put together here as SPEC.md §5 and §10 say. Each is shown what is honest first.

use std::fs;
use std::path::Path;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use data_encoding::{BASE64, HEXLOWER};
use minicbor::{Decoder, Encoder};
use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::export::{Part, PartReader, UnverifiedExport, VerifiedExport};
use sealpost_protocol::frame::{PushRequest, PushResult, Pushed, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{LeafIndex, TreeSize};
use sealpost_protocol::proof::Inclusion;
use sealpost_protocol::tree::{self, Frontier};
use sealpost_tests::peer::{Manner, Peer, replies};
use sealpost_tests::relay::Relay;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::scene::Scene;
use serde_json::json;
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};

use crate::programs;

/// The type of a key that signs notes.
const ED25519: u8 = 1;
/// The type of one that signs cosignature/v1.
const COSIGNATURE: u8 = 4;

/// Verifies notes that were signed under that name; none when the key is none.
fn note_key(name: &str, key: &[u8; 32]) -> Option<StandardVerifier> {
    let typed = [&[ED25519], key.as_slice()].concat();
    let id = signed_note::key_id(name, &typed);
    StandardVerifier::new(&format!("{name}+{id:08x}+{}", BASE64.encode(&typed))).ok()
}

/// Verifies cosignature/v1, for which `signed_note` has no verifier: C2SP tlog-cosignature has a time
/// before the signature, and signs it in two lines before the note's text.
struct CosignatureKey {
    key: StandardVerifier,
    id: u32,
}

impl CosignatureKey {
    fn new(name: &str, key: &[u8; 32]) -> Option<Self> {
        let id = signed_note::key_id(name, &[&[COSIGNATURE], key.as_slice()].concat());
        Some(Self { key: note_key(name, key)?, id })
    }
}

impl Verifier for CosignatureKey {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk() else { return false };
        let before = format!("cosignature/v1\ntime {}\n", u64::from_be_bytes(*time));
        self.key.verify(&[before.as_bytes(), text].concat(), signature)
    }
}

/// The keys of a note's signer and of cosigners, by the names they sign under.
fn known(signer: (&str, [u8; 32]), cosigners: &[(String, [u8; 32])]) -> VerifierList {
    let mut keys: Vec<Box<dyn Verifier>> = Vec::new();
    keys.push(Box::new(note_key(signer.0, &signer.1).expect("a key")));
    for (name, key) in cosigners {
        keys.push(Box::new(CosignatureKey::new(name, key).expect("a key")));
    }
    VerifierList::new(keys)
}

/// Whose signatures stand on a note: none when it is no note, and when one by a known key is wrong.
fn signers(note: &[u8], known: &VerifierList) -> Option<Vec<String>> {
    let (verified, _) = Note::from_bytes(note).ok()?.verify(known).ok()?;
    Some(verified.iter().map(|signature| signature.name().to_owned()).collect())
}

/// The tree that a note is about, as C2SP tlog-checkpoint writes it.
#[track_caller]
fn tree_of(note: &str) -> RootHash<Sha256> {
    let lines: Vec<&str> = note.lines().collect();
    let [_, size, root, "", ..] = lines[..] else { panic!("no checkpoint: {note}") };
    let root: [u8; 32] = BASE64.decode(root.as_bytes()).unwrap().try_into().unwrap();
    RootHash::new(root.into(), size.parse().unwrap())
}

/// What a leaf hash is over, after its zero byte.
fn leaf(header: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.array(2).unwrap().bytes(header).unwrap();
    encoder.array(1).unwrap().array(2).unwrap().u8(1).unwrap().bytes(signature).unwrap();
    encoder.into_writer()
}

fn leaf_of(entry: &[u8]) -> Vec<u8> {
    let entry = UnverifiedEntry::decode(entry).unwrap();
    leaf(entry.header_bytes(), &entry.signature().to_bytes())
}

fn bytes_of(proof: &tree::Proof) -> Vec<u8> {
    proof.hashes().iter().flat_map(|hash| hash.0).collect()
}

/// Whether they find `leaf` there.
fn includes(root: &RootHash<Sha256>, leaf: &[u8], index: u64, proof: Vec<u8>) -> bool {
    let proof = InclusionProof::try_from_bytes(proof);
    proof.is_ok_and(|proof| root.verify_inclusion(&leaf, index, &proof).is_ok())
}

/// Whether they take `new` for what became of `old`.
fn continues(new: &RootHash<Sha256>, old: &RootHash<Sha256>, proof: Vec<u8>) -> bool {
    let proof = ConsistencyProof::try_from_bytes(proof);
    proof.is_ok_and(|proof| new.verify_consistency(old, &proof).is_ok())
}

/// The same with a bit of each byte changed, one after the other.
fn altered(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).map(|at| {
        let mut altered = bytes.to_vec();
        altered[at] ^= 1 << (at % 8);
        altered
    })
}

/// A log that people left, as their relay exports it.
struct Left {
    relay: [u8; 32],
    export: VerifiedExport,
    entries: Vec<Vec<u8>>,
}

impl Left {
    /// Exports the only log of a relay, which goes on afterwards.
    fn at(relay: &mut Relay) -> Self {
        relay.stop();
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().to_str().unwrap();
        let ran = relay.run(&["export", "--all", "--out", out, "--json"]).exits(0).json();
        let file = fs::read(ran[0]["file"].as_str().unwrap()).unwrap();
        relay.restart();
        let mut reader = PartReader::default();
        reader.push(&file);
        let (mut export, mut entries) = (UnverifiedExport::default(), Vec::new());
        while let Some(part) = reader.next_part().unwrap() {
            if let Part::Entry(entry) = &part {
                entries.push(entry.clone());
            }
            export.take(part).unwrap();
        }
        let address: RelayAddress = relay.address().parse().unwrap();
        Self { relay: address.key().0, export: export.finish().unwrap(), entries }
    }

    fn note(&self) -> &str {
        self.export.note().text()
    }

    fn origin(&self) -> String {
        format!("sealpost/1/{}/1", self.export.committee())
    }

    /// Who cosigned, with their keys.
    fn cosigners(&self) -> Vec<(String, [u8; 32])> {
        let roster = self.export.fold().roster();
        let cosigner = |device| {
            let key = roster.signing_key(device).unwrap().to_bytes();
            (format!("{}/d/{device}", self.origin()), key)
        };
        self.export.cosignatures().iter().map(|line| cosigner(line.device)).collect()
    }

    /// Their tree over these entries, and its head at every size from 1 on.
    fn tree(&self) -> (MemoryBackedTree<Sha256, Vec<u8>>, Vec<RootHash<Sha256>>) {
        let mut tree = MemoryBackedTree::new();
        let heads = self.entries.iter().map(|entry| {
            tree.push(leaf_of(entry));
            tree.root()
        });
        let heads = heads.collect();
        (tree, heads)
    }
}

/// Two people in two countries write, and vouch for what both have.
fn lived(scene: &Scene) {
    for (home, text) in [(&scene.isla, "the first visit"), (&scene.baran, "and what came of it")] {
        home.record_new("note", &scene.committee, &json!({ "text": text }));
    }
    scene.isla.sync();
    scene.baran.sync();
}

#[test]
fn others_verify_a_note_and_its_cosignatures() {
    let mut scene = Scene::new(&programs());
    lived(&scene);
    let left = Left::at(&mut scene.relay);
    let (origin, head) = (left.origin(), tree_of(left.note()));
    let text = format!("{origin}\n{}\n{}\n", head.num_leaves(), BASE64.encode(head.as_bytes()));
    assert_eq!(Note::from_bytes(left.note().as_bytes()).unwrap().text(), text.as_bytes());

    // A cosigned checkpoint: the lines of those who vouch for it below the relay's.
    let cosigners = left.cosigners();
    let known = known((&origin, left.relay), &cosigners);
    let lines = left.export.cosignatures().iter().map(|line| line.cosignature.as_str());
    let cosigned = [left.note(), &lines.collect::<String>()].concat();
    let mut all = vec![origin.clone()];
    all.extend(cosigners.iter().map(|(name, _)| name.clone()));
    assert_eq!(all.len(), 3, "the relay, and both people: {cosigned}");
    assert_eq!(signers(left.note().as_bytes(), &known), Some(vec![origin]));
    assert_eq!(signers(cosigned.as_bytes(), &known), Some(all.clone()));

    for altered in altered(cosigned.as_bytes()) {
        let shown = String::from_utf8_lossy(&altered);
        assert_ne!(signers(&altered, &known), Some(all.clone()), "{shown}");
    }
}

#[test]
fn others_find_every_entry_and_every_earlier_log_in_ours() {
    let mut scene = Scene::new(&programs());
    lived(&scene);
    let earlier = Left::at(&mut scene.relay);
    lived(&scene);
    let left = Left::at(&mut scene.relay);
    let (tree, heads) = left.tree();
    assert!(tree_of(left.note()) == tree.root(), "their tree over our entries is the relay's");
    let before = earlier.entries.len();
    assert!(tree_of(earlier.note()) == heads[before - 1], "and so it was before");

    let mut frontier = Frontier::new();
    let nodes: Vec<Hash> = left
        .entries
        .iter()
        .flat_map(|entry| frontier.append(UnverifiedEntry::decode(entry).unwrap().leaf()))
        .collect();
    for (size, head) in (1..).zip(&heads) {
        for index in 0..size {
            let proof = tree::inclusion_proof(LeafIndex(index), TreeSize(size), nodes.as_slice());
            let proof = bytes_of(&proof.unwrap());
            let leaf = leaf_of(&left.entries[usize::try_from(index).unwrap()]);
            assert!(includes(head, &leaf, index, proof.clone()), "{index} of {size}");
            assert!(!includes(head, &leaf, index ^ 1, proof.clone()), "{index} of {size}");
            for altered in altered(&proof) {
                assert!(!includes(head, &leaf, index, altered), "{index} of {size}");
            }
            if head == heads.last().unwrap() {
                let theirs = tree.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(theirs.as_bytes(), proof);
                for altered in altered(&leaf) {
                    assert!(!includes(head, &altered, index, proof.clone()), "entry {index}");
                }
            }
        }
        for (old_size, old) in (1..=size).zip(&heads) {
            let sizes = (TreeSize(old_size), TreeSize(size));
            let proof = tree::consistency_proof(sizes.0, sizes.1, nodes.as_slice());
            let proof = bytes_of(&proof.unwrap());
            assert!(continues(head, old, proof.clone()), "{old_size} to {size}");
            for altered in altered(&proof) {
                assert!(!continues(head, old, altered), "{old_size} to {size}");
            }
            for altered in altered(old.as_bytes()) {
                let altered: [u8; 32] = altered.try_into().unwrap();
                let rewritten = RootHash::new(altered.into(), old_size);
                assert!(!continues(head, &rewritten, proof.clone()), "{old_size} to {size}");
            }
        }
    }
}

#[test]
fn others_verify_a_receipt() {
    let scene = Scene::new(&programs());
    let mut mira = Rogue::ask(&scene.isla.invite(&scene.committee), "mira");
    scene.isla.sync();
    let _ = scene.isla.admit(mira.among(&scene.isla.asking())).exits(0);
    mira.follow();
    let binding = mira.binding();
    let created = "2026-03-11T12:00:00.000Z";
    let fields = json!({ "kind": "note", "schema": 1, "created": created, "text": "seen" });
    let fields = fields.as_object().unwrap().clone();
    let (payload, content) = mira.sealed(fields, "01M886ZTD9EZMS7DBMPAWYKHGB", &binding);
    let mut header = mira.header(Kind::Record);
    header.content = content;
    let entry = mira.signed(header, payload);
    let push = PushRequest { committee: binding.committee, entries: vec![entry.clone().into()] };
    let manner = Manner::of(mira.device.login_key());
    let peer = Peer::connect(scene.relay.address(), &manner).unwrap();
    let answer = replies(&peer.ask(&Request::Push(push)));
    let [Reply::Pushed(Pushed { results, checkpoint })] = answer.as_slice() else {
        panic!("{answer:?}");
    };
    let [PushResult::Accepted(accepted)] = results.as_slice() else { panic!("{results:?}") };

    let address: RelayAddress = scene.relay.address().parse().unwrap();
    let origin = format!("sealpost/1/{}/1", binding.committee);
    let known = known((&origin, address.key().0), &[]);
    assert_eq!(signers(checkpoint.as_bytes(), &known), Some(vec![origin]));
    let (head, proof) = (tree_of(checkpoint), bytes_of(&accepted.proof));
    let (leaf, index) = (leaf_of(&entry), accepted.index.0);
    assert!(includes(&head, &leaf, index, proof.clone()));
    for altered in altered(&proof) {
        assert!(!includes(&head, &leaf, index, altered));
    }
}

/// A device's signing key, out of the keys of its card.
fn signing_key(keys: &[u8]) -> [u8; 32] {
    let mut decoder = Decoder::new(keys);
    assert_eq!(decoder.array().unwrap(), Some(3));
    assert_eq!((decoder.array().unwrap(), decoder.u8().unwrap()), (Some(2), 1));
    decoder.bytes().unwrap().try_into().unwrap()
}

#[test]
fn others_verify_what_a_proof_shows_of_the_log() {
    let scene = Scene::new(&programs());
    let Scene { isla, baran, committee, .. } = &scene;
    lived(&scene);
    let record = isla.record_new("note", committee, &json!({ "text": "refused at the gate" }));
    baran.sync();
    let _ = isla.run(&["committee", "audit", committee]).exits(0);
    let dir = isla.disk().join("shown");
    let out = dir.to_str().unwrap();
    let make = ["proof", "make", &record.reference, "--out", out, "--yes"];
    assert_eq!(isla.run(&make).exits(0).json()["cosigners"], 2);

    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let note = String::from_utf8(read("note.txt")).unwrap();
    let cosignatures = String::from_utf8(read("cosignatures.txt")).unwrap();
    let origin = note.lines().next().unwrap().to_owned();
    let cosigner = |line: &str| {
        let name = line.split(' ').nth(1).unwrap();
        let (_, device) = name.rsplit_once('/').unwrap();
        (name.to_owned(), signing_key(&read(&format!("devices/{device}.keys"))))
    };
    let cosigners: Vec<_> = cosignatures.lines().map(cosigner).collect();
    let address: RelayAddress = scene.relay.address().parse().unwrap();
    let known = known((&origin, address.key().0), &cosigners);
    let mut all = vec![origin.clone()];
    all.extend(cosigners.iter().map(|(name, _)| name.clone()));
    assert_eq!(signers(&[&note[..], &cosignatures].concat().into_bytes(), &known), Some(all));

    let head = tree_of(&note);
    let mut folders = vec![dir.join("record")];
    folders.extend(fs::read_dir(dir.join("roster")).unwrap().map(|entry| entry.unwrap().path()));
    assert!(folders.len() > 2, "the record, the founding and an admission: {folders:?}");
    for folder in folders {
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let leaf = leaf(&read("header.cbor"), &read("signature.bin"));
        let Inclusion { index, size, proof } = Inclusion::parse(&read("inclusion.txt")).unwrap();
        assert_eq!(size.0, head.num_leaves());
        assert!(includes(&head, &leaf, index.0, bytes_of(&proof)), "{}", folder.display());
        for altered in altered(&leaf) {
            assert!(!includes(&head, &altered, index.0, bytes_of(&proof)), "{}", folder.display());
        }
    }
}

/// A vector of `protocol/testdata`.
struct Vector {
    name: String,
    header: String,
    body: Vec<u8>,
}

impl Vector {
    fn all(format: &str) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let paths = fs::read_dir(root.join("protocol/testdata").join(format)).unwrap();
        let vector = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
            let header = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            Self { name, header, body: bytes[end + 2..].to_vec() }
        };
        paths.map(|entry| vector(&entry.unwrap().path())).collect()
    }

    #[track_caller]
    fn field(&self, name: &str) -> &str {
        let field =
            self.header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        field.unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap()
    }

    fn hash(&self, name: &str) -> [u8; 32] {
        HEXLOWER.decode(self.field(name).as_bytes()).unwrap().try_into().unwrap()
    }

    fn head(&self, size: &str, root: &str) -> RootHash<Sha256> {
        RootHash::new(self.hash(root).into(), self.number(size))
    }

    /// A body of hashes.
    fn hashes(&self) -> Vec<u8> {
        let hex: Vec<u8> =
            self.body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        HEXLOWER.decode(&hex).unwrap()
    }
}

/// The vectors that they judge otherwise than these say: which they take, and which they refuse.
fn otherwise(format: &str, accepts: impl Fn(&Vector) -> bool) -> [Vec<String>; 2] {
    let mut vectors = Vector::all(format);
    vectors.sort_by(|one, other| one.name.cmp(&other.name));
    let of = |taken: bool| {
        let differs = |vector: &&Vector| {
            (vector.field("expect") == "success") != taken && accepts(vector) == taken
        };
        vectors.iter().filter(differs).map(|vector| vector.name.clone()).collect()
    };
    [of(true), of(false)]
}

#[test]
fn others_judge_our_vectors_as_these_say() {
    let none: &[&str] = &[];
    let note = |vector: &Vector| {
        let name = vector.field("origin");
        let Some(key) = note_key(name, &vector.hash("key")) else { return false };
        let known = VerifierList::new(vec![Box::new(key)]);
        signers(&vector.body, &known) == Some(vec![name.to_owned()])
    };
    // They do not read the text that is signed. C2SP lets a checkpoint have more lines and a note more
    // signatures, and RFC 8032 a key be of small order.
    let taken = [
        "extension_line",
        "root_hex",
        "root_long",
        "root_short",
        "root_trailing_bits",
        "root_unpadded",
        "root_url_alphabet",
        "signature_small_order",
        "size_hex",
        "size_leading_zero",
        "size_minus",
        "size_plus",
        "size_space",
        "size_too_large",
        "size_two_zeros",
        "two_lines",
        "two_signatures",
    ];
    assert_eq!(otherwise("checkpoint", note), [taken.as_slice(), none]);

    let cosignature = |vector: &Vector| {
        let (origin, root) = (vector.field("origin"), BASE64.encode(&vector.hash("root")));
        let line = String::from_utf8_lossy(&vector.body).into_owned();
        let name = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let Some(key) = CosignatureKey::new(&name, &vector.hash("key")) else { return false };
        let known = VerifierList::new(vec![Box::new(key)]);
        let text = format!("{origin}\n{}\n{root}\n\n", vector.field("size"));
        let note = [text.as_bytes(), &vector.body].concat();
        signers(&note, &known) == Some(vec![name])
    };
    // To C2SP a cosigner's name is any, its time need be no full hour, and others may stand beside it.
    let taken = [
        "mirror_named_for_another",
        "name_bare",
        "name_device_short",
        "name_device_upper_case",
        "name_mirror_upper_case",
        "name_of_witness",
        "name_term_zero",
        "name_without_cosigner",
        "time_not_rounded",
        "time_too_large",
        "two_lines",
    ];
    assert_eq!(otherwise("cosignature", cosignature), [taken.as_slice(), none]);

    // Leaves of the Certificate Transparency project's tree.
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"];
    let leaves = leaves.map(|leaf| HEXLOWER.decode(leaf.as_bytes()).unwrap());
    let inclusion = |vector: &Vector| {
        let hash = Hash(vector.hash("leaf"));
        // They take leaves, not hashes of leaves: an inner node cannot be passed off as one.
        let leaf = leaves.iter().find(|leaf| tree::leaf_hash(&[leaf.as_slice()]) == hash);
        let head = vector.head("size", "root");
        leaf.is_some_and(|leaf| includes(&head, leaf, vector.number("index"), vector.hashes()))
    };
    assert_eq!(otherwise("inclusion", inclusion), [none, none]);

    let consistency = |vector: &Vector| {
        let (old, new) = (vector.head("old", "old-root"), vector.head("new", "new-root"));
        continues(&new, &old, vector.hashes())
    };
    // RFC 6962 has no proof from the empty tree. C2SP and we have one, without hashes.
    assert_eq!(otherwise("consistency", consistency), [none, &["from_empty"]]);
}
