//! Who may not know of a log learns nothing of it: not even whether there is one.

use sealpost_protocol::change::Target;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{
    BlobGetRequest, BlobPutRequest, CommitteeRequest, InviteAction, InviteRequest, OpenInvitation,
};
use sealpost_protocol::invitation::SealedJoinRequest;
use sealpost_protocol::world::suspend;

use super::answers::{answer_to, somebody_asks};
use super::blobs::{attach, file};
use super::invitations::open_invitation;
use super::*;
use crate::store::disk::faulty::Kind;

/// A second committee on the relay, of a device that is in no other; and one it suspended.
async fn found_another(fixture: &Fixture) -> [TestDevice; 2] {
    let (founder, suspended) = (TestDevice::new(40), TestDevice::new(41));
    let mut world = World::found(&founder);
    world.admit(&founder, &suspended, MemberRole::Member).unwrap();
    let target = Target::Device(suspended.id());
    world.change(&founder, &suspend(target)).unwrap();
    permit::issue(fixture.service.store().as_ref(), &[5; 16].into(), None, NOW).await.unwrap();
    let entry = world.log[0].clone().into();
    let found = Request::Found(FoundRequest { permit: [5; 16].into(), entry });
    assert_eq!(accepted(&ask(&fixture.service, stranger(), found).await), [LeafIndex(0)]);
    let committee = world.committee.id();
    let entries = world.log[1..].iter().map(|bytes| bytes.clone().into()).collect();
    let push = Request::Push(PushRequest { committee, entries });
    assert_eq!(accepted(&ask(&fixture.service, login(&founder), push).await).len(), 2);
    [founder, suspended]
}

/// Every request about a committee, in every form. Compiling it asks for a new one when there is a
/// new request.
pub(crate) fn requests(
    committee: CommitteeId,
    entry: &[u8],
    open: OpenInvitation,
    blob: Blob,
) -> Vec<Request> {
    let ask = |size| HeadAsk { committee, size: TreeSize(size) };
    let heads = |size| HeadsRequest { committees: vec![ask(size)] };
    let about = CommitteeRequest { committee };
    let put = |blob| Request::BlobPut(BlobPutRequest { committee, blob });
    let get = |offset| Request::BlobGet(BlobGetRequest { committee, sha256: blob.sha256, offset });
    let invite = |action| Request::Invite(InviteRequest { committee, action });
    let cosign = |size, cosignature: &str| CosignRequest {
        committee,
        size: TreeSize(size),
        root: Hash::ZERO,
        cosignature: cosignature.to_owned(),
    };
    let all = vec![
        Request::Heads(heads(0)),
        Request::Heads(heads(2)),
        Request::Watch(heads(0)),
        Request::Watch(heads(2)),
        Request::Pull(PullRequest { committee, from: TreeSize(0) }),
        Request::Pull(PullRequest { committee, from: TreeSize(u64::MAX) }),
        Request::Push(PushRequest { committee, entries: vec![entry.to_vec().into()] }),
        Request::Push(PushRequest { committee, entries: vec![b"no entry".to_vec().into()] }),
        Request::Push(PushRequest { committee, entries: Vec::new() }),
        Request::Push(PushRequest {
            committee,
            entries: vec![Vec::new().into(); limits::PUSH_ENTRIES_MAX + 1],
        }),
        Request::Cosign(cosign(1, "")),
        Request::Cosign(cosign(u64::MAX, "no line")),
        Request::Cosignatures(about),
        Request::Joins(about),
        answer_to(committee, &open, b"a share"),
        answer_to(committee, &open, &[0; limits::ANSWER_BYTES_MAX + 1]),
        put(blob),
        put(Blob { sha256: Hash::of(b"another"), size: 7 }),
        put(Blob { size: 0, ..blob }),
        put(Blob { size: u64::MAX, ..blob }),
        get(0),
        get(blob.size),
        get(u64::MAX),
        invite(InviteAction::New(open)),
        invite(InviteAction::Cancel(open.id)),
        invite(InviteAction::List(Empty {})),
    ];
    for request in &all {
        match request {
            Request::Heads(_)
            | Request::Watch(_)
            | Request::Pull(_)
            | Request::Push(_)
            | Request::Cosign(_)
            | Request::Cosignatures(_)
            | Request::Joins(_)
            | Request::Invite(_)
            | Request::Answer(_)
            | Request::BlobPut(_)
            | Request::BlobGet(_) => {}
            // These name no committee.
            Request::Hello(_) | Request::Found(_) | Request::Join(_) => unreachable!(),
        }
    }
    all
}

/// All replies of one answer, encoded.
async fn answer(fixture: &Fixture, peer: PublicKey, request: Request) -> Vec<Vec<u8>> {
    let mut replies = stream(&fixture.service, peer, request);
    let mut answer = Vec::new();
    while let Some(reply) = replies.recv().await {
        answer.push(codec::encode(&reply));
    }
    answer
}

#[tokio::test]
async fn foreign_is_nonexistent() {
    let disk = FaultyDisk::new();
    let mut fixture = Fixture::at(Home::faulty(&disk)).await;
    let blob = attach(&mut fixture, &TestDevice::new(MEMBER), &file(1, 3_000)).await;
    let of_another = found_another(&fixture).await.map(|device| login(&device));
    let member = login(&TestDevice::new(MEMBER));
    let entry = fixture.world.log[1].clone();
    let open = somebody_asks(&fixture).await;
    let existing = requests(fixture.committee(), &entry, open, blob);
    let absent = requests(CommitteeId(Hash::of(b"no such committee")), &entry, open, blob);
    for (existing, absent) in existing.into_iter().zip(absent) {
        let told = |what| format!("{what} {existing:?}");
        for peer in [stranger(), of_another[0], of_another[1]] {
            let reads = disk.count(Kind::Read);
            let foreign = answer(&fixture, peer, existing.clone()).await;
            assert_eq!(disk.count(Kind::Read), reads, "{}", told("the disk was asked"));
            let nothing = answer(&fixture, peer, absent.clone()).await;
            assert_eq!(foreign, nothing, "{}", told("asked"));
            let of_stranger = answer(&fixture, stranger(), absent.clone()).await;
            assert_eq!(nothing, of_stranger, "{}", told("a device is told more than a stranger"));
        }
        // A watch of one's own log does not end.
        if !matches!(existing, Request::Watch(_)) {
            let reads = disk.count(Kind::Read);
            let own = answer(&fixture, member, existing.clone()).await;
            let nothing = answer(&fixture, member, absent).await;
            assert_ne!(own, nothing, "{}", told("the honest case shows nothing"));
            let pulls_all = matches!(&existing, Request::Pull(pull) if pull.from == TreeSize(0));
            assert!(!pulls_all || disk.count(Kind::Read) > reads, "{}", told("nobody reads"));
        }
    }
}

#[tokio::test]
async fn a_stranger_may_send_as_much_about_a_log_that_exists_as_about_one_that_does_not() {
    let fixture = Fixture::new().await;
    let known = fixture.service.request_bytes_max(login(&TestDevice::new(FOUNDER)));
    assert_eq!(known, limits::FRAME_BYTES_MAX);
    assert_eq!(fixture.service.request_bytes_max(stranger()), STRANGER_REQUEST_BYTES_MAX);
    let secret = sealpost_protocol::invitation::InvitationSecret::new([1; 32].into());
    let file = vec![0; limits::JOIN_REQUEST_BYTES_MAX];
    let join = SealedJoinRequest::new(open_invitation(1, 1).id, &secret, file).unwrap();
    let join = sealpost_protocol::frame::encode(&Request::Join(join));
    let entry = fixture.world.log[0].clone().into();
    let found = Request::Found(FoundRequest { permit: [5; 16].into(), entry });
    let found = sealpost_protocol::frame::encode(&found);
    assert!(join.len() < STRANGER_REQUEST_BYTES_MAX && found.len() < STRANGER_REQUEST_BYTES_MAX);
}

#[tokio::test]
async fn a_device_asks_about_its_own_logs_and_foreign_ones_in_one_request() {
    let fixture = Fixture::new().await;
    let [other, _] = found_another(&fixture).await;
    let heads = [fixture.committee(), CommitteeId(Hash::ZERO)]
        .map(|committee| HeadAsk { committee, size: TreeSize(2) });
    let request = Request::Heads(HeadsRequest { committees: heads.to_vec() });
    let unknown = HeadState::Unknown(Empty {});
    let reply = ask(&fixture.service, login(&TestDevice::new(FOUNDER)), request.clone()).await;
    assert_eq!(reply, Reply::Heads(vec![HeadState::Same(Empty {}), unknown.clone()]));
    let reply = ask(&fixture.service, login(&other), request).await;
    assert_eq!(reply, Reply::Heads(vec![unknown.clone(), unknown]));
}
