//! Forgetting records: wanted, decided, and done here.
//!
//! ```text
//! record forget ── forget entries ── relay ── in force at once, or by the last approval
//!                                       └> pulled: payload, plaintext and blob are dropped here
//! ```
//!
//! The log goes on to verify: header, author and hash of what was forgotten stay in it.

use std::collections::BTreeSet;
use std::time::Duration;

use sealpost_protocol::change::Role;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::forget::Forget;
use sealpost_protocol::id::LeafIndex;
use sealpost_protocol::roster::Proposed;

use crate::app::App;
use crate::catalog;
use crate::changes::{Intent, parsed};
use crate::deliver::{Delivery, deliver_all};
use crate::error::{Failure, Kind as Error};
use crate::keys;
use crate::log::Log;
use crate::names;
use crate::outbox;
use crate::vault::committees::CommitteeNo;
use crate::vault::records::{Content, Record};
use crate::vault::{Read, VaultError, Write};

/// What stands in the place of a forgotten record.
pub const FORGOTTEN: &str = "it was forgotten";

/// Records that are to be forgotten together.
#[derive(Debug)]
pub struct Wanted {
    /// Their committee.
    pub committee: CommitteeNo,
    /// The record, and then what is attached to it.
    pub records: Vec<Record>,
}

/// What became of a wish to forget.
#[derive(Debug)]
pub enum Outcome {
    /// All is forgotten, at the relay and here.
    Forgotten,
    /// Some waits for other coordinators, under these REFs.
    Waits(Vec<String>),
    /// It is in the vault, and why it is not sent.
    Saved(Failure),
}

/// The record that `typed` names and, unless only that is meant, what is attached to it.
pub fn wanted(vault: &Read<'_>, typed: &str, alone: bool) -> Result<Wanted, Failure> {
    let record = catalog::in_log(vault, typed)?;
    let committee = record.committee;
    let attached = if alone { Vec::new() } else { vault.attachments_to(committee, &record.id)? };
    let mut records = vec![record];
    for attachment in attached {
        let of_it = |one: &Record| one.committee == committee;
        records.extend(vault.records_by_id(&attachment.id)?.into_iter().find(of_it));
    }
    records.retain(|record| !is_forgotten_record(record));
    if records.is_empty() {
        return Err(Failure::new(Error::NotFound, "It was forgotten already").next("sealpost sync"));
    }
    Ok(Wanted { committee, records })
}

/// An error unless this device may forget them all: its member's own, or any as a coordinator.
pub fn must_be_allowed(app: &App, wanted: &Wanted) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, wanted.committee))?;
    let roster = log.pulled()?.roster();
    let own = app.device.device_id();
    let role = roster.role_of(own);
    let member = roster.device(own).map(|device| device.member);
    let theirs =
        |record: &&Record| roster.device(record.author).map(|device| device.member) != member;
    let others = wanted.records.iter().find(theirs);
    match (role, others) {
        (Some(Role::Coordinator), _) | (Some(Role::Member), None) => Ok(()),
        (Some(Role::Member), Some(record)) => {
            let what = format!("{} is not yours: only a coordinator forgets it", record.reference);
            Err(Failure::new(Error::NotAllowed, what).next("Ask a coordinator, or its author."))
        }
        (Some(Role::Reader) | None, _) => {
            Err(Failure::new(Error::NotAllowed, "This device may not forget records there")
                .next("Ask a coordinator."))
        }
    }
}

/// Wants them forgotten, and tries to have that done at once.
pub fn forget(app: &mut App, wanted: &Wanted, patience: Duration) -> Result<Outcome, Failure> {
    let no = wanted.committee;
    let intents = app.vault.read(|vault| {
        let intent = |record: &Record| {
            let leaf = keys::entry_at(vault, no, record.index)?.leaf();
            Ok((no, Intent::Forget { index: record.index.0, leaf: leaf.to_string() }))
        };
        wanted.records.iter().map(intent).collect::<Result<Vec<_>, Failure>>()
    })?;
    let ids = outbox::save_intents(app, &intents)?;
    if let Delivery::Waiting(failure) = deliver_all(app, no, &ids, patience) {
        return Ok(Outcome::Saved(failure));
    }
    let places: BTreeSet<LeafIndex> = wanted.records.iter().map(|record| record.index).collect();
    app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let about = |change: &Proposed| {
            matches!(change, Proposed::Forget(forgetting) if places.contains(&forgetting.index))
        };
        let proposals = log.pulled()?.roster().proposals();
        let waiting: Vec<String> = proposals
            .filter(|(_, proposal)| about(&proposal.change))
            .map(|(leaf, _)| names::change_ref(&leaf).to_string())
            .collect();
        Ok(if waiting.is_empty() { Outcome::Forgotten } else { Outcome::Waits(waiting) })
    })
}

/// What a `forget` entry says.
pub(crate) fn payload(index: u64, leaf: &str) -> Result<Forget, Failure> {
    Ok(Forget { index: LeafIndex(index), leaf: parsed(leaf, "an entry")? })
}

/// Whether an entry of the verified log is here without its payload.
pub(crate) fn is_forgotten(
    vault: &Read<'_>,
    no: CommitteeNo,
    index: LeafIndex,
) -> Result<bool, Failure> {
    Ok(keys::entry_at(vault, no, index)?.payload().is_none())
}

/// Whether what stands in the catalog is the place of a record that was forgotten.
pub(crate) fn is_forgotten_record(record: &Record) -> bool {
    matches!(&record.content, Content::Unopened(why) if why == FORGOTTEN)
}

/// Drops what a verified log says is forgotten: the payload, the plaintext, and what was known of a blob.
pub(crate) fn here(vault: &Write<'_>, no: CommitteeNo, index: LeafIndex) -> Result<(), Failure> {
    let damaged = || VaultError::Damaged("an entry of a committee's log is missing".to_owned());
    let bytes = vault.entry(no, index)?.ok_or_else(damaged)?;
    let entry = UnverifiedEntry::decode(&bytes).map_err(|_| damaged())?;
    vault.replace_entry(no, index, &entry.with_payload_dropped().encode())?;
    let Some(record) = vault.record_at(no, index)? else { return Ok(()) };
    vault.forget_attachment(no, &record.id)?;
    let content = Content::Unopened(FORGOTTEN.to_owned());
    Ok(vault.put_record(&Record { content, ..record })?)
}

#[cfg(test)]
mod tests;
