//! `sealpost device show`

use data_encoding::BASE64;
use sealpost_protocol::id::DeviceId;
use sealpost_protocol::roster::Standing;
use serde::Serialize;

use crate::app::Session;
use crate::devices::{self, OwnDevice};
use crate::error::Failure;
use crate::names;
use crate::ui::{table, time};
use crate::vault::Read;

/// Shows this device's REF, id and handle, and all your devices in each committee, with the last time each
/// vouched for its log; with --json also this device's card.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Write the card itself to stdout instead, for others to import.
    #[arg(long)]
    card: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    handle: String,
    card: String,
    devices: Vec<OwnShown>,
}

/// A device of one's own in one committee.
#[derive(Serialize)]
struct OwnShown {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    /// `active`, `spare`, `suspended` or `ended`.
    state: &'static str,
    /// When it last vouched for the log, to the hour, as far as it is known here.
    last_contact: Option<String>,
    this: bool,
}

impl Show {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let card = app.device.card();
        if self.card {
            return Ok(session.ui.bytes(card.as_bytes())?);
        }
        let shown = Shown {
            reference: app.device_ref().to_string(),
            id: card.device().to_string(),
            handle: app.vault.read(Read::own)?.handle,
            card: BASE64.encode(card.as_bytes()),
            devices: app.vault.read(|vault| {
                let devices = devices::devices(vault, card.device())?;
                Ok::<_, Failure>(
                    devices.iter().map(|one| OwnShown::of(one, card.device())).collect(),
                )
            })?,
        };
        let cells = vec![shown.reference.clone(), shown.handle.clone(), shown.id.clone()];
        let mut words = table(&["DEVICE", "HANDLE", "ID"], &[cells]);
        if !shown.devices.is_empty() {
            let cells: Vec<Vec<String>> = shown.devices.iter().map(OwnShown::cells).collect();
            let headers = ["YOUR DEVICES", "COMMITTEE", "STATE", "LAST CONTACT"];
            words = format!("{words}\n\n{}", table(&headers, &cells));
        }
        Ok(session.ui.result(&shown, &words)?)
    }
}

impl OwnShown {
    fn of(one: &OwnDevice, this: DeviceId) -> Self {
        Self {
            reference: names::device_ref(&one.id).to_string(),
            committee: names::committee_ref(&one.known.id).to_string(),
            state: match one.standing {
                Standing::Active if one.is_spare => "spare",
                Standing::Active => "active",
                Standing::Suspended(_) => "suspended",
                Standing::Ended(_) => "ended",
            },
            last_contact: one.vouched.map(|(_, at)| time::rfc3339(at)),
            this: one.id == this,
        }
    }

    fn cells(&self) -> Vec<String> {
        let this = if self.this { " (this one)" } else { "" };
        vec![
            format!("{}{this}", self.reference),
            self.committee.clone(),
            self.state.to_owned(),
            self.last_contact.clone().unwrap_or_else(|| "not known".to_owned()),
        ]
    }
}
