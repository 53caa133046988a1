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

/// All invitations to one's committees are at most so long.
const INVITATIONS_BYTES_MAX: usize = 64 * 1024;

/// Asks to join a committee. The invitation is typed at a prompt or read from stdin; several, for a further
/// device of your own, with spaces or line ends between them.
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
        let invitations = source.read("Invitation", INVITATIONS_BYTES_MAX)?;
        let own = app.vault.read(Read::own)?;
        let handle = names::handle(&self.handle.unwrap_or(own.handle))?;
        let country = match self.country {
            Some(country) => country,
            None => own
                .country
                .parse()
                .map_err(|_| VaultError::Damaged("the country in it does not read".to_owned()))?,
        };
        // Nothing but spaces is no invitation either, and said to be none.
        let texts: Vec<&str> = match invitations.split_whitespace().collect::<Vec<_>>() {
            none if none.is_empty() => vec![""],
            texts => texts,
        };
        let joining = |invitation| Joining { invitation, handle: handle.clone(), country };
        let (mut asked, mut failed) = (Vec::new(), None);
        for text in texts {
            // One that cannot be used keeps no other from being.
            let (one, failure) = match ask(&mut app, &joining(text)) {
                Ok(asked) => asked,
                Err(failure) => (None, Some(failure)),
            };
            asked.extend(one);
            failed = failed.or(failure);
        }
        tell(session, &asked)?;
        failed.map_or(Ok(()), Err)
    }
}

/// Asks with one invitation. What is shown of it, and what kept it from being sent.
fn ask(app: &mut App, joining: &Joining<'_>) -> Result<(Option<Asked>, Option<Failure>), Failure> {
    let known = join::save_joining(app, joining)?;
    let sent = relay::run(send(app, &known));
    let Some(known) = app.vault.read(|vault| vault.committee(&known.id))? else {
        return Ok((None, sent.err()));
    };
    let asked = Asked::of(app, &known, sent.is_ok())?;
    let failure = sent.err().map(|failure| match failure.kind {
        Kind::Unreachable | Kind::Busy => not_asked_yet(&failure),
        _ => failure,
    });
    Ok((asked, failure))
}

async fn send(app: &mut App, known: &Committee) -> Result<(), Failure> {
    let _alone = relay::alone(app).await?;
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let opened = sync::open(app, &connection, known, &mut Brought::default()).await;
    connection.close().await;
    opened.map_err(|error| error.told(app, known))
}

impl Asked {
    /// Nothing is left of it when the invitation was for somebody who is in already.
    fn of(app: &App, known: &Committee, sent: bool) -> Result<Option<Self>, Failure> {
        let Some(Opening::Join(opening)) = Opening::of(known)? else { return Ok(None) };
        Ok(Some(Self {
            reference: names::committee_ref(&known.id).to_string(),
            device: app.device_ref().to_string(),
            handle: opening.handle,
            safety_number: opening.safety_number,
            state: if sent { "asked" } else { "saved" },
        }))
    }
}

fn tell(session: &mut Session, asked: &[Asked]) -> Result<(), Failure> {
    let line = |one: &Asked| {
        format!("{}  {}\nSafety number   {}", one.reference, one.state, one.safety_number)
    };
    let words: Vec<String> = asked.iter().map(line).collect();
    match asked {
        [] => return Ok(()),
        [one] => session.ui.result(one, &words.concat())?,
        several => session.ui.result(&several, &words.join("\n"))?,
    }
    session
        .ui
        .talk("When whoever invited has synced, read the safety number to each other by voice.");
    session.ui.talk("Once you are let in: sealpost sync");
    Ok(())
}

fn not_asked_yet(failure: &Failure) -> Failure {
    let what = format!("The request is saved and not sent yet: {}", failure.story());
    Failure::new(Kind::NotDelivered, what)
        .safe("Nothing is lost: it goes at the next sync.")
        .next("sealpost sync")
}
