//! Sending what waits: sealed late, signed once, and then the same bytes until the log has them.
//!
//! ```text
//! draft ── reconcile (could its bytes still be admitted?) ── seal, sign ── vault ── relay
//!       <── receipt under a signed note, kept ── the log pulled past it ── draft removed
//! ```
//!
//! A draft leaves the outbox only when the verified log has its entry. Bytes are taken off a draft
//! again only when the verified log can never admit them; what a relay says is not enough.

use minicbor::bytes::ByteVec;
use sealpost_protocol::checkpoint::SignedCheckpoint;
use sealpost_protocol::code::Code;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::entry::{Blob, Entry, Header, Kind, UnverifiedEntry, VERSION};
use sealpost_protocol::frame::{PushRequest, PushResult, Pushed, Refused, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::id::{AuthorSeq, DeviceId, Epoch, LeafIndex, MemberNumber, UnixMillis};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::record::{Binding, Fields, LocalRecordError, RecordBody, RecordId, SEALED};
use sealpost_protocol::roster::PeerRosterError;
use sealpost_protocol::seal::Label;
use sealpost_protocol::{codec, tree};
use serde_json::Value;

use crate::app::App;
use crate::changes::build::{Maker, build, no_key};
use crate::changes::{self, Intent};
use crate::error::{Failure, Kind as Error};
use crate::forget;
use crate::keys::Keys;
use crate::lease::Lease;
use crate::lie::{Caught, FollowError, Lie};
use crate::log::{self, Log, Pulled};
use crate::names::{self, People};
use crate::outbox::{READERS, intent_of};
use crate::pull::{self, Brought, Goal};
use crate::random;
use crate::relay;
use crate::transport::Connection;
use crate::turns;
use crate::vault::ahead::Ahead;
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{Draft, DraftNo, Refusal, Signed, What};
use crate::vault::receipts::Receipt;
use crate::vault::records::Record;
use crate::vault::{Read, VaultError, Write};

/// Entry bytes in one push, unless a single entry is longer.
const PUSH_BYTES: usize = 1024 * 1024;
/// Entries in one push.
const PUSH_ENTRIES: usize = 64;
/// How often a sync signs anew because others were quicker. They are people: a few is many.
const ROUNDS_MAX: usize = 1_000;

/// An entry on its way.
pub(crate) struct InFlight {
    draft: DraftNo,
    reference: String,
    leaf: Hash,
    /// Whether it is a suspension.
    cuts_off: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Sends what waits for committee `no`, whose log was followed to its head just before.
pub async fn send(
    app: &mut App,
    connection: &Connection,
    no: CommitteeNo,
) -> Result<Brought, FollowError> {
    let mut brought = Brought::default();
    for _ in 0..ROUNDS_MAX {
        if app.vault.read(|vault| vault.stop(no))?.is_some() {
            // It lied since the log was followed.
            break;
        }
        let (log, batch) = prepare(app, no)?;
        if batch.is_empty() {
            break;
        }
        brought.refused.clear();
        let answer = push(app, connection, &log, &batch, &mut brought.refused).await?;
        let accepted = answer.accepted;
        let followed = follow(app, connection, no, answer).await?;
        let (moved, sent) = (followed.received > 0, followed.sent > 0);
        brought.add(followed);
        if !accepted && !moved && !sent {
            // Refused, and nothing in the log says why: the same would be refused again.
            break;
        }
    }
    Ok(brought)
}

/// Sends the cut-offs that wait, on top of the log as it is known: whoever is cut off must not gain the
/// time that pulling takes. What is in flight goes before them, for its place in this device's chain is
/// taken. What that brought goes to `brought`. Whether the relay took them all; if not, [`send`] tries
/// again.
pub async fn send_cut_offs(
    app: &mut App,
    connection: &Connection,
    no: CommitteeNo,
    brought: &mut Brought,
) -> Result<bool, FollowError> {
    let mut taken = false;
    if app.vault.read(|vault| vault.stop(no))?.is_some() {
        // The relay has to show first what was verified: they go right after that.
        return Ok(false);
    }
    while app.vault.read(|vault| turns::cut_off_waits(vault, no))? {
        let (log, batch) = prepare(app, no)?;
        if batch.is_empty() {
            break;
        }
        let answer = push(app, connection, &log, &batch, &mut Vec::new()).await?;
        taken = answer.accepted && batch.iter().all(|flying| flying.cuts_off);
        let Some(pulled) = answer.stretch else { return Ok(taken) };
        brought.add(pull::accept(app, no, &pulled)?.0);
    }
    Ok(taken)
}

/// What an answer to a push came to.
#[derive(Debug)]
struct Answer {
    /// Whether anything was accepted.
    accepted: bool,
    /// When the log grew by this batch and nothing else: that stretch of it. It need not be pulled.
    stretch: Option<Pulled>,
}

/// Follows the log past what was pushed.
async fn follow(
    app: &mut App,
    connection: &Connection,
    no: CommitteeNo,
    answer: Answer,
) -> Result<Brought, FollowError> {
    let Some(pulled) = answer.stretch else { return pull::follow(app, connection, no).await };
    let (mut brought, goal) = pull::accept(app, no, &pulled)?;
    if goal == Goal::Ahead {
        brought.add(pull::follow(app, connection, no).await?);
    }
    Ok(brought)
}

/// Pushes a batch and keeps what the relay signed for it.
async fn push(
    app: &mut App,
    connection: &Connection,
    log: &Log,
    batch: &[InFlight],
    refused: &mut Vec<String>,
) -> Result<Answer, FollowError> {
    let entries = batch.iter().map(|flying| ByteVec::from(flying.bytes.clone())).collect();
    let request = Request::Push(PushRequest { committee: log.known.id, entries });
    let Reply::Pushed(pushed) = relay::ask(connection, &request).await? else {
        return Err(relay::unexpected().into());
    };
    take_answer(app, log, batch, &pushed, refused)
}

/// Holds an answer against what it is signed with, and keeps what binds the relay.
fn take_answer(
    app: &mut App,
    log: &Log,
    batch: &[InFlight],
    pushed: &Pushed,
    refused: &mut Vec<String>,
) -> Result<Answer, FollowError> {
    let note = log.verify_note(&pushed.checkpoint)?;
    if let Some(caught) = app.vault.read(|vault| log.held_against(vault, &note))? {
        return Err(caught.into());
    }
    if pushed.results.len() != batch.len() {
        let (sent, got) = (batch.len(), pushed.results.len());
        return Err(Lie::Results { sent, got }.into());
    }
    check_receipts(batch, pushed, &note)?;
    let now = app.clock.now();
    let accepted = pushed.results.iter().any(|result| matches!(result, PushResult::Accepted(_)));
    app.vault.write(|vault| {
        let size = note.checkpoint().size;
        // Whatever it did with the entries, it is bound to what it signed.
        if size > log.size() {
            vault.put_ahead(log.known.no, &Ahead { size, note: note.text().to_owned() })?;
        }
        for receipt in receipts(log, batch, pushed, &note) {
            vault.put_receipt(log.known.no, &receipt)?;
        }
        let mut lacks_blob = false;
        for (flying, result) in batch.iter().zip(&pushed.results) {
            if let PushResult::Refused(Refused { code }) = result {
                lacks_blob |= *code == Code::BlobMissing;
                if *code == Code::BlobMissing {
                    vault.blob_not_there(flying.draft)?;
                }
                if lacks_blob {
                    // Nothing waits for a file: what was signed behind it is signed anew before it.
                    vault.unsign_draft(flying.draft, &refusal(*code, now))?;
                    refused.push(told(flying, *code));
                    continue;
                }
                vault.note_refusal(flying.draft, &refusal(*code, now))?;
                refused.push(told(flying, *code));
            }
        }
        Ok::<_, VaultError>(())
    })?;
    Ok(Answer { accepted, stretch: stretch(log, batch, pushed, &note) })
}

/// The batch as a stretch of the log, when the note covers it and nothing besides.
fn stretch(
    log: &Log,
    batch: &[InFlight],
    pushed: &Pushed,
    note: &SignedCheckpoint,
) -> Option<Pulled> {
    let from = log.size().0;
    let in_place = |(result, index): (&PushResult, u64)| match result {
        PushResult::Accepted(accepted) => accepted.index.0 == index,
        PushResult::Refused(_) => false,
    };
    let behind_all = pushed.results.iter().zip(from..).all(in_place);
    let covers = note.checkpoint().size.0 == from + batch.len() as u64;
    (behind_all && covers).then(|| Pulled {
        entries: batch.iter().map(|flying| flying.bytes.clone()).collect(),
        note: note.text().to_owned(),
    })
}

fn check_receipts(
    batch: &[InFlight],
    pushed: &Pushed,
    note: &SignedCheckpoint,
) -> Result<(), Caught> {
    let tree = note.checkpoint();
    for (flying, result) in batch.iter().zip(&pushed.results) {
        let PushResult::Accepted(accepted) = result else { continue };
        let (index, proof) = (accepted.index, &accepted.proof);
        tree::verify_inclusion(&flying.leaf, index, tree.size, proof, &tree.root).map_err(
            |error| Caught::from(Lie::Receipt(error)).note(note.text()).entry(&flying.bytes),
        )?;
    }
    Ok(())
}

/// What the relay acknowledged beyond what is verified.
fn receipts(
    log: &Log,
    batch: &[InFlight],
    pushed: &Pushed,
    note: &SignedCheckpoint,
) -> Vec<Receipt> {
    let of = |(flying, result): (&InFlight, &PushResult)| match result {
        PushResult::Accepted(it) if it.index.0 >= log.size().0 => {
            log::receipt(it.index, &flying.bytes, note, &it.proof)
        }
        _ => None,
    };
    batch.iter().zip(&pushed.results).filter_map(of).collect()
}

fn told(flying: &InFlight, code: Code) -> String {
    format!("{} refused: {}", flying.reference, relay::told(code))
}

fn refusal(code: Code, at: UnixMillis) -> Refusal {
    Refusal { why: relay::told(code), at }
}

/// Brings the outbox in step with the verified log, signs what can be signed, and says what to
/// send now.
pub(crate) fn prepare(app: &mut App, no: CommitteeNo) -> Result<(Log, Vec<InFlight>), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let now = app.clock.now();
    let App { vault, device, .. } = app;
    let batch = vault.write(|vault| {
        let in_flight = reconcile(vault, &log, device.device_id(), now)?;
        if !in_flight.is_empty() {
            return Ok(in_flight);
        }
        let fold = log.pulled()?;
        let waiting = turns::in_turn(vault, no, fold, device.device_id(), now)?;
        let mut signer = Signer {
            fold,
            keys: Keys::new(device, no, fold),
            label: names::label(&log.known)?,
            device,
            next: next_in_chain(fold, device.device_id()),
            kept_back: kept_back(vault, &log, device.device_id(), now)?,
            now,
        };
        signer.sign(vault, waiting)
    })?;
    Ok((log, batch))
}

fn next_in_chain(fold: &Fold, device: DeviceId) -> (AuthorSeq, Hash) {
    match fold.author_head(device) {
        Some(head) => (head.seq.next(), head.leaf),
        None => (AuthorSeq(0), Hash::ZERO),
    }
}

/// Takes the bytes off drafts that the verified log can never admit, because others came first,
/// and sets those aside that no log would. Returns those that it still can.
fn reconcile(
    vault: &Write<'_>,
    log: &Log,
    device: DeviceId,
    now: UnixMillis,
) -> Result<Vec<InFlight>, Failure> {
    let damaged = || VaultError::Damaged("an entry in the outbox does not read".to_owned());
    let mut in_flight = Vec::new();
    let mut grown = None;
    for draft in vault.unsent(log.known.no)? {
        if is_done(vault, log, device, &draft)? {
            vault.remove_draft(draft.no)?;
            continue;
        }
        let Some(signed) = &draft.signed else { continue };
        let bytes = vault.signed_entry(draft.no)?.ok_or_else(damaged)?;
        let entry = UnverifiedEntry::decode(&bytes).map_err(|_| damaged())?;
        let fold = match &mut grown {
            Some(fold) => fold,
            None => grown.insert(log.pulled()?.clone()),
        };
        match log.try_next(vault, fold, entry)? {
            Ok(()) => in_flight.push(InFlight {
                draft: draft.no,
                cuts_off: turns::is_cut_off(&draft),
                leaf: signed.leaf_hash,
                reference: draft.new.reference,
                bytes,
            }),
            Err(refusal) => {
                let words = Refusal { why: refusal.to_string(), at: now };
                if refusal.is_overtaken() {
                    vault.unsign_draft(draft.no, &words)?;
                } else {
                    vault.refuse_draft(draft.no, &words)?;
                }
            }
        }
    }
    Ok(in_flight)
}

/// Whether the log has what a draft wants, though not by the draft's present bytes: a record that
/// was sealed anew after its first sealing had arrived, or a roster change somebody else made.
fn is_done(vault: &Read<'_>, log: &Log, device: DeviceId, draft: &Draft) -> Result<bool, Failure> {
    match draft.new.what {
        What::Record => {
            let own = |held: &Record| held.committee == log.known.no && held.author == device;
            Ok(vault.records_by_id(&draft.new.id)?.iter().any(own))
        }
        What::Roster => match intent_of(draft)? {
            Intent::Link { epoch } => {
                Ok(!vault.broken_links(log.known.no)?.contains(&Epoch(epoch)))
            }
            Intent::Forget { index, .. } => {
                forget::is_forgotten(vault, log.known.no, LeafIndex(index))
            }
            intent => intent.is_done(log.pulled()?),
        },
    }
}

/// Seals and signs drafts, one behind the other.
struct Signer<'a> {
    fold: &'a Fold,
    keys: Keys<'a>,
    label: Option<Label>,
    device: &'a DeviceIdentity,
    next: (AuthorSeq, Hash),
    /// Why the policy lets nothing be sealed now, if it does not.
    kept_back: Option<Failure>,
    now: UnixMillis,
}

/// Whether the lease is over and the policy enforces it.
fn kept_back(
    vault: &Read<'_>,
    log: &Log,
    own: DeviceId,
    now: UnixMillis,
) -> Result<Option<Failure>, Failure> {
    let fold = log.pulled()?;
    if !fold.roster().policy().lease.enforce {
        return Ok(None);
    }
    let no = log.known.no;
    let lease = Lease::load(vault, log, own, now)?;
    let people = People::load(vault, no)?;
    Ok(lease.is_over().then(|| lease.keeps_back(&log.known, &people)))
}

impl Signer<'_> {
    /// Signs as many as one push takes. A roster change is the last: what comes behind it must
    /// be sealed and signed by what it changes.
    fn sign(&mut self, vault: &Write<'_>, waiting: Vec<Draft>) -> Result<Vec<InFlight>, Failure> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let (mut held_back, mut refused) = (None, false);
        let may_seal = self.kept_back.is_none();
        for draft in waiting {
            if draft.new.what == What::Record && !may_seal {
                held_back = held_back.or_else(|| self.kept_back.take());
                continue;
            }
            let made = match draft.new.what {
                What::Record => self.seal_record(vault, &draft),
                What::Roster => self.build_change(vault, &draft),
            };
            let payload = match made {
                Ok(payload) => payload,
                Err(failure) if can_never_be_sealed(&failure) => {
                    let refusal = Refusal { why: failure.story(), at: self.now };
                    vault.refuse_draft(draft.no, &refusal)?;
                    refused = true;
                    continue;
                }
                // It lacks a lock that may still come. What waits behind it may not.
                Err(failure) if failure.kind == Error::NotDelivered => {
                    held_back.get_or_insert(failure);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let kind = payload.kind;
            let entry = self.sign_entry(payload);
            let signed = Signed { leaf_hash: entry.leaf(), author_seq: entry.header().author_seq };
            let entry = entry.encode();
            if bytes > 0 && bytes + entry.len() > PUSH_BYTES {
                break;
            }
            vault.sign_draft(draft.no, &entry, &signed)?;
            self.next = (signed.author_seq.next(), signed.leaf_hash);
            bytes += entry.len();
            batch.push(InFlight {
                draft: draft.no,
                cuts_off: turns::is_cut_off(&draft),
                reference: draft.new.reference,
                leaf: signed.leaf_hash,
                bytes: entry,
            });
            if kind == Kind::Roster || batch.len() == PUSH_ENTRIES {
                break;
            }
        }
        match held_back {
            // An error would take back what was refused.
            Some(failure) if batch.is_empty() && !refused => Err(failure),
            _ => Ok(batch),
        }
    }

    fn sign_entry(&self, payload: Payload) -> Entry {
        let Payload { kind, bytes, content, blobs } = payload;
        let (author_seq, author_prev) = self.next;
        let header = Header {
            version: VERSION,
            committee: self.fold.id(),
            term: self.fold.term(),
            kind,
            author: self.device.device_id(),
            author_seq,
            author_prev,
            seen: self.fold.seen(),
            roster_head: self.fold.roster().head(),
            epoch: self.fold.roster().epoch(),
            made_at: self.now,
            payload_len: 0,
            payload_sha256: Hash::ZERO,
            content,
            blobs,
        };
        Entry::sign(header, bytes, self.device.signing_key())
    }

    fn seal_record(&mut self, vault: &Read<'_>, draft: &Draft) -> Result<Payload, Failure> {
        let epoch = self.fold.roster().epoch();
        let author = self.device.device_id();
        let binding = Binding { committee: self.fold.id(), author, epoch };
        let salt = random::secret()?;
        let WrittenRecord { id, mut body, apart } = record_of(draft)?;
        if let Some((inner, readers)) = apart {
            let recipients = self.recipients(&readers);
            let own_salt = random::secret()?;
            let sealed = inner.seal_named(&binding, &id, &own_salt, &recipients);
            let sealed = sealed.map_err(|error| cannot_seal(draft, error))?;
            body.fields.insert(SEALED.to_owned(), Value::String(sealed));
        }
        let bound = body.bind(&binding, &id, &salt).map_err(|error| cannot_seal(draft, error))?;
        let keys = self.keys.of(vault, epoch)?.ok_or_else(no_key)?;
        let bytes = keys.seal_record(&bound.plaintext)?;
        let attachment = vault.attachment(draft.new.committee, &draft.new.id)?;
        let blobs = attachment.map(|attachment| attachment.blob).into_iter().collect();
        Ok(Payload { kind: Kind::Record, bytes, content: bound.content, blobs })
    }

    /// The active devices of the named members and of the author's own.
    fn recipients(&self, readers: &[MemberNumber]) -> Vec<Recipient> {
        let roster = self.fold.roster();
        let own = roster.device(self.device.device_id()).map(|device| device.member);
        let reads = |member| own == Some(member) || readers.contains(&member);
        let active = roster.active_devices().filter_map(|id| roster.device(id));
        active
            .filter(|device| reads(device.member))
            // Nothing can be sealed to it, by anybody: it reads nothing in any case.
            .filter_map(|device| Recipient::from_bytes(&device.card.recipient().0).ok())
            .collect()
    }

    fn build_change(&mut self, vault: &Read<'_>, draft: &Draft) -> Result<Payload, Failure> {
        let intent = intent_of(draft)?;
        if let Intent::Forget { index, leaf } = &intent {
            let forget = forget::payload(*index, leaf)?;
            let (bytes, content) = (codec::encode(&forget), Hash::ZERO);
            return Ok(Payload { kind: Kind::Forget, bytes, content, blobs: Vec::new() });
        }
        let (no, fold, label) = (draft.new.committee, self.fold, self.label.as_ref());
        let mut maker = Maker { vault, no, fold, keys: &mut self.keys, label, now: self.now };
        let change = build(&intent, &mut maker)?;
        // What the log's rules forbid is told by them, and now. A cut-off may be for a log that has
        // gone on: the relay knows.
        if !turns::is_cut_off(draft) {
            let own = self.device.device_id();
            changes::tried(fold, own, change.clone(), self.now).map_err(|rule| forbidden(&rule))?;
        }
        let bytes = codec::encode(&change);
        Ok(Payload { kind: Kind::Roster, bytes, content: Hash::ZERO, blobs: Vec::new() })
    }
}

/// What an entry is to carry, and what its header says of it.
struct Payload {
    kind: Kind,
    bytes: Vec<u8>,
    content: Hash,
    blobs: Vec<Blob>,
}

/// The rule in its own words, as the fault of the draft.
fn forbidden(rule: &PeerRosterError) -> Failure {
    Failure::new(Error::Usage, rule.to_string())
}

/// Whether it is the draft that is at fault, or a card it is to be sealed to: such a draft is set
/// aside, or it would keep back everything written after it.
fn can_never_be_sealed(failure: &Failure) -> bool {
    matches!(failure.kind, Error::Usage | Error::Verification)
}

/// A draft's record.
struct WrittenRecord {
    id: RecordId,
    body: RecordBody,
    /// What is for named readers, and for whom.
    apart: Option<(RecordBody, Vec<MemberNumber>)>,
}

fn record_of(draft: &Draft) -> Result<WrittenRecord, Failure> {
    let damaged = || VaultError::Damaged("a record in the outbox does not read".to_owned());
    let mut fields: Fields = serde_json::from_slice(&draft.new.draft).map_err(|_| damaged())?;
    let id = fields.shift_remove("id");
    let id = id.as_ref().and_then(Value::as_str).and_then(|id| id.parse().ok());
    let readers = fields.shift_remove(READERS);
    let apart = match fields.shift_remove(SEALED) {
        None => None,
        Some(Value::Object(inner)) => {
            let readers: Vec<u32> = readers
                .and_then(|readers| serde_json::from_value(readers).ok())
                .ok_or_else(damaged)?;
            let readers = readers.into_iter().map(MemberNumber).collect();
            Some((RecordBody { fields: inner }, readers))
        }
        Some(_) => return Err(damaged().into()),
    };
    Ok(WrittenRecord { id: id.ok_or_else(damaged)?, body: RecordBody { fields }, apart })
}

fn cannot_seal(draft: &Draft, error: LocalRecordError) -> Failure {
    Failure::new(Error::Usage, format!("{} cannot be sealed", draft.new.reference)).because(error)
}

#[cfg(test)]
mod tests;
