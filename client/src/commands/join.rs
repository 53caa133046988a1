//! `sealpost join`

use sealpost_protocol::id::Country;
use serde::Serialize;

use crate::app::{App, Session};
use crate::error::{Failure, Kind};
use crate::join::{self, Joining, Opening};
use crate::names;
use crate::pull::Brought;
use crate::relay;
use crate::sync;
use crate::ui::input::{self, TextSource};
use crate::vault::committees::Committee;
use crate::vault::{Read, VaultError};

/// An invitation is at most so long.
const INVITATION_BYTES_MAX: usize = 4 * 1024;

/// Asks to join a committee. The invitation is typed at a prompt or read from stdin.
#[derive(Debug, clap::Args)]
pub struct Join {
    /// The handle to be known by there; without it, the one given at init.
    #[arg(long, value_name = "NAME")]
    handle: Option<String>,
    /// The country you say to be in; without it, the one given at init.
    #[arg(long, value_name = "CC")]
    country: Option<Country>,
}

/// What `join` prints with `--json`.
#[derive(Serialize)]
struct Asked {
    #[serde(rename = "ref")]
    reference: String,
    device: String,
    handle: String,
    safety_number: String,
    state: &'static str,
}

impl Join {
    /// Asks.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let source = if input::can_ask() { TextSource::Prompt } else { TextSource::Stdin };
        let invitation = source.read("Invitation", INVITATION_BYTES_MAX)?;
        let own = app.vault.read(Read::own)?;
        let handle = names::handle(&self.handle.unwrap_or(own.handle))?;
        let country = match self.country {
            Some(country) => country,
            None => own
                .country
                .parse()
                .map_err(|_| VaultError::Damaged("the country in it does not read".to_owned()))?,
        };
        let joining = Joining { invitation: &invitation, handle, country };
        let known = join::save_joining(&mut app, &joining)?;
        let sent = relay::run(send(&mut app, &known));
        let still_there = app.vault.read(|vault| vault.committee(&known.id))?;
        let Some(known) = still_there else { return sent };
        tell(session, &app, &known, sent.is_ok())?;
        sent.map_err(|failure| match failure.kind {
            Kind::Unreachable | Kind::Busy => not_asked_yet(&failure),
            _ => failure,
        })
    }
}

async fn send(app: &mut App, known: &Committee) -> Result<(), Failure> {
    let _alone = relay::alone(app).await?;
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let opened = sync::open(app, &connection, known, &mut Brought::default()).await;
    connection.close().await;
    opened.map_err(|error| error.told(app, known))
}

fn tell(session: &mut Session, app: &App, known: &Committee, sent: bool) -> Result<(), Failure> {
    // Nothing is left of it when the invitation was for somebody who is in already.
    let Some(Opening::Join(opening)) = Opening::of(known)? else { return Ok(()) };
    let asked = Asked {
        reference: names::committee_ref(&known.id).to_string(),
        device: app.device_ref().to_string(),
        handle: opening.handle,
        safety_number: opening.safety_number,
        state: if sent { "asked" } else { "saved" },
    };
    let words =
        format!("{}  {}\nSafety number   {}", asked.reference, asked.state, asked.safety_number);
    session.ui.result(&asked, &words)?;
    session
        .ui
        .talk("When the coordinator has synced, read the safety number to each other by voice.");
    session.ui.talk("Once you are let in: sealpost sync");
    Ok(())
}

fn not_asked_yet(failure: &Failure) -> Failure {
    let what = format!("The request is saved and not sent yet: {}", failure.story());
    Failure::new(Kind::NotDelivered, what)
        .safe("Nothing is lost: it goes at the next sync.")
        .next("sealpost sync")
}
