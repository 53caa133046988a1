//! `sealpost member role`

use super::Whose;
use crate::app::Session;
use crate::changes::{Intent, RoleName};
use crate::error::Failure;

/// Gives a member another role. With more than one approval, to and from coordinator waits for others.
#[derive(Debug, clap::Args)]
pub struct Role {
    #[command(flatten)]
    whose: Whose,
    /// The new role.
    #[arg(value_name = "ROLE")]
    role: RoleName,
}

impl Role {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let member = app.vault.read(|vault| self.whose.membership(vault))?;
        let intent = Intent::Role { member: member.number.0, role: self.role };
        super::change(session, &mut app, &member, intent, "The role")
    }
}
