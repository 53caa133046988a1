//! The embedded backend's blobs; what every backend must do stands in
//! [`conformance`](super::super::conformance).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sealpost_protocol::id::{LeafIndex, TreeSize};
use tokio::sync::mpsc;

use super::super::conformance::{blob_of, committee, device, file, name_blobs, record, send};
use super::super::disk::faulty::{Failure, FaultyDisk, Kind};
use super::super::disk::{Disk, RealDisk};
use super::super::{
    Append, Begun, BlobRead, BlobStore, BlobUpload, LogStore, Options, Store, StoredEntry,
};
use super::folder::UploadName;
use super::*;

mod collect;
mod crashes;
mod damage;

const OPTIONS: Options = Options {
    segment_bytes: 16 * 1024,
    reserve_bytes: 0,
    drop_after: Duration::ZERO,
    blobs: BlobOptions { sync_every_bytes: 8 * 1024, reserve_bytes: 0, ..BlobOptions::DEFAULT },
};

fn root() -> PathBuf {
    PathBuf::from("/data")
}

fn create(disk: &FaultyDisk) -> Store {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::create(&shared, &root(), OPTIONS).unwrap()
}

fn open(disk: &FaultyDisk) -> Result<Store, StoreError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::open(&shared, &root(), OPTIONS)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Reads a blob that is named.
async fn read(store: &Store, id: CommitteeId, sha256: Hash) -> Result<Option<Vec<u8>>, BlobError> {
    let Some(reader) = store.blob(id, sha256).await? else { return Ok(None) };
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < reader.size() {
        bytes.extend_from_slice(&reader.read(bytes.len() as u64).await?);
    }
    Ok(Some(bytes))
}

/// Where a device's next upload of a file begins; none when it is whole.
async fn offset(store: &Store, name: &str, sender: &str, file: &[u8]) -> Option<u64> {
    match store.upload(committee(name), device(sender), blob_of(file)).await.unwrap() {
        Begun::Whole => None,
        Begun::At(upload) => Some(upload.offset()),
    }
}

fn upload_path(name: &str, sender: &str, file: &[u8], part: &str) -> PathBuf {
    let folder = root().join("uploads").join(committee(name).to_string());
    folder.join(format!("{}-{}{part}", device(sender), Hash::of(file)))
}

fn blob_path(name: &str, file: &[u8]) -> PathBuf {
    root().join("blobs").join(committee(name).to_string()).join(Hash::of(file).to_string())
}

#[test]
fn an_upload_has_one_name() {
    let (device, sha256) = (DeviceId(Hash([0xd0; 32])), Hash([0xab; 32]));
    let plain = format!("{device}-{sha256}");
    for (name, whole) in [(plain.clone(), true), (format!("{plain}.part"), false)] {
        assert_eq!(UploadName::parse(&name), Some(UploadName { device, sha256, whole }));
    }
    for other in
        [plain.to_uppercase(), format!("{plain}.parts"), format!("{plain}-"), String::new()]
    {
        assert_eq!(UploadName::parse(&other), None, "{other}");
    }
}

#[test]
fn a_blob_moves_to_its_place_when_an_entry_names_it() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 20_000);
    runtime().block_on(async {
        send(&store, "c", "d", &file).await.unwrap();
        assert!(disk.contents(&upload_path("c", "d", &file, "")).is_some());
        name_blobs(&store, "c", "d", 0, &[&file]).await.unwrap();
    });
    store.close();
    assert_eq!(disk.contents(&upload_path("c", "d", &file, "")), None);
    assert_eq!(disk.contents(&blob_path("c", &file)), Some(file));
}

#[test]
fn syncs_run_beside_the_writing() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let path = upload_path("c", "d", &file(1, 100_000), ".part");
    runtime().block_on(send(&store, "c", "d", &file(1, 100_000))).unwrap();
    let operations = disk.operations();
    let of_file =
        |kind| operations.iter().filter(|done| done.kind == kind && done.path == path).count();
    assert!(of_file(Kind::Sync) >= 2, "{} syncs", of_file(Kind::Sync));
    let last = operations.iter().rposition(|done| done.kind == Kind::Write && done.path == path);
    let first = operations.iter().position(|done| done.kind == Kind::Sync && done.path == path);
    assert!(first < last, "the first is before the last write");
}

/// Whatever a failed sync lost, it is not told that it is there.
#[test]
fn an_upload_whose_sync_failed_begins_anew() {
    for len in [5_000, 100_000] {
        let disk = FaultyDisk::new();
        let store = create(&disk);
        let file = file(1, len);
        runtime().block_on(async {
            disk.fail_next(Kind::Sync, Failure::Lost(std::io::ErrorKind::Other));
            let failed = send(&store, "c", "d", &file).await;
            assert!(matches!(failed, Err(BlobError::Store(_))), "{failed:?}");
            assert_eq!(offset(&store, "c", "d", &file).await, Some(0));
            send(&store, "c", "d", &file).await.unwrap();
        });
        let after = disk.power_cut(7);
        assert_eq!(after.contents(&upload_path("c", "d", &file, "")), Some(file));
    }
}

#[test]
fn what_came_before_an_interruption_survives_a_power_cut() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 50_000);
    runtime().block_on(async {
        let upload = store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap();
        let Begun::At(upload) = upload else { panic!("it is new") };
        let (sender, body) = mpsc::channel(1);
        sender.try_send(Bytes::copy_from_slice(&file[..30_000])).unwrap();
        drop(sender);
        let ended = store.receive(upload, body).await;
        assert!(matches!(ended, Err(BlobError::PeerShort)), "{ended:?}");
    });
    for seed in 0..50 {
        let store = open(&disk.copy().power_cut(seed)).unwrap();
        runtime().block_on(async {
            assert_eq!(offset(&store, "c", "d", &file).await, Some(30_000), "seed {seed}");
            send(&store, "c", "d", &file).await.unwrap();
        });
    }
}

/// The old name must not go before the new one is durable, whatever is synced meanwhile.
#[test]
fn a_place_that_could_not_be_made_durable_is_left_again() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let files = [file(1, 3_000), file(2, 3_000), file(3, 3_000)];
    runtime().block_on(async {
        send(&store, "c", "d", &files[0]).await.unwrap();
        send(&store, "c", "d", &files[1]).await.unwrap();
        name_blobs(&store, "c", "d", 0, &[&files[0]]).await.unwrap();
        while disk.contents(&blob_path("c", &files[0])).is_none() {
            tokio::task::yield_now().await;
        }
        // Waits until that is done.
        offset(&store, "c", "other", &files[2]).await;
        let before = disk.count(Kind::SyncFolder);
        disk.fail_next(Kind::SyncFolder, Failure::Lost(std::io::ErrorKind::Other));
        name_blobs(&store, "c", "d", 1, &[&files[1]]).await.unwrap();
        while disk.count(Kind::SyncFolder) == before {
            tokio::task::yield_now().await;
        }
        send(&store, "c", "d", &files[2]).await.unwrap();
        assert!(disk.contents(&upload_path("c", "d", &files[1], "")).is_some(), "where it was");
    });
    for seed in 0..50 {
        let store = open(&disk.copy().power_cut(seed)).unwrap();
        let found = runtime().block_on(read(&store, committee("c"), Hash::of(&files[1]))).unwrap();
        assert!(found.as_ref() == Some(&files[1]), "seed {seed}");
    }
}

#[test]
fn after_a_kill_an_upload_goes_on_at_what_was_written() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 50_000);
    let after = runtime().block_on(async {
        let upload = store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap();
        let Begun::At(upload) = upload else { panic!("it is new") };
        let (sender, body) = mpsc::channel(1);
        sender.try_send(Bytes::copy_from_slice(&file[..30_000])).unwrap();
        let written = async {
            while store.blob_counts().received_bytes < 30_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = store.receive(upload, body) => panic!("{ended:?}"),
            () = written => disk.kill(),
        }
    });
    let store = open(&after).unwrap();
    runtime().block_on(async {
        assert_eq!(offset(&store, "c", "d", &file).await, Some(30_000));
        send(&store, "c", "d", &file).await.unwrap();
    });
}

/// Reading 60 GiB again takes minutes: longer than any sender waits.
#[test]
fn an_upload_that_is_gone_on_with_takes_bytes_while_the_earlier_ones_are_read_again() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 50_000);
    runtime().block_on(async {
        let begin =
            async || match store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap()
            {
                Begun::At(upload) => upload,
                Begun::Whole => panic!("not yet"),
            };
        let (sender, body) = mpsc::channel(1);
        sender.try_send(Bytes::copy_from_slice(&file[..30_000])).unwrap();
        drop(sender);
        store.receive(begin().await, body).await.unwrap_err();
        let held = disk.hold_reads();
        let (sender, body) = mpsc::channel(1);
        let receiving = store.receive(begin().await, body);
        let sending = async {
            for chunk in file[30_000..].chunks(1_000) {
                sender.send(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            while store.blob_counts().received_bytes < 50_000 {
                tokio::task::yield_now().await;
            }
            held.wait_until_held();
            drop((held, sender));
        };
        tokio::join!(receiving, sending).0.unwrap();
    });
}

#[test]
fn an_upload_whose_earlier_bytes_cannot_be_read_begins_anew() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 50_000);
    runtime().block_on(async {
        let upload = store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap();
        let Begun::At(upload) = upload else { panic!("it is new") };
        let (sender, body) = mpsc::channel(1);
        sender.try_send(Bytes::copy_from_slice(&file[..30_000])).unwrap();
        drop(sender);
        store.receive(upload, body).await.unwrap_err();
        disk.fail_next(Kind::Read, Failure::Lost(std::io::ErrorKind::Other));
        let unread = send(&store, "c", "d", &file).await;
        assert!(matches!(unread, Err(BlobError::Store(_))), "{unread:?}");
        assert_eq!(offset(&store, "c", "d", &file).await, Some(0));
        send(&store, "c", "d", &file).await.unwrap();
    });
}

/// Nobody would come to name what it leaves.
#[test]
fn an_upload_that_runs_while_its_blob_is_forgotten_ends_and_leaves_nothing() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 5_000);
    let append = |size: u64, blobs: Vec<Blob>, forgets: Vec<LeafIndex>| {
        let entries = vec![record(size, blobs)];
        let (committee, expected) = (committee("c"), TreeSize(size));
        store.append(Append { committee, expected, entries, forgets })
    };
    runtime().block_on(async {
        let begun = store.upload(committee("c"), device("slow"), blob_of(&file)).await.unwrap();
        let Begun::At(upload) = begun else { panic!("it is new") };
        let (sender, body) = mpsc::channel(1);
        sender.try_send(Bytes::copy_from_slice(&file[..3_000])).unwrap();
        let forgetting = async {
            while store.blob_counts().received_bytes < 3_000 {
                tokio::task::yield_now().await;
            }
            send(&store, "c", "quick", &file).await.unwrap();
            append(0, vec![blob_of(&file)], Vec::new()).await.unwrap();
            append(1, Vec::new(), vec![LeafIndex(0)]).await.unwrap();
            while store.forget_counts().pending > 0 {
                tokio::task::yield_now().await;
            }
            drop(sender);
        };
        let ended = tokio::join!(store.receive(upload, body), forgetting).0;
        assert!(matches!(ended, Err(BlobError::PeerTakenOver)), "{ended:?}");
        assert_eq!(disk.contents(&upload_path("c", "slow", &file, ".part")), None);
        assert_eq!(store.blob_counts().running, 0);
        assert_eq!(offset(&store, "c", "slow", &file).await, Some(0), "it may be sent anew");
        send(&store, "c", "slow", &file).await.unwrap();
    });
}

#[test]
fn an_upload_that_was_dropped_at_any_point_no_longer_runs() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 50_000);
    runtime().block_on(async {
        let upload = store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap();
        assert_eq!(store.blob_counts().running, 1);
        drop(upload);
        assert_eq!(store.blob_counts().running, 0);
        let Begun::At(upload) =
            store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap()
        else {
            panic!("nothing came")
        };
        let (_sender, body) = mpsc::channel(1);
        let receiving = store.receive(upload, body);
        let nothing = tokio::time::timeout(Duration::ZERO, receiving).await;
        assert!(nothing.is_err(), "it waits for bytes");
    });
    assert_eq!(store.blob_counts().running, 0);
}

/// Without reading the files: a committee may have thousands.
#[test]
fn the_room_that_is_used_is_known_from_the_folders_alone() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    runtime().block_on(async {
        for seed in 0..20 {
            send(&store, "c", "d", &file(seed, 1_000)).await.unwrap();
        }
    });
    store.close();
    let disk = disk.kill();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let blobs = BlobOptions { committee_bytes_max: 20_500, ..OPTIONS.blobs };
    let store = Store::open(&shared, &root(), Options { blobs, ..OPTIONS }).unwrap();
    let opened = disk.count(Kind::Open);
    runtime().block_on(async {
        let beyond = store.upload(committee("c"), device("d"), blob_of(&file(99, 501))).await;
        assert!(matches!(beyond, Err(BlobError::LocalNoRoom)), "{beyond:?}");
        assert_eq!(disk.count(Kind::Open), opened, "no file was opened for that");
        send(&store, "c", "d", &file(99, 500)).await.unwrap();
    });
}

#[test]
fn a_folder_of_an_earlier_version_gets_its_places_for_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    drop(Store::create(&disk, &root, OPTIONS).unwrap());
    for name in ["blobs", "uploads"] {
        std::fs::remove_dir(root.join(name)).unwrap();
    }
    let store = Store::open(&disk, &root, OPTIONS).unwrap();
    runtime().block_on(send(&store, "c", "d", &file(1, 100))).unwrap();
}

/// Without a thread that settles anything.
fn alone(disk: &FaultyDisk) -> Blobs {
    Blobs::new(Arc::new(disk.clone()), &root(), BlobOptions::DEFAULT)
}

#[test]
fn what_is_known_of_readers_is_as_much_as_read_now() {
    let blobs = alone(&FaultyDisk::new());
    let begin = |seed| blobs.begin_reading(committee("c"), Hash([seed; 32]));
    let (one, same, other) = (begin(1), begin(1), begin(2));
    for seed in 3..100 {
        drop(begin(seed));
        assert!(lock(&blobs.readers).len() <= 3, "two that read, and one that has just ended");
    }
    blobs.end_reading(committee("c"), Hash([1; 32]));
    blobs.end_reading(committee("c"), Hash([3; 32]));
    let told = [&one, &same, &other, &begin(1)].map(|removed| removed.load(Ordering::Relaxed));
    assert_eq!(told, [true, true, false, false], "who opens it later reads another one");
}

#[test]
fn files_that_wait_to_be_written_over_are_not_held_without_end() {
    let disk = FaultyDisk::new();
    let blobs = alone(&disk);
    let file = |number: usize| disk.create(&PathBuf::from(format!("/{number}"))).unwrap();
    blobs.wipe_soon((0..2 * forget::WIPES_WAITING_MAX).map(file).collect());
    assert_eq!(lock(&blobs.settling).len(), forget::WIPES_WAITING_MAX);
}

#[test]
fn a_large_file_is_written_over_in_turns_with_others() {
    let disk = FaultyDisk::new();
    let (blobs, path) = (alone(&disk), PathBuf::from("/film"));
    let file = disk.create(&path).unwrap();
    file.write_all_at(&vec![7; 70 << 20], 0).unwrap();
    blobs.wipe(file, 0);
    let is_gone = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let contents = || disk.contents(&path).unwrap();
    assert!(is_gone(&contents()[..64 << 20]) && !is_gone(&contents()));
    let Some(Settling::Removed(file, from)) = lock(&blobs.settling).pop_front() else {
        panic!("the rest waits")
    };
    blobs.wipe(file, from);
    assert!(is_gone(&contents()));
}
