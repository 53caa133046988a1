//! Records on this device: written, listed, shown. Sending them is the network's part.

use sealpost_protocol::id::{Epoch, LeafIndex, UnixMillis};
use sealpost_protocol::limits;
use sealpost_protocol::reference::Ref;
use serde_json::{Map, Value, json};
use ulid::Ulid;

use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::kinds::{Class, Kind};
use crate::names::{self, Wanted};
use crate::ui::time;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::outbox::{Draft, NewDraft, What};
use crate::vault::records::{Content, Record};
use crate::vault::{Read, VaultError};

/// What sealing adds to a draft: committee, author, epoch, salt, with their names.
const SEALING_ADDS_BYTES: usize = 1_024;

/// A record that was saved.
#[derive(Debug)]
pub struct Saved {
    /// Its REF.
    pub reference: Ref,
    /// Its ULID.
    pub id: String,
    /// Required fields that nobody gave.
    pub unknown: Vec<String>,
}

/// A record as listed.
#[derive(Debug)]
pub struct Listed {
    /// Its REF.
    pub reference: String,
    /// Its kind; empty when it could not be opened.
    pub kind: String,
    /// Its committee's REF.
    pub committee: String,
    /// Its author's handle, or device REF.
    pub author: String,
    /// When it was written, as its author says.
    pub made: UnixMillis,
    /// Its state, in the design's words.
    pub state: &'static str,
}

/// A record as shown.
#[derive(Debug)]
pub struct Shown {
    /// Its REF.
    pub reference: String,
    /// Its state, in the design's words.
    pub state: &'static str,
    /// Its fields.
    pub record: Value,
    /// Its place in the log, once it has one.
    pub entry: Option<Place>,
}

/// A record's place in the log.
#[derive(Debug)]
pub struct Place {
    /// The author's handle, or device REF.
    pub author: String,
    /// The lock it is under.
    pub epoch: Epoch,
    /// Its leaf index.
    pub index: LeafIndex,
    /// When it was signed, as its author says.
    pub made: UnixMillis,
}

/// Checks a record and saves it: on return it is on disk.
pub fn save_record(
    app: &mut App,
    committee: CommitteeNo,
    kind: &Kind,
    given: Value,
) -> Result<Saved, Failure> {
    let checked = kind.check(given, app.clock.timestamp())?;
    if checked.class > Class::H1 {
        return Err(needs_named_readers(checked.class));
    }
    let made = app.clock.now();
    let id = new_id(made)?;
    let reference = Ref::new(&kind.prefix, id.as_bytes());
    let draft = draft_json(&id, kind, made, checked.fields);
    let new = NewDraft {
        committee,
        what: What::Record,
        id: id.clone(),
        reference: reference.to_string(),
        kind: kind.kind.clone(),
        draft: draft.into_bytes(),
        made,
    };
    if new.draft.len() + SEALING_ADDS_BYTES > limits::RECORD_PLAINTEXT_BYTES_MAX {
        return Err(Failure::new(Error::Usage, "The record is longer than 1 MiB")
            .safe("Nothing was saved; the input is as it was.")
            .next("Shorten it, or split it into several records."));
    }
    app.vault.write(|vault| vault.save_draft(&new))?;
    Ok(Saved { reference, id, unknown: checked.unknown })
}

/// All records of one committee, or of all: those in the log, then those not sent.
pub fn list(app: &App, committee: Option<&str>) -> Result<Vec<Listed>, Failure> {
    app.vault.read(|vault| {
        let committees = match committee {
            Some(typed) => vec![names::committee(vault, Some(typed))?],
            None => vault.committees()?,
        };
        let drafts = vault.drafts()?;
        let own = vault.own()?.handle;
        let mut rows = Vec::new();
        for committee in &committees {
            let records = vault.records(committee.no)?;
            rows.extend(records.iter().map(|record| listed(committee, record)));
            let of_it = |draft: &&Draft| {
                draft.new.committee == committee.no && draft.new.what == What::Record
            };
            rows.extend(drafts.iter().filter(of_it).map(|draft| unsent(committee, draft, &own)));
        }
        Ok(rows)
    })
}

/// The record that `typed` names by REF or ULID.
pub fn show(app: &App, typed: &str) -> Result<Shown, Failure> {
    let wanted = Wanted::parse_any(typed)?;
    app.vault.read(|vault| {
        let in_log = logged(vault, &wanted)?.into_iter().map(Found::Logged);
        let unsent = vault.drafts()?.into_iter().filter(|draft| draft.new.what == What::Record);
        let all = in_log.chain(unsent.map(Found::Unsent));
        wanted.one_of(all, Found::id, Found::reference)?.shown()
    })
}

enum Found {
    Logged(Record),
    Unsent(Draft),
}

impl Found {
    fn id(&self) -> String {
        match self {
            Self::Logged(record) => record.id.clone(),
            Self::Unsent(draft) => draft.new.id.clone(),
        }
    }

    fn reference(&self) -> Ref {
        let text = match self {
            Self::Logged(record) => &record.reference,
            Self::Unsent(draft) => &draft.new.reference,
        };
        text.parse().expect("the vault holds REFs that this program made")
    }

    fn shown(self) -> Result<Shown, Failure> {
        match self {
            Self::Unsent(draft) => Ok(Shown {
                reference: draft.new.reference,
                state: draft.sending.as_str(),
                record: serde_json::from_slice(&draft.new.draft).map_err(|_| not_json())?,
                entry: None,
            }),
            Self::Logged(record) => {
                let Content::Opened(json) = &record.content else {
                    return Err(unopened(&record));
                };
                Ok(Shown {
                    state: "accepted",
                    record: serde_json::from_str(json).map_err(|_| not_json())?,
                    entry: Some(Place {
                        author: names::device_ref(&record.author).to_string(),
                        epoch: record.epoch,
                        index: record.index,
                        made: record.made,
                    }),
                    reference: record.reference,
                })
            }
        }
    }
}

fn logged(vault: &Read<'_>, wanted: &Wanted) -> Result<Vec<Record>, VaultError> {
    match wanted {
        Wanted::Ref(reference) => vault.records_by_ref(&reference.to_string()),
        Wanted::Full(id) => vault.records_by_id(id),
    }
}

fn listed(committee: &Committee, record: &Record) -> Listed {
    Listed {
        reference: record.reference.clone(),
        kind: record.kind.clone(),
        committee: names::committee_ref(&committee.id).to_string(),
        author: names::device_ref(&record.author).to_string(),
        made: record.made,
        state: match record.content {
            Content::Opened(_) => "accepted",
            Content::Unopened(_) => "unopened",
        },
    }
}

fn unsent(committee: &Committee, draft: &Draft, own: &str) -> Listed {
    Listed {
        reference: draft.new.reference.clone(),
        kind: draft.new.kind.clone(),
        committee: names::committee_ref(&committee.id).to_string(),
        author: own.to_owned(),
        made: draft.new.made,
        state: draft.sending.as_str(),
    }
}

fn draft_json(id: &str, kind: &Kind, made: UnixMillis, fields: Map<String, Value>) -> String {
    let mut record = Map::new();
    record.insert("id".to_owned(), json!(id));
    record.insert("kind".to_owned(), json!(kind.kind));
    record.insert("schema".to_owned(), json!(kind.schema));
    record.insert("created".to_owned(), json!(time::rfc3339(made)));
    record.extend(fields);
    Value::Object(record).to_string()
}

fn new_id(made: UnixMillis) -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| VaultError::Random(error.to_string()))?;
    Ok(Ulid::from_parts(made.0, u128::from_be_bytes(random)).to_string())
}

fn needs_named_readers(class: Class) -> Failure {
    let what = format!(
        "This record is of class {class}: it must be sealed to named readers, which this version \
         cannot do yet"
    );
    Failure::new(Error::Failed, what)
        .safe("Nothing was saved; the input is as it was.")
        .next("Leave out what makes it so, or keep it elsewhere until then.")
}

fn unopened(record: &Record) -> Failure {
    let why = match &record.content {
        Content::Unopened(why) => why.as_str(),
        Content::Opened(_) => "",
    };
    let author = names::device_ref(&record.author);
    let what = format!("{} by {author} could not be opened: {why}", record.reference);
    Failure::new(Error::Failed, what).next("sealpost sync, then ask its author.")
}

fn not_json() -> Failure {
    VaultError::Damaged("a record in it is no JSON".to_owned()).into()
}

#[cfg(test)]
mod tests;
