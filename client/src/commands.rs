//! One file a command: it parses, calls a function of the library, and prints what came back.
//! The doc comment of a command is its help.

use clap::Subcommand;

use crate::app::Session;
use crate::error::Failure;

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

/// Stands in for what needs a relay until the transport is there.
fn needs_the_relay(what: &str) -> Failure {
    Failure::new(crate::error::Kind::Failed, format!("{what} is not built into this version"))
}
