//! The agent: what it opens and for how long, who may ask it, and that nothing of it is left.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, kill_process, pidfd_open};
use sealpost::vault::{Home as VaultHome, Secrets, Vault};
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::process::{DEADLINE, Process, readable_within};
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use sealpost_tests::scan::Marker;
use sealpost_tests::scene::Scene;
use serde_json::{Value, json};

use crate::programs;

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// An agent that runs. Killed when a test fails before it ended it.
struct Running {
    pid: Pid,
    process: OwnedFd,
}

impl Running {
    /// The one agent of the vault in `folder`.
    #[track_caller]
    fn of(folder: &Path) -> Self {
        let pids = processes(folder);
        let [pid] = pids.as_slice() else { panic!("not one process: {pids:?}") };
        let process = pidfd_open(*pid, PidfdFlags::empty()).expect("it runs");
        Self { pid: *pid, process }
    }

    /// Unlocks the vault of `home`.
    #[track_caller]
    fn unlock(home: &Home, more: &[&str]) -> Self {
        let _ = home.run(&[&["unlock"], more].concat()).exits(0);
        Self::of(&home.vault())
    }

    #[track_caller]
    fn is_gone_within(&self, time: Duration) {
        assert!(readable_within(&self.process, time), "process {:?} goes on", self.pid);
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.as_raw_nonzero().to_string()).join(file)
    }

    /// A line of `/proc/PID/status`, without its name.
    #[track_caller]
    fn status(&self, name: &str) -> String {
        let status = fs::read_to_string(self.proc("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
    }

    /// All of its memory that can be read; nothing once it is gone.
    fn memory(&self) -> io::Result<Vec<u8>> {
        let maps = fs::read_to_string(self.proc("maps"))?;
        let memory = File::open(self.proc("mem"))?;
        let mut all = Vec::new();
        for line in maps.lines().filter(|line| !line.ends_with("[vvar]")) {
            let (range, rest) = line.split_once(' ').expect("a range and more");
            if !rest.starts_with('r') {
                continue;
            }
            let (from, to) = range.split_once('-').expect("a range");
            let address = |text| u64::from_str_radix(text, 16).expect("an address");
            let length = usize::try_from(address(to) - address(from)).expect("it fits");
            let mut bytes = vec![0; length];
            // The kernel's own pages cannot be read through here.
            if memory.read_exact_at(&mut bytes, address(from)).is_ok() {
                all.extend(bytes);
            }
        }
        Ok(all)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone and its number another's: the handle is not.
        let _ = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
    }
}

/// Every process that has the vault in `folder` in its command line.
fn processes(folder: &Path) -> Vec<Pid> {
    let name = folder.to_str().expect("a plain path");
    let of = |entry: fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let has_it = line.split(|byte| *byte == 0).any(|word| word == name.as_bytes());
        Pid::from_raw(pid).filter(|_| has_it)
    };
    fs::read_dir("/proc").expect("it is there").filter_map(|entry| of(entry.ok()?)).collect()
}

/// Runs a command without a passphrase, and without a terminal to ask for one at.
#[track_caller]
fn without_passphrase(home: &Home, arguments: &[&str]) -> Ran {
    let client = home.bare();
    let mut detached = Command::new("setsid");
    detached.arg("--wait").arg(client.get_program()).arg("--home").arg(home.vault());
    detached.args(arguments).arg("--json").env_clear().current_dir(home.disk());
    Process::spawn(&mut detached).finish()
}

#[track_caller]
fn is_locked(home: &Home) {
    let _ = without_passphrase(home, &["record", "list"]).fails(4, "locked");
}

#[track_caller]
fn is_unlocked(home: &Home) {
    let _ = without_passphrase(home, &["record", "list"]).exits(0);
}

fn socket(home: &Home) -> PathBuf {
    home.vault().join("agent.sock")
}

#[test]
fn between_unlock_and_lockup_no_passphrase_is_needed() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    is_locked(&isla);
    assert_eq!(isla.status()["unlocked"], Value::Null);
    let unlocked = isla.run(&["unlock"]).exits(0).json();
    let agent = Running::of(&isla.vault());
    assert!(unlocked["until"].as_str() > unlocked["unused_until"].as_str(), "{unlocked}");
    let new = ["record", "new", "note", "--committee", &committee, "--from"];
    let text =
        isla.file("note.json", json!({ "text": "Hearing on Monday." }).to_string().as_bytes());
    let written = [&new[..], &[text.to_str().expect("a plain path")]].concat();
    let written = without_passphrase(&isla, &written).exits(0).field("ref");
    let _ = without_passphrase(&isla, &["sync"]).exits(0);
    baran.sync();
    assert_eq!(baran.show(&written)["record"]["text"], "Hearing on Monday.");
    // Words, for people, and of the command with the passphrase too.
    let shown = without_passphrase(&isla, &["status"]).exits(0).json();
    assert_eq!(shown["unlocked"]["until"].as_str().map(str::len), Some(24), "{shown}");
    let _ = isla.run_plain(&["status"]).exits(0).says("Unlocked until 2").says("sealpost lockup");

    let _ = isla.run_plain(&["lockup"]).exits(0).says("Locked");
    agent.is_gone_within(Duration::ZERO);
    assert_eq!(processes(&isla.vault()), []);
    assert!(!socket(&isla).exists());
    is_locked(&isla);
    assert_eq!(isla.status()["unlocked"], Value::Null);
    assert_eq!(isla.run(&["lockup"]).exits(0).json(), json!({ "ended": false }));
}

#[test]
fn a_wrong_passphrase_starts_nothing() {
    let home = Home::of(&programs(), "isla");
    fs::write(home.passphrase_file(), "summer light").expect("it is ours");
    let _ = home.run(&["unlock"]).fails(4, "locked");
    assert_eq!(processes(&home.vault()), []);
    is_locked(&home);
}

#[test]
fn a_passphrase_by_flag_is_read_whether_or_not_there_is_an_agent() {
    let home = Home::of(&programs(), "isla");
    let _agent = Running::unlock(&home, &[]);
    fs::write(home.passphrase_file(), "summer light").expect("it is ours");
    let _ = home.run(&["record", "list"]).fails(4, "locked");
    is_unlocked(&home);
}

#[test]
fn its_time_ends_it_and_so_does_idleness() {
    let home = Home::of(&programs(), "isla");
    for limit in [["--for", "4s"], ["--idle", "4s"]] {
        let agent = Running::unlock(&home, &limit);
        agent.is_gone_within(DEADLINE);
        assert_eq!(processes(&home.vault()), []);
        assert!(!socket(&home).exists());
        is_locked(&home);
    }
}

#[test]
fn a_watch_that_the_agent_opened_ends_with_it() {
    let relay = Relay::start(&programs());
    let home = Home::of(&programs(), "isla");
    home.found(relay.address(), &relay.permit(), "Harbour");
    for ends_by in ["lockup", "its time"] {
        let agent =
            Running::unlock(&home, &["--for", if ends_by == "lockup" { "8h" } else { "8s" }]);
        let mut watch = home.bare();
        watch.arg("--home").arg(home.vault()).args(["--json", "sync", "--watch"]);
        let mut watch = Process::spawn(&mut watch);
        // It is in the midst of it, and has the keys.
        let _ = watch.line_where(|line| line.contains("received"));
        if ends_by == "lockup" {
            let _ = home.run(&["lockup"]).exits(0);
        }
        agent.is_gone_within(DEADLINE);
        let _ = watch.finish().fails(4, "locked");
        assert_eq!(processes(&home.vault()), []);
    }
}

#[test]
fn a_second_unlock_begins_anew() {
    let home = Home::of(&programs(), "isla");
    let first = Running::unlock(&home, &["--for", "1h"]);
    let until = |home: &Home| home.status()["unlocked"]["until"].as_str().map(str::to_owned);
    let before = until(&home);
    let second = Running::unlock(&home, &["--for", "2h"]);
    first.is_gone_within(Duration::ZERO);
    assert_ne!(first.pid, second.pid);
    assert!(before.is_some() && until(&home) > before);
    is_unlocked(&home);
}

#[test]
fn one_that_was_killed_or_told_to_end_is_no_hurdle() {
    let home = Home::of(&programs(), "isla");
    let killed = Running::unlock(&home, &[]);
    kill_process(killed.pid, Signal::KILL).expect("it runs");
    killed.is_gone_within(DEADLINE);
    assert!(socket(&home).exists(), "nobody took it away");
    is_locked(&home);
    home.status();
    let told = Running::unlock(&home, &[]);
    is_unlocked(&home);
    kill_process(told.pid, Signal::TERM).expect("it runs");
    told.is_gone_within(DEADLINE);
    assert!(!socket(&home).exists(), "a clean end");
}

#[test]
fn one_that_does_not_answer_is_killed_by_lockup() {
    let home = Home::of(&programs(), "isla");
    let stopped = Running::unlock(&home, &[]);
    kill_process(stopped.pid, Signal::STOP).expect("it runs");
    is_locked(&home);
    let _ = home.run(&["lockup"]).exits(0);
    stopped.is_gone_within(Duration::ZERO);
    assert!(!socket(&home).exists());
}

#[test]
fn one_that_no_lockup_can_reach_ends_by_itself() {
    let home = Home::of(&programs(), "isla");
    let lost = Running::unlock(&home, &[]);
    fs::remove_file(socket(&home)).expect("it is there");
    lost.is_gone_within(DEADLINE);
}

#[test]
fn it_holds_nothing_open_and_does_nothing_but_answer() {
    let home = Home::of(&programs(), "isla");
    // A passphrase's file that the shell opened, and a pipe that somebody reads to its end.
    let mut shell = Command::new("sh");
    let script = "exec \"$0\" --home \"$1\" --passphrase-fd 3 --json unlock 3<\"$2\" 4>&1";
    shell.args(["-c", script]).arg(home.bare().get_program());
    shell.arg(home.vault()).arg(home.passphrase_file());
    let _ = Process::spawn(&mut shell).finish().exits(0);
    let agent = Running::of(&home.vault());
    is_unlocked(&home);
    let mut open: Vec<PathBuf> = fs::read_dir(agent.proc("fd"))
        .expect("it runs")
        .map(|entry| fs::read_link(entry.expect("it runs").path()).expect("it runs"))
        .collect();
    open.retain(|path| path.starts_with("/") && path != Path::new("/dev/null"));
    assert_eq!(open, [home.vault()], "the folder, to reach its own socket through");
    assert_eq!(fs::read_link(agent.proc("cwd")).expect("it runs"), Path::new("/"));
    let ids = fs::read_to_string(agent.proc("stat")).expect("it runs");
    let session =
        ids.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3)).map(str::to_owned);
    assert_eq!(session, Some(agent.pid.as_raw_nonzero().to_string()), "a session of its own");
}

/// What an agent of that home must have in its memory, and nobody else anywhere.
fn secrets(home: &Home) -> Secrets {
    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    opened.expect("it opens").1
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

#[test]
fn the_secrets_are_in_one_place_and_nowhere_after_lockup_and_expiry() {
    if !is_root() {
        return;
    }
    let home = Home::of(&programs(), "isla");
    let kept = secrets(&home).encode();
    let passphrase = Marker::of(PASSPHRASE);
    for ends_by in ["lockup", "its time"] {
        let agent =
            Running::unlock(&home, &["--for", if ends_by == "lockup" { "8h" } else { "8s" }]);
        is_unlocked(&home);
        let memory = agent.memory().expect("root may look");
        // The scan sees them, and so would see a second copy, and the passphrase.
        assert_eq!(count(&memory, &kept), 1, "{ends_by}");
        for seed in kept[..32].chunks(32).chain([&kept[36..68], &kept[70..102], &kept[104..]]) {
            assert_eq!(count(&memory, seed), 1, "{ends_by}");
        }
        assert_eq!(passphrase.in_bytes(&memory), None);
        assert_eq!(fs::read(agent.proc("environ")).expect("root may look"), b"");
        let line = fs::read(agent.proc("cmdline")).expect("it runs");
        assert_eq!(passphrase.in_bytes(&line), None);
        assert_eq!(agent.status("VmSwap"), "0 kB");
        assert_ne!(agent.status("VmLck"), "0 kB", "root may lock memory");
        let limits = fs::read_to_string(agent.proc("limits")).expect("it runs");
        let cores = limits.lines().find(|line| line.starts_with("Max core file size"));
        assert!(cores.is_some_and(|line| line.split_whitespace().nth(4) == Some("0")), "{limits}");

        if ends_by == "lockup" {
            let _ = home.run(&["lockup"]).exits(0);
        }
        agent.is_gone_within(DEADLINE);
        let memory = agent.memory();
        assert!(memory.map_or(true, |memory| memory.is_empty()), "what is gone has no memory");
        assert_eq!(processes(&home.vault()), []);
        let left: Vec<_> = fs::read_dir(home.disk()).expect("it is ours").flatten().collect();
        let names: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
        assert_eq!(names.len(), 2, "a passphrase's file, a vault and no core: {names:?}");
        for file in fs::read_dir(home.vault()).expect("it is ours").flatten() {
            let bytes = fs::read(file.path()).expect("it is ours");
            assert!(kept.chunks(16).all(|part| count(&bytes, part) == 0), "{file:?}");
        }
    }
}

/// Whether this runs as root, who alone becomes another user or sees all memory. Says so past the
/// harness, which keeps what a test that passes prints.
fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        let _ = io::stderr().write_all(b"not run: a part of the agent's tests needs root\n");
    }
    root
}

/// Asks the agent for its state, as that user, and prints how many bytes of an answer come.
fn ask_as(uid: u32, socket: &Path) -> Ran {
    const ASK: &str = "$SIG{PIPE} = q(IGNORE); socket(S, AF_UNIX, SOCK_STREAM, 0) or die; \
        connect(S, sockaddr_un($ARGV[0])) or do { print qq({\"refused\":true}); exit };\
        syswrite(S, qq(\\0\\0\\0\\3\\x82\\0\\x80)); \
        my $n = sysread(S, my $answer, 200); printf qq({\"answered\":%d}), $n || 0;";
    let mut perl = Command::new("setpriv");
    perl.arg(format!("--reuid={uid}")).args(["--clear-groups", "perl", "-MSocket", "-e", ASK]);
    Process::spawn(perl.arg(socket).current_dir("/")).finish().exits(0)
}

#[test]
fn another_user_is_refused_by_the_folder_by_the_socket_and_by_the_agent() {
    if !is_root() {
        return;
    }
    let home = Home::of(&programs(), "isla");
    let _agent = Running::unlock(&home, &[]);
    let open = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    };
    let refused = || assert_eq!(ask_as(NOBODY, &socket(&home)).json(), json!({ "refused": true }));
    // By each alone: what stands before it is opened.
    open(home.disk(), 0o755);
    refused();
    open(&home.vault(), 0o755);
    refused();
    open(&socket(&home), 0o777);
    assert_eq!(ask_as(NOBODY, &socket(&home)).json(), json!({ "answered": 0 }));
    assert_ne!(ask_as(0, &socket(&home)).json(), json!({ "answered": 0 }), "the question is right");
    // Nor does this user ask it while others could have put it there, or unlock into the open.
    is_locked(&home);
    let _ = home.run(&["unlock"]).fails(1, "not-writable").says("chmod 700");
    open(&home.vault(), 0o700);
    is_unlocked(&home);
}

#[test]
fn a_socket_or_folder_of_another_user_is_told_and_asked_for_nothing() {
    if !is_root() {
        return;
    }
    let home = Home::of(&programs(), "isla");
    let _agent = Running::unlock(&home, &[]);
    for path in [socket(&home), home.vault()] {
        chown(&path, Some(NOBODY), None).expect("we are root");
        for command in ["status", "lockup"] {
            let told = without_passphrase(&home, &[command]).fails(1, "other-user");
            let _ = told.says(&NOBODY.to_string()).says("--passphrase-file");
        }
        let _ = home.run(&["record", "list"]).exits(0);
        chown(&path, Some(0), None).expect("we are root");
    }
    is_unlocked(&home);
}

/// A machine whose user is not root, with a client of its own.
struct Ordinary {
    home: Home,
}

impl Ordinary {
    fn new() -> Self {
        let home = Home::empty(&programs());
        fs::copy(home.bare().get_program(), home.disk().join("sealpost")).expect("it is ours");
        for path in [home.disk(), &home.passphrase_file()] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("we are root");
        }
        let ordinary = Self { home };
        let quick = ["init", "--handle", "isla", "--danger-work-factor", "1"];
        let _ = ordinary.run(None, &quick).exits(0);
        ordinary
    }

    /// Runs a command, with the passphrase by descriptor; lockable memory may be limited.
    fn run(&self, lockable: Option<u32>, arguments: &[&str]) -> Ran {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        if let Some(bytes) = lockable {
            command.args(["prlimit", &format!("--memlock={bytes}:{bytes}")]);
        }
        let script = "exec \"$0\" --home \"$1\" --passphrase-fd 3 --json \"${@:3}\" 3<\"$2\"";
        command.args(["bash", "-c", script]).arg(self.home.disk().join("sealpost"));
        command.arg(self.home.vault()).arg(self.home.passphrase_file()).args(arguments);
        Process::spawn(command.current_dir(self.home.disk())).finish()
    }
}

#[test]
fn an_ordinary_users_agent_is_closed_to_that_user_too_and_locks_what_it_may() {
    if !is_root() {
        return;
    }
    let ordinary = Ordinary::new();
    let _ = ordinary.run(Some(64 * 1024), &["unlock"]).exits(0);
    let agent = Running::of(&ordinary.home.vault());
    assert_ne!(agent.status("VmLck"), "0 kB", "a page may be locked");
    for file in ["mem", "environ", "maps"] {
        let mut cat = Command::new("setpriv");
        cat.args(["--reuid=65534", "--regid=65534", "--clear-groups", "head", "-c", "1"]);
        let ran = Process::spawn(cat.arg(agent.proc(file))).finish().exits(1);
        let _ = ran.says("Permission denied");
    }
    // Its own commands reach it all the same, and so does the end.
    assert_eq!(ordinary.run(None, &["status"]).exits(0).json()["unlocked"]["memory_locked"], true);
    let _ = ordinary.run(None, &["lockup"]).exits(0);
    agent.is_gone_within(Duration::ZERO);

    let unlocked = ordinary.run(Some(0), &["unlock"]).exits(0).says("ulimit -l");
    assert_eq!(unlocked.json()["memory_locked"], false);
    let agent = Running::of(&ordinary.home.vault());
    assert_eq!(agent.status("VmLck"), "0 kB");
    let _ = ordinary.run(None, &["lockup"]).exits(0);
}
