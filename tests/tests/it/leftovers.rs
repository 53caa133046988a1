//! What is left of the secrets when a vault is locked again, whichever way: nothing in the memory,
//! environment or command line of any process of that home, in no file, and in no core dump.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sealpost::vault::{Home as VaultHome, Read, Vault};
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::id::Epoch;
use sealpost_protocol::seal::EpochSecret;
use sealpost_tests::agent::{self, Running, memory, processes};
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::process::{DEADLINE, Process};
use sealpost_tests::scan::Marker;
use sealpost_tests::scene::Scene;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::agent::{is_unlocked, watches_until_it_ends};
use crate::as_root::is_root;
use crate::programs;

/// What opens anything of a home.
struct Secrets {
    /// What the agent holds: name and bytes.
    kept: Vec<(&'static str, Vec<u8>)>,
    /// All of it, in every spelling: the passphrase and what opens records too.
    markers: Vec<Marker>,
}

impl Secrets {
    /// Those of a home that is in one committee, under its first lock.
    fn of(home: &Home) -> Self {
        let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
        let (vault, secrets) = opened.unwrap_or_else(|error| panic!("our own home: {error}"));
        let no = vault.read(Read::committees).unwrap()[0].no;
        let epoch = vault.read(|read| read.epoch_secret(no, Epoch(1))).unwrap().unwrap();
        let epoch: Identity = epoch.expose_secret().parse().unwrap();
        let epoch = EpochSecret::generate(epoch.seed());
        let device = &secrets.device;
        let kept = vec![
            ("the vault's key", secrets.vault_key.to_vec()),
            ("the signing key", device.signing_key().as_bytes().to_vec()),
            ("the login key", device.login_key().as_bytes().to_vec()),
            ("the hybrid seed", device.hybrid().seed().to_vec()),
        ];
        let of_bytes = kept.iter().map(|(name, bytes)| Marker::of_bytes(name, bytes));
        let mut markers: Vec<Marker> = of_bytes.collect();
        markers.push(Marker::of_bytes("the lock's seed", epoch.seed()));
        let records = epoch.record_passphrase();
        markers
            .push(Marker::of_bytes("the records' passphrase", records.expose_secret().as_bytes()));
        markers.push(Marker::of(PASSPHRASE));
        Self { kept, markers }
    }

    /// Which of them are in these bytes.
    fn in_bytes(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let found = self.markers.iter().filter(|marker| marker.in_bytes(bytes).is_some());
        found.map(Marker::text).collect()
    }

    /// Every place on that machine that holds one of them: processes of that home, and its files.
    fn anywhere(&self, home: &Home) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for pid in processes(&home.vault()) {
            // One that ends meanwhile has nothing.
            let read = |file| fs::read(agent::proc(pid, file)).unwrap_or_default();
            let parts = [
                ("memory", memory(pid).unwrap_or_default()),
                ("environ", read("environ")),
                ("cmdline", read("cmdline")),
            ];
            for (part, bytes) in &parts {
                found.extend(self.in_bytes(bytes).iter().map(|what| format!("{part}: {what}")));
            }
        }
        for marker in &self.markers {
            for place in marker.in_folder(home.disk()) {
                found.insert(format!("{}: {}", place.place, marker.text()));
            }
        }
        found
    }
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

/// Unlocks as people do: the passphrase stands in no file.
#[track_caller]
fn unlock(home: &Home, more: &[&str]) {
    let (status, shown) = home.unlocked_at_terminal(&[&["unlock"], more].concat()).finish();
    assert!(status.success(), "{shown}");
}

/// What is asserted of an agent that runs: the secrets are there once, and nowhere else in sight.
#[track_caller]
fn keeps_them_in_one_place(agent: &Running, secrets: &Secrets) {
    let memory = memory(agent.pid()).expect("root may look");
    for (name, bytes) in &secrets.kept {
        assert_eq!(count(&memory, bytes), 1, "{name}");
    }
    assert_eq!(secrets.in_bytes(&memory), secrets.kept.iter().map(|(name, _)| *name).collect());
    assert_eq!(fs::read(agent.proc("environ")).expect("root may look"), b"");
    assert_eq!(agent.status("VmSwap"), "0 kB");
    assert_ne!(agent.status("VmLck"), "0 kB", "root may lock memory");
}

#[test]
fn the_secrets_are_in_one_place_and_nowhere_after_lockup_and_expiry() {
    if !is_root() {
        return;
    }
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let secrets = Secrets::of(&isla);
    // The search sees the file that tests have, and people have not.
    let seen = secrets.anywhere(&isla);
    assert_eq!(seen, BTreeSet::from([format!("passphrase: {PASSPHRASE}")]));
    fs::remove_file(isla.passphrase_file()).expect("it is ours");
    let nowhere = |after: &str| {
        assert_eq!(processes(&isla.vault()), [], "{after}");
        assert_eq!(secrets.anywhere(&isla), BTreeSet::new(), "{after}");
        let names: Vec<_> = fs::read_dir(isla.disk()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "{after}: a vault and nothing beside it: {names:?}");
    };
    nowhere("before");

    unlock(&isla, &["--for", "8h"]);
    let agent = Running::of(&isla.vault());
    is_unlocked(&isla);
    keeps_them_in_one_place(&agent, &secrets);
    let mut watch = Process::spawn(&mut agent::without_passphrase(&isla, &["sync", "--watch"]));
    let _ = watch.line().expect("it stays");
    baran.record_new("note", &committee, &json!({ "text": "Hearing on Monday." }));
    // It opened that record, for which it has the lock.
    let _ = watch.line_where(|line| line.contains("\"received\":1"));
    let held = secrets.kept.iter().map(|(name, _)| *name).chain(["the lock's seed"]);
    let held: BTreeSet<String> = held.map(|name| format!("memory: {name}")).collect();
    assert_eq!(secrets.anywhere(&isla), held);
    assert_eq!(agent::status(watch.pid(), "VmSwap"), "0 kB");
    let _ = isla.run(&["lockup"]).exits(0);
    agent.is_gone_within(Duration::ZERO);
    let _ = watch.finish().fails(4, "locked");
    nowhere("lockup");

    for limit in ["--for", "--idle"] {
        watches_until_it_ends(&isla, limit, |more| unlock(&isla, more));
        nowhere(limit);
    }
}

/// Names that tell of a core dump, in a folder.
fn cores(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).expect("it can be listed").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("core")).collect()
}

/// A command that may leave core dumps of any size.
fn may_dump(command: &Command) -> Command {
    let mut may = Command::new("prlimit");
    may.arg("--core=unlimited:unlimited").arg(command.get_program()).args(command.get_args());
    may
}

#[test]
fn a_crash_of_the_agent_leaves_no_core_dump() {
    if !is_root() {
        return;
    }
    let home = Home::of(&programs(), "isla");
    // On most machines a program that takes no care leaves one in its folder.
    let elsewhere = tempfile::tempdir().expect("the temporary folder is writable");
    let mut crash = Command::new("sh");
    crash.args(["-c", "kill -SEGV $$"]);
    let crashed = Process::spawn(may_dump(&crash).current_dir(elsewhere.path())).wait();
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("it is there");
    let in_its_folder = crashed.core_dumped() && !pattern.starts_with(['|', '/']);
    assert!(!in_its_folder || !cores(elsewhere.path()).is_empty(), "{crashed}, {pattern}");

    let _ = Process::spawn(&mut may_dump(&home.command(&["unlock"]))).finish().exits(0);
    let agent = Running::of(&home.vault());
    let limits = fs::read_to_string(agent.proc("limits")).expect("it runs");
    let limit = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(limit.is_some_and(|line| line.split_whitespace().nth(4) == Some("0")), "{limits}");
    let folder = fs::read_link(agent.proc("cwd")).expect("root may look");
    let before = cores(&folder);
    // The first one ends at most the runtime's own handler, which waits for a fault to come again.
    let until = Instant::now() + DEADLINE;
    while !agent.ends_within(Duration::from_millis(10)) {
        assert!(Instant::now() < until, "{agent:?} goes on");
        agent.signal(Signal::SEGV);
    }
    assert_eq!(cores(&folder), before);
    for folder in [home.disk(), &home.vault()] {
        assert_eq!(cores(folder), BTreeSet::new());
    }
}
