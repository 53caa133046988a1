//! `sealpost status`

use sealpost_protocol::id::{DeviceId, UnixMillis};
use serde::Serialize;

use super::unlock::Unlocked;
use crate::agent;
use crate::app::Session;
use crate::confirmed::{CutOff, Holders, Told};
use crate::cosignatures::Judged;
use crate::error::Failure;
use crate::hardness::Hardness;
use crate::hygiene::{self, Item};
use crate::invitations;
use crate::lease::{Lease, LeaseShown};
use crate::log::Log;
use crate::names::{self, People};
use crate::proposals::{self, Waiting};
use crate::ui::display::Untrusted;
use crate::ui::{table, time};
use crate::vault::Read;
use crate::vault::committees::Standing;
use crate::vault::outbox::Draft;

/// Shows this device, its committees, what is not sent yet and since when, and what waits for a
/// second person, with the command to type; and until when the vault is unlocked.
///
/// Of your own records: how many the relay has (sent), and how many of those as many other devices as
/// the policy asks for are known to hold (confirmed). Of the newest cut-off: how many members the log
/// tells of it, and how many are known to have followed it.
///
/// A relay that was caught lying is named with the file of evidence. Nothing goes to it for that committee until a
/// sync finds that it shows again what was verified here; what is written waits in the vault.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Measure instead what a guess at the passphrase costs on this machine.
    #[arg(long)]
    security: bool,
}

#[derive(Serialize)]
struct Shown {
    device: String,
    handle: String,
    /// Until when an agent opens this vault; none when only the passphrase does.
    unlocked: Option<Unlocked>,
    committees: Vec<Committee>,
    unsent: Vec<Unsent>,
    asking: usize,
    waiting: Vec<Waiting>,
}

#[derive(Serialize)]
struct Committee {
    #[serde(rename = "ref")]
    reference: String,
    name: Option<String>,
    state: &'static str,
    size: u64,
    relay: String,
    relay_answered: Option<bool>,
    relay_asked_at: Option<String>,
    evidence: u64,
    /// Records of one's own member that are in the log, and those of them that are confirmed.
    sent: u64,
    confirmed: u64,
    /// From whom this device has heard lately; none before the log was pulled.
    lease: Option<LeaseShown>,
    /// The newest cut-off, for as long as the lease.
    cut_off: Option<CutOffShown>,
    /// Why nothing goes to its relay; none while it does.
    stopped: Option<Stopped>,
    /// What is to be seen to, a line each; `committee audit` says what to do.
    board: Vec<Item>,
}

#[derive(Serialize)]
struct CutOffShown {
    device: String,
    handle: String,
    entry: u64,
    #[serde(flatten)]
    told: Told,
}

#[derive(Serialize)]
struct Stopped {
    /// Which kind of evidence.
    kind: String,
    /// Its file.
    evidence: String,
    since: String,
}

#[derive(Serialize)]
struct Unsent {
    #[serde(rename = "ref")]
    reference: String,
    kind: String,
    committee: String,
    state: &'static str,
    since: String,
    refusal: Option<String>,
}

impl Status {
    /// Shows it.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        if self.security {
            let hardness = Hardness::measure(&session.home)?;
            return Ok(session.ui.result(&hardness, &hardness.words())?);
        }
        let app = session.open()?;
        let device = app.device_ref().to_string();
        let own = app.device.device_id();
        let now = app.clock.now();
        let unlocked = agent::state(&session.home)?.map(|state| Unlocked::of(&state, now));
        let shown = app.vault.read(|vault| {
            let committees = vault.committees()?;
            let committee_ref = |draft: &Draft| {
                let found = committees.iter().find(|known| known.no == draft.new.committee);
                found.map_or_else(String::new, |known| names::committee_ref(&known.id).to_string())
            };
            let unsent = vault.drafts()?.into_iter().map(|draft| Unsent {
                committee: committee_ref(&draft),
                reference: draft.new.reference,
                kind: draft.new.kind,
                state: draft.sending.as_str(),
                since: time::rfc3339(draft.new.made),
                refusal: draft.refusal.map(|refusal| refusal.why),
            });
            let path = |file: &str| app.vault.evidence_path(file).display().to_string();
            let shown = committees.iter().map(|known| {
                let stop = vault.stop(known.no)?.map(|stop| Stopped {
                    evidence: path(&stop.file),
                    kind: stop.kind,
                    since: time::rfc3339(stop.since),
                });
                Committee::of(vault, known, stop, own, now)
            });
            let mut waiting = Vec::new();
            for known in committees.iter().filter(|known| known.standing == Standing::Active) {
                waiting.extend(proposals::waiting(vault, known.no, own, now)?);
            }
            Ok::<_, Failure>(Shown {
                device,
                handle: vault.own()?.handle,
                unlocked,
                unsent: unsent.collect(),
                asking: invitations::asking_in(vault, None)?.len(),
                waiting,
                committees: shown.collect::<Result<_, _>>()?,
            })
        })?;
        Ok(session.ui.result(&shown, &shown.words())?)
    }
}

impl Committee {
    fn of(
        vault: &Read<'_>,
        known: &crate::vault::committees::Committee,
        stopped: Option<Stopped>,
        own: DeviceId,
        now: UnixMillis,
    ) -> Result<Self, Failure> {
        let held = Held::of(vault, known, own, now)?;
        Ok(Self {
            sent: held.sent,
            confirmed: held.confirmed,
            lease: held.lease,
            cut_off: held.cut_off,
            board: hygiene::board(vault, known.no, own, now)?,
            reference: names::committee_ref(&known.id).to_string(),
            name: names::label(known)?.map(|label| label.name),
            state: known.standing.as_str(),
            size: known.size.0,
            relay: known.relay.clone(),
            relay_answered: known.answered,
            relay_asked_at: known.asked.map(time::rfc3339),
            evidence: vault.evidence_count(known.no)?,
            stopped,
        })
    }
}

/// What is known of who else holds a log.
#[derive(Default)]
struct Held {
    sent: u64,
    confirmed: u64,
    lease: Option<LeaseShown>,
    cut_off: Option<CutOffShown>,
}

impl Held {
    fn of(
        vault: &Read<'_>,
        known: &crate::vault::committees::Committee,
        own: DeviceId,
        now: UnixMillis,
    ) -> Result<Self, Failure> {
        let log = Log::load(vault, known.no)?;
        let Some(fold) = log.fold() else { return Ok(Self::default()) };
        let judged = Judged::load(vault, &log)?;
        let holders = Holders::of(&log, &judged)?;
        let (mut sent, mut confirmed) = (0, 0);
        let member = fold.roster().device(own).map(|device| device.member);
        for (device, _) in member.into_iter().flat_map(|own| fold.roster().devices_of(own)) {
            let below = holders.confirmed_below(device);
            let counted = vault.record_count(known.no, device, below)?;
            sent += counted.0;
            confirmed += counted.1;
        }
        let cut_off = match CutOff::newest(vault, &log, &holders, own, now)? {
            Some(cut) => Some(CutOffShown {
                device: names::device_ref(&cut.device).to_string(),
                handle: People::load(vault, known.no)?.name(&cut.device),
                entry: cut.at.0,
                told: cut.told,
            }),
            None => None,
        };
        let lease = Some(Lease::of(fold, own, &judged.same, now).shown());
        Ok(Self { sent, confirmed, lease, cut_off })
    }
}

impl CutOffShown {
    fn words(&self) -> String {
        format!(
            "{} of {} cut off by entry {}: {}",
            self.device,
            Untrusted::line(&self.handle),
            self.entry,
            self.told.words()
        )
    }
}

impl Shown {
    fn words(&self) -> String {
        let mut parts =
            vec![table(&["DEVICE", "HANDLE"], &[vec![self.device.clone(), self.handle.clone()]])];
        parts.extend(self.unlocked.as_ref().map(Unlocked::words));
        let committees: Vec<Vec<String>> = self.committees.iter().map(Committee::cells).collect();
        parts.push(match committees.as_slice() {
            [] => "No committee yet.".to_owned(),
            rows => table(&["COMMITTEE", "NAME", "STATE", "ENTRIES", "YOURS", "RELAY"], rows),
        });
        let unsent: Vec<Vec<String>> = self.unsent.iter().map(Unsent::cells).collect();
        parts.push(match unsent.as_slice() {
            [] => "Nothing is unsent.".to_owned(),
            rows => table(&["UNSENT", "KIND", "COMMITTEE", "STATE", "SINCE", "REFUSED"], rows),
        });
        if !self.waiting.is_empty() {
            let waiting: Vec<Vec<String>> = self.waiting.iter().map(Waiting::cells).collect();
            parts.push(table(&Waiting::HEADERS, &waiting));
        }
        if self.asking > 0 {
            parts.push(format!("{} ask to join: sealpost member list --asking", self.asking));
        }
        for known in &self.committees {
            let cut_off = known.cut_off.as_ref();
            parts.extend(cut_off.map(|cut| format!("{}: {}", known.reference, cut.words())));
            let Some(Stopped { kind, evidence, since }) = &known.stopped else { continue };
            parts.push(format!(
                "{}: nothing goes to its relay, which lied ({kind}, {since}), until it shows again what was \
                 verified here.\nevidence: {}",
                known.reference,
                Untrusted::line(evidence),
            ));
        }
        for known in self.committees.iter().filter(|known| !known.board.is_empty()) {
            let lines: Vec<String> = known
                .board
                .iter()
                .map(|item| format!("! {}", Untrusted::line(&item.what)))
                .collect();
            let audit = format!("sealpost committee audit {}", known.reference);
            parts.push(format!("{}: {audit}\n{}", known.reference, lines.join("\n")));
        }
        parts.join("\n\n")
    }
}

impl Committee {
    fn cells(&self) -> Vec<String> {
        let at = self.relay_asked_at.clone().unwrap_or_default();
        let relay = match self.relay_answered {
            _ if self.stopped.is_some() => "stopped: it lied".to_owned(),
            None => "not asked yet".to_owned(),
            Some(true) => format!("answered {at}"),
            Some(false) => format!("did not answer {at}"),
        };
        let name = self.name.clone().unwrap_or_default();
        let (size, yours) = (self.size.to_string(), self.yours());
        vec![self.reference.clone(), name, self.state.to_owned(), size, yours, relay]
    }
}

impl Committee {
    /// What became of one's own records.
    fn yours(&self) -> String {
        match (self.sent, self.confirmed) {
            (0, _) => String::new(),
            (sent, confirmed) => format!("{sent} sent, {confirmed} confirmed"),
        }
    }
}

impl Unsent {
    fn cells(&self) -> Vec<String> {
        vec![
            self.reference.clone(),
            self.kind.clone(),
            self.committee.clone(),
            self.state.to_owned(),
            self.since.clone(),
            self.refusal.clone().unwrap_or_default(),
        ]
    }
}
