//! `sealpost member grant`

use serde::Serialize;

use super::Whose;
use crate::app::Session;
use crate::changes::Intent;
use crate::commands::{CHANGE_PATIENCE, not_sent};
use crate::deliver::{Delivery, deliver_all};
use crate::error::Failure;
use crate::handover;
use crate::names;
use crate::outbox;
use crate::ui::display::Untrusted;

/// Hands a member's devices a lock that this device holds: the present one anew, when theirs is
/// broken, or earlier ones that were withheld.
#[derive(Debug, clap::Args)]
pub struct Grant {
    #[command(flatten)]
    whose: Whose,
    /// Every earlier lock that this device holds and theirs do not: the history withheld from them.
    #[arg(long, conflicts_with = "lock")]
    history: bool,
    /// This lock, instead of the present one.
    #[arg(long, value_name = "N")]
    lock: Option<u32>,
}

/// What `member grant` prints with `--json`.
#[derive(Serialize)]
struct Granted {
    handle: String,
    committee: String,
    locks: Vec<u32>,
    state: &'static str,
}

impl Grant {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let member = app.vault.read(|vault| self.whose.membership(vault))?;
        let no = member.known.no;
        let wanted = match (self.history, self.lock) {
            (true, _) => handover::Locks::History,
            (false, Some(lock)) => handover::Locks::One(lock),
            (false, None) => handover::Locks::Present,
        };
        let grants = handover::grants(&app, &member, wanted)?;
        let intents: Vec<(_, Intent)> = grants.iter().map(|grant| (no, grant.clone())).collect();
        let ids = outbox::save_intents(&mut app, &intents)?;
        let (state, failure) = match deliver_all(&mut app, no, &ids, CHANGE_PATIENCE) {
            Delivery::Accepted => ("done", None),
            Delivery::Waiting(failure) => ("saved", Some(failure)),
        };
        let granted = Granted {
            handle: member.handle.clone(),
            committee: names::committee_ref(&member.known.id).to_string(),
            locks: handover::locks(&grants),
            state,
        };
        let locks: Vec<String> = granted.locks.iter().map(ToString::to_string).collect();
        let words = format!(
            "{}  {}  locks granted: {}  {state}",
            Untrusted::line(&granted.handle),
            granted.committee,
            locks.join(", ")
        );
        session.ui.result(&granted, &words)?;
        failure.map_or(Ok(()), |failure| Err(not_sent(failure, "The grant")))
    }
}
