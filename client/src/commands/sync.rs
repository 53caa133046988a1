//! `sealpost sync`

use crate::app::Session;
use crate::error::Failure;

/// Pulls and verifies what is new, sends what is unsent, and vouches for what was verified.
///
/// Exit 3 when anything stays unsent, else 11 when no relay answered.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// Stay and follow the relay until interrupted.
    #[arg(long)]
    watch: bool,
}

impl Sync {
    /// Syncs.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let _alone = crate::vault::SyncLock::take(app.vault.home())?;
        let _ = self.watch;
        Err(super::needs_the_relay("sync"))
    }
}
