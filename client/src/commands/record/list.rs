//! `sealpost record list`

use serde::Serialize;

use crate::app::Session;
use crate::catalog::{self, Listed};
use crate::confirmed::HeldBy;
use crate::error::Failure;
use crate::ui::{table, time};

/// Lists records: those in the log and those not sent yet.
///
/// A record in the log is `sent`: the relay has it. It is `confirmed` once as many other devices as the
/// committee's policy asks for vouch for the log beyond it, by what this device last heard of them.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those of this committee.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
}

#[derive(Serialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    kind: String,
    committee: String,
    author: String,
    made_at: String,
    state: &'static str,
    /// By whom else it is held; none before it is in the log.
    held: Option<HeldBy>,
}

impl List {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let rows = catalog::list(&app, self.committee.as_deref())?;
        let rows: Vec<Row> = rows.into_iter().map(Row::of).collect();
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        let headers = ["REF", "KIND", "COMMITTEE", "AUTHOR", "MADE AT", "STATE"];
        Ok(session.ui.result(&rows, &table(&headers, &cells))?)
    }
}

impl Row {
    fn of(listed: Listed) -> Self {
        Self {
            reference: listed.reference,
            kind: listed.kind,
            committee: listed.committee,
            author: listed.author,
            made_at: time::rfc3339(listed.made),
            state: listed.state,
            held: listed.held,
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.reference.clone(),
            self.kind.clone(),
            self.committee.clone(),
            self.author.clone(),
            self.made_at.clone(),
            self.held.map_or_else(|| self.state.to_owned(), |held| held.words()),
        ]
    }
}
