//! Failing every operation in turn, and power cuts, from the first byte of a blob to its place.

use std::io::ErrorKind;

use super::super::super::disk::faulty::Failure;
use super::*;

/// What the workload was told.
#[derive(Clone, Copy, Default)]
struct Told {
    /// An upload was answered `Ok`, and no entry names it yet.
    whole: bool,
    /// The entry that names it was.
    named: bool,
}

fn files() -> [Vec<u8>; 3] {
    [file(1, 700), file(2, 3_000), file(3, 40_000)]
}

/// Sends each file in two parts and names it; tries again what failed, as clients do, for as long as the
/// store takes anything.
async fn work(store: &Store, told: &mut [Told; 3], disk: &FaultyDisk) {
    for (number, (told, file)) in told.iter_mut().zip(files()).enumerate() {
        let mut tries = 0;
        while attach(store, told, number as u64, &file).await.is_none() {
            tries += 1;
            if store.ready().is_err() || !disk.is_powered() {
                return;
            }
            assert!(tries < 5, "file {number} is refused for ever");
        }
    }
}

async fn attach(store: &Store, told: &mut Told, number: u64, file: &[u8]) -> Option<()> {
    let begun = store.upload(committee("c"), device("d"), blob_of(file)).await.ok()?;
    if let Begun::At(upload) = begun {
        let (sender, body) = mpsc::channel(1);
        let half = file.len() / 2;
        let from = usize::try_from(upload.offset()).unwrap().min(half);
        sender.try_send(Bytes::copy_from_slice(&file[from..half])).unwrap();
        drop(sender);
        let interrupted = store.receive(upload, body).await;
        matches!(interrupted, Ok(()) | Err(BlobError::PeerShort)).then_some(())?;
    }
    send(store, "c", "d", file).await.ok()?;
    told.whole = true;
    if store.head(committee("c")).await.0 == number {
        name_blobs(store, "c", "d", number, &[file]).await.ok()?;
    }
    told.named = true;
    read(store, committee("c"), Hash::of(file)).await.ok()??;
    Some(())
}

/// Everything that was answered for is there, and every entry has what it names.
async fn verify(store: &Store, told: &[Told; 3]) -> Result<(), String> {
    let id = committee("c");
    let held = usize::try_from(store.head(id).await.0).unwrap();
    for (number, (told, file)) in told.iter().zip(files()).enumerate() {
        if told.named && number >= held {
            return Err(format!("entry {number} is lost"));
        }
        if number < held {
            match read(store, id, Hash::of(&file)).await {
                Ok(Some(found)) if found == file => {}
                other => return Err(format!("blob {number}: {:?}", other.map(|_| "other bytes"))),
            }
        } else if told.whole {
            let begun = store.upload(id, device("d"), blob_of(&file)).await;
            let Ok(Begun::Whole) = begun else { return Err(format!("upload {number} is lost")) };
        }
    }
    Ok(())
}

/// Opens what is left, holds it against what was told, finishes the work, and looks again.
async fn restart(disk: &FaultyDisk, told: &[Told; 3]) -> Result<(), String> {
    let store = open(disk).map_err(|error| error.to_string())?;
    verify(&store, told).await?;
    let held = usize::try_from(store.head(committee("c")).await.0).unwrap();
    for (number, file) in files().iter().enumerate().skip(held) {
        // What a power cut spoiled is found out by its hash, and is then sent from the beginning.
        if matches!(send(&store, "c", "d", file).await, Err(BlobError::PeerOther)) {
            send(&store, "c", "d", file).await.map_err(|error| format!("{number}: {error}"))?;
        }
        let named = name_blobs(&store, "c", "d", number as u64, &[file]).await;
        named.map_err(|error| format!("naming {number}: {error}"))?;
    }
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33);
    store.collect_uploads(far).await.map_err(|error| error.to_string())?;
    verify(&store, &[Told { whole: true, named: true }; 3]).await?;
    store.close();
    for (number, file) in files().into_iter().enumerate() {
        if disk.contents(&blob_path("c", &file)).as_ref() != Some(&file) {
            return Err(format!("blob {number} is not in its place"));
        }
        if disk.contents(&upload_path("c", "d", &file, "")).is_some() {
            return Err(format!("blob {number} is in two places"));
        }
    }
    Ok(())
}

fn new_disk() -> FaultyDisk {
    let disk = FaultyDisk::new();
    drop(create(&disk));
    disk
}

async fn run(disk: &FaultyDisk) -> [Told; 3] {
    let mut told = [Told::default(); 3];
    if let Ok(store) = open(disk) {
        work(&store, &mut told, disk).await;
    }
    told
}

fn operations_of_a_run() -> std::ops::Range<u64> {
    let disk = new_disk();
    let first = disk.operations().len() as u64;
    let told = runtime().block_on(run(&disk));
    assert!(told.iter().all(|told| told.named));
    first..disk.operations().len() as u64
}

#[test]
fn every_operation_may_fail_once_and_no_blob_that_was_answered_for_is_lost() {
    let failures = [
        Failure::Lost(ErrorKind::Other),
        Failure::Lost(ErrorKind::StorageFull),
        Failure::Applied(ErrorKind::Other),
        Failure::Short(ErrorKind::StorageFull),
    ];
    let mut noticed = 0;
    for number in operations_of_a_run() {
        for (kind, failure) in failures.into_iter().enumerate() {
            let disk = new_disk();
            disk.fail(number, failure);
            runtime().block_on(async {
                let told = run(&disk).await;
                noticed += usize::from(told.iter().any(|told| !told.named));
                let cut = (number + kind as u64) % 2 == 1;
                let disk = if cut { disk.power_cut(number) } else { disk.kill() };
                if let Err(what) = restart(&disk, &told).await {
                    panic!("operation {number} {failure:?} cut {cut}: {what}");
                }
            });
        }
    }
    assert!(noticed > 50, "only {noticed} failures were noticed at all");
}

fn power_cuts(lie_about_syncs: bool) -> (Vec<String>, usize) {
    let operations = operations_of_a_run();
    let span = operations.end - operations.start;
    let (mut amiss, mut at_stake) = (Vec::new(), 0);
    for seed in 0..300 {
        let disk = new_disk();
        if lie_about_syncs {
            disk.lie_about_syncs();
        }
        disk.fail(operations.start + seed * 7 % span, Failure::PowerCut);
        runtime().block_on(async {
            let told = run(&disk).await;
            at_stake += told.iter().filter(|told| told.whole).count();
            if let Err(what) = restart(&disk.power_cut(seed), &told).await {
                amiss.push(format!("seed {seed}: {what}"));
            }
        });
    }
    (amiss, at_stake)
}

#[test]
fn three_hundred_power_cuts_lose_no_blob_that_was_answered_for() {
    let (amiss, at_stake) = power_cuts(false);
    assert!(amiss.is_empty(), "{amiss:#?}");
    assert!(at_stake > 200, "the cuts met only {at_stake} blobs");
}

#[test]
fn the_same_power_cuts_catch_a_disk_that_lies_about_the_syncs_of_blobs() {
    let (amiss, _) = power_cuts(true);
    assert!(amiss.len() > 50, "only {} of 300 were caught", amiss.len());
}
