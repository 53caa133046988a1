//! `sealpost attach`

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::HumanBytes;
use serde::Serialize;

use crate::app::{App, Session};
use crate::attachments::{self, seal};
use crate::catalog::{self, Owner};
use crate::commands::delivered;
use crate::deliver::{Delivery, deliver_all};
use crate::error::{Failure, Kind as Error};
use crate::members;
use crate::outbox;

/// How long sending it at once is tried for. What the relay has by then it keeps.
const SEND_PATIENCE: Duration = Duration::from_secs(3);

/// Attaches a file to a record: seals it into the vault, then tries to send it.
///
/// The file itself is not changed, and may be up to 64 GiB large. The record may be sent or not. What
/// is not sent within three seconds goes on at the next sync, from where it left off: exit 3.
///
/// With --strip a working copy without metadata (place, device, times, authors) is attached beside it,
/// to be handed on; the original stays as it is. A file that cannot be stripped is not attached.
#[derive(Debug, clap::Args)]
pub struct Attach {
    /// The record it belongs to.
    #[arg(value_name = "REF")]
    record: String,
    /// The file. Only its name goes with it, sealed.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is.
    #[arg(long = "as", value_name = "ROLE")]
    role: Role,
    /// A member who alone may read it, besides you: a handle, or the REF of a device. May be given
    /// several times.
    #[arg(long = "reader", value_name = "HANDLE|REF")]
    readers: Vec<String>,
    /// Attach a working copy without metadata with it: of JPEG, PNG, WebP and GIF pictures,
    /// PDF and office documents.
    #[arg(long)]
    strip: bool,
    /// Only seal and save; the next sync sends it.
    #[arg(long)]
    later: bool,
}

/// What a file is to its record.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// A paper of the court.
    CourtRecord,
    /// A medical paper or picture.
    Medical,
    /// A photograph.
    Photo,
    /// A scan of something else.
    Scan,
    /// A recording.
    Audio,
    /// A letter.
    Letter,
    /// A cutting or an article.
    Press,
    /// Anything else.
    Other,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::CourtRecord => "court-record",
            Self::Medical => "medical",
            Self::Photo => "photo",
            Self::Scan => "scan",
            Self::Audio => "audio",
            Self::Letter => "letter",
            Self::Press => "press",
            Self::Other => "other",
        }
    }
}

/// What `attach` prints with `--json`.
#[derive(Serialize)]
struct Made {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    to: String,
    state: &'static str,
    media: &'static str,
    size: u64,
    sha256: String,
    working: Option<Working>,
}

/// The working copy that was attached with it.
#[derive(Serialize)]
struct Working {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    size: u64,
    sha256: String,
    removed: Vec<&'static str>,
}

/// What no program takes out of a picture.
const REMINDER: &str =
    "Faces and what is written in the picture stay: look at it before you hand it on.";

impl Attach {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let owner = app.vault.read(|vault| catalog::owner(vault, &self.record))?;
        must_bear(&owner)?;
        outbox::must_write(&app, owner.committee)?;
        let no = owner.committee;
        let readers = app.vault.read(|vault| members::named(vault, no, &self.readers))?;
        let wanted =
            seal::Attach { path: self.file, role: self.role.as_str(), readers, strip: self.strip };
        let attached = seal::attach(&mut app, &owner, &wanted)?;
        let working = attached.working.map(Working::of);
        let mut ids = vec![attached.saved.id.clone()];
        ids.extend(working.as_ref().map(|working| working.id.clone()));
        let delivery = if self.later { None } else { Some(send(&mut app, &owner, &ids)?) };
        let state = match &delivery {
            Some(Delivery::Accepted) => "accepted",
            Some(Delivery::Waiting(_)) | None => "saved",
        };
        let reference = attached.saved.reference.to_string();
        let made = Made {
            reference: reference.clone(),
            id: attached.saved.id,
            to: owner.reference,
            state,
            media: attached.media,
            size: attached.plain.size,
            sha256: attached.plain.sha256.to_string(),
            working,
        };
        session.ui.result(&made, &made.words())?;
        if made.working.is_some() {
            session.ui.talk(REMINDER);
        }
        delivery.map_or(Ok(()), |delivery| delivered(delivery, &reference))
    }
}

impl Made {
    fn words(&self) -> String {
        let Self { reference, state, media, sha256, .. } = self;
        let size = HumanBytes(self.size);
        let original = format!("{reference}  {state}  {media}  {size}");
        let Some(working) = &self.working else {
            return format!("{original}\nThe file is unchanged. sha256 {sha256}");
        };
        let removed = match working.removed.as_slice() {
            [] => "nothing was there to remove".to_owned(),
            kinds => format!("removed: {}", kinds.join(", ")),
        };
        let (copy, size) = (&working.reference, HumanBytes(working.size));
        format!(
            "{original}\nThe file is unchanged, and the original keeps everything. sha256 {sha256}\n\
             {copy}  {state}  {media}  {size}  working copy\nIn it {removed}. sha256 {}",
            working.sha256
        )
    }
}

impl Working {
    fn of(working: seal::Working) -> Self {
        Self {
            reference: working.saved.reference.to_string(),
            id: working.saved.id,
            size: working.plain.size,
            sha256: working.plain.sha256.to_string(),
            removed: working.removed,
        }
    }
}

/// Tries to send at once, unless the relay did not answer last time.
fn send(app: &mut App, owner: &Owner, ids: &[String]) -> Result<Delivery, Failure> {
    let known = app.vault.read(|vault| vault.committee_no(owner.committee))?;
    if known.answered == Some(false) {
        let what = "the relay did not answer last time";
        return Ok(Delivery::Waiting(Failure::new(Error::NotDelivered, what)));
    }
    Ok(deliver_all(app, owner.committee, ids, SEND_PATIENCE))
}

fn must_bear(owner: &Owner) -> Result<(), Failure> {
    if owner.kind != attachments::KIND {
        return Ok(());
    }
    let what = format!("{} is an attachment itself", owner.reference);
    Err(Failure::new(Error::Usage, what)
        .next("Attach the file to the record: sealpost record list"))
}

#[cfg(test)]
mod tests;
