//! Files written so that a power cut leaves the old one or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::VaultError;

/// The file's bytes, or an error when there are more than `max`.
pub(super) fn read(path: &Path, max: u64) -> Result<Vec<u8>, VaultError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
        .map_err(|error| named(path, &error))?;
    if bytes.len() as u64 > max {
        return Err(VaultError::Damaged(format!("{} is too long", path.display())));
    }
    Ok(bytes)
}

/// Makes an empty file for the owner alone, unless it is there.
pub(super) fn touch(path: &Path) -> Result<File, VaultError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| named(path, &error))
}

/// Writes a new file for the owner alone; on return its bytes and its name are on disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| sync_folder_of(path))
        .map_err(|error| named(path, &error))
}

/// Makes a folder for the owner alone, unless it is there; on return its name is on disk.
pub(super) fn make_folder(path: &Path) -> Result<(), VaultError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| sync_folder_of(path)).map_err(|error| named(path, &error))
}

/// Puts `from` in the place of `to`; on return the new name is on disk.
pub(super) fn rename_synced(from: &Path, to: &Path) -> Result<(), VaultError> {
    fs::rename(from, to).and_then(|()| sync_folder_of(to)).map_err(|error| named(to, &error))
}

/// Removes a file; one that is not there is no error.
pub(super) fn remove_if_there(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, &error)),
        _ => sync_folder_of(path).map_err(|error| named(path, &error)),
    }
}

/// The error in the vault's words.
pub(super) fn named(path: &Path, error: &io::Error) -> VaultError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => VaultError::DiskFull,
        _ => VaultError::NotWritable { path: path.to_owned(), cause: error.to_string() },
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
