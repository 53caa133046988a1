use std::path::PathBuf;
use std::sync::Arc;

use minicbor::bytes::ByteVec;
use sealpost_protocol::code::Code;
use sealpost_protocol::export::{PartReader, UnverifiedExport, VerifiedExport};
use sealpost_protocol::frame::{FoundRequest, PermitCode};
use sealpost_protocol::id::{LeafIndex, UnixMillis};
use sealpost_protocol::world::{TestDevice, World, relay_key};
use tempfile::TempDir;

use super::*;
use crate::permit;
use crate::service::{Examiner, Export, Import, ImportError, Service};
use crate::store::disk::{Disk, RealDisk};
use crate::store::{Fault, Options, Store, check};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

struct Place {
    _folder: TempDir,
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Place {
    /// A data folder into which these logs were imported.
    async fn with(worlds: &[&World]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (disk, path): (Arc<dyn Disk>, _) = (Arc::new(RealDisk), folder.path().join("relay"));
        let place = Self { _folder: folder, disk, path };
        let store = Store::create(&place.disk, &place.path, options()).unwrap();
        for world in worlds {
            carry(&store, world).await.unwrap();
        }
        store.close();
        place
    }

    /// As a relay or command opens it that is started anew.
    fn open(&self) -> Store {
        Store::open(&self.disk, &self.path, options()).unwrap()
    }

    async fn serve(&self) -> Result<Service<Store>, FoldError> {
        Service::open(Arc::new(self.open()), relay_key(), || NOW).await
    }

    async fn retires(&self, world: &World) {
        let store = self.open();
        let note = world.checkpoint().sign(&relay_key()).text().to_owned();
        retire(&store, vec![(world.committee.id(), note)]).await.unwrap();
        store.close();
    }
}

fn options() -> Options {
    Options { segment_bytes: 4 * 1024 * 1024, ..Options::DEFAULT }
}

fn world(founder: u8) -> World {
    let founder = TestDevice::new(founder);
    let mut world = World::found(&founder);
    world.record(&founder).unwrap();
    world
}

fn verified(world: &World) -> VerifiedExport {
    let (mut reader, mut unverified) = (PartReader::default(), UnverifiedExport::default());
    reader.push(&world.export(&[]));
    while let Some(part) = reader.next_part().unwrap() {
        unverified.take(part).unwrap();
    }
    unverified.finish().unwrap()
}

async fn carry(store: &Store, world: &World) -> Result<(), ImportError> {
    let export = verified(world);
    let key = relay_key().verifying_key().into();
    let mut import = Import::open(store, key, &export).await?;
    import.begin().await?;
    for entry in &world.log {
        import.take(entry).await?;
    }
    import.finish().await.map(|_| ())
}

#[tokio::test]
async fn a_retired_log_is_served_no_more_and_the_others_are() {
    let (moved, stays) = (world(1), world(2));
    let place = Place::with(&[&moved, &stays]).await;
    place.retires(&moved).await;
    let service = place.serve().await.unwrap();
    assert!(service.log(moved.committee.id()).is_none());
    assert!(service.log(stays.committee.id()).is_some());
    assert!(!service.knows((*TestDevice::new(1).card.login_key()).into()));
    // Nor is it founded a second time, and no permit is used up for that.
    let code = PermitCode::from([7; 16]);
    permit::issue(service.store().as_ref(), &code, None, NOW).await.unwrap();
    let entry = ByteVec::from(moved.log[0].clone());
    let found = service.found(FoundRequest { permit: code, entry }).await;
    assert_eq!(found.err(), Some(Code::NotFound));
    assert_eq!(permit::list(service.store().as_ref()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_folder_all_of_whose_logs_are_retired_is_not_served() {
    let moved = world(1);
    let place = Place::with(&[&moved]).await;
    assert!(place.serve().await.is_ok());
    place.retires(&moved).await;
    for _ in 0..2 {
        assert!(matches!(place.serve().await.err(), Some(FoldError::LocalRetired)));
    }
    // One without any log is none of these.
    assert!(Place::with(&[]).await.serve().await.is_ok());
}

#[tokio::test]
async fn a_retired_log_goes_out_again_as_it_went_and_nothing_more_comes_in() {
    let mut moved = world(1);
    let place = Place::with(&[&moved]).await;
    place.retires(&moved).await;
    let id = moved.committee.id();
    moved.record(&TestDevice::new(1)).unwrap();
    let store = place.open();
    let later = carry(&store, &moved).await;
    assert!(matches!(later, Err(ImportError::LocalRetired)), "{later:?}");
    let export = Export::open(&store, &relay_key(), id).await.unwrap();
    assert_eq!(export.size().next_index(), LeafIndex(2));
}

#[tokio::test]
async fn check_says_which_logs_are_retired_and_that_is_no_failure() {
    let (moved, stays) = (world(1), world(2));
    let place = Place::with(&[&moved, &stays]).await;
    let faults = || {
        let mut examiner = Examiner::new(Some(relay_key().verifying_key()));
        let found = check(&place.disk, &place.path, &mut examiner).unwrap();
        found.into_iter().map(|finding| finding.fault).collect::<Vec<_>>()
    };
    assert!(faults().is_empty());
    place.retires(&moved).await;
    assert_eq!(faults(), [Fault::Retired(moved.committee.id())]);
    assert!(faults()[0].is_mended());
}
