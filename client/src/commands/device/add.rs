//! `sealpost device add`

use std::time::Duration;

use serde::Serialize;

use super::Rows;
use crate::app::{App, Session};
use crate::commands::{CHANGE_PATIENCE, relocked};
use crate::decide;
use crate::error::{Failure, Kind};
use crate::invitations::{self, For, Wish};
use crate::names;
use crate::relay;
use crate::ui::input;
use crate::ui::time::{self, parse_duration};
use crate::vault::committees::{Committee, Standing};
use crate::vault::invitations::{Invitation, JoinRequest};

/// Adds a device of your own: a phone, a new laptop.
///
/// Without a REF it makes an invitation to each committee, for `join` on the new device. With the REF of
/// the device that asks, after its safety number was compared, it lets it in, wherever that same device
/// asks on your invitations.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The device that asks, as `member list --asking` shows it.
    #[arg(value_name = "DEVICE_REF")]
    device: Option<String>,
    /// The safety number as the new device shows it, in Latin, Arabic or Persian digits; without it, it
    /// is asked for.
    #[arg(long, value_name = "DIGITS", requires = "device")]
    safety_number: Option<String>,
    /// This committee alone, instead of all.
    #[arg(long, value_name = "REF", conflicts_with = "device")]
    committee: Option<String>,
    /// How long the invitations live, by the relay's clock: 30m, 48h, 7d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    expires: Duration,
}

/// What `device add` prints with `--json`, one for each committee.
#[derive(Serialize)]
struct Invited {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    invitation: String,
    expires: String,
}

impl Add {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        match &self.device {
            None => self.invite(session, &mut app),
            Some(device) => self.let_in(session, &mut app, device),
        }
    }

    fn invite(&self, session: &mut Session, app: &mut App) -> Result<(), Failure> {
        let committees = app.vault.read(|vault| match &self.committee {
            Some(typed) => Ok(vec![names::committee(vault, Some(typed))?]),
            None => Ok::<_, Failure>(vault.committees()?),
        })?;
        let wish = Wish { whom: For::OwnDevice, uses: 1, lives: self.expires };
        let (mut made, mut failed) = (Vec::new(), None);
        for known in committees.iter().filter(|known| known.standing == Standing::Active) {
            match relay::run(invitations::obtain(app, known, wish)) {
                Ok(kept) => made.push(Invited::of(known, kept)),
                Err(failure) => {
                    session.ui.talk(&format!("{}: {}", reference(known), failure.story()));
                    failed = Some(failure);
                }
            }
        }
        let lines: Vec<&str> = made.iter().map(|one| one.invitation.as_str()).collect();
        session.ui.result(&made, &lines.join("\n"))?;
        if made.is_empty() {
            return Err(failed.unwrap_or_else(nowhere));
        }
        session
            .ui
            .talk("On the new device: sealpost init, then sealpost join, with all these lines.");
        session.ui.talk("Then here: sealpost member list --asking");
        failed.map_or(Ok(()), Err)
    }

    fn let_in(&self, session: &mut Session, app: &mut App, device: &str) -> Result<(), Failure> {
        let asking = app.vault.read(|vault| invitations::asking_named(vault, device))?;
        let own =
            |(kept, _): &(Invitation, JoinRequest)| matches!(For::of(kept), Ok(For::OwnDevice));
        let requests: Vec<_> = asking.into_iter().filter(own).collect();
        if requests.is_empty() {
            return Err(Failure::new(Kind::NotFound, "It does not ask to be a device of yours")
                .next("A person is let in by sealpost member admit"));
        }
        let number = match &self.safety_number {
            Some(number) => number.clone(),
            None => input::ask("The safety number, as the new device shows it")?,
        };
        // It tells that this is the card which the new device has, and so it is everywhere.
        let (_, compared) = invitations::with_number(&requests, &number)?;
        let same = |(_, request): &&(Invitation, JoinRequest)| request.device == compared.device;
        let mut rows = Rows::of(compared.device, "The device");
        for (kept, request) in requests.iter().filter(same) {
            let known = app.vault.read(|vault| vault.committee_no(kept.committee))?;
            let outcome = invitations::admission(app, kept, request)
                .and_then(|intent| decide::make(app, kept.committee, intent, CHANGE_PATIENCE))
                .and_then(|outcome| relocked(app, known.no, outcome));
            rows.add(&known, outcome);
        }
        rows.tell(session)
    }
}

fn reference(known: &Committee) -> String {
    names::committee_ref(&known.id).to_string()
}

fn nowhere() -> Failure {
    Failure::new(Kind::NotFound, "This device is in no committee")
        .next("The new device joins by itself: sealpost join")
}

impl Invited {
    fn of(known: &Committee, kept: Invitation) -> Self {
        Self {
            reference: names::invitation_ref(&kept.id).to_string(),
            committee: reference(known),
            invitation: kept.text,
            expires: time::rfc3339(kept.expires),
        }
    }
}
