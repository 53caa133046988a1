//! `sealpost committee found`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;
use crate::ui::input::TextSource;

/// Founds a committee on a relay, with this device as its first coordinator.
#[derive(Debug, clap::Args)]
pub struct Found {
    /// The relay's address, as `sealpost-relay key` prints it.
    #[arg(long, value_name = "ADDRESS")]
    relay: String,
    /// The relay's leave to found a committee there.
    #[arg(long, value_name = "CODE")]
    permit: String,
    /// Read the committee's name from this file, or from stdin with -; without it, it is asked for.
    #[arg(long, value_name = "FILE|-")]
    name_from: Option<TextSource>,
}

impl Found {
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = (self.relay, self.permit, self.name_from);
        Err(needs_the_relay("committee found"))
    }
}
