//! `sealpost member restore`

use sealpost_protocol::change::Target;

use super::Whose;
use crate::app::Session;
use crate::changes::Intent;
use crate::error::Failure;
use crate::persons;

/// Ends a suspension: they read and write again, from then on.
///
/// With more than one approval it waits for other coordinators. Who suspended a coordinator has no
/// say in it until the others have decided the suspension.
#[derive(Debug, clap::Args)]
pub struct Restore {
    #[command(flatten)]
    whose: Whose,
    /// One suspended device alone, by its REF.
    #[arg(long, value_name = "REF")]
    device: Option<String>,
}

impl Restore {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let member = app.vault.read(|vault| self.whose.membership(vault))?;
        let target = match &self.device {
            None => Target::Member(member.number),
            Some(typed) => Target::Device(persons::device(&member.devices, typed)?),
        };
        let intent = Intent::Restore { whom: target.into() };
        super::change(session, &mut app, &member, intent, "The restoration")
    }
}
