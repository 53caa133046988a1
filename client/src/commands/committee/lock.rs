//! `sealpost committee lock`

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::app::{App, Session};
use crate::changes::Intent;
use crate::commands::{CHANGE_PATIENCE, settled};
use crate::decide::{self, Outcome};
use crate::error::{Failure, Kind};
use crate::invitations;
use crate::keys::Keys;
use crate::log::Log;
use crate::names;
use crate::ui::input;
use crate::vault::committees::Committee;

/// Changes a committee's lock; with --export, prints the present one instead.
///
/// What is sealed from then on opens with the new lock only. The exported lock opens every record
/// of its epoch with stock age, for whoever holds it.
#[derive(Debug, clap::Args)]
pub struct Lock {
    /// The committee.
    #[arg(value_name = "REF")]
    committee: String,
    /// Print the identity and the record passphrase of the present lock, and change nothing.
    #[arg(long)]
    export: bool,
    /// Withhold history: whoever comes in later reads nothing from before the new lock.
    #[arg(long, conflicts_with = "export")]
    from_now: bool,
    /// Do not ask for the REF to be typed again.
    #[arg(long)]
    yes: bool,
}

/// What `committee lock` prints with `--json`.
#[derive(Serialize)]
struct Changed {
    #[serde(rename = "ref")]
    reference: String,
    epoch: u32,
    state: &'static str,
}

/// What `committee lock --export` prints with `--json`.
#[derive(Serialize)]
struct Exported {
    #[serde(rename = "ref")]
    reference: String,
    epoch: u32,
    identity: String,
    record_passphrase: String,
}

impl Lock {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let known = app.vault.read(|vault| names::committee(vault, Some(&self.committee)))?;
        if !self.yes {
            let what = if self.export { "This prints the lock." } else { "This changes the lock." };
            input::confirm(what, &names::committee_ref(&known.id).to_string())?;
        }
        if self.export {
            return export(session, &app, &known);
        }
        change(session, &mut app, &known, self.from_now)
    }
}

fn change(
    session: &mut Session,
    app: &mut App,
    known: &Committee,
    withhold: bool,
) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    invitations::must_coordinate(app, &log)?;
    let intent = Intent::Lock { withhold, if_pending: false };
    let outcome = decide::make(app, known.no, intent, CHANGE_PATIENCE)?;
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let epoch = log.pulled()?.roster().epoch().0;
    let reference = names::committee_ref(&known.id).to_string();
    let (state, words) = match &outcome {
        Outcome::Saved(_) => ("saved", format!("{reference}  lock {epoch}, not changed yet")),
        _ => ("accepted", format!("{reference}  lock {epoch}")),
    };
    session.ui.result(&Changed { reference, epoch, state }, &words)?;
    settled(outcome, "The new lock")
}

fn export(session: &mut Session, app: &App, known: &Committee) -> Result<(), Failure> {
    let (epoch, identity, passphrase) = app.vault.read(|vault| {
        let log = Log::load(vault, known.no)?;
        let fold = log.pulled()?;
        let epoch = fold.roster().epoch();
        let mut keys = Keys::new(&app.device, known.no, fold);
        let Some(keys) = keys.of(vault, epoch)? else {
            return Err(Failure::new(
                Kind::NotAllowed,
                "This device does not hold the present lock",
            )
            .next("Ask a coordinator to grant it, then sealpost sync"));
        };
        let secret = keys.secret();
        Ok((epoch, secret.identity().to_string(), secret.record_passphrase()))
    })?;
    let (identity, passphrase) = (identity.expose_secret(), passphrase.expose_secret());
    let exported = Exported {
        reference: names::committee_ref(&known.id).to_string(),
        epoch: epoch.0,
        identity: identity.to_owned(),
        record_passphrase: passphrase.to_owned(),
    };
    session.ui.talk("Whoever holds these lines opens every record of this lock.");
    Ok(session.ui.result(&exported, &format!("{identity}\nrecord passphrase: {passphrase}"))?)
}
