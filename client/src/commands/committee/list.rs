//! `sealpost committee list`

use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::names;
use crate::ui::table;
use crate::vault::Read;

/// Lists the committees this device is in, or asked to join.
#[derive(Debug, clap::Args)]
pub struct List {}

#[derive(Serialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    state: &'static str,
    size: u64,
    relay: String,
}

impl List {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let committees = app.vault.read(Read::committees)?;
        let rows = committees.iter().map(|known| Row {
            reference: names::committee_ref(&known.id).to_string(),
            id: known.id.to_string(),
            state: known.standing.as_str(),
            size: known.size.0,
            relay: known.relay.clone(),
        });
        let rows: Vec<Row> = rows.collect();
        let cells =
            |row: &Row| vec![row.reference.clone(), row.state.to_owned(), row.size.to_string()];
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        Ok(session.ui.result(&rows, &table(&["COMMITTEE", "STATE", "ENTRIES"], &cells))?)
    }
}
