//! `sealpost recovery set`

use serde::Serialize;

use crate::app::Session;
use crate::commands::{CHANGE_PATIENCE, relocked, settled, state_of};
use crate::decide::{self, Outcome};
use crate::error::Failure;
use crate::members;
use crate::names;
use crate::recovery::set::{self, Wish};

/// Shares a spare device of yours among helpers, so that enough of them can bring you back when all your
/// devices are lost.
///
/// Fewer of them than the threshold can do nothing, together with the relay neither; the relay sees who
/// helps whom. It is for one committee: do it in each. A spare falls with you: suspended, nobody comes
/// back by it. When a helper's device that holds a share ends, or the helper is suspended or leaves, the
/// spare ends, and `status` asks for a new one. Where the policy has coordinators see to further devices,
/// it waits for one.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// Who is to help: handles, or REFs of their devices; in at least two countries.
    #[arg(long, value_name = "MEMBER", num_args = 1.., required = true)]
    helpers: Vec<String>,
    /// How many of them it takes, at least 2.
    #[arg(long, value_name = "K")]
    threshold: u8,
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// Helpers may all be in one country.
    #[arg(long)]
    same_country: bool,
}

/// What `recovery set` prints with `--json`.
#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    threshold: u8,
    helpers: Vec<String>,
    state: &'static str,
    /// With `waiting`: what a coordinator approves.
    approve: Option<String>,
    warnings: Vec<String>,
}

impl Set {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let (known, helpers) = app.vault.read(|vault| {
            let known = names::committee(vault, self.committee.as_deref())?;
            let helpers = members::named(vault, known.no, &self.helpers)?;
            Ok::<_, Failure>((known, helpers))
        })?;
        let wish = Wish { helpers, threshold: self.threshold, same_country: self.same_country };
        let made = set::make(&app, known.no, &wish)?;
        for warning in &made.warnings {
            session.ui.talk(&format!("! {warning}"));
        }
        app.vault
            .write(|vault| vault.put_drills(known.no, made.before, made.spare, &made.drills))?;
        let outcome = decide::make_both(&mut app, known.no, made.intents, CHANGE_PATIENCE)?;
        // The end of a spare before it asks for another lock, though nobody has had it.
        let outcome = relocked(&mut app, known.no, outcome)?;
        let approve = match &outcome {
            Outcome::Waits { reference, .. } => Some(reference.to_string()),
            _ => None,
        };
        let shown = Shown {
            reference: names::device_ref(&made.spare).to_string(),
            committee: names::committee_ref(&known.id).to_string(),
            threshold: self.threshold,
            helpers: self.helpers,
            state: state_of(&outcome),
            approve,
            warnings: made.warnings,
        };
        session.ui.result(&shown, &shown.words())?;
        if matches!(outcome, Outcome::InForce) {
            session
                .ui
                .talk("Each helper syncs, then: sealpost recovery show. Hear each one's code,");
            session.ui.talk("and hold it against yours: sealpost recovery drill HANDLE");
        }
        settled(outcome, "The way back in")
    }
}

impl Shown {
    fn words(&self) -> String {
        let (all, state) = (self.helpers.len(), self.state);
        format!(
            "{}  {} of {all} helpers in {}  {state}",
            self.reference, self.threshold, self.committee
        )
    }
}
