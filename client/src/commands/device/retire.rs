//! `sealpost device retire`

use sealpost_protocol::id::DeviceId;

use super::Rows;
use crate::app::{App, Session};
use crate::attachments::carry::Which;
use crate::changes::Intent;
use crate::commands::{CHANGE_PATIENCE, relocked};
use crate::decide;
use crate::devices;
use crate::error::Failure;
use crate::names;
use crate::relay;
use crate::sync::{self, Scope};
use crate::ui::input;
use crate::vault::Read;
use crate::vault::committees::Committee;

/// Ends a device of your own for good, in every committee: given away, lost, or worn out.
///
/// Its locks are changed in the same act, so that what is sealed from then on it cannot open. What it was
/// shown before, it keeps. A retired device never comes back.
#[derive(Debug, clap::Args)]
pub struct Retire {
    /// The device; without it, this one.
    #[arg(value_name = "DEVICE_REF")]
    device: Option<String>,
    /// Do not ask for the REF to be typed again.
    #[arg(long)]
    yes: bool,
}

impl Retire {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let this = app.device.device_id();
        let (device, committees) = match &self.device {
            Some(typed) => app.vault.read(|vault| devices::device_named(vault, this, typed))?,
            None => (this, app.vault.read(|vault| devices::committees_of(vault, this, this))?),
        };
        let reference = names::device_ref(&device).to_string();
        if !self.yes {
            let what = format!("This ends {reference} for good, and it never comes back.");
            input::confirm(&what, &reference)?;
        }
        let mut rows = Rows::of(device, "The end of the device");
        for known in &committees {
            let outcome = end(&mut app, known, device);
            rows.add(known, outcome);
        }
        rows.tell(session)
    }
}

/// Ends it in one committee, and changes the lock unless that is for others to do: this device's own end
/// is the last that it says there.
fn end(app: &mut App, known: &Committee, device: DeviceId) -> Result<decide::Outcome, Failure> {
    let retire = Intent::Retire { device: device.to_string() };
    let name = retire.name();
    let outcome = decide::make(app, known.no, retire, CHANGE_PATIENCE)?;
    if device == app.device.device_id() {
        return own_end(app, known, name, outcome);
    }
    relocked(app, known.no, outcome)
}

/// The relay cuts this device off with the entry it has just taken: that it did, it shows when asked.
fn own_end(
    app: &mut App,
    known: &Committee,
    name: &str,
    outcome: decide::Outcome,
) -> Result<decide::Outcome, Failure> {
    if !matches!(outcome, decide::Outcome::Saved(_)) {
        return Ok(decide::Outcome::InForce);
    }
    relay::run(async {
        let _alone = relay::alone(app).await?;
        // It fails, for this device is not active: what it was shown then is what counts.
        let _ = sync::round(app, Scope::One(known.no), Which::None).await?;
        Ok(())
    })?;
    let drafts = app.vault.read(Read::drafts)?;
    let waits = drafts.iter().any(|it| it.new.committee == known.no && it.new.kind == name);
    Ok(if waits { outcome } else { decide::Outcome::InForce })
}
