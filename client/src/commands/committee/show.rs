//! `sealpost committee show`

use sealpost_protocol::change::Policy;
use serde::Serialize;

use crate::app::Session;
use crate::error::Failure;
use crate::log::Log;
use crate::members::{self, Member};
use crate::names;
use crate::proposals::{self, Waiting};
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
    lock_pending: bool,
    waiting: Vec<Waiting>,
}

/// A policy, in `--json` with these names.
#[derive(Serialize)]
pub(super) struct PolicyShown {
    approvals: u16,
    lease_days: u16,
    lease_enforced: bool,
    confirm_devices: u16,
    confirm_countries: u16,
    device_needs_coordinator: bool,
    retention_months: u16,
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
                lock_pending: fold.roster().lock_pending(),
                waiting: proposals::waiting(vault, known.no, own, app.clock.now())?,
            })
        })?;
        Ok(session.ui.result(&shown, &shown.words())?)
    }
}

impl PolicyShown {
    pub(super) fn of(policy: &Policy) -> Self {
        Self {
            approvals: policy.approvals,
            lease_days: policy.lease.days,
            lease_enforced: policy.lease.enforce,
            confirm_devices: policy.confirm.devices,
            confirm_countries: policy.confirm.countries,
            device_needs_coordinator: policy.device_needs_coordinator,
            retention_months: policy.retention_months,
        }
    }

    /// The rows of a table.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let enforced = if self.lease_enforced { ", enforced" } else { "" };
        let kept = match self.retention_months {
            0 => "for ever".to_owned(),
            months => format!("{months} months"),
        };
        let by = format!("{} devices, {} countries", self.confirm_devices, self.confirm_countries);
        let rows = [
            ("approvals needed", self.approvals.to_string()),
            ("lease", format!("{} days{enforced}", self.lease_days)),
            ("confirmed by", by),
            ("a further device needs a coordinator", self.device_needs_coordinator.to_string()),
            ("plaintext stays in vaults", kept),
        ];
        rows.map(|(name, value)| vec![name.to_owned(), value]).into()
    }
}

impl Shown {
    fn words(&self) -> String {
        let name = self.name.clone().unwrap_or_default();
        let pending =
            if self.lock_pending { ", to be changed before anything is sent" } else { "" };
        let about = vec![
            vec!["name".to_owned(), name],
            vec!["relay".to_owned(), self.relay.clone()],
            vec!["lock".to_owned(), format!("{}{pending}", self.epoch)],
            vec!["entries verified".to_owned(), self.size.to_string()],
            vec!["head code".to_owned(), self.head_code.clone()],
            vec!["approvals needed".to_owned(), self.policy.approvals.to_string()],
        ];
        let members: Vec<Vec<String>> = self.members.iter().map(Member::cells).collect();
        let waiting: Vec<Vec<String>> = self.waiting.iter().map(Waiting::cells).collect();
        let parts = [
            table(&["COMMITTEE", &self.reference], &about),
            table(&Member::HEADERS, &members),
            table(&Waiting::HEADERS, &waiting),
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}
