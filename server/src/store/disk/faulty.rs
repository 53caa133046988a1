//! A disk in memory that does what disks do to us: it records every operation, fails the n-th one
//! in a chosen way, and loses its power.
//!
//! Two states are kept apart. The *page cache* is what a running program reads. The *platter* is
//! what a power cut leaves: what was synced, and of everything else **any** part. A write is cut
//! into sectors, each of which may or may not have arrived, in any order; names of files arrive in
//! order, but only as far as the seed says. A sync that fails leaves the pages readable and
//! forgets to write them, as Linux does: syncing again does not bring them to the platter.
//!
//! After [`FaultyDisk::power_cut`] or [`FaultyDisk::kill`] the old handles are dead and the
//! returned disk is what the next start finds. [`FaultyDisk::lie_about_syncs`] is the positive
//! control of a harness: with it, accepted things must get lost, or the harness sees nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Disk, DiskFile, DiskLock, FileInfo, RealDisk};

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// What was asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the methods of the traits")]
pub enum Kind {
    Create,
    Open,
    CreateFolder,
    List,
    Rename,
    Remove,
    SyncFolder,
    Lock,
    Read,
    Write,
    SetLen,
    Preallocate,
    Sync,
}

/// One recorded operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What was asked.
    pub kind: Kind,
    /// Of which file or folder.
    pub path: PathBuf,
    /// Where, for reads and writes; the length, for `SetLen` and `Preallocate`.
    pub offset: u64,
    /// How many bytes, for reads and writes.
    pub bytes: usize,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It did not happen, and says so. A lost sync loses its pages for good.
    Lost(io::ErrorKind),
    /// It happened, and says that it did not.
    Applied(io::ErrorKind),
    /// Half of it happened. A write says so by its count and fails when it is continued; anything
    /// else fails as lost.
    Short(io::ErrorKind),
    /// The power fails while it is under way: it may or may not reach the platter, and nothing
    /// after it does.
    PowerCut,
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct FaultyDisk {
    machine: Arc<Mutex<Machine>>,
    changed: Arc<Condvar>,
    host: Option<PathBuf>,
}

type FileId = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(FileId),
    Folder,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, Node),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Clone, Debug)]
enum FileChange {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone, Debug)]
struct File {
    cache: Vec<u8>,
    platter: Vec<u8>,
    /// In the cache, on their way to the platter.
    dirty: Vec<FileChange>,
    /// In the cache, marked clean by a failed sync: no later sync writes them.
    forgotten: Vec<FileChange>,
    written: SystemTime,
}

struct Machine {
    powered: bool,
    now: SystemTime,
    syncs_lie: bool,
    free_bytes: u64,
    next_file: FileId,
    files: BTreeMap<FileId, File>,
    names: BTreeMap<PathBuf, Node>,
    platter_names: BTreeMap<PathBuf, Node>,
    dirty_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    failures: BTreeMap<u64, Failure>,
    next_failures: Vec<(Kind, Failure)>,
    operations: Vec<Operation>,
    held: Option<Kind>,
}

/// Holds back what is asked of files; dropping it lets them go on.
#[derive(Debug)]
pub struct Held {
    disk: FaultyDisk,
    kind: Kind,
    before: usize,
}

impl Held {
    /// Waits until one has come and is being held.
    pub fn wait_until_held(&self) {
        let mut machine = self.disk.machine();
        while machine.count(self.kind) == self.before {
            machine = self.disk.changed.wait(machine).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.machine().held = None;
        self.disk.changed.notify_all();
    }
}

/// What is to be done with an operation that was not refused outright.
enum Verdict {
    Do,
    DoAndFail(io::Error),
    DoHalf,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyDisk({} operations)", self.machine().operations.len())
    }
}

impl FaultyDisk {
    /// An empty disk with plenty of room. Folders are made with `create_folder`.
    pub fn new() -> Self {
        Self::of(Machine {
            powered: true,
            now: SystemTime::UNIX_EPOCH,
            syncs_lie: false,
            free_bytes: u64::MAX,
            next_file: 0,
            files: BTreeMap::new(),
            names: BTreeMap::from([(PathBuf::from("/"), Node::Folder)]),
            platter_names: BTreeMap::from([(PathBuf::from("/"), Node::Folder)]),
            dirty_names: Vec::new(),
            locks: BTreeSet::new(),
            failures: BTreeMap::new(),
            next_failures: Vec::new(),
            operations: Vec::new(),
            held: None,
        })
    }

    fn of(machine: Machine) -> Self {
        Self { machine: Arc::new(Mutex::new(machine)), changed: Arc::default(), host: None }
    }

    /// Gives libraries that do their own file work a folder of the operating system to do it in.
    /// It knows no failures and no power cuts.
    #[must_use]
    pub fn with_host(mut self, folder: PathBuf) -> Self {
        self.host = Some(folder);
        self
    }

    /// Makes every sync answer "done" and do nothing.
    pub fn lie_about_syncs(&self) {
        self.machine().syncs_lie = true;
    }

    /// Fails the operation that will have the given number, counted from 0 as in `operations`.
    pub fn fail(&self, number: u64, failure: Failure) {
        self.machine().failures.insert(number, failure);
    }

    /// Fails the next operation of the kind.
    pub fn fail_next(&self, kind: Kind, failure: Failure) {
        self.machine().next_failures.push((kind, failure));
    }

    /// Sets what `free_bytes` answers; writes that lengthen files by more fail as a full disk.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.machine().free_bytes = bytes;
    }

    /// Sets the time at which files are written from now on; it stands still. At first 1970.
    pub fn set_time(&self, now: SystemTime) {
        self.machine().now = now;
    }

    /// Whether the power is on.
    pub fn is_powered(&self) -> bool {
        self.machine().powered
    }

    /// Everything that was asked so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.machine().operations.clone()
    }

    /// How many operations of a kind were asked so far.
    pub fn count(&self, kind: Kind) -> usize {
        self.machine().count(kind)
    }

    /// From now on syncs of files wait until the answer is dropped.
    #[must_use]
    pub fn hold_syncs(&self) -> Held {
        self.hold(Kind::Sync)
    }

    /// From now on reads of files wait until the answer is dropped.
    #[must_use]
    pub fn hold_reads(&self) -> Held {
        self.hold(Kind::Read)
    }

    fn hold(&self, kind: Kind) -> Held {
        let mut machine = self.machine();
        machine.held = Some(kind);
        Held { disk: self.clone(), kind, before: machine.count(kind) }
    }

    /// Cuts the power. What was not synced arrived in parts, as `seed` says.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> Self {
        let mut machine = self.machine();
        machine.powered = false;
        let mut dice = Dice(seed);
        let names = surviving_names(&machine, &mut dice);
        let files = machine
            .files
            .iter()
            .map(|(id, file)| (*id, File::found(surviving_bytes(file, &mut dice), file.written)))
            .collect();
        self.successor(&machine, names, files)
    }

    /// Kills the program that uses the disk: the page cache survives.
    #[must_use]
    pub fn kill(&self) -> Self {
        let copy = self.copy();
        self.machine().powered = false;
        copy
    }

    /// Another disk with the same contents, cached and on the platter, for one more try.
    #[must_use]
    pub fn copy(&self) -> Self {
        let machine = self.machine();
        let copy = self.successor(&machine, machine.names.clone(), machine.files.clone());
        {
            let mut next = copy.machine();
            next.platter_names = machine.platter_names.clone();
            next.dirty_names = machine.dirty_names.clone();
        }
        copy
    }

    fn successor(
        &self,
        machine: &Machine,
        names: BTreeMap<PathBuf, Node>,
        files: BTreeMap<FileId, File>,
    ) -> Self {
        let mut next = Self::of(Machine {
            powered: true,
            now: machine.now,
            syncs_lie: machine.syncs_lie,
            free_bytes: machine.free_bytes,
            next_file: machine.next_file,
            files,
            platter_names: names.clone(),
            names,
            dirty_names: Vec::new(),
            locks: BTreeSet::new(),
            failures: BTreeMap::new(),
            next_failures: Vec::new(),
            operations: Vec::new(),
            held: None,
        });
        next.host.clone_from(&self.host);
        next
    }

    /// The contents of a file, past all recording and failing.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let machine = self.machine();
        let Node::File(id) = *machine.names.get(path)? else { return None };
        Some(machine.files.get(&id)?.cache.clone())
    }

    /// Changes a file behind everybody's back, durably; it must exist.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut machine = self.machine();
        let Some(Node::File(id)) = machine.names.get(path).copied() else {
            panic!("no file {} to tamper with", path.display());
        };
        let file = machine.files.get_mut(&id).expect("a name leads to a file");
        change(&mut file.cache);
        *file = File::found(std::mem::take(&mut file.cache), file.written);
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while_held<'m>(
        &self,
        machine: MutexGuard<'m, Machine>,
        kind: Kind,
    ) -> MutexGuard<'m, Machine> {
        self.changed.notify_all();
        self.changed
            .wait_while(machine, |machine| machine.held == Some(kind))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, id: FileId, path: &Path) -> Box<dyn DiskFile> {
        Box::new(Handle { disk: self.clone(), id, path: path.to_owned() })
    }
}

impl Machine {
    fn count(&self, kind: Kind) -> usize {
        self.operations.iter().filter(|operation| operation.kind == kind).count()
    }

    fn begin(&mut self, kind: Kind, path: &Path, offset: u64, bytes: usize) -> io::Result<Verdict> {
        if !self.powered {
            return Err(io::Error::other("the power is off"));
        }
        let number = self.operations.len() as u64;
        self.operations.push(Operation { kind, path: path.to_owned(), offset, bytes });
        let next = self.next_failures.iter().position(|(next, _)| *next == kind);
        let next = next.map(|place| self.next_failures.remove(place).1);
        match self.failures.remove(&number).or(next) {
            None => Ok(Verdict::Do),
            Some(Failure::Lost(error)) => Err(error.into()),
            Some(Failure::Applied(error)) => Ok(Verdict::DoAndFail(error.into())),
            Some(Failure::Short(error)) if kind == Kind::Write && bytes > 1 => {
                self.failures.insert(number + 1, Failure::Lost(error));
                Ok(Verdict::DoHalf)
            }
            Some(Failure::Short(error)) => Err(error.into()),
            Some(Failure::PowerCut) => {
                self.powered = false;
                Ok(Verdict::DoAndFail(io::Error::other("the power failed")))
            }
        }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        match path.parent().map(|parent| self.node(parent)) {
            Some(Ok(Node::Folder)) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_names(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.dirty_names.push(change);
    }

    fn make_file(&mut self, path: &Path) -> FileId {
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, File::found(Vec::new(), self.now));
        self.change_names(NameChange::Link(path.to_owned(), Node::File(id)));
        id
    }

    /// Takes room for a file that grows to `len`.
    fn grow(&mut self, id: FileId, len: u64) -> io::Result<()> {
        let old = self.file(id).cache.len() as u64;
        let more = len.saturating_sub(old);
        if more > self.free_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.free_bytes != u64::MAX {
            self.free_bytes -= more;
        }
        Ok(())
    }

    fn change(&mut self, id: FileId, change: FileChange) {
        let now = self.now;
        self.file(id).change(change, now);
    }

    fn file(&mut self, id: FileId) -> &mut File {
        self.files.get_mut(&id).expect("files outlive their names")
    }
}

impl File {
    fn found(bytes: Vec<u8>, written: SystemTime) -> Self {
        let platter = bytes.clone();
        Self { cache: bytes, platter, dirty: Vec::new(), forgotten: Vec::new(), written }
    }

    fn change(&mut self, change: FileChange, now: SystemTime) {
        self.written = now;
        change.apply(&mut self.cache);
        self.dirty.push(change);
    }

    fn sync(&mut self) {
        for change in self.dirty.drain(..) {
            change.apply(&mut self.platter);
        }
    }
}

impl FileChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Len(len) => bytes.resize(index(*len), 0),
            Self::Write(offset, written) => write_into(bytes, index(*offset), written),
        }
    }
}

fn write_into(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("files in memory fit into memory")
}

fn apply_name(names: &mut BTreeMap<PathBuf, Node>, change: &NameChange) {
    match change {
        NameChange::Link(path, node) => {
            names.insert(path.clone(), *node);
        }
        NameChange::Rename(from, to) => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

fn folder_of(change: &NameChange) -> Option<&Path> {
    match change {
        NameChange::Link(path, _) | NameChange::Rename(path, _) | NameChange::Remove(path) => {
            path.parent()
        }
    }
}

/// A prefix of the unsynced changes of names; what stands in a folder that is not there is gone.
fn surviving_names(machine: &Machine, dice: &mut Dice) -> BTreeMap<PathBuf, Node> {
    let mut names = machine.platter_names.clone();
    let arrived = dice.below(machine.dirty_names.len() + 1);
    for change in &machine.dirty_names[..arrived] {
        apply_name(&mut names, change);
    }
    let folders: BTreeSet<PathBuf> = names
        .iter()
        .filter(|(_, node)| **node == Node::Folder)
        .map(|(path, _)| path.clone())
        .collect();
    names.retain(|path, _| path.ancestors().skip(1).all(|folder| folders.contains(folder)));
    names
}

/// The platter's bytes and any part of what was on its way to it.
fn surviving_bytes(file: &File, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = file.platter.clone();
    let changes: Vec<&FileChange> = file.forgotten.iter().chain(&file.dirty).collect();
    let style = dice.below(4);
    let prefix = dice.below(changes.len() + 1);
    for (number, change) in changes.into_iter().enumerate() {
        match style {
            0 => break,
            1 => change.apply(&mut bytes),
            2 if number < prefix => change.apply(&mut bytes),
            2 => apply_torn(change, &mut bytes, dice, number == prefix),
            _ => apply_torn(change, &mut bytes, dice, true),
        }
    }
    bytes
}

/// Applies some sectors of a write, or perhaps a change of length.
fn apply_torn(change: &FileChange, bytes: &mut Vec<u8>, dice: &mut Dice, arrives: bool) {
    if !arrives {
        return;
    }
    match change {
        FileChange::Len(_) if dice.below(2) == 0 => {}
        FileChange::Len(_) => change.apply(bytes),
        FileChange::Write(offset, written) => {
            let mut start = 0;
            while start < written.len() {
                let place = index(*offset) + start;
                let to_boundary = SECTOR_BYTES - place % SECTOR_BYTES;
                let end = written.len().min(start + to_boundary);
                if dice.below(2) == 0 {
                    write_into(bytes, place, &written[start..end]);
                }
                start = end;
            }
        }
    }
}

/// A small random generator (SplitMix64): the same seed gives the same fate.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        index(mixed % limit as u64)
    }
}

impl Verdict {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::DoAndFail(error) => Err(error),
            Self::Do | Self::DoHalf => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.machine();
        let verdict = machine.begin(Kind::Create, path, 0, 0)?;
        machine.parent_exists(path)?;
        if machine.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = machine.make_file(path);
        verdict.finish()?;
        Ok(self.handle(id, path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.machine();
        let verdict = machine.begin(Kind::Open, path, 0, 0)?;
        verdict.finish()?;
        match machine.node(path)? {
            Node::File(id) => Ok(self.handle(id, path)),
            Node::Folder => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        let verdict = machine.begin(Kind::CreateFolder, path, 0, 0)?;
        machine.parent_exists(path)?;
        if !machine.names.contains_key(path) {
            machine.change_names(NameChange::Link(path.to_owned(), Node::Folder));
        }
        verdict.finish()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut machine = self.machine();
        machine.begin(Kind::List, folder, 0, 0)?.finish()?;
        machine.node(folder)?;
        let inside = machine.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<FileInfo>> {
        let mut machine = self.machine();
        machine.begin(Kind::List, folder, 0, 0)?.finish()?;
        machine.node(folder)?;
        let inside = machine.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|(path, node)| {
                let Node::File(id) = node else { return None };
                let file = machine.files.get(id)?;
                let name = path.file_name()?.to_string_lossy().into_owned();
                Some(FileInfo { name, len: file.cache.len() as u64, written: file.written })
            })
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        let verdict = machine.begin(Kind::Rename, from, 0, 0)?;
        let node = machine.node(from)?;
        machine.parent_exists(to)?;
        if from.parent() == to.parent() {
            machine.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        } else {
            // Two folders, each with its own way to the platter.
            machine.change_names(NameChange::Link(to.to_owned(), node));
            machine.change_names(NameChange::Remove(from.to_owned()));
        }
        verdict.finish()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        let verdict = machine.begin(Kind::Remove, path, 0, 0)?;
        machine.node(path)?;
        machine.change_names(NameChange::Remove(path.to_owned()));
        verdict.finish()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        let verdict = machine.begin(Kind::SyncFolder, folder, 0, 0)?;
        if machine.powered && !machine.syncs_lie {
            let (synced, rest) = std::mem::take(&mut machine.dirty_names)
                .into_iter()
                .partition(|change| folder_of(change) == Some(folder));
            machine.dirty_names = rest;
            let synced: Vec<NameChange> = synced;
            for change in &synced {
                apply_name(&mut machine.platter_names, change);
            }
        }
        verdict.finish()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut machine = self.machine();
        machine.begin(Kind::Lock, path, 0, 0)?.finish()?;
        if machine.node(path).is_err() {
            machine.parent_exists(path)?;
            machine.make_file(path);
        }
        if !machine.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(HeldLock { disk: self.clone(), path: path.to_owned() })))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.machine().free_bytes)
    }

    fn host_folder(&self, path: &Path) -> Option<PathBuf> {
        Some(self.host.as_ref()?.join(path.file_name()?))
    }

    fn remove_host_folder(&self, path: &Path) -> io::Result<()> {
        self.host_folder(path).map_or(Ok(()), |folder| RealDisk.remove_host_folder(&folder))
    }
}

#[derive(Debug)]
struct HeldLock {
    disk: FaultyDisk,
    path: PathBuf,
}

impl DiskLock for HeldLock {}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.disk.machine().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct Handle {
    disk: FaultyDisk,
    id: FileId,
    path: PathBuf,
}

impl DiskFile for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.disk.machine();
        machine.begin(Kind::Read, &self.path, offset, buffer.len())?.finish()?;
        let mut machine = self.disk.wait_while_held(machine, Kind::Read);
        let bytes = &machine.file(self.id).cache;
        let start = index(offset).min(bytes.len());
        let len = buffer.len().min(bytes.len() - start);
        buffer[..len].copy_from_slice(&bytes[start..start + len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.disk.machine();
        let verdict = machine.begin(Kind::Write, &self.path, offset, bytes.len())?;
        let half = matches!(verdict, Verdict::DoHalf);
        let written = if half { &bytes[..bytes.len() / 2] } else { bytes };
        machine.grow(self.id, offset + written.len() as u64)?;
        machine.change(self.id, FileChange::Write(offset, written.to_vec()));
        verdict.finish()?;
        Ok(written.len())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.machine().file(self.id).cache.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut machine = self.disk.machine();
        let verdict = machine.begin(Kind::SetLen, &self.path, len, 0)?;
        machine.change(self.id, FileChange::Len(len));
        verdict.finish()
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut machine = self.disk.machine();
        let verdict = machine.begin(Kind::Preallocate, &self.path, len, 0)?;
        machine.grow(self.id, len)?;
        if len > machine.file(self.id).cache.len() as u64 {
            machine.change(self.id, FileChange::Len(len));
        }
        verdict.finish()
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = self.disk.machine();
        let begun = machine.begin(Kind::Sync, &self.path, 0, 0);
        machine = self.disk.wait_while_held(machine, Kind::Sync);
        match begun {
            Err(error) => {
                let file = machine.file(self.id);
                file.forgotten.append(&mut file.dirty);
                Err(error)
            }
            Ok(verdict) => {
                if machine.powered && !machine.syncs_lie {
                    machine.file(self.id).sync();
                }
                verdict.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests;
