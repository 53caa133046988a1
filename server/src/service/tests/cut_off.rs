//! What becomes of a device that a committee suspends or removes.

use sealpost_protocol::change::{Change, Target};
use sealpost_protocol::frame::NotActive;
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::world::{remove, restore, set_approvals, suspend};

use super::blobs::blob_of;
use super::invitations::open_invitation;
use super::strangers::requests;
use super::*;

mod durable;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
const NUMBER: MemberNumber = MemberNumber(2);

fn member() -> PublicKey {
    login(&TestDevice::new(MEMBER))
}

impl Fixture {
    /// The founder changes the roster, here and at the relay.
    async fn change(&mut self, change: &Change) -> LeafIndex {
        let founder = TestDevice::new(FOUNDER);
        self.world.change(&founder, change).unwrap();
        accepted(&self.push_last(login(&founder)).await)[0]
    }

    fn heads(&self, size: u64) -> Request {
        let ask = HeadAsk { committee: self.committee(), size: TreeSize(size) };
        Request::Heads(HeadsRequest { committees: vec![ask] })
    }

    fn watch(&self, size: u64) -> mpsc::Receiver<Reply> {
        let ask = HeadAsk { committee: self.committee(), size: TreeSize(size) };
        let watch = Request::Watch(HeadsRequest { committees: vec![ask] });
        stream(&self.service, member(), watch)
    }

    /// What the member is shown instead of the head.
    async fn shown(&self) -> NotActive {
        let reply = ask(&self.service, member(), self.heads(0)).await;
        let Reply::Heads(states) = &reply else { panic!("{reply:?}") };
        let [HeadState::NotActive(why)] = &states[..] else { panic!("{states:?}") };
        why.clone()
    }

    /// Checks it as an honest client does, with nothing but what it knows of the committee.
    fn assert_proves(&self, why: &NotActive, index: LeafIndex, author: &TestDevice) -> Change {
        assert_eq!(why.index, index);
        let signed = self.verified(&why.checkpoint);
        let entry = UnverifiedEntry::decode(&why.entry).unwrap();
        let Checkpoint { size, root, .. } = signed.checkpoint();
        verify_inclusion(&entry.leaf(), why.index, *size, &why.proof, root).unwrap();
        let signed = entry.verify(&author.signing.verifying_key()).unwrap();
        let payload = signed.payload().unwrap();
        codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).unwrap()
    }
}

#[tokio::test]
async fn whatever_a_suspended_device_asks_it_is_shown_the_entry_that_did_it() {
    let mut fixture = Fixture::new().await;
    let change = suspend(Target::Member(NUMBER));
    let index = fixture.change(&change).await;
    fixture.world.change_locks(&TestDevice::new(FOUNDER)).unwrap();
    fixture.push_last(login(&TestDevice::new(FOUNDER))).await;
    let why = fixture.shown().await;
    assert_eq!(fixture.assert_proves(&why, index, &TestDevice::new(FOUNDER)), change);
    assert_eq!(fixture.verified(&why.checkpoint).checkpoint().size, fixture.world.committee.size());
    let entry = fixture.world.log[0].clone();
    for request in requests(fixture.committee(), &entry, open_invitation(1, 1), blob_of(b"a blob"))
    {
        let told = format!("{request:?}");
        let mut replies = stream(&fixture.service, member(), request.clone());
        let expected = match request {
            Request::Heads(_) => Reply::Heads(vec![HeadState::NotActive(why.clone())]),
            _ => Reply::NotActive(why.clone()),
        };
        assert_eq!(replies.recv().await, Some(expected), "{told}");
        assert_eq!(replies.recv().await, None, "{told}");
    }
}

#[tokio::test]
async fn it_is_shown_again_after_a_restart() {
    let mut fixture = Fixture::new().await;
    let change = suspend(Target::Device(TestDevice::new(MEMBER).id()));
    let index = fixture.change(&change).await;
    let fixture = fixture.restart().await;
    let why = fixture.shown().await;
    assert_eq!(fixture.assert_proves(&why, index, &TestDevice::new(FOUNDER)), change);
}

#[tokio::test]
async fn a_removal_cuts_off_when_the_last_approval_is_in_and_not_before() {
    let mut fixture = Fixture::new().await;
    let others = [3, 4].map(TestDevice::new);
    for other in &others {
        fixture.world.admit(&TestDevice::new(FOUNDER), other, MemberRole::Coordinator).unwrap();
        fixture.push_last(login(&TestDevice::new(FOUNDER))).await;
    }
    fixture.change(&set_approvals(2)).await;
    let mut watch = fixture.watch(5);
    let proposed = fixture.change(&remove(NUMBER)).await;
    let grown = HeadAsk { committee: fixture.committee(), size: TreeSize(proposed.0 + 1) };
    assert_eq!(watch.recv().await, Some(Reply::Grown(grown)), "it only waits");
    let leaf = UnverifiedEntry::decode(&fixture.world.log[5]).unwrap().leaf();
    fixture.world.approve(&others[0], leaf).unwrap();
    let approved = accepted(&fixture.push_last(login(&others[0])).await)[0];
    assert_ends(watch).await;
    let why = fixture.shown().await;
    let shown = fixture.assert_proves(&why, approved, &others[0]);
    assert!(matches!(shown, Change::Approve(approve) if approve.entry == leaf));
}

/// Takes what is on its way and the end.
async fn assert_ends(mut replies: mpsc::Receiver<Reply>) {
    let ended = async { while replies.recv().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("it is cut off");
}

#[tokio::test]
async fn a_suspension_ends_the_devices_watch_and_no_other() {
    let mut fixture = Fixture::new().await;
    let founder = login(&TestDevice::new(FOUNDER));
    let watch = fixture.watch(2);
    let ask = HeadAsk { committee: fixture.committee(), size: TreeSize(2) };
    let watch_of_founder = Request::Watch(HeadsRequest { committees: vec![ask] });
    let mut goes_on = stream(&fixture.service, founder, watch_of_founder);
    fixture.change(&suspend(Target::Member(NUMBER))).await;
    assert_ends(watch).await;
    let grown = |size| Some(Reply::Grown(HeadAsk { size: TreeSize(size), ..ask }));
    assert_eq!(goes_on.recv().await, grown(3));
    fixture.world.change_locks(&TestDevice::new(FOUNDER)).unwrap();
    fixture.push_last(founder).await;
    assert_eq!(goes_on.recv().await, grown(4));
}

#[tokio::test]
async fn a_restored_device_is_let_in_again() {
    let mut fixture = Fixture::new().await;
    fixture.change(&suspend(Target::Member(NUMBER))).await;
    fixture.shown().await;
    fixture.change(&restore(Target::Member(NUMBER))).await;
    let same = Reply::Heads(vec![HeadState::Same(Empty {})]);
    assert_eq!(ask(&fixture.service, member(), fixture.heads(4)).await, same);
    assert_eq!(fixture.pull(member(), 0).await.0, fixture.world.log);
    let mut watch = fixture.watch(3);
    assert!(matches!(watch.recv().await, Some(Reply::Grown(_))));
    fixture.change(&suspend(Target::Member(NUMBER))).await;
    assert_ends(watch).await;
}

/// A committee of `founder` and the member.
async fn found_with_member(fixture: &Fixture, seed: u8) -> World {
    let founder = TestDevice::new(seed);
    let mut world = World::found(&founder);
    world.admit(&founder, &TestDevice::new(MEMBER), MemberRole::Member).unwrap();
    let permit = [seed; 16];
    permit::issue(fixture.service.store().as_ref(), &permit.into(), None, NOW).await.unwrap();
    let entry = world.log[0].clone().into();
    let found = Request::Found(FoundRequest { permit: permit.into(), entry });
    accepted(&ask(&fixture.service, login(&founder), found).await);
    push_to(fixture, &world, login(&founder)).await;
    world
}

async fn push_to(fixture: &Fixture, world: &World, peer: PublicKey) {
    let entries = vec![world.log[world.log.len() - 1].clone().into()];
    let push = PushRequest { committee: world.committee.id(), entries };
    accepted(&ask(&fixture.service, peer, Request::Push(push)).await);
}

#[tokio::test]
async fn one_committees_cut_off_hides_no_other() {
    let fixture = Fixture::new().await;
    let mut second = found_with_member(&fixture, 40).await;
    let mut third = found_with_member(&fixture, 41).await;
    let (second_id, third_id) = (second.committee.id(), third.committee.id());
    let asks = [fixture.committee(), second_id, CommitteeId(Hash::ZERO), third_id]
        .map(|committee| HeadAsk { committee, size: TreeSize(2) });
    let heads = Request::Heads(HeadsRequest { committees: asks.to_vec() });
    let watch = || Request::Watch(HeadsRequest { committees: asks.to_vec() });
    let before = stream(&fixture.service, member(), watch());
    let suspender = TestDevice::new(40);
    second.change(&suspender, &suspend(Target::Member(NUMBER))).unwrap();
    push_to(&fixture, &second, login(&suspender)).await;
    assert_ends(before).await;

    let reply = ask(&fixture.service, member(), heads).await;
    let Reply::Heads(states) = &reply else { panic!("{reply:?}") };
    let same = HeadState::Same(Empty {});
    let [first, HeadState::NotActive(why), unknown, last] = &states[..] else {
        panic!("{reply:?}")
    };
    assert_eq!((first, unknown, last), (&same, &HeadState::Unknown(Empty {}), &same));
    assert_eq!(UnverifiedEntry::decode(&why.entry).unwrap().header().committee, second_id);

    // And it watches on, with or without naming the one it was cut off from.
    let mut after = stream(&fixture.service, member(), watch());
    third.record(&TestDevice::new(MEMBER)).unwrap();
    push_to(&fixture, &third, member()).await;
    let grown = Reply::Grown(HeadAsk { committee: third_id, size: TreeSize(3) });
    assert_eq!(after.recv().await, Some(grown));
}

/// Twelve records of the member, of which two fill a frame of a pull.
async fn fill(fixture: &Fixture) {
    let device = TestDevice::new(MEMBER);
    let mut header = fixture.world.record_header(&device);
    let file = [record_file(), vec![7; 250_000]].concat();
    let mut entries = Vec::new();
    for _ in 0..12 {
        let entry = Entry::sign(header.clone(), file.clone(), &device.signing);
        header.author_seq = header.author_seq.next();
        header.author_prev = entry.leaf();
        entries.push(entry.encode());
    }
    assert_eq!(accepted(&fixture.push(member(), entries).await).len(), 12);
}

#[tokio::test]
async fn a_pull_stops_between_frames_when_its_device_is_cut_off() {
    let mut fixture = Fixture::new().await;
    let mut elsewhere = found_with_member(&fixture, 40).await;
    fill(&fixture).await;
    let pull = Request::Pull(PullRequest { committee: fixture.committee(), from: TreeSize(0) });
    let mut replies = stream(&fixture.service, member(), pull);
    assert!(matches!(replies.recv().await, Some(Reply::Entries(_))));
    // Elsewhere: that is another matter, and this pull goes on.
    let suspender = TestDevice::new(40);
    elsewhere.change(&suspender, &suspend(Target::Member(NUMBER))).unwrap();
    push_to(&fixture, &elsewhere, login(&suspender)).await;
    assert!(matches!(replies.recv().await, Some(Reply::Entries(_))));
    // On top of what only the relay has taken.
    let founder = TestDevice::new(FOUNDER);
    let header = fixture.world.header(founder.id(), EntryKind::Roster);
    let change = codec::encode(&suspend(Target::Member(NUMBER)));
    let suspension = Entry::sign(header, change, &founder.signing).encode();
    fixture.world.log.push(suspension);
    let index = accepted(&fixture.push_last(login(&founder)).await)[0];
    assert_eq!(index, LeafIndex(14));
    let mut frames = 2;
    let last = loop {
        match replies.recv().await.expect("it is told why") {
            Reply::Entries(_) => frames += 1,
            last => break last,
        }
    };
    // Those that waited for the wire at most: there are seven in all.
    assert!(frames <= 4, "{frames}");
    let Reply::NotActive(why) = last else { panic!("{last:?}") };
    fixture.assert_proves(&why, index, &founder);
    assert_eq!(replies.recv().await, None);
}

#[tokio::test]
async fn a_suspension_undone_in_the_same_push_cuts_nobody_off() {
    let mut fixture = Fixture::new().await;
    let founder = TestDevice::new(FOUNDER);
    let mut watch = fixture.watch(2);
    let mut cut = fixture.service.cut_off(member());
    for change in [suspend(Target::Member(NUMBER)), restore(Target::Member(NUMBER))] {
        fixture.world.change(&founder, &change).unwrap();
    }
    let both = fixture.world.log[2..].to_vec();
    assert_eq!(accepted(&fixture.push(login(&founder), both).await).len(), 2);
    let grown = |size| Some(Reply::Grown(HeadAsk { committee: fixture.committee(), size }));
    assert_eq!(watch.recv().await, grown(TreeSize(4)));
    let told =
        tokio::select! { biased; () = cut.told() => true, () = std::future::ready(()) => false };
    assert!(!told);
}
