//! `sealpost record forget`

use std::time::Duration;

use sealpost_protocol::id::DeviceId;
use serde::Serialize;

use crate::app::Session;
use crate::audit;
use crate::commands::not_sent;
use crate::error::{Failure, Kind};
use crate::forget::{self, Outcome, Wanted};
use crate::relay;
use crate::ui::input;
use crate::vault::Read;
use crate::who;

/// How long it is tried for to have it done at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Forgets a record and what is attached to it: relay and colleagues drop payload and files.
///
/// Its author, time and hash stay in the log, which goes on to verify. What devices have copied, or a
/// dishonest relay kept, stays where it is: the devices that had it are listed. Another's record is
/// forgotten by coordinators, as many as the policy asks for.
#[derive(Debug, clap::Args)]
pub struct Forget {
    /// The record, or one attachment.
    #[arg(value_name = "REF")]
    record: String,
    /// Leave its attachments.
    #[arg(long)]
    alone: bool,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
}

/// What `record forget` prints with `--json`.
#[derive(Serialize)]
struct Shown {
    /// What is to be forgotten: the record, then what is attached.
    refs: Vec<String>,
    /// What others attached to it: only a coordinator has that forgotten.
    left: Vec<String>,
    /// Attachments for named readers, of which this device cannot see whether they belong to it.
    unmatched: usize,
    /// `forgotten`, `waits`, `overtaken` or `saved`.
    state: &'static str,
    /// Under which REFs others approve it.
    approve: Vec<String>,
    /// Devices that vouched for the log beyond it: they have had it.
    had: Vec<Had>,
}

#[derive(Serialize)]
struct Had {
    device: String,
    handle: String,
}

impl Forget {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let mut wanted = forget::wanted(&app, &self.record, self.alone)?;
        // What nobody has yet is not sent by asking.
        if !wanted.records.is_empty() {
            if let Err(failure) = relay::run(audit::ask(&mut app, wanted.committee)) {
                session.ui.talk(&format!("{}: who had it is as last known.", failure.story()));
            }
            // What came with that may be attached to it.
            wanted = forget::wanted(&app, &self.record, self.alone)?;
        }
        let own = app.device.device_id();
        let had = app.vault.read(|vault| had(vault, &wanted, own))?;
        let records = wanted.records.iter().map(|one| one.reference.clone());
        let drafts = wanted.drafts.iter().map(|draft| draft.new.reference.clone());
        let refs: Vec<String> = records.chain(drafts).collect();
        let left: Vec<String> = wanted.others.iter().map(|one| one.reference.clone()).collect();
        session.ui.talk(&format!("To be forgotten: {}", refs.join(", ")));
        if !left.is_empty() {
            let left = left.join(", ");
            session.ui.talk(&format!("Not yours, for a coordinator to forget: {left}"));
        }
        if wanted.unmatched > 0 {
            session.ui.talk(&format!(
                "{} attachments for named readers: whether one belongs to it, this device cannot see.",
                wanted.unmatched
            ));
        }
        for Had { device, handle } in &had {
            session.ui.talk(&format!("{handle} ({device}) has had it, and may have kept a copy."));
        }
        if !self.yes {
            input::confirm("What is forgotten cannot be had back.", &refs[0])?;
        }
        let outcome = forget::forget(&mut app, &wanted, PATIENCE)?;
        let (state, approve) = match &outcome {
            Outcome::Forgotten => ("forgotten", Vec::new()),
            Outcome::Waits(approve) => ("waits", approve.clone()),
            Outcome::Overtaken => ("overtaken", Vec::new()),
            Outcome::Saved(_) => ("saved", Vec::new()),
        };
        let words = format!("{}  {state}", refs.join(", "));
        let unmatched = wanted.unmatched;
        session.ui.result(&Shown { refs, left, unmatched, state, approve, had }, &words)?;
        ended(outcome)
    }
}

/// The devices of others that vouched for the log beyond it.
fn had(vault: &Read<'_>, wanted: &Wanted, own: DeviceId) -> Result<Vec<Had>, Failure> {
    let Some(record) = wanted.records.first() else { return Ok(Vec::new()) };
    let answer = who::can_open(vault, record.clone(), None)?;
    let others = answer.readers.iter().filter(|reader| reader.device != own);
    let delivered = others.filter(|reader| reader.delivered.is_some());
    Ok(delivered
        .map(|reader| Had { device: reader.reference(), handle: reader.handle.clone() })
        .collect())
}

fn ended(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Forgotten => Ok(()),
        Outcome::Waits(approve) => {
            let commands: Vec<String> =
                approve.iter().map(|one| format!("sealpost approve {one}")).collect();
            Err(Failure::new(Kind::SecondPerson, "It waits for other coordinators")
                .safe("It is in the log, and nothing is forgotten until they have approved.")
                .next(format!("Others type: {}", commands.join("; "))))
        }
        Outcome::Overtaken => {
            Err(Failure::new(Kind::Failed, "Not all of it is forgotten: others came before")
                .safe("What is forgotten is; the rest is as it was.")
                .next("sealpost record list, and type it again if it is still wanted"))
        }
        Outcome::Saved(failure) => Err(not_sent(failure, "The wish to forget")),
    }
}
