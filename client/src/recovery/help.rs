//! Giving one's share to whoever lost every device, once their voice was heard.

use sealpost_protocol::card::Card;
use sealpost_protocol::frame::{AnswerRequest, CommitteeRequest, JoinOf, Reply, Request};
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::invitation::{self, Invitation};
use sealpost_protocol::recovery::seal_share;
use sealpost_protocol::seal;

use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::lie::FollowError;
use crate::names::People;
use crate::relay;
use crate::transport::Connection;
use crate::vault::VaultError;
use crate::vault::committees::Committee;
use crate::vault::invitations::{Invitation as Kept, JoinRequest};

use super::{held_share, shared};

/// An error unless this device holds a share of `owner`'s spare, said before anything is begun.
pub fn must_help(app: &App, known: &Committee, owner: MemberNumber) -> Result<(), Failure> {
    let this = app.device.device_id();
    let (all, people) = app
        .vault
        .read(|vault| Ok::<_, Failure>((shared(vault, this)?, People::load(vault, known.no)?)))?;
    let found = all.iter().find(|one| one.known.no == known.no && one.owner == owner);
    match found.and_then(|one| one.held_by) {
        Some(device) if device == this => Ok(()),
        Some(device) => {
            let device = crate::names::device_ref(&device);
            Err(Failure::new(Error::NotAllowed, format!("The share is with {device}"))
                .next("Type it on that device."))
        }
        None => {
            let what = format!("You hold no share of {}", people.member(owner));
            Err(Failure::new(Error::NotFound, what).next("sealpost recovery show"))
        }
    }
}

/// Seals this device's share to the device that asks, and leaves it at the relay as the answer.
pub async fn answer(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    (kept, asking): &(Kept, JoinRequest),
    owner: MemberNumber,
) -> Result<(), FollowError> {
    let device = &app.device;
    let share = app.vault.read(|vault| held_share(vault, device, known.no, owner))?;
    let recipient = recipient_of(asking)?;
    let file = seal_share(&share, &recipient);
    let request = Request::Joins(CommitteeRequest { committee: known.id });
    let Reply::Joins(joins) = relay::ask(connection, &request).await? else {
        return Err(relay::unexpected().into());
    };
    let waiting = joins.iter().find(|join| is_of(join, kept, asking)).ok_or_else(gone)?;
    let answer = AnswerRequest {
        committee: known.id,
        invitation: kept.id,
        request: waiting.request.hash(),
        file: file.into(),
    };
    relay::ask(connection, &Request::Answer(answer)).await?;
    Ok(())
}

/// Whether what the relay holds is the request whose safety number was compared.
fn is_of(join: &JoinOf, kept: &Kept, asking: &JoinRequest) -> bool {
    let Ok(invitation) = Invitation::from_text(&kept.text) else { return false };
    let opened = || seal::open_join_request(&join.request, &invitation.secret);
    join.invitation == kept.id
        && opened().is_ok_and(|opened| opened.request.encode() == asking.request)
}

fn recipient_of(asking: &JoinRequest) -> Result<Recipient, Failure> {
    let asked = invitation::JoinRequest::decode(&asking.request)
        .map_err(|_| VaultError::Damaged("a join request does not read".to_owned()))?;
    let unusable = || Failure::new(Error::Verification, "Nothing can be sealed to that device");
    let card = Card::decode(asked.card()).map_err(|_| unusable())?;
    Recipient::from_bytes(&card.recipient().0).map_err(|_| unusable())
}

fn gone() -> Failure {
    Failure::new(Error::NotFound, "The relay no longer holds what that device asked")
        .safe("Your share was given to nobody.")
        .next("Make them a new code: sealpost recovery help HANDLE")
}
