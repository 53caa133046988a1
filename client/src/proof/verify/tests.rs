use std::fs;
use std::path::PathBuf;

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{MemberNumber, UnixMillis};
use sealpost_protocol::proof::Cosigned;
use sealpost_protocol::seal::{AttachmentPassphrase, AttachmentSealer, BlobSink, Plain};

use super::*;
use crate::proof::make::{self, Wish};
use crate::village::scene;

/// A folder on disk.
fn written(parts: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let (mut relay, mut isla, mut baran) = scene();
    let record = baran.writes("three letters");
    baran.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    let parts = parts.iter().map(|part| (*part).to_owned()).collect();
    let wish = Wish { record, parts, attachments: Vec::new() };
    let ready = make::make(&mut isla.app, &wish).expect("proven");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("proof");
    folder::write(&isla.app, &out, &ready.made, &[]).expect("written");
    (dir, out)
}

#[test]
fn a_proof_out_of_a_vault_holds_and_says_what_it_shows_and_what_not() {
    let (_dir, out) = written(&[]);
    let proof = verify(&out).expect("it holds");
    let sentence = shows(&proof);
    let author = names::device_ref(&proof.record.header.author).to_string();
    let committee = names::committee_ref(&proof.committee).to_string();
    for part in [author.as_str(), "member 2, a member", "this record", "entry 2", &committee] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    let not = shows_not(&proof).len();
    let (_dir, out) = written(&["text"]);
    let proof = verify(&out).expect("it holds");
    assert!(shows(&proof).contains("a record with these fields"));
    assert_eq!(shows_not(&proof).len(), not + 1);
}

#[test]
fn who_vouches_is_counted_by_members_and_the_authors_own_devices_are_not() {
    let (_dir, out) = written(&[]);
    let mut proof = verify(&out).expect("it holds");
    let not = shows_not(&proof).len();
    assert!(shows(&proof).contains("and no device in this folder"));
    let device = proof.record.header.author;
    let cosigned = |member| Cosigned { device, member, at: UnixMillis(7_200_000) };
    let own = proof.record.member;
    proof.cosigners = vec![cosigned(own)];
    assert!(shows(&proof).contains("and only devices of the same member with it"));
    proof.cosigners = vec![cosigned(own), cosigned(MemberNumber(1)), cosigned(MemberNumber(1))];
    assert!(shows(&proof).contains("and 1 other member with it, active at roster entry 1"));
    assert_eq!(shows_not(&proof).len(), not + 1);
}

#[test]
fn a_changed_byte_in_any_file_on_disk_is_told_with_its_name() {
    let (_dir, out) = written(&["text"]);
    let found = folder::read(&out).expect("read");
    for (name, bytes) in &found.files {
        let path = out.join(name);
        let mut changed = bytes.clone();
        match changed.first_mut() {
            Some(first) => *first ^= 1,
            None => changed.push(b'\n'),
        }
        fs::write(&path, &changed).unwrap();
        let failure = verify(&out).err().expect("noticed");
        assert_eq!(failure.kind, Error::Verification, "{name}");
        // A manifest with another hash accuses the file that it lists.
        let told = failure.what.contains(name) || name == "manifest.txt";
        assert!(told, "{name}: {}", failure.what);
        fs::write(&path, bytes).unwrap();
    }
    assert!(verify(&out).is_ok());
}

#[test]
fn a_blob_that_is_not_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = || AttachmentPassphrase::generate(&[9; 32]);
    let mut sealer = AttachmentSealer::new(BlobSink::new(Vec::new()), &passphrase()).unwrap();
    sealer.write(b"a scan").unwrap();
    let (sink, plain) = sealer.finish().unwrap();
    let (bytes, blob) = sink.finish();
    let path = dir.path().join("blob.age");
    fs::write(&path, &bytes).unwrap();
    let checked = |plain: Plain, passphrase: AttachmentPassphrase| {
        let (to, label) = (String::new(), String::new());
        check_blob(&path, "blob.age", &Attached { to, label, plain, blob, passphrase })
    };
    assert!(checked(plain, passphrase()).is_ok());
    let other_file = Plain { sha256: Hash::ZERO, ..plain };
    for failure in [
        checked(other_file, passphrase()),
        checked(Plain { size: 5, ..plain }, passphrase()),
        checked(plain, AttachmentPassphrase::generate(&[8; 32])),
    ] {
        assert_eq!(failure.expect_err("refused").kind, Error::Verification);
    }
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(checked(plain, passphrase()).is_err());
}
