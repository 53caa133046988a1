//! `sealpost member exposure`

use super::Person;
use crate::app::Session;
use crate::error::Failure;
use crate::exposure;

/// Shows what somebody's devices hold, in every committee shared with them, and whom to warn first.
///
/// By the log, as far as this device has it: what they can open, and what they have shown to have.
#[derive(Debug, clap::Args)]
pub struct Exposure {
    #[command(flatten)]
    person: Person,
}

impl Exposure {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let exposure = app.vault.read(|vault| exposure::of(vault, &self.person.wanted(vault)?))?;
        Ok(session.ui.result(&exposure, &exposure.words())?)
    }
}
