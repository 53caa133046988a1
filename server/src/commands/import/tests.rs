use sealpost_protocol::change::Role;
use sealpost_protocol::entry::Entry;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::world::{TestDevice, World, record_file, relay_key};
use tempfile::TempDir;

use super::*;
use crate::program;
use crate::store::disk::RealDisk;

const SCAN: &[u8] = b"a scan, sealed";

/// A folder with a log's export, with and without an attachment beside it, and the relay's key in `data`.
struct Place {
    folder: TempDir,
    world: World,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let [founder, member] = [1, 2].map(TestDevice::new);
        let mut world = World::found(&founder);
        world.admit(&founder, &member, Role::Member).unwrap();
        let mut header = world.record_header(&member);
        header.blobs = vec![Blob { sha256: Hash::of(SCAN), size: SCAN.len() as u64 }];
        world.push(&Entry::sign(header, record_file(), &member.signing)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("{}.log", world.committee.id()));
        std::fs::write(&file, world.export(&[&founder])).unwrap();
        let place = Self { folder, world, file };
        std::fs::create_dir(place.data()).unwrap();
        key::keep(&RealDisk, &place.data(), &relay_key()).unwrap();
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn blob(&self) -> PathBuf {
        let folder = self.folder.path().join(folder_name(self.world.committee.id()));
        folder.join(Hash::of(SCAN).to_string())
    }

    fn with_blob(self, bytes: &[u8]) -> Self {
        std::fs::create_dir(self.blob().parent().unwrap()).unwrap();
        std::fs::write(self.blob(), bytes).unwrap();
        self
    }

    fn import<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        [&["import"], flags, &[self.file.to_str().unwrap()]].concat()
    }

    fn imports(&self, flags: &[&str]) -> serde_json::Value {
        let line = [&["--json"], &self.import(flags)[..]].concat();
        printed(&self.data(), &line)
    }

    fn fails(&self, flags: &[&str]) -> (i32, String) {
        program::failure(&self.data(), &self.import(flags))
    }
}

fn printed(data: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = program::run(data, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with(['[', '{'])).unwrap();
    serde_json::from_str(line).unwrap()
}

fn named(exit: i32, name: &str) -> (i32, String) {
    (exit, name.to_owned())
}

#[test]
fn a_log_comes_into_a_folder_with_the_relays_key_and_goes_out_as_it_came() {
    let place = Place::new().with_blob(SCAN);
    let imported = place.imports(&["--init"]);
    assert_eq!((&imported[0]["size"], &imported[0]["taken"]), (&3.into(), &3.into()));
    assert_eq!(place.imports(&[])[0]["taken"], 0);
    let found = printed(&place.data(), &["check", "--json"]);
    assert_eq!(found.as_array().map(Vec::len), Some(0), "{found}");

    let out = place.folder.path().join("out");
    let export = ["export", "--all", "--blobs", "--out", out.to_str().unwrap()];
    let exported = printed(&place.data(), &[&["--json"][..], &export].concat());
    assert_eq!((&exported[0]["size"], &exported[0]["blobs"]), (&3.into(), &1.into()));
    let name = place.file.file_name().unwrap();
    assert_eq!(std::fs::read(out.join(name)).unwrap(), std::fs::read(&place.file).unwrap());
    let blob = place.blob();
    let blob = blob.strip_prefix(place.folder.path()).unwrap();
    assert_eq!(std::fs::read(out.join(blob)).unwrap(), SCAN);
    // What is there is not written over, and nothing else is left.
    assert_eq!(program::failure(&place.data(), &export), named(1, "file-exists"));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn one_committee_is_exported_by_the_beginning_of_its_id() {
    let place = Place::new();
    place.imports(&["--init", "--without-blobs"]);
    let out = place.folder.path().join("out");
    let id = place.world.committee.id().to_string();
    let export = |id: &str| {
        let arguments = ["export", "--committee", id, "--out", out.to_str().unwrap()];
        program::run(&place.data(), &arguments).status.code()
    };
    assert_eq!(export(&id[..7]), Some(2));
    assert_eq!(export(&id[1..9]), Some(6));
    assert_eq!(export(&id[..8]), Some(0));
    // Its attachment is lost to this relay until somebody sends it again.
    let blobs = ["export", "--all", "--blobs", "--out"];
    let other = place.folder.path().join("other");
    let lost = [&blobs[..], &[other.to_str().unwrap()]].concat();
    assert_eq!(program::failure(&place.data(), &lost), named(7, "damaged"));
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1, "the folder of attachments alone");
}

#[test]
fn attachments_that_are_nowhere_or_others_are_named_and_nothing_is_taken() {
    let place = Place::new();
    assert_eq!(place.fails(&["--init"]), named(1, "attachments-missing"));
    let place = place.with_blob(b"another file!!");
    assert_eq!(place.fails(&[]), named(7, "bad-export"));
    std::fs::write(place.blob(), b"cut").unwrap();
    assert_eq!(place.fails(&[]), named(7, "bad-export"));
    let out = place.folder.path().join("out");
    let export = ["--json", "export", "--all", "--out", out.to_str().unwrap()];
    assert_eq!(printed(&place.data(), &export), serde_json::json!([]));
    std::fs::write(place.blob(), SCAN).unwrap();
    assert_eq!(place.imports(&[])[0]["taken"], 3);
}

#[test]
fn what_was_cut_short_or_altered_is_refused_by_name() {
    let place = Place::new().with_blob(SCAN);
    place.imports(&["--init"]);
    let sound = std::fs::read(&place.file).unwrap();
    let altered = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let version = [b"sealpost-log/2\n", &sound[15..]].concat();
    let cases = [
        (altered(0), 2, "usage"),
        (version, 12, "other-version"),
        (sound[..sound.len() - 1].to_vec(), 7, "bad-export"),
        (altered(100), 7, "bad-export"),
        (altered(sound.len() / 2), 7, "bad-export"),
        ([&sound[..], b"x"].concat(), 7, "bad-export"),
    ];
    for (bytes, exit, name) in cases {
        std::fs::write(&place.file, bytes).unwrap();
        assert_eq!(place.fails(&[]), named(exit, name));
    }
    std::fs::remove_file(&place.file).unwrap();
    assert_eq!(place.fails(&[]), named(6, "not-found"));
}

#[test]
fn a_relay_with_another_key_or_none_takes_no_log() {
    let place = Place::new();
    std::fs::remove_file(place.data().join(key::FILE)).unwrap();
    assert_eq!(place.fails(&["--init", "--without-blobs"]), named(6, "not-found"));
    assert_eq!(place.fails(&["--without-blobs"]), named(6, "no-data-folder"));
    let other = SigningKey::from_bytes(&[91; 32]);
    key::keep(&RealDisk, &place.data(), &other).unwrap();
    assert_eq!(place.fails(&["--init", "--without-blobs"]), named(1, "other-home"));
    assert_eq!(std::fs::read_dir(place.data()).unwrap().count(), 1, "no folder was made");
    std::fs::remove_file(place.data().join(key::FILE)).unwrap();
    key::keep(&RealDisk, &place.data(), &relay_key()).unwrap();
    place.imports(&["--init", "--without-blobs"]);
    assert_eq!(place.fails(&["--init", "--without-blobs"]), named(1, "data-folder-exists"));
}
