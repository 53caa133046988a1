//! `sealpost invite list`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;

/// Lists the invitations this device made.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those to this committee.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
}

impl List {
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = self.committee;
        Err(needs_the_relay("invite list"))
    }
}
