use sealpost_protocol::change::Role;
use sealpost_protocol::checkpoint::Checkpoint;
use sealpost_protocol::entry::{Blob, Entry};
use sealpost_protocol::forget::Forget;
use sealpost_protocol::id::AuthorSeq;
use sealpost_protocol::sign::SigningKey;
use sealpost_protocol::world::{TestDevice, World, record_file};

use super::*;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[90; 32])
}

/// A log of four entries.
fn world() -> World {
    let (founder, member) = (TestDevice::new(1), TestDevice::new(2));
    let mut world = World::found(&founder);
    world.admit(&founder, &member, Role::Member).unwrap();
    world.record(&member).unwrap();
    world.record(&founder).unwrap();
    world
}

fn stored(bytes: &[u8]) -> StoredEntry {
    let entry = UnverifiedEntry::decode(bytes).unwrap();
    let header = entry.header();
    StoredEntry {
        leaf_hash: entry.leaf(),
        author: header.author,
        author_seq: header.author_seq,
        blobs: header.blobs.clone(),
        bytes: bytes.to_vec().into(),
        dropped: false,
    }
}

/// What is found in the log, by leaf index.
fn examine(committee: CommitteeId, log: &[StoredEntry]) -> (Examiner, Vec<(u64, String)>) {
    let mut examiner = Examiner::new(Some(key().verifying_key()));
    let found = (0..)
        .zip(log)
        .filter_map(|(index, entry)| {
            Some((index, examiner.entry(committee, LeafIndex(index), entry)?))
        })
        .collect();
    (examiner, found)
}

#[test]
fn a_sound_log_is_sound() {
    let world = world();
    let log: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
    let (examiner, found) = examine(world.committee.id(), &log);
    assert_eq!(found, []);
    assert_eq!((examiner.entries(), examiner.logs()), (4, 1));
}

#[test]
fn a_forged_missing_or_foreign_entry_is_found_once_and_what_follows_is_not_believed() {
    let world = world();
    let id = world.committee.id();
    let sound: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
    let other = World::found(&TestDevice::new(9));
    type Spoil = fn(&mut Vec<StoredEntry>, &World);
    let spoil: [(u64, Spoil); 6] = [
        (2, |log, _| drop(log.remove(2))),
        (1, |log, _| log.swap(1, 2)),
        (2, |log, _| log[2].author_seq = AuthorSeq(7)),
        (3, |log, _| log[3].leaf_hash = Hash::ZERO),
        (2, |log, other| log[2] = stored(&other.log[0])),
        (0, |log, other| log[0] = stored(&other.log[0])),
    ];
    for (at, spoil) in spoil {
        let mut log = sound.clone();
        spoil(&mut log, &other);
        let (examiner, found) = examine(id, &log);
        let places: Vec<u64> = found.iter().map(|(index, _)| *index).collect();
        assert_eq!(places, [at], "{found:?}");
        assert_eq!(examiner.entries(), at);
    }
}

/// What is not there must have been forgotten.
#[test]
fn a_payload_is_missed_unless_it_was_forgotten() {
    let mut world = world();
    let id = world.committee.id();
    let dropped = |bytes: &[u8]| {
        let entry = UnverifiedEntry::decode(bytes).unwrap();
        StoredEntry { bytes: entry.with_payload_dropped().encode().into(), ..stored(bytes) }
    };
    let mut log: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
    log[2] = dropped(&world.log[2]);
    let (mut examiner, found) = examine(id, &log);
    assert_eq!(found, [], "that is known at the end");
    let lacking = BTreeSet::from([LeafIndex(2)]);
    let missed = Forgetting { lacking: lacking.clone(), ..Forgetting::default() };
    assert_eq!(examiner.forgetting(id), Some(missed));
    let forget = Forget { index: LeafIndex(2), leaf: log[2].leaf_hash };
    world.forget(&TestDevice::new(2), forget).unwrap();
    log.push(stored(&world.log[4]));
    let (mut examiner, found) = examine(id, &log);
    assert_eq!(found, []);
    let forgotten = Forgetting { forgotten: lacking, lacking: BTreeSet::new() };
    assert_eq!(examiner.forgetting(id), Some(forgotten));
    assert_eq!(examiner.forgetting(CommitteeId(Hash::ZERO)), None);
}

/// Else a blob would be collected that the entry names, or kept that none does.
#[test]
fn an_entry_whose_head_names_other_blobs_is_found() {
    let mut world = world();
    let author = TestDevice::new(2);
    let blob = |number| Blob { sha256: Hash([number; 32]), size: 9 };
    let mut header = world.record_header(&author);
    header.blobs = vec![blob(1), blob(2)];
    world.push(&Entry::sign(header, record_file(), &author.signing)).unwrap();
    let sound: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
    assert_eq!(examine(world.committee.id(), &sound).1, []);
    let larger = Blob { size: 10, ..blob(2) };
    for blobs in [vec![], vec![blob(1)], vec![blob(2), blob(1)], vec![blob(1), larger]] {
        let mut log = sound.clone();
        log[4].blobs = blobs;
        let (_, found) = examine(world.committee.id(), &log);
        assert!(matches!(&found[..], [(4, what)] if what.contains("blobs")), "{found:?}");
    }
}

/// The leaf hash covers the signature, so this is no flip: somebody signed with another key.
#[test]
fn an_entry_that_its_author_did_not_sign_is_found() {
    let world = world();
    let author = TestDevice::new(2);
    let header = world.record_header(&author);
    let file = record_file();
    let sign = |key: &SigningKey| Entry::sign(header.clone(), file.clone(), key).encode();
    for (key, found) in [(&author.signing, 0), (&TestDevice::new(1).signing, 1)] {
        let mut log: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
        log.push(stored(&sign(key)));
        assert_eq!(examine(world.committee.id(), &log).1.len(), found);
    }
}

#[test]
fn a_flip_of_any_byte_of_an_entry_is_found() {
    let world = world();
    let sound: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
    let len = sound[2].bytes.len();
    for byte in 0..len {
        let mut log = sound.clone();
        let mut bytes = log[2].bytes.to_vec();
        bytes[byte] ^= 1;
        log[2].bytes = bytes.into();
        let (_, found) = examine(world.committee.id(), &log);
        assert_eq!(found.len(), 1, "byte {byte}: {found:?}");
        assert_eq!(found[0].0, 2, "byte {byte}: {found:?}");
    }
}

#[test]
fn a_checkpoint_must_be_over_this_log_by_this_relay() {
    let world = world();
    let id = world.committee.id();
    let log: Vec<StoredEntry> = world.log.iter().map(|bytes| stored(bytes)).collect();
    let (mut examiner, _) = examine(id, &log);
    let (size, root) = (world.committee.size(), world.committee.root());
    let origin = Origin { committee: id, term: world.committee.term() };
    let sign = |size, root, key: &SigningKey| {
        Checkpoint { origin, size, root }.sign(key).text().to_owned()
    };
    let sound = sign(size, root, &key());
    assert_eq!(examiner.checkpoint(id, size, &sound), None);
    for (what, size, note) in [
        ("another root", size, sign(size, Hash::ZERO, &key())),
        ("another size than recorded", TreeSize(3), sound.clone()),
        ("another relay's", size, sign(size, root, &SigningKey::from_bytes(&[91; 32]))),
        ("no note", size, "note".to_owned()),
    ] {
        assert!(examiner.checkpoint(id, size, &note).is_some(), "{what}");
    }
}
