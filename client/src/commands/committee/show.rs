//! `sealpost committee show`

use sealpost_protocol::change::Policy;
use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::log::Log;
use crate::members::{self, Member};
use crate::names;
use crate::ui::{table, time};

/// Shows a committee: its roster, its lock and how far it is verified.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The committee; may be left out when there is only one.
    #[arg(value_name = "REF")]
    committee: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    name: Option<String>,
    state: &'static str,
    relay: String,
    relay_country: String,
    size: u64,
    root: String,
    head_code: String,
    epoch: u32,
    epochs_held: Vec<u32>,
    term: u32,
    policy: PolicyShown,
    since: String,
    members: Vec<Member>,
}

#[derive(Serialize)]
struct PolicyShown {
    approvals: u16,
    lease_days: u16,
    lease_enforced: bool,
    confirm_devices: u16,
    confirm_countries: u16,
}

impl Show {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let own = app.device.device_id();
        let shown = app.vault.read(|vault| {
            let known = names::committee(vault, self.committee.as_deref())?;
            let log = Log::load(vault, known.no)?;
            let fold = log.pulled()?;
            let head = log.checkpoint().expect("it was pulled");
            let held = vault.epochs_held(known.no)?;
            Ok::<_, Failure>(Shown {
                reference: names::committee_ref(&known.id).to_string(),
                id: known.id.to_string(),
                name: names::label(&known)?.map(|label| label.name),
                state: known.standing.as_str(),
                relay: log.address().to_string(),
                relay_country: fold.roster().home().country.to_string(),
                size: fold.size().0,
                root: fold.root().to_string(),
                head_code: head.head_code(),
                epoch: fold.roster().epoch().0,
                epochs_held: held.iter().map(|epoch| epoch.0).collect(),
                term: fold.term().0,
                policy: PolicyShown::of(fold.roster().policy()),
                since: time::rfc3339(known.made),
                members: members::list(vault, known.no, own)?,
            })
        })?;
        Ok(session.ui.result(&shown, &shown.words())?)
    }
}

impl PolicyShown {
    fn of(policy: &Policy) -> Self {
        Self {
            approvals: policy.approvals,
            lease_days: policy.lease.days,
            lease_enforced: policy.lease.enforce,
            confirm_devices: policy.confirm.devices,
            confirm_countries: policy.confirm.countries,
        }
    }
}

impl Shown {
    fn words(&self) -> String {
        let name = self.name.clone().unwrap_or_default();
        let about = vec![
            vec!["name".to_owned(), name],
            vec!["relay".to_owned(), self.relay.clone()],
            vec!["lock".to_owned(), self.epoch.to_string()],
            vec!["entries verified".to_owned(), self.size.to_string()],
            vec!["head code".to_owned(), self.head_code.clone()],
            vec!["approvals needed".to_owned(), self.policy.approvals.to_string()],
        ];
        let members: Vec<Vec<String>> = self.members.iter().map(Member::cells).collect();
        let about = table(&["COMMITTEE", &self.reference], &about);
        format!("{about}\n\n{}", table(&Member::HEADERS, &members))
    }
}
