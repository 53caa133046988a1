//! Invitations and join requests.

use sealpost_protocol::change::Target;
use sealpost_protocol::frame::{CommitteeRequest, InviteAction, InviteRequest, OpenInvitation};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::InvitationId;
use sealpost_protocol::invitation::{InvitationSecret, SealedJoinRequest};
use sealpost_protocol::world::{TestDevice, restore, suspend};

use super::*;
use crate::limits::{INVITATION_REMEMBERED, JOIN_REQUESTS_COMMITTEE_MAX};
use crate::service::invitations::is_forgotten;

pub(super) fn secret(seed: u8) -> InvitationSecret {
    InvitationSecret::new([seed; 32].into())
}

pub(crate) fn open_invitation(seed: u8, uses: u32) -> OpenInvitation {
    OpenInvitation {
        id: InvitationId(Hash::of(&[seed])),
        access_hash: secret(seed).access_hash(),
        expires: UnixMillis(NOW.0 + HOUR_MS),
        uses,
    }
}

pub(super) async fn invite(fixture: &Fixture, device: u8, action: InviteAction) -> Reply {
    let request = InviteRequest { committee: fixture.committee(), action };
    ask(&fixture.service, login(&TestDevice::new(device)), Request::Invite(request)).await
}

pub(super) async fn join(fixture: &Fixture, open: &OpenInvitation, seed: u8, file: &[u8]) -> Reply {
    let request = SealedJoinRequest::new(open.id, &secret(seed), file.to_vec()).unwrap();
    ask(&fixture.service, stranger(), Request::Join(request)).await
}

/// What is sealed to an invitation after its maker was cut off must not come to lie where whoever
/// has the maker's device reads.
#[tokio::test]
async fn an_invitation_is_dead_while_its_maker_is_cut_off() {
    let mut fixture = Fixture::new().await;
    let (founder, second) = (TestDevice::new(FOUNDER), TestDevice::new(3));
    fixture.world.admit(&founder, &second, MemberRole::Coordinator).unwrap();
    fixture.push_last(login(&founder)).await;
    let open = open_invitation(1, 5);
    invite(&fixture, 3, InviteAction::New(open)).await;
    let done = Reply::Done(Empty {});
    assert_eq!(join(&fixture, &open, 1, b"before").await, done);
    let target = Target::Device(second.id());
    fixture.world.change(&founder, &suspend(target)).unwrap();
    fixture.push_last(login(&founder)).await;
    assert_eq!(join(&fixture, &open, 1, b"later").await, refused(Code::NotFound));
    assert_eq!(join(&fixture, &open, 2, b"later").await, refused(Code::NotFound), "no secret");
    assert_eq!(join(&fixture, &open, 1, b"before").await, done, "sent again");
    fixture.world.change(&founder, &restore(target)).unwrap();
    fixture.push_last(login(&founder)).await;
    assert_eq!(join(&fixture, &open, 1, b"later").await, done);
    let about = Request::Joins(CommitteeRequest { committee: fixture.committee() });
    let reply = ask(&fixture.service, login(&second), about).await;
    assert!(matches!(&reply, Reply::Joins(joins) if joins.len() == 2), "{reply:?}");
}

#[tokio::test]
async fn dead_invitations_are_all_alike() {
    let fixture = Fixture::new().await;
    let [once, cancelled, never] = [1, 2, 3].map(|seed| open_invitation(seed, 1));
    let mut expired = open_invitation(4, 1);
    for open in [once, cancelled] {
        let Reply::Invitations(_) = invite(&fixture, FOUNDER, InviteAction::New(open)).await else {
            panic!("a coordinator opens invitations");
        };
    }
    invite(&fixture, FOUNDER, InviteAction::Cancel(cancelled.id)).await;
    assert_eq!(join(&fixture, &once, 1, b"first").await, Reply::Done(Empty {}));
    assert_eq!(join(&fixture, &once, 1, b"first").await, Reply::Done(Empty {}), "sent again");

    let dead = refused(Code::NotFound);
    assert_eq!(join(&fixture, &once, 1, b"second").await, dead, "used");
    assert_eq!(join(&fixture, &cancelled, 2, b"x").await, dead, "cancelled");
    assert_eq!(join(&fixture, &never, 3, b"x").await, dead, "never there");
    assert_eq!(join(&fixture, &once, 2, b"x").await, dead, "another secret");
    expired.expires = NOW;
    let refusal = invite(&fixture, FOUNDER, InviteAction::New(expired)).await;
    assert_eq!(refusal, refused(Code::Malformed), "expired when made");
}

#[tokio::test]
async fn only_the_maker_sees_who_asks() {
    let fixture = Fixture::new().await;
    let open = open_invitation(1, 2);
    invite(&fixture, FOUNDER, InviteAction::New(open)).await;
    join(&fixture, &open, 1, b"sealed").await;
    let about = Request::Joins(CommitteeRequest { committee: fixture.committee() });
    let founder = login(&TestDevice::new(FOUNDER));
    let Reply::Joins(joins) = ask(&fixture.service, founder, about.clone()).await else {
        panic!("not the joins");
    };
    assert_eq!(joins.len(), 1);
    assert_eq!(joins[0].request.verified_file(&secret(1)).unwrap(), b"sealed");
    let member = login(&TestDevice::new(MEMBER));
    assert_eq!(ask(&fixture.service, member, about).await, Reply::Joins(Vec::new()));

    let Reply::Invitations(mine) = invite(&fixture, FOUNDER, InviteAction::List(Empty {})).await
    else {
        panic!("not the invitations");
    };
    assert_eq!(mine.iter().map(|held| held.uses).collect::<Vec<_>>(), [1]);
    assert_eq!(
        invite(&fixture, MEMBER, InviteAction::Cancel(open.id)).await,
        refused(Code::NotFound),
        "another's invitation"
    );
}

#[test]
fn who_asked_in_time_is_kept_for_the_maker_beyond_the_invitations_end() {
    let forgotten = |at: u64| is_forgotten(&open_invitation(1, 1), UnixMillis(at));
    let end = NOW.0 + HOUR_MS;
    let remembered = u64::try_from(INVITATION_REMEMBERED.as_millis()).unwrap();
    assert!(!forgotten(end) && !forgotten(end + remembered - 1));
    assert!(forgotten(end + remembered));
}

/// A relay two hours on, when the invitations so far have ended.
pub(super) async fn two_hours_on(fixture: Fixture) -> Fixture {
    let Fixture { service, world, home } = fixture;
    drop(service);
    let store = Store::open(&home.disk, &home.path, home.options).unwrap();
    let clock = || UnixMillis(NOW.0 + 2 * HOUR_MS);
    let service = Service::open(Arc::new(store), relay_key(), clock).await.unwrap();
    Fixture { service: Arc::new(service), world, home }
}

/// How many wait after `seeds` invitations were filled and ended, and a new one was made; and what
/// is answered to who asks on that.
async fn after_the_end_of(seeds: std::ops::RangeInclusive<u8>) -> (usize, Reply) {
    let fixture = Fixture::new().await;
    for seed in seeds {
        let open = open_invitation(seed, 100);
        invite(&fixture, FOUNDER, InviteAction::New(open)).await;
        for number in 0_u8..16 {
            assert_eq!(join(&fixture, &open, seed, &[number]).await, Reply::Done(Empty {}));
        }
    }
    let fixture = two_hours_on(fixture).await;
    let mut fresh = open_invitation(99, 1);
    fresh.expires.0 += 2 * HOUR_MS;
    invite(&fixture, FOUNDER, InviteAction::New(fresh)).await;
    let about = Request::Joins(CommitteeRequest { committee: fixture.committee() });
    let joins = ask(&fixture.service, login(&TestDevice::new(FOUNDER)), about).await;
    let Reply::Joins(joins) = joins else { panic!("{joins:?}") };
    (joins.len(), join(&fixture, &fresh, 99, b"new").await)
}

#[tokio::test]
async fn those_who_asked_in_time_are_kept_and_keep_nobody_out() {
    assert_eq!(after_the_end_of(1..=1).await, (16, Reply::Done(Empty {})));
    assert_eq!(after_the_end_of(1..=8).await, (0, Reply::Done(Empty {})), "all places were taken");
}

#[tokio::test]
async fn a_member_opens_a_few_invitations_of_one_use_for_devices_of_their_own() {
    let fixture = Fixture::new().await;
    let new = |seed, uses| invite(&fixture, MEMBER, InviteAction::New(open_invitation(seed, uses)));
    assert_eq!(new(1, 2).await, refused(Code::NotEntitled));
    for seed in 1..=8 {
        assert!(matches!(new(seed, 1).await, Reply::Invitations(_)), "{seed}");
    }
    assert_eq!(new(9, 1).await, refused(Code::TooMany));
    assert!(matches!(new(8, 1).await, Reply::Invitations(_)), "the same one again");
    let cancel = InviteAction::Cancel(open_invitation(1, 1).id);
    assert!(matches!(invite(&fixture, MEMBER, cancel).await, Reply::Invitations(_)));
    assert!(matches!(new(9, 1).await, Reply::Invitations(_)));
}

#[tokio::test]
async fn half_of_all_places_are_the_coordinators() {
    let fixture = Fixture::new().await;
    let of_founder =
        |seed| invite(&fixture, FOUNDER, InviteAction::New(open_invitation(seed, 100)));
    for seed in 10..138 {
        assert!(matches!(of_founder(seed).await, Reply::Invitations(_)), "{seed}");
    }
    let own = open_invitation(1, 1);
    let full = invite(&fixture, MEMBER, InviteAction::New(own)).await;
    assert_eq!(full, refused(Code::TooMany));
    let cancel = InviteAction::Cancel(open_invitation(10, 100).id);
    assert!(matches!(invite(&fixture, FOUNDER, cancel).await, Reply::Invitations(_)));
    let one = invite(&fixture, MEMBER, InviteAction::New(own)).await;
    assert!(matches!(one, Reply::Invitations(_)));
    // The same of those who ask.
    for number in 0..JOIN_REQUESTS_COMMITTEE_MAX / 2 {
        let seed = 11 + u8::try_from(number / 16).unwrap();
        let asked = join(&fixture, &open_invitation(seed, 100), seed, &number.to_be_bytes()).await;
        assert_eq!(asked, Reply::Done(Empty {}), "{number}");
    }
    assert_eq!(join(&fixture, &own, 1, b"phone").await, refused(Code::TooMany));
    let person = join(&fixture, &open_invitation(100, 100), 100, b"person").await;
    assert_eq!(person, Reply::Done(Empty {}));
}

#[tokio::test]
async fn a_flood_of_join_requests_stays_within_one_answer() {
    let fixture = Fixture::new().await;
    let mut done = 0;
    let mut refusals = Vec::new();
    for seed in 1..=20 {
        let open = open_invitation(seed, 100);
        invite(&fixture, FOUNDER, InviteAction::New(open)).await;
        for number in 0_u8..20 {
            let file = vec![number; limits::JOIN_REQUEST_BYTES_MAX];
            match join(&fixture, &open, seed, &file).await {
                Reply::Done(_) => done += 1,
                refusal => refusals.push(refusal),
            }
        }
    }
    assert_eq!(done, JOIN_REQUESTS_COMMITTEE_MAX);
    assert!(refusals.iter().all(|refusal| *refusal == refused(Code::TooMany)));
    let about = Request::Joins(CommitteeRequest { committee: fixture.committee() });
    let joins = ask(&fixture.service, login(&TestDevice::new(FOUNDER)), about).await;
    assert!(codec::encode(&joins).len() < limits::FRAME_BYTES_MAX);
}

#[tokio::test]
async fn a_device_that_opens_invitations_without_end_must_wait() {
    let fixture = Fixture::new().await;
    let mut replies = Vec::new();
    for seed in 0..=255 {
        replies.push(invite(&fixture, FOUNDER, InviteAction::New(open_invitation(seed, 1))).await);
        replies.push(
            invite(&fixture, FOUNDER, InviteAction::Cancel(open_invitation(seed, 1).id)).await,
        );
    }
    assert!(matches!(replies[0], Reply::Invitations(_)));
    assert!(replies.contains(&refused(Code::TooMany)));
}
