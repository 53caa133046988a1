//! `sealpost proof …`

use crate::app::Session;
use crate::error::Failure;

pub mod make;
pub mod verify;

/// A folder by which an outsider checks one record, with this program or without it.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Proof {
    Make(make::Make),
    Verify(verify::Verify),
}

impl Proof {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Make(command) => command.run(session),
            Self::Verify(command) => command.run(session),
        }
    }
}
