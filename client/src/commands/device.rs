//! `sealpost device …`

use crate::app::Session;
use crate::error::Failure;

pub mod add;
pub mod backup;
pub mod retire;
pub mod show;

/// This device, and others of your own.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Device {
    Show(show::Show),
    Add(add::Add),
    Retire(retire::Retire),
    Backup(backup::Backup),
}

impl Device {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Show(command) => command.run(session),
            Self::Add(command) => command.run(session),
            Self::Retire(command) => command.run(session),
            Self::Backup(command) => command.run(session),
        }
    }
}
