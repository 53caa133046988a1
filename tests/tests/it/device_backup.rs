//! A backup of a device: opens with age, lets its owner read what the device could read, and holds
//! nothing to write with or to be the device.

use std::fs;
use std::io::Read;
use std::iter;
use std::os::unix::fs::PermissionsExt;

use sealpost::vault::home::Home as VaultHome;
use sealpost::vault::{Secrets, Vault};
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::scan::Marker;
use sealpost_tests::scene::Scene;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::programs;

fn opened(sealed: &[u8], passphrase: &str) -> Vec<u8> {
    let identity = age::scrypt::Identity::new(passphrase.to_owned().into());
    let identities = iter::once(&identity as &dyn age::Identity);
    let decryptor = age::Decryptor::new_buffered(sealed).unwrap();
    let mut plain = Vec::new();
    decryptor.decrypt(identities).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

/// Writes a backup and returns what is in it.
fn backed_up(home: &Home) -> Vec<u8> {
    let out = home.disk().join("backup.age");
    let path = out.to_str().unwrap();
    let made = home.run(&["device", "backup", "--out", path, "--danger-work-factor", "1"]).exits(0);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    opened(&fs::read(&out).unwrap(), &made.field("passphrase"))
}

fn secrets(home: &Home) -> Secrets {
    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    opened.unwrap_or_else(|error| panic!("the vault of our own home: {error}")).1
}

fn keys_of(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_backup_lets_its_owner_read_everything_with_age_alone() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let first = isla.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    let _ = isla.run(&["committee", "lock", &committee, "--yes"]).exits(0);
    let strict = json!({ "text": "Tell nobody \u{202e}\u{9b}2J.", "class": "H2" });
    let second = isla.record_new("note", &committee, &strict);
    baran.sync();
    let third = baran.record_new("note", &committee, &json!({ "text": "I will be there." }));
    isla.sync();
    let fourth = isla.record_later("note", &committee, &json!({ "text": "Not sent yet." }));

    let plain = backed_up(&isla);
    let content: Value = serde_json::from_slice(&plain).unwrap();
    // What comes to be in it is thought about.
    let top = ["sealpost_backup", "made_at", "device", "handle", "country", "committees"];
    assert_eq!(keys_of(&content), top);
    let [kept] = content["committees"].as_array().unwrap().as_slice() else { panic!("{content}") };
    let fields = ["ref", "id", "name", "relay", "state", "size", "checkpoint", "locks", "records"];
    assert_eq!(keys_of(kept), fields);
    assert_eq!(kept["ref"], committee.as_str());
    assert!(kept["checkpoint"].as_str().unwrap().starts_with("sealpost/1/"), "{kept}");

    let records = kept["records"].as_array().unwrap();
    for written in [&first, &second, &third, &fourth] {
        let found = records.iter().find(|record| record["ref"] == written.reference.as_str());
        let found = found.unwrap_or_else(|| panic!("{written:?} is not in {records:?}"));
        assert_eq!(keys_of(found), ["ref", "author", "state", "leaf_index", "record"]);
        assert_eq!(found["record"], isla.show(&written.reference)["record"]);
    }
    let of_strict = |record: &Value| record["record"]["sealed"]["text"] == strict["text"];
    assert!(records.iter().any(of_strict), "{records:?}");
    // Shown by whatever program, it moves no terminal.
    let text = String::from_utf8(plain).unwrap();
    assert!(!text.contains(['\u{202e}', '\u{9b}']), "{text}");

    // What lies sealed elsewhere opens with the locks.
    let locks = kept["locks"].as_array().unwrap();
    assert_eq!(locks.len(), 2, "{locks:?}");
    for (lock, record) in locks.iter().zip([&first, &third]) {
        assert_eq!(keys_of(lock), ["epoch", "identity", "record_passphrase"]);
        assert!(lock["identity"].as_str().unwrap().starts_with("AGE-SECRET-KEY-PQ-1"));
        let passphrase = lock["record_passphrase"].as_str().unwrap();
        let record = opened(&isla.sealed(&record.reference), passphrase);
        assert!(serde_json::from_slice::<Value>(&record).unwrap()["text"].is_string());
    }
}

#[test]
fn no_key_of_the_device_is_in_a_backup_in_any_spelling() {
    let Scene { relay: _relay, isla, committee, .. } = Scene::new(&programs());
    let invitation = isla.invite(&committee);
    let secrets = secrets(&isla);
    let device = &secrets.device;
    let plain = backed_up(&isla);
    let seeds = [
        ("the signing key", device.signing_key().as_bytes().as_slice()),
        ("the login key", device.login_key().as_bytes()),
        ("the hybrid seed", device.hybrid().seed()),
        ("the vault's key", secrets.vault_key.as_slice()),
    ];
    for (name, seed) in seeds {
        assert_eq!(Marker::of_bytes(name, seed).in_bytes(&plain), None, "{name}");
    }
    let hybrid = device.hybrid().to_string();
    for secret in [hybrid.expose_secret(), PASSPHRASE, &invitation[..60], &invitation[80..]] {
        assert_eq!(Marker::of(secret).in_bytes(&plain), None);
    }
    // The same search finds the same keys where they are, and a lock's where it may be.
    let identity = fs::read(isla.vault().join("identity.age")).unwrap();
    let identity = opened(&identity, PASSPHRASE);
    for ((name, seed), form) in seeds.into_iter().zip(["hex", "hex", "bech32", "hex"]) {
        assert_eq!(Marker::of_bytes(name, seed).in_bytes(&identity), Some(form), "{name}");
    }
    let content: Value = serde_json::from_slice(&plain).unwrap();
    let lock = content["committees"][0]["locks"][0]["identity"].as_str().unwrap();
    let lock: sealpost_protocol::hybrid::Identity = lock.parse().unwrap();
    assert_eq!(Marker::of_bytes("a lock", lock.seed()).in_bytes(&plain), Some("bech32"));
}

#[test]
fn a_backup_takes_no_files_place_and_its_words_are_shown_once() {
    let home = Home::of(&programs(), "isla");
    let there = home.file("there", b"precious");
    let refused = ["device", "backup", "--out", there.to_str().unwrap()];
    let _ = home.run(&refused).fails(1, "not-writable");
    assert_eq!(fs::read(&there).unwrap(), b"precious");
    let nowhere =
        ["device", "backup", "--out", "no/such/folder/backup.age", "--danger-work-factor", "1"];
    let _ = home.run(&nowhere).fails(1, "not-writable");

    let quick = ["--danger-work-factor", "1"];
    let told =
        home.run_plain(&[&["device", "backup", "--out", "b.age"][..], &quick].concat()).exits(0);
    let stdout = told.stdout_text();
    assert_eq!(stdout.trim_end().split('-').count(), 12, "{told:?}");
    assert!(told.stderr_text().contains("0 locks and 0 records"), "{told:?}");
    assert!(!told.stderr_text().contains(stdout.trim_end()), "{told:?}");
    let sealed = fs::read(home.disk().join("b.age")).unwrap();
    let _: Value = serde_json::from_slice(&opened(&sealed, stdout.trim_end())).unwrap();
}
