use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MARK: u64 = 0x0102_0304_0506_0708;

fn committee(seed: u8) -> CommitteeId {
    CommitteeId(Hash([seed; 32]))
}

fn entry(seed: u8, seq: u64, bytes: Vec<u8>) -> StoredEntry {
    StoredEntry {
        leaf_hash: Hash([seed ^ 0x55; 32]),
        author: DeviceId(Hash([seed; 32])),
        author_seq: AuthorSeq(seq),
        blobs: Vec::new(),
        bytes: bytes.into(),
        dropped: false,
    }
}

/// An entry that names so many blobs.
fn named(seed: u8, seq: u64, bytes: Vec<u8>, blobs: u8) -> StoredEntry {
    let blob = |number| Blob { sha256: Hash([number; 32]), size: u64::from(number) << 33 };
    StoredEntry { blobs: (1..=blobs).map(blob).collect(), ..entry(seed, seq, bytes) }
}

fn change(key: Vec<u8>, value: Option<Vec<u8>>) -> NoteChange {
    NoteChange { key, value: value.map(Bytes::from) }
}

/// Two entries and two notes.
fn sample() -> (Bytes, Batch) {
    let mut writer = FrameWriter::new(Vec::new());
    let entries =
        [entry(1, 0, b"one".to_vec()), entry(2, 7, Vec::new()), named(3, 9, b"two".to_vec(), 2)];
    writer.append(committee(9), LeafIndex(4), &entries);
    writer.notes(vec![
        change(b"key".to_vec(), Some(b"value".to_vec())),
        change(b"gone".to_vec(), None),
    ]);
    writer.forget(committee(9), &[LeafIndex(0), LeafIndex(2)]);
    let (bytes, batch) = writer.finish(MARK, 3);
    (Bytes::from(bytes), batch)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        entries in vec((any::<u8>(), any::<u64>(), vec(any::<u8>(), 0..200), 0..=16_u8), 0..5),
        notes in vec((vec(any::<u8>(), 0..20), proptest::option::of(vec(any::<u8>(), 0..50))), 0..5),
        first in 0..u64::MAX - 10,
        sequence: u64,
    ) {
        let entries: Vec<StoredEntry> =
            entries.into_iter().map(|(seed, seq, bytes, blobs)| named(seed, seq, bytes, blobs)).collect();
        let notes: Vec<NoteChange> =
            notes.into_iter().map(|(key, value)| change(key, value)).collect();
        let mut writer = FrameWriter::new(b"a buffer used before".to_vec());
        writer.append(committee(1), LeafIndex(first), &entries);
        writer.notes(notes.clone());
        let forgotten: Vec<LeafIndex> = (0..first % 3).map(LeafIndex).collect();
        writer.forget(committee(1), &forgotten);
        let expected = ITEMS_AT
            + append_len(&entries)
            + notes_len(&notes)
            + forget_len(forgotten.len());
        prop_assert_eq!(writer.len(), expected);
        let (bytes, batch) = writer.finish(MARK, sequence);
        prop_assert_eq!(bytes.len(), expected);
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(decode(&bytes, MARK), Some(batch.clone()));
        let Item::Append(appended) = &batch.items[0] else { panic!("{batch:?}") };
        for (index, (placed, entry)) in (first..).zip(appended.entries.iter().zip(&entries)) {
            let at = placed.offset as usize;
            let (head, len) = decode_entry(&bytes[at..], committee(1), LeafIndex(index)).unwrap();
            prop_assert_eq!(len, placed.len as usize);
            prop_assert_eq!(placed.bytes(&bytes), entry.bytes.clone());
            prop_assert_eq!(&bytes[at..][head.entry], &entry.bytes[..]);
            prop_assert_eq!(head.leaf_hash, entry.leaf_hash);
            prop_assert_eq!((head.author, head.author_seq), (entry.author, entry.author_seq));
            prop_assert_eq!(&head.blobs, &entry.blobs);
            prop_assert_eq!(&placed.blobs, &entry.blobs);
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(decode(&bytes, MARK), None);
        prop_assert!(decode_entry(&bytes, committee(1), LeafIndex(0)).is_none());
    }
}

#[test]
fn a_flip_of_any_bit_is_no_frame() {
    let (whole, batch) = sample();
    assert_eq!(decode(&whole, MARK), Some(batch));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1 << bit;
            assert_eq!(decode(&Bytes::from(bytes), MARK), None, "byte {at} bit {bit}");
        }
    }
    for len in 0..whole.len() {
        assert_eq!(decode(&whole.slice(..len), MARK), None, "{len} bytes");
    }
}

#[test]
fn a_frame_of_another_segment_is_no_frame_of_this_one() {
    let (whole, _) = sample();
    assert_eq!(verify(&whole, MARK), Some(3));
    assert_eq!(verify(&whole, MARK + 1), None);
}

#[test]
fn an_entry_is_read_only_as_what_it_was_written_as() {
    let (whole, batch) = sample();
    let Item::Append(appended) = &batch.items[0] else { panic!("{batch:?}") };
    let at = appended.entries[0].offset as usize;
    assert!(decode_entry(&whole[at..], committee(9), LeafIndex(4)).is_some());
    assert!(decode_entry(&whole[at..], committee(8), LeafIndex(4)).is_none(), "another's");
    assert!(decode_entry(&whole[at..], committee(9), LeafIndex(5)).is_none(), "another place");
}

/// No entry says that it names blobs and then names none.
#[test]
fn an_entry_of_other_flags_is_none() {
    let (whole, batch) = sample();
    let Item::Append(appended) = &batch.items[0] else { panic!("{batch:?}") };
    for entry in &appended.entries {
        for flags in [1, 3, 4, 0x80] {
            let mut bytes = whole[entry.offset as usize..].to_vec();
            bytes[0] = flags;
            assert!(decode_entry(&bytes, committee(9), LeafIndex(4)).is_none(), "flags {flags}");
        }
    }
    let mut none = vec![ENTRY_NAMES_BLOBS];
    none.resize(ENTRY_HEAD_BYTES + BLOB_COUNT_BYTES, 0);
    let crc_at = none.len() - 4;
    let crc = entry_crc(committee(9), LeafIndex(4), &none[..crc_at], b"");
    none[crc_at..].copy_from_slice(&crc.to_be_bytes());
    assert!(decode_entry(&none, committee(9), LeafIndex(4)).is_none());
}

/// A record that decodes, with blobs.
fn record(seed: u8) -> StoredEntry {
    use sealpost_protocol::world::{TestDevice, World, record_file};
    let device = TestDevice::new(seed);
    let mut header = World::found(&device).record_header(&device);
    header.blobs = named(seed, 0, Vec::new(), seed).blobs;
    let entry = sealpost_protocol::entry::Entry::sign(header, record_file(), &device.signing);
    StoredEntry {
        leaf_hash: entry.leaf(),
        blobs: entry.header().blobs.clone(),
        ..self::entry(seed, 0, entry.encode())
    }
}

fn dropped_sample() -> (Bytes, Bytes) {
    let mut writer = FrameWriter::new(Vec::new());
    writer.append(committee(9), LeafIndex(4), &[record(0), record(1), record(2)]);
    let whole = Bytes::from(writer.finish(MARK, 3).0);
    let goes = |of: CommitteeId, index: LeafIndex| of == committee(9) && index.0 != 5;
    let dropped = drop_payloads(&whole, MARK, &goes).unwrap();
    (whole, dropped.into())
}

#[test]
fn a_dropped_payload_leaves_a_frame_in_which_all_stands_where_it_stood() {
    let (whole, dropped) = dropped_sample();
    assert_eq!(whole.len(), dropped.len());
    let (before, after) = (decode(&whole, MARK).unwrap(), decode(&dropped, MARK).unwrap());
    assert!(after.has_dropped() && !before.has_dropped());
    let (Item::Append(before), Item::Append(after)) = (&before.items[0], &after.items[0]) else {
        panic!("one append each")
    };
    for (seed, (was, is)) in (0..).zip(before.entries.iter().zip(&after.entries)) {
        assert_eq!(is.dropped, seed != 1);
        assert_eq!(&PlacedEntry { dropped: false, ..is.clone() }, was);
        let bytes = record(seed).bytes;
        let expected = if is.dropped { without_payload(&bytes).unwrap().into() } else { bytes };
        assert_eq!(is.bytes(&dropped), expected);
    }
    // Again is nothing.
    let again = drop_payloads(&dropped, MARK, &|_, index| index.0 != 5).unwrap();
    assert_eq!(Bytes::from(again), dropped);
    let file = sealpost_protocol::world::record_file();
    let count = |bytes: &[u8]| bytes.windows(file.len()).filter(|some| *some == file).count();
    assert_eq!((count(&whole), count(&dropped)), (3, 1));
}

/// Nothing is hidden behind an entry that says its payload is not there.
#[test]
fn behind_what_is_left_of_a_dropped_entry_stand_zeros() {
    let (_, dropped) = dropped_sample();
    let batch = decode(&dropped, MARK).unwrap();
    let Item::Append(appended) = &batch.items[0] else { panic!("{batch:?}") };
    let entry = &appended.entries[0];
    let mut bytes = dropped[entry.offset as usize..(entry.offset + entry.len) as usize].to_vec();
    assert!(decode_entry(&bytes, committee(9), LeafIndex(4)).is_some());
    let last = bytes.len() - 1;
    bytes[last] = 1;
    let crc_at = ENTRY_HEAD_BYTES - 4;
    let crc = entry_crc(committee(9), LeafIndex(4), &bytes[..crc_at], &bytes[crc_at + 4..]);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
    assert!(decode_entry(&bytes, committee(9), LeafIndex(4)).is_none());
}

#[test]
fn a_flip_of_any_bit_of_a_frame_with_a_dropped_entry_is_no_frame() {
    let (_, dropped) = dropped_sample();
    for at in 0..dropped.len() {
        let mut bytes = dropped.to_vec();
        bytes[at] ^= 1 << (at % 8);
        assert_eq!(decode(&Bytes::from(bytes), MARK), None, "byte {at}");
    }
}

#[test]
fn what_is_no_entry_is_not_dropped() {
    let (whole, _) = sample();
    assert_eq!(drop_payloads(&whole, MARK, &|_, _| true), None);
    assert_eq!(drop_payloads(&whole, MARK + 1, &|_, _| false), None);
    assert_eq!(drop_payloads(&whole, MARK, &|_, _| false), Some(whole.to_vec()));
}

#[test]
fn zeros_end_the_journal_and_garbage_is_bad() {
    assert_eq!(Head::decode(&[0; HEAD_BYTES]).unwrap_err(), NotAFrame::End);
    let (whole, _) = sample();
    let mut head = *whole.first_chunk().unwrap();
    let len = Head::decode(&head).unwrap().frame_len();
    assert_eq!(len, whole.len() as u64);
    head[4] = TYPE_BATCH + 1;
    assert_eq!(Head::decode(&head).unwrap_err(), NotAFrame::Bad);
}

#[test]
fn the_frame_of_the_spec_comes_out() {
    let mut writer = FrameWriter::new(Vec::new());
    let entry = StoredEntry {
        leaf_hash: Hash([0x1e; 32]),
        author: DeviceId(Hash([0xd0; 32])),
        author_seq: AuthorSeq(1),
        blobs: vec![Blob { sha256: Hash([0xb1; 32]), size: 65_788 }],
        bytes: Bytes::from_static(b"entry"),
        dropped: false,
    };
    let plain = StoredEntry { author_seq: AuthorSeq(0), blobs: Vec::new(), ..entry.clone() };
    writer.append(committee(0xc0), LeafIndex(7), &[plain, entry]);
    writer.notes(vec![change(b"k".to_vec(), Some(b"v".to_vec())), change(b"gone".to_vec(), None)]);
    writer.forget(committee(0xc0), &[LeafIndex(3)]);
    let (bytes, _) = writer.finish(0x6d6d_6d6d_6d6d_6d6d, 2);
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    let example = "\
        0000015801e4090d0f6d6d6d6d6d6d6d6d0000000000000002\
        01c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0\
        000000000000000700000002\
        00d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0\
        0000000000000000\
        1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e\
        0000000580b8aa71656e747279\
        02d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0\
        0000000000000001\
        1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e\
        0000000501\
        b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1\
        00000000000100fc2def4735656e747279\
        0200000002010001000000016b7602000400000000676f6e65\
        03c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0\
        000000010000000000000003";
    assert_eq!(hex, example);
}

#[test]
fn the_dropped_entry_of_the_spec_comes_out() {
    let mut writer = FrameWriter::new(Vec::new());
    let entry = StoredEntry {
        leaf_hash: Hash([0x1e; 32]),
        author: DeviceId(Hash([0xd0; 32])),
        author_seq: AuthorSeq(0),
        blobs: Vec::new(),
        bytes: Bytes::from_static(b"an older entry"),
        dropped: false,
    };
    writer.append(committee(0xc0), LeafIndex(3), &[entry]);
    let (mut bytes, batch) = writer.finish(MARK, 1);
    let Item::Append(appended) = &batch.items[0] else { panic!("{batch:?}") };
    let placed = &appended.entries[0];
    leave(&mut bytes, committee(0xc0), LeafIndex(3), placed, b"old").unwrap();
    let stands = &bytes[placed.offset as usize..(placed.offset + placed.len) as usize];
    let (head, _) = decode_entry(stands, committee(0xc0), LeafIndex(3)).unwrap();
    assert_eq!(&stands[head.entry], b"old");
    let example = "\
        01d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0\
        0000000000000000\
        1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e\
        0000000e2c9251dd\
        000000036f6c6400000000000000";
    assert_eq!(data_encoding::HEXLOWER.encode(stands), example);
}

/// As what was dropped here, but for the zeros behind it.
#[test]
fn an_entry_that_came_without_its_payload_stands_as_a_dropped_one() {
    let came: Vec<StoredEntry> = [0, 2]
        .map(|seed| {
            let whole = record(seed);
            let bytes = without_payload(&whole.bytes).unwrap().into();
            StoredEntry { bytes, dropped: true, ..whole }
        })
        .into();
    let mut writer = FrameWriter::new(Vec::new());
    let before = writer.len();
    writer.append(committee(9), LeafIndex(4), &came);
    assert_eq!(writer.len() - before, append_len(&came));
    let (frame, batch) = writer.finish(MARK, 3);
    let frame = Bytes::from(frame);
    assert_eq!(decode(&frame, MARK).unwrap(), batch);
    let Item::Append(appended) = &batch.items[0] else { panic!("{batch:?}") };
    for (entry, came) in appended.entries.iter().zip(&came) {
        assert!(entry.dropped);
        assert_eq!((&entry.bytes(&frame), &entry.blobs), (&came.bytes, &came.blobs));
    }
    // There is nothing to drop.
    let again = drop_payloads(&frame, MARK, &|_, _| true).unwrap();
    assert_eq!(Bytes::from(again), frame);
}
