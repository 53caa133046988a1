//! `sealpost record new`

use std::time::Duration;

use sealpost_protocol::limits;
use serde::Serialize;

use crate::app::{App, Session};
use crate::commands::delivered;
use crate::deliver::{Delivery, deliver};
use crate::error::{Failure, Kind as Error};
use crate::kinds::Kind;
use crate::members;
use crate::names;
use crate::outbox::{self, Saved};
use crate::ui::input::TextSource;
use crate::ui::prompt;
use crate::vault::committees::Committee;

/// How long sending a record at once is tried for: whoever writes should not have to wait.
const SEND_PATIENCE: Duration = Duration::from_secs(3);

/// Writes a record: saves it, then tries to send it.
///
/// Without --from the required fields are asked for. Whatever nobody knows is `unknown`.
/// Exit 3 when it is saved and not sent yet.
#[derive(Debug, clap::Args)]
pub struct New {
    /// The kind: note, trial-note, health-report.
    #[arg(value_name = "KIND")]
    kind: String,
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// Read the fields, a JSON object, from this file, or from stdin with -.
    #[arg(long, value_name = "FILE|-")]
    from: Option<TextSource>,
    /// A member who may read what is sealed to named readers: a handle, or the REF of a device.
    /// May be given several times; the author always can.
    #[arg(long = "reader", value_name = "HANDLE|REF")]
    readers: Vec<String>,
    /// Only save; the next sync sends it.
    #[arg(long)]
    later: bool,
}

/// What `record new` prints with `--json`.
#[derive(Serialize)]
struct Made {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    state: &'static str,
    /// Required fields that nobody gave.
    unknown: Vec<String>,
}

impl New {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let kind = Kind::named(&self.kind)?;
        let mut app = session.open()?;
        let committee =
            app.vault.read(|vault| names::committee(vault, self.committee.as_deref()))?;
        outbox::must_write(&app, committee.no)?;
        let given = match &self.from {
            None => prompt::record(&kind, app.clock.timestamp())?,
            Some(source) => {
                let text = source.read("the record", limits::RECORD_PLAINTEXT_BYTES_MAX)?;
                serde_json::from_str(&text).map_err(|error| not_json(&error))?
            }
        };
        let readers = app.vault.read(|vault| members::named(vault, committee.no, &self.readers))?;
        let saved = outbox::save_record(&mut app, committee.no, &kind, given, &readers)?;
        if saved.is_apart && readers.is_empty() {
            session.ui.talk(
                "What is sealed to named readers only you can read: name others with --reader.",
            );
        }
        if !saved.unknown.is_empty() {
            session.ui.talk(&format!("Not given, so unknown: {}", saved.unknown.join(", ")));
        }
        if self.later {
            return tell(session, &saved, "saved");
        }
        let delivery = send(&mut app, &committee, &saved.id);
        let state = match delivery {
            Delivery::Accepted => "accepted",
            Delivery::Waiting(_) => "saved",
        };
        tell(session, &saved, state)?;
        delivered(delivery, &saved.reference.to_string())
    }
}

/// Tries to send at once, unless the relay did not answer last time: then it is not waited for.
fn send(app: &mut App, committee: &Committee, id: &str) -> Delivery {
    if committee.answered == Some(false) {
        let what = "the relay did not answer last time";
        return Delivery::Waiting(Failure::new(Error::NotDelivered, what));
    }
    deliver(app, committee.no, id, SEND_PATIENCE)
}

fn tell(session: &mut Session, saved: &Saved, state: &'static str) -> Result<(), Failure> {
    let reference = saved.reference.to_string();
    let words = format!("{reference}  {state}");
    let (id, unknown) = (saved.id.clone(), saved.unknown.clone());
    Ok(session.ui.result(&Made { reference, id, state, unknown }, &words)?)
}

fn not_json(error: &serde_json::Error) -> Failure {
    let what = format!("The input is no JSON, at line {} column {}", error.line(), error.column());
    Failure::new(Error::Usage, what)
        .safe("Nothing was saved; the input is as it was.")
        .next("Give one JSON object of the kind's fields, for example {\"text\": \"…\"}.")
}
