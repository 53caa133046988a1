use super::*;
use crate::village::{MemoryRelay, Person};

fn opened(backup: &Backup) -> Vec<u8> {
    let identity = age::scrypt::Identity::new(backup.passphrase.clone());
    let decryptor = age::Decryptor::new_buffered(backup.sealed.as_slice()).expect("an age file");
    let identities = iter::once(&identity as &dyn age::Identity);
    let mut plain = Vec::new();
    decryptor.decrypt(identities).expect("the words").read_to_end(&mut plain).expect("whole");
    plain
}

#[test]
fn the_words_are_twelve_of_the_list_and_others_each_time() {
    let (one, other) = (words().expect("drawn"), words().expect("drawn"));
    assert_ne!(one.expose_secret(), other.expose_secret());
    let spaced = one.expose_secret().replace('-', " ");
    assert_eq!(spaced.split(' ').count(), 12);
    let read: Mnemonic = Mnemonic::from_phrase(spaced).expect("words and a checksum");
    assert_eq!(read.entropy().len() * 8, 128);
}

#[test]
fn a_backup_holds_every_lock_and_its_length_tells_little() {
    let mut relay = MemoryRelay::new(9);
    let isla = Person::founds("isla", &mut relay);
    let backup = make(&isla.app, 1).expect("made");
    let plain = opened(&backup);
    assert_eq!(plain.len() as u64, SMALLEST_BYTES);
    let json: Value = serde_json::from_slice(&plain).expect("JSON and spaces");
    assert_eq!(json["sealpost_backup"], 1);
    assert_eq!(json["handle"], "isla");
    let lock = &json["committees"][0]["locks"][0];
    let held = isla
        .app
        .vault
        .read(|vault| keys::secret_of(vault, isla.no, sealpost_protocol::id::Epoch(1)));
    let held = held.expect("reads").expect("is held");
    assert_eq!(lock["identity"], held.identity().to_string().expose_secret());
    assert_eq!(lock["record_passphrase"], held.record_passphrase().expose_secret());
    assert_eq!((backup.locks, backup.records), (1, 0));
}
