//! Processes of a vault, seen from outside: the agent, and whatever else has that vault in its command
//! line; and all of their memory, for whoever may look (root).

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::home::Home;
use crate::process::readable_within;

const PAGE_BYTES: usize = 4096;
const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// An agent that runs. Killed when a test fails before it ended it.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    process: OwnedFd,
}

impl Running {
    /// The one agent of the vault in `folder`.
    ///
    /// # Panics
    /// When another number of processes has that folder in its command line.
    #[track_caller]
    pub fn of(folder: &Path) -> Self {
        let pids = processes(folder);
        let [pid] = pids.as_slice() else { panic!("not one process: {pids:?}") };
        let process = pidfd_open(*pid, PidfdFlags::empty()).expect("it runs");
        Self { pid: *pid, process }
    }

    /// The agent of the vault in `folder`, if it has not come to its end already.
    pub fn still_of(folder: &Path) -> Option<Self> {
        let pid = *processes(folder).first()?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Whoever had that number when it was opened: it may have been given away in between.
        processes(folder).contains(&pid).then_some(Self { pid, process })
    }

    /// Unlocks the vault of `home`, for so long that a test does not see the end.
    ///
    /// # Panics
    /// When it cannot be unlocked.
    #[track_caller]
    pub fn unlock(home: &Home, more: &[&str]) -> Self {
        let _ = home.run(&[&["unlock"], more].concat()).exits(0);
        Self::of(&home.vault())
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal, unless it is gone.
    pub fn signal(&self, signal: Signal) {
        // By the handle: its number may be another's.
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it is there after that time.
    #[track_caller]
    pub fn is_gone_within(&self, time: Duration) {
        assert!(self.ends_within(time), "process {:?} goes on", self.pid);
    }

    /// Whether it ends in that time.
    pub fn ends_within(&self, time: Duration) -> bool {
        readable_within(&self.process, time)
    }

    /// A file of its folder below `/proc`.
    pub fn proc(&self, file: &str) -> PathBuf {
        proc(self.pid, file)
    }

    /// A line of `/proc/PID/status`, without its name.
    ///
    /// # Panics
    /// When it is gone, and when there is no such line.
    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        status(self.pid, name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Every process that has the vault in `folder` in its command line.
///
/// # Panics
/// When there is no `/proc`.
pub fn processes(folder: &Path) -> Vec<Pid> {
    let name = folder.to_str().expect("a plain path");
    let of = |entry: fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let has_it = line.split(|byte| *byte == 0).any(|word| word == name.as_bytes());
        Pid::from_raw(pid).filter(|_| has_it)
    };
    fs::read_dir("/proc").expect("it is there").filter_map(|entry| of(entry.ok()?)).collect()
}

/// A file of a process's folder below `/proc`.
pub fn proc(pid: Pid, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join(file)
}

/// A line of a process's `/proc/PID/status`, without its name.
///
/// # Panics
/// When it is gone, and when there is no such line.
#[track_caller]
pub fn status(pid: Pid, name: &str) -> String {
    let status = fs::read_to_string(proc(pid, "status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

/// All memory of a process that can be read and may have been written; nothing once it is gone.
///
/// Without the pages that are all zero, of which there are many, and without what was mapped from a file
/// and cannot be written: the program itself.
///
/// # Errors
/// When it is gone, and when this user may not look.
///
/// # Panics
/// When the system tells of it in another way than it does.
pub fn memory(pid: Pid) -> io::Result<Vec<u8>> {
    let maps = fs::read_to_string(proc(pid, "maps"))?;
    let memory = File::open(proc(pid, "mem"))?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| !line.ends_with("[vvar]")) {
        let (range, rest) = line.split_once(' ').expect("a range and more");
        if !rest.starts_with('r') || (!rest.starts_with("rw") && rest.contains('/')) {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let length = usize::try_from(address(to) - address(from)).expect("it fits");
        let mut bytes = vec![0; length];
        // The kernel's own pages cannot be read through here.
        if memory.read_exact_at(&mut bytes, address(from)).is_ok() {
            let pages = bytes.chunks(PAGE_BYTES);
            for page in pages.filter(|page| **page != ZEROS[..page.len()]) {
                all.extend_from_slice(page);
            }
        }
    }
    Ok(all)
}

/// A command on that machine without a passphrase, and without a terminal to ask for one at.
pub fn without_passphrase(home: &Home, arguments: &[&str]) -> Command {
    let client = home.bare();
    let mut detached = Command::new("setsid");
    detached.arg("--wait").arg(client.get_program()).arg("--home").arg(home.vault());
    detached.args(arguments).arg("--json").env_clear().current_dir(home.disk());
    detached
}
