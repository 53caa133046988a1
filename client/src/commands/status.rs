//! `sealpost status`

use sealpost_protocol::id::{DeviceId, UnixMillis};
use serde::Serialize;

use super::unlock::Unlocked;
use crate::agent;
use crate::app::Session;
use crate::error::Failure;
use crate::hardness::Hardness;
use crate::hygiene::{self, Item};
use crate::invitations;
use crate::names;
use crate::proposals::{self, Waiting};
use crate::ui::display::Untrusted;
use crate::ui::{table, time};
use crate::vault::Read;
use crate::vault::committees::Standing;
use crate::vault::outbox::Draft;

/// Shows this device, its committees, what is not sent yet and since when, and what waits for a
/// second person, with the command to type; and until when the vault is unlocked.
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
    /// What is to be seen to, a line each; `committee audit` says what to do.
    board: Vec<Item>,
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
            let shown = committees.iter().map(|known| Committee::of(vault, known, own, now));
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
        own: DeviceId,
        now: UnixMillis,
    ) -> Result<Self, Failure> {
        Ok(Self {
            board: hygiene::board(vault, known.no, own, now)?,
            reference: names::committee_ref(&known.id).to_string(),
            name: names::label(known)?.map(|label| label.name),
            state: known.standing.as_str(),
            size: known.size.0,
            relay: known.relay.clone(),
            relay_answered: known.answered,
            relay_asked_at: known.asked.map(time::rfc3339),
            evidence: vault.evidence_count(known.no)?,
        })
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
            rows => table(&["COMMITTEE", "NAME", "STATE", "ENTRIES", "RELAY"], rows),
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
            None => "not asked yet".to_owned(),
            Some(true) => format!("answered {at}"),
            Some(false) => format!("did not answer {at}"),
        };
        let name = self.name.clone().unwrap_or_default();
        let size = self.size.to_string();
        vec![self.reference.clone(), name, self.state.to_owned(), size, relay]
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
