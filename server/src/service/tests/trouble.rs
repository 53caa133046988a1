//! What a failing disk does to those who ask.

use super::*;
use crate::service::log::Push;
use crate::store::disk::faulty::{Failure, Kind};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

async fn troubled() -> (FaultyDisk, Fixture) {
    let disk = FaultyDisk::new();
    let fixture = Fixture::at(Home::faulty(&disk)).await;
    (disk, fixture)
}

/// Two records of the member, of which a segment holds one.
fn large_records(fixture: &Fixture) -> [Vec<u8>; 2] {
    let member = TestDevice::new(MEMBER);
    let file = [record_file(), vec![7; 32 * 1024]].concat();
    let mut header = fixture.world.record_header(&member);
    let first = Entry::sign(header.clone(), file.clone(), &member.signing);
    header.author_seq = header.author_seq.next();
    header.author_prev = first.leaf();
    [first.encode(), Entry::sign(header, file, &member.signing).encode()]
}

async fn pushed(fixture: &Fixture, entries: Vec<Vec<u8>>) -> Reply {
    fixture.push(login(&TestDevice::new(MEMBER)), entries).await
}

/// Reads go on: all that was there before the trouble.
async fn assert_reads(fixture: &Fixture, size: u64) {
    let (entries, head) = fixture.pull(login(&TestDevice::new(FOUNDER)), 0).await;
    let len = entries.len() as u64;
    assert_eq!((len, head.checkpoint().size), (size, TreeSize(size)));
}

#[tokio::test]
async fn a_full_disk_refuses_writes_by_name_and_reads_go_on_until_there_is_room() {
    let (disk, fixture) = troubled().await;
    let [first, second] = large_records(&fixture);
    disk.set_free_bytes(1_000);
    assert_eq!(accepted(&pushed(&fixture, vec![first]).await), [LeafIndex(2)]);
    // Nobody knows yet: it is found out when the next segment does not fit.
    fixture.service.store().ready().unwrap();
    assert_eq!(pushed(&fixture, vec![second.clone()]).await, refused(Code::Full));
    // Who still holds the log as it was before adds nothing to what did not reach the disk.
    let service = &fixture.service;
    let stale = service.log(fixture.committee()).unwrap();
    assert!(stale.head().broken.is_some());
    let entry = UnverifiedEntry::decode(&second).unwrap();
    let late = stale.push(&service.store, &service.key, Push::of(entry), Instant::now()).err();
    assert_eq!(late, Some(Code::Full));
    assert_reads(&fixture, 3).await;
    // Now it is known, and nothing is admitted in vain.
    assert!(matches!(fixture.service.store().ready(), Err(StoreError::StoreFull)));
    assert_eq!(pushed(&fixture, vec![second.clone()]).await, refused(Code::Full));
    assert_reads(&fixture, 3).await;
    // A little more than then is worth a try, and that is told from enough.
    disk.set_free_bytes(2_000);
    fixture.service.store().ready().unwrap();
    assert_eq!(pushed(&fixture, vec![second.clone()]).await, refused(Code::Full));
    assert!(matches!(fixture.service.store().ready(), Err(StoreError::StoreFull)));
    disk.set_free_bytes(70_000);
    let later = accepted(&pushed(&fixture, vec![second]).await);
    assert_eq!(later, [LeafIndex(3)], "the same bytes, sent again");
    fixture.service.store().ready().unwrap();
    let fixture = fixture.restart().await;
    assert_eq!(check_logs(fixture.service.store().as_ref()).await.unwrap(), 4);
}

#[tokio::test]
async fn a_failed_sync_stops_writing_until_a_restart_and_reads_go_on() {
    let (disk, mut fixture) = troubled().await;
    let member = TestDevice::new(MEMBER);
    fixture.world.record(&member).unwrap();
    let record = fixture.world.log[2].clone();
    disk.fail_next(Kind::Sync, Failure::Lost(std::io::ErrorKind::Other));
    assert_eq!(pushed(&fixture, vec![record.clone()]).await, refused(Code::Stopped));
    assert_reads(&fixture, 2).await;
    assert_eq!(pushed(&fixture, vec![record.clone()]).await, refused(Code::Stopped));
    assert!(matches!(fixture.service.store().ready(), Err(StoreError::StoreStopped)));
    let fixture = fixture.restart().await;
    assert_eq!(accepted(&pushed(&fixture, vec![record]).await), [LeafIndex(2)]);
}

#[tokio::test]
async fn what_cannot_be_signed_for_durably_is_not_signed_and_reads_go_on() {
    let (disk, mut fixture) = troubled().await;
    // Names of signed checkpoints cannot be made durable any more.
    disk.fail_next(Kind::SyncFolder, Failure::Lost(std::io::ErrorKind::Other));
    let stopped = async {
        while fixture.service.store().ready().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stopped).await.expect("the sync of checkpoints fails");
    fixture.world.record(&TestDevice::new(MEMBER)).unwrap();
    let record = fixture.world.log[2].clone();
    assert_eq!(pushed(&fixture, vec![record]).await, refused(Code::Stopped));
    assert_reads(&fixture, 2).await;
}

/// A second committee that the founder is in.
async fn found_beside(fixture: &Fixture) -> CommitteeId {
    let other = TestDevice::new(40);
    let mut world = World::found(&other);
    world.admit(&other, &TestDevice::new(FOUNDER), MemberRole::Member).unwrap();
    permit::issue(fixture.service.store().as_ref(), &[5; 16].into(), None, NOW).await.unwrap();
    let entry = world.log[0].clone().into();
    let found = Request::Found(FoundRequest { permit: [5; 16].into(), entry });
    accepted(&ask(&fixture.service, login(&other), found).await);
    let committee = world.committee.id();
    let entries = vec![world.log[1].clone().into()];
    let push = Request::Push(PushRequest { committee, entries });
    accepted(&ask(&fixture.service, login(&other), push).await);
    committee
}

#[tokio::test]
async fn a_watch_ends_when_its_log_is_folded_again() {
    let (disk, fixture) = troubled().await;
    let watched = HeadAsk { committee: fixture.committee(), size: TreeSize(2) };
    // Beside one that goes on: the watch must end all the same.
    let beside = HeadAsk { committee: found_beside(&fixture).await, size: TreeSize(2) };
    let watch = || Request::Watch(HeadsRequest { committees: vec![watched, beside] });
    let founder = login(&TestDevice::new(FOUNDER));
    let mut before = stream(&fixture.service, founder, watch());
    let [first, second] = large_records(&fixture);
    disk.set_free_bytes(1_000);
    accepted(&pushed(&fixture, vec![first]).await);
    let grown = |size| Some(Reply::Grown(HeadAsk { size: TreeSize(size), ..watched }));
    assert_eq!(before.recv().await, grown(3));
    assert_eq!(first_code(&pushed(&fixture, vec![second.clone()]).await), Code::Full);
    disk.set_free_bytes(u64::MAX);
    accepted(&pushed(&fixture, vec![second]).await);
    let ended = tokio::time::timeout(PATIENCE, before.recv()).await;
    assert_eq!(ended.expect("it does not wait for a log that is no more"), None);
    let mut after = stream(&fixture.service, founder, watch());
    assert_eq!(after.recv().await, grown(4));
}

#[tokio::test]
async fn another_log_than_the_one_signed_for_is_not_served() {
    let (disk, mut fixture) = troubled().await;
    let copy = disk.copy();
    let home = Home::faulty(&copy);
    let forked = home.open().await;
    fixture.world.record(&TestDevice::new(MEMBER)).unwrap();
    assert_eq!(accepted(&fixture.push_last(login(&TestDevice::new(MEMBER))).await).len(), 1);
    let (founder, member) = (TestDevice::new(FOUNDER), TestDevice::new(MEMBER));
    let mut other = Fixture { service: forked, home, world: World::found(&founder) };
    other.world.admit(&founder, &member, MemberRole::Member).unwrap();
    other.world.record(&founder).unwrap();
    assert_eq!(accepted(&other.push_last(login(&founder)).await).len(), 1);
    drop((fixture.service, other.service));
    // As long, and every entry of it is admissible: but it is not what was signed for.
    let journal: PathBuf = "/relay/journal/00000001".into();
    let forged = copy.contents(&journal).unwrap();
    disk.tamper(&journal, |bytes| *bytes = forged);
    let opened = fixture.home.try_open().await.err();
    assert!(matches!(opened, Some(FoldError::StoreForked { size: TreeSize(3), .. })), "{opened:?}");
}

/// Fills what may wait for the disk, but for less than a megabyte.
async fn fill_queue(fixture: &Fixture) {
    let bytes = Bytes::from(vec![0; 1024 * 1024]);
    let committee = CommitteeId(Hash::of(b"a committee that only waits"));
    for size in 0..31 {
        let entry = crate::store::StoredEntry {
            leaf_hash: Hash::ZERO,
            author: TestDevice::new(40).id(),
            author_seq: sealpost_protocol::id::AuthorSeq(size),
            blobs: Vec::new(),
            bytes: bytes.clone(),
            dropped: false,
        };
        let entries = vec![entry];
        let append = crate::store::Append {
            committee,
            expected: TreeSize(size),
            entries,
            forgets: Vec::new(),
        };
        // Queued at once; nobody waits for the answer.
        drop(fixture.service.store().append(append));
    }
    fixture.service.store().ready().unwrap();
}

async fn head_of(fixture: &Fixture) -> TreeSize {
    let watched = HeadAsk { committee: fixture.committee(), size: TreeSize(0) };
    let heads = Request::Heads(HeadsRequest { committees: vec![watched] });
    let reply = ask(&fixture.service, login(&TestDevice::new(FOUNDER)), heads).await;
    let Reply::Heads(states) = reply else { panic!("{reply:?}") };
    let [HeadState::Other(head)] = &states[..] else { panic!("{states:?}") };
    fixture.verified(&head.checkpoint).checkpoint().size
}

/// Else a client would take it for a relay that rolls back, and rightly.
#[tokio::test]
async fn a_head_is_never_behind_a_receipt_also_when_too_much_waits_for_the_disk() {
    let disk = FaultyDisk::new();
    let mut home = Home::faulty(&disk);
    home.options.segment_bytes = 64 * 1024 * 1024;
    let fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let mut header = fixture.world.record_header(&member);
    let first = Entry::sign(header.clone(), record_file(), &member.signing);
    header.author_seq = header.author_seq.next();
    header.author_prev = first.leaf();
    let file = [record_file(), vec![7; 1_048_000]].concat();
    let second = Entry::sign(header, file, &member.signing);

    let (held, syncs) = (disk.hold_syncs(), disk.count(Kind::Sync));
    let push = |entry: Entry| {
        let entries = vec![entry.encode().into()];
        Request::Push(PushRequest { committee: fixture.committee(), entries })
    };
    let mut receipt = stream(&fixture.service, login(&member), push(first));
    let writing = async {
        while disk.count(Kind::Sync) == syncs {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, writing).await.expect("the first record is being written");
    fill_queue(&fixture).await;
    let mut busy = stream(&fixture.service, login(&member), push(second));
    let log = fixture.service.log(fixture.committee()).unwrap();
    let mut head = log.subscribe();
    let broken = head.wait_for(|head| head.broken.is_some());
    drop(tokio::time::timeout(PATIENCE, broken).await.expect("it does not fit the queue"));
    // Whoever asks now has the log folded again, while the first record is on its way to the disk.
    let service = fixture.service.clone();
    let committee = fixture.committee();
    let folded = tokio::spawn(async move { service.live_log(committee).await.map(|_| ()) });
    for _ in 0..20_000 {
        // Every chance to be too early.
        tokio::task::yield_now().await;
    }
    drop(held);
    assert_eq!(accepted(&receipt.recv().await.unwrap()), [LeafIndex(2)]);
    assert_eq!(busy.recv().await.unwrap(), refused(Code::Busy));
    folded.await.unwrap().unwrap();
    assert_eq!(head_of(&fixture).await, TreeSize(3));
}
