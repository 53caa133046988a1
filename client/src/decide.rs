//! A roster change from the command that wants it to what became of it: in force, waiting for a
//! second person, or not sent yet.

use std::time::Duration;

use sealpost_protocol::change::Change;
use sealpost_protocol::reference::Ref;
use sealpost_protocol::roster::{Admission, Proposed, Roster};

use crate::app::App;
use crate::changes::build::{Maker, build};
use crate::changes::{self, Intent};
use crate::error::Failure;
use crate::keys::Keys;
use crate::log::Log;
use crate::names;
use crate::outbox;
use crate::proposals;
use crate::sync::{self, Delivery};
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
    let intents: Vec<_> = first.into_iter().chain([intent]).map(|intent| (no, intent)).collect();
    let ids = outbox::save_intents(app, &intents)?;
    let id = ids.last().expect("one is saved for each");
    if let Delivery::Waiting(failure) = sync::deliver(app, no, id, patience) {
        return Ok(Outcome::Saved(failure));
    }
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let roster = log.pulled()?.roster();
    Ok(match still_waits(app, roster, &change) {
        Some((reference, missing)) => Outcome::Waits { reference, missing },
        None if roster.lock_pending() => Outcome::LockDue,
        None => Outcome::InForce,
    })
}

/// The change as it would be made now.
fn rehearse(app: &App, no: CommitteeNo, intent: &Intent) -> Result<Change, Failure> {
    let (own, now) = (app.device.device_id(), app.clock.now());
    app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let fold = log.pulled()?;
        let label = names::label(&log.known)?;
        let mut keys = Keys::new(&app.device, no, fold);
        let mut maker = Maker { vault, no, fold, keys: &mut keys, label: label.as_ref() };
        let change = build(intent, &mut maker)?;
        changes::tried(fold, own, change.clone(), now)?;
        Ok(change)
    })
}

fn still_waits(app: &App, roster: &Roster, change: &Change) -> Option<(Ref, usize)> {
    let proposed = match change {
        Change::Admit(admit) => {
            let admission = Admission { card: admit.card.clone(), role: admit.role };
            Proposed::Admit(Box::new(admission))
        }
        Change::Role(role) => Proposed::Role(*role),
        Change::Restore(restore) => Proposed::Restore(restore.target),
        Change::Remove(remove) => Proposed::Remove(remove.member),
        Change::Policy(policy) => Proposed::Policy(*policy),
        Change::Approve(approve) => {
            let proposal = roster.proposal(approve.entry)?;
            let missing = roster.missing_approvals(proposal);
            return Some((names::change_ref(&approve.entry), missing));
        }
        _ => return None,
    };
    let member = roster.device(app.device.device_id())?.member;
    proposals::proposed_by(roster, member, &proposed)
}
