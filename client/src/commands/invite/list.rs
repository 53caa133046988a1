//! `sealpost invite list`

use sealpost_protocol::id::UnixMillis;
use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::names;
use crate::ui::{table, time};
use crate::vault::committees::Committee;
use crate::vault::invitations::{Invitation, InvitationState, JoinRequest};

/// Lists the invitations this device made.
///
/// Whether one is expired is told by this device's clock; the relay goes by its own.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those to this committee.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
}

#[derive(Serialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    committee: String,
    role: String,
    uses: u32,
    asked: usize,
    expires: String,
    state: &'static str,
}

impl List {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let now = app.clock.now();
        let rows: Vec<Row> = app.vault.read(|vault| {
            let committees = match &self.committee {
                Some(typed) => vec![names::committee(vault, Some(typed))?],
                None => vault.committees()?,
            };
            let requests = vault.join_requests()?;
            let row = |kept: &Invitation| {
                let known = committees.iter().find(|known| known.no == kept.committee)?;
                Some(Row::of(kept, known, &requests, now))
            };
            Ok::<_, Failure>(vault.invitations()?.iter().filter_map(row).collect())
        })?;
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        let headers = ["INVITATION", "COMMITTEE", "ROLE", "USES", "ASKED", "UNTIL", "STATE"];
        Ok(session.ui.result(&rows, &table(&headers, &cells))?)
    }
}

impl Row {
    fn of(kept: &Invitation, known: &Committee, requests: &[JoinRequest], now: UnixMillis) -> Self {
        let asked = requests.iter().filter(|request| request.invitation == kept.id).count();
        Self {
            reference: names::invitation_ref(&kept.id).to_string(),
            committee: names::committee_ref(&known.id).to_string(),
            role: kept.role.clone(),
            uses: kept.uses,
            asked,
            expires: time::rfc3339(kept.expires),
            state: match kept.state {
                InvitationState::Open if kept.expires <= now => "expired",
                InvitationState::Open if asked as u64 >= u64::from(kept.uses) => "used",
                state => state.as_str(),
            },
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.reference.clone(),
            self.committee.clone(),
            self.role.clone(),
            self.uses.to_string(),
            self.asked.to_string(),
            self.expires.clone(),
            self.state.to_owned(),
        ]
    }
}
