//! One thing that was just saved, on its way at once: whoever typed it waits for it.

use std::time::Duration;

use tokio::time::timeout;

use crate::app::App;
use crate::attachments::{self, carry::Which};
use crate::error::{Failure, Kind as Error};
use crate::names;
use crate::relay;
use crate::sync::{Scope, note_answer, round};
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{Draft, Sending, What};
use crate::vault::{SyncLock, VaultError};

/// How long a command looks whether another sync takes what it saved along.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What became of something that was saved and was to go at once.
#[derive(Debug)]
pub enum Delivery {
    /// The verified log has it.
    Accepted,
    /// It waits in the vault, and why.
    Waiting(Failure),
}

/// Tries to send the draft `id` of committee `no`, for at most `patience`. Another sync that runs
/// may take it along. Whatever fails, the draft is saved.
pub fn deliver(app: &mut App, no: CommitteeNo, id: &str, patience: Duration) -> Delivery {
    deliver_all(app, no, std::slice::from_ref(&id), patience)
}

/// As [`deliver`], of several drafts: accepted when the log has them all.
pub fn deliver_all(
    app: &mut App,
    no: CommitteeNo,
    ids: &[impl AsRef<str>],
    patience: Duration,
) -> Delivery {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    relay::run(attempt(app, no, &ids, patience)).unwrap_or_else(Delivery::Waiting)
}

async fn attempt(
    app: &mut App,
    no: CommitteeNo,
    ids: &[&str],
    patience: Duration,
) -> Result<Delivery, Failure> {
    let before = app.vault.read(|vault| vault.committee_no(no))?;
    let tried = timeout(patience, deliver_at_last(app, no, ids)).await;
    let tried = match tried {
        // It lied on the way, whatever it took in the end.
        Ok(Ok(Some(failure))) if failure.kind == Error::Verification => {
            return Ok(Delivery::Waiting(failure));
        }
        tried => tried,
    };
    let left = left(app, ids)?;
    if left.is_empty() {
        return Ok(Delivery::Accepted);
    }
    if let Some(draft) = left.into_iter().find(is_refused) {
        if draft.new.what == What::Roster {
            app.vault.write(|vault| vault.remove_draft(draft.no))?;
        }
        return Ok(Delivery::Waiting(never(&draft)));
    }
    match tried {
        Ok(Ok(Some(failure))) => Ok(Delivery::Waiting(failure)),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(None)) | Err(_) => {
            let now = app.vault.read(|vault| vault.committee_no(no))?;
            if now.asked == before.asked {
                // Not even a handshake: whoever writes next need not wait for it.
                note_answer(app, &[now], false)?;
            }
            let reference = names::committee_ref(&before.id);
            let what = format!("the relay of {reference} did not take it in time");
            Ok(Delivery::Waiting(Failure::new(Error::NotDelivered, what)))
        }
    }
}

/// No log of this committee can ever admit it.
pub(crate) fn never(draft: &Draft) -> Failure {
    let why = draft.refusal.as_ref().map_or("", |refusal| refusal.why.as_str());
    let failure = |what: String| Failure::new(Error::NotAllowed, what);
    match draft.new.what {
        What::Record => failure(format!("{} can never be admitted: {why}", draft.new.reference))
            .safe("It is kept in the vault.")
            .next("sealpost status"),
        What::Roster => failure(format!("The change `{}` was refused: {why}", draft.new.kind))
            .safe("The committee is as it was before.")
            .next("sealpost committee show, and type it again if it is still wanted"),
    }
}

async fn deliver_at_last(
    app: &mut App,
    no: CommitteeNo,
    ids: &[&str],
) -> Result<Option<Failure>, Failure> {
    loop {
        // Another sync had them accepted, or refused: a round of ours would drop what says so.
        let left = left(app, ids)?;
        if left.is_empty() || left.iter().any(is_refused) {
            return Ok(None);
        }
        match SyncLock::take(app.vault.home()) {
            Ok(_alone) => {
                let report = round(app, Scope::One(no), which(&left)).await?;
                return Ok(report.into_result().err());
            }
            Err(VaultError::SyncRunning) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Blobs wait for their turn, unless one of them is what is waited for.
fn which(left: &[Draft]) -> Which {
    let is_attachment = |draft: &Draft| draft.new.kind == attachments::KIND;
    if left.iter().any(is_attachment) { Which::All } else { Which::None }
}

/// Those drafts that are still there.
fn left(app: &App, ids: &[&str]) -> Result<Vec<Draft>, VaultError> {
    app.vault.read(|vault| {
        let found = ids.iter().map(|id| vault.draft(id));
        Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })
}

fn is_refused(draft: &Draft) -> bool {
    draft.sending == Sending::Refused
}

#[cfg(test)]
mod tests;
