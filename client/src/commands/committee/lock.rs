//! `sealpost committee lock`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;
use crate::names;
use crate::ui::input;

/// Changes a committee's lock; with --export, prints the present one instead.
///
/// What is sealed from then on opens with the new lock only. The exported lock opens every record
/// of its epoch with stock age, for whoever holds it.
#[derive(Debug, clap::Args)]
pub struct Lock {
    /// The committee.
    #[arg(value_name = "REF")]
    committee: String,
    /// Print the identity and the record passphrase of the present lock, and change nothing.
    #[arg(long)]
    export: bool,
    /// Do not ask for the REF to be typed again.
    #[arg(long)]
    yes: bool,
}

impl Lock {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let committee = app.vault.read(|vault| names::committee(vault, Some(&self.committee)))?;
        if !self.yes {
            let what = if self.export { "This prints the lock." } else { "This changes the lock." };
            input::confirm(what, &names::committee_ref(&committee.id).to_string())?;
        }
        Err(needs_the_relay("committee lock"))
    }
}
