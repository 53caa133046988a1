//! `sealpost committee lock`

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::app::{App, Session};
use crate::changes::Intent;
use crate::commands::{CHANGE_PATIENCE, delivered};
use crate::error::{Failure, Kind};
use crate::invitations;
use crate::keys::Keys;
use crate::log::Log;
use crate::names;
use crate::outbox;
use crate::sync;
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
        if self.export { export(session, &app, &known) } else { change(session, &mut app, &known) }
    }
}

fn change(session: &mut Session, app: &mut App, known: &Committee) -> Result<(), Failure> {
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    invitations::must_coordinate(app, &log)?;
    let id = outbox::save_intent(app, known.no, &Intent::LOCK)?;
    let delivery = sync::deliver(app, known.no, &id, CHANGE_PATIENCE);
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let epoch = log.pulled()?.roster().epoch().0;
    let reference = names::committee_ref(&known.id).to_string();
    let (state, words) = match &delivery {
        sync::Delivery::Accepted => ("accepted", format!("{reference}  lock {epoch}")),
        sync::Delivery::Waiting(_) => {
            ("saved", format!("{reference}  lock {epoch}, not changed yet"))
        }
    };
    session.ui.result(&Changed { reference, epoch, state }, &words)?;
    delivered(delivery, "The new lock")
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
