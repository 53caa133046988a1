//! `sealpost member list`

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::app::{App, Session};
use crate::error::Failure;
use crate::invitations::{self, For};
use crate::lie::must_be_dealt_with;
use crate::members::{self, Member};
use crate::names::{self, alike};
use crate::relay;
use crate::ui::{table, time};
use crate::vault::committees::Committee;
use crate::vault::invitations::{Invitation, JoinRequest};

/// How long the relay is asked for news before what is known is shown.
const NEWS_PATIENCE: Duration = Duration::from_secs(3);

/// Lists the members of a committee, or who asks to join.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// Those who ask to join, with the safety number to compare by voice.
    #[arg(long)]
    asking: bool,
}

/// Somebody who asks to join.
#[derive(Serialize)]
struct AskingRow {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    handle: String,
    safety_number: String,
    committee: String,
    invitation: String,
    role: String,
    #[serde(skip)]
    whom: For,
    since: String,
    /// What is to be told of the handle: that it reads like a member's, or mixes scripts.
    warnings: Vec<String>,
}

impl List {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        if self.asking {
            return self.asking(session, &mut app);
        }
        let own = app.device.device_id();
        let members = app.vault.read(|vault| {
            let known = names::committee(vault, self.committee.as_deref())?;
            members::list(vault, known.no, own)
        })?;
        let cells: Vec<Vec<String>> = members.iter().map(Member::cells).collect();
        session.ui.result(&members, &table(&Member::HEADERS, &cells))?;
        for warning in members.iter().flat_map(|member| &member.warnings) {
            session.ui.talk(&format!("! {warning}"));
        }
        Ok(())
    }

    fn asking(&self, session: &mut Session, app: &mut App) -> Result<(), Failure> {
        let committees = app.vault.read(|vault| match &self.committee {
            Some(typed) => Ok(vec![names::committee(vault, Some(typed))?]),
            None => Ok::<_, Failure>(vault.committees()?),
        })?;
        // A look at the relay, unless it did not answer last time: who asked just now is shown too.
        for known in committees.iter().filter(|known| known.answered != Some(false)) {
            if let Err(failure) = relay::run(news(app, known)) {
                session.ui.talk(&format!("{}: shown as it was last known.", failure.story()));
            }
        }
        let rows: Vec<AskingRow> = app.vault.read(|vault| {
            let asking = invitations::asking_in(vault, None)?;
            let row = |(kept, request): &(Invitation, JoinRequest)| {
                let known = committees.iter().find(|known| known.no == kept.committee)?;
                Some(AskingRow::of(known, kept, request))
            };
            asking.iter().filter_map(row).collect::<Result<_, Failure>>()
        })?;
        let cells: Vec<Vec<String>> = rows.iter().map(AskingRow::cells).collect();
        let headers = ["DEVICE", "HANDLE", "SAFETY NUMBER", "COMMITTEE", "ROLE"];
        let words = table(&headers, &cells);
        session.ui.result(&rows, &words)?;
        for warning in rows.iter().flat_map(|row| &row.warnings) {
            session.ui.talk(&format!("! {warning}"));
        }
        if rows.is_empty() {
            session.ui.talk("Nobody asks to join.");
        } else {
            session.ui.talk("Read the safety number to each other by voice. The same? Then:");
            let mut commands: Vec<String> = rows.iter().map(AskingRow::command).collect();
            commands.dedup();
            commands.iter().for_each(|command| session.ui.talk(command));
        }
        Ok(())
    }
}

async fn news(app: &mut App, known: &Committee) -> Result<(), Failure> {
    must_be_dealt_with(app, known)?;
    let address = relay::address_of(&known.relay)?;
    let asked = timeout(NEWS_PATIENCE, async {
        let connection = relay::connect(app, &address).await?;
        let fetched = invitations::fetch_asking(app, &connection, known).await;
        connection.close().await;
        Ok(fetched)
    });
    match asked.await {
        Ok(Ok(fetched)) => fetched.map_err(|error| error.told(app, known)),
        Ok(Err(failure)) => Err(failure),
        // Who asks will be seen at the next sync.
        Err(_) => Ok(()),
    }
}

impl AskingRow {
    fn command(&self) -> String {
        let device = &self.reference;
        match self.whom {
            For::Person(_) => format!("sealpost member admit {device} --safety-number DIGITS"),
            For::OwnDevice => format!("sealpost device add {device} --safety-number DIGITS"),
            For::Recovery(_) => format!("sealpost recovery help {device} --safety-number DIGITS"),
        }
    }

    fn of(known: &Committee, kept: &Invitation, request: &JoinRequest) -> Result<Self, Failure> {
        let label = names::label(known)?;
        let whom = For::of(kept)?;
        // A further device of somebody's, or one that they come back on, is called as they are.
        let warnings = match whom {
            For::Person(_) => alike::warnings(&request.handle, members::handles(label.as_ref())),
            For::OwnDevice | For::Recovery(_) => Vec::new(),
        };
        Ok(Self {
            warnings,
            whom,
            reference: names::device_ref(&request.device).to_string(),
            id: request.device.to_string(),
            handle: request.handle.clone(),
            safety_number: request.safety_number.clone(),
            committee: names::committee_ref(&known.id).to_string(),
            invitation: names::invitation_ref(&kept.id).to_string(),
            role: kept.role.clone(),
            since: time::rfc3339(request.seen),
        })
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.reference.clone(),
            self.handle.clone(),
            self.safety_number.clone(),
            self.committee.clone(),
            self.role.clone(),
        ]
    }
}
