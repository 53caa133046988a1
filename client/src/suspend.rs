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

use sealpost_protocol::change::{Change, Suspend, Target};
use sealpost_protocol::id::{DeviceId, LeafIndex};
use sealpost_protocol::roster::Standing;

use crate::app::App;
use crate::changes::{self, Intent, Whom};
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
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::outbox::What;

/// What cutting somebody off came to in one committee.
#[derive(Debug)]
pub struct Cut {
    /// The committee, as it is known afterwards.
    pub known: Committee,
    /// How far the notice is.
    pub notice: Notice,
    /// How far the lock is.
    pub lock: LockChange,
    /// What notice and lock took, as entries of the log in bytes.
    pub bytes: (u64, u64),
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
        } else if is_saved(app, no, &whom)? {
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

/// Whether the same command was typed before and its notice still waits.
fn is_saved(app: &App, no: CommitteeNo, whom: &Whom) -> Result<bool, Failure> {
    let drafts = app.vault.read(|vault| vault.unsent(no))?;
    for draft in drafts.iter().filter(|draft| draft.new.what == What::Roster) {
        if matches!(outbox::intent_of(draft)?, Intent::Suspend { whom: saved } if saved == *whom) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sends what was saved. `tell` hears at each step what is safe from then on.
pub async fn send(
    app: &mut App,
    committees: Vec<Committee>,
    tell: &mut impl FnMut(String),
) -> Result<Report, Failure> {
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
            notify(app, &connection, known, tell).await;
        }
        open.push((connection, committees));
    }
    for (connection, committees) in open {
        for known in committees {
            // As it is since its notice.
            let known = &app.vault.read(|vault| vault.committee_no(known.no))?;
            sync::with_relay(app, &connection, std::slice::from_ref(known), &mut report).await?;
            tell_of_lock(app, known, tell)?;
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
    tell: &mut impl FnMut(String),
) {
    let reference = names::committee_ref(&known.id);
    match push::send_first(app, connection, known.no).await {
        Ok(true) => tell(format!("{reference}  cut-off notice taken: the relay refuses them now")),
        Ok(false) => {}
        Err(error) => {
            let failure = error.told(app, known);
            tell(format!("{reference}  cut-off notice not taken yet: {}", failure.story()));
        }
    }
}

fn tell_of_lock(
    app: &App,
    known: &Committee,
    tell: &mut impl FnMut(String),
) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let roster = log.pulled()?.roster();
    let reference = names::committee_ref(&known.id);
    tell(match roster.lock_pending() {
        false => format!(
            "{reference}  lock {}: what is sealed from now on they cannot open",
            roster.epoch()
        ),
        true => format!("{reference}  the lock is not changed yet: nothing can be sent under it"),
    });
    Ok(())
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
                None => Notice::Pending,
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
        let of_lock = if changed { size(roster.current_lock().at)? } else { 0 };
        cuts.push(Cut { notice, lock, bytes: (of_notice, of_lock), known: log.known.clone() });
    }
    Ok(cuts)
}

/// What is left to do, if anything is.
pub fn unfinished(cuts: &[Cut]) -> Option<Failure> {
    let pending = cuts.iter().filter(|cut| cut.lock == LockChange::Pending);
    let refs: Vec<String> =
        pending.map(|cut| names::committee_ref(&cut.known.id).to_string()).collect();
    let others = cuts.iter().any(|cut| matches!(cut.notice, Notice::Impossible(_)));
    let next = match others {
        false => "sealpost sync, again and again until nothing is pending",
        true => "sealpost sync; where it cannot be done from here, call a coordinator now",
    };
    (!refs.is_empty()).then(|| {
        Failure::new(Error::NotDelivered, format!("Still pending in {}", refs.join(", ")))
            .safe(
                "What is shown as accepted holds. The rest is in the vault and goes at every sync.",
            )
            .next(next)
    })
}
