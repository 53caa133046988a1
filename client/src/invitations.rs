//! Invitations this device makes, who asks on them, and letting them in.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use sealpost_protocol::card::Card;
use sealpost_protocol::change::Role;
use sealpost_protocol::frame::{
    CommitteeRequest, InviteAction, InviteRequest, JoinOf, OpenInvitation, Reply, Request,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::id::{DeviceId, InvitationId, MemberNumber, UnixMillis};
use sealpost_protocol::invitation::{Invitation, InvitationSecret};
use sealpost_protocol::limits::{INVITATION_USES_MAX, JOIN_REQUESTS_MAX};
use sealpost_protocol::seal::{self, OpenedJoinRequest};

use crate::app::App;
use crate::changes::{Intent, RoleName};
use crate::error::{Failure, Kind as Error};
use crate::lie::{FollowError, must_be_dealt_with};
use crate::log::Log;
use crate::members;
use crate::names::{self, Wanted, alike};
use crate::random;
use crate::recovery::help;
use crate::relay::{self, AskError};
use crate::transport::Connection;
use crate::ui::digits;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::invitations::{Asking, Invitation as Kept, InvitationState, JoinRequest};
use crate::vault::{Read, VaultError};

/// How long after an invitation's end this device still asks who asked in time: whoever coordinates
/// may have been without a network.
const REMEMBERED_MILLIS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Whom an invitation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// A person, in that role.
    Person(RoleName),
    /// The next device of whoever makes it.
    OwnDevice,
    /// A member who lost every device, and of whose spare whoever makes it has a share.
    Recovery(MemberNumber),
}

/// The word for it, which the vault keeps.
impl fmt::Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(role) => f.write_str(role.as_str()),
            Self::OwnDevice => f.write_str(OWN_DEVICE),
            Self::Recovery(member) => write!(f, "{RECOVERY}{member}"),
        }
    }
}

const OWN_DEVICE: &str = "device";
const RECOVERY: &str = "recovery of ";

impl For {
    /// What an invitation that was kept is for.
    pub fn of(kept: &Kept) -> Result<Self, Failure> {
        if kept.role == OWN_DEVICE {
            return Ok(Self::OwnDevice);
        }
        if let Some(member) = kept.role.strip_prefix(RECOVERY).and_then(|it| it.parse().ok()) {
            return Ok(Self::Recovery(MemberNumber(member)));
        }
        RoleName::of(&kept.role).map(Self::Person)
    }
}

/// What an invitation is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Whom it is for.
    pub whom: For,
    /// How many it may admit.
    pub uses: u32,
    /// How long it lives.
    pub lives: Duration,
}

/// As [`invite`], at the committee's relay.
pub async fn obtain(app: &mut App, known: &Committee, wish: Wish) -> Result<Kept, Failure> {
    // Before the relay is asked for anything: who may not invite is told so without a network.
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    may_invite(app, &log, wish.whom)?;
    must_be_dealt_with(app, known)?;
    let connection = relay::connect(app, log.address()).await?;
    let made = invite(app, &connection, known.no, wish).await;
    connection.close().await;
    made.map_err(|error| error.told(app, known))
}

/// Makes an invitation and has the relay honour it. It is kept before the relay hears of it.
pub async fn invite(
    app: &mut App,
    connection: &Connection,
    no: CommitteeNo,
    wish: Wish,
) -> Result<Kept, FollowError> {
    if wish.uses == 0 || wish.uses > INVITATION_USES_MAX {
        let what = format!("An invitation is for 1 to {INVITATION_USES_MAX} persons");
        return Err(Failure::new(Error::Usage, what).into());
    }
    let (invitation, kept) = make(app, no, wish, connection.relay_time())?;
    app.vault.write(|vault| vault.put_invitation(&kept))?;
    let open = OpenInvitation {
        id: invitation.id,
        access_hash: invitation.secret.access_hash(),
        expires: invitation.expires,
        uses: invitation.uses,
    };
    let committee = invitation.committee;
    let action = InviteAction::New(open);
    relay::ask(connection, &Request::Invite(InviteRequest { committee, action })).await?;
    let kept = Kept { state: InvitationState::Open, ..kept };
    app.vault.write(|vault| vault.put_invitation(&kept))?;
    Ok(kept)
}

fn make(
    app: &App,
    no: CommitteeNo,
    wish: Wish,
    relay_time: UnixMillis,
) -> Result<(Invitation, Kept), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let fold = log.pulled()?;
    may_invite(app, &log, wish.whom)?;
    let lives = u64::try_from(wish.lives.as_millis()).unwrap_or(u64::MAX);
    let invitation = Invitation {
        address: log.address().clone(),
        committee: fold.id(),
        head: (fold.size(), fold.root()),
        id: InvitationId(Hash(random::bytes()?)),
        secret: InvitationSecret::new(random::secret()?),
        expires: UnixMillis(relay_time.0.saturating_add(lives)),
        uses: wish.uses,
    };
    let kept = Kept {
        id: invitation.id,
        committee: no,
        text: invitation.to_text().as_str().to_owned(),
        role: wish.whom.to_string(),
        uses: wish.uses,
        expires: invitation.expires,
        made: app.clock.now(),
        state: InvitationState::Making,
    };
    Ok((invitation, kept))
}

/// An error unless this device may make such an invitation, said before anything is begun.
pub fn may_invite(app: &App, log: &Log, whom: For) -> Result<(), Failure> {
    match whom {
        For::Person(_) => must_coordinate(app, log),
        For::OwnDevice => must_be_active(app, log).map(drop),
        For::Recovery(owner) => help::must_help(app, &log.known, owner),
    }
}

fn must_be_active(app: &App, log: &Log) -> Result<Role, Failure> {
    log.pulled()?.roster().role_of(app.device.device_id()).ok_or_else(|| {
        Failure::new(Error::NotAllowed, "This device is not active in the committee")
            .next("Ask a coordinator.")
    })
}

/// An error unless this device's member is a coordinator, said before anything is begun.
pub fn must_coordinate(app: &App, log: &Log) -> Result<(), Failure> {
    match must_be_active(app, log)? {
        Role::Coordinator => Ok(()),
        Role::Member | Role::Reader => {
            Err(Failure::new(Error::NotAllowed, "Only a coordinator of the committee may")
                .next(format!("Ask a coordinator: {}", members::list_command(&log.known))))
        }
    }
}

/// The invitation that `typed` names.
pub fn named(vault: &Read<'_>, typed: &str) -> Result<Kept, Failure> {
    let wanted = Wanted::parse(typed, "IV")?;
    let full = |kept: &Kept| kept.id.to_string();
    wanted.one_of(vault.invitations()?, full, |kept| names::invitation_ref(&kept.id))
}

/// Ends an invitation at the relay. One that the relay no longer knows has ended before.
pub async fn cancel(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    kept: Kept,
) -> Result<(), Failure> {
    let action = InviteAction::Cancel(kept.id);
    let request = Request::Invite(InviteRequest { committee: known.id, action });
    match relay::ask(connection, &request).await {
        Ok(_) | Err(AskError::Refused(sealpost_protocol::code::Code::NotFound)) => {}
        Err(error) => return Err(error.into()),
    }
    let kept = Kept { state: InvitationState::Cancelled, ..kept };
    Ok(app.vault.write(|vault| vault.put_invitation(&kept))?)
}

/// Whether somebody may have asked on an invitation who is not known yet.
fn is_remembered(kept: &Kept, now: UnixMillis) -> bool {
    let until = kept.expires.0.saturating_add(REMEMBERED_MILLIS);
    kept.state == InvitationState::Open && until > now.0
}

/// Asks the relay who asks on this device's invitations to a committee, if it made any lately.
pub async fn fetch_asking(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
) -> Result<(), FollowError> {
    let now = connection.relay_time();
    let seen_before = app.vault.read(Read::join_requests)?;
    // Nobody more can come by an invitation that is used up.
    let is_used = |kept: &Kept| {
        let asked = seen_before.iter().filter(|request| request.invitation == kept.id).count();
        asked as u64 >= u64::from(kept.uses)
    };
    let remembered =
        |kept: &Kept| kept.committee == known.no && is_remembered(kept, now) && !is_used(kept);
    let all = app.vault.read(Read::invitations)?;
    let made: Vec<Kept> = all.into_iter().filter(remembered).collect();
    if made.is_empty() {
        return settle(app, known);
    }
    let request = Request::Joins(CommitteeRequest { committee: known.id });
    let Reply::Joins(joins) = relay::ask(connection, &request).await? else {
        return Err(relay::unexpected().into());
    };
    let new: Vec<JoinRequest> =
        made.iter().flat_map(|kept| new_on(app, known, kept, &joins, &seen_before)).collect();
    app.vault.write(|vault| new.iter().try_for_each(|request| vault.put_join_request(request)))?;
    settle(app, known)
}

/// Who asks on one invitation and was not seen before. A safety number is dear to compute: once a
/// request, and for no more of them than an honest relay keeps waiting.
fn new_on(
    app: &App,
    known: &Committee,
    kept: &Kept,
    joins: &[JoinOf],
    seen_before: &[JoinRequest],
) -> Vec<JoinRequest> {
    let waits = |seen: &&JoinRequest| seen.invitation == kept.id && seen.asking == Asking::Asking;
    let room = JOIN_REQUESTS_MAX.saturating_sub(seen_before.iter().filter(waits).count());
    let mut new: Vec<JoinRequest> = Vec::new();
    let Ok(invitation) = Invitation::from_text(&kept.text) else { return new };
    for join in joins.iter().filter(|join| join.invitation == kept.id).take(JOIN_REQUESTS_MAX) {
        if new.len() == room {
            break;
        }
        // What does not open was not made with the invitation: nobody to be shown.
        let unsealed = seal::unseal_join_request(&join.request, &invitation.secret);
        let Ok(request) = unsealed else { continue };
        let bytes = request.encode();
        let is_it = |seen: &JoinRequest| seen.invitation == kept.id && seen.request == bytes;
        if seen_before.iter().chain(&new).any(is_it) {
            continue;
        }
        if let Ok(opened) = OpenedJoinRequest::check(request) {
            new.push(seen(app, known, kept.id, &opened));
        }
    }
    new
}

fn seen(
    app: &App,
    known: &Committee,
    invitation: InvitationId,
    opened: &OpenedJoinRequest,
) -> JoinRequest {
    JoinRequest {
        device: opened.card.device(),
        invitation,
        request: opened.request.encode(),
        handle: opened.request.handle().to_owned(),
        safety_number: seal::safety_number(known.id, &opened.request),
        asking: Asking::Asking,
        seen: app.clock.now(),
    }
}

/// Whoever is in the roster by now asks no longer.
fn settle(app: &mut App, known: &Committee) -> Result<(), FollowError> {
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let Some(fold) = log.fold() else { return Ok(()) };
    app.vault.write(|vault| {
        for (_, asking) in asking_in(vault, Some(known.no))? {
            if fold.roster().device(asking.device).is_some() {
                vault.set_asking(known.no, &asking.device, Asking::Admitted)?;
            }
        }
        Ok::<_, VaultError>(())
    })?;
    Ok(())
}

/// Who waits to be let in, with the invitation each came by.
pub fn asking_in(
    vault: &Read<'_>,
    no: Option<CommitteeNo>,
) -> Result<Vec<(Kept, JoinRequest)>, VaultError> {
    let made = vault.invitations()?;
    let with_invitation = |request: JoinRequest| {
        let kept = made.iter().find(|kept| kept.id == request.invitation)?;
        let here = no.is_none_or(|no| kept.committee == no);
        (here && request.asking == Asking::Asking).then(|| (kept.clone(), request))
    };
    Ok(vault.join_requests()?.into_iter().filter_map(with_invitation).collect())
}

/// The requests of the device that `typed` names, each by another invitation or in other words.
pub fn asking_named(vault: &Read<'_>, typed: &str) -> Result<Vec<(Kept, JoinRequest)>, Failure> {
    let wanted = Wanted::parse(typed, "DV")?;
    let all = asking_in(vault, None)?;
    let devices: BTreeSet<DeviceId> = all.iter().map(|(_, request)| request.device).collect();
    let device = wanted.one_of(devices, ToString::to_string, names::device_ref)?;
    Ok(all.into_iter().filter(|(_, request)| request.device == device).collect())
}

/// The request whose safety number was read out. None has it: somebody stands between.
pub fn with_number<'r>(
    requests: &'r [(Kept, JoinRequest)],
    typed: &str,
) -> Result<&'r (Kept, JoinRequest), Failure> {
    let typed = digits::only(typed).ok_or_else(|| {
        Failure::new(Error::Usage, "A safety number is twenty digits").next("Type it as read out.")
    })?;
    let same = |(_, request): &&(Kept, JoinRequest)| {
        digits::only(&request.safety_number).as_deref() == Some(typed.as_str())
    };
    requests.iter().find(same).ok_or_else(|| {
        Failure::new(Error::Verification, "The safety numbers differ")
            .safe("Nobody was admitted.")
            .next(
                "Read it to each other again. If it still differs, somebody replaced the \
                 invitation or the card: cancel the invitation and make a new one over another \
                 channel.",
            )
    })
}

/// The admission of a person, or of a further device, whose safety number was compared.
pub fn admission(app: &App, kept: &Kept, request: &JoinRequest) -> Result<Intent, Failure> {
    let log = app.vault.read(|vault| Log::load(vault, kept.committee))?;
    let whom = For::of(kept)?;
    may_invite(app, &log, whom)?;
    let asked = sealpost_protocol::invitation::JoinRequest::decode(&request.request)
        .map_err(|_| VaultError::Damaged("a join request does not read".to_owned()))?;
    // What cannot be sealed to would hold up everything written after it.
    Recipient::from_bytes(&Card::decode(asked.card()).map_err(|_| unusable_card())?.recipient().0)
        .map_err(|_| unusable_card())?;
    let card = data_encoding::HEXLOWER.encode(asked.card());
    Ok(match whom {
        For::Recovery(_) => return Err(asks_for_help(request)),
        For::OwnDevice => Intent::Device { card },
        For::Person(role) => Intent::Admit {
            card,
            role,
            handle: free_handle(&log, &request.handle)?,
            country: asked.country().to_string(),
        },
    })
}

/// The handle in its one spelling, unless it is somebody's in the committee, reads like it, or hides
/// something.
fn free_handle(log: &Log, asked: &str) -> Result<String, Failure> {
    let other = |what: &str| {
        Failure::new(Error::Failed, what)
            .safe("Nobody was admitted.")
            .next("Have them ask again: sealpost join --handle OTHER")
    };
    let handle = names::handle(asked)
        .map_err(|_| other("The handle they ask for holds characters that cannot be seen"))?;
    let members = names::label(&log.known)?.map(|label| label.members).unwrap_or_default();
    if members.values().any(|member| names::is_same_handle(&member.handle, &handle)) {
        return Err(other("Somebody in the committee has that handle already"));
    }
    if let Some(member) = members.values().find(|one| alike::reads_like(&one.handle, &handle)) {
        let what = format!("{handle}, which they ask for, reads like {}", member.handle);
        return Err(other(&what));
    }
    Ok(handle)
}

fn asks_for_help(request: &JoinRequest) -> Failure {
    let device = names::device_ref(&request.device);
    Failure::new(Error::Usage, format!("{device} asks for a share, and not to be let in"))
        .safe("Nobody was admitted.")
        .next(format!("sealpost recovery help {device}"))
}

fn unusable_card() -> Failure {
    Failure::new(Error::Verification, "Nothing can be sealed to the device that asks")
        .safe("Nobody was admitted.")
        .next("Have them ask again from a vault made by sealpost init.")
}

#[cfg(test)]
mod tests;
