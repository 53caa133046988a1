//! `sealpost invite cancel`

use serde::Serialize;

use crate::app::{App, Session};
use crate::error::Failure;
use crate::invitations;
use crate::lie::must_be_dealt_with;
use crate::names;
use crate::relay;
use crate::vault::committees::Committee;
use crate::vault::invitations::Invitation;

/// Cancels an invitation at the relay: from then on nobody can ask on it.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    /// The invitation, as `invite list` shows it.
    #[arg(value_name = "REF")]
    invitation: String,
}

/// What `invite cancel` prints with `--json`.
#[derive(Serialize)]
struct Cancelled {
    #[serde(rename = "ref")]
    reference: String,
    state: &'static str,
}

impl Cancel {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let (kept, known) = app.vault.read(|vault| {
            let kept = invitations::named(vault, &self.invitation)?;
            let known = vault.committee_no(kept.committee)?;
            Ok::<_, Failure>((kept, known))
        })?;
        let reference = names::invitation_ref(&kept.id).to_string();
        relay::run(cancel(&mut app, &known, kept))?;
        let words = format!("{reference}  cancelled");
        Ok(session.ui.result(&Cancelled { reference, state: "cancelled" }, &words)?)
    }
}

async fn cancel(app: &mut App, known: &Committee, kept: Invitation) -> Result<(), Failure> {
    must_be_dealt_with(app, known)?;
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let cancelled = invitations::cancel(app, &connection, known, kept).await;
    connection.close().await;
    cancelled
}
