//! `sealpost invite cancel`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;

/// Cancels an invitation at the relay: from then on nobody can ask on it.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    /// The invitation, as `invite list` shows it.
    #[arg(value_name = "REF")]
    invitation: String,
}

impl Cancel {
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = self.invitation;
        Err(needs_the_relay("invite cancel"))
    }
}
