//! A file of evidence: read, checked, and said in a sentence. No vault, no network.

use std::io::Read;
use std::path::Path;

use sealpost_protocol::evidence::{Evidence, Finding, PeerEvidenceError};
use sealpost_protocol::limits::EVIDENCE_BYTES_MAX;

use super::folder::{self, not_read};
use crate::error::{Failure, Kind as Error};
use crate::names;

/// Reads and checks a file; an error of exit 7 says what does not hold.
pub fn read(path: &Path) -> Result<Evidence, Failure> {
    let bound = EVIDENCE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    folder::open(path)
        .and_then(|file| file.take(bound).read_to_end(&mut bytes))
        .map_err(|error| not_read(path, error))?;
    Evidence::parse(&bytes).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &PeerEvidenceError) -> Failure {
    let (kind, what, next) = match error {
        PeerEvidenceError::Magic => (
            Error::Usage,
            format!("{}: {error}", path.display()),
            "sealpost proof verify PATH, of a proof's folder or a file of evidence",
        ),
        PeerEvidenceError::NewerVersion(_) => {
            (Error::TooOld, error.to_string(), "Install the newest sealpost, then type it again.")
        }
        _ => (
            Error::Verification,
            format!("This is no evidence: {error}"),
            "Ask whoever gave it to you for the file as it was made.",
        ),
    };
    let safe = "Nothing was changed; believe nothing of what the file says, of the relay neither.";
    Failure::new(kind, what).safe(safe).next(next)
}

/// What it shows, and about whom, in a sentence.
pub fn shows(evidence: &Evidence) -> String {
    let committee = names::committee_ref(&evidence.origin().committee);
    let log = format!("the log of committee {committee}");
    match evidence.finding() {
        Finding::Fork { old, new, .. } => {
            let (old, new) = (old.checkpoint().size, new.checkpoint().size);
            if old == new {
                return format!(
                    "The relay signed for two different logs of {old} entries as {log}."
                );
            }
            format!(
                "The relay signed for {old} entries of {log}, and for {new} entries of it that do not begin \
                 with those {old}."
            )
        }
        Finding::Dropped { held, receipt, shown, .. } => format!(
            "The relay acknowledged entry {} of {log}, signed by device {}, in a log of {} entries, and signed for \
             {} entries with another one in its place.",
            receipt.index,
            names::device_ref(&receipt.header().author),
            held.checkpoint().size,
            shown.checkpoint().size,
        ),
        Finding::Rewritten { note, entry, .. } => format!(
            "The relay signed for {} entries of {log}, and entry {} of them names device {} as its author, whose \
             key did not sign it.",
            note.checkpoint().size,
            entry.index,
            names::device_ref(&entry.header().author),
        ),
        Finding::Seen { note, entry, .. } => format!(
            "The relay signed for {} entries of {log}, and let in entry {} of them, which device {} signed for \
             another log: what it had seen is not how this one begins.",
            note.checkpoint().size,
            entry.index,
            names::device_ref(&entry.header().author),
        ),
        Finding::Rollback { held, shown, receipt } => {
            let (held, shown) = (held.checkpoint().size, shown.checkpoint().size);
            let lost = receipt.as_ref().map_or_else(String::new, |receipt| {
                let author = names::device_ref(&receipt.header().author);
                format!(
                    ", the longer one with entry {}, which it acknowledged to device {author}",
                    receipt.index
                )
            });
            format!(
                "The relay signed for {held} entries of {log} and for {shown} entries of it{lost}; whoever made \
                 this file says that it showed the shorter log after the longer."
            )
        }
    }
}

/// What it does not show.
pub fn shows_not(evidence: &Evidence) -> Vec<&'static str> {
    let own = match evidence.finding() {
        Finding::Fork { .. } => {
            "Which of the two is the log as it was written, or who was shown which."
        }
        Finding::Dropped { .. } => "What is in the entry, or why it is gone.",
        Finding::Rewritten { .. } => "Who wrote the entry.",
        Finding::Seen { .. } => {
            "Whether its author was shown another log or invented it: the relay had to refuse it in both cases."
        }
        Finding::Rollback { .. } => {
            "The order: every honest relay signs both, the shorter one first. That it came last is the word of \
             whoever made this file."
        }
    };
    vec![
        own,
        "Whose relay this is: compare its key with the address that the committee uses.",
        "When it was signed, and whether it was malice, a seizure or a backup put back.",
    ]
}

#[cfg(test)]
mod tests;
