//! What is forgotten, on a disk that fails and loses its power at every moment of dropping it.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use sealpost_protocol::entry::{Entry, UnverifiedEntry};
use sealpost_protocol::world::{TestDevice, World, record_file};

use super::super::super::conformance::{blob_of, file, record, send};
use super::super::super::disk::faulty::{Failure, Operation};
use super::super::super::frame::FrameWriter;
use super::super::super::journal::{self, Journal};
use super::super::super::{Begun, BlobOptions, BlobRead, Fault, check};
use super::*;

const OPTIONS: Options =
    Options { blobs: BlobOptions { reserve_bytes: 0, ..BlobOptions::DEFAULT }, ..SMALL };
const PAYLOAD_BYTES: usize = 3_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// What is to be appended, one after the other.
struct Script {
    entries: Vec<StoredEntry>,
    /// What each makes forgotten.
    forgets: Vec<Vec<u64>>,
    /// How many of them are there from the beginning.
    before: usize,
}

/// What stands in the payload of one entry and nowhere else.
fn secret(number: usize) -> Vec<u8> {
    [0xee, u8::try_from(number).unwrap()].repeat(PAYLOAD_BYTES / 2)
}

/// Of which payloads something stands there, and how much at most in one piece.
fn secrets(bytes: &[u8]) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    let mut at = 0;
    while at + 1 < bytes.len() {
        let pattern = &bytes[at..at + 2];
        let repeats = bytes[at..].chunks_exact(2).take_while(|some| *some == pattern).count();
        // A few bytes may be anything.
        if pattern[0] == 0xee && repeats >= 16 {
            let longest = found.entry(usize::from(pattern[1])).or_insert(0);
            *longest = (*longest).max(2 * repeats);
        }
        at += if repeats >= 16 { 2 * repeats } else { 1 };
    }
    found
}

fn files() -> [Vec<u8>; 3] {
    [file(1, 2_000), file(2, 3_000), file(3, 4_000)]
}

/// Which of the files each entry names.
fn names(number: usize) -> &'static [usize] {
    match number {
        0 => &[0],
        1 => &[0, 1],
        2 => &[2],
        _ => &[],
    }
}

impl Script {
    fn new() -> Self {
        let device = TestDevice::new(1);
        let header = World::found(&device).record_header(&device);
        let before = 9;
        let forgets: [&[u64]; 13] =
            [&[], &[], &[], &[], &[], &[], &[], &[], &[], &[1], &[], &[0, 8], &[10]];
        let entry = |number: usize| {
            let mut header = header.clone();
            header.author_seq = AuthorSeq(number as u64);
            let files = files();
            header.blobs = names(number).iter().map(|of| blob_of(&files[*of])).collect();
            let payload = [record_file(), secret(number)].concat();
            let entry = Entry::sign(header, payload, &device.signing);
            StoredEntry {
                leaf_hash: entry.leaf(),
                author: device.id(),
                author_seq: AuthorSeq(number as u64),
                blobs: entry.header().blobs.clone(),
                bytes: entry.encode().into(),
                dropped: false,
            }
        };
        Self {
            entries: (0..forgets.len()).map(entry).collect(),
            forgets: forgets.iter().map(|forgets| forgets.to_vec()).collect(),
            before,
        }
    }

    /// A disk with what is there from the beginning.
    fn disk(&self) -> FaultyDisk {
        let (disk, shared) = faulty();
        let store = Store::create(&shared, &root(), OPTIONS).unwrap();
        runtime().block_on(async {
            for file in files() {
                send(&store, "c", "d", &file).await.unwrap();
            }
            for number in 0..self.before {
                let files = files();
                let blobs = names(number).iter().map(|of| blob_of(&files[*of])).collect();
                let pin = store.pin(committee("c"), device("d"), blobs).await.unwrap();
                assert!(pin.is_some());
                self.append(&store, number).await.unwrap();
            }
        });
        store.close();
        let segments = disk.contents(&root().join("journal/00000003"));
        assert!(segments.is_some(), "what is forgotten lies in several segments");
        disk
    }

    fn append(
        &self,
        store: &Store,
        number: usize,
    ) -> impl Future<Output = Result<TreeSize, AppendError>> + use<> {
        store.append(Append {
            committee: committee("c"),
            expected: TreeSize(number as u64),
            entries: vec![self.entries[number].clone()],
            forgets: self.forgets[number].iter().map(|index| LeafIndex(*index)).collect(),
        })
    }

    /// What is forgotten when so many entries are there.
    fn forgotten(&self, held: usize) -> BTreeSet<usize> {
        let forgets = self.forgets[..held].iter().flatten();
        forgets.map(|index| usize::try_from(*index).unwrap()).collect()
    }

    /// Appends the rest, until something fails; how many were answered `Ok`.
    async fn work(&self, disk: &FaultyDisk, store: &Store, from: usize) -> usize {
        for number in from..self.entries.len() {
            if self.append(store, number).await.is_err() {
                return number;
            }
            wait(disk, store).await;
        }
        self.entries.len()
    }

    /// All that was accepted is there once; nobody is given what is forgotten.
    async fn verify(&self, store: &Store, accepted: usize) -> Result<usize, String> {
        let id = committee("c");
        let held = usize::try_from(store.head(id).await.0).unwrap();
        if held < accepted || held > self.entries.len() {
            return Err(format!("{held} entries, {accepted} accepted"));
        }
        let forgotten = self.forgotten(held);
        let mut found = Vec::new();
        while found.len() < held {
            let from = LeafIndex(found.len() as u64);
            let some = store.read(id, from, 9_000).await.map_err(|error| error.to_string())?;
            found.extend(some);
        }
        for (number, found) in found.iter().enumerate() {
            let whole = &self.entries[number].bytes;
            let entry = UnverifiedEntry::decode(whole).unwrap();
            let expected = match forgotten.contains(&number) {
                true => entry.with_payload_dropped().encode().into(),
                false => whole.clone(),
            };
            if *found != expected {
                return Err(format!("entry {number} is another"));
            }
        }
        for (number, file) in files().iter().enumerate() {
            let named = self.is_named(number, &forgotten);
            let got = get(store, Hash::of(file)).await?;
            if got.as_ref() != named.then_some(file) {
                return Err(format!("file {number} is named: {named}"));
            }
        }
        Ok(held)
    }

    fn is_named(&self, file: usize, forgotten: &BTreeSet<usize>) -> bool {
        let names = |number: &usize| names(*number).contains(&file);
        (0..self.before).any(|number| names(&number) && !forgotten.contains(&number))
    }

    /// Nothing that is forgotten stands on the disk; all else does.
    fn verify_disk(&self, disk: &FaultyDisk, held: usize) -> Result<(), String> {
        let forgotten = self.forgotten(held);
        let mut journal = Vec::new();
        for name in disk.list(&root().join("journal")).unwrap() {
            journal.extend(disk.contents(&root().join("journal").join(name)).unwrap());
        }
        let found = secrets(&journal);
        for number in 0..held {
            let gone = forgotten.contains(&number);
            let expected = if gone { None } else { Some(PAYLOAD_BYTES) };
            if found.get(&number).copied() != expected {
                return Err(format!("payload {number} is forgotten: {gone}"));
            }
        }
        for (number, file) in files().iter().enumerate() {
            let folder = root().join("blobs").join(committee("c").to_string());
            let there = disk.contents(&folder.join(Hash::of(file).to_string()));
            let named = self.is_named(number, &forgotten);
            if there.as_ref() != named.then_some(file) {
                return Err(format!("the file {number} is named: {named}"));
            }
        }
        Ok(())
    }

    /// Opens what is left, holds it against what was told, has it dropped, works on, and looks again.
    async fn restart(&self, disk: &FaultyDisk, accepted: usize) -> Result<(), String> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let store = Store::open(&shared, &root(), OPTIONS).map_err(|error| error.to_string())?;
        let held = self.verify(&store, accepted).await?;
        wait(disk, &store).await;
        self.verify(&store, held).await?;
        self.verify_disk(disk, held)?;
        if self.work(disk, &store, held).await != self.entries.len() {
            return Err("the restarted store does not accept everything".to_owned());
        }
        self.verify(&store, self.entries.len()).await?;
        let counts = store.forget_counts();
        if (counts.pending, counts.failed) != (0, 0) {
            return Err(format!("{counts:?}"));
        }
        store.close();
        self.verify_disk(disk, self.entries.len())?;
        let found = check(&shared, &root(), &mut Blind).map_err(|error| error.to_string())?;
        // A power cut may spoil caches.
        match found.iter().find(|found| !matches!(found.fault, Fault::Cache(_))) {
            None => Ok(()),
            Some(found) => Err(found.to_string()),
        }
    }
}

/// Says this of forgetting.
struct Judges(Forgetting);

impl Look for Judges {
    fn entry(&mut self, _: CommitteeId, _: LeafIndex, _: &StoredEntry) -> Option<String> {
        None
    }

    fn forgetting(&mut self, _: CommitteeId) -> Option<Forgetting> {
        Some(self.0.clone())
    }

    fn checkpoint(&mut self, _: CommitteeId, _: TreeSize, _: &str) -> Option<String> {
        None
    }
}

/// Believes everything.
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

async fn get(store: &Store, sha256: Hash) -> Result<Option<Vec<u8>>, String> {
    let found = store.blob(committee("c"), sha256).await.map_err(|error| error.to_string())?;
    let Some(reader) = found else { return Ok(None) };
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < reader.size() {
        let some = reader.read(bytes.len() as u64).await;
        bytes.extend_from_slice(&some.map_err(|error| error.to_string())?);
    }
    Ok(Some(bytes))
}

/// Waits until all that is forgotten is dropped, or that was tried and failed.
async fn wait(disk: &FaultyDisk, store: &Store) {
    loop {
        let counts = store.forget_counts();
        let stopped = matches!(store.ready(), Err(StoreError::StoreStopped)) || !disk.is_powered();
        if counts.pending == 0 || counts.failed > 0 || stopped {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Opens and works until done or failed; how many were answered `Ok`.
async fn run(script: &Script, disk: &FaultyDisk) -> usize {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    match Store::open(&shared, &root(), OPTIONS) {
        Ok(store) => script.work(disk, &store, script.before).await,
        Err(_) => script.before,
    }
}

fn operations_of_a_run(script: &Script, disk: &FaultyDisk) -> u64 {
    let disk = disk.copy();
    assert_eq!(runtime().block_on(run(script, &disk)), script.entries.len());
    script.verify_disk(&disk, script.entries.len()).unwrap();
    disk.operations().len() as u64
}

/// Whoever reads while a segment gets its place taken reads the one or the other, and neither is damaged.
#[test]
fn whoever_reads_while_something_is_dropped_is_given_all_of_it() {
    const ENTRIES: u64 = 100;
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), OPTIONS).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    let id = committee("c");
    let append = |size: u64, forgets: &[u64]| {
        let forgets = forgets.iter().copied().map(LeafIndex).collect();
        let entries = vec![record(size, Vec::new())];
        store.append(Append { committee: id, expected: TreeSize(size), entries, forgets })
    };
    runtime.block_on(async {
        for size in 0..ENTRIES {
            append(size, &[]).await.unwrap();
        }
        // So many are forgotten as far as anybody was answered.
        let answered = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (store, answered) = (store.clone(), Arc::clone(&answered));
                tokio::spawn(async move {
                    let mut rounds = 0;
                    while answered.load(Ordering::SeqCst) < ENTRIES {
                        let before = answered.load(Ordering::SeqCst);
                        let read = store.read(id, LeafIndex(0), usize::MAX).await.unwrap();
                        let of = (0..ENTRIES).zip(&read);
                        for (at, bytes) in of {
                            let entry = UnverifiedEntry::decode(bytes).unwrap();
                            assert_eq!(entry.leaf(), record(at, Vec::new()).leaf_hash);
                            assert!(at >= before || entry.payload().is_none(), "{at} of {before}");
                        }
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        for forgotten in 0..ENTRIES {
            append(ENTRIES + forgotten, &[forgotten]).await.unwrap();
            answered.store(forgotten + 1, Ordering::SeqCst);
            if forgotten % 2 == 0 {
                wait(&disk, &store).await;
            }
        }
        for reader in readers {
            assert!(reader.await.unwrap() > 10, "it hardly read");
        }
        wait(&disk, &store).await;
        assert_eq!(store.forget_counts(), ForgetCounts { dropped: ENTRIES, pending: 0, failed: 0 });
    });
    let doubt = disk.contents(&root().join("index.opening"));
    assert_eq!(doubt, None, "nothing was taken for damage");
}

/// Appends an entry that makes these forgotten.
fn forget(
    store: &Store,
    size: u64,
    forgets: &[u64],
) -> impl Future<Output = Result<TreeSize, AppendError>> + use<> {
    let forgets = forgets.iter().copied().map(LeafIndex).collect();
    let entries = vec![record(size, Vec::new())];
    let (committee, expected) = (committee("c"), TreeSize(size));
    store.append(Append { committee, expected, entries, forgets })
}

/// A store whose first record names a file, and whose second one forgot it.
async fn forgotten_file(disk: &FaultyDisk, file: &[u8], drop_after: Duration) -> Store {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::create(&shared, &root(), Options { drop_after, ..OPTIONS }).unwrap();
    send(&store, "c", "d", file).await.unwrap();
    let pin = store.pin(committee("c"), device("d"), vec![blob_of(file)]).await.unwrap();
    assert!(pin.is_some());
    let entries = vec![record(0, vec![blob_of(file)])];
    let (committee, expected) = (committee("c"), TreeSize(0));
    let forgets = Vec::new();
    store.append(Append { committee, expected, entries, forgets }).await.unwrap();
    forget(&store, 1, &[0]).await.unwrap();
    store
}

/// As an approval does that comes after the author forgot the record: it must not read it once more before
/// the answer.
#[test]
fn what_is_still_to_be_dropped_is_not_looked_up_when_it_is_forgotten_again() {
    let disk = FaultyDisk::new();
    runtime().block_on(async {
        let store = forgotten_file(&disk, &file(1, 3_000), HOUR).await;
        let is_of_journal = |done: &Operation| done.path.starts_with(root().join("journal"));
        let reads = || {
            let operations = disk.operations().into_iter();
            operations.filter(|done| done.kind == Kind::Read && is_of_journal(done)).count()
        };
        let before = reads();
        forget(&store, 2, &[0]).await.unwrap();
        assert_eq!(reads(), before);
        forget(&store, 3, &[1, 1]).await.unwrap();
        assert_eq!(reads(), before + 1, "a control: one that was not forgotten, once");
        assert_eq!(store.forget_counts().pending, 2);
    });
}

/// Neither by who says it again, nor by an index that is made anew while this serves.
#[test]
fn what_was_dropped_takes_nothing_that_was_sent_since() {
    let disk = FaultyDisk::new();
    let file = file(1, 3_000);
    runtime().block_on(async {
        let store = forgotten_file(&disk, &file, Duration::ZERO).await;
        wait(&disk, &store).await;
        let is_here = async || {
            wait(&disk, &store).await;
            let again = store.upload(committee("c"), device("d"), blob_of(&file)).await;
            matches!(again, Ok(Begun::Whole))
        };
        assert!(!is_here().await);
        send(&store, "c", "d", &file).await.unwrap();
        forget(&store, 2, &[0]).await.unwrap();
        assert!(is_here().await);
        store.inner.index.give_up();
        store.read(committee("c"), LeafIndex(0), 1).await.unwrap_err();
        store.room().await;
        assert!(is_here().await);
        forget(&store, 3, &[0]).await.unwrap();
        assert!(is_here().await);
        assert_eq!(store.forget_counts(), ForgetCounts { dropped: 1, pending: 0, failed: 0 });
    });
}

/// It is counted as a failure, and stays as evidence.
#[test]
fn a_damaged_entry_keeps_no_other_from_being_dropped() {
    let (disk, shared) = faulty();
    let store = Store::create(&shared, &root(), Options { drop_after: HOUR, ..OPTIONS }).unwrap();
    let path = root().join("journal/00000001");
    let payload = |number: u64| format!("payload {number}").repeat(100).into_bytes();
    let place = |number| {
        let journal = disk.contents(&path).unwrap();
        journal.windows(900).position(|window| window == payload(number))
    };
    runtime().block_on(async {
        for size in 0..4 {
            forget(&store, size, &[]).await.unwrap();
        }
        forget(&store, 4, &[0, 1, 2]).await.unwrap();
        let damage = place(1).unwrap() + 450;
        disk.tamper(&path, |bytes| bytes[damage] ^= 1);
        store.inner.queue.drop_forgotten(Duration::ZERO);
        wait(&disk, &store).await;
    });
    assert_eq!(store.forget_counts(), ForgetCounts { dropped: 2, pending: 1, failed: 1 });
    assert_eq!([place(0), place(2)], [None, None]);
    assert!(place(3).is_some());
}

/// What an intruder took away, or had the relay take away at its next start, is said.
#[test]
fn check_says_what_is_missing_or_about_to_be_without_having_been_forgotten() {
    let script = Script::new();
    let disk = script.disk();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let segments = Arc::new(Segments::new(Arc::clone(&shared), root().join("journal")));
    let sizes = OPTIONS.sizes();
    let end = journal::scan(&segments, None, 0, &mut |_, _| Ok(())).unwrap();
    let mut journal = Journal::open(segments, sizes, end).unwrap();
    journal.drop_payloads(1, &BTreeSet::from([(committee("c"), LeafIndex(2))])).unwrap();
    let mut forgets = FrameWriter::new(Vec::new());
    forgets.forget(committee("c"), &[LeafIndex(3), LeafIndex(4)]);
    journal.append(forgets).unwrap();
    drop(journal);
    let of = |places: &[u64]| places.iter().copied().map(LeafIndex).collect();
    // As somebody says who looked into the entries: four and five were forgotten.
    let mut look = Judges(Forgetting { forgotten: of(&[4, 5]), lacking: of(&[2]) });
    let found = check(&shared, &root(), &mut look).unwrap();
    let said: Vec<String> = found.iter().map(|found| found.fault.to_string()).collect();
    let name = |index: u64, what: &str| format!("entry {index} of {}: {what}", committee("c"));
    assert_eq!(
        said,
        [
            name(2, "its payload is missing, and it was not forgotten"),
            name(3, "it is to be dropped, and was not forgotten"),
            name(5, "it was forgotten, and is not to be dropped"),
            "a payload that was forgotten: the next start drops it".to_owned(),
        ]
    );
    assert_eq!(found.iter().filter(|found| found.fault.is_mended()).count(), 1);
    let offset = usize::try_from(found[0].offset).unwrap();
    let segment = disk.contents(&root().join(&found[0].file)).unwrap();
    assert_eq!(segment[offset], 0b11, "dropped, and names blobs");
}

#[test]
fn every_operation_may_fail_once_and_what_is_forgotten_goes_all_the_same() {
    let script = Script::new();
    let whole = script.disk();
    let failures = [
        Failure::Lost(ErrorKind::Other),
        Failure::Lost(ErrorKind::StorageFull),
        Failure::Applied(ErrorKind::Other),
        Failure::Short(ErrorKind::StorageFull),
    ];
    let mut noticed = 0;
    for number in 0..operations_of_a_run(&script, &whole) {
        for (kind, failure) in failures.into_iter().enumerate() {
            let disk = whole.copy();
            disk.fail(number, failure);
            runtime().block_on(async {
                let accepted = run(&script, &disk).await;
                noticed += usize::from(accepted < script.entries.len());
                let cut = (number + kind as u64) % 2 == 1;
                let disk = if cut { disk.power_cut(number) } else { disk.kill() };
                if let Err(what) = script.restart(&disk, accepted).await {
                    panic!("operation {number} {failure:?} cut {cut}: {what}");
                }
            });
        }
    }
    assert!(noticed > 20, "only {noticed} failures were noticed at all");
}

/// Three hundred seeds; which restarts found something amiss.
fn power_cuts(lie_about_syncs: bool) -> Vec<String> {
    let script = Script::new();
    let whole = script.disk();
    let span = operations_of_a_run(&script, &whole);
    let mut amiss = Vec::new();
    for seed in 0..300 {
        let disk = whole.copy();
        if lie_about_syncs {
            disk.lie_about_syncs();
        }
        disk.fail(seed * 7 % span, Failure::PowerCut);
        runtime().block_on(async {
            let accepted = run(&script, &disk).await;
            if let Err(what) = script.restart(&disk.power_cut(seed), accepted).await {
                amiss.push(format!("seed {seed}: {what}"));
            }
        });
    }
    amiss
}

#[test]
fn three_hundred_power_cuts_bring_nothing_back_that_was_forgotten_and_lose_nothing_else() {
    let amiss = power_cuts(false);
    assert!(amiss.is_empty(), "{amiss:#?}");
}

#[test]
fn the_same_power_cuts_catch_a_disk_that_lies_about_syncs_while_it_forgets() {
    let amiss = power_cuts(true);
    assert!(amiss.len() > 50, "only {} of 300 were caught", amiss.len());
}
