//! The folder of a proof on disk: written under a name of its own and then renamed, and read again.
//!
//! What a killed command left, the next one beside it removes. Reading follows no link and takes
//! nothing but plain files under the names that a proof can have.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rustix::fs::{CWD, FlockOperation, RenameFlags};
use rustix::io::Errno;
use sealpost_protocol::hash::{Hash, Hasher};
use sealpost_protocol::limits::PROOF_FILE_BYTES_MAX;
use sealpost_protocol::proof::{BLOB, Files, Made, Measure, PeerFolderError};

use super::make::Attached;
use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::random;

/// The name of a folder that is not under its own yet: this, and random digits.
const UNFINISHED: &str = ".sealpost-proof-";
const UNFINISHED_DIGITS: usize = 16;
/// Folders in folders of a proof: `record/field-1`.
const DEPTH_MAX: usize = 2;
/// Read and written at a time.
const STEP_BYTES: usize = 256 * 1024;

/// A folder as it was read: what is in memory, and the hashes of the blobs.
pub struct Found {
    /// Every file but the blobs.
    pub files: Files,
    /// The blobs' hashes, by name.
    pub blobs: BTreeMap<String, Hash>,
}

/// An error unless nothing is at `out`.
pub fn must_be_free(out: &Path) -> Result<(), Failure> {
    match out.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(not_written(out, error)),
        Ok(_) => Err(not_written(out, io::ErrorKind::AlreadyExists.into())),
    }
}

/// Writes a proof to `out`, which appears when all of it is on the disk.
pub fn write(app: &App, out: &Path, made: &Made, attached: &[Attached]) -> Result<(), Failure> {
    must_be_free(out)?;
    let unfinished = Unfinished::beside(out).map_err(|error| not_written(out, error))?;
    for (name, bytes) in &made.files {
        unfinished
            .put(name, |file| file.write_all(bytes))
            .map_err(|error| not_written(out, error))?;
    }
    for one in attached {
        let mut blob = app.vault.read_blob(&one.held)?;
        let mut hasher = Hasher::default();
        let copied = unfinished.put(&one.name, |file| {
            copy(&mut blob, |step| {
                hasher.update(step);
                file.write_all(step)
            })
        });
        copied.map_err(|error| not_written(out, error))?;
        if hasher.finish() != one.blob.sha256 {
            return Err(damaged(&one.reference));
        }
    }
    unfinished.appear(out).map_err(|error| not_written(out, error))
}

/// A folder that is not under its name yet. Who makes it holds it.
struct Unfinished {
    path: PathBuf,
    held: Option<File>,
}

impl Unfinished {
    fn beside(out: &Path) -> io::Result<Self> {
        let parent = parent(out);
        clear(parent)?;
        let random: [u8; UNFINISHED_DIGITS / 2] =
            random::bytes().map_err(|error| io::Error::other(error.to_string()))?;
        let path = parent.join(format!("{UNFINISHED}{}", HEXLOWER.encode(&random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        let mut unfinished = Self { path, held: None };
        let held = File::open(&unfinished.path)?;
        // Not everywhere is there such a lock; then one that is left stays.
        let _ = rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive);
        unfinished.held = Some(held);
        Ok(unfinished)
    }

    fn put(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let path = self.path.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(parent(&path))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        write(&mut file)?;
        file.sync_all()
    }

    fn appear(mut self, out: &Path) -> io::Result<()> {
        sync_folders(&self.path)?;
        match rustix::fs::renameat_with(CWD, &self.path, CWD, out, RenameFlags::NOREPLACE) {
            // No such call on this file system. What came there meanwhile is not written over either: a
            // folder is renamed onto nothing but an empty one.
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(&self.path, out)?,
            renamed => renamed?,
        }
        self.held = None;
        File::open(parent(out))?.sync_all()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.held.is_some() {
            // Nobody was told of it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes the folders beside `out` that nobody holds: their makers were killed.
fn clear(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
        let is_ours = digits.is_some_and(|digits| {
            digits.len() == UNFINISHED_DIGITS && HEXLOWER.decode(digits.as_bytes()).is_ok()
        });
        if !is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let Ok(left) = File::open(entry.path()) else { continue };
        if rustix::fs::flock(&left, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn copy(from: &mut impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; STEP_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read])?,
        }
    }
}

/// Reads the folder of a proof: files of names that one can have, and nothing else.
pub fn read(folder: &Path) -> Result<Found, Failure> {
    if !folder.is_dir() {
        let what = format!("{} is no folder", folder.display());
        return Err(Failure::new(Error::NotFound, what).next("sealpost proof verify DIR"));
    }
    let found = Found { files: Files::new(), blobs: BTreeMap::new() };
    let mut reading = Reading { found, measure: Measure::default(), left: Vec::new() };
    reading.read(folder, "", 0)?;
    reading.read_blobs()?;
    Ok(reading.found)
}

/// A folder that is being read. It may have been made to never end.
struct Reading {
    found: Found,
    measure: Measure,
    /// The blobs, which are read last: by then all else was counted.
    left: Vec<(String, File, u64)>,
}

impl Reading {
    fn read(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Failure> {
        let mut is_empty = true;
        for entry in fs::read_dir(folder).map_err(|error| not_read(folder, error))? {
            let entry = entry.map_err(|error| not_read(folder, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| not_read(&path, error))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            is_empty = false;
            if kind.is_dir() && depth < DEPTH_MAX {
                self.read(&path, &format!("{name}/"), depth + 1)?;
            } else if !kind.is_file() {
                return Err(unsound(&format!("{name} does not belong here: it is no plain file")));
            } else if name.ends_with(&format!("/{BLOB}")) {
                self.find_blob(&path, name)?;
            } else {
                self.read_file(&path, name)?;
            }
        }
        // Without this there would be no end of folders in a folder.
        match is_empty {
            true => Err(unsound(&format!("{}: nothing is in it", folder.display()))),
            false => Ok(()),
        }
    }

    fn read_file(&mut self, path: &Path, name: String) -> Result<(), Failure> {
        let bound = PROOF_FILE_BYTES_MAX as u64 + 1;
        let mut bytes = Vec::new();
        open(path)
            .and_then(|file| file.take(bound).read_to_end(&mut bytes))
            .map_err(|error| not_read(path, error))?;
        self.measure.file(&name, bytes.len()).map_err(|error| too_much(&error))?;
        self.found.files.insert(name, bytes);
        Ok(())
    }

    fn find_blob(&mut self, path: &Path, name: String) -> Result<(), Failure> {
        let opened = open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| not_read(path, error))?;
        self.measure.blob(bytes).map_err(|error| too_much(&error))?;
        self.left.push((name, file, bytes));
        Ok(())
    }

    fn read_blobs(&mut self) -> Result<(), Failure> {
        for (name, file, bytes) in self.left.drain(..) {
            let hash = hash(file.take(bytes)).map_err(|error| not_read(Path::new(&name), error))?;
            self.found.blobs.insert(name, hash);
        }
        Ok(())
    }
}

/// Nobody made it so: what is made keeps the same limits.
fn too_much(error: &PeerFolderError) -> Failure {
    unsound(&error.to_string())
}

/// Opens a file of a proof; a link that came there meanwhile is not followed.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
    OpenOptions::new().read(true).custom_flags(no_follow.cast_signed()).open(path)
}

fn hash(mut from: impl Read) -> io::Result<Hash> {
    let mut hasher = Hasher::default();
    copy(&mut from, |step| {
        hasher.update(step);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// The folder does not prove what it says: somebody made or changed it so.
pub(super) fn unsound(why: &str) -> Failure {
    Failure::new(Error::Verification, format!("This is no proof: {why}"))
        .safe("Nothing was changed; believe nothing of what the folder says.")
        .next("Ask whoever gave it to you for the folder as it was made.")
}

pub(super) fn not_read(path: &Path, error: io::Error) -> Failure {
    Failure::new(Error::NotWritable, format!("cannot read {}", path.display()))
        .because(error)
        .next("Check the folder's owner and permissions, then type it again.")
}

fn not_written(out: &Path, error: io::Error) -> Failure {
    let (kind, next) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Error::DiskFull, "Free some space, or give another folder with --out DIR.")
        }
        _ => (Error::NotWritable, "Give a folder that is not there yet with --out DIR."),
    };
    Failure::new(kind, format!("No proof was written to {}", out.display()))
        .because(error)
        .safe("Nothing appeared there; nobody was shown anything.")
        .next(next)
}

fn damaged(reference: &str) -> Failure {
    let what = format!("The sealed bytes of {reference} were changed on this disk");
    Failure::new(Error::Damaged, what)
        .safe("No proof was written.")
        .next(format!("sealpost save {reference} --out DIR, which fetches them anew"))
}

#[cfg(test)]
mod tests;
