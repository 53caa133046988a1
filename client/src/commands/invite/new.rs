//! `sealpost invite new`

use std::time::Duration;

use sealpost_protocol::limits::INVITATION_USES_MAX;
use serde::Serialize;

use crate::app::Session;
use crate::changes::RoleName;
use crate::error::Failure;
use crate::invitations::{self, For, Wish};
use crate::names;
use crate::relay;
use crate::ui::time::{self, parse_duration};

/// Makes an invitation to a committee. Whoever holds it may ask to join; nobody is in before the
/// safety number was compared by voice.
#[derive(Debug, clap::Args)]
pub struct New {
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// The role of who joins.
    #[arg(long, value_enum, default_value = "member")]
    role: RoleName,
    /// How many persons it may admit, 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = uses())]
    uses: u32,
    /// How long it lives, by the relay's clock: 30m, 48h, 7d.
    #[arg(long, value_name = "TIME", default_value = "48h", value_parser = parse_duration)]
    expires: Duration,
}

fn uses() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(INVITATION_USES_MAX))
}

/// What `invite new` prints with `--json`.
#[derive(Serialize)]
struct Made {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    invitation: String,
    role: &'static str,
    uses: u32,
    expires: String,
}

impl New {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let known = app.vault.read(|vault| names::committee(vault, self.committee.as_deref()))?;
        let wish = Wish { whom: For::Person(self.role), uses: self.uses, lives: self.expires };
        let kept = relay::run(invitations::obtain(&mut app, &known, wish))?;
        let made = Made {
            reference: names::invitation_ref(&kept.id).to_string(),
            committee: names::committee_ref(&known.id).to_string(),
            invitation: kept.text,
            role: self.role.as_str(),
            uses: kept.uses,
            expires: time::rfc3339(kept.expires),
        };
        session.ui.talk(&format!(
            "{} to {}, until {}. Send it over any channel; whoever holds it may ask to join.",
            made.reference, made.committee, made.expires
        ));
        Ok(session.ui.result(&made, &made.invitation)?)
    }
}
