//! `proof verify`: no vault, no network; the folder alone.

use std::io::{self, BufReader};
use std::path::Path;

use sealpost_protocol::entry::PeerEntryError;
use sealpost_protocol::proof::{self, Attached, BLOB, PeerFolderError, Proof, ShownPart};
use sealpost_protocol::seal::{AttachmentError, open_attachment};

use super::folder::{self, not_read, unsound};
use crate::changes::RoleName;
use crate::error::{Failure, Kind as Error};
use crate::names;

/// Read at a time.
const STEP_BYTES: usize = 256 * 1024;

/// Verifies a folder; an error of exit 7 says what does not hold.
pub fn verify(dir: &Path) -> Result<Proof, Failure> {
    let found = folder::read(dir)?;
    let proof = proof::verify(found.files, &found.blobs).map_err(|error| refused(&error))?;
    for (folder, entry) in proof.entries() {
        let Some(attached) = &entry.attached else { continue };
        let name = format!("{folder}/{BLOB}");
        check_blob(&dir.join(&name), &name, attached)?;
    }
    Ok(proof)
}

/// An entry of a newer version is nobody's lie.
fn refused(error: &PeerFolderError) -> Failure {
    match error {
        PeerFolderError::Entry { error: PeerEntryError::UnknownVersion { .. }, .. } => {
            Failure::new(Error::TooOld, error.to_string())
                .safe("Nothing was changed; nothing is known of the folder.")
                .next("Install the newest sealpost, then type it again.")
        }
        _ => unsound(&error.to_string()),
    }
}

/// Whether a blob opens to the file that its record names.
fn check_blob(path: &Path, name: &str, attached: &Attached) -> Result<(), Failure> {
    let file = folder::open(path).map_err(|error| not_read(path, error))?;
    let size = file.metadata().map_err(|error| not_read(path, error))?.len();
    let blob = BufReader::with_capacity(STEP_BYTES, file);
    let Attached { passphrase, plain, .. } = attached;
    open_attachment(blob, size, passphrase, plain, io::sink()).map_err(|error| match error {
        AttachmentError::LocalIo(error) => not_read(path, error),
        error => unsound(&format!("{name}: {error}")),
    })
}

/// What a proof shows, and about whom, in a sentence.
pub fn shows(proof: &Proof) -> String {
    let record = &proof.record;
    let what = match &record.part {
        ShownPart::Whole(..) => "this record",
        ShownPart::Fields(_) => "a record with these fields",
    };
    let attached = match proof.attachments.len() {
        0 => String::new(),
        1 => " with 1 attachment".to_owned(),
        number => format!(" with {number} attachments"),
    };
    let head = proof.roster.head().number;
    let vouching = match (proof.independent().len(), proof.cosigners.len()) {
        (0, 0) => "and no device in this folder".to_owned(),
        (0, _) => "and only devices of the same member with it".to_owned(),
        (1, _) => format!("and 1 other member with it, active at roster entry {head}"),
        (number, _) => {
            format!("and {number} other members with it, active at roster entry {head}")
        }
    };
    format!(
        "Device {} of member {}, a {} at roster entry {}, signed {what}{attached}: entry {} of the log of \
         committee {}, of which its relay signed for {} entries, {vouching}.",
        names::device_ref(&record.header.author),
        record.member,
        RoleName::from(record.role).as_str(),
        record.header.roster_head.number,
        record.index,
        names::committee_ref(&proof.committee),
        proof.note.checkpoint().size,
    )
}

/// What a proof does not show.
pub fn shows_not(proof: &Proof) -> Vec<&'static str> {
    let mut not = vec![
        "That what the record says is true.",
        "Which person has the device: names are sealed, and no handle is in the folder.",
        "That this is the committee you think of: compare its id with somebody you trust.",
        "That the author was still active between the last change shown and the record: the relay's \
         note alone speaks for that.",
        "When it was written: times are their authors' claims.",
        "What else stands in the log.",
    ];
    if !proof.cosigners.is_empty() {
        not.push(
            "That the devices that vouch for the log were active when they did: they were at the last \
             change shown.",
        );
    }
    if !proof.attachments.is_empty() {
        not.push(
            "To which of two records a file was attached, should their author have given both the same id.",
        );
    }
    if matches!(proof.record.part, ShownPart::Fields(_)) {
        not.push(
            "That the sealed payload holds these fields, each once: the author signed for them, and \
             whoever can open it checks that.",
        );
    }
    not
}

#[cfg(test)]
mod tests;
