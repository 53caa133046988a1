//! The power fails, and a sync fails, under the real service over the real store (rows F2, F3).

use sealpost_tests::campaign::power::{Scene, Syncs};

const SEED: u64 = 0x5ea1_0001;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing_that_was_acknowledged() {
    let told = Scene::new().await.rounds(SEED, 100, Syncs::Honest).await;
    println!("seed {SEED}: {} of 100 cuts met unfinished pushes", told.unfinished);
    assert!(told.amiss.is_empty(), "{:#?}", told.amiss);
    assert!(told.unfinished >= 30, "only {} cuts met unfinished pushes", told.unfinished);
    assert!(told.at_stake > 1_000, "only {} receipts were at stake", told.at_stake);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_cuts_catch_a_disk_that_lies_about_syncs() {
    let told = Scene::new().await.rounds(SEED, 30, Syncs::Lie).await;
    println!("{} of 30 cuts were caught", told.amiss.len());
    assert!(told.amiss.len() >= 20, "only {} of 30 were caught", told.amiss.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_cuts_catch_a_relay_that_acknowledges_before_fdatasync() {
    let told = Scene::new().await.rounds(SEED, 30, Syncs::Hasty).await;
    println!("{} of 30 cuts were caught", told.amiss.len());
    assert!(told.amiss.len() >= 10, "only {} of 30 were caught", told.amiss.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_fdatasync_stops_writing_and_loses_nothing() {
    let scene = Scene::new().await;
    let mut stopped = 0;
    for sync in 1..=8 {
        let stops = scene.failed_sync(sync).await;
        stopped += u64::from(stops.unwrap_or_else(|what| panic!("sync {sync}: {what}")));
    }
    assert!(stopped >= 4, "only {stopped} of 8 failed syncs stopped it");
}
