//! `sealpost proof verify`

use std::path::PathBuf;

use sealpost_protocol::address::key_to_text;
use sealpost_protocol::evidence::Evidence;
use sealpost_protocol::proof::{Proof, Proven, ShownPart};
use serde::Serialize;

use crate::app::Session;
use crate::changes::RoleName;
use crate::error::Failure;
use crate::names;
use crate::proof::{evidence, verify};
use crate::ui::display::Untrusted;
use crate::ui::time;

/// Checks the folder of a proof, or a file of evidence against a relay, without a vault and without a network.
///
/// Says what it shows and about whom, and what it does not show. Exit 7 when anything in it does not hold:
/// a file missing, added or changed, a signature, a place in the log, a roster with a gap, an author who
/// was not entitled, a payload that opens under another key, a field or an attachment that was invented; of
/// evidence, anything that the relay did not sign, or that does not contradict itself.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The folder of a proof, or the file of evidence.
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// What `proof verify` prints with `--json`.
#[derive(Serialize)]
struct Verified {
    /// In a sentence.
    shows: String,
    shows_not: Vec<&'static str>,
    committee: String,
    committee_id: String,
    /// Of the relay's note.
    size: u64,
    root: String,
    /// Devices that vouch for the same, active at the last roster entry shown.
    cosigners: Vec<CosignerShown>,
    roster_entries: usize,
    record: EntryShown,
    attachments: Vec<AttachmentShown>,
}

#[derive(Serialize)]
struct CosignerShown {
    device: String,
    member: u32,
    /// Of another member than the record's author.
    independent: bool,
    at: String,
}

#[derive(Serialize)]
struct EntryShown {
    index: u64,
    device: String,
    device_id: String,
    member: u32,
    role: &'static str,
    /// As its author claims.
    made: String,
    /// Those that are shown alone; none: all of the record.
    fields: Option<Vec<FieldShown>>,
}

#[derive(Serialize)]
struct FieldShown {
    path: String,
    /// As compact JSON.
    value: String,
}

#[derive(Serialize)]
struct AttachmentShown {
    folder: String,
    label: String,
    size: u64,
    sha256: String,
    #[serde(flatten)]
    entry: EntryShown,
}

/// What `proof verify` prints with `--json` of evidence.
#[derive(Serialize)]
struct Checked {
    /// In a sentence.
    shows: String,
    shows_not: Vec<&'static str>,
    /// `fork`, `dropped`, `rewritten`, `seen` or `rollback`.
    evidence: &'static str,
    /// Whether the relay's signatures alone show it; else it hangs on the word of who made the file.
    by_signatures_alone: bool,
    /// The relay's key, as its address begins.
    relay: String,
    committee: String,
    committee_id: String,
    term: u32,
    /// Of the notes, in the order of the file.
    notes: Vec<NoteShown>,
}

#[derive(Serialize)]
struct NoteShown {
    size: u64,
    root: String,
}

impl Verify {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        if self.path.is_file() {
            let checked = Checked::of(&evidence::read(&self.path)?);
            return Ok(session.ui.result(&checked, &checked.words())?);
        }
        let proof = verify::verify(&self.path)?;
        let verified = Verified::of(&proof);
        session.ui.result(&verified, &verified.words())?;
        Ok(())
    }
}

impl Checked {
    fn of(found: &Evidence) -> Self {
        let (finding, origin) = (found.finding(), found.origin());
        let notes = finding.notes().into_iter().map(|note| NoteShown {
            size: note.checkpoint().size.0,
            root: note.checkpoint().root.to_string(),
        });
        Self {
            shows: evidence::shows(found),
            shows_not: evidence::shows_not(found),
            evidence: finding.kind(),
            by_signatures_alone: finding.is_by_signatures_alone(),
            relay: format!("sealpost://{}", key_to_text(found.relay())),
            committee: names::committee_ref(&origin.committee).to_string(),
            committee_id: origin.committee.to_string(),
            term: origin.term.0,
            notes: notes.collect(),
        }
    }

    fn words(&self) -> String {
        let mut lines = vec![self.shows.clone(), format!("The relay: {}@…", self.relay)];
        lines.push("It does not show:".to_owned());
        lines.extend(self.shows_not.iter().map(|line| format!("    {line}")));
        lines.join("\n")
    }
}

impl Verified {
    fn of(proof: &Proof) -> Self {
        let checkpoint = proof.note.checkpoint();
        let cosigner = |cosigned: &sealpost_protocol::proof::Cosigned| CosignerShown {
            device: names::device_ref(&cosigned.device).to_string(),
            member: cosigned.member.0,
            independent: cosigned.member != proof.record.member,
            at: time::rfc3339(cosigned.at),
        };
        let attachment = |(folder, entry): (String, &Proven)| {
            let attached = entry.attached.as_ref()?;
            Some(AttachmentShown {
                folder,
                label: attached.label.clone(),
                size: attached.plain.size,
                sha256: attached.plain.sha256.to_string(),
                entry: EntryShown::of(entry),
            })
        };
        Self {
            shows: verify::shows(proof),
            shows_not: verify::shows_not(proof),
            committee: names::committee_ref(&proof.committee).to_string(),
            committee_id: proof.committee.to_string(),
            size: checkpoint.size.0,
            root: checkpoint.root.to_string(),
            cosigners: proof.cosigners.iter().map(cosigner).collect(),
            roster_entries: proof.roster_entries,
            record: EntryShown::of(&proof.record),
            attachments: proof.entries().filter_map(attachment).collect(),
        }
    }

    fn words(&self) -> String {
        let mut lines = vec![self.shows.clone()];
        let fields = self.record.fields.iter().flatten();
        lines.extend(fields.map(|FieldShown { path, value }| {
            format!("    {}  {}", Untrusted::line(path), Untrusted::line(value))
        }));
        lines.extend(self.attachments.iter().map(|one| {
            let label = Untrusted::line(&one.label);
            format!("    {}  {label}  {} B  sha256 {}", one.folder, one.size, one.sha256)
        }));
        lines.push(format!("It was signed {}, as its author says.", self.record.made));
        lines.push("It does not show:".to_owned());
        lines.extend(self.shows_not.iter().map(|line| format!("    {line}")));
        lines.join("\n")
    }
}

impl EntryShown {
    fn of(entry: &Proven) -> Self {
        let fields = match &entry.part {
            ShownPart::Whole(..) => None,
            ShownPart::Fields(fields) => {
                let shown = fields.iter().map(|field| FieldShown {
                    path: field.path.clone(),
                    value: field.value.clone(),
                });
                Some(shown.collect())
            }
        };
        Self {
            index: entry.index.0,
            device: names::device_ref(&entry.header.author).to_string(),
            device_id: entry.header.author.to_string(),
            member: entry.member.0,
            role: RoleName::from(entry.role).as_str(),
            made: time::rfc3339(entry.header.made_at),
            fields,
        }
    }
}
