//! Another peer for large files: sendme, straight from one process to another over QUIC. It encrypts on
//! the way only, and what it wrote need not be on the disk yet.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::transfer::settle;

/// No server of others in between, and nothing drawn.
const ALONE: [&str; 3] = ["--relay", "disabled", "--no-progress"];

/// What one file took, in seconds from the sender's start.
pub(crate) struct Took {
    /// To the receiver's end.
    pub(crate) received: f64,
    /// Until what both wrote was on the disk.
    pub(crate) synced: f64,
}

/// Sends one file; none where it is not installed.
pub(crate) fn round(file: &Path) -> Option<Took> {
    let (from, to) = (folder(), folder());
    let began = Instant::now();
    let mut send = sendme(from.path());
    send.args(["send", "--ticket-type", "addresses"]).args(ALONE).arg(file).stdout(Stdio::piped());
    let mut sender = Sender(send.spawn().ok()?);
    let said = BufReader::new(sender.0.stdout.take().expect("it is piped"));
    let ticket = said.lines().map_while(Result::ok).find_map(|line| {
        let ticket = line.strip_prefix("sendme receive ")?.split_whitespace().next()?;
        Some(ticket.to_owned())
    })?;
    let received =
        sendme(to.path()).arg("receive").args(ALONE).arg(ticket).stdout(Stdio::null()).status();
    let ended = began.elapsed().as_secs_f64();
    settle();
    let took = Took { received: ended, synced: began.elapsed().as_secs_f64() };
    let out = to.path().join(file.file_name().expect("a file"));
    let is_whole = fs::metadata(out).ok()?.len() == fs::metadata(file).ok()?.len();
    (received.ok()?.success() && is_whole).then_some(took)
}

fn sendme(folder: &Path) -> Command {
    let mut command = Command::new("sendme");
    // It keeps its store where it is started.
    command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("the temporary folder is writable")
}

struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
