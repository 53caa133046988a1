//! `sealpost member …`

use crate::app::Session;
use crate::error::Failure;

pub mod admit;
pub mod list;

/// Members of committees.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Member {
    List(list::List),
    Admit(admit::Admit),
}

impl Member {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(session),
            Self::Admit(command) => command.run(session),
        }
    }
}
