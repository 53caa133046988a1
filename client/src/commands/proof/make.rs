//! `sealpost proof make`

use std::path::PathBuf;

use sealpost_protocol::proof::ShownPart;
use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::proof::folder;
use crate::proof::make::{self, Ready, Wish};
use crate::ui::display::Untrusted;
use crate::ui::input;

/// Makes a folder by which an outsider checks one record: a court, a reporter, an office.
///
/// It shows who signed the record, that the author was entitled to, and where it stands in the log; and all
/// of the record with the key of this one, or with --part single fields and no key. VERIFY.md in it says how
/// to check everything with sha256sum, openssl and age; `sealpost proof verify` does it for you. First it is
/// shown what becomes readable and visible: what was handed on cannot be taken back.
#[derive(Debug, clap::Args)]
pub struct Make {
    /// The record; it must be in the log.
    #[arg(value_name = "REF")]
    record: String,
    /// Show these fields alone, each with all that lies in it: text, or /persons/0/name.
    #[arg(long = "part", value_name = "FIELD", num_args = 1..)]
    parts: Vec<String>,
    /// Show these attachments of it too, each with what opens it.
    #[arg(long = "attach", value_name = "AT", num_args = 1..)]
    attachments: Vec<String>,
    /// The folder to make; it must not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
}

/// What `proof make` prints with `--json`.
#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    out: String,
    /// The fields that are shown; none: all of the record.
    fields: Option<Vec<String>>,
    /// The attachments that are shown.
    attachments: Vec<String>,
    /// Roster entries that are shown.
    roster_entries: usize,
    /// Devices that vouch for the same log.
    cosigners: usize,
    /// What opens each `record.age` with stock age. It stands in the folder too.
    passphrases: Vec<Passphrase>,
}

#[derive(Serialize)]
struct Passphrase {
    file: String,
    passphrase: String,
}

impl Make {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        // Before anything is asked: there is no other folder to write it to.
        folder::must_be_free(&self.out)?;
        let mut app = session.open()?;
        let Self { record, parts, attachments, out, yes } = self;
        let ready = make::make(&mut app, &Wish { record, parts, attachments })?;
        for line in ready.preview() {
            session.ui.talk(&line);
        }
        if !yes {
            input::confirm("What is shown cannot be taken back.", &ready.reference)?;
        }
        folder::write(&app, &out, &ready.made, &ready.attached)?;
        let shown = Shown::of(&ready, out.display().to_string());
        session.ui.result(&shown, &shown.words())?;
        Ok(())
    }
}

impl Shown {
    fn of(ready: &Ready, out: String) -> Self {
        let proof = &ready.made.proof;
        let fields = match &proof.record.part {
            ShownPart::Whole(..) => None,
            ShownPart::Fields(fields) => {
                Some(fields.iter().map(|field| field.path.clone()).collect())
            }
        };
        let passphrase = |(folder, passphrase): (&str, String)| Passphrase {
            file: format!("{folder}/record.age"),
            passphrase,
        };
        Self {
            reference: ready.reference.clone(),
            out,
            fields,
            attachments: ready.attached.iter().map(|one| one.reference.clone()).collect(),
            roster_entries: proof.roster_entries,
            cosigners: proof.cosigners.len(),
            passphrases: ready.passphrases().map(passphrase).collect(),
        }
    }

    fn words(&self) -> String {
        let out = Untrusted::line(&self.out);
        let mut lines = vec![format!("{}  proof in {out}", self.reference)];
        let passphrases = self.passphrases.iter();
        lines.extend(passphrases.map(|one| format!("    {}  {}", one.file, one.passphrase)));
        lines.push(format!("Check it: sealpost proof verify {out}"));
        lines.join("\n")
    }
}
