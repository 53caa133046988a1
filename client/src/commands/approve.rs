//! `sealpost approve`

use serde::Serialize;

use crate::app::{App, Session};
use crate::attachments::carry::Which;
use crate::changes::Intent;
use crate::commands::{CHANGE_PATIENCE, settled, state_of};
use crate::decide;
use crate::error::{Failure, Kind};
use crate::proposals::{self, Waiting};
use crate::relay;
use crate::sync::{self, Scope};
use crate::ui::display::Untrusted;

/// Approves what another coordinator proposed, or lets a coordinator's suspension stand.
///
/// `sealpost status` names what waits, and for whom.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// What waits, as `status`, `committee show` or a colleague names it.
    #[arg(value_name = "REF")]
    reference: String,
}

/// What `approve` prints with `--json`.
#[derive(Serialize)]
struct Approved {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    what: String,
    state: &'static str,
}

impl Approve {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let own = app.device.device_id();
        let now = app.clock.now();
        let named =
            |app: &App| app.vault.read(|vault| proposals::named(vault, own, now, &self.reference));
        let (no, leaf, waiting) = match named(&app) {
            Err(failure) if failure.kind == Kind::NotFound => {
                // It may have been proposed since the last look.
                session.ui.talk("Not known here yet: asking the relays.");
                relay::run(news(&mut app))?;
                named(&app)?
            }
            found => found?,
        };
        let Waiting { reference, committee, what, .. } = waiting;
        let outcome = decide::make(
            &mut app,
            no,
            Intent::Approve { entry: leaf.to_string() },
            CHANGE_PATIENCE,
        )?;
        let state = state_of(&outcome);
        let words = format!("{reference}  {committee}  {state}: to {}", Untrusted::line(&what));
        let approved = Approved { reference, committee, what, state };
        session.ui.result(&approved, &words)?;
        settled(outcome, "It is approved; it")
    }
}

async fn news(app: &mut App) -> Result<(), Failure> {
    let _alone = relay::alone(app).await?;
    sync::round(app, Scope::All, Which::None).await?.into_followed()
}
