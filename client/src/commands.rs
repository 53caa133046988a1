//! One file a command: it parses, calls a function of the library, and prints what came back.
//! The doc comment of a command is its help.

use std::time::Duration;

use clap::Subcommand;

use crate::app::Session;
use crate::error::{Failure, Kind};
use crate::sync::Delivery;

pub mod committee;
pub mod completions;
pub mod demo;
pub mod device;
pub mod init;
pub mod invite;
pub mod join;
pub mod man;
pub mod member;
pub mod record;
pub mod status;
pub mod sync;

/// What can be typed after `sealpost`.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Command {
    Init(init::Init),
    Status(status::Status),
    Sync(sync::Sync),
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
    #[command(subcommand)]
    Record(record::Record),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs it.
    pub fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Init(command) => command.run(session),
            Self::Status(command) => command.run(session),
            Self::Sync(command) => command.run(session),
            Self::Demo(command) => command.run(session),
            Self::Device(command) => command.run(session),
            Self::Committee(command) => command.run(session),
            Self::Invite(command) => command.run(session),
            Self::Join(command) => command.run(session),
            Self::Member(command) => command.run(session),
            Self::Record(command) => command.run(session),
            Self::Completions(command) => command.run(session),
            Self::Man(command) => command.run(session),
        }
    }
}

/// How long a roster change that was just saved is tried to be sent: whoever types it waits for it.
const CHANGE_PATIENCE: Duration = Duration::from_secs(60);

/// What a command says in the end about something it saved and tried to send.
fn delivered(delivery: Delivery, what: &str) -> Result<(), Failure> {
    let Delivery::Waiting(failure) = delivery else { return Ok(()) };
    match failure.kind {
        // Not a matter of the network: what keeps it back is said as it is.
        Kind::Verification | Kind::TooOld | Kind::NotAllowed => Err(failure),
        Kind::DiskFull => Err(failure
            .safe(format!("{what} is saved in the vault."))
            .next("Free some space, then sealpost sync")),
        _ => {
            let what = format!("{what} is saved and not sent yet: {}", failure.story());
            Err(Failure::new(Kind::NotDelivered, what)
                .safe("Nothing is lost: it goes at the next sync.")
                .next("sealpost sync"))
        }
    }
}

#[cfg(test)]
mod tests;
