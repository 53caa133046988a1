//! One file a command. The doc comment of a command is its help.

use clap::Subcommand;

use crate::cli::Session;
use crate::error::Failure;

pub mod check;
pub mod completions;
pub mod export;
pub mod import;
pub mod key;
pub mod man;
pub mod permit;
pub mod run;

mod folder;

/// What the program can do.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Command {
    Run(run::Run),
    Key(key::Key),
    #[command(subcommand)]
    Permit(permit::Permit),
    Check(check::Check),
    Export(export::Export),
    Import(import::Import),
    Man(man::Man),
    Completions(completions::Completions),
}

impl Command {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Run(command) => command.run(session),
            Self::Key(command) => command.run(session),
            Self::Permit(command) => command.run(session),
            Self::Check(command) => command.run(session),
            Self::Export(command) => command.run(session),
            Self::Import(command) => command.run(session),
            Self::Man(command) => command.run(session),
            Self::Completions(command) => command.run(session),
        }
    }
}
