//! All file work of the store, behind two small traits: [`RealDisk`], and [`faulty::FaultyDisk`]
//! which models what a disk may do to us. Nothing else in the store touches files.
//!
//! A call blocks. Paths are absolute or relative to the process, as the caller likes.

use std::ffi::CString;
use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{self, AtFlags, FallocateFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

pub mod faulty;

/// A file, from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name in its folder.
    pub name: String,
    /// How many bytes it has.
    pub len: u64,
    /// When it was last written to.
    pub written: SystemTime,
}

/// A disk with folders and files.
pub trait Disk: Debug + Send + Sync {
    /// Makes a file that must not exist yet, readable by its owner alone.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that exists; for reading only, where the whole disk is.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a folder, for its owner alone; one that exists is made so. Parents must exist.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// The files in a folder, sorted by name, without opening any. What is no file is left out.
    fn files(&self, folder: &Path) -> io::Result<Vec<FileInfo>>;
    /// Renames a file, over another one if need be. Into another folder it is durable there once that
    /// one is synced, and may stand in both until the old one is: sync the new one first.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Takes the file as a lock, making it if need be; `None` when another holder has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
    /// How many bytes an unprivileged process may still write.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
    /// The folder of that name for a library that does its own file work, if this disk has one.
    fn host_folder(&self, path: &Path) -> Option<PathBuf>;
    /// Removes such a folder with all that is in it; one that does not exist is no error.
    fn remove_host_folder(&self, path: &Path) -> io::Result<()>;
}

/// An open file, for reading and writing at any place, by several threads.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait DiskFile: Debug + Send + Sync {
    /// Reads at most `buffer.len()` bytes; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at most `bytes.len()` bytes; may write fewer.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// The length of the file.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves room up to `len` and lengthens the file to it with zeros. [`io::ErrorKind::StorageFull`] or
    /// [`io::ErrorKind::QuotaExceeded`] when there is none.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// Makes contents and length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

/// A held lock; dropping it gives it back.
pub trait DiskLock: Debug + Send + Sync {}

impl dyn DiskFile + '_ {
    /// Writes all of `bytes`. An error may come after some were written.
    pub fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write_at(bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    /// Reads up to the end of the file or of `buffer`; how much it was.
    pub fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.read_at(&mut buffer[filled..], offset + filled as u64)?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }

    /// Fills `buffer`, or fails with [`io::ErrorKind::UnexpectedEof`].
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_up_to(buffer, offset)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// Whether a failed write says that there is no room (or no right to write at all): nothing is
/// broken, and it may pass.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// A whole file, or `None` when it does not exist.
pub(super) fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_file_up_to(disk, path, usize::MAX)
}

/// As [`read_file`]; a file of more than `max` bytes is [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read_file_up_to(
    disk: &dyn Disk,
    path: &Path,
    max: usize,
) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let len = usize::try_from(file.len()?).ok().filter(|len| *len <= max);
    let len = len.ok_or(io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    let read = file.read_up_to(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts `bytes` in place of what `path` held, whole or not at all, and durably.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    remove_if_there(disk, &temporary)?;
    let file = disk.create(&temporary)?;
    file.write_all_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Removes a file that need not exist.
pub(super) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_MODE: Mode = Mode::RWXU;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(Box::new(RealFile(retry_on_intr(|| fs::open(path, flags, FILE_MODE))?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let open = |flags| retry_on_intr(|| fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()));
        // A copy that is mounted so that nothing changes in it can still be read, and checked.
        let file = match open(OFlags::RDWR) {
            Err(Errno::ROFS) => open(OFlags::RDONLY)?,
            opened => opened?,
        };
        Ok(Box::new(RealFile(file)))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::mkdir(path, FOLDER_MODE) {
            Err(Errno::EXIST) => Ok(fs::chmod(path, FOLDER_MODE)?),
            made => Ok(made?),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(open_folder(folder)?)? {
            let name = CString::from(entry?.file_name()).into_string();
            match name {
                Ok(name) if name != "." && name != ".." => names.push(name),
                Ok(_) => {}
                Err(_) => return Err(io::Error::other("a file name that is not UTF-8")),
            }
        }
        names.sort();
        Ok(names)
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<FileInfo>> {
        let opened = open_folder(folder)?;
        let mut files = Vec::new();
        for name in self.list(folder)? {
            let found = match fs::statat(&opened, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                // Removed since.
                Err(Errno::NOENT) => continue,
                found => found?,
            };
            if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
                let len = u64::try_from(found.st_size).map_err(io::Error::other)?;
                // What was written before 1970 was not.
                let seconds = u64::try_from(found.st_mtime).unwrap_or(0);
                let written = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
                files.push(FileInfo { name, len, written });
            }
        }
        Ok(files)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(fs::rename(from, to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(fs::CWD, path, AtFlags::empty())?)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Ok(fs::fsync(open_folder(folder)?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let open = |flags| retry_on_intr(|| fs::open(path, flags | OFlags::CLOEXEC, FILE_MODE));
        let file = match open(OFlags::RDWR | OFlags::CREATE) {
            Err(Errno::ROFS) => open(OFlags::RDONLY)?,
            opened => opened?,
        };
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(RealLock(file)))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let statistics = fs::statvfs(folder)?;
        Ok(statistics.f_bavail.saturating_mul(statistics.f_frsize))
    }

    fn host_folder(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }

    fn remove_host_folder(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| fs::open(path, flags, Mode::empty()))?)
}

#[derive(Debug)]
struct RealFile(OwnedFd);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.0, &mut *buffer, offset))?)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pwrite(&self.0, bytes, offset))?)
    }

    fn len(&self) -> io::Result<u64> {
        u64::try_from(fs::fstat(&self.0)?.st_size).map_err(io::Error::other)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::ftruncate(&self.0, len))?)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match retry_on_intr(|| fs::fallocate(&self.0, FallocateFlags::empty(), 0, len)) {
            // No such call on this file system: the zeros that the journal writes reserve the room.
            Err(Errno::OPNOTSUPP) => self.set_len(len),
            reserved => Ok(reserved?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fs::fdatasync(&self.0)?)
    }
}

#[derive(Debug)]
struct RealLock(OwnedFd);

impl DiskLock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that was just forked and has not yet begun its
        // own program. An error means that it is given back by closing.
        let _ = fs::flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests;
