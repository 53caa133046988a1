//! What this device wants sent: checked, saved, and from then on never lost. [`crate::push`] sends
//! it, now or at a later sync.

use sealpost_protocol::change::Role;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId, Epoch, UnixMillis};
use sealpost_protocol::record::{Binding, RecordBody, RecordId, SALT_BYTES};
use sealpost_protocol::reference::Ref;
use serde_json::{Map, Value, json};
use ulid::Ulid;

use crate::app::App;
use crate::changes::Intent;
use crate::error::{Failure, Kind as Error};
use crate::kinds::{Class, Kind};
use crate::log::Log;
use crate::ui::time;
use crate::vault::VaultError;
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{NewDraft, What};

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

/// An error when this device's member may only read, said before anything is typed.
pub fn must_write(app: &App, committee: CommitteeNo) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, committee))?;
    match log.fold().and_then(|fold| fold.roster().role_of(app.device.device_id())) {
        Some(Role::Reader) => Err(Failure::new(Error::NotAllowed, "Readers post no records")
            .next("Ask a coordinator: sealpost member list")),
        _ => Ok(()),
    }
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

/// Saves what is wanted of the roster, and returns its ULID.
pub fn save_intent(
    app: &mut App,
    committee: CommitteeNo,
    intent: &Intent,
) -> Result<String, Failure> {
    let made = app.clock.now();
    let id = new_id(made)?.to_string();
    let new = NewDraft {
        committee,
        what: What::Roster,
        reference: Ref::new("RC", id.as_bytes()).to_string(),
        kind: intent.name().to_owned(),
        draft: serde_json::to_vec(intent).expect("an intent is plain strings"),
        id: id.clone(),
        made,
    };
    app.vault.write(|vault| vault.save_draft(&new))?;
    Ok(id)
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

pub(crate) fn new_id(made: UnixMillis) -> Result<RecordId, Failure> {
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

#[cfg(test)]
mod tests;
