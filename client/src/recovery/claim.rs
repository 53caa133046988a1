//! Coming back: a new device asks helpers, rebuilds the spare, and is let in by it.
//!
//! ```text
//! asked ── answers kept ── the spare acts: device, retire … ── this device is in: lock ── claim forgotten
//! ```
//!
//! Each step may be the last of a run; the next goes on from what the log and the vault say. Answers are
//! kept as they came, sealed to this device, and go with the claim.

use data_encoding::HEXLOWER;
use sealpost_protocol::change::Role;
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::frame::{Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{Country, TreeSize};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::invitation::{Invitation, JoinRequest, SealedJoinRequest};
use sealpost_protocol::recovery::{PeerShareError, Share, combine, open_share};
use sealpost_protocol::roster::Roster;
use sealpost_protocol::seal;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::changes::Intent;
use crate::error::{Failure, Kind as Error};
use crate::join::{self, Opening};
use crate::lie::FollowError;
use crate::log::Log;
use crate::names;
use crate::proposals;
use crate::pull::{self, Brought};
use crate::push;
use crate::random;
use crate::relay::{self, AskError};
use crate::transport::Connection;
use crate::vault::committees::{Committee, NewCommittee, Standing as Known};

use super::act;

/// A claim, while it is under way. In the vault as JSON.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClaimOpening {
    /// What is asked of every helper, in hex: one card and one safety number.
    request: String,
    /// What both sides compare by voice.
    pub safety_number: String,
    /// How the committee calls whoever comes back.
    handle: String,
    helpers: Vec<Asked>,
}

/// A helper who is asked.
#[derive(Clone, Serialize, Deserialize)]
struct Asked {
    invitation: String,
    /// The sealed request, in hex.
    request: String,
    /// The share, sealed to this device, in hex.
    answer: Option<String>,
}

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Helpers who were asked.
    pub asked: usize,
    /// Shares that came.
    pub shares: usize,
    /// How many it takes; not known before the first came.
    pub threshold: Option<u8>,
}

/// Saves what is asked of one more helper. Nothing is known of it outside yet.
pub fn save(
    app: &mut App,
    text: &str,
    handle: &str,
    country: Country,
) -> Result<Committee, Failure> {
    let invitation = Invitation::from_text(text)?;
    let known = app.vault.read(|vault| vault.committee(&invitation.committee))?;
    let mut claim = match &known {
        None => ClaimOpening::new(app, &invitation, handle, country)?,
        Some(known) => match Opening::of(known)? {
            Some(Opening::Claim(claim)) => claim,
            Some(Opening::Join(_)) => ClaimOpening::new(app, &invitation, handle, country)?,
            _ => return Err(in_already(known)),
        },
    };
    claim.ask_on(&invitation)?;
    let opening = Opening::Claim(claim).to_json();
    let (relay, made) = (invitation.address.to_string(), app.clock.now());
    app.vault.write(|vault| {
        let no = match known {
            Some(known) => {
                vault.set_opening(known.no, &opening)?;
                known.no
            }
            None => vault.add_committee(&NewCommittee {
                id: invitation.committee,
                relay,
                standing: Known::Joining,
                opening: Some(opening),
                made,
            })?,
        };
        Ok(vault.committee_no(no)?)
    })
}

/// Says otherwise how the committee calls whoever comes back.
pub fn rename(app: &mut App, known: &Committee, handle: &str) -> Result<(), Failure> {
    let Some(Opening::Claim(mut claim)) = Opening::of(known)? else { return Ok(()) };
    handle.clone_into(&mut claim.handle);
    let json = Opening::Claim(claim).to_json();
    Ok(app.vault.write(|vault| vault.set_opening(known.no, &json))?)
}

fn in_already(known: &Committee) -> Failure {
    let what = format!("This device is in {} already", names::committee_ref(&known.id));
    Failure::new(Error::Failed, what).next("sealpost committee list")
}

impl ClaimOpening {
    fn new(
        app: &App,
        invitation: &Invitation,
        handle: &str,
        country: Country,
    ) -> Result<Self, Failure> {
        let card = app.device.card().as_bytes().to_vec();
        let request = JoinRequest::new(card, random::bytes()?, handle.to_owned(), country)?;
        Ok(Self {
            safety_number: seal::safety_number(invitation.committee, &request),
            request: HEXLOWER.encode(&request.encode()),
            handle: handle.to_owned(),
            helpers: Vec::new(),
        })
    }

    /// The same request for one more helper, unless it was made before.
    fn ask_on(&mut self, invitation: &Invitation) -> Result<(), Failure> {
        let text = invitation.to_text();
        if self.helpers.iter().any(|asked| asked.invitation == text.as_str()) {
            return Ok(());
        }
        let request = JoinRequest::decode(&unhex(&self.request)?).map_err(|_| join::damaged())?;
        let sealed = seal::seal_join_request(invitation.id, &invitation.secret, &request)?;
        self.helpers.push(Asked {
            invitation: text.as_str().to_owned(),
            request: HEXLOWER.encode(&codec::encode(&sealed)),
            answer: None,
        });
        Ok(())
    }

    /// The sizes and roots that the helpers had verified.
    pub fn heads(&self) -> Result<Vec<(TreeSize, Hash)>, Failure> {
        let head = |asked: &Asked| {
            Ok(Invitation::from_text(&asked.invitation).map_err(|_| join::damaged())?.head)
        };
        self.helpers.iter().map(head).collect()
    }

    /// How far it is.
    pub fn progress(&self, device: &DeviceIdentity) -> Result<Progress, Failure> {
        let shares = self.shares(device)?;
        let threshold = shares.iter().map(Share::threshold).max();
        Ok(Progress { asked: self.helpers.len(), shares: shares.len(), threshold })
    }

    fn shares(&self, device: &DeviceIdentity) -> Result<Vec<Share>, Failure> {
        let answers = self.helpers.iter().filter_map(|asked| asked.answer.as_ref());
        let open = |answer: &String| {
            open_share(&unhex(answer)?, device.hybrid()).map_err(|_| join::damaged())
        };
        answers.map(open).collect()
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    HEXLOWER.decode(text.as_bytes()).map_err(|_| join::damaged())
}

/// Goes as far as it can be gone now. The caller holds the sync lock.
pub async fn go_on(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    claim: ClaimOpening,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    if !is_in(app, connection, known, brought).await? {
        let claim = collect(app, connection, known, claim, brought).await?;
        let Some(spare) = rebuilt(app, known, &claim)? else { return Ok(()) };
        let acted = act::act(app, known, spare, &claim.handle, brought).await;
        // The relay cuts the spare off with its own end: whether it did all, the log says.
        if !is_in(app, connection, known, brought).await? {
            acted?;
            return Err(waits(app, known)?.into());
        }
    }
    finish(app, connection, known, brought).await
}

/// Follows the log as this device, if it is in by now.
async fn is_in(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    brought: &mut Brought,
) -> Result<bool, FollowError> {
    match pull::follow(app, connection, known.no).await {
        Ok(new) => brought.add(new),
        Err(FollowError::Failed(failure)) if failure.kind == Error::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let own = app.device.device_id();
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    Ok(log.pulled()?.roster().is_active(own))
}

/// Asks every helper who has not answered yet, and keeps what they answered.
async fn collect(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    mut claim: ClaimOpening,
    brought: &mut Brought,
) -> Result<ClaimOpening, FollowError> {
    let mut dead = Vec::new();
    for (at, asked) in claim.helpers.iter_mut().enumerate().filter(|(_, it)| it.answer.is_none()) {
        let bytes = unhex(&asked.request)?;
        let request: SealedJoinRequest =
            codec::decode(&bytes, bytes.len()).map_err(|_| join::damaged())?;
        match relay::ask(connection, &Request::Join(request)).await {
            Ok(Reply::Answered(answered)) => match fits(app, known, &answered.file) {
                Ok(()) => asked.answer = Some(HEXLOWER.encode(&answered.file)),
                Err(error) => brought.faults.push(format!(
                    "The share that helper {} sent is of no use: {error}. Ask them to help again.",
                    at + 1
                )),
            },
            Ok(_) => {}
            Err(AskError::Refused(code)) if join::is_final(code) => {
                dead.push(at);
                brought.faults.push(format!(
                    "The code of helper {} is not honoured ({}): ask them for a new one.",
                    at + 1,
                    relay::told(code)
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
    for at in dead.into_iter().rev() {
        claim.helpers.remove(at);
    }
    if claim.helpers.is_empty() && known.size.0 == 0 {
        app.vault.write(|vault| vault.remove_unopened(known.no))?;
        return Err(join::dead(Code::NotFound).into());
    }
    let json = Opening::Claim(claim.clone()).to_json();
    app.vault.write(|vault| vault.set_opening(known.no, &json))?;
    Ok(claim)
}

fn fits(app: &App, known: &Committee, file: &[u8]) -> Result<(), PeerShareError> {
    let share = open_share(file, app.device.hybrid())?;
    share.is_for(known.id, share.spare(), share.helper(), share.threshold())
}

/// The spare, when enough shares are here.
fn rebuilt(
    app: &App,
    known: &Committee,
    claim: &ClaimOpening,
) -> Result<Option<DeviceIdentity>, Failure> {
    let shares = claim.shares(&app.device)?;
    match combine(&shares) {
        Ok(secret) => Ok(Some(secret.spare())),
        Err(PeerShareError::TooFew { .. }) => Ok(None),
        Err(error) => {
            let reference = names::committee_ref(&known.id);
            let what = format!("The shares for {reference} do not make the spare");
            Err(Failure::new(Error::Verification, what)
                .because(error)
                .safe("Nothing was changed.")
                .next("Ask a further helper: sealpost recovery claim"))
        }
    }
}

/// As itself: ends what the spare could not, has the lock changed, and forgets the claim.
async fn finish(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    let own = app.device.device_id();
    let roster = |app: &App| -> Result<Roster, Failure> {
        let log = app.vault.read(|vault| Log::load(vault, known.no))?;
        Ok(log.pulled()?.roster().clone())
    };
    // What the spare signed and the log does not have is said by this device itself.
    app.vault.write(|vault| {
        vault.unsent(known.no)?.iter().try_for_each(|draft| vault.remove_draft(draft.no))
    })?;
    let before = roster(app)?;
    let member = before.device(own).ok_or_else(|| act::no_spare(known))?.member;
    act::save_new(app, known.no, act::ends(&before, member, &[own]))?;
    brought.add(push::send(app, connection, known.no).await?);
    let after = roster(app)?;
    if after.lock_pending() && after.role_of(own) != Some(Role::Coordinator) {
        act::save_new(app, known.no, vec![Intent::Lock { withhold: false, if_pending: true }])?;
        brought.add(push::send(app, connection, known.no).await?);
    }
    Ok(app.vault.write(|vault| vault.set_standing(known.no, Known::Active))?)
}

fn waits(app: &App, known: &Committee) -> Result<Failure, Failure> {
    let own = app.device.device_id();
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let leaf = proposals::of_device(log.pulled()?.roster(), own);
    let Some(reference) = leaf.map(|leaf| names::change_ref(&leaf)) else {
        return Ok(Failure::new(Error::NotDelivered, "Your new device is not in yet")
            .safe("What helpers answered is kept.")
            .next("sealpost recovery claim"));
    };
    let what = format!("Your new device waits for a coordinator: {reference}");
    Ok(Failure::new(Error::SecondPerson, what)
        .safe("Your older devices are ended.")
        .next(format!("A coordinator types: sealpost approve {reference}; then: sealpost sync")))
}

#[cfg(test)]
mod tests;
