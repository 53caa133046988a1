//! `sealpost device show`

use data_encoding::BASE64;
use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::ui::table;
use crate::vault::Read;

/// Shows this device's REF, id and handle; with --json also its card.
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
        };
        let cells = vec![shown.reference.clone(), shown.handle.clone(), shown.id.clone()];
        let words = table(&["DEVICE", "HANDLE", "ID"], &[cells]);
        Ok(session.ui.result(&shown, &words)?)
    }
}
