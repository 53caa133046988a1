use sealpost_protocol::entry::Entry;
use sealpost_protocol::world::{TestDevice, World, record_file};

use super::super::super::disk::faulty::{Failure, FaultyDisk, Kind};
use super::super::super::frame::{FrameWriter, decode_entry};
use super::super::super::{StoredEntry, frame};
use super::super::segment::Segments;
use super::super::{FramePlace, Mark, Sizes, scan};
use super::*;

const SIZES: Sizes = Sizes { segment_bytes: 16 * 1024, reserve_bytes: 0 };

fn committee(seed: u8) -> CommitteeId {
    CommitteeId(sealpost_protocol::hash::Hash([seed; 32]))
}

/// A record whose payload nothing else holds.
fn record(seed: u8) -> StoredEntry {
    let device = TestDevice::new(seed);
    let world = World::found(&device);
    let payload = [record_file(), vec![seed; 300]].concat();
    let entry = Entry::sign(world.record_header(&device), payload, &device.signing);
    let header = entry.header();
    StoredEntry {
        leaf_hash: entry.leaf(),
        author: header.author,
        author_seq: header.author_seq,
        blobs: header.blobs.clone(),
        bytes: entry.encode().into(),
        dropped: false,
    }
}

fn payload(seed: u8) -> Vec<u8> {
    vec![seed; 300]
}

fn holds(bytes: &[u8], seed: u8) -> bool {
    bytes.windows(300).any(|window| window == payload(seed))
}

/// A journal of records one to four, two a frame.
fn journal(disk: &FaultyDisk) -> Journal {
    let segments = Arc::new(Segments::new(Arc::new(disk.clone()), "/".into()));
    Journal::create(&segments, SIZES).unwrap();
    let end = scan(&segments, None, 0, &mut |_, _| Ok(())).unwrap();
    let mut journal = Journal::open(segments, SIZES, end).unwrap();
    for first in [1, 3] {
        let mut frame = FrameWriter::new(Vec::new());
        let place = LeafIndex(u64::from(first - 1));
        frame.append(committee(9), place, &[record(first), record(first + 1)]);
        journal.append(frame).unwrap();
    }
    journal
}

fn goes(places: &[u64]) -> BTreeSet<(CommitteeId, LeafIndex)> {
    places.iter().map(|place| (committee(9), LeafIndex(*place))).collect()
}

/// Every entry as it is given.
fn entries(disk: &FaultyDisk) -> Vec<(bool, bytes::Bytes)> {
    let segments = Segments::new(Arc::new(disk.clone()), "/".into());
    let segment = segments.open(1).unwrap();
    let mut found = Vec::new();
    segment
        .walk(HEADER_BYTES, &mut 0, &mut |_, bytes, batch| {
            for item in &batch.items {
                let frame::Item::Append(appended) = item else { continue };
                for (entry, index) in appended.entries.iter().zip(appended.first.0..) {
                    let at = entry.offset as usize..(entry.offset + entry.len) as usize;
                    let stands = bytes.slice(at);
                    let decoded = decode_entry(&stands, committee(9), LeafIndex(index));
                    let (head, len) = decoded.expect("its own checksum fits");
                    assert_eq!(len, entry.len as usize);
                    assert_eq!(head.dropped, entry.dropped);
                    assert_eq!(stands.slice(head.entry), entry.bytes(bytes));
                    found.push((entry.dropped, entry.bytes(bytes)));
                }
            }
            Ok(())
        })
        .unwrap();
    found
}

#[test]
fn a_dropped_payload_is_gone_and_all_else_stands_where_it_stood() {
    let disk = FaultyDisk::new();
    let mut journal = journal(&disk);
    let before = disk.contents(Path::new("/00000001")).unwrap();
    journal.drop_payloads(1, &goes(&[1, 2])).unwrap();
    let after = disk.contents(Path::new("/00000001")).unwrap();
    assert_eq!(after.len(), before.len());
    for (seed, is_there) in [(1, true), (2, false), (3, false), (4, true)] {
        assert_eq!(holds(&after, seed), is_there, "{seed}");
        assert!(holds(&before, seed), "a control");
    }
    let found = entries(&disk);
    for (seed, (dropped, bytes)) in (1..).zip(&found) {
        let whole = record(seed).bytes;
        let expected = match seed {
            2 | 3 => frame::without_payload(&whole).unwrap().into(),
            _ => whole,
        };
        assert_eq!((*dropped, bytes), (matches!(seed, 2 | 3), &expected), "{seed}");
    }
    // The journal goes on in it.
    let mut frame = FrameWriter::new(Vec::new());
    frame.append(committee(9), LeafIndex(4), &[record(5)]);
    journal.append(frame).unwrap();
    assert_eq!(entries(&disk).len(), 5);
    journal.drop_payloads(1, &goes(&[4])).unwrap();
    assert!(!holds(&disk.contents(Path::new("/00000001")).unwrap(), 5));
}

/// Else an index that was not flushed yet would be made anew after every kill.
#[test]
fn a_frame_that_the_index_goes_up_to_is_known_again_when_something_was_dropped_from_it() {
    let disk = FaultyDisk::new();
    let mut journal = journal(&disk);
    let mut marks = Vec::new();
    scan(&journal.segments, None, 0, &mut |place, batch| {
        marks.push(Mark { place, sequence: batch.sequence });
        Ok(())
    })
    .unwrap();
    journal.drop_payloads(1, &goes(&[1])).unwrap();
    for mark in &marks {
        assert!(journal.segments.holds(mark).unwrap());
    }
    let FramePlace { crc, .. } = marks[1].place;
    let other = FramePlace { crc: crc ^ 1, ..marks[1].place };
    let other = Mark { place: other, ..marks[1] };
    assert!(!journal.segments.holds(&other).unwrap(), "nothing was dropped from that one");
    let mut frame = FrameWriter::new(Vec::new());
    frame.append(committee(9), LeafIndex(4), &[record(5)]);
    let (place, batch, _) = journal.append(frame).unwrap();
    journal.drop_payloads(1, &goes(&[4])).unwrap();
    let sequence = batch.sequence + 1;
    assert!(!journal.segments.holds(&Mark { place, sequence }).unwrap(), "another frame");
}

#[test]
fn without_room_for_a_copy_nothing_is_touched_and_it_may_be_tried_again() {
    let disk = FaultyDisk::new();
    let mut journal = journal(&disk);
    let before = disk.contents(Path::new("/00000001"));
    disk.set_free_bytes(SIZES.segment_bytes - 1);
    let refused = journal.drop_payloads(1, &goes(&[1]));
    assert!(matches!(refused, Err(DropError::Later(StoreError::StoreFull))), "{refused:?}");
    assert_eq!(disk.contents(Path::new("/00000001")), before);
    assert_eq!(disk.contents(&Path::new("/").join(COPY)), None);
    disk.set_free_bytes(u64::MAX);
    journal.drop_payloads(1, &goes(&[1])).unwrap();
}

/// Which of two whole segments the power will leave is of no account, unless more is written to one.
#[test]
fn a_name_that_may_not_be_durable_ends_the_writing_of_that_segment_alone() {
    for (more, is_current) in [(false, true), (true, false)] {
        let disk = FaultyDisk::new();
        let mut journal = journal(&disk);
        if more {
            let mut frame = FrameWriter::new(Vec::new());
            let large = StoredEntry { bytes: vec![0; 15_000].into(), ..record(5) };
            frame.append(committee(9), LeafIndex(4), &[large]);
            assert_eq!(journal.append(frame).unwrap().0.segment, 2);
        }
        disk.fail_next(Kind::SyncFolder, Failure::Lost(io::ErrorKind::Other));
        let failed = journal.drop_payloads(1, &goes(&[1]));
        match failed {
            Err(DropError::Unknown(_)) => assert!(is_current),
            Err(DropError::Later(_)) => assert!(!is_current),
            Ok(_) => panic!("it may not be durable"),
        }
        for seed in 0..20 {
            let left = disk.copy().power_cut(seed);
            assert_eq!(entries(&left).len(), 4, "seed {seed}");
        }
        if !is_current {
            // That the folder syncs now says nothing of what it lost: the name is made anew.
            let renames = disk.count(Kind::Rename);
            journal.drop_payloads(1, &goes(&[])).unwrap();
            assert_eq!(disk.count(Kind::Rename), renames + 1);
            journal.drop_payloads(1, &goes(&[])).unwrap();
            assert_eq!(disk.count(Kind::Rename), renames + 1, "once is enough");
            for seed in 0..20 {
                let left = disk.copy().power_cut(seed);
                assert!(entries(&left)[1].0, "seed {seed}");
            }
        }
    }
}

/// What is not found is not said to be dropped; what cannot be read is evidence, and stays.
#[test]
fn a_place_that_is_not_in_the_segment_or_is_damaged_is_not_dropped() {
    let disk = FaultyDisk::new();
    let mut journal = journal(&disk);
    let path = Path::new("/00000001");
    let contents = || disk.contents(path).unwrap();
    assert_eq!(journal.drop_payloads(1, &goes(&[1, 7])).unwrap(), goes(&[7]));
    assert!(holds(&contents(), 1) && !holds(&contents(), 2));
    disk.tamper(path, |bytes| bytes[100] ^= 1);
    let before = contents();
    assert_eq!(journal.drop_payloads(1, &goes(&[0])).unwrap(), goes(&[0]));
    assert_eq!(contents(), before);
}

/// Nor does it keep what stands behind it, or have the segment copied for nothing.
#[test]
fn what_stands_behind_damage_is_dropped_all_the_same() {
    let disk = FaultyDisk::new();
    let mut journal = journal(&disk);
    let path = Path::new("/00000001");
    disk.tamper(path, |bytes| bytes[100] ^= 1);
    let before = disk.contents(path).unwrap();
    let mut copies = disk.count(Kind::Create);
    for (places, gone) in [(&[0, 1, 2][..], vec![3]), (&[0, 1], vec![3]), (&[1, 3], vec![3, 4])] {
        let left = journal.drop_payloads(1, &goes(places)).unwrap();
        assert_eq!(left, goes(places).intersection(&goes(&[0, 1])).copied().collect());
        let after = disk.contents(path).unwrap();
        for seed in 1..=4 {
            assert_eq!(holds(&after, seed), !gone.contains(&seed), "{seed} of {places:?}");
        }
        copies += usize::from(places.iter().any(|place| *place > 1));
        assert_eq!(disk.count(Kind::Create), copies, "{places:?}");
        let damaged = 44..500;
        assert_eq!(after[damaged.clone()], before[damaged], "what is damaged is as it was");
    }
    // The journal goes on in it.
    let mut frame = FrameWriter::new(Vec::new());
    frame.append(committee(9), LeafIndex(4), &[record(5)]);
    journal.append(frame).unwrap();
    assert!(journal.drop_payloads(1, &goes(&[4])).unwrap().is_empty());
    assert_eq!(journal.copies(), 3);
    assert!(!holds(&disk.contents(path).unwrap(), 5));
}

#[test]
fn a_copy_that_was_left_over_is_removed_at_the_next_start() {
    let disk = FaultyDisk::new();
    drop(journal(&disk));
    let copy = Path::new("/").join(COPY);
    disk.create(&copy).unwrap().write_all_at(b"half a segment", 0).unwrap();
    let segments = Arc::new(Segments::new(Arc::new(disk.clone()), "/".into()));
    let end = scan(&segments, None, 0, &mut |_, _| Ok(())).unwrap();
    drop(Journal::open(segments, SIZES, end).unwrap());
    assert_eq!(disk.contents(&copy), None);
}
