//! `sealpost member remove`

use super::Whose;
use crate::app::Session;
use crate::changes::Intent;
use crate::error::Failure;
use crate::names;
use crate::ui::input;

/// Ends a membership for good, and changes the lock. Their devices can never come back.
///
/// With more than one approval it waits for other coordinators. To cut somebody off now, in every
/// committee: `member suspend`.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    whose: Whose,
    /// Do not ask for the handle to be typed again.
    #[arg(long)]
    yes: bool,
}

impl Remove {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let member = app.vault.read(|vault| self.whose.membership(vault))?;
        if !self.yes {
            let name = names::typable(&member.handle, &member.devices);
            input::confirm("This removes a member for good.", &name)?;
        }
        let intent = Intent::Remove { member: member.number.0 };
        super::change(session, &mut app, &member, intent, "The removal")
    }
}
