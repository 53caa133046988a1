//! Making a data folder, and bringing one back to life.

use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, RwLock};

use sealpost_protocol::id::CommitteeId;

use super::super::StoreError;
use super::super::blobs::Blobs;
use super::super::blobs::folder::{BLOBS, UPLOADS};
use super::super::checkpoints::{Checkpoints, SIDES};
use super::super::commit::Queue;
use super::super::disk::{self, Disk, DiskLock};
use super::super::frame::Batch;
use super::super::index::{Contents, Index, IndexBatch, Opening};
use super::super::journal::segment::{self, Segments, VERSION};
use super::super::journal::{self, FramePlace, Journal, Mark};
use super::super::notes::NoteChange;
use super::super::snapshots::Snapshots;
use super::super::tiles::Tiles;
use super::{Inner, Options, View};

/// Says that the folder is whole, and of which version.
const FORMAT: &str = "format";
const FORMAT_TEXT: &str = "sealpost-relay data folder, format ";
const JOURNAL: &str = "journal";
const CHECKPOINTS: &str = "checkpoints";
const TILES: &str = "tiles";
const SNAPSHOTS: &str = "snapshots";
const INDEX: &str = "index";
const LOCK: &str = "lock";
/// Folders for what is not in the journal. One that an earlier version of this program made lacks them.
const BLOB_FOLDERS: [&str; 2] = [BLOBS, UPLOADS];
/// What an interrupted creation may have left: the store's folders, and the relay's own files
/// beside them. The format file itself is not among it.
const OURS: [&str; 12] = [
    LOCK,
    JOURNAL,
    CHECKPOINTS,
    TILES,
    SNAPSHOTS,
    BLOBS,
    UPLOADS,
    "format.tmp",
    "key",
    "key.tmp",
    "relay.toml",
    "relay.tmp",
];
/// Index changes made at once while frames are read again.
const CATCH_UP_CHANGES: usize = 16 * 1024;

/// Makes a data folder. The format file comes last: a folder without it was never served.
pub(super) fn create<E: From<StoreError>>(
    disk: &Arc<dyn Disk>,
    root: &Path,
    options: Options,
    prepare: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let creating = |error| StoreError::io("creating the data folder")(error);
    // Before anything of what is not ours is touched, and again when nobody else can be at it.
    must_be_free(disk.as_ref(), root)?;
    disk.create_folder(root).map_err(creating)?;
    let _lock = lock(disk.as_ref(), root)?;
    must_be_free(disk.as_ref(), root)?;
    let folders = [JOURNAL, CHECKPOINTS, TILES, SNAPSHOTS].map(|name| root.join(name));
    let sides = SIDES.map(|side| root.join(CHECKPOINTS).join(side));
    let blobs = BLOB_FOLDERS.map(|name| root.join(name));
    for folder in folders.iter().chain(&sides).chain(&blobs) {
        disk.create_folder(folder).map_err(creating)?;
    }
    let segments = Segments::new(Arc::clone(disk), root.join(JOURNAL));
    Journal::create(&segments, options.sizes())?;
    prepare()?;
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
    let line = format!("{FORMAT_TEXT}{VERSION}\n");
    disk.sync_folder(&root.join(CHECKPOINTS))
        .and_then(|()| disk.sync_folder(root))
        .and_then(|()| disk.sync_folder(parent.unwrap_or(Path::new("."))))
        .and_then(|()| disk::replace_file(disk.as_ref(), &root.join(FORMAT), line.as_bytes()))
        .map_err(creating)?;
    Ok(())
}

/// Refuses to make a data folder at `root` where something is already. What an interrupted
/// creation left is nothing; a journal with a frame, or a signed checkpoint, is a relay that lost
/// its format file.
pub(in crate::store) fn must_be_free(disk: &dyn Disk, root: &Path) -> Result<(), StoreError> {
    let exists = || StoreError::LocalExists(root.to_owned());
    let names = list_or_none(disk, root)?;
    if !names.iter().all(|name| OURS.contains(&name.as_str())) {
        return Err(exists());
    }
    for side in SIDES {
        if !list_or_none(disk, &root.join(CHECKPOINTS).join(side))?.is_empty() {
            return Err(exists());
        }
    }
    for folder in BLOB_FOLDERS {
        if !list_or_none(disk, &root.join(folder))?.is_empty() {
            return Err(exists());
        }
    }
    let journal = root.join(JOURNAL);
    let mut segments = list_or_none(disk, &journal)?;
    segments.retain(|name| name != journal::NEXT && name != journal::dropping::COPY);
    match segments.as_slice() {
        [] => Ok(()),
        [only] if only == &segment::file_name(1) && segment::is_empty(disk, &journal)? => Ok(()),
        _ => Err(exists()),
    }
}

fn list_or_none(disk: &dyn Disk, folder: &Path) -> Result<Vec<String>, StoreError> {
    match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(StoreError::io("looking into the data folder")),
    }
}

/// Opens everything; the journal is handed to the thread that writes it.
pub(super) fn open(
    disk: &Arc<dyn Disk>,
    root: &Path,
    options: Options,
) -> Result<(Inner, Journal, Box<dyn DiskLock>), StoreError> {
    check_format(disk.as_ref(), root)?;
    let lock = lock(disk.as_ref(), root)?;
    make_blob_folders(disk.as_ref(), root)?;
    let segments = Arc::new(Segments::new(Arc::clone(disk), root.join(JOURNAL)));
    let sizes = options.sizes();
    let (index, contents, vouched) = open_index(disk.as_ref(), root, &segments)?;
    let mut view = View::default();
    let from = contents.mark;
    view.committees.extend(contents.committees);
    let of_number: BTreeMap<u32, CommitteeId> =
        view.committees.iter().map(|(id, indexed)| (indexed.number, *id)).collect();
    for (number, place) in contents.forgotten {
        if let Some(committee) = of_number.get(&number) {
            view.forgotten.entry(*committee).or_default().insert(place, None);
        }
    }
    for (number, place) in contents.dropped {
        if let Some(committee) = of_number.get(&number) {
            view.dropped.entry(*committee).or_default().insert(place);
        }
    }
    for (key, value) in contents.notes {
        view.notes.apply(&NoteChange { key, value: Some(value) });
    }
    let mut catch_up = CatchUp { view: &mut view, index: &index, batch: IndexBatch::default() };
    let mut last = from;
    let end = journal::scan(&segments, from, vouched, &mut |place, batch| {
        last = Some(Mark { place, sequence: batch.sequence });
        catch_up.take(place, batch)
    })?;
    if let Some(mark) = last {
        catch_up.apply(&mark)?;
    }
    let checkpoints = Checkpoints::open(Arc::clone(disk), root.join(CHECKPOINTS))?;
    // Before a torn tail is cut off: if it was signed for, it is damage, and evidence.
    refuse_rollback(&checkpoints, &view)?;
    let durable = AtomicU64::new(end.sequence());
    let journal = Journal::open(Arc::clone(&segments), sizes, end)?;
    let inner = Inner {
        root: root.to_owned(),
        segments,
        index,
        tiles: Tiles::new(Arc::clone(disk), root.join(TILES)),
        snapshots: Snapshots::new(Arc::clone(disk), root.join(SNAPSHOTS)),
        checkpoints,
        blobs: Arc::new(Blobs::new(Arc::clone(disk), root, options.blobs)),
        queue: Queue::new(sizes),
        view: RwLock::new(view),
        durable,
        doubted: AtomicBool::new(false),
        reserve_bytes: options.reserve_bytes,
        drop_after: options.drop_after,
        dropped: AtomicU64::new(0),
        drops_failed: AtomicU64::new(0),
        drop_turn: AtomicU32::new(0),
    };
    Ok((inner, journal, lock))
}

fn make_blob_folders(disk: &dyn Disk, root: &Path) -> Result<(), StoreError> {
    let making = StoreError::io("making the folders for blobs");
    let make = || {
        let there = disk.list(root)?;
        let missing: Vec<_> =
            BLOB_FOLDERS.iter().filter(|name| !there.iter().any(|there| there == *name)).collect();
        for name in &missing {
            disk.create_folder(&root.join(name))?;
        }
        if missing.is_empty() { Ok(()) } else { disk.sync_folder(root) }
    };
    make().map_err(making)
}

/// Takes the folder for this process.
pub(in crate::store) fn lock(
    disk: &dyn Disk,
    root: &Path,
) -> Result<Box<dyn DiskLock>, StoreError> {
    let taken = disk.lock(&root.join(LOCK)).map_err(StoreError::io("locking the data folder"))?;
    taken.ok_or_else(|| StoreError::LocalInUse(root.to_owned()))
}

/// Refuses what is no data folder, or one of another version.
pub(in crate::store) fn check_format(disk: &dyn Disk, root: &Path) -> Result<(), StoreError> {
    let found = match disk::read_file(disk, &root.join(FORMAT)) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(StoreError::LocalNoDataFolder(root.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(StoreError::LocalNoDataFolder(root.to_owned()));
        }
        Err(error) => return Err(StoreError::io("opening the data folder")(error)),
    };
    let text = String::from_utf8_lossy(&found);
    let version = text.strip_prefix(FORMAT_TEXT).map(|version| version.trim_end().parse::<u32>());
    match version {
        Some(Ok(VERSION)) => Ok(()),
        Some(Ok(found)) => Err(StoreError::LocalVersion { found, known: VERSION }),
        Some(Err(_)) | None => Err(StoreError::LocalNoDataFolder(root.to_owned())),
    }
}

/// Opens the index if it fits the journal, else makes an empty one. Also gives the number of the
/// last frame that any index vouched for: it was durable once.
fn open_index(
    disk: &dyn Disk,
    root: &Path,
    segments: &Segments,
) -> Result<(Index, Contents, u64), StoreError> {
    let folder = root.join(INDEX);
    let host = disk.host_folder(&folder);
    let (opening, doubt) = Opening::begin(disk, root, 0)?;
    let mut vouched = doubt.unwrap_or(0);
    let found = if doubt.is_some() {
        Err(StoreError::StoreIndex("doubtful, or its last opening never ended".to_owned()))
    } else {
        try_open(|| {
            let index = Index::open(host.as_ref())?;
            let contents = index.contents()?;
            Ok((index, contents))
        })
    };
    match found {
        Ok((index, Some(contents))) => {
            let Some(mark) = contents.mark else { unreachable!("contents come with a mark") };
            vouched = mark.sequence;
            if segments.holds(&mark)? {
                opening.end()?;
                return Ok((index, contents, vouched));
            }
            index.close();
            // Before the index goes: if it saw a frame durable that is damaged now, it is the only
            // witness.
            if let Err(damage) = journal::scan(segments, None, vouched, &mut |_, _| Ok(())) {
                opening.end()?;
                return Err(damage);
            }
            tracing::warn!("the index does not fit the journal: made anew");
        }
        Ok((index, None)) => index.close(),
        Err(StoreError::StoreIndex(why)) => tracing::warn!(why, "the index is made anew"),
        Err(error) => tracing::warn!(%error, "the index is made anew"),
    }
    disk.remove_host_folder(&folder).map_err(StoreError::io("removing the index"))?;
    let index = Index::open(host.as_ref())?;
    opening.end()?;
    Ok((index, Contents::default(), vouched))
}

/// Makes an index anew while the folder is served, up to the frame `durable`: what stands behind it was
/// never answered for.
pub(super) fn index_anew(
    root: &Path,
    segments: &Segments,
    durable: u64,
) -> Result<Index, StoreError> {
    let disk = segments.disk();
    let folder = root.join(INDEX);
    let (opening, _) = Opening::begin(disk, root, durable)?;
    disk.remove_host_folder(&folder).map_err(StoreError::io("removing the index"))?;
    let index = try_open(|| Index::open(disk.host_folder(&folder).as_ref()))?;
    let mut view = View::default();
    let mut last = None;
    let mut catch_up = CatchUp { view: &mut view, index: &index, batch: IndexBatch::default() };
    journal::scan(segments, None, durable, &mut |place, batch| {
        if batch.sequence > durable {
            return Ok(());
        }
        last = Some(Mark { place, sequence: batch.sequence });
        catch_up.take(place, batch)
    })?;
    if let Some(mark) = last {
        catch_up.apply(&mark)?;
    }
    opening.end()?;
    Ok(index)
}

/// sled panics on some damage. Where panics unwind that is caught here; where they end the
/// process, [`Opening`] tells the next start.
fn try_open<T>(open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    std::panic::catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(StoreError::StoreIndex("opening it panicked".to_owned())))
}

/// Frames behind the index's mark, on their way into it.
struct CatchUp<'c> {
    view: &'c mut View,
    index: &'c Index,
    batch: IndexBatch,
}

impl CatchUp<'_> {
    fn take(&mut self, place: FramePlace, batch: &Batch) -> Result<(), StoreError> {
        let planned = self
            .view
            .plan(place, batch, &mut self.batch)
            .ok_or(StoreError::StoreDamaged { segment: place.segment, offset: place.offset })?;
        self.view.publish(planned, batch);
        if self.batch.changes < CATCH_UP_CHANGES {
            return Ok(());
        }
        self.apply(&Mark { place, sequence: batch.sequence })
    }

    fn apply(&mut self, mark: &Mark) -> Result<(), StoreError> {
        self.index.apply(std::mem::take(&mut self.batch), mark)
    }
}

/// Serves nothing below what was signed for: clients would take it for a lie, and rightly.
fn refuse_rollback(checkpoints: &Checkpoints, view: &View) -> Result<(), StoreError> {
    for (committee, signed) in checkpoints.signed() {
        let held = view.committees.get(&committee).map_or_else(Default::default, |held| held.size);
        if signed > held {
            return Err(StoreError::StoreRolledBack { committee, signed, held });
        }
    }
    Ok(())
}
