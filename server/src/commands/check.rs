//! `sealpost-relay check`

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde::Serialize;

use super::folder;
use crate::cli::Session;
use crate::config::{self, Settings};
use crate::error::{Failure, Kind};
use crate::key;
use crate::service::Examiner;
use crate::store::disk::Disk;
use crate::store::{self, Fault, Finding};

/// Verifies all of a data folder that no relay serves: every log from its founding entry on, with
/// every signature, every checkpoint this relay signed, and every attachment.
///
/// Prints what is not as it was written, with file and byte offset. What the next start mends by
/// itself is printed too and is no failure; anything else is exit 7.
#[derive(Debug, clap::Args)]
pub struct Check {}

#[derive(Serialize)]
struct FindingJson<'f> {
    file: &'f str,
    offset: u64,
    what: String,
    mended: bool,
}

impl Check {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (disk, data) = (&session.disk, session.data()?);
        store::must_be_data_folder(disk.as_ref(), &data)?;
        folder::must_be_ours(disk.as_ref(), &data)?;
        let mut beside = Vec::new();
        let key = check_key(disk.as_ref(), &data, &mut beside);
        check_settings(disk.as_ref(), &data, &mut beside);
        let mut examiner = Examiner::new(key);
        let mut found = store::check(disk, &data, &mut examiner)?;
        found.extend(beside);
        show(session, &found, &examiner)?;
        verdict(&found)
    }
}

/// The key that checkpoints are verified under.
fn check_key(disk: &dyn Disk, data: &Path, found: &mut Vec<Finding>) -> Option<VerifyingKey> {
    match key::read(disk, data) {
        Ok(Some(key)) => Some(key.verifying_key()),
        Ok(None) | Err(_) => {
            found.push(Finding { file: key::FILE.to_owned(), offset: 0, fault: Fault::Damaged });
            None
        }
    }
}

fn check_settings(disk: &dyn Disk, data: &Path, found: &mut Vec<Finding>) {
    if Settings::read(disk, &data.join(config::FILE)).is_err() {
        found.push(Finding { file: config::FILE.to_owned(), offset: 0, fault: Fault::Damaged });
    }
}

fn show(session: &Session, found: &[Finding], examiner: &Examiner) -> Result<(), Failure> {
    let json: Vec<FindingJson<'_>> = found
        .iter()
        .map(|finding| FindingJson {
            file: &finding.file,
            offset: finding.offset,
            what: finding.fault.to_string(),
            mended: finding.fault.is_mended(),
        })
        .collect();
    let mut words: Vec<String> = found.iter().map(ToString::to_string).collect();
    words.push(format!("{} entries in {} logs are sound.", examiner.entries(), examiner.logs()));
    session.result(&json, &words.join("\n"))
}

/// Whether the relay may go on with this folder.
fn verdict(found: &[Finding]) -> Result<(), Failure> {
    let lost: Vec<&Finding> = found.iter().filter(|found| !found.fault.is_mended()).collect();
    let Some(worst) = lost.first() else { return Ok(()) };
    let only_rolled_back = lost.iter().all(|found| matches!(found.fault, Fault::RolledBack(_)));
    let kind = if only_rolled_back { Kind::RolledBack } else { Kind::Damaged };
    let what = match lost.len() {
        1 => format!("The data folder is not as it was written: {worst}"),
        more => {
            format!("The data folder is not as it was written, in {more} places; first {worst}")
        }
    };
    Err(Failure::new(kind, what)
        .safe("Nothing was changed, and a relay does not serve it like this.")
        .next(
            "Keep this folder as it is, put the newest whole copy of it elsewhere, and check that: \
             sealpost-relay --data COPY check",
        ))
}

#[cfg(test)]
mod tests;
