//! `sealpost record show`

use serde::Serialize;
use serde_json::Value;

use crate::app::Session;
use crate::catalog::{self, Shown};
use crate::error::{Failure, Kind};
use crate::ui::display::Untrusted;
use crate::ui::time;

/// Shows a record; with --sealed, writes its age file to stdout instead.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The record.
    #[arg(value_name = "REF")]
    record: String,
    /// The sealed payload, as the relay holds it: a binary age file.
    #[arg(long)]
    sealed: bool,
}

/// What `record show` prints with `--json`.
#[derive(Serialize)]
struct Json {
    record: Value,
    entry: Option<Entry>,
    verified: bool,
}

#[derive(Serialize)]
struct Entry {
    author: String,
    epoch: u32,
    leaf_index: u64,
    made_at: String,
}

impl Show {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        if self.sealed {
            let sealed = catalog::sealed(&app, &self.record)?;
            if session.ui.is_terminal() {
                return Err(Failure::new(
                    Kind::Usage,
                    "A sealed file is binary: not to a terminal",
                )
                .next(format!("sealpost record show {} --sealed > FILE.age", self.record)));
            }
            return Ok(session.ui.bytes(&sealed)?);
        }
        let shown = catalog::show(&app, &self.record)?;
        let words = words(&shown);
        let json = Json {
            verified: shown.entry.is_some(),
            record: shown.record,
            entry: shown.entry.map(|entry| Entry {
                author: entry.author,
                epoch: entry.epoch.0,
                leaf_index: entry.index.0,
                made_at: time::rfc3339(entry.made),
            }),
        };
        Ok(session.ui.result(&json, &words)?)
    }
}

fn words(shown: &Shown) -> String {
    let place = match &shown.entry {
        None => "not in the log yet".to_owned(),
        Some(entry) => format!(
            "entry {} by {}, lock {}, made {}, verified",
            entry.index,
            Untrusted::line(&entry.author),
            entry.epoch,
            time::rfc3339(entry.made),
        ),
    };
    let mut lines = vec![format!("{}  {}  {place}", shown.reference, shown.state)];
    if let Value::Object(fields) = &shown.record {
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let indented = text.replace('\n', "\n    ");
            lines.push(format!("{}: {}", Untrusted::line(name), Untrusted::text(&indented)));
        }
    }
    lines.join("\n")
}
