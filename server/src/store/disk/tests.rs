use std::os::unix::fs::PermissionsExt;

use super::faulty::{Failure, FaultyDisk, Kind};
use super::*;

/// One workload on both disks: what a caller sees must not tell them apart.
fn behaves(disk: &dyn Disk, root: &Path) {
    let not_found = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    let file = root.join("file");
    assert!(disk.open(&file).is_err_and(not_found));
    assert!(disk.remove(&file).is_err_and(not_found));
    assert!(disk.list(&root.join("none")).is_err_and(not_found));
    assert!(disk.create(&root.join("none/file")).is_err_and(not_found));
    let made = disk.create(&file).unwrap();
    let again = disk.create(&file).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    made.write_all_at(b"hello", 3).unwrap();
    let mut buffer = [9; 10];
    assert_eq!(made.read_up_to(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"\0\0\0hello", "what was skipped is zeros");
    let short = made.read_exact_at(&mut buffer, 0).unwrap_err();
    assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    made.set_len(4).unwrap();
    made.preallocate(100).unwrap();
    made.preallocate(50).unwrap();
    assert_eq!(made.len().unwrap(), 100, "never shorter");
    made.sync().unwrap();
    assert_eq!(read_file(disk, &file).unwrap().unwrap()[..5], *b"\0\0\0h\0");
    let large = read_file_up_to(disk, &file, 99).unwrap_err();
    assert_eq!(large.kind(), io::ErrorKind::FileTooLarge);
    assert!(read_file_up_to(disk, &file, 100).unwrap().is_some());
    assert_eq!(read_file(disk, &root.join("none")).unwrap(), None);
    disk.create_folder(&root.join("b")).unwrap();
    disk.create_folder(&root.join("b")).unwrap();
    replace_file(disk, &file, b"new").unwrap();
    replace_file(disk, &root.join("a"), b"first").unwrap();
    assert_eq!(disk.list(root).unwrap(), ["a", "b", "file"]);
    assert_eq!(read_file(disk, &file).unwrap().unwrap(), b"new");
    disk.rename(&root.join("a"), &file).unwrap();
    assert_eq!(read_file(disk, &file).unwrap().unwrap(), b"first");
    disk.create_folder(&root.join("c")).unwrap();
    disk.rename(&file, &root.join("c/file")).unwrap();
    assert_eq!(disk.open(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(disk.rename(&root.join("c/file"), &root.join("none/file")).is_err_and(not_found));
    disk.rename(&root.join("c/file"), &file).unwrap();
    let files = disk.files(root).unwrap();
    let files: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.len)).collect();
    assert_eq!(files, [("file", 5)], "folders are none");
    assert!(disk.files(&root.join("none")).is_err_and(not_found));
    remove_if_there(disk, &file).unwrap();
    remove_if_there(disk, &file).unwrap();
    let lock = disk.lock(&root.join("lock")).unwrap().unwrap();
    assert!(disk.lock(&root.join("lock")).unwrap().is_none(), "taken once");
    drop(lock);
    assert!(disk.lock(&root.join("lock")).unwrap().is_some());
}

#[test]
fn the_real_disk_and_the_faulty_one_behave_alike() {
    let folder = tempfile::tempdir().unwrap();
    behaves(&RealDisk, folder.path());
    let disk = FaultyDisk::new();
    behaves(&disk, Path::new("/"));
}

#[test]
fn a_lock_given_back_is_free_also_when_a_copy_of_its_file_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let lock = RealDisk.lock(&path).unwrap().unwrap();
    drop(lock);
    let file = fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
    fs::flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    // What a fork does to it: all open files have two owners for a moment.
    let copy = rustix::io::dup(&file).unwrap();
    drop(RealLock(file));
    assert!(RealDisk.lock(&path).unwrap().is_some());
    drop(copy);
}

#[test]
fn files_and_folders_are_for_their_owner_alone_whatever_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| {
        std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    std::fs::create_dir(folder.path().join("open")).unwrap();
    std::fs::set_permissions(folder.path().join("open"), PermissionsExt::from_mode(0o755)).unwrap();
    RealDisk.create_folder(&folder.path().join("open")).unwrap();
    RealDisk.create_folder(&folder.path().join("new")).unwrap();
    replace_file(&RealDisk, &folder.path().join("file"), b"").unwrap();
    assert_eq!((mode("open"), mode("new"), mode("file")), (0o700, 0o700, 0o600));
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one_wherever_it_fails() {
    let path = Path::new("/file");
    for failure in [
        Failure::PowerCut,
        Failure::Lost(io::ErrorKind::Other),
        Failure::Applied(io::ErrorKind::Other),
        Failure::Short(io::ErrorKind::Other),
    ] {
        for number in 0.. {
            let disk = FaultyDisk::new();
            replace_file(&disk, path, b"old").unwrap();
            let begun = disk.operations().len() as u64;
            disk.fail(begun + number, failure);
            let replaced = replace_file(&disk, path, &[7; 2_000]);
            for seed in 0..8 {
                let found = read_file(&disk.copy().power_cut(seed), path).unwrap();
                let (old, new) = (Some(b"old".to_vec()), Some(vec![7; 2_000]));
                assert!(found == old || found == new, "{failure:?} at {number}, seed {seed}");
                assert!(replaced.is_err() || found == new, "{failure:?} at {number}, seed {seed}");
            }
            if disk.operations().len() as u64 <= begun + number {
                assert!(number > 4, "create, write, sync, rename, sync");
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    for (kind, full) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::ReadOnlyFilesystem, true),
        (io::ErrorKind::PermissionDenied, false),
        (io::ErrorKind::Other, false),
    ] {
        assert_eq!(is_full(&kind.into()), full, "{kind:?}");
    }
    let disk = FaultyDisk::new();
    let file = disk.create(Path::new("/file")).unwrap();
    disk.set_free_bytes(10);
    assert!(is_full(&file.preallocate(11).unwrap_err()));
    file.preallocate(10).unwrap();
    assert_eq!(disk.free_bytes(Path::new("/")).unwrap(), 0);
    assert_eq!(disk.count(Kind::Preallocate), 2);
}
