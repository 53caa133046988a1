use sealpost_protocol::hash::Hash;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn a_new_file_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.log");
    let mut file = NewFile::create(&path).unwrap();
    file.write(b"one ").unwrap();
    assert_eq!(names(folder.path()), ["one.log.part"]);
    drop(file);
    assert!(names(folder.path()).is_empty());
    // What a killed one left is no hindrance.
    fs::write(folder.path().join("one.log.part"), "half").unwrap();
    let mut file = NewFile::create(&path).unwrap();
    file.write(b"one ").unwrap();
    file.write(b"two").unwrap();
    file.keep().unwrap();
    assert_eq!(names(folder.path()), ["one.log"]);
    assert_eq!(fs::read(&path).unwrap(), b"one two");
}

#[test]
fn nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.log");
    let late = NewFile::create(&path).unwrap();
    fs::write(&path, "kept").unwrap();
    assert_eq!(late.keep().unwrap_err().kind, Kind::FileExists);
    let Err(failure) = NewFile::create(&path) else { panic!("it is there") };
    assert_eq!(failure.kind, Kind::FileExists);
    assert_eq!(fs::read(&path).unwrap(), b"kept");
    assert_eq!(names(folder.path()), ["one.log"]);
}

#[test]
fn a_blob_that_is_there_is_known_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = (folder.path().join("blob"), b"a scan");
    let blob = Blob { sha256: Hash::of(bytes), size: bytes.len() as u64 };
    assert!(!holds(&path, blob).unwrap());
    fs::write(&path, bytes).unwrap();
    assert!(holds(&path, blob).unwrap());
    fs::write(&path, b"another").unwrap();
    assert_eq!(holds(&path, blob).unwrap_err().kind, Kind::FileExists);
}
