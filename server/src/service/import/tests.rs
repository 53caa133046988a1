use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealpost_protocol::change::Role;
use sealpost_protocol::export::{Part, PartReader, UnverifiedExport};
use sealpost_protocol::forget::Forget;
use sealpost_protocol::id::UnixMillis;
use sealpost_protocol::world::{TestDevice, World, relay_key};
use tempfile::TempDir;

use super::*;
use crate::service::{Examiner, Export, Service};
use crate::store::disk::faulty::{Failure, FaultyDisk};
use crate::store::disk::{Disk, RealDisk};
use crate::store::{Options, Store, check};

fn people() -> [TestDevice; 2] {
    [1, 2].map(TestDevice::new)
}

/// A log with a record that was forgotten.
fn world() -> World {
    let [founder, member] = people();
    let mut world = World::found(&founder);
    world.admit(&founder, &member, Role::Member).unwrap();
    let record = world.record(&member).unwrap();
    world.record(&founder).unwrap();
    let forget = Forget { index: record.index, leaf: record.entry.leaf() };
    world.forget(&member, forget).unwrap();
    world.record(&member).unwrap();
    let bare = UnverifiedEntry::decode(&world.log[2]).unwrap().with_payload_dropped();
    world.log[2] = bare.encode();
    world
}

fn exported(world: &World) -> Vec<u8> {
    world.export(&[&people()[0]])
}

fn parts(export: &[u8]) -> Vec<Part> {
    let mut reader = PartReader::default();
    reader.push(export);
    std::iter::from_fn(|| reader.next_part().unwrap()).collect()
}

fn verified(export: &[u8]) -> VerifiedExport {
    let mut unverified = UnverifiedExport::default();
    parts(export).into_iter().for_each(|part| unverified.take(part).unwrap());
    unverified.finish().unwrap()
}

fn entries(export: &[u8]) -> Vec<Vec<u8>> {
    let entry = |part| if let Part::Entry(bytes) = part { Some(bytes) } else { None };
    parts(export).into_iter().filter_map(entry).collect()
}

fn key() -> PublicKey {
    relay_key().verifying_key().into()
}

/// Imports in small steps, up to that entry.
async fn carry_to(
    store: &Store,
    export: &[u8],
    end: usize,
) -> Result<Option<Imported>, ImportError> {
    let verified = verified(export);
    let mut import = Import::open(store, key(), &verified).await?;
    import.append_bytes = 4_096;
    import.begin().await?;
    let entries = entries(export);
    for bytes in &entries[..end.min(entries.len())] {
        import.take(bytes).await?;
    }
    if end < entries.len() {
        return Ok(None);
    }
    import.finish().await.map(Some)
}

async fn carry(store: &Store, export: &[u8]) -> Result<Imported, ImportError> {
    Ok(carry_to(store, export, usize::MAX).await?.unwrap())
}

fn made() -> (TempDir, Arc<dyn Disk>, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (disk, path): (Arc<dyn Disk>, _) = (Arc::new(RealDisk), folder.path().join("relay"));
    let options = Options { segment_bytes: 4 * 1024 * 1024, ..Options::DEFAULT };
    let store = Store::create(&disk, &path, options).unwrap();
    (folder, disk, path, store)
}

async fn read(store: &Store, committee: CommitteeId) -> Vec<Vec<u8>> {
    let entries = store.read(committee, LeafIndex(0), usize::MAX).await.unwrap();
    entries.into_iter().map(Vec::from).collect()
}

async fn served(store: Store) -> Result<Service<Store>, FoldError> {
    Service::open(Arc::new(store), relay_key(), || UnixMillis(1_800_000_000_000)).await
}

#[tokio::test]
async fn an_imported_log_is_served_as_it_was_exported() {
    let (_folder, disk, path, store) = made();
    let world = world();
    let (export, id) = (exported(&world), world.committee.id());
    let imported = carry(&store, &export).await.unwrap();
    assert_eq!(imported, Imported { size: TreeSize(6), taken: 6 });
    assert_eq!(read(&store, id).await, world.log);
    let note = world.checkpoint().sign(&relay_key()).text().to_owned();
    assert_eq!(store.last_checkpoint(id).unwrap(), Some((TreeSize(6), note.clone())));
    // It goes out as it came.
    let mut again = Export::open(&store, &relay_key(), id).await.unwrap();
    assert_eq!((again.size(), again.note()), (TreeSize(6), note.as_str()));
    let mut read = Vec::new();
    loop {
        let entries = again.entries().await.unwrap();
        if entries.is_empty() {
            break;
        }
        read.extend(entries.into_iter().map(Vec::from));
    }
    assert_eq!(read, world.log);
    assert_eq!(again.cosignatures().await.unwrap(), [world.cosigned(&people()[0])]);
    store.close();
    drop(store);
    // Nothing of what was forgotten before it came is still to be dropped.
    let key = relay_key().verifying_key();
    let mut examiner = Examiner::new(Some(key));
    let found = check(&disk, &path, &mut examiner).unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!((examiner.entries(), examiner.logs()), (6, 1));
    served(Store::open(&disk, &path, Options::DEFAULT).unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_same_log_again_changes_nothing_and_a_longer_one_goes_on() {
    let (_folder, _disk, _path, store) = made();
    let mut world = world();
    let (id, first) = (world.committee.id(), exported(&world));
    carry(&store, &first).await.unwrap();
    let again = carry(&store, &first).await.unwrap();
    assert_eq!(again, Imported { size: TreeSize(6), taken: 0 });
    world.record(&people()[0]).unwrap();
    let longer = carry(&store, &exported(&world)).await.unwrap();
    assert_eq!(longer, Imported { size: TreeSize(7), taken: 1 });
    // The shorter one is its beginning: nothing is taken back.
    let shorter = carry(&store, &first).await.unwrap();
    assert_eq!(shorter, Imported { size: TreeSize(7), taken: 0 });
    assert_eq!(store.last_checkpoint(id).unwrap().unwrap().0, TreeSize(7));
    assert_eq!(read(&store, id).await, world.log);
}

#[tokio::test]
async fn another_log_of_the_committee_is_refused() {
    let (_folder, _disk, _path, store) = made();
    let [founder, member] = people();
    let [mut one, mut other] = [World::found(&founder), World::found(&founder)];
    one.admit(&founder, &member, Role::Member).unwrap();
    other.admit(&founder, &TestDevice::new(3), Role::Member).unwrap();
    carry(&store, &exported(&one)).await.unwrap();
    other.record(&founder).unwrap();
    let refused = carry(&store, &exported(&other)).await;
    let common = TreeSize(2);
    assert!(matches!(refused, Err(ImportError::PeerOtherLog { common: found }) if found == common));
    assert_eq!(read(&store, one.committee.id()).await, one.log);
    store.scan(MARK_PREFIX).await.unwrap().is_empty().then_some(()).unwrap();
}

#[tokio::test]
async fn a_log_goes_to_no_other_relay_than_its_home() {
    let (_folder, _disk, _path, store) = made();
    let export = verified(&exported(&world()));
    let other = PublicKey([7; 32]);
    let refused = Import::open(&store, other, &export).await.err().unwrap();
    assert!(matches!(refused, ImportError::LocalOtherHome), "{refused}");
}

#[tokio::test]
async fn an_older_export_does_not_finish_an_interrupted_import() {
    let (_folder, _disk, _path, store) = made();
    let mut world = world();
    let (older, id) = (exported(&world), world.committee.id());
    world.record(&people()[1]).unwrap();
    let newer = exported(&world);
    for end in [0, 3] {
        assert_eq!(carry_to(&store, &newer, end).await.unwrap(), None);
        let refused = carry(&store, &older).await;
        assert!(matches!(refused, Err(ImportError::LocalUnfinished)), "{refused:?}");
        let refused = Export::open(&store, &relay_key(), id).await.err().unwrap();
        assert!(matches!(refused, FoldError::LocalImporting), "it stays unfinished: {refused}");
    }
    carry(&store, &newer).await.unwrap();
    assert_eq!(read(&store, id).await, world.log);
}

#[tokio::test]
async fn an_interrupted_import_is_not_served_until_it_is_finished() {
    let (_folder, disk, path, store) = made();
    let world = world();
    let (export, id) = (exported(&world), world.committee.id());
    for end in [0, 3] {
        assert_eq!(carry_to(&store, &export, end).await.unwrap(), None);
        let refused = Export::open(&store, &relay_key(), id).await.err().unwrap();
        assert!(matches!(refused, FoldError::LocalImporting), "{refused}");
    }
    assert!(store.head(id).await > TreeSize(0), "some of it came");
    drop(store);
    let open = || Store::open(&disk, &path, Options::DEFAULT).unwrap();
    let refused = served(open()).await.err().unwrap();
    assert!(matches!(refused, FoldError::LocalImporting), "{refused}");
    carry(&open(), &export).await.unwrap();
    let service = served(open()).await.unwrap();
    assert_eq!(read(service.store(), id).await, world.log);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_noticed() {
    let (_folder, _disk, _path, store) = made();
    let world = world();
    let export = verified(&exported(&world));
    let bare = UnverifiedEntry::decode(&world.log[3]).unwrap().with_payload_dropped();
    for (at, bytes) in [(1, world.log[2].clone()), (3, bare.encode()), (3, b"none".to_vec())] {
        let mut import = Import::open(&store, key(), &export).await.unwrap();
        for entry in &world.log[..at] {
            import.take(entry).await.unwrap();
        }
        let refused = import.take(&bytes).await;
        assert!(matches!(refused, Err(ImportError::PeerChanged)), "{refused:?}");
    }
    let import = Import::open(&store, key(), &export).await.unwrap();
    assert!(matches!(import.finish().await, Err(ImportError::PeerChanged)), "it ends early");
}

fn root() -> &'static Path {
    Path::new("/relay")
}

const SMALL: Options = Options { segment_bytes: 64 * 1024, reserve_bytes: 0, ..Options::DEFAULT };

/// Opens and imports, until done or failed.
async fn run(disk: &FaultyDisk, export: &[u8]) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    if let Ok(store) = Store::open(&shared, root(), SMALL) {
        // What comes of it a restart finds out.
        let _ = carry(&store, export).await;
    }
}

fn new_disk() -> FaultyDisk {
    let disk = FaultyDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drop(Store::create(&shared, root(), SMALL).unwrap());
    disk
}

#[tokio::test]
async fn whatever_fails_in_an_import_no_part_of_a_log_is_served() {
    let world = world();
    let (export, id) = (exported(&world), world.committee.id());
    let disk = new_disk();
    let first = disk.operations().len() as u64;
    run(&disk, &export).await;
    let last = disk.operations().len() as u64;
    assert!(last > first + 10, "{first} to {last}");
    let failures =
        [Failure::Lost(ErrorKind::Other), Failure::Applied(ErrorKind::Other), Failure::PowerCut];
    let mut refused = 0;
    for (number, failure) in (first..last).flat_map(|it| failures.map(|failure| (it, failure))) {
        let disk = new_disk();
        disk.fail(number, failure);
        run(&disk, &export).await;
        let disk = disk.power_cut(number);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let store = Store::open(&shared, root(), SMALL).unwrap();
        match served(store).await {
            Ok(service) => {
                let head = service.store().head(id).await;
                assert!([TreeSize(0), TreeSize(6)].contains(&head), "{number} {failure:?}: {head}");
            }
            Err(FoldError::LocalImporting) => refused += 1,
            Err(error) => panic!("{number} {failure:?}: {error}"),
        }
        carry(&Store::open(&shared, root(), SMALL).unwrap(), &export).await.unwrap();
        let service = served(Store::open(&shared, root(), SMALL).unwrap()).await.unwrap();
        assert_eq!(read(service.store(), id).await, world.log, "{number} {failure:?}");
    }
    assert!(refused > 0, "it was never caught half-way");
}
