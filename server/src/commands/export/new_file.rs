//! A file that is there whole and durably, or not at all, and takes no other's place.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hasher;

use crate::error::{Failure, Kind};
use crate::store::disk::{Disk as _, DiskFile, RealDisk};

const READ_BYTES: usize = 512 * 1024;

/// A file that is being written, under another name.
pub(super) struct NewFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    temporary: PathBuf,
    len: u64,
    kept: bool,
}

/// Refuses a name that is taken.
pub(super) fn must_be_free(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(taken(path)),
        Err(error) => Err(failed("looking for the file", &error)),
    }
}

/// Whether the file is there and is that blob; another one is refused.
pub(super) fn holds(path: &Path, blob: Blob) -> Result<bool, Failure> {
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(|error| failed("reading the file", &error))?,
    };
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut buffer).map_err(|error| failed("reading the file", &error))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    if hasher.finish() == blob.sha256 { Ok(true) } else { Err(taken(path)) }
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        must_be_free(path)?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        // What an export left that was killed.
        match RealDisk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("removing an unfinished file", &error));
            }
            _ => {}
        }
        let file = RealDisk.create(&temporary);
        let file = file.map_err(|error| failed("making the file", &error))?;
        Ok(Self { file, path: path.to_owned(), temporary, len: 0, kept: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all_at(bytes, self.len);
        written.map_err(|error| failed("writing the file", &error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives it its name, durably.
    pub(super) fn keep(mut self) -> Result<(), Failure> {
        let doing = "keeping the file";
        self.file.sync().map_err(|error| failed(doing, &error))?;
        match self.link() {
            Err(Errno::EXIST) => return Err(taken(&self.path)),
            Err(errno) => return Err(failed(doing, &errno.into())),
            Ok(()) => self.kept = true,
        }
        let folder = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = RealDisk.sync_folder(folder.unwrap_or(Path::new(".")));
        synced.map_err(|error| failed(doing, &error))
    }

    fn link(&self) -> rustix::io::Result<()> {
        let (from, to) = (&self.temporary, &self.path);
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // No such call on this file system: a link is never made over anything either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
                rustix::fs::unlinkat(CWD, from, AtFlags::empty())
            }
            renamed => renamed,
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // The next one removes it otherwise.
            let _ = RealDisk.remove(&self.temporary);
        }
    }
}

fn taken(path: &Path) -> Failure {
    Failure::new(Kind::FileExists, format!("{} is there already", path.display()))
        .safe("It was not touched.")
        .next("Name another --out, or move it away.")
}

fn failed(doing: &str, error: &io::Error) -> Failure {
    Failure::io(doing, error).safe("Nothing half-written was left.").next("Name another --out.")
}

#[cfg(test)]
mod tests;
