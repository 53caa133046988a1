//! `sealpost lockup`

use serde::Serialize;

use crate::agent;
use crate::app::Session;
use crate::error::Failure;

/// Ends what `unlock` began: when it returns, the process that held the keys is gone and the
/// passphrase is needed again. A `sync --watch` that was opened so ends within a second.
#[derive(Debug, clap::Args)]
pub struct Lockup {}

#[derive(Serialize)]
struct Ended {
    /// Whether there was anything to end.
    ended: bool,
}

impl Lockup {
    /// Ends it.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let ended = agent::end(&session.home)?;
        let words = match ended {
            true => "Locked: the agent is gone.",
            false => "No agent runs: it was locked already.",
        };
        Ok(session.ui.result(&Ended { ended }, words)?)
    }
}
