//! What keeps two syncs apart. Every other command only takes the database's lock, per transaction.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Home, VaultError, disk};

/// Held while a sync runs; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct SyncLock {
    _file: File,
}

impl SyncLock {
    /// Takes the lock, or says that another sync has it.
    pub fn take(home: &Home) -> Result<Self, VaultError> {
        let file = disk::touch(&home.lock())?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(VaultError::SyncRunning),
            Err(errno) => Err(disk::named(&home.lock(), &errno.into())),
        }
    }
}
