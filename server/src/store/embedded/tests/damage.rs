//! Torn tails, flipped bits, and lost or spoiled caches.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::super::disk::faulty::Failure;
use super::super::super::{Fault, Finding, Nodes, check};
use super::*;

const SEGMENT: &str = "journal/00000001";

fn findings(disk: &Arc<dyn Disk>, root: &Path) -> Vec<Finding> {
    check(disk, root, &mut LeafHashes).unwrap()
}

/// A journal of one frame an entry, and where each frame begins; the last number is the end.
fn frames(disk: &FaultyDisk, lens: &[usize]) -> Vec<usize> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    let mut places = vec![44];
    runtime().block_on(async {
        for (size, len) in (0..).zip(lens) {
            push(&store, "frames", size, *len).await.unwrap();
            places.push(places.last().unwrap() + 25 + 45 + 81 + len);
        }
    });
    places
}

fn head_after_opening(disk: &FaultyDisk) -> Result<TreeSize, StoreError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::open(&shared, &root(), SMALL)?;
    let head = runtime().block_on(store.head(committee("frames")));
    // It takes writes again, and they are found again.
    runtime().block_on(push(&store, "frames", head.0, 5)).unwrap();
    drop(store);
    let store = Store::open(&shared, &root(), SMALL)?;
    assert_eq!(runtime().block_on(store.head(committee("frames"))), TreeSize(head.0 + 1));
    assert!(findings(&shared_after(store, &shared), &root()).is_empty());
    Ok(head)
}

fn shared_after(store: Store, disk: &Arc<dyn Disk>) -> Arc<dyn Disk> {
    drop(store);
    Arc::clone(disk)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_nothing_else() {
    let disk = FaultyDisk::new();
    let places = frames(&disk, &[30, 40, 10]);
    let path = root().join(SEGMENT);
    let whole = disk.contents(&path).unwrap();
    let (start, end) = (places[2], places[3]);
    for arrived in start..end {
        // A prefix arrived, a suffix arrived, and garbage where the rest should be.
        for style in 0..3 {
            let disk = disk.copy();
            disk.tamper(&path, |bytes| {
                bytes.clone_from(&whole);
                match style {
                    0 => bytes[arrived..end].fill(0),
                    1 => bytes[start..=arrived].fill(0),
                    _ => bytes[arrived..end].iter_mut().for_each(|byte| *byte = !*byte),
                }
            });
            // Where the frame has zeros anyway, losing a first few bytes changes nothing.
            let expected = 2 + u64::from(disk.contents(&path).unwrap() == whole);
            let head = head_after_opening(&disk).unwrap();
            assert_eq!(head, TreeSize(expected), "byte {arrived} style {style}");
        }
    }
}

#[test]
fn a_flip_of_any_byte_in_a_middle_frame_is_refused_and_located() {
    let disk = FaultyDisk::new();
    let places = frames(&disk, &[30, 40, 10]);
    let path = root().join(SEGMENT);
    for flipped in places[1]..places[2] {
        let disk = disk.copy();
        disk.tamper(&path, |bytes| bytes[flipped] ^= 0x10);
        let shared: Arc<dyn Disk> = Arc::new(disk);
        let opened = Store::open(&shared, &root(), SMALL);
        let expected = places[1] as u64;
        assert!(
            matches!(
                opened,
                Err(StoreError::StoreDamaged { segment: 1, offset }) if offset == expected
            ),
            "byte {flipped}: {opened:?}"
        );
        let found = findings(&shared, &root());
        let damage = Finding { file: SEGMENT.to_owned(), offset: expected, fault: Fault::Damaged };
        assert!(found.contains(&damage), "byte {flipped}: {found:?}");
    }
}

#[test]
fn a_flip_of_any_byte_of_an_entry_is_never_served() {
    let disk = FaultyDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    runtime().block_on(async {
        let id = committee("flips");
        push(&store, "flips", 0, 30).await.unwrap();
        let path = root().join(SEGMENT);
        let start = 44 + 25 + 45;
        for flipped in start..start + 81 + 30 {
            disk.tamper(&path, |bytes| bytes[flipped] ^= 1);
            let read = store.read(id, LeafIndex(0), 1_000).await;
            assert!(matches!(read, Err(StoreError::StoreDamaged { .. })), "byte {flipped}");
            disk.tamper(&path, |bytes| bytes[flipped] ^= 1);
        }
        assert_eq!(store.read(id, LeafIndex(0), 1_000).await.unwrap().len(), 1);
    });
}

#[test]
fn a_segment_that_is_missing_or_spoiled_is_refused_and_located() {
    type Spoil = fn(&FaultyDisk);
    let spoil: [(&str, Spoil); 3] = [
        ("journal/00000002", |disk| disk.remove(&root().join("journal/00000002")).unwrap()),
        ("journal/00000002", |disk| {
            disk.tamper(&root().join("journal/00000002"), |bytes| bytes[20] ^= 1);
        }),
        // The last frame of a full segment vanishes without a trace in that segment.
        ("journal/00000003", |disk| {
            disk.tamper(&root().join("journal/00000002"), |bytes| bytes[44..].fill(0));
        }),
    ];
    for (file, spoil) in spoil {
        let (disk, shared) = faulty();
        let store = Store::create(&shared, &root(), SMALL).unwrap();
        runtime().block_on(async {
            for size in 0..4 {
                push(&store, "frames", size, 12_000).await.unwrap();
            }
        });
        drop(store);
        spoil(&disk);
        let opened = Store::open(&shared, &root(), SMALL);
        assert!(matches!(opened, Err(StoreError::StoreDamaged { segment: 2, .. })), "{opened:?}");
        let found = findings(&shared, &root());
        assert!(
            found.iter().any(|found| found.file == file && found.fault == Fault::Damaged),
            "{found:?}"
        );
    }
}

#[test]
fn a_segment_of_another_version_is_named() {
    let disk = FaultyDisk::new();
    frames(&disk, &[1]);
    disk.tamper(&root().join(SEGMENT), |bytes| {
        bytes[19] = 2;
        let crc = crc32c::crc32c(&bytes[..40]);
        bytes[40..44].copy_from_slice(&crc.to_be_bytes());
    });
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let opened = Store::open(&shared, &root(), SMALL);
    assert!(matches!(opened, Err(StoreError::LocalVersion { found: 2, known: 1 })), "{opened:?}");
}

#[test]
fn what_a_member_writes_is_never_taken_for_a_frame() {
    // An entry whose bytes are a whole journal with later frames, and then a torn write of it.
    let bait = FaultyDisk::new();
    frames(&bait, &[10, 10, 10, 10]);
    let bait = bait.contents(&root().join(SEGMENT)).unwrap()[..2_000].to_vec();
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    let mut planted = entry(device("frames"), 0, 0);
    planted.bytes = Bytes::from(bait);
    let planted = Append {
        committee: committee("frames"),
        expected: TreeSize(0),
        entries: vec![planted],
        forgets: Vec::new(),
    };
    runtime().block_on(store.append(planted)).unwrap();
    drop(store);
    disk.tamper(&root().join(SEGMENT), |bytes| bytes[60] ^= 1);
    assert_eq!(head_after_opening(&disk).unwrap(), TreeSize(0));
}

#[test]
fn a_frame_that_the_index_saw_durable_is_not_taken_for_torn() {
    let host = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new().with_host(host.path().to_owned());
    let places = frames(&disk, &[30, 40]);
    let spoil = places[1] + 100;
    disk.tamper(&root().join(SEGMENT), |bytes| bytes[spoil] ^= 1);
    let shared: Arc<dyn Disk> = Arc::new(disk);
    for _ in 0..2 {
        // Not even at the second try: refusing must not cost the evidence.
        let opened = Store::open(&shared, &root(), SMALL);
        assert!(matches!(opened, Err(StoreError::StoreDamaged { segment: 1, .. })), "{opened:?}");
    }
}

#[test]
fn a_failed_sync_stops_writing_and_reads_go_on() {
    let failures =
        [Failure::Lost(std::io::ErrorKind::Other), Failure::Applied(std::io::ErrorKind::Other)];
    for failure in failures {
        let (disk, shared) = faulty();
        let store = Store::create(&shared, &root(), SMALL).unwrap();
        runtime().block_on(async {
            push(&store, "stop", 0, 10).await.unwrap();
            let release = disk.hold_syncs();
            let held = push(&store, "other", 0, 10);
            release.wait_until_held();
            let (failing, behind) = (push(&store, "stop", 1, 10), push(&store, "stop", 2, 10));
            let syncs = disk.count(Kind::Sync);
            // Behind the held sync come the write of the next frame and its sync.
            disk.fail_next(Kind::Sync, failure);
            drop(release);
            held.await.unwrap();
            for answer in [failing.await, behind.await, push(&store, "stop", 1, 10).await] {
                assert!(
                    matches!(answer, Err(AppendError::Store(StoreError::StoreStopped))),
                    "{answer:?}"
                );
            }
            assert_eq!(disk.count(Kind::Sync), syncs + 1, "a failed sync is never tried again");
            assert_eq!(store.head(committee("stop")).await, TreeSize(1));
            let read = store.read(committee("stop"), LeafIndex(0), 100).await.unwrap();
            assert_eq!(read.len(), 1);
        });
    }
}

/// A real data folder with entries of two committees and a note, closed.
fn filled() -> (tempfile::TempDir, Arc<dyn Disk>, PathBuf) {
    let (folder, disk, root) = real();
    let store = Store::create(&disk, &root, SMALL).unwrap();
    runtime().block_on(async {
        for size in 0..30 {
            push(&store, "frames", size, 800).await.unwrap();
            push(&store, "beside", size, 20).await.unwrap();
        }
        let put = vec![(b"permit".to_vec(), Bytes::from_static(b"kept"))];
        store.commit(Commit { put, ..Commit::default() }).await.unwrap();
    });
    drop(store);
    (folder, disk, root)
}

fn assert_whole(disk: &Arc<dyn Disk>, root: &Path) {
    let store = Store::open(disk, root, SMALL).unwrap();
    runtime().block_on(async {
        for (name, len) in [("frames", 800), ("beside", 20)] {
            let id = committee(name);
            let read = store.read(id, LeafIndex(0), 1_000_000).await.unwrap();
            assert_eq!(read.len(), 30);
            for (index, bytes) in (0_u64..).zip(read) {
                let expected = entry(device(name), index, len);
                assert_eq!(bytes, expected.bytes);
                let position = 2 * index - u64::from(index.count_ones());
                assert_eq!(store.nodes(id).node(position).unwrap(), expected.leaf_hash);
                let at = store.index_of(id, device(name), AuthorSeq(index)).await.unwrap();
                assert_eq!(at, Some((LeafIndex(index), expected.leaf_hash)));
            }
        }
        assert_eq!(store.get(b"permit").await.unwrap().unwrap(), "kept");
    });
    drop(store);
    assert_eq!(findings(disk, root), []);
}

#[test]
fn a_lost_or_spoiled_index_is_made_anew() {
    type Spoil = fn(&Path);
    let spoil: [Spoil; 4] = [
        |root| std::fs::remove_dir_all(root.join("index")).unwrap(),
        |root| {
            for entry in std::fs::read_dir(root.join("index")).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    std::fs::write(&path, vec![0xa5; 100_000]).unwrap();
                }
            }
        },
        |root| {
            let database = root.join("index").join("db");
            let len = std::fs::metadata(&database).unwrap().len();
            std::fs::OpenOptions::new()
                .write(true)
                .open(database)
                .unwrap()
                .set_len(len / 3)
                .unwrap();
        },
        // The last opening never ended.
        |root| std::fs::write(root.join("index.opening"), "").unwrap(),
    ];
    for spoil in spoil {
        let (_folder, disk, root) = filled();
        spoil(&root);
        assert_whole(&disk, &root);
    }
}

/// Some of these sled refuses, some make it panic when it is opened, some only later.
#[test]
fn an_index_with_any_bytes_flipped_is_named_by_check_and_made_anew() {
    let (_folder, disk, root) = filled();
    let database = root.join("index").join("db");
    let mut state = 7_u64;
    let mut named = 0;
    for round in 0..24 {
        let mut bytes = std::fs::read(&database).unwrap();
        // The space behind what sled wrote is zeros, and flips in it mean nothing.
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        for _ in 0..1 << (round % 8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % end;
            bytes[at] ^= 0x41;
        }
        std::fs::write(&database, bytes).unwrap();
        let found = findings(&disk, &root);
        assert!(found.iter().all(|found| found.fault.is_mended()), "{found:?}");
        named += usize::from(!found.is_empty());
        // What is not noticed when it is opened is when it is read, and mended by the next start.
        let whole = catch_unwind(AssertUnwindSafe(|| assert_whole(&disk, &root))).is_ok();
        assert!(whole || root.join("index.opening").exists(), "nobody will mend it");
        assert_whole(&disk, &root);
    }
    assert!(named > 4, "{named} of 24 were noticed");
}

#[test]
fn an_index_behind_or_ahead_of_the_journal_is_brought_in_step() {
    let (folder, disk, root) = filled();
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status();
        assert!(copied.unwrap().success());
    };
    let (old_index, old_journal) = (folder.path().join("index"), folder.path().join("journal"));
    copy(&root.join("index"), &old_index);
    copy(&root.join("journal"), &old_journal);
    let store = Store::open(&disk, &root, SMALL).unwrap();
    runtime().block_on(async {
        for size in 0..30 {
            push(&store, "more", size, 800).await.unwrap();
        }
    });
    drop(store);
    let new_index = folder.path().join("new");
    copy(&root.join("index"), &new_index);
    copy(&old_index, &root.join("index"));
    assert_whole(&disk, &root);
    let store = Store::open(&disk, &root, SMALL).unwrap();
    assert_eq!(runtime().block_on(store.head(committee("more"))), TreeSize(30));
    drop(store);
    copy(&new_index, &root.join("index"));
    copy(&old_journal, &root.join("journal"));
    assert!(findings(&disk, &root).iter().any(|found| found.file == "index"));
    assert_whole(&disk, &root);
    let store = Store::open(&disk, &root, SMALL).unwrap();
    assert_eq!(runtime().block_on(store.head(committee("more"))), TreeSize(0));
}

#[test]
fn lost_or_spoiled_tree_nodes_are_made_anew() {
    let tile = |root: &Path| root.join("tiles").join(committee("frames").to_string());
    let change = |root: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(tile(root)).unwrap();
        change(&mut bytes);
        std::fs::write(tile(root), bytes).unwrap();
    };
    let (_folder, disk, root) = filled();
    let whole = std::fs::read(tile(&root)).unwrap();
    assert_eq!(whole.len(), 36 * (2 * 30 - 4));
    std::fs::remove_file(tile(&root)).unwrap();
    assert_whole(&disk, &root);
    for len in [0, 1, 35, 36, 37, 500, whole.len() - 1] {
        change(&root, &|bytes| bytes.truncate(len));
        assert_whole(&disk, &root);
        assert_eq!(std::fs::read(tile(&root)).unwrap(), whole);
    }
    for flipped in [0, 33, 36 * 20 + 5, 36 * 55, whole.len() - 1] {
        change(&root, &|bytes| bytes[flipped] ^= 4);
        let found = findings(&disk, &root);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].offset, flipped as u64 / 36 * 36);
        assert!(matches!(found[0].fault, Fault::Cache(_)));
        let store = Store::open(&disk, &root, SMALL).unwrap();
        let nodes = store.nodes(committee("frames"));
        for (position, expected) in (0..).zip(whole.chunks(36)) {
            assert_eq!(nodes.node(position).unwrap().0, expected[..32]);
        }
        drop(store);
        assert_eq!(std::fs::read(tile(&root)).unwrap(), whole);
    }
}

#[test]
fn check_names_an_entry_that_its_caller_does_not_accept() {
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), SMALL).unwrap();
    let mut wrong = entry(device("d"), 0, 10);
    wrong.leaf_hash = Hash::of(b"something else");
    let append = Append {
        committee: committee("c"),
        expected: TreeSize(0),
        entries: vec![wrong],
        forgets: Vec::new(),
    };
    runtime().block_on(store.append(append)).unwrap();
    drop(store);
    let found = findings(&shared, &root());
    let fault = Fault::Entry("another leaf hash".to_owned());
    assert_eq!(found, [Finding { file: SEGMENT.to_owned(), offset: 44 + 25 + 45, fault }]);
    drop(disk);
}

#[test]
fn check_names_a_checkpoint_that_its_caller_does_not_accept() {
    let disk = FaultyDisk::new();
    frames(&disk, &[30]);
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let store = Store::open(&shared, &root(), SMALL).unwrap();
    store.record_checkpoint(committee("frames"), TreeSize(1), "forged").unwrap();
    drop(store);
    let fault = Fault::Checkpoint("forged for 1".to_owned());
    let found = findings(&shared, &root());
    assert_eq!(found.len(), 2, "kept twice, so found twice: {found:?}");
    assert!(found.iter().all(|found| found.fault == fault && !found.fault.is_mended()));
}

#[test]
fn check_names_a_damaged_snapshot_or_checkpoint() {
    let disk = FaultyDisk::new();
    frames(&disk, &[30]);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let id = committee("frames");
    let store = Store::open(&shared, &root(), SMALL).unwrap();
    store.record_checkpoint(id, TreeSize(1), "note").unwrap();
    runtime().block_on(store.put_snapshot(id, TreeSize(1), Bytes::from_static(b"fold"))).unwrap();
    drop(store);
    assert_eq!(findings(&shared, &root()), []);
    for file in [format!("snapshots/{id}"), format!("checkpoints/a/{id}")] {
        for byte in 0..disk.contents(&root().join(&file)).unwrap().len() {
            disk.tamper(&root().join(&file), |bytes| bytes[byte] ^= 4);
            let found = findings(&shared, &root());
            assert!(
                matches!(&found[..], [Finding { file: named, fault, .. }]
                    if *named == file && fault.is_mended()),
                "byte {byte}: {found:?}"
            );
            disk.tamper(&root().join(&file), |bytes| bytes[byte] ^= 4);
        }
    }
}

/// As a kill leaves it while something is dropped.
#[test]
fn check_names_a_copy_of_a_segment_until_the_next_start() {
    let disk = FaultyDisk::new();
    frames(&disk, &[30]);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let file = "journal/dropping";
    let segment = disk.contents(&root().join(SEGMENT)).unwrap();
    disk.create(&root().join(file)).unwrap().write_all_at(&segment, 0).unwrap();
    let [found] = &findings(&shared, &root())[..] else { panic!("it is one thing") };
    assert!(found.file == file && found.fault.is_mended(), "{found}");
    drop(Store::open(&shared, &root(), SMALL).unwrap());
    assert_eq!(findings(&shared, &root()), []);
}

#[test]
fn a_torn_tail_that_was_signed_for_is_kept_as_evidence() {
    let disk = FaultyDisk::new();
    let places = frames(&disk, &[30, 40]);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::open(&shared, &root(), SMALL).unwrap();
    store.record_checkpoint(committee("frames"), TreeSize(2), "note").unwrap();
    drop(store);
    let path = root().join(SEGMENT);
    disk.tamper(&path, |bytes| bytes[places[1] + 100] ^= 1);
    let before = disk.contents(&path);
    for _ in 0..2 {
        let opened = Store::open(&shared, &root(), SMALL);
        assert!(matches!(opened, Err(StoreError::StoreRolledBack { .. })), "{opened:?}");
        assert_eq!(disk.contents(&path), before);
    }
}

#[test]
fn doubt_about_the_index_does_not_cost_what_it_witnessed() {
    let host = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new().with_host(host.path().to_owned());
    let places = frames(&disk, &[30, 40]);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::open(&shared, &root(), SMALL).unwrap();
    disk.tamper(&root().join(SEGMENT), |bytes| bytes[places[1] + 100] ^= 1);
    let read = runtime().block_on(store.read(committee("frames"), LeafIndex(1), 100));
    assert!(matches!(read, Err(StoreError::StoreDamaged { .. })), "{read:?}");
    drop(store);
    let opened = Store::open(&shared, &root(), SMALL);
    assert!(matches!(opened, Err(StoreError::StoreDamaged { segment: 1, .. })), "{opened:?}");
}

#[test]
fn an_index_that_fails_is_made_anew_while_the_relay_serves() {
    let (_folder, disk, root) = filled();
    let store = Store::open(&disk, &root, SMALL).unwrap();
    runtime().block_on(async {
        let id = committee("frames");
        let before = store.read(id, LeafIndex(0), usize::MAX).await.unwrap();
        store.inner.index.give_up();
        let failed = store.read(id, LeafIndex(0), usize::MAX).await;
        assert!(matches!(failed, Err(StoreError::StoreIndex(_))), "{failed:?}");
        store.room().await;
        assert_eq!(store.read(id, LeafIndex(0), usize::MAX).await.unwrap(), before);
        push(&store, "later", 0, 10).await.unwrap();
        let found = store.index_of(committee("later"), device("later"), AuthorSeq(0)).await;
        assert_eq!(found.unwrap().unwrap().0, LeafIndex(0));
        store.inner.index.give_up();
        store.read(id, LeafIndex(0), 1).await.unwrap_err();
        // Not at once again; and nothing is taken meanwhile that it would have to hold.
        assert!(matches!(store.ready(), Err(StoreError::StoreBusy)));
        let refused = push(&store, "later", 1, 10).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::StoreBusy))), "{refused:?}");
        store.room().await;
        store.ready().unwrap();
    });
    drop(store);
    assert_whole(&disk, &root);
}
