//! Coming back: a new device asks helpers, rebuilds the spare, and is let in by it.
//!
//! ```text
//! asked ── answers kept ── the spare acts: device, retire … ── this device is in: lock ── claim forgotten
//! ```
//!
//! Each step may be the last of a run; the next goes on from what the log and the vault say. Answers are
//! kept as they came, sealed to this device, and go with the claim.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sealpost_protocol::change::Role;
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::frame::{Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{Country, DeviceId, TreeSize};
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
use crate::vault::outbox::{Draft, What};
use crate::vault::{Read, VaultError};

use super::act;

/// A claim, while it is under way. In the vault as JSON.
#[derive(Clone, Default, Serialize, Deserialize)]
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
            Some(Opening::Claim(claim)) if claim.is_under_way() => claim,
            Some(Opening::Claim(_) | Opening::Join(_)) => {
                ClaimOpening::new(app, &invitation, handle, country)?
            }
            _ => return Err(in_already(known)),
        },
    };
    claim.ask_on(&invitation)?;
    let opening = Opening::Claim(claim).to_json();
    let (relay, made) = (invitation.address.to_string(), app.clock.now());
    app.vault.write(|vault| {
        let no = match known {
            Some(known) => {
                vault.set_relay(known.no, &relay)?;
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

/// Forgets a claim, with what helpers answered: another can be begun.
pub fn forget(app: &mut App, known: &Committee) -> Result<(), Failure> {
    Ok(app.vault.write(|vault| {
        vault.unsent(known.no)?.iter().try_for_each(|draft| vault.remove_draft(draft.no))?;
        match known.size.0 {
            0 => vault.remove_unopened(known.no),
            _ => vault.set_opening(known.no, &Opening::Claim(ClaimOpening::default()).to_json()),
        }
    })?)
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

    /// Whether any helper is asked. None is by one that was forgotten when a part of the log was here.
    pub fn is_under_way(&self) -> bool {
        !self.helpers.is_empty()
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

    /// Why an answer is of no use, if it is of none.
    fn fits(&self, app: &App, known: &Committee, file: &[u8]) -> Result<Option<String>, Failure> {
        let share = match open_share(file, app.device.hybrid()) {
            Ok(share) => share,
            Err(error) => return Ok(Some(error.to_string())),
        };
        if let Err(error) = share.is_for(known.id, share.spare(), share.helper(), share.threshold())
        {
            return Ok(Some(error.to_string()));
        }
        let same = |held: &Share| held.spare() == share.spare() && held.index() == share.index();
        let is_here = self.shares(&app.device)?.iter().any(same);
        Ok(is_here.then(|| "another helper has sent that one".to_owned()))
    }

    /// How far it is.
    pub fn progress(&self, device: &DeviceIdentity) -> Result<Progress, Failure> {
        let best = self.shares_by_spare(device)?.into_iter().next().unwrap_or_default();
        let threshold = best.first().map(Share::threshold);
        Ok(Progress { asked: self.helpers.len(), shares: best.len(), threshold })
    }

    /// Those that name one spare together, the most first.
    fn shares_by_spare(&self, device: &DeviceIdentity) -> Result<Vec<Vec<Share>>, Failure> {
        let mut by_spare = BTreeMap::<DeviceId, Vec<Share>>::new();
        for share in self.shares(device)? {
            by_spare.entry(share.spare()).or_default().push(share);
        }
        let mut all: Vec<_> = by_spare.into_values().collect();
        all.sort_by_key(|shares| Reverse(shares.len()));
        Ok(all)
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
    if claim.helpers.is_empty() {
        return Ok(());
    }
    // While a coordinator is waited for, some is sealed to the spare alone: it opens as that or never.
    for spare in rebuilt(app, known, &claim)? {
        act::follow(app, known, spare, brought).await?;
    }
    if !is_in(app, connection, known, brought).await? {
        let (claim, kept_back) = collect(app, connection, known, claim, brought).await?;
        let spares = rebuilt(app, known, &claim)?;
        if spares.is_empty() {
            return kept_back.map_or(Ok(()), |error| Err(error.into()));
        }
        let mut failed = None;
        for spare in spares {
            failed = act::act(app, known, spare, &claim.handle, brought).await.err();
            if failed.is_none() {
                break;
            }
        }
        // The relay cuts the spare off with its own end: whether it did all, the log says.
        let is_in = is_in(app, connection, known, brought).await?;
        match failed {
            Some(error) if !is_in || is_lie(&error) => return Err(error),
            _ if !is_in => return Err(waits(app, known)?.into()),
            _ => {}
        }
    }
    finish(app, connection, known, brought).await
}

fn is_lie(error: &FollowError) -> bool {
    match error {
        FollowError::Caught(_) => true,
        FollowError::Failed(failure) => failure.kind == Error::Verification,
    }
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

/// Asks every helper who has not answered yet, and keeps what they answered; also what kept one from being
/// asked, which keeps no other.
async fn collect(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    mut claim: ClaimOpening,
    brought: &mut Brought,
) -> Result<(ClaimOpening, Option<AskError>), FollowError> {
    let (mut dead, mut kept_back) = (Vec::new(), None);
    for at in 0..claim.helpers.len() {
        if claim.helpers[at].answer.is_some() {
            continue;
        }
        let number = at + 1;
        let bytes = unhex(&claim.helpers[at].request)?;
        let request: SealedJoinRequest =
            codec::decode(&bytes, bytes.len()).map_err(|_| join::damaged())?;
        match relay::ask(connection, &Request::Join(request)).await {
            Ok(Reply::Answered(answered)) => match claim.fits(app, known, &answered.file)? {
                None => claim.helpers[at].answer = Some(HEXLOWER.encode(&answered.file)),
                Some(why) => brought.faults.push(format!(
                    "The share that helper {number} sent is of no use: {why}. Ask them to help again."
                )),
            },
            Ok(_) => {}
            Err(AskError::Refused(code)) if join::is_final(code) => {
                dead.push(at);
                brought.faults.push(format!(
                    "The code of helper {number} is not honoured ({}): ask them for a new one.",
                    relay::told(code)
                ));
            }
            Err(error) => kept_back = kept_back.or(Some(error)),
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
    Ok((claim, kept_back))
}

/// The spares that the shares which are here make, the likeliest first. Helpers who send shares of one that
/// they made up keep nobody from the true one: those are tried apart.
fn rebuilt(
    app: &App,
    known: &Committee,
    claim: &ClaimOpening,
) -> Result<Vec<DeviceIdentity>, Failure> {
    let (mut spares, mut wrong) = (Vec::new(), None);
    for shares in claim.shares_by_spare(&app.device)? {
        match combine(&shares) {
            Ok(secret) => spares.push(secret.spare()),
            Err(PeerShareError::TooFew { .. }) => {}
            Err(error) => wrong = Some(error),
        }
    }
    match wrong {
        Some(error) if spares.is_empty() => {
            let reference = names::committee_ref(&known.id);
            let what = format!("The shares for {reference} do not make the spare");
            Err(Failure::new(Error::Verification, what)
                .because(error)
                .safe("Nothing was changed.")
                .next("Ask a further helper: sealpost recovery claim"))
        }
        _ => Ok(spares),
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
        for draft in vault.unsent(known.no)? {
            if draft.new.what == What::Roster && is_by_another(vault, &draft, own)? {
                vault.remove_draft(draft.no)?;
            }
        }
        Ok::<_, VaultError>(())
    })?;
    let before = roster(app)?;
    let member = before.device(own).ok_or_else(|| act::no_spare(known))?.member;
    let older = act::older_than(&before, member, &[own]);
    act::save_new(app, known.no, older.into_iter().map(act::end_of).collect())?;
    brought.add(push::send(app, connection, known.no).await?);
    let after = roster(app)?;
    if after.lock_pending() && after.role_of(own) != Some(Role::Coordinator) {
        act::save_new(app, known.no, vec![Intent::Lock { withhold: false, if_pending: true }])?;
        brought.add(push::send(app, connection, known.no).await?);
    }
    let after = roster(app)?;
    let left = act::older_than(&after, member, &[own]).len();
    if left > 0 || after.lock_pending() {
        return Err(unfinished(left).into());
    }
    Ok(app.vault.write(|vault| vault.set_standing(known.no, Known::Active))?)
}

fn is_by_another(vault: &Read<'_>, draft: &Draft, own: DeviceId) -> Result<bool, VaultError> {
    let signed = vault.signed_entry(draft.no)?.map(|entry| UnverifiedEntry::decode(&entry));
    Ok(signed.is_some_and(|entry| entry.is_ok_and(|entry| entry.header().author != own)))
}

fn unfinished(left: usize) -> Failure {
    let what = match left {
        0 => "This device is in, and the lock is not changed yet".to_owned(),
        left => format!("This device is in, and {left} older devices are not ended yet"),
    };
    Failure::new(Error::NotDelivered, what)
        .safe("What is left is done at the next sync.")
        .next("sealpost sync")
}

fn waits(app: &App, known: &Committee) -> Result<Failure, Failure> {
    let own = app.device.device_id();
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let leaf = proposals::of_device(log.pulled()?.roster(), own, app.clock.now());
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
