//! `sealpost recovery show`

use sealpost_protocol::id::DeviceId;
use serde::Serialize;

use crate::app::{App, Session};
use crate::error::Failure;
use crate::names::{self, People};
use crate::recovery::{self, Shared};
use crate::ui::{table, time};
use crate::vault::Read;
use crate::vault::committees::Standing;

/// Shows your way back in, and whom you help: with the code that tells them that your share opens.
#[derive(Debug, clap::Args)]
pub struct Show {}

/// A spare. In `--json` with these names.
#[derive(Serialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    owner: String,
    /// Whether it is your own.
    own: bool,
    threshold: u8,
    helpers: Vec<Helper>,
    /// Whether this device's share opens; none when it has none.
    share: Option<&'static str>,
    /// What to read out to the owner.
    drill_code: Option<String>,
}

/// A helper's device.
#[derive(Serialize)]
struct Helper {
    #[serde(rename = "ref")]
    reference: String,
    handle: String,
    /// When its code was last heard; none when never, or by another device of yours.
    drilled_at: Option<String>,
}

impl Show {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let rows: Vec<Row> = app.vault.read(|vault| {
            let shared = recovery::shared(vault, app.device.device_id())?;
            shared.iter().map(|one| Row::of(&app, vault, one)).collect::<Result<_, Failure>>()
        })?;
        let committees = app.vault.read(Read::committees)?;
        let without = committees
            .iter()
            .filter(|known| known.standing == Standing::Active)
            .map(|known| names::committee_ref(&known.id).to_string())
            .filter(|known| !rows.iter().any(|row| row.own && row.committee == *known));
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        let words = table(&["SPARE", "COMMITTEE", "OWNER", "SHARES", "HELPERS", "CODE"], &cells);
        session.ui.result(&rows, &words)?;
        if rows.iter().any(|row| row.drill_code.is_some()) {
            session
                .ui
                .talk("Read the code to the owner when they call: it tells that your share opens.");
        }
        for known in without {
            let set = format!("{} --committee {known}", recovery::SET);
            session.ui.talk(&format!("You have no way back into {known}: {set}"));
        }
        Ok(())
    }
}

impl Row {
    fn of(app: &App, vault: &Read<'_>, one: &Shared) -> Result<Self, Failure> {
        let people = People::load(vault, one.known.no)?;
        let drills = vault.drills(one.known.no, one.spare.device)?;
        let helper = |id: &DeviceId| Helper {
            reference: names::device_ref(id).to_string(),
            handle: people.name(id),
            drilled_at: drills
                .iter()
                .find(|drill| drill.helper == *id)
                .and_then(|drill| drill.passed)
                .map(time::rfc3339),
        };
        let share = match one.held_by {
            None => None,
            Some(device) if device != app.device.device_id() => Some(("elsewhere", None)),
            Some(_) => match recovery::held_share(vault, &app.device, one.known.no, one.owner) {
                Ok(share) => Some(("opens", Some(share.drill_code()))),
                Err(_) => Some(("does not open", None)),
            },
        };
        Ok(Self {
            reference: names::device_ref(&one.spare.device).to_string(),
            committee: names::committee_ref(&one.known.id).to_string(),
            owner: people.member(one.owner),
            own: one.is_own,
            threshold: one.spare.threshold,
            helpers: one.spare.helpers.iter().map(helper).collect(),
            share: share.as_ref().map(|(state, _)| *state),
            drill_code: share.and_then(|(_, code)| code),
        })
    }

    fn cells(&self) -> Vec<String> {
        let helper = |helper: &Helper| match (&helper.drilled_at, self.own) {
            (Some(at), _) => format!("{} (heard {at})", helper.handle),
            (None, true) => format!("{} (not heard)", helper.handle),
            (None, false) => helper.handle.clone(),
        };
        let helpers: Vec<String> = self.helpers.iter().map(helper).collect();
        let code = self.drill_code.clone().or_else(|| self.share.map(str::to_owned));
        vec![
            self.reference.clone(),
            self.committee.clone(),
            if self.own { "you".to_owned() } else { self.owner.clone() },
            format!("{} of {}", self.threshold, self.helpers.len()),
            helpers.join(", "),
            code.unwrap_or_default(),
        ]
    }
}
