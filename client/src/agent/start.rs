//! Starting an agent.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::line::readable_within;
use super::wire::{self, State, Terms};
use super::{AgentError, end, state};
use crate::vault::{Home, Secrets};

/// How long a started agent may take until it serves, on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// What is read of its complaint.
const COMPLAINT_BYTES_MAX: u64 = 1024;

/// Starts an agent for the vault in `home`, in place of one that runs, and returns when it answers.
pub fn start(home: &Home, terms: &Terms, secrets: &Secrets) -> Result<State, AgentError> {
    let gone = || AgentError::Io(io::ErrorKind::NotFound.into());
    let folder = Folder::open(home)?.ok_or_else(gone)?;
    folder.must_be_ours()?;
    if !folder.is_private() {
        return Err(AgentError::OpenFolder(home.path().to_owned()));
    }
    end(home)?;
    let mut child = spawn(home)?;
    let started = hand_over(&mut child, terms, secrets).and_then(|()| {
        state(home)?.ok_or_else(|| AgentError::NotStarted("it does not answer".to_owned()))
    });
    if started.is_err() {
        // It has ended already, or is of no use; waited for, so that it is gone.
        let _ = child.kill();
        let _ = child.wait();
    }
    started
}

/// This program once more, with nothing of ours but two pipes: the secrets go through one of them,
/// never through arguments or environment, and the other ends when it serves.
fn spawn(home: &Home) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--home")
        .arg(std::path::absolute(home.path())?)
        .arg("agent")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// Gives it what it is to hold, and waits until it serves.
fn hand_over(child: &mut Child, terms: &Terms, secrets: &Secrets) -> Result<(), AgentError> {
    let (Some(mut stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(AgentError::NotStarted("it has no streams".to_owned()));
    };
    // When it ended before it read them, its complaint says why.
    let _ = wire::send(&mut stdin, terms).and_then(|()| stdin.write_all(&secrets.encode()));
    drop(stdin);
    let complaint = read_within(stderr, START_DEADLINE)?;
    if complaint.is_empty() { Ok(()) } else { Err(AgentError::NotStarted(complaint)) }
}

/// All that comes out of `pipe`, until it is closed or says too much.
fn read_within(pipe: ChildStderr, time: Duration) -> io::Result<String> {
    let until = Instant::now() + time;
    let mut said = Vec::new();
    let mut pipe = pipe.take(COMPLAINT_BYTES_MAX);
    loop {
        if !readable_within(pipe.get_ref(), until.saturating_duration_since(Instant::now()))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut some = [0; 256];
        match pipe.read(&mut some)? {
            0 => return Ok(String::from_utf8_lossy(&said).trim().to_owned()),
            length => said.extend_from_slice(&some[..length]),
        }
    }
}
