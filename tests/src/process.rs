//! A process under test: started, listened to, signalled, and gone when its owner is gone.
//!
//! Nothing here sleeps. Whoever waits does so for an event (a line, the end of a stream, the end
//! of the process) and gives up at [`DEADLINE`], saying what it had seen until then.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::ran::Ran;

/// How long anything may take before a test says that it hangs: an unoptimised build on a busy
/// machine needs seconds, never this.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A running process. Dropping it kills it, by its pid, and waits for it.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
    shown: String,
}

impl Process {
    /// Starts `command` with its streams in our hands. A stream that was redirected already, say
    /// to a file, stays so and shows as empty here.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Stdio::piped())
    }

    /// As [`Process::spawn`], with another place for its stderr.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_with(command: &mut Command, stderr: Stdio) -> Self {
        let shown = shown(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        let stdin = child.stdin.take();
        let stdout = Stream::of(child.stdout.take());
        let stderr = Stream::of(child.stderr.take());
        Self { child, stdin, stdout, stderr, shown }
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Gives it `bytes` on stdin, and then stdin's end. It may end before it has read them.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(mut stdin) = self.stdin.take() else { return };
        let bytes = bytes.to_vec();
        // A thread of its own: whoever writes more than a pipe holds would wait for a reader that
        // waits for us.
        thread::spawn(move || {
            let _ = stdin.write_all(&bytes);
        });
    }

    /// The next line of stdout, without its line feed; none at the end of the stream.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        match self.stdout.line() {
            Ok(line) => line,
            Err(Late) => self.hangs("waits for a line of stdout"),
        }
    }

    /// The first line of stdout that `wanted` accepts.
    ///
    /// # Panics
    /// At [`DEADLINE`], and when stdout ends before.
    #[track_caller]
    pub fn line_where(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            match self.line() {
                Some(line) if wanted(&line) => return line,
                Some(_) => {}
                None => self.hangs("waits for a line that never came; stdout ended"),
            }
        }
    }

    /// The first line of stderr that `wanted` accepts.
    ///
    /// # Panics
    /// At [`DEADLINE`], and when stderr ends before.
    #[track_caller]
    pub fn talk_where(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            match self.stderr.line() {
                Ok(Some(line)) if wanted(&line) => return line,
                Ok(Some(_)) => {}
                Ok(None) => self.hangs("waits for a line that never came; stderr ended"),
                Err(Late) => self.hangs("waits for a line of stderr"),
            }
        }
    }

    /// Sends a signal. A process that is gone already gets none.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Waits for its end and returns all it wrote. Stdin ends now, if it has not before.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        drop(self.stdin.take());
        if self.stdout.gather().is_err() || self.stderr.gather().is_err() {
            self.hangs("does not end");
        }
        let status = self.wait();
        Ran {
            shown: self.shown.clone(),
            status,
            stdout: std::mem::take(&mut self.stdout.seen),
            stderr: std::mem::take(&mut self.stderr.seen),
        }
    }

    /// Whether it ends in that time, for what takes longer than anything in a test. It stays to be
    /// waited for, and must not say more than a pipe holds.
    pub fn ends_within(&self, time: Duration) -> bool {
        ends_within(&self.child, time)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        if !ends_within(&self.child, DEADLINE) {
            self.hangs("does not end");
        }
        self.child.wait().expect("it is our child and was not waited for elsewhere")
    }

    #[track_caller]
    fn hangs(&mut self, why: &str) -> ! {
        self.stdout.drain();
        self.stderr.drain();
        panic!(
            "{} {why}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            String::from_utf8_lossy(&self.stdout.seen),
            String::from_utf8_lossy(&self.stderr.seen),
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it ended by itself and was waited for, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.child.id(), self.shown)
    }
}

/// The command line, for messages.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Whether it ends in that time. It stays to be waited for.
fn ends_within(child: &Child, time: Duration) -> bool {
    // Once waited for there is no such process any more.
    let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else { return true };
    readable_within(&pidfd, time)
}

/// Whether there is something to read, or an end to be noticed, in that time.
///
/// # Panics
/// When the system does not tell.
pub fn readable_within(descriptor: impl AsFd, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = left.try_into().expect("deadlines are seconds");
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => panic!("poll: {errno}"),
        }
    }
}

/// [`DEADLINE`] passed.
struct Late;

/// What comes out of a process, gathered by a thread so that the process never waits for us.
struct Stream {
    chunks: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// Up to here lines were taken.
    taken: usize,
}

impl Stream {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (sender, chunks) = mpsc::channel();
        if let Some(mut pipe) = pipe {
            thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                    if sender.send(buffer[..length].to_vec()).is_err() {
                        return;
                    }
                }
            });
        }
        Self { chunks, seen: Vec::new(), taken: 0 }
    }

    fn line(&mut self) -> Result<Option<String>, Late> {
        loop {
            let fresh = &self.seen[self.taken..];
            if let Some(length) = fresh.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&fresh[..length]).into_owned();
                self.taken += length + 1;
                return Ok(Some(line));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    fn gather(&mut self) -> Result<(), Late> {
        while self.more()? {}
        Ok(())
    }

    /// Waits for more; false at the end.
    fn more(&mut self) -> Result<bool, Late> {
        match self.chunks.recv_timeout(DEADLINE) {
            Ok(chunk) => self.seen.extend(chunk),
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
            Err(RecvTimeoutError::Timeout) => return Err(Late),
        }
        Ok(true)
    }

    /// Takes what is there already.
    fn drain(&mut self) {
        while let Ok(chunk) = self.chunks.try_recv() {
            self.seen.extend(chunk);
        }
    }
}
