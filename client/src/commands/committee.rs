//! `sealpost committee …`

use crate::app::Session;
use crate::error::Failure;

pub mod audit;
pub mod found;
pub mod list;
pub mod lock;
pub mod policy;
pub mod show;

/// Committees.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Committee {
    Found(found::Found),
    List(list::List),
    Show(show::Show),
    Audit(audit::Audit),
    Lock(lock::Lock),
    Policy(policy::Policy),
}

impl Committee {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Found(command) => command.run(session),
            Self::List(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Audit(command) => command.run(session),
            Self::Lock(command) => command.run(session),
            Self::Policy(command) => command.run(session),
        }
    }
}
