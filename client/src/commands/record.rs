//! `sealpost record …`

use crate::app::Session;
use crate::error::Failure;

pub mod forget;
pub mod list;
pub mod new;
pub mod show;

/// Records.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Record {
    New(new::New),
    List(list::List),
    Show(show::Show),
    Forget(forget::Forget),
}

impl Record {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::New(command) => command.run(session),
            Self::List(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Forget(command) => command.run(session),
        }
    }
}
