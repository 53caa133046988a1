//! A roster change from the command that wants it to what became of it: in force, waiting for a
//! second person, or not sent yet.

use std::time::Duration;

use sealpost_protocol::change::Change;
use sealpost_protocol::committee::Committee;
use sealpost_protocol::id::Epoch;
use sealpost_protocol::reference::Ref;
use sealpost_protocol::roster::{Proposed, Roster};

use crate::app::App;
use crate::changes::build::{Maker, build};
use crate::changes::{self, Intent};
use crate::deliver::{Delivery, deliver, deliver_all};
use crate::error::Failure;
use crate::forget;
use crate::keys::Keys;
use crate::log::Log;
use crate::names;
use crate::outbox;
use crate::proposals;
use crate::vault::committees::CommitteeNo;

/// What became of a change.
#[derive(Debug)]
pub enum Outcome {
    /// The verified log has it, and it is in force.
    InForce,
    /// The verified log has it, and it waits for so many more coordinators.
    Waits {
        /// Under which REF they approve it.
        reference: Ref,
        /// How many.
        missing: usize,
    },
    /// The verified log has it. It ended somebody's part, and the lock they hold is still in force.
    LockDue,
    /// Others came before: the rules refused it, or it became void.
    Overtaken,
    /// It is in the vault, and why it is not sent.
    Saved(Failure),
}

/// Makes a change. What the rules forbid as far as the log is known is refused before it is saved.
pub fn make(
    app: &mut App,
    no: CommitteeNo,
    intent: Intent,
    patience: Duration,
) -> Result<Outcome, Failure> {
    make_after(app, no, None, intent, patience)
}

/// As [`make`], after another change that must come before it.
pub fn make_after(
    app: &mut App,
    no: CommitteeNo,
    first: Option<Intent>,
    intent: Intent,
    patience: Duration,
) -> Result<Outcome, Failure> {
    let change = rehearse(app, no, &intent)?;
    let before = Before::of(app, no, &change)?;
    let wanted = intent.clone();
    let intents: Vec<_> = first.into_iter().chain([intent]).map(|intent| (no, intent)).collect();
    let ids = outbox::save_intents(app, &intents)?;
    let id = ids.last().expect("one is saved for each");
    if let Delivery::Waiting(failure) = deliver(app, no, id, patience) {
        return Ok(Outcome::Saved(failure));
    }
    settled(app, no, &wanted, &change, &before)
}

/// Makes a change, and behind it one that can only be made once the first is in force. The outcome is
/// that of both.
pub fn make_both(
    app: &mut App,
    no: CommitteeNo,
    [first, then]: [Intent; 2],
    patience: Duration,
) -> Result<Outcome, Failure> {
    let change = rehearse(app, no, &first)?;
    let ids = outbox::save_intents(app, &[(no, first.clone()), (no, then.clone())])?;
    let delivery = deliver_all(app, no, &ids, patience);
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let fold = log.pulled()?;
    if let Some((reference, missing)) = still_waits(app, fold.roster(), &first, &change) {
        return Ok(Outcome::Waits { reference, missing });
    }
    Ok(match delivery {
        Delivery::Waiting(failure) => Outcome::Saved(failure),
        Delivery::Accepted if !then.is_done(fold)? => Outcome::Overtaken,
        Delivery::Accepted if fold.roster().lock_pending() => Outcome::LockDue,
        Delivery::Accepted => Outcome::InForce,
    })
}

/// What became of a change that waits in the outbox no more.
fn settled(
    app: &App,
    no: CommitteeNo,
    wanted: &Intent,
    change: &Change,
    before: &Before,
) -> Result<Outcome, Failure> {
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let fold = log.pulled()?;
    if let Some((reference, missing)) = still_waits(app, fold.roster(), wanted, change) {
        return Ok(Outcome::Waits { reference, missing });
    }
    if let (Intent::Approve { .. }, Some(Proposed::Forget(forgetting))) = (wanted, &before.proposed)
    {
        let index = forgetting.index;
        let done = app.vault.read(|vault| forget::is_forgotten(vault, no, index))?;
        return Ok(if done { Outcome::InForce } else { Outcome::Overtaken });
    }
    Ok(match (before.is_so(wanted, fold)?, fold.roster().lock_pending()) {
        (false, _) => Outcome::Overtaken,
        (true, true) => Outcome::LockDue,
        (true, false) => Outcome::InForce,
    })
}

/// What a roster was like before a change.
struct Before {
    epoch: Epoch,
    /// With an approval: what it approves, unless that is a suspension.
    proposed: Option<Proposed>,
}

impl Before {
    fn of(app: &App, no: CommitteeNo, change: &Change) -> Result<Self, Failure> {
        let log = app.vault.read(|vault| Log::load(vault, no))?;
        let roster = log.pulled()?.roster();
        let proposed = match change {
            Change::Approve(approve) => roster.proposal(approve.entry).map(|it| it.change.clone()),
            _ => None,
        };
        Ok(Self { epoch: roster.epoch(), proposed })
    }

    /// Whether a log has what was wanted. That it waits no more is no sign of it: it may be void, or
    /// have been refused.
    fn is_so(&self, wanted: &Intent, fold: &Committee) -> Result<bool, Failure> {
        let roster = fold.roster();
        Ok(match (wanted, &self.proposed) {
            (Intent::Lock { .. }, _) => roster.epoch() > self.epoch,
            (Intent::Approve { .. }, Some(proposed)) => proposals::holds(proposed, roster),
            (Intent::Approve { .. } | Intent::Grant { .. } | Intent::Link { .. }, _) => true,
            (wanted, _) => wanted.is_done(fold)?,
        })
    }
}

/// The change as it would be made now.
fn rehearse(app: &App, no: CommitteeNo, intent: &Intent) -> Result<Change, Failure> {
    let (own, now) = (app.device.device_id(), app.clock.now());
    app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let fold = log.pulled()?;
        let label = names::label(&log.known)?;
        let mut keys = Keys::new(&app.device, no, fold);
        let mut maker = Maker { vault, no, fold, keys: &mut keys, label: label.as_ref(), now };
        let change = build(intent, &mut maker)?;
        changes::tried(fold, own, change.clone(), now)?;
        Ok(change)
    })
}

fn still_waits(
    app: &App,
    roster: &Roster,
    wanted: &Intent,
    change: &Change,
) -> Option<(Ref, usize)> {
    if let Change::Approve(approve) = change {
        let reference = names::change_ref(&approve.entry);
        if let Some(proposal) = roster.proposal(approve.entry) {
            return Some((reference, roster.missing_approvals(proposal)));
        }
        let (_, undecided) = roster.undecided().find(|(leaf, _)| *leaf == approve.entry)?;
        return Some((reference, proposals::missing_of(undecided, roster)));
    }
    let member = roster.device(app.device.device_id())?.member;
    let proposed = proposals::proposed(change);
    proposals::proposed_by(roster, member, |one| match (wanted, one) {
        // Other parts of it may have become others since.
        (Intent::Policy(parts), Proposed::Policy(policy)) => parts.applied_to(*policy) == *policy,
        (Intent::Device { card }, Proposed::Device(new)) => {
            *card == data_encoding::HEXLOWER.encode(new.card.as_bytes())
        }
        (_, one) => Some(one) == proposed.as_ref(),
    })
}

#[cfg(test)]
mod tests;
