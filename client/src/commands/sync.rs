//! `sealpost sync`

use serde::Serialize;

use indicatif::HumanBytes;

use crate::app::{App, Session};
use crate::attachments::carry::Which;
use crate::error::{Failure, Kind};
use crate::relay;
use crate::sync::{self, Asked, Report, Scope};
use crate::vault::{SyncLock, VaultError};
use crate::watch;

/// Pulls and verifies what is new, sends what is unsent, and vouches for what was verified.
///
/// Hears from time to time what others vouch for; a colleague's device that vouches for another log
/// than this one's is named each time, and nothing is held back for it.
///
/// Exit 3 when anything stays unsent, else 11 when no relay answered. Exit 7 when somebody lied. What a relay
/// signed that contradicts itself is written to a file of evidence, named on stderr, which `sealpost proof
/// verify` checks for anybody; nothing more goes to that relay for that committee until a sync finds that it
/// shows again what was verified here.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// Stay and follow the relays until interrupted; a line for every round that brought something.
    #[arg(long)]
    watch: bool,
    /// For a weak or costly line: notices and text, and of attachments only small ones, of at most
    /// 512 KiB. The others are carried by a sync without it, or fetched by `save`.
    #[arg(long, conflicts_with = "watch")]
    metered: bool,
}

/// What `sync` prints with `--json`, and for each round with `--watch`.
#[derive(Serialize)]
struct Round {
    sent: u64,
    received: u64,
    /// Attachments that are here since.
    fetched: u64,
    unsent: u64,
    relays: Vec<Relay>,
    /// What did not open as it should, and what went wrong, in words.
    notices: Vec<String>,
    /// What others changed in the committees, in words.
    news: Vec<String>,
}

#[derive(Serialize)]
struct Relay {
    address: String,
    answered: bool,
}

impl Sync {
    /// Syncs.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let (mut app, opened) = session.open_by()?;
        if self.watch {
            return relay::run(watch::watch(&mut app, opened, |mut report| {
                // No end of the command says them.
                report.brought.faults.append(&mut report.brought.refused);
                report.brought.faults.extend(report.disputed.drain(..).map(|one| one.story()));
                tell(session, &report)
            }));
        }
        let _alone = SyncLock::take(app.vault.home())?;
        let which = if self.metered { Which::Small } else { Which::All };
        let mut report = relay::run(sync::round(&mut app, Scope::All, which))?;
        tell(session, &report)?;
        lacking(session, &app)?;
        let disputed = std::mem::take(&mut report.disputed);
        let failures = report.failures.iter().chain(&report.faulty).chain(&disputed);
        let stories: Vec<String> = failures.map(Failure::story).collect();
        let result = end(report.into_result(), disputed);
        for story in untold(&stories, &result) {
            session.ui.talk(story);
        }
        result
    }
}

/// What is disputed decides the exit code of what went well, or is only unfinished: it stopped nothing,
/// and somebody lied.
fn end(result: Result<(), Failure>, disputed: Vec<Failure>) -> Result<(), Failure> {
    match (result, disputed.into_iter().next()) {
        (Ok(()), Some(dispute)) => Err(dispute),
        (Err(failure), Some(mut dispute)) if failure.kind != Kind::Verification => {
            dispute.what = format!("{}; {}", dispute.what, failure.story());
            Err(dispute)
        }
        (result, _) => result,
    }
}

/// Says which attachments are not here: silence would look like all had come.
fn lacking(session: &mut Session, app: &App) -> Result<(), Failure> {
    let sizes = app.vault.read(|vault| {
        let mut sizes = Vec::new();
        for known in vault.committees()? {
            let lacking = vault.attachments_lacking(known.no)?;
            sizes.extend(lacking.iter().map(|attachment| attachment.blob.size));
        }
        Ok::<_, VaultError>(sizes)
    })?;
    if !sizes.is_empty() {
        let bytes = HumanBytes(sizes.iter().sum());
        session.ui.talk(&format!("{} attachments are not here yet, {bytes}.", sizes.len()));
    }
    Ok(())
}

/// What went wrong besides what the command ends with: a relay that did not answer beside others
/// that did is told of here alone.
fn untold<'s>(stories: &'s [String], result: &Result<(), Failure>) -> Vec<&'s str> {
    let told = result.as_ref().err().map_or_else(String::new, Failure::story);
    stories.iter().map(String::as_str).filter(|story| !told.contains(story)).collect()
}

fn tell(session: &mut Session, report: &Report) -> Result<(), Failure> {
    for line in report.brought.faults.iter().chain(&report.brought.news) {
        session.ui.talk(line);
    }
    let failures = report.failures.iter().chain(&report.faulty).chain(&report.disputed);
    let stories = failures.map(Failure::story);
    let relay = |asked: &Asked| Relay { address: asked.address.clone(), answered: asked.answered };
    let round = Round {
        sent: report.brought.sent,
        received: report.brought.received,
        fetched: report.brought.fetched,
        unsent: report.unsent,
        relays: report.relays.iter().map(relay).collect(),
        notices: report.brought.faults.iter().cloned().chain(stories).collect(),
        news: report.brought.news.clone(),
    };
    Ok(session.ui.result(&round, &round.words())?)
}

impl Round {
    fn words(&self) -> String {
        let answered = self.relays.iter().filter(|relay| relay.answered).count();
        format!(
            "{} sent, {} received, {} unsent; {answered} of {} relays answered",
            self.sent,
            self.received,
            self.unsent,
            self.relays.len()
        )
    }
}

#[cfg(test)]
mod tests;
