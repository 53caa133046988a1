//! A large file from one person to another: sealed, sent and stored durably; fetched, verified and
//! opened. The real client and a relay process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealpost_tests::home::Home;
use sealpost_tests::programs::Programs;
use sealpost_tests::relay::Relay;
use serde_json::json;

/// Read and written at a time.
const STEP_BYTES: usize = 1024 * 1024;
/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Two people and a relay.
pub(crate) struct Transfer {
    relay: Relay,
    sender: Home,
    receiver: Home,
    committee: String,
    sent: u32,
}

/// What one file took.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// Sealed, sent and durable at the relay, in seconds.
    pub(crate) into: f64,
    /// Fetched, verified, opened and on disk, in seconds.
    pub(crate) out: f64,
    /// The most memory that a client had, in bytes.
    pub(crate) client_bytes: u64,
    /// The most that the relay had so far.
    pub(crate) relay_bytes: u64,
}

impl Transfer {
    pub(crate) fn start(programs: &Programs) -> Self {
        let relay = Relay::start(programs);
        let (sender, receiver) = (Home::of(programs, "isla"), Home::of(programs, "baran"));
        let committee = sender.found(relay.address(), &relay.permit(), "Harbour");
        sender.let_in(&committee, &receiver);
        Self { relay, sender, receiver, committee, sent: 0 }
    }

    /// Has a file of so many bytes sent and saved.
    pub(crate) fn round(&mut self, bytes: u64) -> Took {
        self.sent += 1;
        let note = json!({ "text": format!("film {}", self.sent) });
        let record = self.sender.record_new("note", &self.committee, &note).reference;
        self.receiver.sync();
        let path = self.sender.disk().join("film.bin");
        write_random(&path, bytes);
        settle();
        let file = path.to_str().expect("a plain name");
        let began = Instant::now();
        let attach = ["attach", &record, file, "--as", "other", "--later"];
        let sealing = peak(&self.sender, &attach);
        let sending = peak(&self.sender, &["sync"]);
        let into = began.elapsed().as_secs_f64();
        let out = self.receiver.disk().join("out");
        let began = Instant::now();
        let fetching = peak(&self.receiver, &["sync"]);
        let save = ["save", &record, "--out", out.to_str().expect("a plain name")];
        let opening = peak(&self.receiver, &save);
        let taken = began.elapsed().as_secs_f64();
        must_be_same(&path, &only_file(&out));
        fs::remove_dir_all(&out).expect("it was made");
        let client_bytes = [sealing, sending, fetching, opening].into_iter().max().unwrap_or(0);
        let relay_bytes = high_water(self.relay.pid().as_raw_nonzero().get()).unwrap_or(0);
        Took { into, out: taken, client_bytes, relay_bytes }
    }
}

/// Runs a command to its end. The most memory that it was seen to have.
pub(crate) fn peak(home: &Home, arguments: &[&str]) -> u64 {
    let mut command = home.command(arguments);
    let mut child = command.stdout(Stdio::null()).spawn().expect("the client starts");
    let pid = i32::try_from(child.id()).expect("a pid");
    let mut peak = 0;
    loop {
        peak = peak.max(high_water(pid).unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child of ours") {
            assert!(status.success(), "{arguments:?}: {status}");
            return peak;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The most memory a process has had, as the kernel counts it.
fn high_water(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Has the system write all that waits to be written: nobody's time is to hold what others left.
pub(crate) fn settle() {
    rustix::fs::sync();
}

/// Seconds to write a file twice, one after the other, each time until it is on the disk: as it must be with
/// its sender and with the relay.
pub(crate) fn written_twice(path: &Path) -> f64 {
    settle();
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let began = Instant::now();
    for name in ["with its sender", "with the relay"] {
        let (mut from, to) = (File::open(path), File::create(folder.path().join(name)));
        let (from, mut to) = (from.as_mut().expect("it was written"), to.expect("there is room"));
        std::io::copy(from, &mut to).expect("there is room");
        to.sync_all().expect("the disk takes it");
    }
    began.elapsed().as_secs_f64()
}

pub(crate) fn write_random(path: &Path, bytes: u64) {
    let mut file = File::create(path).expect("the temporary folder is writable");
    let mut step = vec![0; STEP_BYTES];
    let mut left = bytes;
    while left > 0 {
        getrandom::fill(&mut step).expect("the system has randomness");
        let some = step.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&step[..some]).expect("there is room");
        left -= some as u64;
    }
}

fn only_file(folder: &Path) -> PathBuf {
    let mut names = fs::read_dir(folder).expect("it was made");
    names.next().expect("one file").expect("it can be read").path()
}

fn must_be_same(one: &Path, other: &Path) {
    let open = |path| File::open(path).expect("it is there");
    let (mut one, mut other) = (open(one), open(other));
    let (mut left, mut right) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
    loop {
        let (first, second) = (fill(&mut one, &mut left), fill(&mut other, &mut right));
        assert!(left[..first] == right[..second], "another file came out than went in");
        if first == 0 {
            return;
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]).expect("it can be read") {
            0 => break,
            read => filled += read,
        }
    }
    filled
}
