//! One file a command: it parses, calls a function of the library, and prints what came back.
//! The doc comment of a command is its help.

use std::time::Duration;

use clap::Subcommand;

use crate::app::{App, Session};
use crate::changes::Intent;
use crate::decide::{self, Outcome};
use crate::deliver::Delivery;
use crate::error::{Failure, Kind};
use crate::log::Log;
use crate::vault::committees::CommitteeNo;

pub mod agent;
pub mod approve;
pub mod attach;
pub mod committee;
pub mod completions;
pub mod demo;
pub mod device;
pub mod init;
pub mod invite;
pub mod join;
pub mod lockup;
pub mod man;
pub mod member;
pub mod passphrase;
pub mod proof;
pub mod record;
pub mod recovery;
pub mod save;
pub mod status;
pub mod sync;
pub mod unlock;
pub mod who;

/// What can be typed after `sealpost`.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Command {
    Init(init::Init),
    Status(status::Status),
    Passphrase(passphrase::Passphrase),
    Sync(sync::Sync),
    Unlock(unlock::Unlock),
    Lockup(lockup::Lockup),
    #[command(hide = true)]
    Agent(agent::Agent),
    Demo(demo::Demo),
    #[command(subcommand)]
    Device(device::Device),
    #[command(subcommand)]
    Committee(committee::Committee),
    #[command(subcommand)]
    Invite(invite::Invite),
    Join(join::Join),
    #[command(subcommand)]
    Member(member::Member),
    Approve(approve::Approve),
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    #[command(subcommand)]
    Record(record::Record),
    Attach(attach::Attach),
    Save(save::Save),
    Who(who::Who),
    #[command(subcommand)]
    Proof(proof::Proof),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Whether it has to do with a vault, and so with a place where one is.
    pub fn needs_home(&self) -> bool {
        !matches!(self, Self::Proof(proof::Proof::Verify(_)))
    }

    /// Runs it.
    pub fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Init(command) => command.run(session),
            Self::Status(command) => command.run(session),
            Self::Passphrase(command) => command.run(session),
            Self::Sync(command) => command.run(session),
            Self::Unlock(command) => command.run(session),
            Self::Lockup(command) => command.run(session),
            Self::Agent(command) => command.run(session),
            Self::Demo(command) => command.run(session),
            Self::Device(command) => command.run(session),
            Self::Committee(command) => command.run(session),
            Self::Invite(command) => command.run(session),
            Self::Join(command) => command.run(session),
            Self::Member(command) => command.run(session),
            Self::Approve(command) => command.run(session),
            Self::Recovery(command) => command.run(session),
            Self::Record(command) => command.run(session),
            Self::Attach(command) => command.run(session),
            Self::Save(command) => command.run(session),
            Self::Who(command) => command.run(session),
            Self::Proof(command) => command.run(session),
            Self::Completions(command) => command.run(session),
            Self::Man(command) => command.run(session),
        }
    }
}

/// How long a roster change that was just saved is tried to be sent: whoever types it waits for it.
const CHANGE_PATIENCE: Duration = Duration::from_secs(60);

/// What a command says in the end about something it saved and tried to send.
fn delivered(delivery: Delivery, what: &str) -> Result<(), Failure> {
    match delivery {
        Delivery::Accepted => Ok(()),
        Delivery::Waiting(failure) => Err(not_sent(failure, what)),
    }
}

/// What a command says in the end about a roster change.
fn settled(outcome: Outcome, what: &str) -> Result<(), Failure> {
    match outcome {
        Outcome::InForce => Ok(()),
        Outcome::Waits { reference, missing } => {
            let others = if missing == 1 { "1 more coordinator" } else { "more coordinators" };
            let what = format!("{what} waits for {others}: {reference}");
            Err(Failure::new(Kind::SecondPerson, what)
                .safe("It is in the log and changes nothing until it is approved.")
                .next(format!("Others type, {missing} of them: sealpost approve {reference}")))
        }
        Outcome::LockDue => {
            let what = format!("{what} is in force, and the lock is not changed yet");
            Err(Failure::new(Kind::NotDelivered, what)
                .safe("Nobody can send a record under the old lock.")
                .next("sealpost sync"))
        }
        Outcome::Overtaken => {
            let what = format!("{what} is not in force: others came before");
            Err(Failure::new(Kind::Failed, what)
                .safe("The committee is as the others left it.")
                .next("sealpost committee show, and type it again if it is still wanted"))
        }
        Outcome::Saved(failure) => Err(not_sent(failure, what)),
    }
}

/// Changes a lock that is due once a change is in force: this change's own, or one that others left
/// behind. Any member may, and with it a new device can write at once.
fn relocked(app: &mut App, no: CommitteeNo, outcome: Outcome) -> Result<Outcome, Failure> {
    if !matches!(outcome, Outcome::LockDue) {
        return Ok(outcome);
    }
    let lock = Intent::Lock { withhold: false, if_pending: true };
    let outcome = decide::make(app, no, lock, CHANGE_PATIENCE)?;
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    Ok(match outcome {
        // Whoever changed it, it is.
        Outcome::Overtaken if !log.pulled()?.roster().lock_pending() => Outcome::InForce,
        outcome => outcome,
    })
}

/// The word for an outcome in results.
fn state_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::InForce => "done",
        Outcome::Waits { .. } => "waiting",
        Outcome::LockDue => "lock-pending",
        Outcome::Overtaken => "overtaken",
        Outcome::Saved(_) => "saved",
    }
}

fn not_sent(failure: Failure, what: &str) -> Failure {
    match failure.kind {
        // Not a matter of the network: what keeps it back is said as it is.
        Kind::Verification | Kind::TooOld | Kind::NotAllowed => failure,
        Kind::DiskFull => failure
            .safe(format!("{what} is saved in the vault."))
            .next("Free some space, then sealpost sync"),
        _ => {
            let what = format!("{what} is saved and not sent yet: {}", failure.story());
            Failure::new(Kind::NotDelivered, what)
                .safe("Nothing is lost: it goes at the next sync.")
                .next("sealpost sync")
        }
    }
}

#[cfg(test)]
mod tests;
