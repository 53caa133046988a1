//! A command's side: one question to the agent, within [`DEADLINE`](super::DEADLINE).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sealpost_protocol::hash::Hash;
use zeroize::Zeroizing;

use super::folder::{Folder, SOCKET, must_be_ours};
use super::wire::{self, Answer, Ask, State};
use super::{AgentError, DEADLINE};
use crate::vault::{Home, SECRETS_BYTES, Secrets};

/// A connection to the agent, whose process is this user's by the kernel's word.
pub(super) struct Line {
    stream: UnixStream,
    until: Instant,
    /// None when it runs in a container of its own, whose processes have no number here.
    pid: Option<Pid>,
    folder: Folder,
}

impl Line {
    /// Connects; nothing when nobody listens.
    pub(super) fn reach(home: &Home) -> Result<Option<Self>, AgentError> {
        Self::reach_within(home, DEADLINE)
    }

    /// As [`Self::reach`], with another time for all that is asked.
    pub(super) fn reach_within(home: &Home, time: Duration) -> Result<Option<Self>, AgentError> {
        let Some(folder) = Folder::open(home)? else { return Ok(None) };
        if folder.socket()?.is_none() {
            return Ok(None);
        }
        let stream = match dial(&folder) {
            Ok(stream) => stream,
            // The socket of one that was killed, or that ends just now.
            Err(Errno::CONNREFUSED | Errno::NOENT) => return Ok(None),
            // More wait for it than it ever lets wait.
            Err(Errno::AGAIN) => return Err(AgentError::Silent),
            Err(errno) => return Err(io::Error::from(errno).into()),
        };
        let peer = getsockopt(&stream, PeerCredentials).map_err(io::Error::from)?;
        must_be_ours(&folder.path().join(SOCKET), peer.uid())?;
        let (until, pid) = (Instant::now() + time, Pid::from_raw(peer.pid()));
        Ok(Some(Self { stream, until, pid, folder }))
    }

    /// Whether nobody else can have put the socket there, or be asking it.
    pub(super) fn is_private(&self) -> bool {
        self.folder.is_private()
    }

    /// How the agent stands.
    pub(super) fn state(mut self) -> Result<State, AgentError> {
        match self.ask(Ask::State)? {
            Answer::State(state) => Ok(state),
            _ => Err(AgentError::Foreign),
        }
    }

    /// What it holds, if it is of `identity`.
    pub(super) fn secrets(mut self, identity: Hash) -> Result<Option<Secrets>, AgentError> {
        match self.ask(Ask::Secrets(identity))? {
            Answer::Secrets => {}
            Answer::Other => return Ok(None),
            _ => return Err(AgentError::Foreign),
        }
        let mut bytes = Zeroizing::new([0; SECRETS_BYTES]);
        self.read_exact(bytes.as_mut_slice()).map_err(told)?;
        Secrets::decode(bytes.as_slice()).map(Some).ok_or(AgentError::Foreign)
    }

    /// Ends it and waits until its process is gone. One that does not end by itself is killed: it
    /// may be stopped, or busy with somebody's garbage, and holds secrets.
    pub(super) fn end(mut self) -> Result<(), AgentError> {
        let process = match self.pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Some(Err(Errno::SRCH)) => return Ok(()),
            process => process.transpose().map_err(io::Error::from)?,
        };
        let told = self.ask(Ask::End);
        let Some(process) = process else { return told.map(|_| ()) };
        if matches!(told, Ok(Answer::Ending)) && readable_within(&process, DEADLINE)? {
            return Ok(());
        }
        match pidfd_send_signal(&process, Signal::KILL) {
            Err(Errno::SRCH) => {}
            sent => sent.map_err(io::Error::from)?,
        }
        if !readable_within(&process, DEADLINE)? {
            return Err(AgentError::DoesNotEnd);
        }
        Ok(self.folder.remove_socket()?)
    }

    fn ask(&mut self, ask: Ask) -> Result<Answer, AgentError> {
        wire::send(self, &ask).and_then(|()| wire::receive(self)).map_err(told)
    }

    /// For the next call to the system: the deadline is for all of them together.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(bytes)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects without waiting in a queue, which the system would do for ever.
fn dial(folder: &Folder) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(folder.socket_path())?)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket.into())
}

/// Whether there is something to read, or an end to be noticed, in that time.
pub(super) fn readable_within(descriptor: impl AsFd, time: Duration) -> io::Result<bool> {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = left.try_into().map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

fn told(error: io::Error) -> AgentError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AgentError::Silent,
        io::ErrorKind::InvalidData => AgentError::Foreign,
        _ => error.into(),
    }
}
