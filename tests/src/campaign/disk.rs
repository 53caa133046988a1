//! A disk around another one, where something happens to the files of the journal.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, getpid, kill_process};
use sealpost_relay::store::disk::{Disk, DiskFile, DiskLock, FileInfo, RealDisk};

/// `sealpost-relay` on the real disk, with a journal that takes [`ORDERS`].
pub fn mortal_relay() -> ExitCode {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    match std::env::var_os(ORDERS) {
        Some(orders) => {
            let mishap = Arc::new(KillWhenTold::new(orders.into()));
            sealpost_relay::main_on(Arc::new(JournalDisk::new(disk, mishap)))
        }
        None => sealpost_relay::main_on(disk),
    }
}

/// What happens when the store writes or syncs a file of its journal.
pub trait Mishap: Debug + Send + Sync + 'static {
    /// In place of a write.
    fn write_at(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    /// In place of a sync.
    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        file.sync()
    }
}

/// The environment variable that names the file with a relay's orders.
pub const ORDERS: &str = "SEALPOST_TESTS_ORDERS";

/// Kills this very process (SIGKILL) at a write to the journal: before it, in its middle, behind
/// it, or on either side of the sync that follows it.
///
/// Which write and which moment stands in a file, two numbers; the file is read, and removed, at
/// the next write after it has appeared.
#[derive(Debug)]
pub struct KillWhenTold {
    file: PathBuf,
    order: Mutex<Option<Order>>,
}

/// Moments at a write at which a relay can be killed.
pub const MOMENTS: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    /// So many more writes, this one included.
    writes: u64,
    moment: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    BeforeWrite,
    HalfWritten,
    Written,
    BeforeSync,
    Synced,
}

impl Order {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(str::parse);
        let (Some(Ok(writes)), Some(Ok(moment))) = (numbers.next(), numbers.next()) else {
            return None;
        };
        let moment = match moment {
            0 => Moment::BeforeWrite,
            1 => Moment::HalfWritten,
            2 => Moment::Written,
            3 => Moment::BeforeSync,
            4 => Moment::Synced,
            MOMENTS.. => return None,
        };
        Some(Self { writes, moment })
    }
}

impl KillWhenTold {
    /// The moment at which half of a frame is written.
    pub const HALF_WRITTEN: u64 = 1;

    /// Takes its orders from `file`, whenever there is one.
    pub fn new(file: PathBuf) -> Self {
        Self { file, order: Mutex::default() }
    }

    /// Orders the relay that looks at `file` to die at the `writes`-th write from now.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn order(file: &Path, writes: u64, moment: u64) {
        // Renamed into place, so that half an order is never read.
        let draft = file.with_extension("draft");
        fs::write(&draft, format!("{writes} {moment}")).expect("the folder is ours");
        fs::rename(&draft, file).expect("the folder is ours");
    }

    fn begin_write(&self) {
        let mut order = self.lock();
        if let Ok(text) = fs::read_to_string(&self.file) {
            *order = Order::parse(&text);
            let _ = fs::remove_file(&self.file);
        } else if let Some(order) = order.as_mut() {
            order.writes = order.writes.saturating_sub(1);
        }
    }

    fn is_due(&self, moment: Moment) -> bool {
        *self.lock() == Some(Order { writes: 1, moment })
    }

    fn reach(&self, moment: Moment) {
        if self.is_due(moment) {
            // Nothing runs behind this. Should it fail, whoever waits for the kill says so.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Order>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mishap for KillWhenTold {
    fn write_at(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.begin_write();
        self.reach(Moment::BeforeWrite);
        if self.is_due(Moment::HalfWritten) {
            file.write_at(&bytes[..bytes.len() / 2], offset)?;
            self.reach(Moment::HalfWritten);
        }
        let written = file.write_at(bytes, offset);
        self.reach(Moment::Written);
        written
    }

    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        self.reach(Moment::BeforeSync);
        let synced = file.sync();
        self.reach(Moment::Synced);
        synced
    }
}

/// Answers "done" to a sync and does it only when the next write comes: a relay on it acknowledges
/// before fdatasync. The control that a campaign must catch.
#[derive(Debug)]
pub struct Hasty;

impl Mishap for Hasty {
    fn write_at(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.sync()?;
        file.write_at(bytes, offset)
    }

    fn sync(&self, _: &dyn DiskFile) -> io::Result<()> {
        Ok(())
    }
}

/// Lets one sync fail: what it was to make durable may or may not be.
#[derive(Debug)]
pub struct FailSync {
    sync: u64,
    syncs: AtomicU64,
}

impl FailSync {
    /// The `sync`-th, counted from 1.
    pub fn new(sync: u64) -> Self {
        Self { sync, syncs: AtomicU64::new(0) }
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }
}

impl Mishap for FailSync {
    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        if self.syncs.fetch_add(1, Ordering::SeqCst) + 1 == self.sync {
            return Err(io::Error::other("a sync that was made to fail"));
        }
        file.sync()
    }
}

/// A disk whose journal has a mishap.
#[derive(Debug)]
pub struct JournalDisk {
    disk: Arc<dyn Disk>,
    mishap: Arc<dyn Mishap>,
}

impl JournalDisk {
    /// The mishap happens to the journals on `disk`.
    pub fn new(disk: Arc<dyn Disk>, mishap: Arc<dyn Mishap>) -> Self {
        Self { disk, mishap }
    }

    fn wrap(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let folder = path.parent().and_then(Path::file_name);
        if folder.is_some_and(|name| name == "journal") {
            Box::new(JournalFile { file, mishap: Arc::clone(&self.mishap) })
        } else {
            file
        }
    }
}

impl Disk for JournalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(path, self.disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(path, self.disk.open(path)?))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<FileInfo>> {
        self.disk.files(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock(path)
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        self.disk.free_bytes(folder)
    }

    fn host_folder(&self, path: &Path) -> Option<PathBuf> {
        self.disk.host_folder(path)
    }

    fn remove_host_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_host_folder(path)
    }
}

#[derive(Debug)]
struct JournalFile {
    file: Box<dyn DiskFile>,
    mishap: Arc<dyn Mishap>,
}

impl DiskFile for JournalFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.mishap.write_at(self.file.as_ref(), bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.file.preallocate(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.mishap.sync(self.file.as_ref())
    }
}
