//! `sealpost record show`

use indicatif::HumanBytes;
use sealpost_protocol::record::SEALED;
use serde::Serialize;
use serde_json::Value;

use crate::app::Session;
use crate::attachments::Edition;
use crate::attachments::state::{self, State};
use crate::catalog::{self, Shown};
use crate::confirmed::HeldBy;
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
    state: &'static str,
    /// By whom else it is held; none before it is in the log.
    held: Option<HeldBy>,
    entry: Option<Entry>,
    verified: bool,
    attachments: Vec<Attachment>,
}

/// A file attached to it, and what of it is where.
#[derive(Serialize)]
struct Attachment {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    label: Option<String>,
    role: Option<String>,
    media: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
    /// `evidentiary` or `working`.
    copy: Option<&'static str>,
    /// The id of the attachment that a working copy was made of.
    derived_from: Option<String>,
    /// What was left out of a working copy.
    stripped: Option<Vec<String>>,
    state: &'static str,
    /// Bytes of the sealed file that are here, or at the relay while it is sent.
    done: Option<u64>,
    /// Of how many.
    of: Option<u64>,
    /// What was wrong, when it is missing.
    fault: Option<String>,
}

/// What opens a blob: for a program to read, not for a screen.
const BLOB: &str = "blob";

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
            state: shown.state,
            held: shown.held,
            verified: shown.entry.is_some(),
            attachments: shown.attachments.iter().map(Attachment::of).collect(),
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

impl Attachment {
    fn of(shown: &state::Shown) -> Self {
        let about = shown.about.as_ref();
        let progress = shown.state.progress();
        let (derived_from, stripped) = match about.map(|about| &about.edition) {
            Some(Edition::Working { derived_from, stripped }) => {
                (derived_from.clone(), Some(stripped.clone()))
            }
            _ => (None, None),
        };
        Self {
            reference: shown.reference.clone(),
            id: shown.id.clone(),
            label: about.map(|about| about.label.clone()),
            role: about.map(|about| about.role.clone()),
            media: about.map(|about| about.media.clone()),
            size: about.map(|about| about.plain.size),
            sha256: about.map(|about| about.plain.sha256.to_string()),
            copy: about.map(|about| about.edition.word()),
            derived_from,
            stripped,
            state: shown.state.word(),
            done: progress.map(|(done, _)| done),
            of: progress.map(|(_, of)| of),
            fault: match &shown.state {
                State::Faulty(why) => Some(why.clone()),
                _ => None,
            },
        }
    }
}

fn attachment_words(shown: &state::Shown) -> String {
    let state = shown.state.words();
    let Some(about) = &shown.about else { return format!("{}  {state}", shown.reference) };
    let line = format!(
        "{}  {}  {}  {}  {}",
        shown.reference,
        Untrusted::line(&about.label),
        Untrusted::line(&about.role),
        HumanBytes(about.plain.size),
        Untrusted::line(&state),
    );
    match &about.edition {
        Edition::Evidentiary => line,
        Edition::Working { stripped, .. } => {
            format!("{line}  working copy, removed: {}", removed_words(stripped))
        }
    }
}

fn removed_words(stripped: &[String]) -> String {
    match stripped {
        [] => "nothing".to_owned(),
        kinds => Untrusted::line(&kinds.join(", ")).to_string(),
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
    let state = shown.held.map_or_else(|| shown.state.to_owned(), |held| held.words());
    let mut lines = vec![format!("{}  {state}  {place}", shown.reference)];
    if let Value::Object(fields) = &shown.record {
        for (name, value) in fields.iter().filter(|(name, _)| *name != BLOB) {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Object(apart) if name == SEALED => {
                    let shown = apart.iter().filter(|(name, _)| *name != BLOB);
                    let shown = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
                    Value::Object(shown).to_string()
                }
                value => value.to_string(),
            };
            let indented = text.replace('\n', "\n    ");
            lines.push(format!("{}: {}", Untrusted::line(name), Untrusted::text(&indented)));
        }
    }
    lines.extend(shown.attachments.iter().map(attachment_words));
    lines.join("\n")
}
