//! `sealpost device …`

use crate::app::Session;
use crate::error::Failure;

pub mod show;

/// This device.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Device {
    Show(show::Show),
}

impl Device {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Show(command) => command.run(session),
        }
    }
}
