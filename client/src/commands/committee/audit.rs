//! `sealpost committee audit`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;
use crate::names;

/// Shows who vouches for which size of the log, and the head code to compare by phone.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// The committee; may be left out when there is only one.
    #[arg(value_name = "REF")]
    committee: Option<String>,
}

impl Audit {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let _ = app.vault.read(|vault| names::committee(vault, self.committee.as_deref()))?;
        Err(needs_the_relay("committee audit"))
    }
}
