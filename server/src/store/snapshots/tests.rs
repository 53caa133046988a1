use super::super::disk::faulty::FaultyDisk;
use super::*;
use sealpost_protocol::hash::Hash;

fn committee(seed: u8) -> CommitteeId {
    CommitteeId(Hash([seed; 32]))
}

fn snapshots() -> (FaultyDisk, Snapshots) {
    let disk = FaultyDisk::new();
    (disk.clone(), Snapshots::new(Arc::new(disk), "/".into()))
}

#[test]
fn a_snapshot_is_whole_or_the_one_before_after_a_power_cut() {
    for seed in 0..40 {
        let (disk, snapshots) = snapshots();
        let old = Some((TreeSize(1), Bytes::from_static(b"old")));
        let new = Some((TreeSize(2), Bytes::from(vec![7; 3_000])));
        snapshots.put(committee(1), TreeSize(1), b"old").unwrap();
        snapshots.put(committee(1), TreeSize(2), &[7; 3_000]).unwrap();
        assert_eq!(snapshots.newest(committee(1)).unwrap(), new);
        let found = Snapshots::new(Arc::new(disk.power_cut(seed)), "/".into());
        let newest = found.newest(committee(1)).unwrap();
        assert!(newest == new || newest == old, "seed {seed}: {newest:?}");
    }
}

#[test]
fn a_damaged_or_foreign_snapshot_is_not_used() {
    let (disk, snapshots) = snapshots();
    assert_eq!(snapshots.newest(committee(1)).unwrap(), None);
    snapshots.put(committee(1), TreeSize(3), b"fold").unwrap();
    let path = snapshots.path(committee(1));
    let whole = disk.contents(&path).unwrap();
    for byte in 0..whole.len() {
        disk.tamper(&path, |bytes| bytes[byte] ^= 1);
        assert_eq!(snapshots.newest(committee(1)).unwrap(), None, "byte {byte}");
        disk.tamper(&path, |bytes| bytes.clone_from(&whole));
    }
    for len in 0..whole.len() {
        disk.tamper(&path, |bytes| bytes.truncate(len));
        assert_eq!(snapshots.newest(committee(1)).unwrap(), None, "{len} bytes");
        disk.tamper(&path, |bytes| bytes.clone_from(&whole));
    }
    snapshots.put(committee(2), TreeSize(3), b"").unwrap();
    disk.tamper(&snapshots.path(committee(2)), |bytes| bytes.clone_from(&whole));
    assert_eq!(snapshots.newest(committee(2)).unwrap(), None, "another committee's");
}
