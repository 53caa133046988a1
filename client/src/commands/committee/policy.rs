//! `sealpost committee policy`

use serde::Serialize;

use super::show::PolicyShown;
use crate::app::{App, Session};
use crate::changes::{Intent, PolicyParts};
use crate::commands::{CHANGE_PATIENCE, settled, state_of};
use crate::decide;
use crate::error::Failure;
use crate::log::Log;
use crate::names;
use crate::ui::table;
use crate::vault::committees::Committee;

/// Shows a committee's policy, or changes the parts of it that are given.
///
/// With more than one approval a change of the policy waits for that many coordinators, as
/// restoring, removing and making or unmaking coordinators do.
#[derive(Debug, clap::Args)]
pub struct Policy {
    /// The committee; may be left out when there is only one.
    #[arg(value_name = "REF")]
    committee: Option<String>,
    /// Coordinators a grave change needs, its proposer counted: at most all of them but one.
    #[arg(long, value_name = "N")]
    approvals: Option<u16>,
    /// Days after which a client that has heard from too few coordinators says so.
    #[arg(long, value_name = "N")]
    lease_days: Option<u16>,
    /// Whether a client past its lease refuses to seal.
    #[arg(long, value_name = "BOOL")]
    lease_enforced: Option<bool>,
    /// Devices, besides the one that signed it, that must hold a record before it counts as confirmed.
    #[arg(long, value_name = "N")]
    confirm_devices: Option<u16>,
    /// Countries those devices must be in, as their members gave them.
    #[arg(long, value_name = "N")]
    confirm_countries: Option<u16>,
    /// Whether a member's further device needs a coordinator.
    #[arg(long, value_name = "BOOL")]
    device_needs_coordinator: Option<bool>,
    /// Months that plaintext stays in vaults; 0: for ever.
    #[arg(long, value_name = "N")]
    retention_months: Option<u16>,
}

/// What `committee policy` prints with `--json`.
#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    state: &'static str,
    policy: PolicyShown,
}

impl Policy {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let known = app.vault.read(|vault| names::committee(vault, self.committee.as_deref()))?;
        let parts = self.parts();
        if parts == PolicyParts::default() {
            return show(session, &app, &known, "in-force");
        }
        let outcome = decide::make(&mut app, known.no, Intent::Policy(parts), CHANGE_PATIENCE)?;
        show(session, &app, &known, state_of(&outcome))?;
        settled(outcome, "The policy")
    }

    fn parts(&self) -> PolicyParts {
        PolicyParts {
            approvals: self.approvals,
            lease_days: self.lease_days,
            lease_enforced: self.lease_enforced,
            confirm_devices: self.confirm_devices,
            confirm_countries: self.confirm_countries,
            device_needs_coordinator: self.device_needs_coordinator,
            retention_months: self.retention_months,
        }
    }
}

fn show(
    session: &mut Session,
    app: &App,
    known: &Committee,
    state: &'static str,
) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let policy = PolicyShown::of(log.pulled()?.roster().policy());
    let reference = names::committee_ref(&known.id).to_string();
    let words = table(&["POLICY IN FORCE", &reference], &policy.rows());
    Ok(session.ui.result(&Shown { reference, state, policy }, &words)?)
}
