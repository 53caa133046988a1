//! Puts a large file on the disk while it is written, so that little is left to wait for at its end: the
//! system by itself begins only when gigabytes have come together.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

/// Written between one sync and the next.
const SYNC_EVERY_BYTES: u64 = 32 * 1024 * 1024;

/// The syncs of one file, beside its writing.
#[derive(Debug, Default)]
pub struct WriteBehind {
    unsynced: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
    /// A sync failed: the system says so once, and what is lost by then stays lost.
    failed: bool,
}

impl WriteBehind {
    /// So many bytes more were written. Fails when a sync before did: of what it was to put on the disk
    /// nobody knows how much is there.
    pub fn wrote(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        self.unsynced += bytes;
        if self.unsynced < SYNC_EVERY_BYTES {
            return Ok(());
        }
        self.unsynced = 0;
        self.wait()?;
        let file = file.try_clone()?;
        let sync = move || file.sync_data();
        self.syncing = Some(std::thread::Builder::new().name("sync".to_owned()).spawn(sync)?);
        Ok(())
    }

    /// Puts all that was written on the disk. Fails when a sync before did.
    pub fn finish(&mut self, file: &File) -> io::Result<()> {
        self.wait()?;
        self.unsynced = 0;
        file.sync_data().inspect_err(|_| self.failed = true)
    }

    fn wait(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier sync failed"));
        }
        let Some(syncing) = self.syncing.take() else { return Ok(()) };
        let synced = syncing.join().unwrap_or_else(|_| Err(io::Error::other("a sync panicked")));
        synced.inspect_err(|_| self.failed = true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_that_failed_is_told_at_the_next_step_and_at_the_end() {
        // What is there cannot be synced.
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        let mut behind = WriteBehind::default();
        behind.wrote(&full, SYNC_EVERY_BYTES - 1).expect("nothing was begun");
        assert!(behind.syncing.is_none());
        behind.wrote(&full, 1).expect("it is only begun");
        assert!(behind.wrote(&full, SYNC_EVERY_BYTES).is_err());
        // The system says it once.
        let file = tempfile::tempfile().expect("the temporary folder is writable");
        assert!(behind.wrote(&file, SYNC_EVERY_BYTES).is_err());
        assert!(behind.finish(&file).is_err());
        let mut behind = WriteBehind::default();
        behind.wrote(&full, SYNC_EVERY_BYTES).expect("it is only begun");
        assert!(behind.finish(&full).is_err());
    }

    #[test]
    fn a_file_that_can_be_synced_is() {
        let file = tempfile::tempfile().expect("the temporary folder is writable");
        let mut behind = WriteBehind::default();
        for _ in 0..3 {
            behind.wrote(&file, SYNC_EVERY_BYTES).expect("synced");
        }
        behind.finish(&file).expect("synced");
        assert!(behind.syncing.is_none());
    }
}
