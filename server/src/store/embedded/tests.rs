use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::super::conformance::{self, committee, device, entry};
use super::super::disk::faulty::{FaultyDisk, Kind};
use super::super::disk::{Disk, RealDisk};
use super::super::{Forgetting, Look, StoreError, StoredEntry};
use super::*;

mod crashes;
mod damage;
mod forgetting;

/// Small segments, so that a few entries fill several.
const SMALL: Options = Options {
    segment_bytes: 16 * 1024,
    reserve_bytes: 0,
    drop_after: Duration::ZERO,
    ..Options::DEFAULT
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn faulty() -> (FaultyDisk, Arc<dyn Disk>) {
    let disk = FaultyDisk::new();
    (disk.clone(), Arc::new(disk))
}

fn real() -> (tempfile::TempDir, Arc<dyn Disk>, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    (folder, Arc::new(RealDisk), root)
}

fn root() -> PathBuf {
    PathBuf::from("/data")
}

/// Accepts entries that are what [`entry`] makes.
struct LeafHashes;

impl Look for LeafHashes {
    fn entry(&mut self, _: CommitteeId, _: LeafIndex, entry: &StoredEntry) -> Option<String> {
        let leaf = Hash::of_parts(&[&[0x00], &entry.bytes]);
        (leaf != entry.leaf_hash).then(|| "another leaf hash".to_owned())
    }

    fn forgetting(&mut self, _: CommitteeId) -> Option<Forgetting> {
        None
    }

    fn checkpoint(&mut self, _: CommitteeId, size: TreeSize, note: &str) -> Option<String> {
        (note == "forged").then(|| format!("forged for {size}"))
    }
}

/// Queues one entry of `len` bytes behind `expected`.
fn push(
    store: &Store,
    name: &str,
    expected: u64,
    len: usize,
) -> impl Future<Output = Result<TreeSize, AppendError>> + Send + 'static + use<> {
    let entries = vec![entry(device(name), expected, len)];
    store.append(Append {
        committee: committee(name),
        expected: TreeSize(expected),
        entries,
        forgets: Vec::new(),
    })
}

#[test]
fn the_real_disk_conforms() {
    let (_folder, disk, root) = real();
    let store = Store::create(&disk, &root, Options::default()).unwrap();
    runtime().block_on(conformance::run(&store));
}

#[test]
fn the_faulty_disk_conforms() {
    let (_, disk) = faulty();
    let options = Options { segment_bytes: 64 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    let store = Store::create(&disk, &root(), options).unwrap();
    runtime().block_on(conformance::run(&store));
}

#[test]
fn all_is_there_after_a_restart() {
    let (_folder, disk, root) = real();
    let store = Store::create(&disk, &root, SMALL).unwrap();
    runtime().block_on(async {
        for size in 0..100 {
            push(&store, "restart", size, 700).await.unwrap();
        }
        let put = vec![(b"permit".to_vec(), Bytes::from_static(b"kept"))];
        store.commit(Commit { put, ..Commit::default() }).await.unwrap();
        let id = committee("restart");
        store.put_cosignature(id, device("d"), Bytes::from_static(b"c")).await.unwrap();
        store.record_checkpoint(id, TreeSize(100), "note").unwrap();
        store.close();
        assert!(matches!(
            push(&store, "restart", 100, 1).await,
            Err(AppendError::Store(StoreError::StoreStopped))
        ));
        let store = Store::open(&disk, &root, SMALL).unwrap();
        assert_eq!(store.head(id).await, TreeSize(100));
        let read = store.read(id, LeafIndex(40), 5_000).await.unwrap();
        assert_eq!(read[0], entry(device("restart"), 40, 700).bytes);
        assert_eq!(store.get(b"permit").await.unwrap().unwrap(), "kept");
        assert_eq!(store.cosignatures(id).await.unwrap().len(), 1);
        assert_eq!(store.last_checkpoint(id).unwrap(), Some((TreeSize(100), "note".to_owned())));
        push(&store, "restart", 100, 1).await.unwrap();
    });
}

#[test]
fn only_what_is_behind_the_mark_is_read_at_a_restart() {
    let host = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new().with_host(host.path().to_owned());
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = Options { segment_bytes: 1024 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    let store = Store::create(&shared, &root(), options).unwrap();
    runtime().block_on(async {
        for size in 0..500 {
            push(&store, "mark", size, 1_000).await.unwrap();
        }
    });
    drop(store);
    let before = disk.count(Kind::Read);
    let store = Store::open(&shared, &root(), options).unwrap();
    let reads = disk.count(Kind::Read) - before;
    assert!(reads < 20, "{reads} reads for a journal of 500 frames that are all indexed");
    assert_eq!(runtime().block_on(store.head(committee("mark"))), TreeSize(500));
}

#[test]
fn one_sync_serves_all_that_wait() {
    let (disk, shared) = faulty();
    let options = Options { segment_bytes: 8 * 1024 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    let store = Store::create(&shared, &root(), options).unwrap();
    let syncs = disk.count(Kind::Sync);
    let release = disk.hold_syncs();
    runtime().block_on(async {
        let first = push(&store, "first", 0, 10);
        release.wait_until_held();
        let names: Vec<String> = (0..64).map(|writer| format!("writer {writer}")).collect();
        let waiting: Vec<_> = names.iter().map(|name| push(&store, name, 0, 2_000)).collect();
        let put = vec![(b"beside".to_vec(), Bytes::from_static(b"too"))];
        let note = store.commit(Commit { put, ..Commit::default() });
        drop(release);
        first.await.unwrap();
        for answer in waiting {
            answer.await.unwrap();
        }
        note.await.unwrap();
    });
    assert_eq!(disk.count(Kind::Sync) - syncs, 2, "one for the first, one for the other 65");
}

#[test]
fn nothing_is_visible_or_answered_before_the_sync() {
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    let release = disk.hold_syncs();
    runtime().block_on(async {
        let mut waiting = Box::pin(push(&store, "early", 0, 10));
        let put = vec![(b"early".to_vec(), Bytes::new())];
        let mut note = Box::pin(store.commit(Commit { put, ..Commit::default() }));
        release.wait_until_held();
        let id = committee("early");
        assert!(futures_poll(&mut waiting).is_none());
        assert!(futures_poll(&mut note).is_none());
        assert_eq!(store.head(id).await, TreeSize(0));
        assert!(store.read(id, LeafIndex(0), 1_000).await.unwrap().is_empty());
        assert_eq!(store.get(b"early").await.unwrap(), None);
        drop(release);
        waiting.await.unwrap();
        note.await.unwrap();
        assert_eq!(store.head(id).await, TreeSize(1));
    });
}

/// One look at a future.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn the_queue_is_bounded_and_says_when_there_is_room() {
    let (disk, shared) = faulty();
    let options = Options { segment_bytes: 64 * 1024 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
    let store = Store::create(&shared, &root(), options).unwrap();
    let release = disk.hold_syncs();
    runtime().block_on(async {
        let first = push(&store, "first", 0, 10);
        release.wait_until_held();
        let mut waiting = Vec::new();
        let refused = loop {
            let size = waiting.len() as u64;
            let mut answer = Box::pin(push(&store, "much", size, 1_000_000));
            match futures_poll(&mut answer) {
                None => waiting.push(answer),
                Some(refused) => break refused,
            }
        };
        assert!(matches!(refused, Err(AppendError::Store(StoreError::StoreBusy))), "{refused:?}");
        let held: usize = waiting.len() * 1_000_000;
        assert!(held <= super::super::QUEUE_BYTES_MAX, "{held}");
        let mut room = Box::pin(store.room());
        assert!(futures_poll(&mut room).is_none());
        drop(release);
        room.await;
        first.await.unwrap();
        let size = waiting.len() as u64;
        for answer in waiting {
            answer.await.unwrap();
        }
        push(&store, "much", size, 10).await.unwrap();
    });
}

#[test]
fn an_append_larger_than_a_frame_is_refused() {
    let (_, shared) = faulty();
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    runtime().block_on(async {
        let fits = 16 * 1024 - 44 - 25 - 45 - 81;
        let refused = push(&store, "large", 0, fits + 1).await;
        assert!(matches!(refused, Err(AppendError::LocalSize)), "{refused:?}");
        push(&store, "large", 0, fits).await.unwrap();
        push(&store, "large", 1, fits).await.unwrap();
        assert_eq!(store.read(committee("large"), LeafIndex(0), 99_999).await.unwrap().len(), 2);
    });
}

#[test]
fn a_second_opening_is_refused() {
    let (_folder, disk, root) = real();
    let store = Store::create(&disk, &root, SMALL).unwrap();
    let second = Store::open(&disk, &root, SMALL);
    assert!(matches!(second, Err(StoreError::LocalInUse(_))), "{second:?}");
    let checked = super::super::check(&disk, &root, &mut LeafHashes);
    assert!(matches!(checked, Err(StoreError::LocalInUse(_))), "{checked:?}");
    drop(store);
    Store::open(&disk, &root, SMALL).unwrap();
}

#[test]
fn opening_creates_nothing_and_creating_overwrites_nothing() {
    let (folder, disk, root) = real();
    let opened = Store::open(&disk, &root, SMALL);
    assert!(matches!(opened, Err(StoreError::LocalNoDataFolder(_))), "{opened:?}");
    assert!(!root.exists());
    std::fs::create_dir(&root).unwrap();
    let opened = Store::open(&disk, &root, SMALL);
    assert!(matches!(opened, Err(StoreError::LocalNoDataFolder(_))), "{opened:?}");
    drop(Store::create(&disk, &root, SMALL).unwrap());
    let again = Store::create(&disk, &root, SMALL);
    assert!(matches!(again, Err(StoreError::LocalExists(_))), "{again:?}");
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::set_permissions(&foreign, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    let onto = Store::create(&disk, &foreign, SMALL);
    assert!(matches!(onto, Err(StoreError::LocalExists(_))), "{onto:?}");
    let mode = std::fs::metadata(&foreign).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(disk.list(&foreign).unwrap(), ["thesis.txt"]);
}

#[test]
fn a_journal_without_its_format_file_is_not_overwritten() {
    let (_folder, disk, root) = real();
    let store = Store::create(&disk, &root, SMALL).unwrap();
    runtime().block_on(push(&store, "kept", 0, 10)).unwrap();
    drop(store);
    std::fs::remove_file(root.join("format")).unwrap();
    std::fs::remove_dir_all(root.join("index")).unwrap();
    let again = Store::create(&disk, &root, SMALL);
    assert!(matches!(again, Err(StoreError::LocalExists(_))), "{again:?}");
}

#[test]
fn folders_and_files_are_for_their_owner_alone() {
    let (_folder, disk, root) = real();
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = Store::create(&disk, &root, SMALL).unwrap();
    runtime().block_on(async {
        let id = committee("mode");
        push(&store, "mode", 0, 10).await.unwrap();
        store.put_snapshot(id, TreeSize(1), Bytes::from_static(b"fold")).await.unwrap();
        store.record_checkpoint(id, TreeSize(1), "note").unwrap();
    });
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // sled makes its own files; the folder above keeps others out.
            if path == root.join("index") {
                continue;
            }
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn another_version_is_named() {
    let (_folder, disk, root) = real();
    drop(Store::create(&disk, &root, SMALL).unwrap());
    std::fs::write(root.join("format"), "sealpost-relay data folder, format 7\n").unwrap();
    let opened = Store::open(&disk, &root, SMALL);
    assert!(matches!(opened, Err(StoreError::LocalVersion { found: 7, known: 1 })), "{opened:?}");
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads_until_there_is_room() {
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    runtime().block_on(async {
        push(&store, "full", 0, 7_000).await.unwrap();
        disk.set_free_bytes(8 * 1024);
        let refused = push(&store, "full", 1, 10_000).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::StoreFull))), "{refused:?}");
        let id = committee("full");
        assert_eq!(store.head(id).await, TreeSize(1));
        assert_eq!(store.read(id, LeafIndex(0), 1).await.unwrap()[0].len(), 7_000);
        push(&store, "full", 1, 100).await.expect("still fits into the current segment");
        disk.set_free_bytes(64 * 1024);
        push(&store, "full", 2, 10_000).await.expect("there is room for a segment again");
        assert_eq!(store.head(id).await, TreeSize(3));
    });
}

#[test]
fn a_nearly_full_disk_is_treated_as_full() {
    let (disk, shared) = faulty();
    let options = Options { reserve_bytes: 50_000, ..SMALL };
    let store = Store::create(&shared, &root(), options).unwrap();
    runtime().block_on(async {
        let release = disk.hold_syncs();
        let first = push(&store, "near", 0, 10);
        release.wait_until_held();
        disk.set_free_bytes(49_999);
        // What was queued behind a refused write fails with it.
        let (one, two) = (push(&store, "near", 1, 10), push(&store, "near", 2, 10));
        drop(release);
        first.await.unwrap();
        for refused in [one.await, two.await] {
            assert!(
                matches!(refused, Err(AppendError::Store(StoreError::StoreFull))),
                "{refused:?}"
            );
        }
        disk.set_free_bytes(50_000);
        push(&store, "near", 1, 10).await.unwrap();
    });
}

#[test]
fn a_log_shorter_than_signed_for_is_not_served() {
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    let id = committee("signed");
    runtime().block_on(async {
        push(&store, "signed", 0, 10).await.unwrap();
        let backup = disk.contents(&root().join("journal/00000001")).unwrap();
        push(&store, "signed", 1, 10).await.unwrap();
        store.record_checkpoint(id, TreeSize(2), "signed note").unwrap();
        drop(store);
        disk.tamper(&root().join("journal/00000001"), |bytes| *bytes = backup);
    });
    for broken in ["a", "b"] {
        // Either of the two files is enough.
        let opened = Store::open(&shared, &root(), SMALL);
        assert!(
            matches!(
                opened,
                Err(StoreError::StoreRolledBack {
                    committee,
                    signed: TreeSize(2),
                    held: TreeSize(1)
                }) if committee == id
            ),
            "{opened:?}"
        );
        let path = root().join("checkpoints").join(broken).join(id.to_string());
        if broken == "a" {
            disk.tamper(&path, |bytes| bytes[20] ^= 1);
        }
    }
}
