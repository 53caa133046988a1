//! Blobs that are not as they were written: found when they are read, by the scrub, and by `check`.

use super::super::super::frame::{Appended, PlacedEntry};
use super::super::super::index::{Index, IndexBatch};
use super::super::super::{Fault, Finding, Forgetting, Look, check};
use super::*;

/// Accepts all entries.
struct Blind;

impl Look for Blind {
    fn entry(&mut self, _: CommitteeId, _: LeafIndex, _: &StoredEntry) -> Option<String> {
        None
    }

    fn forgetting(&mut self, _: CommitteeId) -> Option<Forgetting> {
        None
    }

    fn checkpoint(&mut self, _: CommitteeId, _: TreeSize, _: &str) -> Option<String> {
        None
    }
}

fn findings(disk: &FaultyDisk) -> Vec<Finding> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    check(&shared, &root(), &mut Blind).unwrap()
}

fn named(files: &[Vec<u8>]) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    runtime().block_on(async {
        for file in files {
            send(&store, "c", "d", file).await.unwrap();
        }
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        name_blobs(&store, "c", "d", 0, &files).await.unwrap();
    });
    drop(store);
    disk
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_blob_that_is_missing_or_short_is_lost_and_not_unknown() {
    let file = file(1, 5_000);
    let disk = named(std::slice::from_ref(&file));
    disk.tamper(&blob_path("c", &file), |bytes| bytes.truncate(4_999));
    let store = open(&disk).unwrap();
    runtime().block_on(async {
        let short = read(&store, committee("c"), Hash::of(&file)).await;
        assert!(matches!(short, Err(BlobError::StoreLost)), "{short:?}");
        disk.remove(&blob_path("c", &file)).unwrap();
        let missing = read(&store, committee("c"), Hash::of(&file)).await;
        assert!(matches!(missing, Err(BlobError::StoreLost)), "{missing:?}");
        assert_eq!(store.blob_counts().damaged, 1, "said once");
    });
}

#[test]
fn a_lost_blob_may_be_sent_again() {
    let file = file(1, 5_000);
    let disk = named(std::slice::from_ref(&file));
    disk.remove(&blob_path("c", &file)).unwrap();
    let store = open(&disk).unwrap();
    runtime().block_on(async {
        read(&store, committee("c"), Hash::of(&file)).await.unwrap_err();
        send(&store, "c", "another", &file).await.unwrap();
        let healed = read(&store, committee("c"), Hash::of(&file)).await;
        // Until it is in its place it is still counted as lost.
        assert!(matches!(healed, Ok(Some(_)) | Err(BlobError::StoreLost)), "{healed:?}");
    });
    store.close();
    assert_eq!(store.blob_counts().damaged, 0);
    assert_eq!(disk.contents(&blob_path("c", &file)), Some(file));
}

#[test]
fn the_scrub_finds_damage_says_it_and_mends_nothing() {
    let files = [file(1, 5_000), file(2, 700_000), file(3, 10)];
    let disk = named(&files);
    let store = open(&disk).unwrap();
    let fast = u64::MAX;
    runtime().block_on(async {
        let round = store.scrub_blobs(fast).await.unwrap();
        assert_eq!(round, Scrubbed { sound: 3, damaged: 0 });
        disk.tamper(&blob_path("c", &files[1]), |bytes| bytes[600_000] ^= 1);
        disk.remove(&blob_path("c", &files[2])).unwrap();
        let round = store.scrub_blobs(fast).await.unwrap();
        assert_eq!(round, Scrubbed { sound: 1, damaged: 2 });
        assert_eq!(store.blob_counts().damaged, 2);
        let spoiled = disk.contents(&blob_path("c", &files[1])).unwrap();
        assert!(spoiled != files[1], "left as it is");
        let known = read(&store, committee("c"), Hash::of(&files[1])).await;
        assert!(matches!(known, Err(BlobError::StoreLost)), "given to nobody: {known:?}");
        assert!(read(&store, committee("c"), Hash::of(&files[0])).await.unwrap().is_some());
        // Put back by hand.
        disk.tamper(&blob_path("c", &files[1]), |bytes| bytes.clone_from(&files[1]));
        store.scrub_blobs(fast).await.unwrap();
        assert_eq!(store.blob_counts().damaged, 1);
    });
    assert_eq!(store.blob_counts().read_bytes, 5_000, "the scrub counts for nobody");
}

#[test]
fn a_damaged_blob_that_is_sent_again_takes_its_place() {
    let file = file(1, 5_000);
    let disk = named(std::slice::from_ref(&file));
    let store = open(&disk).unwrap();
    runtime().block_on(async {
        assert_eq!(offset(&store, "c", "d", &file).await, None, "it is here");
        disk.tamper(&blob_path("c", &file), |bytes| bytes[0] ^= 1);
        store.scrub_blobs(u64::MAX).await.unwrap();
        assert_eq!(offset(&store, "c", "d", &file).await, Some(0));
        send(&store, "c", "d", &file).await.unwrap();
    });
    store.close();
    assert_eq!(store.blob_counts().damaged, 0);
    assert_eq!(disk.contents(&blob_path("c", &file)), Some(file));
}

#[test]
fn check_reads_every_blob_that_an_entry_names() {
    let files = [file(1, 5_000), file(2, 7_000)];
    let disk = named(&files);
    assert_eq!(findings(&disk), []);
    let path = blob_path("c", &files[0]);
    for (change, what) in [
        ((|bytes| bytes[4_000] ^= 1) as fn(&mut Vec<u8>), "damaged"),
        (|bytes| bytes.truncate(4_999), "another length"),
        (|bytes| bytes.push(0), "another length"),
    ] {
        let disk = disk.copy();
        disk.tamper(&path, change);
        let found = findings(&disk);
        let [Finding { file, offset: 0, fault: Fault::Blob(said) }] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(*file == relative(&path) && said.contains(what), "{found:?}");
        assert!(!found[0].fault.is_mended());
    }
    disk.remove(&path).unwrap();
    let found = findings(&disk);
    let missing = Fault::Blob("an entry names this blob, and it is missing");
    assert_eq!(found, [Finding { file: relative(&path), offset: 0, fault: missing }]);
    // It waits among the uploads, as after a kill.
    let waiting = upload_path("c", "d", &files[0], "");
    disk.create(&waiting).unwrap().write_all_at(&files[0], 0).unwrap();
    let found = findings(&disk);
    assert_eq!(found, [Finding { file: relative(&waiting), offset: 0, fault: Fault::Misplaced }]);
}

#[test]
fn check_names_every_other_file_and_none_of_them_is_a_failure() {
    let file = file(1, 5_000);
    let disk = named(std::slice::from_ref(&file));
    let store = open(&disk).unwrap();
    runtime().block_on(async {
        send(&store, "c", "whole", b"whole").await.unwrap();
        drop(store.upload(committee("c"), device("part"), blob_of(b"part")).await.unwrap());
        drop(store.upload(committee("other"), device("part"), blob_of(b"part")).await.unwrap());
    });
    drop(store);
    let stray = root().join("blobs").join(committee("c").to_string()).join("stray");
    disk.create(&stray).unwrap();
    disk.create(&root().join("uploads/stray")).unwrap();
    let unnamed = blob_path("c", b"unnamed");
    disk.create(&unnamed).unwrap();
    let found = findings(&disk);
    let mut files: Vec<&str> = found.iter().map(|found| found.file.as_str()).collect();
    let mut expected = [
        relative(&upload_path("c", "whole", b"whole", "")),
        relative(&upload_path("c", "part", b"part", ".part")),
        relative(&upload_path("other", "part", b"part", ".part")),
        relative(&stray),
        relative(&unnamed),
        "uploads/stray".to_owned(),
    ];
    files.sort_unstable();
    expected.sort();
    assert_eq!(files, expected);
    assert!(found.iter().all(|found| found.fault.is_mended()), "{found:?}");
}

#[test]
fn check_finds_an_index_that_names_other_blobs() {
    let host = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new().with_host(host.path().to_owned());
    let store = create(&disk);
    let file = file(1, 5_000);
    runtime().block_on(async {
        send(&store, "c", "d", &file).await.unwrap();
        name_blobs(&store, "c", "d", 0, &[&file]).await.unwrap();
    });
    drop(store);
    assert_eq!(findings(&disk), []);
    let index = Index::open(Some(&host.path().join("index"))).unwrap();
    let mark = index.contents().unwrap().unwrap().mark.unwrap();
    let entry = PlacedEntry {
        leaf_hash: Hash::ZERO,
        author: device("d"),
        author_seq: sealpost_protocol::id::AuthorSeq(9),
        blobs: vec![blob_of(b"another")],
        dropped: false,
        offset: 0,
        len: 0,
    };
    let first = LeafIndex(9);
    let mut batch = IndexBatch::default();
    let appended = Appended { committee: committee("c"), first, entries: vec![entry] };
    batch.append(0, 1, 0, &appended);
    index.apply(batch, &mark).unwrap();
    index.close();
    let found = findings(&disk);
    let wrong = Fault::Cache("a committee differs from the journal");
    assert_eq!(found, [Finding { file: "index".to_owned(), offset: 0, fault: wrong }]);
}
