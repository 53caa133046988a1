//! What `tests/interop/run` needs of us: `interop make|debian|open DIR`.
//!
//! ```text
//! make    files of ours, out of real programs: a record, a grant, a link, a device's identity
//! debian  opens with Debian's age what a passphrase opens, the passphrase typed at its prompt
//! open    opens with ours what age-encryption sealed to our recipient
//! ```
//!
//! `NAME.age` is a sealed file, `NAME.plain` what must be in it, to the byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealpost::vault::Vault;
use sealpost::vault::home::Home as VaultHome;
use sealpost_protocol::change::{Change, Lock};
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::limits;
use sealpost_protocol::seal::{self, EpochKeys, EpochSecret};
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::journal;
use sealpost_tests::programs::Programs;
use sealpost_tests::pty::Pty;
use sealpost_tests::relay::Relay;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, folder] = arguments.as_slice() else { panic!("interop make|debian|open DIR") };
    let folder = Path::new(folder);
    match what.as_str() {
        "make" => make(folder),
        "debian" => debian(folder),
        "open" => open(folder),
        other => panic!("interop make|debian|open DIR, not {other}"),
    }
}

/// A record written, sealed and accepted by the real programs; then the locks are changed, so that
/// there are a grant and a link; the relay's journal has them.
fn make(folder: &Path) {
    let programs = programs();
    let mut relay = Relay::start(&programs);
    let home = Home::of(&programs, "isla");
    let committee = home.found(relay.address(), &relay.permit(), "Committee of the harbour");
    let text = "Visit refused at the gate, 14:20. Ask again on Monday.";
    let record = home.record_new("note", &committee, &json!({ "text": text })).reference;
    let sealed = home.sealed(&record);
    // At its own work factor: this is what a person would have to open one day.
    let backup = folder.join("backup.age");
    let arguments = ["device", "backup", "--out", backup.to_str().expect("text")];
    let words = home.run(&arguments).exits(0).field("passphrase");
    write(folder, "backup.passphrase", words.as_bytes());
    let first = exported(&home, &committee);
    let _ = home.run(&["committee", "lock", &committee, "--yes"]).exits(0);
    let second = exported(&home, &committee);
    let shown = home.show(&record);
    relay.stop();

    let first_keys = EpochKeys::new(first);
    let plain = first_keys.open_record(&sealed).expect("our own record opens");
    must_hold(&plain, &shown["record"]);
    write(folder, "record.age", &sealed);
    write(folder, "record.plain", &plain);
    let passphrase = first_keys.secret().record_passphrase();
    write(folder, "record.passphrase", passphrase.expose_secret().as_bytes());

    let lock = last_lock(&relay.data());
    let [grant] = lock.grants.as_slice() else { panic!("one device, one grant: {lock:?}") };
    write(folder, "grant.age", &grant.file);
    write(folder, "grant.plain", second.to_grant_text().expose_secret().as_bytes());
    write(folder, "link.age", &lock.link.expect("history is not withheld"));
    write(folder, "link.plain", first_keys.secret().to_grant_text().expose_secret().as_bytes());
    write_key(folder, "epoch", second.identity());

    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    let (_, secrets) = opened.unwrap_or_else(|error| panic!("the vault of our own home: {error}"));
    write_key(folder, "device", secrets.device.hybrid());
    let identity = fs::read(home.vault().join("identity.age")).expect("a vault has one");
    write(folder, "identity.age", &identity);
    write(folder, "identity.passphrase", PASSPHRASE.as_bytes());
}

/// The secret that `committee lock --export` prints.
fn exported(home: &Home, committee: &str) -> EpochSecret {
    let mut command = home.command(&["committee", "lock", committee, "--export", "--yes"]);
    let ran = command.output().expect("the client starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let said = String::from_utf8(ran.stdout).expect("two lines of text");
    let lines: Vec<&str> = said.lines().collect();
    let [identity, passphrase] = lines.as_slice() else { panic!("not two lines: {said}") };
    let passphrase = passphrase.strip_prefix("record passphrase: ").expect("the second line");
    // Refuses a passphrase that does not derive from the identity.
    EpochSecret::from_grant_text(&format!("{identity}\n{passphrase}\n")).expect("an epoch's secret")
}

/// The last lock in the only log of a data folder.
fn last_lock(data: &Path) -> Lock {
    let logs = journal::logs(data);
    let [(_, log)] = logs.as_slice() else { panic!("one committee, one log") };
    let mut locks = log.iter().filter_map(|bytes| {
        let entry = UnverifiedEntry::decode(bytes).expect("an entry");
        let payload = entry.payload().filter(|_| entry.header().kind == Kind::Roster)?;
        match codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).expect("a change") {
            Change::Lock(lock) => Some(*lock),
            _ => None,
        }
    });
    locks.next_back().expect("the locks were changed")
}

/// The plaintext is the shown record: every field of the one with its value in the other.
fn must_hold(plain: &[u8], shown: &Value) {
    let plain: Value = serde_json::from_slice(plain).expect("JSON, padded with spaces");
    for (field, value) in shown.as_object().expect("a record") {
        assert_eq!(plain.get(field), Some(value), "{field} of the record");
    }
    assert!(plain.get("text").is_some(), "the record has no text");
}

fn debian(folder: &Path) {
    age_at_a_terminal(folder, "record");
    same(folder, "record.plain", "record.out");
    age_at_a_terminal(folder, "identity");
    let identity = text(folder, "device.identity");
    let opened = text(folder, "identity.out");
    assert!(opened.lines().any(|line| line == identity.trim()), "identity.age holds another");
    age_at_a_terminal(folder, "backup");
    let backup: Value = serde_json::from_slice(&read(folder, "backup.out")).expect("JSON");
    let committee = &backup["committees"][0];
    assert_eq!(committee["locks"][0]["record_passphrase"], text(folder, "record.passphrase"));
    must_hold(&read(folder, "record.plain"), &committee["records"][0]["record"]);
    println!("Debian's age opened a record, identity.age and a backup, exactly");
}

fn age_at_a_terminal(folder: &Path, name: &str) {
    let mut command = Command::new("age");
    command.args(["--decrypt", "--output", &format!("{name}.out"), &format!("{name}.age")]);
    command.current_dir(folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let mut terminal = Pty::spawn(&command);
    terminal.expect_hidden("Enter passphrase");
    terminal.type_line(&text(folder, &format!("{name}.passphrase")));
    let (status, shown) = terminal.finish();
    assert!(status.success(), "age ended with {status}:\n{shown}");
}

fn open(folder: &Path) {
    let identity: Identity =
        text(folder, "device.identity").trim().parse().expect("our own identity");
    let file = read(folder, "theirs.age");
    let opened = seal::open_named(&file, &identity).expect("sealed to our recipient");
    assert!(*opened == read(folder, "theirs.plain"), "age-encryption sealed something else");
    println!("ours opened what age-encryption sealed to {:.12}…", text(folder, "device.recipient"));
}

/// The programs beside this one.
fn programs() -> Programs {
    let here = std::env::current_exe().expect("Linux knows what runs");
    let beside = |name: &str| -> PathBuf { here.with_file_name(name) };
    Programs { client: beside("sealpost-tested"), relay: beside("sealpost-relay-tested") }
}

fn write_key(folder: &Path, name: &str, identity: &Identity) {
    let secret = identity.to_string();
    write(folder, &format!("{name}.identity"), secret.expose_secret().as_bytes());
    write(folder, &format!("{name}.recipient"), identity.recipient().to_string().as_bytes());
}

fn same(folder: &Path, expected: &str, found: &str) {
    assert!(read(folder, expected) == read(folder, found), "{found} is not {expected}");
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("the folder is ours");
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(folder: &Path, name: &str) -> String {
    String::from_utf8(read(folder, name)).expect("text")
}
