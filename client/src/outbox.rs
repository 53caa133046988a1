//! Records on this device: written, listed, shown. Sending them is the network's part.

use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId, Epoch, LeafIndex, UnixMillis};
use sealpost_protocol::record::{Binding, RecordBody, RecordId, SALT_BYTES};
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
    let reference = Ref::new(&kind.prefix, id.to_string().as_bytes());
    let body = body(kind, made, checked.fields);
    must_be_sealable(&body, &id)?;
    let new = NewDraft {
        committee,
        what: What::Record,
        id: id.to_string(),
        reference: reference.to_string(),
        kind: kind.kind.clone(),
        draft: draft_json(&id, body).into_bytes(),
        made,
    };
    app.vault.write(|vault| vault.save_draft(&new))?;
    Ok(Saved { reference, id: new.id, unknown: checked.unknown })
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

/// What will be sealed, without what sealing itself adds.
fn body(kind: &Kind, made: UnixMillis, given: Map<String, Value>) -> RecordBody {
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), json!(kind.kind));
    fields.insert("schema".to_owned(), json!(kind.schema));
    fields.insert("created".to_owned(), json!(time::rfc3339(made)));
    fields.extend(given);
    RecordBody { fields }
}

fn draft_json(id: &RecordId, body: RecordBody) -> String {
    let mut record = Map::new();
    record.insert("id".to_owned(), json!(id.to_string()));
    record.extend(body.fields);
    Value::Object(record).to_string()
}

/// Binds it as sending will, to nowhere: what could never be sealed must not be saved.
fn must_be_sealable(body: &RecordBody, id: &RecordId) -> Result<(), Failure> {
    let author = DeviceId(Hash::ZERO);
    let nowhere = Binding { committee: CommitteeId::NONE, author, epoch: Epoch(u32::MAX) };
    let bound = body.bind(&nowhere, id, &[0; SALT_BYTES]);
    bound.map(|_| ()).map_err(|error| {
        Failure::new(Error::Usage, "The record cannot be sealed")
            .because(error)
            .safe("Nothing was saved; the input is as it was.")
            .next("Shorten it, or split it into several records.")
    })
}

fn new_id(made: UnixMillis) -> Result<RecordId, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| VaultError::Random(error.to_string()))?;
    let ulid = Ulid::from_parts(made.0, u128::from_be_bytes(random)).to_string();
    Ok(ulid.parse().expect("a ULID prints as one"))
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
