use std::fs as std_fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::seal::{AttachmentPassphrase, AttachmentSealer, BlobSink};

use super::*;
use crate::vault::Vault;
use crate::vault::attachments::HeldBlob;
use crate::vault::fixture::{add_committee, create, home};

const REF: &str = "AT-7K2M3X9W";

struct Stage {
    dir: tempfile::TempDir,
    vault: Vault,
    held: HeldBlob,
    details: Details,
}

/// An attachment that is here, whose record says that it holds `told`.
fn stage(content: &[u8], told: &[u8]) -> Stage {
    let (dir, home) = home();
    let (mut vault, _) = create(&home).unwrap();
    let no = add_committee(&mut vault, 1);
    let passphrase = AttachmentPassphrase::generate(&[7; 32]);
    let size = sealpost_protocol::seal::blob_size(content.len() as u64);
    let lock = vault.hold_sealing().unwrap();
    let (sealing, writer) = vault.begin_sealing(&lock, no, size).unwrap();
    let mut sealer = AttachmentSealer::new(BlobSink::new(writer), &passphrase).unwrap();
    sealer.write(content).unwrap();
    let (sink, plain) = sealer.finish().unwrap();
    let (writer, blob) = sink.finish();
    writer.finish().unwrap();
    vault.write(|vault| vault.blob_sealed(sealing, &blob)).unwrap();
    let held = vault.read(|vault| vault.held_blob(no, &blob.sha256)).unwrap().unwrap();
    let details = Details {
        to: String::new(),
        label: "../../zapt.jpg".to_owned(),
        role: "scan".to_owned(),
        media: String::new(),
        edition: crate::attachments::Edition::Evidentiary,
        plain: sealpost_protocol::seal::Plain { sha256: Hash::of(told), ..plain },
        blob,
        passphrase,
    };
    Stage { dir, vault, held, details }
}

impl Stage {
    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn save(&self) -> Result<PathBuf, Failure> {
        let blob = self.vault.read_blob(&self.held).unwrap();
        Folder::open(&self.out())?.save(REF, &self.details, blob)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std_fs::read_dir(self.out())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_appears_whole_under_our_name_and_for_its_owner_alone() {
    let content = vec![9; 1_000_000];
    let stage = stage(&content, &content);
    let path = stage.save().unwrap();
    assert_eq!(path, stage.out().join("AT-7K2M3X9W-zapt.jpg"));
    assert_eq!(std_fs::read(&path).unwrap(), content);
    assert_eq!(std_fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std_fs::metadata(stage.out()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(stage.names(), ["AT-7K2M3X9W-zapt.jpg"]);
}

#[test]
fn nothing_is_written_over_and_no_link_is_followed() {
    let stage = stage(b"a scan", b"a scan");
    std_fs::create_dir(stage.out()).unwrap();
    let victim = stage.dir.path().join("victim");
    std_fs::write(&victim, b"as it was").unwrap();
    symlink(&victim, stage.out().join("AT-7K2M3X9W-zapt.jpg")).unwrap();
    // One that leads nowhere yet would be a place to write to.
    symlink(stage.dir.path().join("nowhere"), stage.out().join("AT-7K2M3X9W-zapt (2).jpg"))
        .unwrap();
    std_fs::write(stage.out().join("AT-7K2M3X9W-zapt (3).jpg"), b"mine").unwrap();
    let path = stage.save().unwrap();
    assert_eq!(path, stage.out().join("AT-7K2M3X9W-zapt (4).jpg"));
    assert_eq!(std_fs::read(&victim).unwrap(), b"as it was");
    assert!(!stage.dir.path().join("nowhere").exists());
    assert_eq!(std_fs::read(stage.out().join("AT-7K2M3X9W-zapt (3).jpg")).unwrap(), b"mine");
}

#[test]
fn what_is_not_the_file_that_was_named_never_appears() {
    let stage = stage(b"a scan", b"another");
    let refused = stage.save().unwrap_err();
    assert_eq!(refused.kind, Error::Verification);
    assert_eq!(stage.names(), Vec::<String>::new());
}

#[test]
fn a_folder_that_is_none_or_may_not_be_written_is_named() {
    let stage = stage(b"a scan", b"a scan");
    std_fs::write(stage.out(), b"a file").unwrap();
    let refused = stage.save().unwrap_err();
    assert_eq!(refused.kind, Error::NotWritable);
    assert!(refused.what.contains("out"), "{}", refused.what);
}

/// Where a file system gives every file a name at once.
#[test]
fn a_file_with_a_name_of_its_own_meanwhile_appears_in_the_same_way_or_not_at_all() {
    let stage = stage(b"a scan", b"a scan");
    let folder = Folder::open(&stage.out()).unwrap();
    let write = |unfinished: &Unfinished<'_>| (&unfinished.file).write_all(b"text").unwrap();
    let unfinished = Unfinished::with_name(&folder).unwrap();
    write(&unfinished);
    assert!(stage.names()[0].starts_with(".sealpost-"), "{:?}", stage.names());
    assert_eq!(unfinished.appear("name.txt").unwrap(), "name.txt");
    let unfinished = Unfinished::with_name(&folder).unwrap();
    write(&unfinished);
    assert_eq!(unfinished.appear("name.txt").unwrap(), "name (2).txt");
    drop(Unfinished::with_name(&folder).unwrap());
    assert_eq!(stage.names(), ["name (2).txt", "name.txt"]);
    assert_eq!(std_fs::read(stage.out().join("name (2).txt")).unwrap(), b"text");
}

#[test]
fn a_blob_that_this_disk_changed_is_told_from_one_that_was_sealed_wrongly() {
    let stage = stage(&[9; 300_000], &[9; 300_000]);
    assert!(stage.vault.is_intact(&stage.held, &stage.details.blob.sha256).unwrap());
    let path = stage.vault.home().path().join("attachments");
    let mut bytes = std_fs::read(&path).unwrap();
    bytes[1_000] ^= 1;
    std_fs::write(&path, bytes).unwrap();
    assert!(!stage.vault.is_intact(&stage.held, &stage.details.blob.sha256).unwrap());
    assert_eq!(stage.save().unwrap_err().kind, Error::Verification);
    let Blob { size, .. } = stage.details.blob;
    assert_eq!(size, stage.held.size);
}

#[test]
fn what_a_killed_command_left_is_removed_and_nothing_else() {
    let stage = stage(b"a scan", b"a scan");
    let folder = Folder::open(&stage.out()).unwrap();
    let writing = Unfinished::with_name(&folder).unwrap();
    let living = writing.named.clone().unwrap();
    let others = [".sealpost-0011223344556677.part.jpg", ".sealpost-notes.part", "mine.part"];
    for name in others.iter().chain(&[".sealpost-0011223344556677.part"]) {
        std_fs::write(stage.out().join(name), b"text").unwrap();
    }
    let link = ".sealpost-8899aabbccddeeff.part";
    symlink(stage.out().join("mine.part"), stage.out().join(link)).unwrap();
    stage.save().unwrap();
    let mut left: Vec<&str> = others.to_vec();
    left.extend([link, living.as_str(), "AT-7K2M3X9W-zapt.jpg"]);
    left.sort_unstable();
    assert_eq!(stage.names(), left);
    drop(writing);
}
