//! `proof make`: gathers what the vault holds of a record and of who was entitled to write it.

use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::entry::{Blob, RosterHead, UnverifiedEntry};
use sealpost_protocol::id::{Epoch, LeafIndex};
use sealpost_protocol::proof::{
    BLOB, Folder, Inclusion, Made, PeerFolderError, Placed, Proof, Shown, ShownPart, Whole,
};
use sealpost_protocol::record::{Binding, Record as Plain, SEALED};
use sealpost_protocol::seal::{AttachmentPassphrase, EpochKeys, PeerOpenError};

use crate::app::App;
use crate::attachments::save;
use crate::attachments::{self, Details};
use crate::catalog;
use crate::error::{Failure, Kind as Error};
use crate::keys;
use crate::log::Log;
use crate::names;
use crate::random;
use crate::ui::time;
use crate::vault::attachments::HeldBlob;
use crate::vault::committees::CommitteeNo;
use crate::vault::evidence::Cosigned;
use crate::vault::records::{Content, Record};
use crate::vault::{Read, VaultError};

/// What is to be proven.
#[derive(Debug)]
pub struct Wish {
    /// The record, by REF or id.
    pub record: String,
    /// Its fields that are to be shown; none: all of it.
    pub parts: Vec<String>,
    /// Its attachments that are to be shown.
    pub attachments: Vec<String>,
}

/// A proof that holds, ready to be written.
pub struct Ready {
    /// The record's REF.
    pub reference: String,
    /// Its files, and what they prove.
    pub made: Made,
    /// The attachments.
    pub attached: Vec<Attached>,
}

/// An attachment that goes with a proof.
pub struct Attached {
    /// Its REF.
    pub reference: String,
    /// What its sender calls it.
    pub label: String,
    /// Its file's size.
    pub size: u64,
    /// The name of its blob's file in the folder.
    pub name: String,
    /// Its blob.
    pub blob: Blob,
    /// The blob's bytes in the vault.
    pub held: HeldBlob,
}

/// A record that is to be shown, and what opens it.
struct Found {
    record: Record,
    entry: UnverifiedEntry,
    keys: EpochKeys,
}

/// An attachment that is wanted.
struct Wanted {
    found: Found,
    details: Details,
}

/// Gathers a proof. Fetches what is not here of the attachments; needs no network else.
pub fn make(app: &mut App, wish: &Wish) -> Result<Ready, Failure> {
    let (no, found, wanted) = app.vault.read(|vault| wanted(vault, wish))?;
    save::fetch(app, no, wanted.iter().map(|one| &one.details))?;
    let held = wanted
        .iter()
        .map(|one| save::whole(app, no, &one.found.record.reference, &one.details))
        .collect::<Result<Vec<_>, _>>()?;
    let folder = app.vault.read(|vault| gather(vault, no, wish, &found, &wanted))?;
    let made = folder.make().map_err(|error| not_made(&found.record, &error))?;
    let folders = made.proof.entries().skip(1).map(|(folder, _)| folder);
    let attached =
        wanted.into_iter().zip(held).zip(folders).map(|((one, held), folder)| Attached {
            reference: one.found.record.reference,
            label: one.details.label,
            size: one.details.plain.size,
            name: format!("{folder}/{BLOB}"),
            blob: one.details.blob,
            held,
        });
    let attached = attached.collect();
    Ok(Ready { reference: found.record.reference, made, attached })
}

/// The record and its attachments, as they are in the log and open here.
fn wanted(vault: &Read<'_>, wish: &Wish) -> Result<(CommitteeNo, Found, Vec<Wanted>), Failure> {
    let owner = catalog::owner(vault, &wish.record)?;
    let record = catalog::in_log(vault, &wish.record)?;
    if record.kind == attachments::KIND {
        let what = format!("{} is an attachment", record.reference);
        return Err(Failure::new(Error::Usage, what)
            .next("Name the record it belongs to, and the attachment with --attach."));
    }
    let no = record.committee;
    let log = Log::load(vault, no)?;
    let roster = log.pulled()?.roster();
    let member_of = |record: &Record| roster.device(record.author).map(|device| device.member);
    let mut wanted = Vec::new();
    for typed in &wish.attachments {
        let attachment = catalog::in_log(vault, typed)?;
        let all = vault.attachments_to(no, &owner.id)?;
        let belongs = all.iter().any(|one| one.id == attachment.id);
        if attachment.committee != no || !belongs {
            let what = format!("{} is not attached to {}", attachment.reference, record.reference);
            return Err(Failure::new(Error::NotFound, what)
                .next(format!("sealpost record show {}", record.reference)));
        }
        if member_of(&attachment) != member_of(&record) {
            return Err(of_another(&attachment, &record));
        }
        let again = |one: &Wanted| one.found.record.id == attachment.id;
        if wanted.iter().any(again) {
            continue;
        }
        let details = details(&attachment)?;
        wanted.push(Wanted { found: open(vault, attachment)?, details });
    }
    Ok((no, open(vault, record)?, wanted))
}

/// What an attachment's record says. What stands for named readers alone opens with their keys, and a
/// proof discloses the key of one record and nobody's own.
fn details(attachment: &Record) -> Result<Details, Failure> {
    let json = match &attachment.content {
        Content::Opened(json) => serde_json::from_str(json).unwrap_or_default(),
        Content::Unopened(_) | Content::Again(_) => serde_json::Value::Null,
    };
    let reference = &attachment.reference;
    if json.get(SEALED).is_some() {
        let what = format!("{reference} is for named readers, and cannot be shown in a proof");
        return Err(Failure::new(Error::NotAllowed, what)
            .next("Attach the file once more, without --reader, if it may be shown."));
    }
    Details::read(&json).ok().flatten().ok_or_else(|| {
        Failure::new(Error::NotFound, format!("{reference} could not be opened here"))
            .next("sealpost sync, then ask its author.")
    })
}

fn open(vault: &Read<'_>, record: Record) -> Result<Found, Failure> {
    let entry = keys::entry_at(vault, record.committee, record.index)?;
    let secret = keys::secret_of(vault, record.committee, record.epoch)?;
    let secret = secret.ok_or_else(|| no_key(&record, record.epoch))?;
    Ok(Found { record, entry, keys: EpochKeys::new(secret) })
}

fn gather(
    vault: &Read<'_>,
    no: CommitteeNo,
    wish: &Wish,
    found: &Found,
    wanted: &[Wanted],
) -> Result<Folder, Failure> {
    let log = Log::load(vault, no)?;
    let position = vault.position(no)?.ok_or_else(|| log.pulled().err().unwrap_or_else(gone))?;
    let placed = |index: LeafIndex, entry: UnverifiedEntry| {
        let proof = log.inclusion(vault, index)?;
        Ok::<_, Failure>(Placed { entry, inclusion: Inclusion { index, size: log.size(), proof } })
    };
    let of = |found: &Found| placed(found.record.index, found.entry.clone());
    let heads = wanted.iter().map(|one| &one.found).chain([found]);
    let last = heads.map(|one| one.entry.header().roster_head).max_by_key(|head| head.number);
    let roster = roster(vault, no, last.expect("the record's is one"))?;
    let roster = roster.into_iter().map(|(index, entry)| placed(index, entry));
    let mut attachments = Vec::new();
    for one in wanted {
        attachments.push((of(&one.found)?, whole(&one.found)?));
    }
    let mut folder = Folder {
        note: position.note,
        cosignatures: Vec::new(),
        roster: roster.collect::<Result<_, _>>()?,
        record: of(found)?,
        shown: shown(found, wish)?,
        attachments,
    };
    let proof = folder.check().map_err(|error| not_made(&found.record, &error))?;
    folder.cosignatures = cosignatures(&vault.cosignatures(no)?, &proof);
    Ok(folder)
}

/// Every roster entry from the founding one on, to the counted one that is `last`.
fn roster(
    vault: &Read<'_>,
    no: CommitteeNo,
    last: RosterHead,
) -> Result<Vec<(LeafIndex, UnverifiedEntry)>, Failure> {
    let mut roster = Vec::new();
    let mut before = LeafIndex(u64::MAX);
    while let Some((index, entry)) = keys::last_roster_entry(vault, no, before)? {
        if !roster.is_empty() || entry.leaf() == last.leaf {
            roster.push((index, entry));
        }
        before = index;
    }
    roster.reverse();
    Ok(roster)
}

/// The lines of the active devices that vouch for the very checkpoint of the note.
fn cosignatures(marks: &[Cosigned], proof: &Proof) -> Vec<u8> {
    let checkpoint = proof.note.checkpoint();
    let of_it =
        marks.iter().filter(|mark| (mark.size, mark.root) == (checkpoint.size, checkpoint.root));
    let mut lines: Vec<_> = of_it
        .filter_map(|mark| match mark.signer.parse() {
            Ok(Cosigner::Device(device)) => Some((device, mark.line.as_str())),
            _ => None,
        })
        .filter(|(device, _)| proof.roster.is_active(*device))
        .collect();
    lines.sort_unstable();
    lines.into_iter().map(|(_, line)| line).collect::<String>().into_bytes()
}

fn shown(found: &Found, wish: &Wish) -> Result<Shown, Failure> {
    if wish.parts.is_empty() {
        return Ok(Shown::Whole(whole(found)?));
    }
    let record = plain(found)?;
    let wanted: Vec<String> = wish.parts.iter().map(|part| pointer(part)).collect();
    let paths: Vec<String> = record.leaves().into_iter().map(|leaf| leaf.path).collect();
    for part in &wanted {
        if !paths.iter().any(|path| is_at_or_below(path, part)) {
            let what = format!("{} has no field {part}", found.record.reference);
            return Err(Failure::new(Error::Usage, what)
                .next(format!("sealpost record show {}", found.record.reference)));
        }
    }
    // By its id an attachment names the record it belongs to.
    let names_it = |path: &str| !wish.attachments.is_empty() && path == "/id";
    let is_wanted =
        |path: &str| names_it(path) || wanted.iter().any(|part| is_at_or_below(path, part));
    Ok(Shown::part(&record, is_wanted))
}

/// A field as it was typed, as a JSON Pointer.
fn pointer(typed: &str) -> String {
    if typed.starts_with('/') { typed.to_owned() } else { format!("/{typed}") }
}

/// Whether a value is the field that is named, or lies in it.
fn is_at_or_below(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn plain(found: &Found) -> Result<Plain, Failure> {
    let header = found.entry.header();
    let opened = found.keys.open_record(payload(found)?).map_err(|error| not_open(found, error))?;
    let (committee, author) = (header.committee, header.author);
    let binding = Binding { committee, author, epoch: header.epoch };
    Plain::open(&opened, &binding, &header.content).map_err(|error| not_open(found, error))
}

fn whole(found: &Found) -> Result<Whole, Failure> {
    let payload = payload(found)?;
    let key = found.keys.file_key(payload).map_err(|error| not_open(found, error))?;
    let passphrase = AttachmentPassphrase::generate(&*random::secret()?);
    Whole::of(payload, key, passphrase).map_err(|error: PeerOpenError| not_open(found, error))
}

fn payload(found: &Found) -> Result<&[u8], Failure> {
    let reference = &found.record.reference;
    found.entry.payload().ok_or_else(|| {
        Failure::new(Error::NotFound, format!("The payload of {reference} is not here"))
            .next("Its entry stays in the log: sealpost record list")
    })
}

impl Ready {
    /// What whoever has the folder can read and see, a line each.
    pub fn preview(&self) -> Vec<String> {
        let Self { reference, made, attached } = self;
        let mut lines = vec![match &made.proof.record.part {
            ShownPart::Whole(record, _) if record.body().fields.contains_key(SEALED) => format!(
                "Whoever has the folder reads all of {reference}, but not its part for named readers."
            ),
            ShownPart::Whole(..) => format!("Whoever has the folder reads all of {reference}."),
            ShownPart::Fields(fields) => {
                let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
                format!("Whoever has the folder reads of {reference} only: {}.", paths.join(", "))
            }
        }];
        lines.extend(attached.iter().map(|one| {
            format!(
                "It opens {} ({}, {} B): its record with its passphrase is in it.",
                one.reference, one.label, one.size
            )
        }));
        lines.push(self.seen());
        lines.push(self.told());
        lines.push(
            "Sealed, as the relay has them, the changes hold grants, links, labels (with all names and \
             handles) and recovery shares. Whoever gets a key that opens one reads it; which device got \
             which is seen."
                .to_owned(),
        );
        lines.push(
            "No other record is in it, and no name, handle or lock in clear. It cannot be taken back."
                .to_owned(),
        );
        lines
    }

    /// What of the committee is seen.
    fn seen(&self) -> String {
        let proof = &self.made.proof;
        let devices: Vec<String> =
            proof.roster.devices().map(|(id, _)| names::device_ref(&id).to_string()).collect();
        let made = proof.entries().map(|(_, entry)| entry.header.made_at);
        let last = made.max().unwrap_or(proof.founded);
        format!(
            "It shows the committee's id, its relay's address, its size ({} entries), {} changes of its \
             roster with roles, policies, approvals and times, from {} to {}, and the devices {}.",
            proof.note.checkpoint().size,
            proof.roster_entries,
            time::rfc3339(proof.founded),
            time::rfc3339(last),
            devices.join(", ")
        )
    }

    /// What the signed headers and marks tell of those who made them.
    fn told(&self) -> String {
        let proof = &self.made.proof;
        let header = &proof.record.header;
        let hours: Vec<String> = proof
            .cosigners
            .iter()
            .map(|one| format!("{} at {}", names::device_ref(&one.device), time::rfc3339(one.at)))
            .collect();
        let hours = if hours.is_empty() { "none does".to_owned() } else { hours.join(", ") };
        format!(
            "It tells how many entries the author had written before (author_seq: {}) and how much of the \
             log the author had seen (seen: {}), the same of everybody who made a change, and to the hour \
             when devices vouched: {hours}.",
            header.author_seq, header.seen.size
        )
    }

    /// The passphrase of every `record.age` in it, by its folder.
    pub fn passphrases(&self) -> impl Iterator<Item = (&str, String)> {
        self.made.files.iter().filter_map(|(name, bytes)| {
            let folder = name.strip_suffix("/passphrase.txt")?;
            Some((folder, String::from_utf8_lossy(bytes).trim_end().to_owned()))
        })
    }
}

fn no_key(record: &Record, epoch: Epoch) -> Failure {
    let what =
        format!("{} is under lock {epoch}, which this device does not hold", record.reference);
    Failure::new(Error::NotFound, what).next("sealpost sync, then ask a colleague who can read it.")
}

/// Whoever reads a record can name its id.
fn of_another(attachment: &Record, record: &Record) -> Failure {
    let (file, record) = (&attachment.reference, &record.reference);
    let what = format!("{file} was attached by another member than the one who wrote {record}");
    Failure::new(Error::NotAllowed, what)
        .safe(
            "No proof was made: anybody can name a record's id, so nothing shows an outsider that they \
             belong together.",
        )
        .next(format!("Have the author of {record} attach the file too, and show that attachment."))
}

fn not_open(found: &Found, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let what = format!("{} does not open as it must", found.record.reference);
    Failure::new(Error::Verification, what).because(error).next("Ask its author.")
}

/// What the log admitted and this device verified, and yet cannot be proven from the roster alone.
fn not_made(record: &Record, error: &PeerFolderError) -> Failure {
    let what = format!("No proof can be made of {}: {error}", record.reference);
    let next = match error {
        PeerFolderError::TooManyFiles | PeerFolderError::TooLarge => {
            "The roster alone is too long for a proof: sealpost record show REF --sealed"
        }
        PeerFolderError::TooManyBlobs | PeerFolderError::BlobsTooLarge => {
            "Make more than one, each with some of the attachments."
        }
        _ => "sealpost sync, then type it again; if it stays, ask its author to write it anew.",
    };
    Failure::new(Error::Failed, what).next(next)
}

fn gone() -> Failure {
    VaultError::Damaged("a committee's checkpoint is missing".to_owned()).into()
}

#[cfg(test)]
mod tests;
