//! Where the agent's socket is: in the vault's folder, which is its owner's alone.
//!
//! The folder is opened once, and whose it is asked of what was opened; the socket is then reached
//! through it. So nobody can put another in its place between looking and asking, and the kernel's
//! 108 bytes for a socket's path are enough however deep the vault lies.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, chmodat, fstat, open, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::AgentError;
use crate::vault::Home;

/// The socket's name in the vault's folder.
pub(super) const SOCKET: &str = "agent.sock";

/// The vault's folder, open.
pub(super) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

/// A socket, told from any that comes to its place later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketId {
    device: u64,
    inode: u64,
}

impl Folder {
    /// Opens the folder of `home`; nothing when there is none.
    pub(super) fn open(home: &Home) -> io::Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match open(home.path(), flags, Mode::empty()) {
            Ok(handle) => Ok(Some(Self { handle, path: home.path().to_owned() })),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// An error when the folder is another user's.
    pub(super) fn must_be_ours(&self) -> Result<(), AgentError> {
        must_be_ours(&self.path, fstat(&self.handle).map_err(io::Error::from)?.st_uid)
    }

    /// Whether nobody else can enter it, whatever is in it.
    pub(super) fn is_private(&self) -> bool {
        fstat(&self.handle).is_ok_and(|stat| stat.st_mode & 0o077 == 0)
    }

    /// The socket that is there; an error when another user put it there, or could have.
    pub(super) fn socket(&self) -> Result<Option<SocketId>, AgentError> {
        let Some(stat) = self.stat()? else { return Ok(None) };
        self.must_be_ours()?;
        must_be_ours(&self.path.join(SOCKET), stat.st_uid)?;
        let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
        Ok(is_socket.then_some(SocketId { device: stat.st_dev, inode: stat.st_ino }))
    }

    /// A path to the socket that is short and leads through the open folder.
    pub(super) fn socket_path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.handle.as_raw_fd().to_string()).join(SOCKET)
    }

    /// The path as it was given, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets nobody else connect to the socket, also when the folder is opened to others later.
    pub(super) fn close_socket_to_others(&self) -> io::Result<()> {
        let owner = Mode::RUSR | Mode::WUSR;
        Ok(chmodat(&self.handle, SOCKET, owner, AtFlags::empty())?)
    }

    /// Removes the socket; one that is not there is no error.
    pub(super) fn remove_socket(&self) -> io::Result<()> {
        match unlinkat(&self.handle, SOCKET, AtFlags::empty()) {
            Err(errno) if errno != Errno::NOENT => Err(errno.into()),
            _ => Ok(()),
        }
    }

    fn stat(&self) -> io::Result<Option<Stat>> {
        match statat(&self.handle, SOCKET, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// An error when `uid`, whose `path` is, is not this user.
pub(super) fn must_be_ours(path: &Path, uid: u32) -> Result<(), AgentError> {
    if uid == geteuid().as_raw() {
        return Ok(());
    }
    Err(AgentError::OtherUser { path: path.to_owned(), uid })
}
