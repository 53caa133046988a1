//! `sealpost invite …`

use crate::app::Session;
use crate::error::Failure;

pub mod cancel;
pub mod list;
pub mod new;

/// Invitations.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Invite {
    New(new::New),
    List(list::List),
    Cancel(cancel::Cancel),
}

impl Invite {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::New(command) => command.run(session),
            Self::List(command) => command.run(session),
            Self::Cancel(command) => command.run(session),
        }
    }
}
