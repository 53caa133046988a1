//! `sealpost save`

use std::path::PathBuf;

use serde::Serialize;

use crate::app::{App, Session};
use crate::attachments::save::{self, Folder};
use crate::attachments::{self, Details};
use crate::catalog::{self, Owner};
use crate::error::{Failure, Kind as Error};
use crate::ui::display::Untrusted;

/// Saves a record's attachments as files, opened.
///
/// What is not here yet is fetched. Each file appears when all of it was checked, under a name that
/// begins with the attachment's REF, and nothing that is there is written over.
#[derive(Debug, clap::Args)]
pub struct Save {
    /// The record, or one attachment.
    #[arg(value_name = "REF")]
    record: String,
    /// The folder to save into; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A file that was saved, as `save --json` prints it.
#[derive(Serialize)]
struct Saved {
    #[serde(rename = "ref")]
    reference: String,
    path: String,
    size: u64,
    sha256: String,
}

/// An attachment that is to be saved.
struct Wanted {
    reference: String,
    details: Details,
}

impl Save {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let owner = app.vault.read(|vault| catalog::owner(vault, &self.record))?;
        let wanted = wanted(&app, &owner)?;
        if wanted.is_empty() {
            let what =
                format!("Nothing that this device can open is attached to {}", owner.reference);
            return Err(Failure::new(Error::NotFound, what)
                .next(format!("sealpost record show {}", owner.reference)));
        }
        let folder = Folder::open(&self.out)?;
        let no = owner.committee;
        let fetched = save::fetch(&mut app, no, wanted.iter().map(|wanted| &wanted.details));
        let (mut saved, mut failures) = (Vec::new(), Vec::from_iter(fetched.err()));
        for Wanted { reference, details } in wanted {
            match save::save(&mut app, no, &folder, &reference, &details) {
                Ok(path) => saved.push(Saved {
                    reference,
                    path: path.display().to_string(),
                    size: details.plain.size,
                    sha256: details.plain.sha256.to_string(),
                }),
                Err(failure) => failures.push(failure),
            }
        }
        let lines: Vec<String> = saved.iter().map(Saved::words).collect();
        session.ui.result(&saved, &lines.join("\n"))?;
        ended(session, failures)
    }
}

/// What went wrong, a lie first: the first is what the command ends with, the others are told before.
fn ended(session: &mut Session, mut failures: Vec<Failure>) -> Result<(), Failure> {
    failures.sort_by_key(|failure| failure.kind != Error::Verification);
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(()) };
    for failure in failures {
        session.ui.warn(&failure.story());
    }
    Err(first)
}

impl Saved {
    fn words(&self) -> String {
        let path = Untrusted::line(&self.path);
        format!("{}  {path}\n    sha256 {}  verified", self.reference, self.sha256)
    }
}

/// The attachment that is named, or those of the record that is.
fn wanted(app: &App, owner: &Owner) -> Result<Vec<Wanted>, Failure> {
    app.vault.read(|vault| {
        let ids: Vec<String> = if owner.kind == attachments::KIND {
            vec![owner.id.clone()]
        } else {
            let all = vault.attachments_to(owner.committee, &owner.id)?;
            all.into_iter().map(|attachment| attachment.id).collect()
        };
        let mut wanted = Vec::new();
        for id in ids {
            let shown = catalog::show_in(vault, &id)?;
            if let Ok(Some(details)) = Details::read(&shown.record) {
                wanted.push(Wanted { reference: shown.reference, details });
            }
        }
        Ok(wanted)
    })
}
