//! Forgetting records: wanted, decided, and done here.
//!
//! ```text
//! record forget ── forget entries ── relay ── in force at once, or by the last approval
//!                                       └> pulled: payload, plaintext and blob are dropped here
//! ```
//!
//! The log goes on to verify: header, author and hash of what was forgotten stay in it. What waits in the
//! outbox to be attached to it goes with it, and is never sent.

use std::time::Duration;

use sealpost_protocol::change::Role;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::forget::Forget;
use sealpost_protocol::id::{LeafIndex, MemberNumber};
use sealpost_protocol::limits;
use sealpost_protocol::roster::{Proposed, Roster};

use crate::app::App;
use crate::attachments;
use crate::catalog;
use crate::changes::{Intent, parsed};
use crate::deliver::{Delivery, deliver_all};
use crate::error::{Failure, Kind as Error};
use crate::keys;
use crate::log::Log;
use crate::names;
use crate::outbox;
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{Draft, Sending};
use crate::vault::records::{Content, Record};
use crate::vault::{Read, VaultError, Write};

/// What stands in the place of a forgotten record.
pub const FORGOTTEN: &str = "it was forgotten";
/// What stands in the place of one whose payload the relay left out, though nothing forgot it.
pub const WITHHELD: &str = "the relay withholds it";

/// What is to be forgotten together.
#[derive(Debug)]
pub struct Wanted {
    /// Its committee.
    pub committee: CommitteeNo,
    /// What the log has: the record, what is attached to it, and either of them once more.
    pub records: Vec<Record>,
    /// What waits to be attached to it, and was not signed yet; or the record itself.
    pub drafts: Vec<Draft>,
    /// What is attached to it by others, whom only a coordinator can speak for.
    pub others: Vec<Record>,
    /// Attachments of the committee for named readers: to which records, this device cannot see.
    pub unmatched: usize,
}

/// What became of a wish to forget.
#[derive(Debug)]
pub enum Outcome {
    /// All is forgotten, at the relay and here.
    Forgotten,
    /// Some waits for other coordinators, under these REFs.
    Waits(Vec<String>),
    /// Others came before: some of it is neither forgotten nor waits.
    Overtaken,
    /// It is in the vault, and why it is not sent.
    Saved(Failure),
}

/// The record that `typed` names and, unless only that is meant, what is attached to it: as far as this
/// device may have it forgotten.
pub fn wanted(app: &App, typed: &str, alone: bool) -> Result<Wanted, Failure> {
    app.vault.read(|vault| match catalog::draft(vault, typed)? {
        Some(draft) => unsent(vault, draft),
        None => logged(app, vault, catalog::in_log(vault, typed)?, alone),
    })
}

/// A record that is not sent yet, with what waits to be attached to it.
fn unsent(vault: &Read<'_>, draft: Draft) -> Result<Wanted, Failure> {
    let committee = draft.new.committee;
    let attached = drafts_to(vault, committee, &draft.new.id)?;
    let drafts: Vec<Draft> = std::iter::once(draft).chain(attached).collect();
    if let Some(signed) = drafts.iter().find(|draft| draft.sending == Sending::Sending) {
        let what = format!("{} is on its way already", signed.new.reference);
        return Err(
            Failure::new(Error::NotDelivered, what).next("sealpost sync, then type it again")
        );
    }
    Ok(Wanted { committee, records: Vec::new(), drafts, others: Vec::new(), unmatched: 0 })
}

fn logged(app: &App, vault: &Read<'_>, record: Record, alone: bool) -> Result<Wanted, Failure> {
    let committee = record.committee;
    let roster = Log::load(vault, committee)?.pulled()?.roster().clone();
    let speaker = Speaker::of(app, &roster)?;
    if !speaker.may(&record) {
        let what = format!("{} is not yours: only a coordinator forgets it", record.reference);
        return Err(Failure::new(Error::NotAllowed, what).next("Ask a coordinator, or its author."));
    }
    let id = catalog::own_id(&record);
    let mut all = vec![record];
    let (mut drafts, mut unmatched) = (Vec::new(), 0);
    if !alone {
        for attachment in vault.attachments_to(committee, &id)? {
            let of_it = |one: &Record| one.committee == committee;
            all.extend(vault.records_by_id(&attachment.id)?.into_iter().find(of_it));
        }
        drafts = drafts_to(vault, committee, &id)?;
        unmatched = for_named_readers(vault, committee)?;
    }
    for at in 0..all.len() {
        let author = all[at].author;
        let again = vault.again(committee, &catalog::own_id(&all[at]))?;
        all.extend(again.into_iter().filter(|one| one.author == author));
    }
    all.retain(|record| !is_forgotten_record(record));
    if all.is_empty() && drafts.is_empty() {
        return Err(Failure::new(Error::NotFound, "It was forgotten already").next("sealpost sync"));
    }
    let (records, others) = all.into_iter().partition(|record| speaker.may(record));
    Ok(Wanted { committee, records, drafts, others, unmatched })
}

/// Who wants something forgotten.
struct Speaker<'r> {
    roster: &'r Roster,
    role: Role,
    member: Option<MemberNumber>,
}

impl<'r> Speaker<'r> {
    fn of(app: &App, roster: &'r Roster) -> Result<Self, Failure> {
        let own = app.device.device_id();
        let role = roster.role_of(own).filter(|role| *role != Role::Reader);
        let role = role.ok_or_else(|| {
            Failure::new(Error::NotAllowed, "This device may not forget records there")
                .next("Ask a coordinator.")
        })?;
        Ok(Self { roster, role, member: roster.device(own).map(|device| device.member) })
    }

    fn may(&self, record: &Record) -> bool {
        let theirs = self.roster.device(record.author).map(|device| device.member);
        self.role == Role::Coordinator || theirs == self.member
    }
}

/// The drafts that are to be attached to a record.
fn drafts_to(vault: &Read<'_>, no: CommitteeNo, to: &str) -> Result<Vec<Draft>, Failure> {
    let attached = vault.attachments_to(no, to)?;
    let drafts = attached.iter().map(|attachment| vault.draft(&attachment.id));
    Ok(drafts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Attachments whose records this device cannot read.
fn for_named_readers(vault: &Read<'_>, no: CommitteeNo) -> Result<usize, Failure> {
    let mut count = 0;
    for record in vault.records(no)?.iter().filter(|record| record.kind == attachments::KIND) {
        count += usize::from(vault.attachment(no, &record.id)?.is_none());
    }
    Ok(count)
}

/// Wants it all forgotten, and tries to have that done at once.
pub fn forget(app: &mut App, wanted: &Wanted, patience: Duration) -> Result<Outcome, Failure> {
    let no = wanted.committee;
    must_fit(app, wanted)?;
    let intents = app.vault.read(|vault| {
        let intent = |record: &Record| {
            let leaf = keys::entry_at(vault, no, record.index)?.leaf();
            Ok((no, Intent::Forget { index: record.index.0, leaf: leaf.to_string() }))
        };
        wanted.records.iter().map(intent).collect::<Result<Vec<_>, Failure>>()
    })?;
    let ids = outbox::save_intents(app, &intents)?;
    app.vault.write(|vault| wanted.drafts.iter().try_for_each(|draft| drop_draft(vault, draft)))?;
    app.vault.drop_unnamed()?;
    if ids.is_empty() {
        return Ok(Outcome::Forgotten);
    }
    if let Delivery::Waiting(failure) = deliver_all(app, no, &ids, patience) {
        return Ok(Outcome::Saved(failure));
    }
    app.vault.drop_unnamed()?;
    app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let roster = log.pulled()?.roster();
        let mut waiting = Vec::new();
        for record in &wanted.records {
            if is_forgotten(vault, no, record.index)? {
                continue;
            }
            let about = |change: &Proposed| {
                matches!(change, Proposed::Forget(one) if one.index == record.index)
            };
            let waits = roster.proposals().find(|(_, proposal)| about(&proposal.change));
            let Some((leaf, _)) = waits else { return Ok(Outcome::Overtaken) };
            waiting.push(names::change_ref(&leaf).to_string());
        }
        Ok(if waiting.is_empty() { Outcome::Forgotten } else { Outcome::Waits(waiting) })
    })
}

/// So many as may wait for approvals.
fn must_fit(app: &App, wanted: &Wanted) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, wanted.committee))?;
    let Some(fold) = log.fold() else { return Ok(()) };
    let (roster, max) = (fold.roster(), limits::FORGETS_WAITING_MAX);
    let waiting = roster.proposals().filter(|(_, one)| matches!(one.change, Proposed::Forget(_)));
    if roster.policy().approvals < 2 || waiting.count() + wanted.records.len() <= max {
        return Ok(());
    }
    let what = format!("More than {max} records would wait to be forgotten");
    Err(Failure::new(Error::Usage, what)
        .next("Have others approve what waits: sealpost status; then type it again."))
}

/// Removes what was never sent, with what was known of its blob.
fn drop_draft(vault: &Write<'_>, draft: &Draft) -> Result<(), VaultError> {
    // It may have gone, or been signed, since it was looked at.
    let Some(now) = vault.draft(&draft.new.id)? else { return Ok(()) };
    if now.sending == Sending::Sending {
        return Ok(());
    }
    vault.forget_attachment(now.new.committee, &now.new.id)?;
    vault.remove_draft(now.no)
}

/// What a `forget` entry says.
pub(crate) fn payload(index: u64, leaf: &str) -> Result<Forget, Failure> {
    Ok(Forget { index: LeafIndex(index), leaf: parsed(leaf, "an entry")? })
}

/// Whether an entry of the verified log is forgotten.
pub(crate) fn is_forgotten(
    vault: &Read<'_>,
    no: CommitteeNo,
    index: LeafIndex,
) -> Result<bool, Failure> {
    let lacks = keys::entry_at(vault, no, index)?.payload().is_none();
    // One that is withheld lacks it too.
    Ok(lacks && !Log::load(vault, no)?.pulled()?.lacking().any(|withheld| withheld == index))
}

/// Whether what stands in the catalog is the place of a record that was forgotten.
fn is_forgotten_record(record: &Record) -> bool {
    matches!(&record.content, Content::Unopened(why) if why == FORGOTTEN)
}

/// Drops what a verified log says is forgotten: the payload, the plaintext, what was known of a blob, and
/// what waits to be attached to it.
pub(crate) fn here(vault: &Write<'_>, no: CommitteeNo, index: LeafIndex) -> Result<(), Failure> {
    let damaged = || VaultError::Damaged("an entry of a committee's log is missing".to_owned());
    let bytes = vault.entry(no, index)?.ok_or_else(damaged)?;
    let entry = UnverifiedEntry::decode(&bytes).map_err(|_| damaged())?;
    vault.replace_entry(no, index, &entry.with_payload_dropped().encode())?;
    let Some(record) = vault.record_at(no, index)? else { return Ok(()) };
    for draft in drafts_to(vault, no, &catalog::own_id(&record))? {
        drop_draft(vault, &draft)?;
    }
    vault.forget_attachment(no, &record.id)?;
    let content = Content::Unopened(FORGOTTEN.to_owned());
    Ok(vault.put_record(&Record { content, ..record })?)
}

#[cfg(test)]
mod tests;
