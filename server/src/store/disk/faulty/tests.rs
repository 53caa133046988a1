use super::*;

const FILE: &str = "/file";

fn file(disk: &FaultyDisk) -> Box<dyn DiskFile> {
    let file = disk.create(Path::new(FILE)).unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    file
}

/// Everything that some power cut leaves of the file.
fn fates(disk: &FaultyDisk) -> BTreeSet<Option<Vec<u8>>> {
    (0..200).map(|seed| disk.copy().power_cut(seed).contents(Path::new(FILE))).collect()
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    let disk = FaultyDisk::new();
    let file = file(&disk);
    file.write_all_at(b"kept", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(fates(&disk), BTreeSet::from([Some(b"kept".to_vec())]));
}

#[test]
fn what_was_not_synced_survives_in_any_part() {
    let disk = FaultyDisk::new();
    let file = file(&disk);
    file.write_all_at(&[1; 3 * SECTOR_BYTES], 0).unwrap();
    file.sync().unwrap();
    file.write_all_at(&[2; 3 * SECTOR_BYTES], 0).unwrap();
    let sectors = |bytes: Option<Vec<u8>>| -> Vec<u8> {
        let bytes = bytes.unwrap();
        bytes.chunks(SECTOR_BYTES).for_each(|sector| assert!(sector.iter().all_equal(sector[0])));
        bytes.iter().step_by(SECTOR_BYTES).copied().collect()
    };
    let fates: BTreeSet<Vec<u8>> = fates(&disk).into_iter().map(sectors).collect();
    assert_eq!(fates.len(), 8, "each of three sectors old or new: {fates:?}");
}

/// Whether all bytes are the same.
trait AllEqual {
    fn all_equal(self, byte: u8) -> bool;
}

impl<'b, I: Iterator<Item = &'b u8>> AllEqual for I {
    fn all_equal(mut self, byte: u8) -> bool {
        self.all(|other| *other == byte)
    }
}

#[test]
fn a_failed_sync_loses_its_pages_for_good_and_hides_it() {
    let disk = FaultyDisk::new();
    let file = file(&disk);
    file.write_all_at(b"page", 0).unwrap();
    disk.fail_next(Kind::Sync, Failure::Lost(io::ErrorKind::Other));
    file.sync().unwrap_err();
    let mut buffer = [0; 4];
    file.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"page", "the page cache has it");
    file.sync().expect("and the next sync lies");
    assert!(fates(&disk).contains(&Some(Vec::new())), "but the platter has not");
}

#[test]
fn a_disk_that_lies_about_syncs_loses_what_it_confirmed() {
    let disk = FaultyDisk::new();
    let file = file(&disk);
    disk.lie_about_syncs();
    file.write_all_at(b"confirmed", 0).unwrap();
    file.sync().unwrap();
    assert!(fates(&disk).contains(&Some(Vec::new())));
    assert_eq!(disk.kill().contents(Path::new(FILE)), Some(b"confirmed".to_vec()), "not by a kill");
}

#[test]
fn names_survive_only_when_their_folder_was_synced() {
    let disk = FaultyDisk::new();
    let made = disk.create(Path::new(FILE)).unwrap();
    made.write_all_at(b"x", 0).unwrap();
    made.sync().unwrap();
    let fates = fates(&disk);
    assert!(fates.contains(&None) && fates.contains(&Some(b"x".to_vec())), "{fates:?}");
    disk.sync_folder(Path::new("/")).unwrap();
    assert_eq!(self::fates(&disk), BTreeSet::from([Some(b"x".to_vec())]));
}

#[test]
fn a_chosen_operation_fails_as_it_was_told_to() {
    let disk = FaultyDisk::new();
    let file = file(&disk);
    let next = || disk.operations().len() as u64;
    let contents = || disk.contents(Path::new(FILE)).unwrap();
    disk.fail(next(), Failure::Lost(io::ErrorKind::Other));
    file.write_at(b"ab", 0).unwrap_err();
    assert_eq!(contents(), b"");
    disk.fail(next(), Failure::Applied(io::ErrorKind::Other));
    file.write_at(b"ab", 0).unwrap_err();
    assert_eq!(contents(), b"ab");
    disk.fail(next(), Failure::Short(io::ErrorKind::StorageFull));
    let short = file.write_all_at(b"wxyz", 0).unwrap_err();
    assert_eq!((contents(), short.kind()), (b"wx".to_vec(), io::ErrorKind::StorageFull));
    disk.fail(next(), Failure::PowerCut);
    file.write_at(b"cd", 0).unwrap_err();
    file.read_at(&mut [0; 2], 0).expect_err("the power is off");
    disk.open(Path::new(FILE)).expect_err("for everybody");
}

#[test]
fn locks_end_with_their_program() {
    let disk = FaultyDisk::new();
    let _held = disk.lock(Path::new("/lock")).unwrap().unwrap();
    assert!(disk.lock(Path::new("/lock")).unwrap().is_none());
    assert!(disk.kill().lock(Path::new("/lock")).unwrap().is_some());
}

#[test]
fn a_file_moved_to_another_folder_may_be_in_both_or_when_synced_wrongly_in_neither() {
    let places = |first: &str| {
        let disk = FaultyDisk::new();
        for folder in ["/a", "/b"] {
            disk.create_folder(Path::new(folder)).unwrap();
        }
        disk.create(Path::new("/a/x")).unwrap();
        disk.sync_folder(Path::new("/")).unwrap();
        disk.sync_folder(Path::new("/a")).unwrap();
        disk.rename(Path::new("/a/x"), Path::new("/b/x")).unwrap();
        disk.sync_folder(Path::new(first)).unwrap();
        let found = |disk: &FaultyDisk, path: &str| disk.contents(Path::new(path)).is_some();
        let after = (0..50).map(|seed| disk.copy().power_cut(seed));
        after.map(|disk| (found(&disk, "/a/x"), found(&disk, "/b/x"))).collect::<BTreeSet<_>>()
    };
    assert_eq!(places("/b"), BTreeSet::from([(true, true), (false, true)]));
    assert_eq!(places("/a"), BTreeSet::from([(false, false), (false, true)]));
}

#[test]
fn a_file_says_when_it_was_last_written_to() {
    let disk = FaultyDisk::new();
    let time = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    disk.set_time(time(5));
    let file = file(&disk);
    let written = |disk: &FaultyDisk| disk.files(Path::new("/")).unwrap()[0].written;
    assert_eq!(written(&disk), time(5));
    disk.set_time(time(9));
    assert_eq!(written(&disk), time(5));
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(written(&disk), time(9));
    assert_eq!(written(&disk.kill()), time(9));
}
