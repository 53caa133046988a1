//! What the log holds, as people see it: records opened into the catalog, listed and shown.
//!
//! What does not open, or fits its header not, is listed as `unopened` with its author and the
//! reason; it is never skipped, and nothing of its content is shown.

use std::collections::BTreeSet;

use sealpost_protocol::entry::{Admitted, Blob, Header, Kind, UnverifiedEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{Epoch, LeafIndex, UnixMillis};
use sealpost_protocol::record::{self as plain, Binding};
use sealpost_protocol::reference::Ref;
use serde_json::Value;

use crate::app::App;
use crate::attachments::details::PeerAttachmentError;
use crate::attachments::{self, Details};
use crate::confirmed::{HeldBy, Holders};
use crate::cores;
use crate::cosignatures::Judged;
use crate::error::{Failure, Kind as Error};
use crate::forget::{FORGOTTEN, WITHHELD};
use crate::keys::{self, Keys};
use crate::kinds;
use crate::log::Log;
use crate::names::{self, People, Wanted};
use crate::ui::time;
use crate::vault::attachments::Attachment;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::outbox::{Draft, What};
use crate::vault::records::{Content, Record};
use crate::vault::{Read, VaultError, Write};

/// The longest kind that is listed by its name: one of a newer program. Anybody can write more.
const KIND_BYTES_MAX: usize = 64;

/// Records that are opened at once, and are in memory until they are in the catalog.
const OPENED_AT_ONCE: usize = 1_024;

/// A record as listed.
#[derive(Debug)]
pub struct Listed {
    /// Its REF.
    pub reference: String,
    /// Its kind; empty when it could not be opened, or is no name of a kind.
    pub kind: String,
    /// Its committee's REF.
    pub committee: String,
    /// Its author's handle, or device REF.
    pub author: String,
    /// When it was written, as its author says.
    pub made: UnixMillis,
    /// Its state, in the design's words.
    pub state: &'static str,
    /// By whom else it is held, once it is in the log.
    pub held: Option<HeldBy>,
}

/// A record as shown.
#[derive(Debug)]
pub struct Shown {
    /// Its REF.
    pub reference: String,
    /// Its state, in the design's words.
    pub state: &'static str,
    /// By whom else it is held, once it is in the log.
    pub held: Option<HeldBy>,
    /// Its fields.
    pub record: Value,
    /// Its place in the log, once it has one.
    pub entry: Option<Place>,
    /// The files attached to it.
    pub attachments: Vec<attachments::state::Shown>,
}

/// A record that something is done about.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its committee.
    pub committee: CommitteeNo,
    /// Its id, as its author gave it.
    pub id: String,
    /// Its REF.
    pub reference: String,
    /// Its kind.
    pub kind: String,
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

/// Opens the records among newly admitted entries into the catalog.
pub fn open_new(
    vault: &Write<'_>,
    keys: &mut Keys<'_>,
    no: CommitteeNo,
    admitted: &[Admitted],
) -> Result<(), Failure> {
    let is_record = |new: &&Admitted| new.entry.header().kind == Kind::Record;
    let records: Vec<&Admitted> = admitted.iter().filter(is_record).collect();
    for some in records.chunks(OPENED_AT_ONCE) {
        for Admitted { entry, .. } in some {
            keys.of(vault, entry.header().epoch)?;
        }
        let ready = &*keys;
        let opened = cores::map(some.to_vec(), |Admitted { entry, .. }| {
            open_with(ready, entry.header(), entry.payload())
        });
        for (Admitted { index, entry, .. }, content) in some.iter().zip(opened) {
            put(vault, no, *index, entry.header(), entry.leaf(), content)?;
        }
    }
    Ok(())
}

/// Opens the record of an entry whose payload came late.
pub fn open_late(
    vault: &Write<'_>,
    keys: &mut Keys<'_>,
    no: CommitteeNo,
    index: LeafIndex,
    entry: &UnverifiedEntry,
) -> Result<(), Failure> {
    let content = open(vault, keys, entry.header(), entry.payload())?;
    put(vault, no, index, entry.header(), entry.leaf(), content)
}

/// Opens again what could not be opened before these epochs were held.
pub fn open_again(
    vault: &Write<'_>,
    keys: &mut Keys<'_>,
    no: CommitteeNo,
    gained: &BTreeSet<Epoch>,
) -> Result<(), Failure> {
    for epoch in gained {
        for record in vault.unopened(no, *epoch)? {
            let entry = keys::entry_at(vault, no, record.index)?;
            // What was forgotten or is withheld stays so, whatever keys come.
            if entry.payload().is_some() {
                let content = open(vault, keys, entry.header(), entry.payload())?;
                put(vault, no, record.index, entry.header(), entry.leaf(), content)?;
            }
        }
    }
    Ok(())
}

/// A record as it came out of its payload.
struct Opened {
    record: plain::Record,
    /// Its whole plaintext.
    json: String,
    /// What it says of a blob, when it is an attachment's and for us.
    attachment: Option<Details>,
}

/// The record in a payload; or in words why there is none.
fn open(
    vault: &Read<'_>,
    keys: &mut Keys<'_>,
    header: &Header,
    payload: Option<&[u8]>,
) -> Result<Result<Opened, String>, Failure> {
    keys.of(vault, header.epoch)?;
    Ok(open_with(keys, header, payload))
}

/// As [`open`], with the keys that are ready.
fn open_with(keys: &Keys<'_>, header: &Header, payload: Option<&[u8]>) -> Result<Opened, String> {
    let payload = payload.ok_or(WITHHELD)?;
    let epoch_keys =
        keys.ready(header.epoch).ok_or_else(|| format!("no key for lock {}", header.epoch))?;
    let plaintext = epoch_keys.open_record(payload).map_err(|error| error.to_string())?;
    let (committee, author) = (header.committee, header.author);
    let binding = Binding { committee, author, epoch: header.epoch };
    let record = plain::Record::open(&plaintext, &binding, &header.content)
        .map_err(|error| error.to_string())?;
    let json = as_shown(&record, &plaintext, keys);
    let attachment =
        attachment(&record, &json, &header.blobs).map_err(|error| error.to_string())?;
    Ok(Opened { record, json, attachment })
}

/// What an attachment's record says of its blob, if it is one and for us.
fn attachment(
    record: &plain::Record,
    json: &str,
    blobs: &[Blob],
) -> Result<Option<Details>, PeerAttachmentError> {
    let kind = record.body().fields.get("kind").and_then(Value::as_str);
    if kind != Some(attachments::KIND) {
        return Ok(None);
    }
    Details::of_entry(&serde_json::from_str(json).unwrap_or_default(), blobs)
}

/// A record's plaintext. The part for named readers stands in clear in `sealed` if this device is
/// one of them; else it stays the sealed text that it is for everybody else.
fn as_shown(record: &plain::Record, plaintext: &[u8], keys: &Keys<'_>) -> String {
    let text = String::from_utf8_lossy(plaintext).trim_end().to_owned();
    let Ok(inner) = record.open_named(keys.device().hybrid()) else { return text };
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&text) else { return text };
    fields.insert(plain::SEALED.to_owned(), Value::Object(inner.fields));
    Value::Object(fields).to_string()
}

/// Puts a record into the catalog.
///
/// Of records with one id the first of its author counts: the others are the same, sealed anew
/// because its author could not know that it had arrived. Another record with that id, by another
/// author or in another committee, gets a name of its own, so that nobody can push a colleague's
/// record aside by copying its id.
fn put(
    vault: &Write<'_>,
    no: CommitteeNo,
    index: LeafIndex,
    header: &Header,
    leaf: Hash,
    content: Result<Opened, String>,
) -> Result<(), Failure> {
    let (id, kind, content) = match content {
        Ok(Opened { record, json, attachment }) => {
            let id = record.id().to_string();
            let place = (no, index);
            let mut same_id = vault.records_by_id(&id)?;
            same_id.retain(|held| (held.committee, held.index) != place);
            let again = |held: &Record| {
                held.committee == no && held.index < index && held.author == header.author
            };
            let is_again = same_id.iter().any(again);
            let wire_id = id.clone();
            let id = if same_id.is_empty() { id } else { leaf.to_string() };
            if let Some(Details { to, blob, .. }) = attachment {
                let id = id.clone();
                vault.put_attachment(&Attachment { committee: no, id, to, blob, fault: None })?;
            }
            let kind = record.body().fields.get("kind").and_then(Value::as_str);
            let kind = kind.filter(|kind| kind.len() <= KIND_BYTES_MAX);
            let content = if is_again { Content::Again(wire_id) } else { Content::Opened(json) };
            (id, kind.unwrap_or_default().to_owned(), content)
        }
        Err(why) => (leaf.to_string(), String::new(), Content::Unopened(why)),
    };
    let reference = Ref::new(&kinds::prefix_of(&kind), id.as_bytes()).to_string();
    vault.put_record(&Record {
        committee: no,
        index,
        id,
        reference,
        kind,
        author: header.author,
        epoch: header.epoch,
        made: header.made_at,
        content,
    })?;
    Ok(())
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
            let people = People::load(vault, committee.no)?;
            let records = vault.records(committee.no)?;
            let holders = match records.as_slice() {
                [] => None,
                _ => holders(vault, committee.no)?,
            };
            let held =
                |record: &Record| Some(holders.as_ref()?.holding(record.index, record.author));
            let listed = |record| listed(committee, record, held(record), &people);
            rows.extend(records.iter().map(listed));
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
    app.vault.read(|vault| show_in(vault, typed))
}

/// As [`show`], in a transaction that stands open.
pub fn show_in(vault: &Read<'_>, typed: &str) -> Result<Shown, Failure> {
    find(vault, typed)?.shown(vault)
}

/// All records of a committee that could be opened, and those not sent yet, each with its author's name.
pub fn readable(vault: &Read<'_>, committee: &Committee) -> Result<Vec<(String, Shown)>, Failure> {
    let people = People::load(vault, committee.no)?;
    let mut all = Vec::new();
    for record in vault.records(committee.no)? {
        if matches!(record.content, Content::Opened(_)) {
            all.push((people.name(&record.author), Found::Logged(record)));
        }
    }
    let own = vault.own()?.handle;
    let drafts = vault.drafts()?.into_iter();
    let of_it = drafts
        .filter(|draft| draft.new.committee == committee.no && draft.new.what == What::Record);
    all.extend(of_it.map(|draft| (own.clone(), Found::Unsent(draft))));
    let shown = |(author, found): (String, Found)| {
        found.shown_by(author.clone()).map(|shown| (author, shown))
    };
    all.into_iter().map(shown).collect()
}

/// The sealed payload of the record that `typed` names: the age file in the log.
pub fn sealed(app: &App, typed: &str) -> Result<Vec<u8>, Failure> {
    app.vault.read(|vault| match find(vault, typed)? {
        Found::Logged(record) => {
            let entry = keys::entry_at(vault, record.committee, record.index)?;
            entry.payload().map(<[u8]>::to_vec).ok_or_else(|| {
                Failure::new(Error::NotFound, format!("{} was forgotten", record.reference))
            })
        }
        Found::Unsent(draft) => {
            let entry = vault.signed_entry(draft.no)?;
            let signed = entry.and_then(|entry| UnverifiedEntry::decode(&entry).ok());
            let payload = signed.as_ref().and_then(UnverifiedEntry::payload).map(<[u8]>::to_vec);
            payload.ok_or_else(|| {
                let what = format!(
                    "{} is not sealed yet: it is sealed when it is sent",
                    draft.new.reference
                );
                Failure::new(Error::NotDelivered, what).next("sealpost sync")
            })
        }
    })
}

/// The record that `typed` names, for something to be done about it; one that could not be opened is none.
pub fn owner(vault: &Read<'_>, typed: &str) -> Result<Owner, Failure> {
    let found = find(vault, typed)?;
    match &found {
        Found::Logged(record) => match &record.content {
            Content::Opened(_) => Ok(found.owner()),
            Content::Again(_) => Err(not_json()),
            Content::Unopened(why) => {
                let author = People::load(vault, record.committee)?.name(&record.author);
                Err(unopened(record, &author, why))
            }
        },
        Found::Unsent(_) => Ok(found.owner()),
    }
}

/// The draft of a record that `typed` names, if it is one that is not in the log.
pub fn draft(vault: &Read<'_>, typed: &str) -> Result<Option<Draft>, Failure> {
    Ok(match find(vault, typed)? {
        Found::Unsent(draft) => Some(draft),
        Found::Logged(_) => None,
    })
}

/// The record that `typed` names, which must be in the log.
pub fn in_log(vault: &Read<'_>, typed: &str) -> Result<Record, Failure> {
    match find(vault, typed)? {
        Found::Logged(record) => Ok(record),
        Found::Unsent(draft) => {
            let what = format!("{} is not in the log yet: nobody else has it", draft.new.reference);
            Err(Failure::new(Error::NotDelivered, what).next("sealpost sync"))
        }
    }
}

fn find(vault: &Read<'_>, typed: &str) -> Result<Found, Failure> {
    let wanted = Wanted::parse_any(typed)?;
    let in_log = logged(vault, &wanted)?.into_iter().map(Found::Logged);
    let unsent = vault.drafts()?.into_iter().filter(|draft| draft.new.what == What::Record);
    let all = in_log.chain(unsent.map(Found::Unsent));
    wanted.one_of(all, Found::id, Found::reference)
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

    fn shown(self, vault: &Read<'_>) -> Result<Shown, Failure> {
        let author = match &self {
            Self::Logged(record) => People::load(vault, record.committee)?.name(&record.author),
            Self::Unsent(_) => String::new(),
        };
        let Owner { committee, id, .. } = self.owner();
        let attachments = attachments::state::of_record(vault, committee, &id)?;
        let held = match &self {
            Self::Logged(record) => held_by(vault, record)?,
            Self::Unsent(_) => None,
        };
        let shown = self.shown_by(author)?;
        let state = held.map_or(shown.state, |held| held.state());
        Ok(Shown { attachments, held, state, ..shown })
    }

    fn owner(&self) -> Owner {
        match self {
            Self::Logged(record) => Owner {
                committee: record.committee,
                id: own_id(record),
                reference: record.reference.clone(),
                kind: record.kind.clone(),
            },
            Self::Unsent(draft) => Owner {
                committee: draft.new.committee,
                id: draft.new.id.clone(),
                reference: draft.new.reference.clone(),
                kind: draft.new.kind.clone(),
            },
        }
    }

    /// `author` is how the author of one in the log is called. Without what is attached, and who holds it.
    fn shown_by(self, author: String) -> Result<Shown, Failure> {
        match self {
            Self::Unsent(draft) => Ok(Shown {
                reference: draft.new.reference,
                state: draft.sending.as_str(),
                held: None,
                record: serde_json::from_slice(&draft.new.draft).map_err(|_| not_json())?,
                entry: None,
                attachments: Vec::new(),
            }),
            Self::Logged(record) => {
                let json = match &record.content {
                    Content::Opened(json) => json,
                    Content::Unopened(why) => return Err(unopened(&record, &author, why)),
                    Content::Again(first) => {
                        let what = format!("{} is {first} once more", record.reference);
                        return Err(Failure::new(Error::NotFound, what)
                            .next(format!("sealpost record show {first}")));
                    }
                };
                Ok(Shown {
                    state: "accepted",
                    held: None,
                    record: serde_json::from_str(json).map_err(|_| not_json())?,
                    attachments: Vec::new(),
                    entry: Some(Place {
                        author,
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

/// The id that a record has for its author, and for what is attached to it. In the catalog another may
/// stand in its place, where somebody copied it.
pub(crate) fn own_id(record: &Record) -> String {
    let Content::Opened(json) = &record.content else { return record.id.clone() };
    let json: Value = serde_json::from_str(json).unwrap_or_default();
    json.get("id").and_then(Value::as_str).map_or_else(|| record.id.clone(), str::to_owned)
}

fn logged(vault: &Read<'_>, wanted: &Wanted) -> Result<Vec<Record>, VaultError> {
    match wanted {
        Wanted::Ref(reference) => vault.records_by_ref(&reference.to_string()),
        Wanted::Full(id) => vault.records_by_id(id),
    }
}

/// By how many others a record in the log is held.
pub fn held_by(vault: &Read<'_>, record: &Record) -> Result<Option<HeldBy>, Failure> {
    let holders = holders(vault, record.committee)?;
    Ok(holders.map(|holders| holders.holding(record.index, record.author)))
}

/// None before the first pull.
fn holders(vault: &Read<'_>, no: CommitteeNo) -> Result<Option<Holders>, Failure> {
    let log = Log::load(vault, no)?;
    let judged = Judged::load(vault, &log)?;
    log.fold().map(|_| Holders::of(&log, &judged)).transpose()
}

fn listed(committee: &Committee, record: &Record, held: Option<HeldBy>, people: &People) -> Listed {
    let held = held.filter(|_| matches!(record.content, Content::Opened(_)));
    Listed {
        reference: record.reference.clone(),
        kind: record.kind.clone(),
        committee: names::committee_ref(&committee.id).to_string(),
        author: people.name(&record.author),
        made: record.made,
        state: match &record.content {
            Content::Opened(_) => held.map_or("accepted", |held| held.state()),
            Content::Unopened(why) if why == FORGOTTEN => "forgotten",
            Content::Unopened(_) | Content::Again(_) => "unopened",
        },
        held,
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
        held: None,
    }
}

fn unopened(record: &Record, author: &str, why: &str) -> Failure {
    let device = names::device_ref(&record.author);
    if why == FORGOTTEN {
        let what = format!("{} by {author} ({device}) was forgotten", record.reference);
        return Failure::new(Error::NotFound, what)
            .next("Its entry stays in the log: sealpost record list");
    }
    let what = format!(
        "{} by {author} ({device}), made {}, could not be opened: {why}",
        record.reference,
        time::rfc3339(record.made),
    );
    Failure::new(Error::Failed, what).next("sealpost sync, then ask its author.")
}

fn not_json() -> Failure {
    VaultError::Damaged("a record in it is no JSON".to_owned()).into()
}

#[cfg(test)]
mod tests;
