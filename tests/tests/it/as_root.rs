//! What only root can show: that other users of the machine are refused, the vault's own user among them.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;
use sealpost_tests::agent::Running;
use sealpost_tests::home::Home;
use sealpost_tests::process::Process;
use sealpost_tests::ran::Ran;
use serde_json::json;

use crate::agent::{is_locked, is_unlocked, socket, without_passphrase};
use crate::programs;

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// Whether this runs as root, who alone becomes another user or sees all memory. Says so past the
/// harness, which keeps what a test that passes prints: `.ci/run` looks for these lines, and runs the
/// tests that they name as root.
pub(crate) fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        let test = thread::current().name().unwrap_or_default().to_owned();
        let _ = io::stderr().write_all(format!("\nnot run without root: {test}\n").as_bytes());
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
