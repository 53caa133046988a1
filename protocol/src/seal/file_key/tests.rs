use std::io::Read;
use std::sync::LazyLock;

use super::two_keys::body_under;
use super::*;
use crate::seal::{EpochKeys, EpochSecret};

static EPOCH: LazyLock<EpochKeys> =
    LazyLock::new(|| EpochKeys::new(EpochSecret::generate(&[1; 32])));

fn passphrase(seed: u8) -> AttachmentPassphrase {
    AttachmentPassphrase::generate(&[seed; 32])
}

fn key(seed: u8) -> RecordKey {
    RecordKey::from_bytes(&[seed; FILE_KEY_BYTES]).unwrap()
}

/// A file with a header made with `key` before `body`.
fn file_of(key: &RecordKey, body: &[u8]) -> Vec<u8> {
    let sealed = EPOCH.seal_record(b"x").unwrap();
    let head = age_header::check_record(&sealed).unwrap().payload_offset();
    key.seal_anew(&[&sealed[..head], body].concat(), &passphrase(3)).unwrap()
}

#[test]
fn the_key_of_one_record_opens_it_and_no_other() {
    let (one, other) = (EPOCH.seal_record(b"one").unwrap(), EPOCH.seal_record(b"other").unwrap());
    let key = EPOCH.file_key(&one).unwrap();
    assert_eq!(key.open(&one).unwrap().as_slice(), b"one");
    assert_eq!(key.made_header_of(&one), Ok(true));
    assert_eq!(key.open(&other).err(), Some(PeerOpenError::Damaged));
    assert_eq!(key.made_header_of(&other), Ok(false));
    assert!(key != EPOCH.file_key(&other).unwrap());
    let elsewhere = EpochKeys::new(EpochSecret::generate(&[2; 32]));
    assert_eq!(elsewhere.file_key(&one).err(), Some(PeerOpenError::WrongKey));
    assert!(RecordKey::from_bytes(&[0; 15]).is_none());
}

#[test]
fn a_payload_sealed_anew_keeps_its_body_and_opens_with_the_other_passphrase() {
    let payload = EPOCH.seal_record(&[b'x'; 70_000]).unwrap();
    let key = EPOCH.file_key(&payload).unwrap();
    let anew = key.seal_anew(&payload, &passphrase(3)).unwrap();
    assert_eq!(anew.len(), payload.len());
    assert_eq!(anew[149..], payload[149..]);
    assert_ne!(anew[..149], payload[..149]);
    assert_eq!(key.made_header_of(&anew), Ok(true));
    assert!(RecordKey::of_file(&anew, &passphrase(3)).unwrap() == key);
    assert!(RecordKey::of_file(&anew, &passphrase(4)).is_err());
    assert_eq!(EPOCH.open_record(&anew), Err(PeerOpenError::WrongKey));
    // age's own type opens it too.
    let theirs = age::scrypt::Identity::new(passphrase(3).expose().to_owned().into());
    let mut opened = Vec::new();
    age::Decryptor::new_buffered(anew.as_slice())
        .and_then(|decryptor| decryptor.decrypt(std::iter::once(&theirs as _)))
        .unwrap()
        .read_to_end(&mut opened)
        .unwrap();
    assert_eq!(opened, [b'x'; 70_000]);
}

#[test]
fn a_changed_header_was_made_with_no_key() {
    let payload = EPOCH.seal_record(b"x").unwrap();
    let key = EPOCH.file_key(&payload).unwrap();
    for at in 0..149 {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        assert_ne!(key.made_header_of(&changed), Ok(true), "byte {at}");
    }
}

/// What the MAC is for: the cipher takes the same bytes for whole under either key.
#[test]
fn bytes_that_open_under_two_keys_have_the_header_of_one() {
    let (one, other) = (key(1), key(2));
    let body = body_under([one.expose(), other.expose()]);
    let (first, second) = (file_of(&one, &body), file_of(&other, &body));
    assert_eq!(first[149..], second[149..]);
    let opened = [one.open(&first).unwrap(), other.open(&second).unwrap()];
    assert_ne!(opened[0].as_slice(), opened[1].as_slice());
    assert_eq!(one.made_header_of(&first), Ok(true));
    assert_eq!(other.made_header_of(&first), Ok(false));
    assert_eq!(other.open(&first).err(), Some(PeerOpenError::Damaged));
    assert_eq!(one.made_header_of(&second), Ok(false));
}
