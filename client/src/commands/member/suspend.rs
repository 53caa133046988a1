//! `sealpost member suspend`

use serde::Serialize;

use super::Person;
use crate::app::Session;
use crate::confirmed::Told;
use crate::error::{Failure, Kind};
use crate::exposure::{self, Exposure};
use crate::names;
use crate::relay;
use crate::suspend::{self, Cut, LockChange, Notice};
use crate::sync::Report;
use crate::ui::display::Untrusted;
use crate::ui::{input, table};
use crate::vault::committees::Committee;

/// Cuts somebody off, at once, in every committee this device shares with them: the notices first,
/// then the locks.
///
/// Any one coordinator can. From a notice on the relay refuses their devices; what is sealed after
/// the new lock they cannot open. What they were shown before, they keep. Exit 3 while anything is
/// pending: it goes at every sync until it is done. How many colleagues' devices have heard of it since
/// `status` says, for as long as the lease.
#[derive(Debug, clap::Args)]
pub struct Suspend {
    #[command(flatten)]
    person: Person,
    /// Do not ask for the handle to be typed again.
    #[arg(long)]
    yes: bool,
}

/// What `member suspend` prints with `--json`.
#[derive(Serialize)]
struct Suspended {
    handle: String,
    devices: Vec<String>,
    committees: Vec<CutShown>,
    exposure: Exposure,
}

#[derive(Serialize)]
struct CutShown {
    #[serde(rename = "ref")]
    reference: String,
    name: Option<String>,
    relay: String,
    /// `accepted`, `pending` or `impossible`.
    notice: &'static str,
    /// With `accepted`: the entry that cut them off.
    entry: Option<u64>,
    /// With `impossible`: why.
    why: Option<String>,
    /// `changed` or `pending`.
    lock: &'static str,
    notice_bytes: u64,
    lock_bytes: u64,
    /// With `accepted`: other members whom the log tells, and how many of them are known to have
    /// followed it beyond the notice.
    told: Option<Told>,
}

impl Suspend {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let wanted = app.vault.read(|vault| self.person.wanted(vault))?;
        let devices = wanted.devices();
        let handle = wanted.memberships.first();
        let handle = handle.map_or_else(String::new, |one| one.handle.clone());
        if !self.yes {
            let all: Vec<String> = wanted.shared().map(reference).collect();
            let what = format!("This cuts {handle} off in {}.", all.join(", "));
            input::confirm(&what, &names::typable(&handle, &devices))?;
        }
        let impossible = suspend::save(&mut app, &wanted)?;
        let sent = relay::run(suspend::send(&mut app, &wanted, &mut |line| {
            session.ui.talk(&line);
        }));
        let report = match sent {
            // The other sync takes it along: what is saved goes before anything else.
            Err(failure) if failure.kind == Kind::Busy => Report::default(),
            sent => sent?,
        };
        let cuts = suspend::look(&app, &wanted, &impossible)?;
        let shown = Suspended {
            handle,
            devices: devices.iter().map(|id| names::device_ref(id).to_string()).collect(),
            committees: cuts.iter().map(CutShown::of).collect::<Result<_, _>>()?,
            exposure: app.vault.read(|vault| exposure::of(vault, &wanted))?,
        };
        session.ui.result(&shown, &shown.words())?;
        let unfinished = suspend::unfinished(&cuts);
        report.into_lie()?;
        unfinished.map_or(Ok(()), Err)
    }
}

fn reference(known: &Committee) -> String {
    names::committee_ref(&known.id).to_string()
}

impl CutShown {
    fn of(cut: &Cut) -> Result<Self, Failure> {
        let (notice, entry, why) = match &cut.notice {
            Notice::Accepted(at) => ("accepted", Some(at.0), None),
            Notice::Pending => ("pending", None, None),
            Notice::Impossible(why) => ("impossible", None, Some(why.clone())),
        };
        Ok(Self {
            reference: reference(&cut.known),
            name: names::label(&cut.known)?.map(|label| label.name),
            relay: cut.known.relay.clone(),
            notice,
            entry,
            why,
            lock: match cut.lock {
                LockChange::Changed => "changed",
                LockChange::Pending => "pending",
            },
            notice_bytes: cut.bytes.0,
            lock_bytes: cut.bytes.1,
            told: cut.told,
        })
    }

    fn cells(&self) -> Vec<String> {
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        vec![
            self.reference.clone(),
            self.name.clone().unwrap_or_default(),
            format!("{}{}{why}", self.notice, size(self.notice_bytes)),
            format!("{}{}", self.lock, size(self.lock_bytes)),
            self.told.map_or_else(String::new, |told| told.words()),
            self.relay.clone(),
        ]
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!(" ({}.{} KB)", bytes / 1_000, bytes % 1_000 / 100),
    }
}

impl Suspended {
    fn words(&self) -> String {
        let rows: Vec<Vec<String>> = self.committees.iter().map(CutShown::cells).collect();
        let cuts = table(&["COMMITTEE", "NAME", "NOTICE", "LOCK", "COLLEAGUES", "RELAY"], &rows);
        let who = Untrusted::line(&self.handle);
        let devices = self.devices.join(" ");
        format!("{who}  devices {devices}\n\n{cuts}\n\n{}", self.exposure.words())
    }
}
