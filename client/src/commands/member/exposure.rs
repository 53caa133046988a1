//! `sealpost member exposure`

use crate::app::Session;
use crate::error::Failure;
use crate::exposure;
use crate::persons;
use crate::suspend::Wanted;

/// Shows what somebody's devices hold, in every committee shared with them, and whom to warn first.
///
/// By the log, as far as this device has it: what they can open, and what they have shown to have.
#[derive(Debug, clap::Args)]
pub struct Exposure {
    /// The member, by handle or by the REF of a device.
    #[arg(value_name = "MEMBER")]
    member: String,
    /// The committee in which the member is named, when two persons have one handle.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// One device alone, by its REF.
    #[arg(long, value_name = "REF")]
    device: Option<String>,
}

impl Exposure {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let exposure = app.vault.read(|vault| {
            let memberships = persons::everywhere(vault, &self.member, self.committee.as_deref())?;
            let devices: Vec<_> =
                memberships.iter().flat_map(|member| member.devices.iter().copied()).collect();
            let device =
                self.device.as_deref().map(|typed| persons::device(&devices, typed)).transpose()?;
            exposure::of(vault, &Wanted { memberships, device })
        })?;
        Ok(session.ui.result(&exposure, &exposure.words())?)
    }
}
