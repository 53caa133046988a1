use std::path::Path;

use super::super::disk::faulty::{Failure, FaultyDisk, Kind};
use super::super::notes::NoteChange;
use super::*;

const SIZES: Sizes = Sizes { segment_bytes: 4 * 1024, reserve_bytes: 0 };

fn new(disk: &FaultyDisk) -> Journal {
    let segments = segments(disk);
    Journal::create(&segments, SIZES).unwrap();
    open(disk).unwrap().0
}

fn segments(disk: &FaultyDisk) -> Arc<Segments> {
    Arc::new(Segments::new(Arc::new(disk.clone()), "/".into()))
}

/// Opens a journal and gives the sequence numbers of its frames.
fn open(disk: &FaultyDisk) -> Result<(Journal, Vec<u64>), StoreError> {
    let segments = segments(disk);
    let mut found = Vec::new();
    let end = scan(&segments, None, 0, &mut |_, batch| {
        found.push(batch.sequence);
        Ok(())
    })?;
    Ok((Journal::open(segments, SIZES, end)?, found))
}

fn frame(len: usize) -> FrameWriter {
    let mut frame = FrameWriter::new(Vec::new());
    frame.notes(vec![NoteChange { key: b"k".to_vec(), value: Some(vec![7; len].into()) }]);
    frame
}

fn append(journal: &mut Journal, len: usize) -> Result<FramePlace, WriteError> {
    let place = journal.append(frame(len))?.0;
    journal.prepare();
    Ok(place)
}

#[test]
fn frames_run_on_over_segments_and_are_found_again() {
    let disk = FaultyDisk::new();
    let mut journal = new(&disk);
    let places: Vec<u32> = (0..20).map(|_| append(&mut journal, 900).unwrap().segment).collect();
    assert_eq!((places[0], places[19]), (1, 5));
    drop(journal);
    let (mut journal, found) = open(&disk).unwrap();
    assert_eq!(found, (1..=20).collect::<Vec<u64>>());
    append(&mut journal, 10).unwrap();
    assert_eq!(open(&disk).unwrap().1.len(), 21);
}

#[test]
fn the_next_segment_is_ready_before_it_is_needed() {
    let disk = FaultyDisk::new();
    let mut journal = new(&disk);
    while journal.current.number == 1 {
        let writes = disk.count(Kind::Write);
        let before = journal.current.number;
        let filled = journal.next.as_ref().map_or(0, |next| next.filled);
        append(&mut journal, 500).unwrap();
        if journal.current.number > before {
            assert_eq!(filled, SIZES.segment_bytes, "no zeros are left to write");
            assert!(disk.count(Kind::Write) - writes <= 3, "header, frame, first zeros");
        }
    }
}

#[test]
fn a_prepared_segment_that_is_left_over_is_no_segment() {
    let disk = FaultyDisk::new();
    let mut journal = new(&disk);
    for _ in 0..4 {
        append(&mut journal, 700).unwrap();
    }
    assert!(disk.contents(Path::new("/next")).is_some());
    drop(journal);
    let (_, found) = open(&disk).unwrap();
    assert_eq!(found.len(), 4);
    assert!(disk.contents(Path::new("/next")).is_none());
}

#[test]
fn no_room_is_found_out_before_anything_of_the_frame_is_written() {
    let disk = FaultyDisk::new();
    let mut journal = new(&disk);
    append(&mut journal, 1_500).unwrap();
    disk.set_free_bytes(100);
    let before = disk.contents(Path::new("/00000001"));
    assert!(matches!(append(&mut journal, 3_000), Err(WriteError::Full)));
    assert_eq!(disk.contents(Path::new("/00000001")), before);
    assert_eq!(append(&mut journal, 1_000).unwrap().segment, 1, "this still fits");
    disk.set_free_bytes(u64::MAX);
    assert_eq!(append(&mut journal, 3_000).unwrap().segment, 2);
    assert_eq!(open(&disk).unwrap().1.len(), 3);
}

#[test]
fn any_failure_of_write_or_sync_leaves_the_outcome_unknown() {
    for (kind, failure) in [
        (Kind::Write, Failure::Lost(io::ErrorKind::Other)),
        (Kind::Write, Failure::Applied(io::ErrorKind::Other)),
        (Kind::Write, Failure::Short(io::ErrorKind::Other)),
        (Kind::Sync, Failure::Lost(io::ErrorKind::Other)),
        (Kind::Sync, Failure::Applied(io::ErrorKind::Other)),
    ] {
        let disk = FaultyDisk::new();
        let mut journal = new(&disk);
        append(&mut journal, 100).unwrap();
        disk.fail_next(kind, failure);
        let failed = journal.append(frame(100)).err();
        assert!(matches!(failed, Some(WriteError::Unknown(_))), "{kind:?} {failure:?}: {failed:?}");
        let found = open(&disk).unwrap().1;
        assert!(found == [1] || found == [1, 2], "{kind:?} {failure:?}: {found:?}");
    }
}

#[test]
fn a_frame_known_to_be_durable_is_never_torn() {
    let disk = FaultyDisk::new();
    let mut journal = new(&disk);
    append(&mut journal, 100).unwrap();
    let second = append(&mut journal, 100).unwrap();
    let at = usize::try_from(second.offset).unwrap();
    disk.tamper(Path::new("/00000001"), |bytes| bytes[at + 30] ^= 1);
    let scan = |vouched| scan(&segments(&disk), None, vouched, &mut |_, _| Ok(()));
    assert_eq!(scan(1).unwrap().sequence, 1, "an unfinished write");
    let damaged = scan(2).err();
    assert!(
        matches!(damaged, Some(StoreError::StoreDamaged { segment: 1, offset })
            if offset == second.offset),
        "{damaged:?}"
    );
}

#[test]
fn a_flip_of_any_byte_of_a_header_is_refused() {
    let disk = FaultyDisk::new();
    drop(new(&disk));
    let path = Path::new("/00000001");
    for byte in 0..usize::try_from(HEADER_BYTES).unwrap() {
        disk.tamper(path, |bytes| bytes[byte] ^= 1);
        let opened = open(&disk).err();
        assert!(
            matches!(opened, Some(StoreError::StoreDamaged { segment: 1, offset: 0 })),
            "byte {byte}: {opened:?}"
        );
        disk.tamper(path, |bytes| bytes[byte] ^= 1);
    }
    open(&disk).unwrap();
}

#[test]
fn the_segment_header_of_the_spec_comes_out() {
    let example = "\
        7365616c706f73742d6a6f75726e616c\
        000000010000000100000000000000016d6d6d6d6d6d6d6d5b1cd769";
    let header = segment::encode_header(1, 1, 0x6d6d_6d6d_6d6d_6d6d);
    assert_eq!(data_encoding::HEXLOWER.encode(&header), example);
}
