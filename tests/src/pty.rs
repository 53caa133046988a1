//! A person at a terminal: a command on a pseudo-terminal of its own, what it shows, and what is
//! typed.

use std::fmt;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::process::{DEADLINE, readable_within};

/// Ctrl-D at the start of a line: the end of what is typed.
pub const END: &str = "\x04";

/// A command at a terminal. Dropping it kills the command.
pub struct Pty {
    master: OwnedFd,
    child: Child,
    /// Every byte, as the terminal got it.
    bytes: Vec<u8>,
    /// The same as text.
    shown: String,
    /// Up to here [`Pty::expect`] has looked.
    expected: usize,
}

impl Pty {
    /// Starts `command` with a terminal for stdin, stdout and stderr, and as the terminal it asks
    /// for passphrases at. Its environment is what was set on it and nothing else.
    ///
    /// # Panics
    /// When there is no pseudo-terminal, or no `setsid` (util-linux, on every Debian).
    pub fn spawn(command: &Command) -> Self {
        let (master, slave) = terminal().expect("the system gives pseudo-terminals");
        let stream = || Stdio::from(slave.try_clone().expect("a descriptor is left"));
        let mut at_terminal = Command::new("setsid");
        at_terminal.arg("--ctty").arg(command.get_program()).args(command.get_args());
        at_terminal.env_clear().env("TERM", "dumb");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                at_terminal.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            at_terminal.current_dir(folder);
        }
        at_terminal.stdin(stream()).stdout(stream()).stderr(stream());
        let child = at_terminal.spawn().expect("setsid starts");
        Self { master, child, bytes: Vec::new(), shown: String::new(), expected: 0 }
    }

    /// Waits until `words` are shown, after what was expected before, and returns what was shown
    /// until then.
    ///
    /// # Panics
    /// When the command ends first, and at [`DEADLINE`].
    #[track_caller]
    pub fn expect(&mut self, words: &str) -> String {
        loop {
            if let Some(at) = self.shown[self.expected..].find(words) {
                let before = self.shown[self.expected..][..at].to_owned();
                self.expected += at + words.len();
                return before;
            }
            assert!(self.read(), "ended without {words:?}: {self:?}");
        }
    }

    /// As [`Pty::expect`], and then waits until what is typed is not shown any more.
    ///
    /// # Panics
    /// As [`Pty::expect`]; at [`DEADLINE`] when typing stays visible.
    #[track_caller]
    pub fn expect_hidden(&mut self, words: &str) {
        self.expect(words);
        // The system tells nobody when a terminal's modes change, so this looks again and again.
        let until = Instant::now() + DEADLINE;
        let visible = |master| {
            tcgetattr(master).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ECHO))
        };
        while visible(&self.master) {
            assert!(Instant::now() < until, "typing stays visible: {self:?}");
            thread::yield_now();
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the terminal takes nothing.
    pub fn type_line(&self, line: &str) {
        self.type_keys(&format!("{line}\n"));
    }

    /// Types keys, without an end of line.
    ///
    /// # Panics
    /// When the terminal takes nothing.
    pub fn type_keys(&self, keys: &str) {
        let mut left = keys.as_bytes();
        while !left.is_empty() {
            let written = rustix::io::write(&self.master, left).expect("the terminal is open");
            left = &left[written..];
        }
    }

    /// Waits for the command's end; returns how it ended and all that was shown.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn finish(mut self) -> (ExitStatus, String) {
        while self.read() {}
        let status = self.child.wait().expect("it is our child");
        (status, std::mem::take(&mut self.shown))
    }

    /// As [`Pty::finish`], with the very bytes that the terminal got.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn finish_bytes(mut self) -> (ExitStatus, Vec<u8>) {
        while self.read() {}
        let status = self.child.wait().expect("it is our child");
        (status, std::mem::take(&mut self.bytes))
    }

    /// Reads what is shown next; false once the command and its terminal are gone.
    #[track_caller]
    fn read(&mut self) -> bool {
        assert!(readable_within(&self.master, DEADLINE), "shows nothing more: {self:?}");
        let mut buffer = [0; 4 * 1024];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(length) => {
                self.bytes.extend_from_slice(&buffer[..length]);
                // As a whole: a character may have come in two pieces.
                self.shown = String::from_utf8_lossy(&self.bytes).into_owned();
                length > 0
            }
            // How Linux says that nobody has the other end open any more.
            Err(Errno::IO) => false,
            Err(errno) => panic!("reading the terminal: {errno}"),
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Pty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at the terminal:\n{}\n---", self.shown)
    }
}

/// Both ends of a new pseudo-terminal, wide enough that lines are not broken.
fn terminal() -> Result<(OwnedFd, OwnedFd), Errno> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty())?;
    let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size)?;
    Ok((master, slave))
}

#[cfg(test)]
mod tests;
