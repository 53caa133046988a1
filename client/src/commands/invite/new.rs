//! `sealpost invite new`

use std::time::Duration;

use clap::ValueEnum;

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;
use crate::ui::time::parse_duration;

/// Makes an invitation to a committee. Whoever holds it may ask to join; nobody is in before the
/// safety number was compared by voice.
#[derive(Debug, clap::Args)]
pub struct New {
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// The role of who joins.
    #[arg(long, value_enum, default_value = "member")]
    role: Role,
    /// How many persons it may admit.
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// How long it lives: 30m, 48h, 7d.
    #[arg(long, value_name = "TIME", default_value = "48h", value_parser = parse_duration)]
    expires: Duration,
}

/// A role, as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Changes the roster.
    Coordinator,
    /// Reads and writes.
    Member,
    /// Reads.
    Reader,
}

impl New {
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = (self.committee, self.role, self.uses, self.expires);
        Err(needs_the_relay("invite new"))
    }
}
