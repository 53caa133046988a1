//! Failing every operation in turn, and three hundred power cuts.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::super::super::Nodes;
use super::super::super::disk::faulty::Failure;
use super::*;

/// What the workload was told, to be held against what a restart finds.
#[derive(Default)]
struct Told {
    /// For each committee what was sent, in order, and how many entries were answered `Ok`.
    logs: BTreeMap<String, (Vec<Bytes>, usize)>,
    /// Pairs of notes that were committed together, and whether that was answered `Ok`.
    notes: Vec<bool>,
}

impl Told {
    fn accepted(&self) -> usize {
        let entries: usize = self.logs.values().map(|(_, accepted)| accepted).sum();
        entries + self.notes.iter().filter(|accepted| **accepted).count()
    }
}

/// Appends to several committees, several at a time, across segments, with notes between; stops
/// at the first failure, as the service would.
async fn work(store: &Store, told: &mut Told, rounds: usize) {
    for round in 0..rounds {
        let mut waiting = Vec::new();
        for name in ["one", "two", "three"] {
            for len in [10, 900] {
                let log = told.logs.entry(name.to_owned()).or_default();
                let expected = log.0.len() as u64;
                log.0.push(entry(device(name), expected, len).bytes);
                waiting.push((name, push(store, name, expected, len)));
            }
        }
        let pair = told.notes.len();
        told.notes.push(false);
        let value = Bytes::from(format!("round {round}"));
        let put = ["a", "b"].map(|half| (format!("{pair}/{half}").into_bytes(), value.clone()));
        let note = store.commit(Commit { put: put.to_vec(), ..Commit::default() });
        let mut failed = false;
        for (name, answer) in waiting {
            match answer.await {
                Ok(_) => told.logs.get_mut(name).unwrap().1 += 1,
                Err(_) => failed = true,
            }
        }
        told.notes[pair] = note.await.is_ok();
        if failed || !told.notes[pair] {
            return;
        }
        let id = committee("one");
        let signed = store.head(id).await;
        if store.record_checkpoint(id, signed, &format!("note {signed}")).is_err() {
            return;
        }
    }
}

/// Everything acknowledged is there, nothing is there by halves, and nothing that was not sent.
async fn verify(store: &Store, told: &Told) -> Result<(), String> {
    for (name, (sent, accepted)) in &told.logs {
        let id = committee(name);
        let head = usize::try_from(store.head(id).await.0).unwrap();
        if head < *accepted || head > sent.len() {
            return Err(format!("{name}: {head} of {accepted} to {}", sent.len()));
        }
        let mut found = Vec::new();
        while found.len() < head {
            let from = LeafIndex(found.len() as u64);
            found.extend(store.read(id, from, 4_000).await.map_err(|error| error.to_string())?);
        }
        if found != sent[..head] {
            return Err(format!("{name}: other bytes"));
        }
        for (index, sent) in (0_u64..).zip(&sent[..head]) {
            let leaf = entry(device(name), index, sent.len()).leaf_hash;
            let at = store.index_of(id, device(name), AuthorSeq(index)).await.unwrap();
            let position = 2 * index - u64::from(index.count_ones());
            let node = store.nodes(id).node(position).map_err(|error| error.to_string())?;
            if at != Some((LeafIndex(index), leaf)) || node != leaf {
                return Err(format!("{name}: entry {index} is not found"));
            }
        }
    }
    for (pair, accepted) in told.notes.iter().enumerate() {
        let found = store.scan(format!("{pair}/").as_bytes()).await.unwrap().len();
        if found == 1 || (*accepted && found != 2) {
            return Err(format!("notes {pair}: {found} of 2, accepted: {accepted}"));
        }
    }
    Ok(())
}

/// Opens what is left, holds it against what was told, works on, and looks again.
async fn restart(disk: &FaultyDisk, told: &mut Told) -> Result<(), String> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::open(&shared, &root(), SMALL).map_err(|error| error.to_string())?;
    verify(&store, told).await?;
    // What was unknown is now known: the next work goes on from there.
    for (name, (sent, accepted)) in &mut told.logs {
        sent.truncate(usize::try_from(store.head(committee(name)).await.0).unwrap());
        *accepted = sent.len();
    }
    let before = told.accepted();
    work(&store, told, 2).await;
    if told.accepted() != before + 2 * 7 {
        return Err("the restarted store does not accept everything".to_owned());
    }
    verify(&store, told).await
}

fn new_disk() -> FaultyDisk {
    let (disk, shared) = faulty();
    drop(Store::create(&shared, &root(), SMALL).unwrap());
    disk
}

/// Which operations opening and working are, counted from the creation of the disk.
fn operations_of_a_run() -> std::ops::Range<u64> {
    let disk = new_disk();
    let first = disk.operations().len() as u64;
    runtime().block_on(run(&disk, &mut Told::default()));
    first..disk.operations().len() as u64
}

/// Opens and works until done or failed.
async fn run(disk: &FaultyDisk, told: &mut Told) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    if let Ok(store) = Store::open(&shared, &root(), SMALL) {
        work(&store, told, 6).await;
    }
}

#[test]
fn every_operation_may_fail_once_and_nothing_accepted_is_lost() {
    let failures = [
        Failure::Lost(ErrorKind::Other),
        Failure::Lost(ErrorKind::StorageFull),
        Failure::Applied(ErrorKind::Other),
        Failure::Applied(ErrorKind::StorageFull),
        Failure::Short(ErrorKind::StorageFull),
    ];
    let mut noticed = 0;
    for number in operations_of_a_run() {
        for failure in failures {
            let disk = new_disk();
            disk.fail(number, failure);
            let mut told = Told::default();
            runtime().block_on(async {
                run(&disk, &mut told).await;
                noticed += usize::from(told.notes.last().is_none_or(|accepted| !accepted));
                let disk = if number % 2 == 0 { disk.kill() } else { disk.power_cut(number) };
                if let Err(what) = restart(&disk, &mut told).await {
                    panic!("operation {number} {failure:?}: {what}");
                }
            });
        }
    }
    assert!(noticed > 50, "only {noticed} failures were noticed at all");
}

/// Three hundred seeds; which restarts found something amiss, and how much was at stake.
fn power_cuts(lie_about_syncs: bool) -> (Vec<String>, usize) {
    let operations = operations_of_a_run();
    let span = operations.end - operations.start;
    let mut amiss = Vec::new();
    let mut at_stake = 0;
    for seed in 0..300 {
        let disk = new_disk();
        if lie_about_syncs {
            disk.lie_about_syncs();
        }
        disk.fail(operations.start + seed * 7 % span, Failure::PowerCut);
        let mut told = Told::default();
        runtime().block_on(async {
            run(&disk, &mut told).await;
            at_stake += told.accepted();
            if let Err(what) = restart(&disk.power_cut(seed), &mut told).await {
                amiss.push(format!("seed {seed}: {what}"));
            }
        });
    }
    (amiss, at_stake)
}

#[test]
fn three_hundred_power_cuts_lose_nothing_accepted() {
    let (amiss, at_stake) = power_cuts(false);
    assert!(amiss.is_empty(), "{amiss:#?}");
    assert!(at_stake > 1_000, "the cuts met only {at_stake} accepted entries");
}

#[test]
fn the_same_power_cuts_catch_a_disk_that_lies_about_syncs() {
    let (amiss, _) = power_cuts(true);
    assert!(amiss.len() > 100, "only {} of 300 were caught", amiss.len());
}

#[test]
fn an_interrupted_creation_can_be_repeated() {
    let (disk, shared) = faulty();
    drop(Store::create(&shared, &root(), SMALL).unwrap());
    for number in 0..disk.operations().len() as u64 {
        let (disk, shared) = faulty();
        disk.fail(number, Failure::PowerCut);
        let created = Store::create(&shared, &root(), SMALL).is_ok();
        let shared: Arc<dyn Disk> = Arc::new(disk.power_cut(number));
        match Store::open(&shared, &root(), SMALL) {
            Ok(_) => {}
            Err(StoreError::LocalNoDataFolder(_)) if !created => {
                Store::create(&shared, &root(), SMALL)
                    .unwrap_or_else(|error| panic!("operation {number}: {error}"));
            }
            Err(error) => panic!("operation {number}: {error}"),
        }
    }
}
