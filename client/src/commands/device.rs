//! `sealpost device …`

use sealpost_protocol::id::DeviceId;
use serde::Serialize;

use crate::app::Session;
use crate::commands::{settled, state_of};
use crate::decide::Outcome;
use crate::error::Failure;
use crate::names;
use crate::ui::table;
use crate::vault::committees::Committee;

pub mod add;
pub mod backup;
pub mod retire;
pub mod show;

/// This device, and others of your own.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "each variant's help is the doc comment of its type")]
pub enum Device {
    Show(show::Show),
    Add(add::Add),
    Retire(retire::Retire),
    Backup(backup::Backup),
}

/// What became of a device in one committee. In `--json` with these names.
#[derive(Serialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    state: &'static str,
    /// With `waiting`: what a coordinator approves.
    approve: Option<String>,
}

/// What became of a device in every committee. What fails in one stops it in no other.
struct Rows {
    reference: String,
    what: &'static str,
    rows: Vec<Row>,
    failed: Option<Failure>,
}

impl Rows {
    fn of(device: DeviceId, what: &'static str) -> Self {
        let reference = names::device_ref(&device).to_string();
        Self { reference, what, rows: Vec::new(), failed: None }
    }

    fn add(&mut self, known: &Committee, outcome: Result<Outcome, Failure>) {
        let (state, approve) = match &outcome {
            Ok(outcome @ Outcome::Waits { reference, .. }) => {
                (state_of(outcome), Some(reference.to_string()))
            }
            Ok(outcome) => (state_of(outcome), None),
            Err(_) => ("failed", None),
        };
        let committee = names::committee_ref(&known.id).to_string();
        self.rows.push(Row { reference: self.reference.clone(), committee, state, approve });
        let failure = outcome.and_then(|outcome| settled(outcome, self.what)).err();
        self.failed = self.failed.take().or(failure);
    }

    fn tell(self, session: &mut Session) -> Result<(), Failure> {
        let cell =
            |row: &Row| vec![row.reference.clone(), row.committee.clone(), row.state.to_owned()];
        let cells: Vec<Vec<String>> = self.rows.iter().map(cell).collect();
        session.ui.result(&self.rows, &table(&["DEVICE", "COMMITTEE", "STATE"], &cells))?;
        self.failed.map_or(Ok(()), Err)
    }
}

impl Device {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Show(command) => command.run(session),
            Self::Add(command) => command.run(session),
            Self::Retire(command) => command.run(session),
            Self::Backup(command) => command.run(session),
        }
    }
}
