//! Answers to join requests.

use sealpost_protocol::change::Target;
use sealpost_protocol::frame::{
    AnswerRequest, Answered, InviteAction, InviteRequest, OpenInvitation,
};
use sealpost_protocol::id::InvitationId;
use sealpost_protocol::invitation::SealedJoinRequest;
use sealpost_protocol::world::suspend;

use super::invitations::{invite, join, open_invitation, secret, two_hours_on};
use super::*;

const SEED: u8 = 1;
const ASKED: &[u8] = b"a claimant's card";

/// The answer of whoever it is to who asked with `open`.
pub(super) fn answer_to(committee: CommitteeId, open: &OpenInvitation, file: &[u8]) -> Request {
    let asked = SealedJoinRequest::new(open.id, &secret(SEED), ASKED.to_vec()).unwrap();
    let request = asked.into_kept().hash();
    Request::Answer(AnswerRequest {
        committee,
        invitation: open.id,
        request,
        file: file.to_vec().into(),
    })
}

/// The member opens an invitation, with which somebody asks.
pub(super) async fn somebody_asks(fixture: &Fixture) -> OpenInvitation {
    let open = open_invitation(SEED, 1);
    assert!(matches!(
        invite(fixture, MEMBER, InviteAction::New(open)).await,
        Reply::Invitations(_)
    ));
    assert_eq!(join(fixture, &open, SEED, ASKED).await, done());
    open
}

async fn answer(fixture: &Fixture, device: u8, open: &OpenInvitation, file: &[u8]) -> Reply {
    let request = answer_to(fixture.committee(), open, file);
    ask(&fixture.service, login(&TestDevice::new(device)), request).await
}

fn done() -> Reply {
    Reply::Done(Empty {})
}

fn answered(file: &[u8]) -> Reply {
    Reply::Answered(Answered { file: file.to_vec().into() })
}

/// How many answers the relay keeps.
async fn kept(fixture: &Fixture) -> usize {
    fixture.service.store().scan(b"answer/").await.unwrap().len()
}

#[tokio::test]
async fn who_asks_again_gets_the_answer_and_a_later_one_takes_its_place() {
    let fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, done(), "there is none yet");
    assert_eq!(answer(&fixture, MEMBER, &open, b"a share").await, done());
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(b"a share"));
    assert_eq!(answer(&fixture, MEMBER, &open, b"the share").await, done());
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(b"the share"));
    assert_eq!(kept(&fixture).await, 1);
    assert_eq!(join(&fixture, &open, 2, ASKED).await, refused(Code::NotFound), "another secret");
}

#[tokio::test]
async fn an_answer_is_for_one_request_and_no_other_on_the_invitation() {
    let fixture = Fixture::new().await;
    let open = open_invitation(SEED, 2);
    invite(&fixture, FOUNDER, InviteAction::New(open)).await;
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, done());
    assert_eq!(join(&fixture, &open, SEED, b"another's card").await, done());
    assert_eq!(answer(&fixture, FOUNDER, &open, b"a share").await, done());
    assert_eq!(join(&fixture, &open, SEED, b"another's card").await, done());
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(b"a share"));
}

#[tokio::test]
async fn only_the_maker_answers_and_only_who_has_asked() {
    let fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    let nothing = refused(Code::NotFound);
    assert_eq!(answer(&fixture, FOUNDER, &open, b"x").await, nothing, "another's invitation");
    assert_eq!(answer(&fixture, 66, &open, b"x").await, nothing, "a stranger");
    let never = OpenInvitation { id: InvitationId(Hash::of(b"never")), ..open };
    assert_eq!(answer(&fixture, MEMBER, &never, b"x").await, nothing, "no such invitation");
    let unasked = open_invitation(2, 1);
    invite(&fixture, MEMBER, InviteAction::New(unasked)).await;
    assert_eq!(answer(&fixture, MEMBER, &unasked, b"x").await, nothing, "nobody asked");
    assert_eq!(kept(&fixture).await, 0);
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, done());
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    let longest = vec![7; limits::ANSWER_BYTES_MAX];
    let longer = vec![7; limits::ANSWER_BYTES_MAX + 1];
    assert_eq!(answer(&fixture, MEMBER, &open, &longer).await, refused(Code::TooLarge));
    assert_eq!(answer(&fixture, MEMBER, &open, &longest).await, done());
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(&longest));
}

#[tokio::test]
async fn an_answer_survives_a_restart_and_the_invitations_end() {
    let fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    answer(&fixture, MEMBER, &open, b"a share").await;
    let fixture = fixture.restart().await;
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(b"a share"));
    let fixture = two_hours_on(fixture).await;
    assert_eq!(join(&fixture, &open, SEED, b"too late").await, refused(Code::NotFound));
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(b"a share"));
    assert_eq!(answer(&fixture, MEMBER, &open, b"again").await, done(), "and is still given");
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, answered(b"again"));
}

#[tokio::test]
async fn an_answer_goes_with_its_invitation() {
    let fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    answer(&fixture, MEMBER, &open, b"a share").await;
    assert_eq!(kept(&fixture).await, 1);
    invite(&fixture, MEMBER, InviteAction::Cancel(open.id)).await;
    assert_eq!(kept(&fixture).await, 0);
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, refused(Code::NotFound));
    assert_eq!(answer(&fixture, MEMBER, &open, b"x").await, refused(Code::NotFound));
    // The same invitation opened anew finds nothing of it.
    let again = somebody_asks(&fixture).await;
    assert_eq!(join(&fixture, &again, SEED, ASKED).await, done());
}

#[tokio::test]
async fn an_answer_that_crosses_the_end_of_its_invitation_is_not_left_behind() {
    let fixture = Fixture::new().await;
    let member = login(&TestDevice::new(MEMBER));
    for answer_first in [true, false] {
        let open = somebody_asks(&fixture).await;
        let committee = fixture.committee();
        let action = InviteAction::Cancel(open.id);
        let mut crossing = [
            answer_to(committee, &open, b"a share"),
            Request::Invite(InviteRequest { committee, action }),
        ];
        if !answer_first {
            crossing.reverse();
        }
        for mut replies in crossing.map(|request| stream(&fixture.service, member, request)) {
            replies.recv().await.expect("every request is answered");
        }
        assert_eq!(kept(&fixture).await, 0, "answer first: {answer_first}");
    }
}

#[tokio::test]
async fn who_was_cut_off_answers_nobody() {
    let mut fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    let founder = TestDevice::new(FOUNDER);
    let target = Target::Device(TestDevice::new(MEMBER).id());
    fixture.world.change(&founder, &suspend(target)).unwrap();
    fixture.push_last(login(&founder)).await;
    let reply = answer(&fixture, MEMBER, &open, b"a share").await;
    assert!(matches!(reply, Reply::NotActive(_)), "{reply:?}");
    assert_eq!(kept(&fixture).await, 0);
    assert_eq!(join(&fixture, &open, SEED, ASKED).await, done());
}

#[tokio::test]
async fn a_device_that_answers_without_end_must_wait() {
    let fixture = Fixture::new().await;
    let open = somebody_asks(&fixture).await;
    let mut replies = Vec::new();
    for number in 0..=511_u16 {
        replies.push(answer(&fixture, MEMBER, &open, &number.to_be_bytes()).await);
    }
    assert_eq!(replies[0], done());
    assert!(replies.contains(&refused(Code::TooMany)));
}
