//! `sealpost committee found`

use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::id::Country;
use sealpost_protocol::limits;
use serde::Serialize;

use crate::app::{App, Session};
use crate::error::{Failure, Kind};
use crate::join::{self, Founding};
use crate::names;
use crate::pull::Brought;
use crate::relay;
use crate::sync;
use crate::ui::input::TextSource;
use crate::vault::committees::Committee;

/// Founds a committee on a relay, with this device as its first coordinator.
#[derive(Debug, clap::Args)]
pub struct Found {
    /// The relay's address, as `sealpost-relay key` prints it.
    #[arg(long, value_name = "ADDRESS")]
    relay: String,
    /// The relay's leave to found a committee there.
    #[arg(long, value_name = "CODE")]
    permit: String,
    /// Read the committee's name from this file, or from stdin with -; without it, it is asked for.
    #[arg(long, value_name = "FILE|-")]
    name_from: Option<TextSource>,
    /// The country the relay stands in, two letters like CH. Everybody can see it.
    #[arg(long, value_name = "CC", default_value = names::NO_COUNTRY)]
    relay_country: Country,
}

/// What `committee found` prints with `--json`.
#[derive(Serialize)]
struct Founded {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    relay: String,
}

impl Found {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let address: RelayAddress = self.relay.parse().map_err(|error| {
            Failure::new(Kind::Usage, "That is no relay address")
                .because(format!("{error}"))
                .next("Copy it as `sealpost-relay key` prints it: sealpost://…@host:port")
        })?;
        let mut app = session.open()?;
        let source = self.name_from.clone().unwrap_or(TextSource::Prompt);
        let name = source.read_line("The committee's name", limits::COMMITTEE_NAME_BYTES_MAX)?;
        let name = names::committee_name(&name)?;
        let founding = Founding {
            address: &address,
            permit: &self.permit,
            relay_country: self.relay_country,
            name,
        };
        let known = relay::run(found(&mut app, &founding))?;
        let reference = names::committee_ref(&known.id).to_string();
        let words = format!("{reference}  founded");
        let next = format!("sealpost invite new --committee {reference}");
        let founded = Founded { reference, id: known.id.to_string(), relay: known.relay };
        session.ui.talk(&format!("Next: {next}, and send the invitation over any channel."));
        Ok(session.ui.result(&founded, &words)?)
    }
}

/// Nothing is kept before the relay was reached: an address may be mistyped.
async fn found(app: &mut App, founding: &Founding<'_>) -> Result<Committee, Failure> {
    let _alone = relay::alone(app).await?;
    let connection = relay::connect(app, founding.address).await.map_err(|error| {
        Failure::from(error).safe("Nothing was founded, and the permit is as it was.")
    })?;
    let known = join::save_founding(app, founding)?;
    let opened = sync::open(app, &connection, &known, &mut Brought::default()).await;
    connection.close().await;
    match opened {
        Ok(()) => Ok(known),
        Err(error) => {
            let failure = error.told(app, &known);
            let kept = app.vault.read(|vault| vault.committee(&known.id))?.is_some();
            Err(if kept && failure.kind == Kind::Unreachable {
                unknown_outcome(&known, &failure)
            } else {
                failure
            })
        }
    }
}

fn unknown_outcome(known: &Committee, failure: &Failure) -> Failure {
    let reference = names::committee_ref(&known.id);
    let what =
        format!("The line was lost while {reference} was being founded: {}", failure.story());
    Failure::new(Kind::NotDelivered, what)
        .safe("The founding is in the vault, and the same one is sent again.")
        .next("sealpost sync")
}
