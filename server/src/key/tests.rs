use std::path::PathBuf;

use super::*;
use crate::store::disk::faulty::FaultyDisk;

fn folder() -> (FaultyDisk, PathBuf) {
    let disk = FaultyDisk::new();
    let root = PathBuf::from("/data");
    disk.create_folder(&root).unwrap();
    disk.sync_folder(&PathBuf::from("/")).unwrap();
    (disk, root)
}

#[test]
fn a_kept_key_is_read_back_also_after_a_power_cut() {
    for seed in 0..20 {
        let (disk, root) = folder();
        assert!(read(&disk, &root).unwrap().is_none());
        let key = generate().unwrap();
        keep(&disk, &root, &key).unwrap();
        let disk = disk.power_cut(seed);
        assert!(read(&disk, &root).unwrap() == Some(key), "seed {seed}");
    }
}

#[test]
fn another_key_is_never_put_over_one_that_is_there() {
    let (disk, root) = folder();
    let key = SigningKey::from_bytes(&[1; 32]);
    keep(&disk, &root, &key).unwrap();
    keep(&disk, &root, &key).expect("the same one again changes nothing");
    let other = keep(&disk, &root, &SigningKey::from_bytes(&[2; 32]));
    assert!(matches!(other, Err(KeyError::LocalOther)));
    assert!(read(&disk, &root).unwrap() == Some(key));
}

#[test]
fn a_flip_of_any_bit_makes_no_other_key() {
    let (disk, root) = folder();
    let key = SigningKey::from_bytes(&[7; 32]);
    keep(&disk, &root, &key).unwrap();
    let path = root.join(FILE);
    let len = disk.contents(&path).unwrap().len();
    for byte in 0..len {
        for bit in 0..8 {
            disk.tamper(&path, |bytes| bytes[byte] ^= 1 << bit);
            let found = read(&disk, &root);
            assert!(matches!(found, Err(KeyError::StoreDamaged)), "byte {byte} bit {bit}");
            disk.tamper(&path, |bytes| bytes[byte] ^= 1 << bit);
        }
    }
    for len in 0..len {
        let short = disk.copy();
        short.tamper(&path, |bytes| bytes.truncate(len));
        assert!(matches!(read(&short, &root), Err(KeyError::StoreDamaged)), "{len} bytes");
    }
}

#[test]
fn the_real_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    keep(&disk::RealDisk, folder.path(), &SigningKey::from_bytes(&[1; 32])).unwrap();
    let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
