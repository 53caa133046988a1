//! `sealpost recovery …`

use crate::app::Session;
use crate::error::Failure;

pub mod claim;
pub mod drill;
pub mod help;
pub mod set;
pub mod show;

/// Coming back after every device was lost, with the help of others.
#[derive(Debug, clap::Subcommand)]
// `help` is a verb of its own here; `--help` tells of all.
#[command(disable_help_subcommand = true)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Recovery {
    Set(set::Set),
    Show(show::Show),
    Drill(drill::Drill),
    Help(help::Help),
    Claim(claim::Claim),
}

impl Recovery {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Set(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Drill(command) => command.run(session),
            Self::Help(command) => command.run(session),
            Self::Claim(command) => command.run(session),
        }
    }
}
