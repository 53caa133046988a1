//! `sealpost recovery help`

use std::time::Duration;

use sealpost_protocol::id::MemberNumber;
use serde::Serialize;

use crate::app::{App, Session};
use crate::error::{Failure, Kind};
use crate::invitations::{self, For, Wish};
use crate::lie::must_be_dealt_with;
use crate::members;
use crate::names::{self, People};
use crate::recovery::help;
use crate::relay;
use crate::ui::input;
use crate::ui::time::{self, parse_duration};
use crate::vault::committees::Committee;
use crate::vault::invitations::{Invitation, InvitationState, JoinRequest};

/// Helps a member who lost every device: you hold a share of the way back in.
///
/// With the member, it makes a code to send them, for `recovery claim` on their new device. With the REF
/// of the device that then asks, it hands your share over: once you have heard their voice, and they have
/// read out the same safety number.
#[derive(Debug, clap::Args)]
pub struct Help {
    /// The member, or the device that asks as `member list --asking` shows it.
    #[arg(value_name = "MEMBER_OR_DEVICE_REF")]
    whom: String,
    /// The safety number as they read it out, in Latin, Arabic or Persian digits; without it, it is asked
    /// for.
    #[arg(long, value_name = "DIGITS")]
    safety_number: Option<String>,
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// How long the code lives, by the relay's clock: 30m, 48h, 7d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_duration)]
    expires: Duration,
}

/// What `recovery help` prints with `--json`, with a member.
#[derive(Serialize)]
struct Made {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    member: String,
    code: String,
    expires: String,
}

/// What `recovery help` prints with `--json`, with a device.
#[derive(Serialize)]
struct Helped {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    member: String,
    state: &'static str,
}

impl Help {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let asking = app.vault.read(|vault| invitations::asking_named(vault, &self.whom));
        let asking: Vec<_> = asking.unwrap_or_default().into_iter().filter(for_help).collect();
        match asking.is_empty() {
            true => self.invite(session, &mut app),
            false => self.hand_over(session, &mut app, &asking),
        }
    }

    fn invite(&self, session: &mut Session, app: &mut App) -> Result<(), Failure> {
        if self.safety_number.is_some() {
            let what = "No device of that REF asks for your share";
            return Err(Failure::new(Kind::NotFound, what).next("sealpost member list --asking"));
        }
        let (known, owner, member) = app.vault.read(|vault| {
            let known = names::committee(vault, self.committee.as_deref())?;
            let owner = members::named(vault, known.no, std::slice::from_ref(&self.whom))?[0];
            let member = People::load(vault, known.no)?.member(owner);
            Ok::<_, Failure>((known, owner, member))
        })?;
        let wish = Wish { whom: For::Recovery(owner), uses: 1, lives: self.expires };
        let kept = relay::run(invitations::obtain(app, &known, wish))?;
        let made = Made {
            reference: names::invitation_ref(&kept.id).to_string(),
            committee: names::committee_ref(&known.id).to_string(),
            expires: time::rfc3339(kept.expires),
            code: kept.text,
            member,
        };
        session.ui.result(&made, &made.code)?;
        session
            .ui
            .talk("Send it to them over any channel. On their new device: sealpost init, then");
        session.ui.talk("sealpost recovery claim. Then here: sealpost member list --asking");
        Ok(())
    }

    fn hand_over(
        &self,
        session: &mut Session,
        app: &mut App,
        asking: &[(Invitation, JoinRequest)],
    ) -> Result<(), Failure> {
        session.ui.talk(
            "Go on only if you have heard them yourself: whoever has enough shares acts as them.",
        );
        let number = match &self.safety_number {
            Some(number) => number.clone(),
            None => input::ask("The safety number, as they read it out")?,
        };
        let chosen = invitations::with_number(asking, &number)?;
        let owner = owner_of(&chosen.0)?;
        let (known, member) = app.vault.read(|vault| {
            let known = vault.committee_no(chosen.0.committee)?;
            let member = People::load(vault, known.no)?.member(owner);
            Ok::<_, Failure>((known, member))
        })?;
        help::must_help(app, &known, owner)?;
        relay::run(send(app, &known, chosen, owner))?;
        let helped = Helped {
            reference: names::device_ref(&chosen.1.device).to_string(),
            committee: names::committee_ref(&known.id).to_string(),
            member,
            state: "given",
        };
        let words = format!("{}  your share of {} is given", helped.reference, helped.member);
        session.ui.result(&helped, &words)?;
        session.ui.talk("On their new device: sealpost recovery claim");
        Ok(())
    }
}

async fn send(
    app: &mut App,
    known: &Committee,
    chosen: &(Invitation, JoinRequest),
    owner: MemberNumber,
) -> Result<(), Failure> {
    must_be_dealt_with(app, known)?;
    let connection = relay::connect(app, &relay::address_of(&known.relay)?).await?;
    let sent = help::answer(app, &connection, known, chosen, owner).await;
    connection.close().await;
    sent.map_err(|error| error.told(app, known))
}

/// One that was cancelled is answered no more, and they may have asked by another code since.
fn for_help((kept, _): &(Invitation, JoinRequest)) -> bool {
    matches!(For::of(kept), Ok(For::Recovery(_))) && kept.state == InvitationState::Open
}

fn owner_of(kept: &Invitation) -> Result<MemberNumber, Failure> {
    match For::of(kept)? {
        For::Recovery(owner) => Ok(owner),
        _ => Err(Failure::new(Kind::NotFound, "It does not ask for a share")),
    }
}
