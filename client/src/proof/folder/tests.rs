use std::os::unix::fs::{PermissionsExt, symlink};

use sealpost_protocol::limits::PROOF_BLOBS_BYTES_MAX;

use super::*;
use crate::proof::make::{self, Wish};
use crate::village::{MemoryRelay, Person};

fn ready() -> (Person, make::Ready) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let record = isla.writes("three letters");
    isla.sends_all(&mut relay);
    let wish = Wish { record, parts: Vec::new(), attachments: Vec::new() };
    let ready = make::make(&mut isla.app, &wish).expect("proven");
    (isla, ready)
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_folder_appears_whole_for_its_owner_alone_and_reads_back() {
    let (isla, ready) = ready();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("proof");
    write(&isla.app, &out, &ready.made, &[]).expect("written");
    assert_eq!(names(dir.path()), ["proof"]);
    assert_eq!((mode(&out), mode(&out.join("record"))), (0o700, 0o700));
    assert_eq!(mode(&out.join("record/file-key.bin")), 0o600);
    let found = read(&out).expect("read");
    assert_eq!(found.files, ready.made.files);
    assert!(found.blobs.is_empty());
}

#[test]
fn nothing_that_is_there_is_written_over_and_nothing_half_written_stays() {
    let (isla, mut ready) = ready();
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("there");
    fs::create_dir(&there).unwrap();
    let dangling = dir.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    for out in [&there, &dangling] {
        let refused = write(&isla.app, out, &ready.made, &[]).expect_err("it is there");
        assert_eq!(refused.kind, Error::NotWritable);
        assert!(must_be_free(out).is_err());
    }
    assert_eq!(names(&there), [""; 0]);
    // A file that cannot be written: its folder is one already.
    ready.made.files.insert("record".to_owned(), Vec::new());
    let out = dir.path().join("proof");
    assert!(write(&isla.app, &out, &ready.made, &[]).is_err());
    assert_eq!(names(dir.path()), ["dangling", "there"]);
}

#[test]
fn what_a_killed_command_left_goes_with_the_next_and_what_is_held_stays() {
    let (isla, ready) = ready();
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join(".sealpost-proof-00112233445566ff");
    fs::create_dir_all(left.join("record")).unwrap();
    let others = dir.path().join(".sealpost-proof-mine");
    fs::create_dir(&others).unwrap();
    let out = dir.path().join("proof");
    let held = Unfinished::beside(&out).unwrap();
    write(&isla.app, &out, &ready.made, &[]).expect("written");
    assert!(!left.exists() && others.exists() && held.path.exists());
    let path = held.path.clone();
    drop(held);
    assert!(!path.exists());
}

#[test]
fn what_is_no_plain_file_of_a_proof_is_refused() {
    let (isla, ready) = ready();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("proof");
    write(&isla.app, &out, &ready.made, &[]).expect("written");
    let refused = |change: &dyn Fn(), undo: &dyn Fn()| {
        change();
        let failure = read(&out).err().expect("refused");
        undo();
        failure.kind
    };
    let link = out.join("record/link.txt");
    let linked =
        refused(&|| symlink("header.cbor", &link).unwrap(), &|| fs::remove_file(&link).unwrap());
    assert_eq!(linked, Error::Verification);
    let deep = out.join("record/field-1/deeper");
    let nested = refused(&|| fs::create_dir_all(&deep).unwrap(), &|| {
        fs::remove_dir_all(out.join("record/field-1")).unwrap();
    });
    assert_eq!(nested, Error::Verification);
    let long = out.join("long.txt");
    let too_long = refused(
        &|| File::create(&long).unwrap().set_len(PROOF_FILE_BYTES_MAX as u64 + 1).unwrap(),
        &|| fs::remove_file(&long).unwrap(),
    );
    assert_eq!(too_long, Error::Verification);
    let pipe = out.join("record/pipe");
    let special = refused(
        &|| {
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        },
        &|| fs::remove_file(&pipe).unwrap(),
    );
    assert_eq!(special, Error::Verification);
    assert!(read(&out).is_ok());
    assert_eq!(read(&dir.path().join("none")).err().expect("none").kind, Error::NotFound);
}

/// Holes cost their maker nothing, and names without files nothing either.
#[test]
fn a_folder_without_end_is_refused_while_it_is_read() {
    let (isla, ready) = ready();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("proof");
    write(&isla.app, &out, &ready.made, &[]).expect("written");
    let refused = |why: &str, parts: &[(&str, u64)]| {
        for (name, bytes) in parts {
            let path = out.join(name);
            fs::create_dir_all(parent(&path)).unwrap();
            File::create(&path).unwrap().set_len(*bytes).unwrap();
        }
        let failure = read(&out).err().expect("refused");
        assert_eq!(failure.kind, Error::Verification);
        assert!(failure.what.contains(why), "{why}: {}", failure.what);
        for (name, _) in parts {
            fs::remove_file(out.join(name)).unwrap();
        }
    };
    refused("bytes together", &[("attachment-1/blob.age", PROOF_BLOBS_BYTES_MAX + 1)]);
    refused("nothing is in it", &[]);
    fs::remove_dir(out.join("attachment-1")).unwrap();
    let two = [("a/blob.age", PROOF_BLOBS_BYTES_MAX), ("b/blob.age", 1)];
    refused("bytes together", &two);
    fs::remove_dir(out.join("a")).unwrap();
    fs::remove_dir(out.join("b")).unwrap();
    assert!(read(&out).is_ok());
}
