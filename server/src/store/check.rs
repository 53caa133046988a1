//! `check`: reads all of a data folder that nobody serves, and changes nothing but the index's own
//! files (sled tidies up when it is opened, and one that does not fit is marked).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};

use super::checkpoints::{self, SIDES};
use super::disk::{self, Disk};
use super::embedded::{check_format, lock};
use super::frame::{self, Appended, Batch, Forgotten, Item, PlacedEntry};
use super::index::{Contents, Index, Indexed, Opening};
use super::journal::FramePlace;
use super::journal::dropping::COPY;
use super::journal::segment::{HEADER_BYTES, Segments, Tail};
use super::notes::NoteChange;
use super::snapshots;
use super::tiles;
use super::{StoreError, StoredEntry};

mod blobs;

/// Findings reported at most, of those that are mended and of those that are not: one flipped
/// sector can spoil thousands of nodes, and must not hide what is worse.
const FINDINGS_MAX: usize = 1_000;
/// Entries looked up in the index at once.
const PLACES_BYTES: usize = 1024 * 1024;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the data folder.
    pub file: String,
    /// Where in it; 0 when it is about the whole file.
    pub offset: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong, the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A frame is damaged or missing and others stand behind it. Nothing behind it in this segment
    /// was checked. Restore from a mirror or a backup.
    Damaged,
    /// A frame is whole but does not continue the log it belongs to.
    OutOfOrder,
    /// The entry's contents are not what the caller's look at it expects.
    Entry(String),
    /// Nor is a signed checkpoint.
    Checkpoint(String),
    /// A checkpoint was signed for more entries than there are.
    RolledBack(TreeSize),
    /// A blob that an entry names is missing or damaged. Restore it from a mirror or a backup, or have it
    /// sent again.
    Blob(&'static str),
    /// The last write was never finished. Nobody was answered; the next start cuts it off.
    Torn,
    /// A cache differs from the journal; the next start, or the next use, makes it anew.
    Cache(&'static str),
    /// A blob that an entry names lies whole among the uploads: it is moved when it is asked for.
    Misplaced,
    /// A payload or blob that was forgotten and is still there, or may be: the next start drops it.
    Forgotten(&'static str),
    /// A file that no entry needs. It is removed when nothing was written to it for a month.
    LeftOver(&'static str),
    /// An export retired the log of that committee: it goes on elsewhere, and is not served from here.
    Retired(CommitteeId),
}

impl Fault {
    /// Whether the next start mends it, or it is as somebody wanted it, and nothing that was accepted is lost.
    pub fn is_mended(&self) -> bool {
        match self {
            Self::Torn
            | Self::Cache(_)
            | Self::Misplaced
            | Self::Forgotten(_)
            | Self::LeftOver(_)
            | Self::Retired(_) => true,
            Self::Damaged
            | Self::OutOfOrder
            | Self::Entry(_)
            | Self::Checkpoint(_)
            | Self::RolledBack(_)
            | Self::Blob(_) => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file, self.offset, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("damaged"),
            Self::OutOfOrder => f.write_str("does not continue the log"),
            Self::Entry(what) | Self::Checkpoint(what) => f.write_str(what),
            Self::RolledBack(size) => write!(f, "a checkpoint was signed for {size} entries"),
            Self::Blob(what) => f.write_str(what),
            Self::Torn => f.write_str("an unfinished last write: the next start cuts it off"),
            Self::Cache(what) => write!(f, "{what}: will be made anew"),
            Self::Misplaced => {
                f.write_str("a blob that an entry names: will be moved to its place")
            }
            Self::Forgotten(what) => {
                write!(f, "{what} that was forgotten: the next start drops it")
            }
            Self::LeftOver(what) => write!(f, "{what}: will be removed in time"),
            Self::Retired(committee) => {
                write!(f, "the log of {committee} was retired by an export: not served from here")
            }
        }
    }
}

/// What the caller thinks of what the store does not look into; `Some` says what is wrong.
pub trait Look {
    /// An entry; those of one log come in order.
    fn entry(
        &mut self,
        committee: CommitteeId,
        index: LeafIndex,
        entry: &StoredEntry,
    ) -> Option<String>;

    /// What it makes of forgetting in a log, all of whose entries came before; none when it does not
    /// know.
    fn forgetting(&mut self, committee: CommitteeId) -> Option<Forgetting>;

    /// What a note, as the journal leaves it, says of the folder. The store knows no note's meaning.
    fn note(&mut self, _key: &[u8]) -> Option<Fault> {
        None
    }

    /// A checkpoint that was signed for `size` entries, all of which came before.
    fn checkpoint(&mut self, committee: CommitteeId, size: TreeSize, note: &str) -> Option<String>;
}

/// What somebody who looked into all entries of a log says of forgetting in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgetting {
    /// Entries that were forgotten.
    pub forgotten: BTreeSet<LeafIndex>,
    /// Entries whose payload is missing though they were not.
    pub lacking: BTreeSet<LeafIndex>,
}

/// Verifies every segment, frame, checksum and sequence number of the data folder at `root`, shows
/// every entry and signed checkpoint to `look`, and compares the caches with what the journal
/// says, and reads every blob. Refuses a folder that is being served.
pub fn check(
    disk: &Arc<dyn Disk>,
    root: &Path,
    look: &mut dyn Look,
) -> Result<Vec<Finding>, StoreError> {
    check_format(disk.as_ref(), root)?;
    let _lock = lock(disk.as_ref(), root)?;
    let segments = Segments::new(Arc::clone(disk), root.join("journal"));
    let mut check = Check {
        disk,
        root,
        look,
        logs: BTreeMap::new(),
        notes: BTreeMap::new(),
        last_sequence: 0,
        findings: Vec::new(),
    };
    check.journal(&segments)?;
    check.forgetting();
    check.meanings();
    check.checkpoints()?;
    check.snapshots()?;
    check.index(&segments)?;
    check.blobs()?;
    Ok(check.findings)
}

struct Check<'c> {
    disk: &'c Arc<dyn Disk>,
    root: &'c Path,
    look: &'c mut dyn Look,
    logs: BTreeMap<CommitteeId, Log>,
    notes: BTreeMap<Vec<u8>, Bytes>,
    last_sequence: u64,
    findings: Vec<Finding>,
}

/// What the journal says about one committee.
#[derive(Default)]
struct Log {
    number: u32,
    size: u64,
    edge: Vec<Hash>,
    /// What its entries name that are not forgotten, with sizes.
    blobs: BTreeMap<Hash, u64>,
    /// Which entries name each blob, by hash and size, forgotten ones too.
    naming: BTreeMap<(Hash, u64), BTreeSet<LeafIndex>>,
    /// Where each entry stands: segment and offset.
    places: Vec<(u32, u64)>,
    /// Entries whose payloads are not there any more.
    dropped: BTreeSet<LeafIndex>,
    /// Entries that are to be dropped, if they are not yet.
    forgotten: BTreeSet<LeafIndex>,
}

impl Log {
    fn append(&mut self, at: (u32, u64), entry: &PlacedEntry) {
        let index = TreeSize(self.size).next_index();
        for blob in &entry.blobs {
            self.naming.entry((blob.sha256, blob.size)).or_default().insert(index);
        }
        if entry.dropped {
            self.dropped.insert(index);
        }
        self.places.push(at);
        self.size += 1;
    }

    /// What it names when all of it was read.
    fn named(&self) -> BTreeMap<Hash, u64> {
        let named = self.naming.iter().filter(|(_, by)| !by.is_subset(&self.forgotten));
        named.map(|(blob, _)| *blob).collect()
    }

    /// Where the journal and its entries do not agree about what is forgotten.
    fn faults(&self, committee: CommitteeId, judged: &Forgetting) -> Vec<(LeafIndex, Fault)> {
        let says = |what: &'static str| {
            move |index: &LeafIndex| {
                let what = format!("entry {index} of {committee}: {what}");
                (*index, Fault::Entry(what))
            }
        };
        let Forgetting { forgotten, lacking } = judged;
        let missing = says("its payload is missing, and it was not forgotten");
        let marked = says("it is to be dropped, and was not forgotten");
        let unmarked = says("it was forgotten, and is not to be dropped");
        let agreed = self.forgotten.intersection(forgotten);
        let whole = agreed.filter(|index| !self.dropped.contains(index));
        lacking
            .iter()
            .map(missing)
            .chain(self.forgotten.difference(forgotten).map(marked))
            .chain(forgotten.difference(&self.forgotten).map(unmarked))
            .chain(whole.map(|index| (*index, Fault::Forgotten("a payload"))))
            .collect()
    }
}

impl Check<'_> {
    fn find(&mut self, file: String, offset: u64, fault: Fault) {
        let alike = |found: &&Finding| found.fault.is_mended() == fault.is_mended();
        if self.findings.iter().filter(alike).count() < FINDINGS_MAX {
            self.findings.push(Finding { file, offset, fault });
        }
    }

    fn journal(&mut self, segments: &Segments) -> Result<(), StoreError> {
        let last = match segments.last() {
            Err(StoreError::StoreDamaged { segment, .. }) => {
                self.find(segment_name(segment), 0, Fault::Damaged);
                segment - 1
            }
            last => last?,
        };
        let mut sequence = 0;
        for number in 1..=last {
            self.segment(segments, number, number == last, &mut sequence)?;
        }
        self.last_sequence = sequence;
        let names =
            self.disk.list(segments.folder()).map_err(StoreError::io("listing the journal"))?;
        if names.iter().any(|name| name == COPY) {
            let what = Fault::Forgotten("a copy of a segment, perhaps with something");
            self.find(format!("journal/{COPY}"), 0, what);
        }
        Ok(())
    }

    fn segment(
        &mut self,
        segments: &Segments,
        number: u32,
        is_last: bool,
        sequence: &mut u64,
    ) -> Result<(), StoreError> {
        let name = segment_name(number);
        let segment = match segments.open(number) {
            Err(StoreError::StoreDamaged { offset, .. }) => {
                self.find(name, offset, Fault::Damaged);
                return Ok(());
            }
            segment => segment?,
        };
        if segment.first_sequence != *sequence + 1 {
            self.find(name.clone(), 0, Fault::Damaged);
            *sequence = segment.first_sequence.saturating_sub(1);
        }
        let end = segment.walk(HEADER_BYTES, sequence, &mut |place, bytes, batch| {
            self.batch(place, bytes, batch)
        })?;
        match segment.tail(end, *sequence)? {
            Tail::Clean => {}
            Tail::Torn { .. } if is_last => self.find(name, end, Fault::Torn),
            Tail::Torn { .. } | Tail::Damaged => self.find(name, end, Fault::Damaged),
        }
        Ok(())
    }

    fn batch(&mut self, place: FramePlace, bytes: &Bytes, batch: &Batch) -> Result<(), StoreError> {
        for item in &batch.items {
            match item {
                Item::Append(appended) => self.appended(place, bytes, appended)?,
                Item::Notes(changes) => changes.iter().for_each(|change| self.note(change)),
                Item::Forget(Forgotten { committee, places }) => {
                    // It stands behind the entries that say so.
                    if let Some(log) = self.logs.get_mut(committee) {
                        log.forgotten.extend(places);
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, change: &NoteChange) {
        match &change.value {
            Some(value) => self.notes.insert(change.key.clone(), value.clone()),
            None => self.notes.remove(&change.key),
        };
    }

    fn appended(
        &mut self,
        place: FramePlace,
        bytes: &Bytes,
        appended: &Appended,
    ) -> Result<(), StoreError> {
        let file = segment_name(place.segment);
        let number = u32::try_from(self.logs.len()).expect("far fewer committees than that");
        let new = || Log { number, ..Log::default() };
        let mut log = self.logs.remove(&appended.committee).unwrap_or_else(new);
        if appended.first.0 != log.size {
            self.find(file.clone(), place.offset, Fault::OutOfOrder);
        }
        let mut nodes = Vec::new();
        let first_node = tiles::node_count(log.size);
        for (entry, index) in appended.entries.iter().zip(appended.first.0..) {
            let stored = StoredEntry {
                leaf_hash: entry.leaf_hash,
                author: entry.author,
                author_seq: entry.author_seq,
                blobs: entry.blobs.clone(),
                bytes: entry.bytes(bytes),
                dropped: entry.dropped,
            };
            if let Some(what) = self.look.entry(appended.committee, LeafIndex(index), &stored) {
                let offset = place.offset + u64::from(entry.offset);
                self.find(file.clone(), offset, Fault::Entry(what));
            }
            nodes.extend(tiles::completed_by(entry.leaf_hash, log.size, &mut log.edge));
            log.append((place.segment, place.offset + u64::from(entry.offset)), entry);
        }
        self.logs.insert(appended.committee, log);
        self.nodes(appended.committee, first_node, &nodes)
    }

    /// Compares what the journal says of forgetting with what its entries say. What is missing, or
    /// about to, without having been forgotten was somebody's doing.
    fn forgetting(&mut self) {
        let mut found = Vec::new();
        for (committee, log) in &mut self.logs {
            log.blobs = log.named();
            let judged = self.look.forgetting(*committee).unwrap_or_else(|| Forgetting {
                forgotten: log.forgotten.clone(),
                lacking: BTreeSet::new(),
            });
            for (index, fault) in log.faults(*committee, &judged) {
                let place = usize::try_from(index.0).ok().and_then(|at| log.places.get(at));
                let (segment, offset) = place.copied().unwrap_or((1, 0));
                found.push((segment_name(segment), offset, fault));
            }
        }
        for (file, offset, fault) in found {
            self.find(file, offset, fault);
        }
    }

    /// Has the notes looked at.
    fn meanings(&mut self) {
        let faults: Vec<Fault> = self.notes.keys().filter_map(|key| self.look.note(key)).collect();
        faults.into_iter().for_each(|fault| self.find("journal".to_owned(), 0, fault));
    }

    /// Compares a stretch of a node file. One that ends earlier is behind, not wrong.
    fn nodes(
        &mut self,
        committee: CommitteeId,
        first: u64,
        nodes: &[Hash],
    ) -> Result<(), StoreError> {
        let name = format!("tiles/{committee}");
        let file = match self.disk.open(&self.root.join(&name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(StoreError::io("reading tree nodes"))?,
        };
        let mut found = vec![0; nodes.len() * tiles::NODE_BYTES];
        let offset = first * tiles::NODE_BYTES as u64;
        let read =
            file.read_up_to(&mut found, offset).map_err(StoreError::io("reading tree nodes"))?;
        let stretch = found[..read].chunks_exact(tiles::NODE_BYTES).zip(nodes);
        for ((found, node), position) in stretch.zip(first..) {
            if found != tiles::encode_node(committee, position, node) {
                let offset = position * tiles::NODE_BYTES as u64;
                self.find(name.clone(), offset, Fault::Cache("a tree node is damaged"));
            }
        }
        Ok(())
    }

    /// Compares the index with the journal. One that does not fit is marked, so that the next
    /// start makes it anew.
    fn index(&mut self, segments: &Segments) -> Result<(), StoreError> {
        let before = self.findings.len();
        self.look_at_index(segments)?;
        if self.findings.len() > before {
            // Where nothing can be written no relay can start either.
            let _ = Opening::begin(self.disk.as_ref(), self.root, self.last_sequence);
        }
        Ok(())
    }

    fn look_at_index(&mut self, segments: &Segments) -> Result<(), StoreError> {
        if Opening::is_under_way(self.disk.as_ref(), self.root)? {
            self.find("index".to_owned(), 0, Fault::Cache("doubtful, or never wholly opened"));
            return Ok(());
        }
        let folder = self.disk.host_folder(&self.root.join("index"));
        let Some(folder) = folder.filter(|folder| folder.exists()) else { return Ok(()) };
        // sled panics on some damage, when it is opened or later.
        let compared = catch_unwind(AssertUnwindSafe(|| self.open_index(segments, &folder)));
        match compared {
            Ok(Err(StoreError::StoreIndex(_))) | Err(_) => {
                self.find("index".to_owned(), 0, Fault::Cache("it cannot be read"));
                Ok(())
            }
            Ok(compared) => compared,
        }
    }

    fn open_index(&mut self, segments: &Segments, folder: &PathBuf) -> Result<(), StoreError> {
        let index = Index::open(Some(folder))?;
        let Some(contents) = index.contents()? else {
            index.close();
            return Ok(());
        };
        let fits = contents.mark.map(|mark| segments.holds(&mark)).transpose();
        if matches!(fits, Ok(Some(true))) {
            self.compare_index(segments, &index, contents)?;
        } else {
            self.find("index".to_owned(), 0, Fault::Cache("it does not fit the journal"));
        }
        index.close();
        Ok(())
    }

    fn compare_index(
        &mut self,
        segments: &Segments,
        index: &Index,
        contents: Contents,
    ) -> Result<(), StoreError> {
        let current = contents.mark.is_some_and(|mark| mark.sequence == self.last_sequence);
        let notes: BTreeMap<_, _> = contents.notes.into_iter().collect();
        let committees: HashMap<_, _> = contents.committees.into_iter().collect();
        let pending: BTreeSet<_> = contents.forgotten.into_iter().collect();
        let wrong = if !current {
            None
        } else if notes != self.notes {
            Some("notes differ from the journal")
        } else if committees.len() != self.logs.len() {
            Some("committees differ from the journal")
        } else {
            None
        };
        if let Some(what) = wrong {
            self.find("index".to_owned(), 0, Fault::Cache(what));
        }
        for (committee, indexed) in committees {
            let log = self.logs.get(&committee).map(|log| (log.number, log.size));
            let fits = log.is_some_and(|(number, size)| {
                number == indexed.number
                    && (indexed.size.0 == size || (!current && indexed.size.0 < size))
            });
            let blobs = index.blobs(indexed.number)?;
            let blobs = blobs.iter().map(|blob| (blob.sha256, blob.size));
            let named = self.logs.get(&committee).map(|log| &log.blobs);
            let names = !current || named.is_some_and(|named| blobs.eq(named.clone()));
            // A segment was put back from before something was dropped from it.
            let unknown = self.logs.get(&committee).is_some_and(|log| {
                let mut whole = log.forgotten.difference(&log.dropped);
                current && whole.any(|index| !pending.contains(&(indexed.number, *index)))
            });
            if unknown {
                let what = "what is forgotten and still there is missing in it";
                self.find("index".to_owned(), 0, Fault::Cache(what));
            }
            let there = fits && names;
            if !there || !indexed_entries_are_there(segments, index, committee, indexed)? {
                let what = "a committee differs from the journal";
                self.find("index".to_owned(), 0, Fault::Cache(what));
            }
        }
        Ok(())
    }

    fn checkpoints(&mut self) -> Result<(), StoreError> {
        let reading = "reading the signed checkpoints";
        for side in SIDES {
            let folder = self.root.join("checkpoints").join(side);
            for name in self.disk.list(&folder).map_err(StoreError::io(reading))? {
                let Ok(committee) = name.parse::<CommitteeId>() else { continue };
                let bytes = disk::read_file(self.disk.as_ref(), &folder.join(&name))
                    .map_err(StoreError::io(reading))?;
                let file = format!("checkpoints/{side}/{name}");
                let held = self.logs.get(&committee).map_or(0, |log| log.size);
                match checkpoints::decode(committee, &bytes.unwrap_or_default()) {
                    Some((size, _)) if size.0 > held => {
                        self.find(file, 0, Fault::RolledBack(size));
                    }
                    Some((size, note)) => {
                        if let Some(what) = self.look.checkpoint(committee, size, &note) {
                            self.find(file, 0, Fault::Checkpoint(what));
                        }
                    }
                    None => self.find(file, 0, Fault::Cache("a signed checkpoint is damaged")),
                }
            }
        }
        Ok(())
    }
}

impl Check<'_> {
    fn snapshots(&mut self) -> Result<(), StoreError> {
        let reading = "reading the snapshots";
        let folder = self.root.join("snapshots");
        for name in self.disk.list(&folder).map_err(StoreError::io(reading))? {
            let Ok(committee) = name.parse::<CommitteeId>() else { continue };
            let bytes = disk::read_file(self.disk.as_ref(), &folder.join(&name))
                .map_err(StoreError::io(reading))?;
            if snapshots::decode(committee, &bytes.unwrap_or_default().into()).is_none() {
                let file = format!("snapshots/{name}");
                self.find(file, 0, Fault::Cache("a snapshot is damaged"));
            }
        }
        Ok(())
    }
}

fn indexed_entries_are_there(
    segments: &Segments,
    index: &Index,
    committee: CommitteeId,
    indexed: Indexed,
) -> Result<bool, StoreError> {
    let mut next = 0;
    while next < indexed.size.0 {
        let places = index.places(indexed.number, LeafIndex(next), PLACES_BYTES)?;
        if places.is_empty() {
            return Ok(false);
        }
        for place in places {
            let bytes = match segments.read(place.segment, place.offset, place.len as usize) {
                Err(StoreError::StoreDamaged { .. }) => return Ok(false),
                bytes => bytes?,
            };
            let entry = frame::decode_entry(&bytes, committee, LeafIndex(next));
            let Some((head, len)) = entry else { return Ok(false) };
            let by_author = index.find(indexed.number, head.author, head.author_seq)?;
            let found = by_author == Some((LeafIndex(next), head.leaf_hash));
            if len != bytes.len() || !found {
                return Ok(false);
            }
            next += 1;
        }
    }
    Ok(true)
}

fn segment_name(number: u32) -> String {
    format!("journal/{number:08}")
}

#[cfg(test)]
mod tests;
