//! `sealpost member admit`

use serde::Serialize;

use crate::app::Session;
use crate::changes::{Intent, RoleName};
use crate::commands::{CHANGE_PATIENCE, settled};
use crate::decide::{self, Outcome};
use crate::error::Failure;
use crate::invitations;
use crate::log::Log;
use crate::names::{self, alike};
use crate::ui::display::Untrusted;
use crate::ui::input;

/// Admits a device that asks to join, after its safety number was compared by voice.
#[derive(Debug, clap::Args)]
pub struct Admit {
    /// The device, as `member list --asking` shows it.
    #[arg(value_name = "DEVICE_REF")]
    device: String,
    /// The safety number as the other person read it out, in Latin, Arabic or Persian digits;
    /// without it, it is asked for.
    #[arg(long, value_name = "DIGITS")]
    safety_number: Option<String>,
    /// Change the lock first, so that they read nothing from before; `member grant --history` can
    /// hand it over later.
    #[arg(long)]
    from_now: bool,
}

/// What `member admit` prints with `--json`.
#[derive(Serialize)]
struct Admitted {
    #[serde(rename = "ref")]
    reference: String,
    handle: String,
    role: String,
    state: &'static str,
}

impl Admit {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let requests = app.vault.read(|vault| invitations::asking_named(vault, &self.device))?;
        let number = match self.safety_number {
            Some(number) => number,
            None => input::ask("The safety number, as the other person reads it out")?,
        };
        let (kept, request) = invitations::with_number(&requests, &number)?;
        let intent = invitations::admission(&app, kept, request)?;
        // One that reads like a member's is refused; this one may be how the person writes.
        for warning in alike::warnings(&request.handle, []) {
            session.ui.talk(&format!("! {warning}"));
        }
        let first = self.from_now.then_some(Intent::Lock { withhold: true, if_pending: false });
        let outcome = decide::make_after(&mut app, kept.committee, first, intent, CHANGE_PATIENCE)?;
        let state = match &outcome {
            Outcome::InForce | Outcome::LockDue => "admitted",
            Outcome::Waits { .. } => "waiting",
            Outcome::Overtaken => "overtaken",
            Outcome::Saved(_) => "saved",
        };
        // Somebody else may have been quicker, with another role.
        let log = app.vault.read(|vault| Log::load(vault, kept.committee))?;
        let role = log.pulled()?.roster().role_of(request.device);
        let role = role.map(|role| RoleName::from(role).as_str().to_owned());
        let admitted = Admitted {
            reference: names::device_ref(&request.device).to_string(),
            handle: request.handle.clone(),
            role: role.unwrap_or_else(|| kept.role.clone()),
            state,
        };
        let words = format!(
            "{}  {}  {state} as {}",
            admitted.reference,
            Untrusted::line(&admitted.handle),
            admitted.role
        );
        session.ui.result(&admitted, &words)?;
        settled(outcome, "The admission")
    }
}
