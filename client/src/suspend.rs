//! Cutting somebody off: notices everywhere first, then the locks.
//!
//! ```text
//! intents for every committee, in one transaction
//! by relay: connect ── a notice a committee, on top of the log as it is known (one round trip)
//! by relay: follow ── new locks ── everything else that waits
//! ```
//!
//! A notice costs under 2 KB, and from its receipt on the relay refuses the devices: each step is of
//! use without the next. What a relay did not take goes at the next sync, in the same order.

use std::collections::BTreeSet;

use sealpost_protocol::change::{Change, Suspend, Target};
use sealpost_protocol::id::{DeviceId, Epoch, LeafIndex};
use sealpost_protocol::roster::Standing;

use crate::app::App;
use crate::changes::{self, Intent, Whom};
use crate::confirmed::{Holders, Told};
use crate::cosignatures::Judged;
use crate::error::{Failure, Kind as Error};
use crate::invitations;
use crate::log::Log;
use crate::names;
use crate::outbox;
use crate::persons::Membership;
use crate::push;
use crate::relay;
use crate::sync::{self, Report, Scope};
use crate::transport::Connection;
use crate::turns;
use crate::vault::Read;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::outbox::{Draft, Sending};

/// What cutting somebody off came to in one committee.
#[derive(Debug)]
pub struct Cut {
    /// The committee, as it is known afterwards.
    pub known: Committee,
    /// How far the notice is.
    pub notice: Notice,
    /// How far the lock is.
    pub lock: LockChange,
    /// The lock in force.
    pub epoch: Epoch,
    /// What notice and lock took, as entries of the log in bytes.
    pub bytes: (u64, u64),
    /// Who of the others is known to know, once the log has the notice.
    pub told: Option<Told>,
}

/// How far a notice is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The verified log has it, at this place.
    Accepted(LeafIndex),
    /// It waits in the outbox.
    Pending,
    /// It cannot be made from here, and why: somebody else must, or something else comes first.
    Impossible(String),
}

/// How far a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// Nobody who is cut off holds the lock in force.
    Changed,
    /// It is still to be changed.
    Pending,
}

/// A person or one of their devices, in every committee shared with them.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The person.
    pub memberships: Vec<Membership>,
    /// The one device that is meant; none: the member with all devices.
    pub device: Option<DeviceId>,
}

impl Wanted {
    /// The devices that are meant, each once.
    pub fn devices(&self) -> Vec<DeviceId> {
        let all = self.memberships.iter().flat_map(|one| one.devices.iter().copied());
        let meant = all.filter(|device| self.device.is_none_or(|one| one == *device));
        meant.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The committees in which there is somebody to cut off.
    pub fn shared(&self) -> impl Iterator<Item = &Committee> {
        let here = self.memberships.iter().filter(|one| self.whom(one).is_some());
        here.map(|membership| &membership.known)
    }

    /// Whom that is in one committee; nobody when the one device is not there.
    pub fn whom(&self, membership: &Membership) -> Option<Whom> {
        match self.device {
            None => Some(Target::Member(membership.number).into()),
            Some(device) => {
                membership.devices.contains(&device).then(|| Target::Device(device).into())
            }
        }
    }
}

/// Where nothing can be done from here, and why.
pub type Impossible = Vec<(CommitteeNo, Failure)>;

/// Saves what is to be done, all at once, and returns where nothing can be: what one committee's rules
/// forbid keeps nobody's devices in another. A failure when it is forbidden everywhere.
pub fn save(app: &mut App, wanted: &Wanted) -> Result<Impossible, Failure> {
    let mut intents = Vec::new();
    let mut impossible = Vec::new();
    let mut begun = false;
    for membership in &wanted.memberships {
        let no = membership.known.no;
        let Some(whom) = wanted.whom(membership) else { continue };
        let log = app.vault.read(|vault| Log::load(vault, no))?;
        if changes::standing(log.pulled()?.roster(), &whom)? != Some(Standing::Active) {
            begun = true;
        } else if let Err(failure) = allowed(app, &log, &whom) {
            impossible.push((no, failure));
        } else if saved(app, no, &whom)?.is_some_and(|d| d.sending != Sending::Refused) {
            begun = true;
        } else {
            intents.push((no, Intent::Suspend { whom }));
        }
    }
    if intents.is_empty() && !begun && !impossible.is_empty() {
        return Err(impossible.remove(0).1);
    }
    outbox::save_intents(app, &intents)?;
    Ok(impossible)
}

/// Whether the rules let this device's member suspend them.
fn allowed(app: &App, log: &Log, whom: &Whom) -> Result<(), Failure> {
    invitations::must_coordinate(app, log)?;
    let change = Change::Suspend(Suspend { target: whom.target()? });
    let (own, now) = (app.device.device_id(), app.clock.now());
    changes::tried(log.pulled()?, own, change, now)?;
    Ok(())
}

/// The notice that this or the same command before has saved, while it is there.
fn saved(app: &App, no: CommitteeNo, whom: &Whom) -> Result<Option<Draft>, Failure> {
    let drafts = app.vault.read(Read::drafts)?;
    for draft in drafts.into_iter().filter(|d| d.new.committee == no && turns::is_cut_off(d)) {
        if matches!(outbox::intent_of(&draft)?, Intent::Suspend { whom: saved } if saved == *whom) {
            return Ok(Some(draft));
        }
    }
    Ok(None)
}

/// Sends what was saved. `tell` hears at each step what is safe from then on.
pub async fn send(
    app: &mut App,
    wanted: &Wanted,
    tell: &mut impl FnMut(String),
) -> Result<Report, Failure> {
    let committees = wanted.shared().cloned().collect();
    let _alone = relay::alone(app).await?;
    let mut report = Report::default();
    let mut open: Vec<(Connection, Vec<Committee>)> = Vec::new();
    let mut relays: Vec<(String, Vec<Committee>)> =
        sync::by_relay(committees).into_iter().collect();
    // A relay that was silent last time must not hold up the others.
    relays.sort_by_key(|(_, committees)| committees.iter().any(|k| k.answered == Some(false)));
    for (address, committees) in relays {
        let Some(connection) = sync::connected(app, &address, &committees, &mut report).await?
        else {
            tell(format!("{address} cannot be reached: the notice goes at the next sync"));
            continue;
        };
        for known in &committees {
            notify(app, &connection, known, &mut report, tell).await;
        }
        open.push((connection, committees));
    }
    for (connection, committees) in open {
        for known in committees {
            // As it is since its notice.
            let known = &app.vault.read(|vault| vault.committee_no(known.no))?;
            let only = std::slice::from_ref(known);
            sync::with_relay(app, &connection, only, &mut report).await?;
            tell(lock_words(app, wanted, known)?);
        }
        connection.close().await;
    }
    sync::close(app, Scope::All, &mut report)?;
    Ok(report)
}

/// One notice. Whatever keeps it back, following the log comes next and says so.
async fn notify(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    report: &mut Report,
    tell: &mut impl FnMut(String),
) {
    let reference = names::committee_ref(&known.id);
    let sent = push::send_cut_offs(app, connection, known.no, &mut report.brought).await;
    match sent {
        Ok(true) => tell(format!("{reference}  cut-off notice taken: the relay refuses them now")),
        Ok(false) => {}
        Err(error) => {
            let failure = error.told(app, known);
            tell(format!("{reference}  cut-off notice not taken yet: {}", failure.story()));
            if failure.kind == Error::Verification {
                // A lie is told in any case; all else is met again.
                report.failures.push(failure);
            }
        }
    }
}

/// What is safe in a committee once its log was followed: nothing, before they are cut off there.
fn lock_words(app: &App, wanted: &Wanted, known: &Committee) -> Result<String, Failure> {
    let reference = names::committee_ref(&known.id);
    let cuts = look(app, wanted, &Impossible::new())?;
    let cut = cuts.into_iter().find(|cut| cut.known.no == known.no);
    Ok(match cut.map(|cut| (cut.notice, cut.lock, cut.epoch)) {
        Some((Notice::Accepted(_), LockChange::Changed, epoch)) => {
            format!("{reference}  lock {epoch}: what is sealed from now on they cannot open")
        }
        Some((Notice::Accepted(_), LockChange::Pending, _)) => {
            format!("{reference}  the lock is not changed yet: nothing can be sent under it")
        }
        _ => format!("{reference}  they are not cut off yet"),
    })
}

/// How far it is in each committee.
pub fn look(app: &App, wanted: &Wanted, impossible: &Impossible) -> Result<Vec<Cut>, Failure> {
    let mut cuts = Vec::new();
    for membership in &wanted.memberships {
        let Some(whom) = wanted.whom(membership) else { continue };
        let log = app.vault.read(|vault| Log::load(vault, membership.known.no))?;
        let roster = log.pulled()?.roster();
        let notice = match changes::standing(roster, &whom)? {
            Some(Standing::Suspended(at) | Standing::Ended(at)) => Notice::Accepted(at),
            _ => match impossible.iter().find(|(no, _)| *no == membership.known.no) {
                Some((_, failure)) => Notice::Impossible(failure.story()),
                None => waiting(app, membership.known.no, &whom)?,
            },
        };
        let changed = matches!(notice, Notice::Accepted(_)) && !roster.lock_pending();
        let lock = if changed { LockChange::Changed } else { LockChange::Pending };
        let size = |at: LeafIndex| {
            let entry = app.vault.read(|vault| vault.entry(log.known.no, at))?;
            Ok::<_, Failure>(entry.map_or(0, |bytes| bytes.len() as u64))
        };
        let of_notice = match &notice {
            Notice::Accepted(at) => size(*at)?,
            Notice::Pending | Notice::Impossible(_) => 0,
        };
        let told = match notice {
            Notice::Accepted(at) => told(app, &log, at)?,
            Notice::Pending | Notice::Impossible(_) => None,
        };
        let of_lock = if changed { size(roster.current_lock().at)? } else { 0 };
        let (bytes, epoch) = ((of_notice, of_lock), roster.epoch());
        cuts.push(Cut { notice, lock, epoch, bytes, told, known: log.known.clone() });
    }
    Ok(cuts)
}

fn told(app: &App, log: &Log, at: LeafIndex) -> Result<Option<Told>, Failure> {
    let Some(own) = log.pulled()?.roster().device(app.device.device_id()) else { return Ok(None) };
    let judged = app.vault.read(|vault| Judged::load(vault, log))?;
    Ok(Some(Holders::of(log, &judged)?.told(at, own.member)))
}

/// How far a notice is that the log does not have: one that its rules refused never will be.
fn waiting(app: &App, no: CommitteeNo, whom: &Whom) -> Result<Notice, Failure> {
    let refused = || Notice::Impossible("the committee's rules refused it".to_owned());
    match saved(app, no, whom)? {
        Some(draft) if draft.sending == Sending::Refused => {
            let why = draft.refusal.map(|refusal| Notice::Impossible(refusal.why));
            Ok(why.unwrap_or_else(refused))
        }
        Some(_) => Ok(Notice::Pending),
        None => Ok(refused()),
    }
}

/// What is left to do, if anything is.
pub fn unfinished(cuts: &[Cut]) -> Option<Failure> {
    let pending = cuts.iter().filter(|cut| cut.lock == LockChange::Pending);
    let refs: Vec<String> =
        pending.map(|cut| names::committee_ref(&cut.known.id).to_string()).collect();
    let others = cuts.iter().any(|cut| matches!(cut.notice, Notice::Impossible(_)));
    let next = match others {
        false => "sealpost sync, again and again until nothing is pending",
        true => "sealpost sync; where it is impossible from here, call a coordinator now",
    };
    (!refs.is_empty()).then(|| {
        Failure::new(Error::NotDelivered, format!("Still pending in {}", refs.join(", ")))
            .safe("What is shown as accepted holds, and what is pending is saved and goes at every sync.")
            .next(next)
    })
}

#[cfg(test)]
mod tests;
