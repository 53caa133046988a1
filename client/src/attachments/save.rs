//! `save`: attachments as files, where somebody wants them.
//!
//! Nothing appears under a final name before all of it was opened and checked, and nothing that is
//! there is ever written over: the file has no name until then, or where the file system cannot do
//! that, one of its own. Names are made here; those of others are never paths.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rustix::fs::{self, AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use sealpost_protocol::seal::{AttachmentError, open_attachment};

use super::file_name::file_name;
use super::{Details, carry};
use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::random;
use crate::ui::progress::Progress;
use crate::vault::attachments::{BlobReader, Held, HeldBlob};
use crate::vault::committees::CommitteeNo;
use crate::vault::{Read, VaultError};
use crate::write_behind::WriteBehind;

/// Names that are tried for one attachment.
const NAMES_MAX: u32 = 100;
/// Written at a time.
const STEP_BYTES: usize = 256 * 1024;
/// The name of a file that is not under its own yet, where every file has one: this, random digits, …
const PART_PREFIX: &str = ".sealpost-";
/// … so many, …
const PART_DIGITS: usize = 16;
/// … and this.
const PART_SUFFIX: &str = ".part";
/// A new file's rights: its owner's.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The folder that files are saved into.
pub struct Folder {
    path: PathBuf,
    folder: OwnedFd,
}

impl Folder {
    /// Opens `path`, making it for its owner alone if it is not there.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || fs::openat(CWD, path, flags, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => fs::mkdirat(CWD, path, Mode::RWXU).and_then(|()| open()),
            opened => opened,
        };
        let folder = opened.map_err(|errno| not_writable(path, errno.into()))?;
        let folder = Self { path: path.to_owned(), folder };
        folder.clear().map_err(|errno| not_writable(path, errno.into()))?;
        Ok(folder)
    }

    /// Removes what commands that were killed left of a file that they had opened in part.
    fn clear(&self) -> rustix::io::Result<()> {
        for entry in fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_part(name.to_bytes()) && self.is_left(name)? {
                fs::unlinkat(&self.folder, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Whether nobody holds it: whoever writes one does.
    fn is_left(&self, name: &CStr) -> rustix::io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let part = match fs::openat(&self.folder, name, flags, Mode::empty()) {
            // Somebody else's, or gone meanwhile.
            Err(Errno::ACCESS | Errno::LOOP | Errno::NOENT | Errno::NXIO) => return Ok(false),
            opened => opened?,
        };
        Ok(fs::flock(&part, FlockOperation::NonBlockingLockExclusive).is_ok())
    }

    /// Opens a blob into a new file named after `reference` and the label. Returns where it is.
    pub fn save(
        &self,
        reference: &str,
        details: &Details,
        blob: BlobReader,
    ) -> Result<PathBuf, Failure> {
        let unfinished = Unfinished::new(self).map_err(|error| self.not_writable(error))?;
        let progress = Progress::of_bytes("saving", details.plain.size, 0);
        let mut file = Watched {
            file: BufWriter::with_capacity(STEP_BYTES, Synced::new(&unfinished.file)),
            progress: &progress,
        };
        let Details { plain, blob: named, passphrase, .. } = details;
        let blob = BufReader::with_capacity(STEP_BYTES, blob);
        open_attachment(blob, named.size, passphrase, plain, &mut file)
            .and_then(|()| file.flush().map_err(AttachmentError::LocalIo))
            .map_err(|error| self.not_opened(reference, error))?;
        drop(file);
        unfinished.file.sync_all().map_err(|error| self.not_writable(error))?;
        let name = file_name(reference, &details.label);
        let name = unfinished.appear(&name).map_err(|error| self.not_writable(error))?;
        fs::fsync(&self.folder).map_err(|errno| self.not_writable(errno.into()))?;
        Ok(self.path.join(name))
    }

    fn not_writable(&self, error: io::Error) -> Failure {
        not_writable(&self.path, error)
    }

    fn not_opened(&self, reference: &str, error: AttachmentError) -> Failure {
        match error {
            AttachmentError::LocalIo(error) => self.not_writable(error),
            error => {
                let what = format!("{reference} is not the file that its record names");
                Failure::new(Error::Verification, what)
                    .because(error)
                    .safe("Nothing was written; its sealed bytes are in the vault as they came.")
                    .next(format!(
                        "Ask its author to attach it anew: sealpost record show {reference}"
                    ))
            }
        }
    }
}

/// Tells how far it is.
struct Watched<'w, W> {
    file: W,
    progress: &'w Progress,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.progress.advance(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Comes to the disk while it is written.
struct Synced<'f> {
    file: &'f File,
    behind: WriteBehind,
}

impl<'f> Synced<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, behind: WriteBehind::default() }
    }
}

impl Write for Synced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.behind.wrote(self.file, written as u64)?;
        Ok(written)
    }

    /// Puts it on the disk.
    fn flush(&mut self) -> io::Result<()> {
        self.behind.finish(self.file)
    }
}

/// A file that is not under its name yet.
struct Unfinished<'f> {
    folder: &'f Folder,
    file: File,
    /// The name it has meanwhile, on a file system that gives every file one.
    named: Option<String>,
}

impl<'f> Unfinished<'f> {
    fn new(folder: &'f Folder) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match fs::openat(&folder.folder, ".", flags, FILE_MODE) {
            Ok(file) => Ok(Self { folder, file: file.into(), named: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                Self::with_name(folder)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn with_name(folder: &'f Folder) -> io::Result<Self> {
        let random: [u8; 8] =
            random::bytes().map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("{PART_PREFIX}{}{PART_SUFFIX}", HEXLOWER.encode(&random));
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let file = fs::openat(&folder.folder, &name, flags, FILE_MODE)?;
        // Not everywhere is there such a lock; then one that is left stays.
        let _ = fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Self { folder, file: file.into(), named: Some(name) })
    }

    /// Gives it its name, or the next one that is free. Nothing is written over, and no link followed.
    fn appear(mut self, name: &str) -> io::Result<String> {
        for number in 1..=NAMES_MAX {
            let name = numbered(name, number);
            match self.link(&name) {
                Ok(()) => {
                    self.named = None;
                    return Ok(name);
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn link(&self, name: &str) -> rustix::io::Result<()> {
        let folder = self.folder.folder.as_fd();
        match &self.named {
            None => {
                let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                fs::linkat(CWD, open, folder, name, AtFlags::SYMLINK_FOLLOW)
            }
            Some(now) => match fs::renameat_with(folder, now, folder, name, RenameFlags::NOREPLACE)
            {
                // No such call on this file system: a link is never made over anything either.
                Err(Errno::INVAL | Errno::NOSYS) => {
                    fs::linkat(folder, now, folder, name, AtFlags::empty())?;
                    fs::unlinkat(folder, now, AtFlags::empty())
                }
                renamed => renamed,
            },
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.named {
            // Nobody was told of it.
            let _ = fs::unlinkat(&self.folder.folder, name, AtFlags::empty());
        }
    }
}

/// Whether a file's name is one that a file has which is not under its own yet.
fn is_part(name: &[u8]) -> bool {
    name.strip_prefix(PART_PREFIX.as_bytes())
        .and_then(|rest| rest.strip_suffix(PART_SUFFIX.as_bytes()))
        .is_some_and(|middle| middle.len() == PART_DIGITS && HEXLOWER.decode(middle).is_ok())
}

/// `name.jpg`, `name (2).jpg`, …
fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (1, _) => name.to_owned(),
        (_, Some((stem, extension))) => format!("{stem} ({number}).{extension}"),
        (_, None) => format!("{name} ({number})"),
    }
}

/// Opens an attachment of a committee into a new file in `folder`. Returns where that is.
pub fn save(
    app: &mut App,
    no: CommitteeNo,
    folder: &Folder,
    reference: &str,
    details: &Details,
) -> Result<PathBuf, Failure> {
    let held = whole(app, no, reference, details)?;
    let saved = folder.save(reference, details, app.vault.read_blob(&held)?);
    let refused = match saved {
        Err(refused) if refused.kind == Error::Verification => refused,
        saved => return saved,
    };
    if app.vault.is_intact(&held, &details.blob.sha256)? {
        return Err(refused);
    }
    // Nobody is accused of what this disk did. The relay has it as it was, if it ever had it.
    if !app.vault.read(|vault| is_sent(vault, no, details))? {
        let what = format!("The sealed bytes of {reference} were changed on this disk");
        return Err(Failure::new(Error::Damaged, what)
            .safe("Nothing was written, and nothing was sent.")
            .next("Attach the file again, and look after the disk."));
    }
    app.vault.discard_blob(held.no)?;
    fetch(app, no, [details])?;
    let held = whole(app, no, reference, details)?;
    folder.save(reference, details, app.vault.read_blob(&held)?)
}

/// The bytes of an attachment, which must be here.
pub fn whole(
    app: &App,
    no: CommitteeNo,
    reference: &str,
    details: &Details,
) -> Result<HeldBlob, Failure> {
    let held = app.vault.read(|vault| vault.held_blob(no, &details.blob.sha256))?;
    held.filter(|held| held.state == Held::Whole).ok_or_else(|| {
        Failure::new(Error::NotFound, format!("{reference} is not here")).next("sealpost sync")
    })
}

fn is_sent(vault: &Read<'_>, no: CommitteeNo, details: &Details) -> Result<bool, VaultError> {
    let unsent = carry::unsent(vault, no)?;
    Ok(!unsent.iter().any(|attachment| attachment.blob == details.blob))
}

/// Fetches what of these attachments is not here yet.
pub fn fetch<'d>(
    app: &mut App,
    no: CommitteeNo,
    wanted: impl IntoIterator<Item = &'d Details>,
) -> Result<(), Failure> {
    let mut lacking = Vec::new();
    for Details { blob, .. } in wanted {
        let held = app.vault.read(|vault| vault.held_blob(no, &blob.sha256))?;
        if held.is_none_or(|held| held.state != Held::Whole) {
            lacking.push(*blob);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    crate::relay::run(carry::fetch_these(app, no, &lacking))
}

fn not_writable(path: &Path, error: io::Error) -> Failure {
    let (kind, next) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Error::DiskFull, "Free some space, or give another folder with --out DIR.")
        }
        _ => (Error::NotWritable, "Give a folder that may be written with --out DIR."),
    };
    Failure::new(kind, format!("cannot save into {}", path.display()))
        .because(error)
        .safe("Nothing appeared under its name; the attachment is in the vault.")
        .next(next)
}

#[cfg(test)]
mod tests;
