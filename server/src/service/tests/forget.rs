//! Forgetting: from the answer on nobody is given what was forgotten, and it goes from the disk.

use std::time::Duration;

use sealpost_protocol::entry::Blob;
use sealpost_protocol::forget::Forget;
use sealpost_protocol::world::{approval, set_approvals};

use super::blobs::{DONE, blob_of, file, get, put};
use super::*;
use crate::store::disk::faulty::{Failure, Kind};
use crate::store::{Fault, Finding};

const HOUR: Duration = Duration::from_secs(3_600);

/// What stands in a payload and nowhere else.
fn secret(seed: u8) -> Vec<u8> {
    [0xee, seed].repeat(150)
}

/// A record with something in its payload.
fn record(world: &World, author: &TestDevice, seed: u8, blobs: Vec<Blob>) -> Entry {
    let mut header = world.record_header(author);
    header.blobs = blobs;
    Entry::sign(header, [record_file(), secret(seed)].concat(), &author.signing)
}

async fn push_record(
    fixture: &mut Fixture,
    author: &TestDevice,
    seed: u8,
    blobs: Vec<Blob>,
) -> u64 {
    let entry = record(&fixture.world, author, seed, blobs);
    fixture.world.push(&entry).unwrap();
    accepted(&fixture.push_last(login(author)).await)[0].0
}

fn named(world: &World, index: u64) -> Forget {
    let bytes = &world.log[usize::try_from(index).unwrap()];
    let leaf = UnverifiedEntry::decode(bytes).unwrap().leaf();
    Forget { index: LeafIndex(index), leaf }
}

async fn forget(fixture: &mut Fixture, author: &TestDevice, index: u64) -> Hash {
    let forget = named(&fixture.world, index);
    let entry = fixture.world.forget(author, forget).unwrap().entry.leaf();
    accepted(&fixture.push_last(login(author)).await);
    entry
}

fn without_payload(entry: &[u8]) -> Vec<u8> {
    UnverifiedEntry::decode(entry).unwrap().with_payload_dropped().encode()
}

/// The log as a device is given it, which verifies and lacks just what was forgotten.
async fn assert_given(fixture: &Fixture, forgotten: &[u64]) {
    let (entries, head) = fixture.pull(login(&TestDevice::new(FOUNDER)), 0).await;
    let expected: Vec<Vec<u8>> = (0..)
        .zip(&fixture.world.log)
        .map(|(index, entry)| match forgotten.contains(&index) {
            true => without_payload(entry),
            false => entry.clone(),
        })
        .collect();
    assert!(entries == expected, "what is given is what was pushed, without {forgotten:?}");
    assert_eq!(head.checkpoint().root, fixture.world.committee.root());
    assert_eq!(check_logs(fixture.service.store().as_ref()).await.unwrap(), entries.len() as u64);
}

/// Waits until nothing that was forgotten is on the disk any more.
async fn dropped(fixture: &Fixture) {
    while fixture.service.store().forget_counts().pending > 0 {
        tokio::task::yield_now().await;
    }
}

fn journal_holds(disk: &FaultyDisk, seed: u8) -> bool {
    let journal = disk.contents("/relay/journal/00000001".as_ref()).unwrap();
    journal.windows(300).any(|window| window == secret(seed))
}

fn in_memory() -> (FaultyDisk, Home) {
    let disk = FaultyDisk::new();
    let mut home = Home::faulty(&disk);
    home.options.blobs.reserve_bytes = 0;
    (disk, home)
}

fn found(fixture: Fixture) -> (Vec<Finding>, Home) {
    let Fixture { service, home, .. } = fixture;
    drop(service);
    let mut examiner = Examiner::new(Some(relay_key().verifying_key()));
    (crate::store::check(&home.disk, &home.path, &mut examiner).unwrap(), home)
}

#[tokio::test]
async fn what_is_forgotten_is_given_to_nobody_from_the_answer_on() {
    let (disk, mut home) = in_memory();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let [founder, member] = [FOUNDER, MEMBER].map(TestDevice::new);
    for seed in [1, 2, 3] {
        push_record(&mut fixture, &member, seed, Vec::new()).await;
    }
    assert_given(&fixture, &[]).await;
    forget(&mut fixture, &member, 3).await;
    assert_given(&fixture, &[3]).await;
    assert!(journal_holds(&disk, 2), "the disk has it still");
    // Also after a kill: the next start drops it.
    let Fixture { service, world, mut home } = fixture;
    drop(service);
    let killed = disk.kill();
    home.disk = Arc::new(killed.clone());
    let mut fixture = Fixture { service: home.open().await, world, home };
    assert_given(&fixture, &[3]).await;
    dropped(&fixture).await;
    assert!(!journal_holds(&killed, 2) && journal_holds(&killed, 1) && journal_holds(&killed, 3));
    assert_given(&fixture, &[3]).await;
    // Pushes go on, behind it and about it.
    push_record(&mut fixture, &founder, 4, Vec::new()).await;
    let again = fixture.world.log[3].clone();
    assert_eq!(accepted(&fixture.push(login(&member), vec![again]).await), [LeafIndex(3)]);
    let fixture = fixture.restart().await;
    assert_given(&fixture, &[3]).await;
    assert!(!journal_holds(&killed, 2), "what is pushed again is not kept");
}

/// With an index that outlives the relay.
#[tokio::test]
async fn a_relay_that_is_started_again_goes_on_forgetting() {
    let mut home = Home::real();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let bytes = file(1, 3_000);
    assert_eq!(put(&fixture, login(&member), &bytes).await, DONE);
    for (seed, blobs) in [(1, Vec::new()), (2, vec![blob_of(&bytes)]), (3, Vec::new())] {
        push_record(&mut fixture, &member, seed, blobs).await;
    }
    forget(&mut fixture, &member, 3).await;
    fixture.home.options.drop_after = Duration::ZERO;
    let journal = fixture.home.path.join("journal/00000001");
    let holds = |seed| {
        let bytes = std::fs::read(&journal).unwrap();
        bytes.windows(300).any(|window| window == secret(seed))
    };
    for round in 0..3 {
        if round == 0 {
            assert!(holds(2), "a control");
        }
        fixture = fixture.restart().await;
        dropped(&fixture).await;
        assert!(holds(1) && !holds(2) && holds(3), "round {round}");
        assert_given(&fixture, &[3]).await;
        let count = fixture.service.store().forget_counts().dropped;
        assert_eq!(count, u64::from(round == 0), "it is done once");
        let gone = get(&fixture, login(&member), Hash::of(&bytes), 0).await;
        assert_eq!(gone, Err(refused(Code::NotFound)));
    }
    let (findings, _home) = found(fixture);
    assert_eq!(findings, []);
}

#[tokio::test]
async fn proofs_and_receipts_of_what_was_forgotten_still_hold() {
    let (_, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    push_record(&mut fixture, &member, 1, Vec::new()).await;
    let whole = fixture.world.log[2].clone();
    forget(&mut fixture, &member, 2).await;
    dropped(&fixture).await;
    let fixture = fixture.restart().await;
    let again = fixture.push(login(&member), vec![whole.clone()]).await;
    let Reply::Pushed(Pushed { checkpoint, .. }) = &again else { panic!("{again:?}") };
    let signed = fixture.verified(checkpoint);
    let leaf = UnverifiedEntry::decode(&whole).unwrap().leaf();
    let Checkpoint { size, root, .. } = signed.checkpoint();
    for (index, proof) in receipts(&again) {
        verify_inclusion(&leaf, index, *size, &proof, root).unwrap();
    }
    assert_eq!(*root, fixture.world.committee.root());
}

/// Folds kept before and after it, and none: all come to the same.
#[tokio::test]
async fn a_log_with_dropped_payloads_is_folded_from_any_snapshot() {
    let (_, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let mut folds = Vec::new();
    for seed in [1, 2] {
        push_record(&mut fixture, &member, seed, Vec::new()).await;
        folds.push(fixture.world.committee.clone());
    }
    forget(&mut fixture, &member, 2).await;
    folds.push(fixture.world.committee.clone());
    push_record(&mut fixture, &member, 3, Vec::new()).await;
    dropped(&fixture).await;
    for fold in folds {
        let store = fixture.service.store().clone();
        let bytes = codec::encode(&fold).into();
        store.put_snapshot(fixture.committee(), fold.size(), bytes).await.unwrap();
        drop(store);
        fixture = fixture.restart().await;
        let log = fixture.service.log(fixture.committee()).unwrap();
        assert_eq!(log.with_fold(Committee::clone), fixture.world.committee, "{}", fold.size());
        drop(log);
        assert_given(&fixture, &[2]).await;
    }
    push_record(&mut fixture, &member, 4, Vec::new()).await;
}

#[tokio::test]
async fn a_coordinator_has_anothers_record_dropped_and_nobody_else_has() {
    let (disk, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let [founder, member] = [FOUNDER, MEMBER].map(TestDevice::new);
    let his = push_record(&mut fixture, &founder, 1, Vec::new()).await;
    let hers = push_record(&mut fixture, &member, 2, Vec::new()).await;
    let header = fixture.world.header(member.id(), EntryKind::Forget);
    let payload = codec::encode(&named(&fixture.world, his));
    let not_hers = Entry::sign(header, payload, &member.signing);
    let refused = fixture.push(login(&member), vec![not_hers.encode()]).await;
    assert_eq!(first_code(&refused), Code::NotEntitled);
    forget(&mut fixture, &founder, hers).await;
    dropped(&fixture).await;
    assert!(journal_holds(&disk, 1) && !journal_holds(&disk, 2));
    assert_given(&fixture, &[hers]).await;
}

#[tokio::test]
async fn where_approvals_are_needed_nothing_is_dropped_before_the_last() {
    let (disk, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let [founder, member] = [FOUNDER, MEMBER].map(TestDevice::new);
    let [second, third] = [3, 4].map(TestDevice::new);
    for coordinator in [&second, &third] {
        fixture.world.admit(&founder, coordinator, MemberRole::Coordinator).unwrap();
    }
    fixture.world.change(&founder, &set_approvals(2)).unwrap();
    let entries = fixture.world.log[2..].to_vec();
    accepted(&fixture.push(login(&founder), entries).await);
    let index = push_record(&mut fixture, &member, 1, Vec::new()).await;
    let proposed = forget(&mut fixture, &founder, index).await;
    assert_eq!(fixture.service.store().forget_counts(), Default::default());
    assert_given(&fixture, &[]).await;
    let approve = approval(fixture.world.committee.roster(), proposed);
    fixture.world.change(&second, &Change::Approve(approve)).unwrap();
    accepted(&fixture.push_last(login(&second)).await);
    assert_given(&fixture, &[index]).await;
    dropped(&fixture).await;
    assert_eq!(fixture.service.store().forget_counts().dropped, 1);
    assert!(!journal_holds(&disk, 1));
    let fixture = fixture.restart().await;
    assert_given(&fixture, &[index]).await;
}

#[tokio::test]
async fn a_blob_goes_with_the_last_record_that_names_it_and_may_come_again() {
    let (disk, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let [founder, member] = [FOUNDER, MEMBER].map(TestDevice::new);
    let (own, shared) = (file(1, 3_000), file(2, 5_000));
    for bytes in [&own, &shared] {
        assert_eq!(put(&fixture, login(&member), bytes).await, DONE);
    }
    let blobs = vec![blob_of(&own), blob_of(&shared)];
    let first = push_record(&mut fixture, &member, 1, blobs).await;
    let second = push_record(&mut fixture, &founder, 2, vec![blob_of(&shared)]).await;
    forget(&mut fixture, &member, first).await;
    let gone = get(&fixture, login(&founder), blob_of(&own).sha256, 0).await;
    assert_eq!(gone, Err(refused(Code::NotFound)), "from the answer on");
    let kept = get(&fixture, login(&founder), blob_of(&shared).sha256, 0).await;
    assert!(kept.as_ref() == Ok(&shared), "another record names it");
    dropped(&fixture).await;
    let place = |bytes: &[u8]| {
        let folder = fixture.home.path.join("blobs").join(fixture.committee().to_string());
        folder.join(Hash::of(bytes).to_string())
    };
    assert_eq!(disk.contents(&place(&own)), None);
    assert_eq!(disk.contents(&place(&shared)).as_ref(), Some(&shared));
    // A new record may name it, once it was sent again; the old one has no say.
    let without = record(&fixture.world, &member, 3, vec![blob_of(&own)]);
    let missing = fixture.push(login(&member), vec![without.encode()]).await;
    assert_eq!(first_code(&missing), Code::BlobMissing);
    assert_eq!(put(&fixture, login(&member), &own).await, DONE);
    push_record(&mut fixture, &member, 3, vec![blob_of(&own)]).await;
    forget(&mut fixture, &founder, second).await;
    dropped(&fixture).await;
    let mut fixture = fixture.restart().await;
    let back = get(&fixture, login(&founder), blob_of(&own).sha256, 0).await;
    assert!(back.as_ref() == Ok(&own));
    let gone = get(&fixture, login(&founder), blob_of(&shared).sha256, 0).await;
    assert_eq!(gone, Err(refused(Code::NotFound)));
    // The old record again, with its payload: it has its place, and brings nothing back.
    let again = fixture.world.log[usize::try_from(first).unwrap()].clone();
    assert_eq!(accepted(&fixture.push(login(&member), vec![again]).await), [LeafIndex(first)]);
    assert_given(&fixture, &[first, second]).await;
    push_record(&mut fixture, &member, 4, Vec::new()).await;
    let committee = fixture.committee();
    let shared_at = fixture.home.path.join(format!("blobs/{committee}/{}", Hash::of(&shared)));
    assert_eq!(disk.contents(&shared_at), None);
}

/// Also to a member a forgotten blob is one that never was; to others the log is none.
#[tokio::test]
async fn a_forgotten_blob_is_answered_for_as_one_that_never_was() {
    let (_, mut home) = in_memory();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let bytes = file(1, 3_000);
    assert_eq!(put(&fixture, login(&member), &bytes).await, DONE);
    let index = push_record(&mut fixture, &member, 1, vec![blob_of(&bytes)]).await;
    forget(&mut fixture, &member, index).await;
    for peer in [login(&member), stranger()] {
        for offset in [0, 3_000, u64::MAX] {
            let forgotten = get(&fixture, peer, Hash::of(&bytes), offset).await;
            let never = get(&fixture, peer, Hash::of(b"never"), offset).await;
            assert_eq!(forgotten, never);
            assert_eq!(never, Err(refused(Code::NotFound)));
        }
    }
}

#[tokio::test]
async fn a_blob_that_is_forgotten_while_it_is_given_ends_or_breaks_off() {
    let (_, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let bytes = file(1, 3_000_000);
    assert_eq!(put(&fixture, login(&member), &bytes).await, DONE);
    let index = push_record(&mut fixture, &member, 1, vec![blob_of(&bytes)]).await;
    let (committee, sha256) = (fixture.committee(), Hash::of(&bytes));
    let request =
        Request::BlobGet(sealpost_protocol::frame::BlobGetRequest { committee, sha256, offset: 0 });
    let mut replies = stream(&fixture.service, login(&member), request);
    assert!(matches!(replies.recv().await, Some(Reply::BlobBytes(_))));
    forget(&mut fixture, &member, index).await;
    dropped(&fixture).await;
    let mut last = None;
    while let Some(reply) = replies.recv().await {
        last = Some(reply);
    }
    // What is written over is not given out as the blob.
    assert_eq!(last, Some(refused(Code::NotFound)));
}

/// Else a member could make the relay look as if it withheld what they have forgotten.
#[tokio::test]
async fn a_pull_under_way_goes_on_to_what_forgets() {
    let (_, mut home) = in_memory();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let mut last = 0;
    for seed in 0..60 {
        let header = fixture.world.record_header(&member);
        let payload = [record_file(), vec![seed; 60_000]].concat();
        fixture.world.push(&Entry::sign(header, payload, &member.signing)).unwrap();
        last = accepted(&fixture.push_last(login(&member)).await)[0].0;
    }
    let request = PullRequest { committee: fixture.committee(), from: TreeSize(0) };
    let mut replies = stream(&fixture.service, login(&member), Request::Pull(request));
    let mut given = Vec::new();
    let mut take = |reply| match reply {
        Reply::Entries(entries) => given.extend(entries.into_iter().map(Vec::from)),
        other => assert!(matches!(other, Reply::End(_)), "{other:?}"),
    };
    take(replies.recv().await.unwrap());
    forget(&mut fixture, &member, last).await;
    while let Some(reply) = replies.recv().await {
        take(reply);
    }
    let log = &fixture.world.log;
    assert_eq!(given.len(), log.len());
    let target = usize::try_from(last).unwrap();
    assert!(given[target] == without_payload(&log[target]), "it was not read before");
    assert!(given.last() == log.last(), "what forgets it came with it");
}

/// Else whoever sends a file again, for another record, could be kept from it for ever.
#[tokio::test]
async fn what_is_forgotten_again_takes_nothing_that_was_sent_since() {
    let (_, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let bytes = file(1, 3_000);
    assert_eq!(put(&fixture, login(&member), &bytes).await, DONE);
    let index = push_record(&mut fixture, &member, 1, vec![blob_of(&bytes)]).await;
    forget(&mut fixture, &member, index).await;
    dropped(&fixture).await;
    assert_eq!(put(&fixture, login(&member), &bytes).await, DONE);
    forget(&mut fixture, &member, index).await;
    dropped(&fixture).await;
    push_record(&mut fixture, &member, 2, vec![blob_of(&bytes)]).await;
    assert_given(&fixture, &[index]).await;
}

/// As an operator does who puts a file back from a backup.
#[tokio::test]
async fn a_segment_that_is_put_back_gives_nothing_back() {
    let mut home = Home::real();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let index = push_record(&mut fixture, &member, 1, Vec::new()).await;
    forget(&mut fixture, &member, index).await;
    let world = fixture.world.log.clone();
    let committee = fixture.committee();
    let (_, mut home) = found(fixture);
    let segment = home.path.join("journal/00000001");
    let whole = std::fs::read(&segment).unwrap();
    home.options.drop_after = Duration::ZERO;
    for _ in 0..2 {
        // Nobody has folded the log before.
        let store = Store::open(&home.disk, &home.path, home.options).unwrap();
        let given = store.read(committee, LeafIndex(index), 0).await.unwrap();
        let target = usize::try_from(index).unwrap();
        assert!(given[0] == without_payload(&world[target]));
        while store.forget_counts().pending > 0 {
            tokio::task::yield_now().await;
        }
        drop(store);
        let left = std::fs::read(&segment).unwrap();
        assert!(!left.windows(300).any(|found| found == secret(1)));
        std::fs::write(&segment, &whole).unwrap();
    }
}

#[tokio::test]
async fn a_segment_that_is_put_back_is_found_by_check_and_dropped_again() {
    let mut home = Home::real();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let index = push_record(&mut fixture, &member, 1, Vec::new()).await;
    forget(&mut fixture, &member, index).await;
    let (_, mut home) = found(fixture);
    let segment = home.path.join("journal/00000001");
    let holds = || std::fs::read(&segment).unwrap().windows(300).any(|found| found == secret(1));
    let whole = std::fs::read(&segment).unwrap();
    assert!(holds(), "a control");
    home.options.drop_after = Duration::ZERO;
    for put_back in [false, true] {
        if put_back {
            std::fs::write(&segment, &whole).unwrap();
            let mut examiner = Examiner::new(Some(relay_key().verifying_key()));
            let findings = crate::store::check(&home.disk, &home.path, &mut examiner).unwrap();
            let faults: Vec<&Fault> = findings.iter().map(|finding| &finding.fault).collect();
            assert!(matches!(faults[..], [Fault::Forgotten(_), Fault::Cache(_)]), "{findings:?}");
        }
        let service = home.open().await;
        while service.store().forget_counts().pending > 0 {
            tokio::task::yield_now().await;
        }
        drop(service);
        assert!(!holds(), "put back: {put_back}");
    }
}

#[tokio::test]
async fn what_stands_in_several_segments_goes_from_one_after_the_other() {
    let (disk, mut home) = in_memory();
    home.options.drop_after = Duration::ZERO;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let mut records = Vec::new();
    for seed in 0..4 {
        let header = fixture.world.record_header(&member);
        // No two have room in one.
        let payload = [record_file(), vec![seed; 60_000]].concat();
        fixture.world.push(&Entry::sign(header, payload, &member.signing)).unwrap();
        records.push(accepted(&fixture.push_last(login(&member)).await)[0].0);
    }
    let renames = disk.count(Kind::Rename);
    for index in &records {
        fixture.world.forget(&member, named(&fixture.world, *index)).unwrap();
    }
    let all = fixture.world.log[fixture.world.log.len() - records.len()..].to_vec();
    let pushed = fixture.push(login(&member), all).await;
    assert_eq!(accepted(&pushed).len(), records.len());
    dropped(&fixture).await;
    assert_eq!(disk.count(Kind::Rename) - renames, records.len());
    assert_eq!(fixture.service.store().forget_counts().dropped, records.len() as u64);
    assert_given(&fixture, &records).await;
}

#[tokio::test]
async fn check_names_what_is_forgotten_and_still_there_until_it_is_dropped() {
    let (disk, mut home) = in_memory();
    home.options.drop_after = HOUR;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let bytes = file(1, 3_000);
    assert_eq!(put(&fixture, login(&member), &bytes).await, DONE);
    let index = push_record(&mut fixture, &member, 1, vec![blob_of(&bytes)]).await;
    push_record(&mut fixture, &member, 2, Vec::new()).await;
    let place = format!("/relay/blobs/{}/{}", fixture.committee(), blob_of(&bytes).sha256);
    while disk.contents(place.as_ref()).is_none() {
        tokio::task::yield_now().await;
    }
    let removals = disk.count(Kind::Remove);
    disk.fail_next(Kind::Remove, Failure::Lost(std::io::ErrorKind::Other));
    forget(&mut fixture, &member, index).await;
    while disk.count(Kind::Remove) == removals {
        tokio::task::yield_now().await;
    }
    let world = fixture.world.log.clone();
    let (findings, mut home) = found(fixture);
    let faults: Vec<&Fault> = findings.iter().map(|finding| &finding.fault).collect();
    assert!(
        matches!(faults[..], [Fault::Forgotten(_), Fault::Forgotten(_)]),
        "the payload and the blob: {findings:?}"
    );
    assert!(findings.iter().all(|finding| finding.fault.is_mended()));
    home.options.drop_after = Duration::ZERO;
    let service = home.open().await;
    while service.store().forget_counts().pending > 0 {
        tokio::task::yield_now().await;
    }
    drop(service);
    let mut examiner = Examiner::new(Some(relay_key().verifying_key()));
    assert_eq!(crate::store::check(&home.disk, &home.path, &mut examiner).unwrap(), []);
    assert_eq!(examiner.entries(), world.len() as u64);
}
