//! `sealpost committee audit`

use serde::Serialize;

use crate::app::Session;
use crate::audit::{self, Audit as Looked, Vouch};
use crate::error::{Failure, Kind};
use crate::hygiene::Item;
use crate::lease::LeaseShown;
use crate::names::{self, People};
use crate::relay;
use crate::ui::display::Untrusted;
use crate::ui::{table, time};

/// Looks a committee over: who vouches for which size of the log, the head code to compare by phone,
/// and everything that is to be seen to, with the command to type.
///
/// Asks the relay first, when it can be reached. Two devices with one size have the same log
/// exactly when their head codes are the same. On the board: evidence, locks, grants, coordinators, the
/// lease, silent devices, what waits for approval, open invitations, handles, the relay.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// The committee; may be left out when there is only one.
    #[arg(value_name = "REF")]
    committee: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    size: u64,
    root: String,
    head_code: String,
    relay_answered: bool,
    lease: LeaseShown,
    vouches: Vec<VouchShown>,
    locks_missing: Vec<u32>,
    evidence: u64,
    warnings: Vec<String>,
    /// The same, each with what to type or do.
    board: Vec<Item>,
}

#[derive(Serialize)]
struct VouchShown {
    device: String,
    handle: String,
    size: Option<u64>,
    at: Option<String>,
    agrees: &'static str,
}

impl Audit {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut app = session.open()?;
        let known = app.vault.read(|vault| names::committee(vault, self.committee.as_deref()))?;
        let asked = relay::run(audit::ask(&mut app, known.no));
        let mut disputes = Vec::new();
        let (answered, lie) = match asked {
            Ok(disputed) => {
                disputes = disputed;
                (true, None)
            }
            Err(failure) if failure.kind == Kind::Unreachable => {
                session.ui.talk(&format!("{}: shown as it was last known.", failure.story()));
                (false, None)
            }
            // What was verified before is what must be compared now.
            Err(failure) if failure.kind == Kind::Verification => (true, Some(failure)),
            Err(failure) => return Err(failure),
        };
        let looked = audit::look(&app, known.no)?;
        let shown = Shown::of(&looked, answered);
        session.ui.result(&shown, &shown.words())?;
        let known_before = looked.disputes.iter().filter(|one| !disputes.contains(one));
        let disputes: Vec<_> = known_before.chain(&disputes).cloned().collect();
        let people = app.vault.read(|vault| People::load(vault, known.no))?;
        let mut told = disputes.iter().map(|one| one.told(&looked.committee, &people));
        let first = lie.or_else(|| told.next());
        for more in told {
            session.ui.talk(&more.story());
        }
        first.map_or(Ok(()), Err)
    }
}

impl Shown {
    fn of(looked: &Looked, relay_answered: bool) -> Self {
        Self {
            reference: audit::reference(looked),
            size: looked.head.size.0,
            root: looked.head.root.to_string(),
            head_code: looked.head.head_code(),
            relay_answered,
            lease: looked.lease.shown(),
            vouches: looked.vouches.iter().map(VouchShown::of).collect(),
            locks_missing: looked.missing.iter().map(|epoch| epoch.0).collect(),
            evidence: looked.evidence,
            warnings: warnings(looked),
            board: looked.board.clone(),
        }
    }

    fn words(&self) -> String {
        let head = format!(
            "{}  {} entries verified\nhead code  {}   (compare it by phone)\n{}",
            self.reference,
            self.size,
            self.head_code,
            self.lease.words()
        );
        let rows: Vec<Vec<String>> = self.vouches.iter().map(VouchShown::cells).collect();
        let vouches = table(&["DEVICE", "HANDLE", "VOUCHES FOR", "AT", "LOG"], &rows);
        let mut parts = vec![head, vouches];
        let item = |item: &Item| {
            format!("! {}\n    {}", Untrusted::line(&item.what), Untrusted::line(&item.next))
        };
        parts.extend(self.board.iter().map(item));
        if self.board.is_empty() {
            parts.push("Nothing is to be seen to.".to_owned());
        }
        parts.join("\n\n")
    }
}

/// What is not as it should be, in a line each.
fn warnings(looked: &Looked) -> Vec<String> {
    looked.board.iter().map(|item| item.what.clone()).collect()
}

impl VouchShown {
    fn of(vouch: &Vouch) -> Self {
        Self {
            device: names::device_ref(&vouch.device).to_string(),
            handle: vouch.name.clone(),
            size: vouch.size.map(|size| size.0),
            at: vouch.at.map(time::rfc3339),
            agrees: vouch.agrees.as_str(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let size = self.size.map_or_else(|| "nothing yet".to_owned(), |size| size.to_string());
        let at = self.at.clone().unwrap_or_default();
        vec![self.device.clone(), self.handle.clone(), size, at, self.agrees.to_owned()]
    }
}
