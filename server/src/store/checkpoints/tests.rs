use sealpost_protocol::hash::Hash;

use super::super::disk::faulty::{Failure, FaultyDisk, Kind};
use super::*;

fn committee(seed: u8) -> CommitteeId {
    CommitteeId(Hash([seed; 32]))
}

fn new() -> (FaultyDisk, Checkpoints) {
    let disk = FaultyDisk::new();
    for side in SIDES {
        disk.create_folder(&Path::new("/").join(side)).unwrap();
    }
    disk.sync_folder(Path::new("/")).unwrap();
    let checkpoints = open(&disk);
    (disk, checkpoints)
}

fn open(disk: &FaultyDisk) -> Checkpoints {
    Checkpoints::open(Arc::new(disk.clone()), "/".into()).unwrap()
}

fn record(checkpoints: &Checkpoints, size: u64) -> Result<(), StoreError> {
    checkpoints.record(committee(1), TreeSize(size), &format!("note {size}"))
}

fn note(size: u64) -> Option<(TreeSize, String)> {
    Some((TreeSize(size), format!("note {size}")))
}

#[test]
fn what_is_recorded_survives_a_kill_and_when_synced_a_power_cut() {
    for seed in 0..50 {
        let (disk, checkpoints) = new();
        record(&checkpoints, 3).unwrap();
        checkpoints.sync().unwrap();
        record(&checkpoints, 5).unwrap();
        assert_eq!(open(&disk.copy()).last(committee(1)), note(5), "a kill");
        let last = open(&disk.power_cut(seed)).last(committee(1));
        assert!(last == note(5) || last == note(3), "seed {seed}: {last:?}");
    }
}

#[test]
fn whichever_of_the_two_files_is_lost_the_size_is_still_known() {
    for lost in SIDES {
        let (disk, checkpoints) = new();
        record(&checkpoints, 3).unwrap();
        checkpoints.sync().unwrap();
        record(&checkpoints, 5).unwrap();
        checkpoints.sync().unwrap();
        checkpoints.settle().unwrap();
        disk.remove(&Path::new("/").join(lost).join(committee(1).to_string())).unwrap();
        let found = open(&disk);
        assert_eq!(found.signed(), [(committee(1), TreeSize(5))]);
        assert_eq!(found.last(committee(1)), note(5));
    }
}

#[test]
fn a_flip_of_any_byte_is_not_taken_for_a_checkpoint() {
    let whole = encode(committee(1), TreeSize(7), "note 7");
    assert_eq!(decode(committee(1), &whole), note(7));
    assert_eq!(decode(committee(2), &whole), None, "another committee's");
    let longer = [whole.as_slice(), b" left from a longer one"].concat();
    assert_eq!(decode(committee(1), &longer), note(7));
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        assert_eq!(decode(committee(1), &bytes), None, "byte {byte}");
    }
    for len in 0..whole.len() {
        assert_eq!(decode(committee(1), &whole[..len]), None, "{len} bytes");
    }
}

#[test]
fn one_size_has_one_note_and_smaller_ones_are_no_news() {
    let (disk, checkpoints) = new();
    record(&checkpoints, 5).unwrap();
    record(&checkpoints, 5).unwrap();
    record(&checkpoints, 4).unwrap();
    let second = checkpoints.record(committee(1), TreeSize(5), "another root");
    assert!(matches!(second, Err(StoreError::StoreForked)), "{second:?}");
    assert_eq!(open(&disk).last(committee(1)), note(5));
}

#[test]
fn after_a_failed_sync_nothing_is_recorded_any_more() {
    for kind in [Kind::Sync, Kind::SyncFolder] {
        let (disk, checkpoints) = new();
        record(&checkpoints, 5).unwrap();
        disk.fail_next(kind, Failure::Lost(io::ErrorKind::Other));
        checkpoints.sync().unwrap_err();
        assert!(checkpoints.have_failed());
        let later = record(&checkpoints, 6);
        assert!(matches!(later, Err(StoreError::StoreStopped)), "{later:?}");
        assert_eq!(checkpoints.last(committee(1)), note(5), "what went out is still known");
    }
}

#[test]
fn a_note_longer_than_any_is_refused() {
    let (_, checkpoints) = new();
    let long = "x".repeat(NOTE_BYTES_MAX + 1);
    let recorded = checkpoints.record(committee(1), TreeSize(1), &long);
    assert!(matches!(recorded, Err(StoreError::StoreIo { .. })), "{recorded:?}");
}

#[test]
fn the_checkpoint_of_the_spec_comes_out() {
    let bytes = encode(committee(0xc0), TreeSize(8), "note\n");
    assert_eq!(
        data_encoding::HEXLOWER.encode(&bytes),
        "eab6d4630000000000000008000000056e6f74650a"
    );
}
