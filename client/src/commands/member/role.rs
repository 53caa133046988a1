//! `sealpost member role`

use crate::app::Session;
use crate::changes::{Intent, RoleName};
use crate::error::Failure;
use crate::persons;

/// Gives a member another role. With more than one approval, to and from coordinator waits for others.
#[derive(Debug, clap::Args)]
pub struct Role {
    /// The member, by handle or by the REF of a device.
    #[arg(value_name = "MEMBER")]
    member: String,
    /// The new role.
    #[arg(value_name = "ROLE")]
    role: RoleName,
    /// The committee; may be left out when only one is shared with them.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
}

impl Role {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let member =
            app.vault.read(|vault| persons::one(vault, &self.member, self.committee.as_deref()))?;
        let intent = Intent::Role { member: member.number.0, role: self.role };
        super::change(session, &mut app, &member, intent, "The role")
    }
}
