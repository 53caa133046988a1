//! `sealpost committee list`

use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::names;
use crate::ui::table;
use crate::vault::committees::Committee;

/// Lists the committees this device is in, or asked to join.
#[derive(Debug, clap::Args)]
pub struct List {}

#[derive(Serialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    name: Option<String>,
    state: &'static str,
    size: u64,
    relay: String,
}

impl List {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let committees = app.vault.read(crate::vault::Read::committees)?;
        let rows = committees.iter().map(Row::of).collect::<Result<Vec<Row>, Failure>>()?;
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        let headers = ["COMMITTEE", "NAME", "STATE", "ENTRIES"];
        Ok(session.ui.result(&rows, &table(&headers, &cells))?)
    }
}

impl Row {
    fn of(known: &Committee) -> Result<Self, Failure> {
        Ok(Self {
            reference: names::committee_ref(&known.id).to_string(),
            id: known.id.to_string(),
            name: names::label(known)?.map(|label| label.name),
            state: known.standing.as_str(),
            size: known.size.0,
            relay: known.relay.clone(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let name = self.name.clone().unwrap_or_default();
        vec![self.reference.clone(), name, self.state.to_owned(), self.size.to_string()]
    }
}
