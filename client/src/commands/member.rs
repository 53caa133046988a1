//! `sealpost member …`

use serde::Serialize;

use crate::app::{App, Session};
use crate::changes::Intent;
use crate::commands::{CHANGE_PATIENCE, settled, state_of};
use crate::decide;
use crate::error::Failure;
use crate::names;
use crate::persons::{self, Membership};
use crate::suspend::Wanted;
use crate::ui::display::Untrusted;
use crate::vault::Read;

pub mod admit;
pub mod exposure;
pub mod grant;
pub mod list;
pub mod remove;
pub mod restore;
pub mod role;
pub mod suspend;

/// Members of committees.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Member {
    List(list::List),
    Admit(admit::Admit),
    Role(role::Role),
    Suspend(suspend::Suspend),
    Restore(restore::Restore),
    Remove(remove::Remove),
    Grant(grant::Grant),
    Exposure(exposure::Exposure),
}

impl Member {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(session),
            Self::Admit(command) => command.run(session),
            Self::Role(command) => command.run(session),
            Self::Suspend(command) => command.run(session),
            Self::Restore(command) => command.run(session),
            Self::Remove(command) => command.run(session),
            Self::Grant(command) => command.run(session),
            Self::Exposure(command) => command.run(session),
        }
    }
}

/// A member of one committee, as typed.
#[derive(Debug, clap::Args)]
struct Whose {
    /// The member, by handle or by the REF of a device.
    #[arg(value_name = "MEMBER")]
    member: String,
    /// The committee; may be left out when only one is shared with them.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
}

impl Whose {
    fn membership(&self, vault: &Read<'_>) -> Result<Membership, Failure> {
        persons::one(vault, &self.member, self.committee.as_deref())
    }
}

/// A person in every committee shared with them, as typed.
#[derive(Debug, clap::Args)]
struct Person {
    /// The member, by handle or by the REF of a device.
    #[arg(value_name = "MEMBER")]
    member: String,
    /// The committee in which the member is named, when two persons have one handle.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// One device alone, by its REF: lost or stolen, while its owner goes on.
    #[arg(long, value_name = "REF")]
    device: Option<String>,
}

impl Person {
    fn wanted(&self, vault: &Read<'_>) -> Result<Wanted, Failure> {
        let memberships = persons::everywhere(vault, &self.member, self.committee.as_deref())?;
        let all = Wanted { memberships, device: None };
        let device = self.device.as_deref();
        let device = device.map(|typed| persons::device(&all.devices(), typed)).transpose()?;
        Ok(Wanted { device, ..all })
    }
}

/// What `member role`, `restore` and `remove` print with `--json`.
#[derive(Serialize)]
struct Changed {
    handle: String,
    committee: String,
    change: &'static str,
    state: &'static str,
    /// With `waiting`: what other coordinators approve.
    approve: Option<String>,
}

/// Makes a change about one member and says what became of it.
fn change(
    session: &mut Session,
    app: &mut App,
    member: &Membership,
    intent: Intent,
    what: &str,
) -> Result<(), Failure> {
    let name = intent.name();
    let outcome = decide::make(app, member.known.no, intent, CHANGE_PATIENCE)?;
    let approve = match &outcome {
        decide::Outcome::Waits { reference, .. } => Some(reference.to_string()),
        _ => None,
    };
    let state = state_of(&outcome);
    let committee = names::committee_ref(&member.known.id).to_string();
    let words = format!("{}  {committee}  {name}: {state}", Untrusted::line(&member.handle));
    let changed =
        Changed { handle: member.handle.clone(), committee, change: name, state, approve };
    session.ui.result(&changed, &words)?;
    settled(outcome, what)
}
