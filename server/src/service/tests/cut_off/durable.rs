//! What is admitted and not durable yet, and what never will be.

use super::*;
use crate::service::log::Push;
use crate::store::disk::faulty::{Failure, Kind};

/// Gives everything else every chance to be too early.
async fn let_others_run() {
    for _ in 0..20_000 {
        tokio::task::yield_now().await;
    }
}

impl Fixture {
    /// Has the relay admit what the world took in last, while the disk holds back.
    async fn admitted(&self, peer: PublicKey) -> mpsc::Receiver<Reply> {
        let last = self.world.log.len() - 1;
        let entries = vec![self.world.log[last].clone().into()];
        let push = PushRequest { committee: self.committee(), entries };
        let pushed = stream(&self.service, peer, Request::Push(push));
        let log = self.service.log(self.committee()).unwrap();
        let admitted = async {
            while log.with_fold(Committee::size) <= TreeSize(last as u64) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, admitted).await.expect("it is admitted");
        pushed
    }
}

#[tokio::test]
async fn a_suspension_refuses_from_admission_on_and_shows_itself_once_durable() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    let mut watch = fixture.watch(2);
    let founder = TestDevice::new(FOUNDER);
    fixture.world.change(&founder, &suspend(Target::Member(NUMBER))).unwrap();
    let held = disk.hold_syncs();
    let mut pushed = fixture.admitted(login(&founder)).await;
    let mut asked = stream(&fixture.service, member(), fixture.heads(2));
    let_others_run().await;
    assert!(asked.try_recv().is_err(), "answered by what was, or by what may yet be lost");
    assert_eq!(watch.try_recv(), Err(mpsc::error::TryRecvError::Empty), "cut off too early");
    drop(held);
    assert_eq!(accepted(&pushed.recv().await.unwrap()), [LeafIndex(2)]);
    let reply = asked.recv().await.unwrap();
    let Reply::Heads(states) = &reply else { panic!("{reply:?}") };
    let [HeadState::NotActive(why)] = &states[..] else { panic!("{states:?}") };
    fixture.assert_proves(why, LeafIndex(2), &founder);
    assert_ends(watch).await;
}

#[tokio::test]
async fn a_restored_device_is_let_in_once_that_is_durable_and_not_before() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    fixture.change(&suspend(Target::Member(NUMBER))).await;
    let founder = TestDevice::new(FOUNDER);
    fixture.world.change(&founder, &restore(Target::Member(NUMBER))).unwrap();
    let held = disk.hold_syncs();
    let mut pushed = fixture.admitted(login(&founder)).await;
    let mut asked = stream(&fixture.service, member(), fixture.heads(4));
    let_others_run().await;
    assert!(asked.try_recv().is_err(), "answered by what was, or by what may yet be lost");
    drop(held);
    accepted(&pushed.recv().await.unwrap());
    let same = Reply::Heads(vec![HeadState::Same(Empty {})]);
    assert_eq!(asked.recv().await, Some(same));
}

#[tokio::test]
async fn a_removal_of_who_was_suspended_is_shown_once_durable_and_not_before() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    fixture.change(&suspend(Target::Member(NUMBER))).await;
    let founder = TestDevice::new(FOUNDER);
    fixture.world.change(&founder, &remove(NUMBER)).unwrap();
    let held = disk.hold_syncs();
    let mut pushed = fixture.admitted(login(&founder)).await;
    let mut asked = stream(&fixture.service, member(), fixture.heads(4));
    let_others_run().await;
    assert!(asked.try_recv().is_err(), "answered by what was, or by what may yet be lost");
    drop(held);
    accepted(&pushed.recv().await.unwrap());
    asked.recv().await.unwrap();
    let why = fixture.shown().await;
    assert_eq!(fixture.assert_proves(&why, LeafIndex(3), &founder), remove(NUMBER));
}

#[tokio::test]
async fn a_push_under_way_is_decided_by_the_order_of_the_log() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    let (founder, device) = (TestDevice::new(FOUNDER), TestDevice::new(MEMBER));
    let held = disk.hold_syncs();
    fixture.world.record(&device).unwrap();
    let mut before = fixture.admitted(member()).await;
    let mut header = fixture.world.record_header(&device);
    fixture.world.change(&founder, &suspend(Target::Member(NUMBER))).unwrap();
    let mut suspended = fixture.admitted(login(&founder)).await;
    drop(held);
    assert_eq!(accepted(&before.recv().await.unwrap()), [LeafIndex(2)]);
    assert_eq!(accepted(&suspended.recv().await.unwrap()), [LeafIndex(3)]);
    // Whoever brings it: what comes later is refused, back-dated or not.
    header.made_at = UnixMillis(1);
    let late = Entry::sign(header, record_file(), &device.signing);
    let reply = fixture.push(login(&founder), vec![late.encode()]).await;
    assert_eq!(first_code(&reply), Code::NotActive);
    // What is in the log keeps its place for whoever asks, and is not hidden by the suspension.
    let record = fixture.world.log[2].clone();
    assert_eq!(accepted(&fixture.push(login(&founder), vec![record]).await), [LeafIndex(2)]);
}

#[tokio::test]
async fn a_suspension_that_never_reached_the_disk_keeps_nobody_out() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    let founder = TestDevice::new(FOUNDER);
    // A segment holds one of these.
    let file = [record_file(), vec![7; 32 * 1024]].concat();
    let record = |world: &mut World| {
        let record = Entry::sign(world.record_header(&founder), file.clone(), &founder.signing);
        world.push(&record).unwrap();
    };
    record(&mut fixture.world);
    disk.set_free_bytes(1_000);
    accepted(&fixture.push_last(login(&founder)).await);
    record(&mut fixture.world);
    fixture.world.change(&founder, &suspend(Target::Member(NUMBER))).unwrap();
    let suspension = fixture.world.log[3..].to_vec();
    let full = fixture.push(login(&founder), suspension.clone()).await;
    assert_eq!(full, refused(Code::Full));
    let same = Reply::Heads(vec![HeadState::Same(Empty {})]);
    assert_eq!(ask(&fixture.service, member(), fixture.heads(3)).await, same);
    let watch = fixture.watch(3);
    disk.set_free_bytes(u64::MAX);
    accepted(&fixture.push(login(&founder), suspension).await);
    assert_ends(watch).await;
    let why = fixture.shown().await;
    fixture.assert_proves(&why, LeafIndex(4), &founder);
}

/// A relay whose disk failed between the log and the checkpoint holds a suspension that it cannot
/// show: it says so, and does not wait for what cannot come.
#[tokio::test]
async fn a_suspension_that_cannot_be_signed_for_is_not_shown_and_refuses_all_the_same() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    // Names of signed checkpoints cannot be made durable any more.
    disk.fail_next(Kind::SyncFolder, Failure::Lost(std::io::ErrorKind::Other));
    let stopped = async {
        while fixture.service.store().ready().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stopped).await.expect("the sync of checkpoints fails");
    let founder = TestDevice::new(FOUNDER);
    fixture.world.change(&founder, &suspend(Target::Member(NUMBER))).unwrap();
    let mut cut = fixture.service.cut_off(member());
    // As if it had come just before.
    let service = &fixture.service;
    let log = service.log(fixture.committee()).unwrap();
    let entry = UnverifiedEntry::decode(&fixture.world.log[2]).unwrap();
    log.push(&service.store, &service.key, Push::of(entry), Instant::now()).unwrap();
    assert_eq!(log.durable(TreeSize(3)).await.err(), Some(Code::Stopped));
    assert_eq!(service.store().head(fixture.committee()).await, TreeSize(3));
    let asked = ask(&fixture.service, member(), fixture.heads(0));
    let reply = tokio::time::timeout(PATIENCE, asked).await.expect("it does not wait");
    assert_eq!(reply, refused(Code::Stopped));
    tokio::time::timeout(PATIENCE, cut.told()).await.expect("it is cut off all the same");
}
