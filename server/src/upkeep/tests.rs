use super::*;
use crate::stop;
use crate::store::conformance::{file, name_blobs, send};
use crate::store::disk::Disk;
use crate::store::disk::faulty::FaultyDisk;
use crate::store::{BlobOptions, BlobStore, Options};

fn store(disk: &FaultyDisk) -> Arc<Store> {
    let blobs = BlobOptions { reserve_bytes: 0, ..BlobOptions::DEFAULT };
    let options = Options { segment_bytes: 16 * 1024, reserve_bytes: 0, blobs, ..Options::DEFAULT };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Arc::new(Store::create(&disk, "/data".as_ref(), options).unwrap())
}

#[tokio::test]
async fn uploads_are_collected_from_the_start_on_until_it_stops() {
    // Files of this disk are from 1970.
    let disk = FaultyDisk::new();
    let store = store(&disk);
    send(store.as_ref(), "c", "d", &file(1, 100)).await.unwrap();
    let (stopper, stop) = stop::channel();
    let collecting = tokio::spawn(collect(store.clone(), Duration::from_secs(3_600), stop));
    while store.blob_counts().collected == 0 {
        tokio::task::yield_now().await;
    }
    stopper.stop();
    collecting.await.unwrap();
}

#[tokio::test]
async fn blobs_are_read_again_round_after_round_until_it_stops() {
    let disk = FaultyDisk::new();
    let store = store(&disk);
    let file = file(1, 100);
    send(store.as_ref(), "c", "d", &file).await.unwrap();
    name_blobs(store.as_ref(), "c", "d", 0, &[&file]).await.unwrap();
    let (stopper, stop) = stop::channel();
    let (fast, at_once) = (u64::MAX, Duration::ZERO);
    let scrubbing = tokio::spawn(scrub(store.clone(), fast, at_once, stop));
    let path = std::path::Path::new("/data/blobs")
        .join(crate::store::conformance::committee("c").to_string())
        .join(sealpost_protocol::hash::Hash::of(&file).to_string());
    while disk.contents(&path).is_none() {
        tokio::task::yield_now().await;
    }
    disk.tamper(&path, |bytes| bytes[0] ^= 1);
    while store.blob_counts().damaged == 0 {
        tokio::task::yield_now().await;
    }
    stopper.stop();
    scrubbing.await.unwrap();
}

/// A pace at which a round would take for ever.
#[tokio::test]
async fn a_slow_round_stops_at_once() {
    let disk = FaultyDisk::new();
    let store = store(&disk);
    let file = file(1, 100);
    send(store.as_ref(), "c", "d", &file).await.unwrap();
    name_blobs(store.as_ref(), "c", "d", 0, &[&file]).await.unwrap();
    let reads = disk.count(crate::store::disk::faulty::Kind::Read);
    let (stopper, stop) = stop::channel();
    let scrubbing = tokio::spawn(scrub(store.clone(), 1, Duration::ZERO, stop));
    while disk.count(crate::store::disk::faulty::Kind::Read) == reads {
        tokio::task::yield_now().await;
    }
    stopper.stop();
    scrubbing.await.unwrap();
}
