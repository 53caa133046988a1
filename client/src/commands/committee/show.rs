//! `sealpost committee show`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;
use crate::names;

/// Shows a committee: its roster, its lock and how far it is verified.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The committee; may be left out when there is only one.
    #[arg(value_name = "REF")]
    committee: Option<String>,
}

impl Show {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let _ = app.vault.read(|vault| names::committee(vault, self.committee.as_deref()))?;
        Err(needs_the_relay("committee show"))
    }
}
