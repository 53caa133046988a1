//! `sealpost member remove`

use crate::app::Session;
use crate::changes::Intent;
use crate::error::Failure;
use crate::names;
use crate::persons;
use crate::ui::input;

/// Ends a membership for good, and changes the lock. Their devices can never come back.
///
/// With more than one approval it waits for other coordinators. To cut somebody off now, in every
/// committee: `member suspend`.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The member, by handle or by the REF of a device.
    #[arg(value_name = "MEMBER")]
    member: String,
    /// The committee; may be left out when only one is shared with them.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// Do not ask for the handle to be typed again.
    #[arg(long)]
    yes: bool,
}

impl Remove {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let member =
            app.vault.read(|vault| persons::one(vault, &self.member, self.committee.as_deref()))?;
        if !self.yes {
            let name = names::typable(&member.handle, &member.devices);
            input::confirm("This removes a member for good.", &name)?;
        }
        let intent = Intent::Remove { member: member.number.0 };
        super::change(session, &mut app, &member, intent, "The removal")
    }
}
