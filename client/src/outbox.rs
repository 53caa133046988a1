//! What this device wants sent: checked, saved, and from then on never lost. [`crate::push`] sends
//! it, now or at a later sync.

use sealpost_protocol::change::Role;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId, Epoch, MemberNumber, UnixMillis};
use sealpost_protocol::limits;
use sealpost_protocol::record::{Binding, RecordBody, RecordId, SALT_BYTES, SEALED};
use sealpost_protocol::reference::Ref;
use serde_json::{Map, Value, json};
use ulid::Ulid;

use crate::app::App;
use crate::attachments;
use crate::catalog::Owner;
use crate::changes::Intent;
use crate::error::{Failure, Kind as Error};
use crate::kinds::Kind;
use crate::log::Log;
use crate::members;
use crate::names;
use crate::random;
use crate::ui::time;
use crate::vault::attachments::{Attachment, BlobNo};
use crate::vault::committees::{Committee, CommitteeNo, Standing};
use crate::vault::outbox::{Draft, NewDraft, What};
use crate::vault::{VaultError, Write};

/// In a draft: the members whom its part apart will be sealed to.
pub(crate) const READERS: &str = "readers";

/// A record that was saved.
#[derive(Debug)]
pub struct Saved {
    /// Its REF.
    pub reference: Ref,
    /// Its ULID.
    pub id: String,
    /// Required fields that nobody gave.
    pub unknown: Vec<String>,
    /// Whether a part of it is for named readers.
    pub is_apart: bool,
}

/// An error when this device is not in yet or its member may only read, said before anything is
/// typed.
pub fn must_write(app: &App, committee: CommitteeNo) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, committee))?;
    must_be_in(&log.known)?;
    match log.fold().and_then(|fold| fold.roster().role_of(app.device.device_id())) {
        Some(Role::Reader) => Err(Failure::new(Error::NotAllowed, "Readers post no records")
            .next(format!("Ask a coordinator: {}", members::list_command(&log.known)))),
        _ => Ok(()),
    }
}

/// A founding or joining may still fail, and what was written for it would hang in the air.
fn must_be_in(known: &Committee) -> Result<(), Failure> {
    if !matches!(known.standing, Standing::Founding | Standing::Joining) {
        return Ok(());
    }
    let what = format!("This device is not in {} yet", names::committee_ref(&known.id));
    Err(Failure::new(Error::NotAllowed, what)
        .safe("Nothing was saved; the input is as it was.")
        .next("sealpost sync, and write it once sealpost status shows it as active"))
}

/// Checks a record and saves it: on return it is on disk. What of it is strict will be sealed to
/// `readers`, members of the committee, and to the author's own member.
pub fn save_record(
    app: &mut App,
    committee: CommitteeNo,
    kind: &Kind,
    given: Value,
    readers: &[MemberNumber],
) -> Result<Saved, Failure> {
    let checked = kind.check(given, app.clock.timestamp())?;
    if checked.apart.is_empty() && !readers.is_empty() {
        return Err(nothing_for_readers());
    }
    let made = app.clock.now();
    let id = new_id(made)?;
    let reference = Ref::new(&kind.prefix, id.to_string().as_bytes());
    let body = body(kind, made, checked.fields);
    must_be_sealable(&body, &checked.apart, &id)?;
    let is_apart = !checked.apart.is_empty();
    let new = NewDraft {
        committee,
        what: What::Record,
        id: id.to_string(),
        reference: reference.to_string(),
        kind: kind.kind.clone(),
        draft: draft_json(&id, body, checked.apart, readers).into_bytes(),
        made,
    };
    app.vault.write(|vault| {
        must_be_in(&vault.committee_no(committee)?)?;
        Ok::<_, Failure>(vault.save_draft(&new)?)
    })?;
    Ok(Saved { reference, id: new.id, unknown: checked.unknown, is_apart })
}

/// A record whose fields were made here.
pub struct Written<'w> {
    /// Its kind.
    pub kind: &'static str,
    /// What everybody in the committee may read.
    pub fields: Map<String, Value>,
    /// What is for the readers alone.
    pub apart: Map<String, Value>,
    /// The readers: members, besides the author's own.
    pub readers: &'w [MemberNumber],
    /// When.
    pub made: UnixMillis,
}

/// An attachment whose blob was just sealed, and whose record was made.
pub struct Sealed<'w> {
    /// The id of its record, from `new_id`.
    pub id: RecordId,
    /// Where in the vault its blob is.
    pub no: BlobNo,
    /// Its blob.
    pub blob: Blob,
    /// Its record.
    pub written: Written<'w>,
}

/// Saves the records of attachments, together with that their blobs are sealed: on return all of that is
/// on disk, and after an error nothing.
pub fn save_attachments(
    app: &mut App,
    to: &Owner,
    sealed: Vec<Sealed<'_>>,
) -> Result<Vec<Saved>, Failure> {
    let drafts = sealed.into_iter().map(|sealed| attachment_draft(to, sealed));
    let drafts = drafts.collect::<Result<Vec<_>, _>>()?;
    app.vault.write(|vault| {
        must_be_in(&vault.committee_no(to.committee)?)?;
        for (no, attachment, new, _) in &drafts {
            vault.blob_sealed(*no, &attachment.blob)?;
            vault.put_attachment(attachment)?;
            vault.save_draft(new)?;
        }
        Ok::<_, Failure>(())
    })?;
    Ok(drafts.into_iter().map(|(.., saved)| saved).collect())
}

fn attachment_draft(
    to: &Owner,
    sealed: Sealed<'_>,
) -> Result<(BlobNo, Attachment, NewDraft, Saved), Failure> {
    let Sealed { id, no, blob, written } = sealed;
    let reference = Ref::new(attachments::PREFIX, id.to_string().as_bytes());
    let body = RecordBody { fields: written.fields };
    must_be_sealable(&body, &written.apart, &id)?;
    let is_apart = !written.apart.is_empty();
    let new = NewDraft {
        committee: to.committee,
        what: What::Record,
        id: id.to_string(),
        reference: reference.to_string(),
        kind: written.kind.to_owned(),
        draft: draft_json(&id, body, written.apart, written.readers).into_bytes(),
        made: written.made,
    };
    let attachment = Attachment {
        committee: to.committee,
        id: new.id.clone(),
        to: to.id.clone(),
        blob,
        fault: None,
    };
    let saved = Saved { reference, id: new.id.clone(), unknown: Vec::new(), is_apart };
    Ok((no, attachment, new, saved))
}

/// Saves what is wanted of the roster, and returns its ULID.
pub fn save_intent(
    app: &mut App,
    committee: CommitteeNo,
    intent: &Intent,
) -> Result<String, Failure> {
    Ok(save_intents(app, &[(committee, intent.clone())])?.remove(0))
}

/// Saves several at once: all of them or none. Returns their ULIDs.
pub fn save_intents(
    app: &mut App,
    intents: &[(CommitteeNo, Intent)],
) -> Result<Vec<String>, Failure> {
    let made = app.clock.now();
    app.vault.write(|vault| {
        let save = |(committee, intent): &(CommitteeNo, Intent)| {
            put_intent(vault, *committee, intent, made)
        };
        intents.iter().map(save).collect()
    })
}

/// Saves one in a transaction that stands open, and returns its ULID.
pub(crate) fn put_intent(
    vault: &Write<'_>,
    committee: CommitteeNo,
    intent: &Intent,
    made: UnixMillis,
) -> Result<String, Failure> {
    let id = new_id(made)?.to_string();
    let new = NewDraft {
        committee,
        what: What::Roster,
        reference: Ref::new("RC", id.as_bytes()).to_string(),
        kind: intent.name().to_owned(),
        draft: serde_json::to_vec(intent).expect("an intent is plain strings and numbers"),
        id: id.clone(),
        made,
    };
    vault.save_draft(&new)?;
    Ok(id)
}

/// What a draft wants of the roster.
pub(crate) fn intent_of(draft: &Draft) -> Result<Intent, Failure> {
    serde_json::from_slice(&draft.new.draft).map_err(|_| {
        VaultError::Damaged("a roster change in the outbox does not read".to_owned()).into()
    })
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

/// The draft as it is kept and shown: the part for named readers stands in clear in `sealed`.
fn draft_json(
    id: &RecordId,
    body: RecordBody,
    apart: Map<String, Value>,
    readers: &[MemberNumber],
) -> String {
    let mut record = Map::new();
    record.insert("id".to_owned(), json!(id.to_string()));
    record.extend(body.fields);
    if !apart.is_empty() {
        record.insert(SEALED.to_owned(), Value::Object(apart));
        let readers: Vec<u32> = readers.iter().map(|member| member.0).collect();
        record.insert(READERS.to_owned(), json!(readers));
    }
    Value::Object(record).to_string()
}

/// Binds it as sending will, to nowhere: what could never be sealed must not be saved.
fn must_be_sealable(
    body: &RecordBody,
    apart: &Map<String, Value>,
    id: &RecordId,
) -> Result<(), Failure> {
    let author = DeviceId(Hash::ZERO);
    let nowhere = Binding { committee: CommitteeId::NONE, author, epoch: Epoch(u32::MAX) };
    let inner = RecordBody { fields: apart.clone() }.bind(&nowhere, id, &[0; SALT_BYTES]);
    let bound = inner.and_then(|inner| {
        let mut outer = body.clone();
        if !apart.is_empty() {
            // As long as the longest that it can become: base64 takes four bytes for three.
            let stanzas = limits::NAMED_READERS_MAX * limits::STANZA_BYTES_MAX;
            let sealed = "A".repeat((inner.plaintext.len() + stanzas) * 4 / 3);
            outer.fields.insert(SEALED.to_owned(), Value::String(sealed));
        }
        outer.bind(&nowhere, id, &[0; SALT_BYTES])
    });
    bound.map(|_| ()).map_err(|error| {
        Failure::new(Error::Usage, "The record cannot be sealed")
            .because(error)
            .safe("Nothing was saved; the input is as it was.")
            .next("Shorten it, or split it into several records.")
    })
}

/// A fresh id of something that was made then.
pub(crate) fn new_id(made: UnixMillis) -> Result<RecordId, Failure> {
    let ulid = Ulid::from_parts(made.0, u128::from_be_bytes(random::bytes()?)).to_string();
    Ok(ulid.parse().expect("a ULID prints as one"))
}

fn nothing_for_readers() -> Failure {
    Failure::new(Error::Usage, "Nothing in this record is for named readers")
        .safe("Nothing was saved; the input is as it was.")
        .next("Give it \"class\": \"H2\", or leave --reader out.")
}

#[cfg(test)]
mod tests;
