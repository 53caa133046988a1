//! The socket's path. The kernel takes 108 bytes, with the zero at the end; a data folder may lie
//! deeper, so a long path goes through an open handle on the folder.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::FILE;

/// `sun_path`, without the zero at its end.
const PATH_BYTES_MAX: usize = 107;

/// A path by which the socket can be bound or reached while this lives.
pub(super) struct Reachable {
    path: PathBuf,
    /// What the path goes through.
    _folder: Option<OwnedFd>,
}

impl Reachable {
    /// The socket of the data folder at `root`.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let path = root.join(FILE);
        if path.as_os_str().as_bytes().len() <= PATH_BYTES_MAX {
            return Ok(Self { path, _folder: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(root, flags, Mode::empty())?;
        let through = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        Ok(Self { path: through.join(FILE), _folder: Some(folder) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
