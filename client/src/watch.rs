//! Staying with the relays: a round at once, then one whenever a log grows, something is written
//! here, or a relay can be reached again.
//!
//! The sync lock is held for each round and not between them, so that other commands can send what
//! they write by themselves.

use std::time::Duration;

use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::frame::{HeadAsk, HeadsRequest, Reply, Request};
use sealpost_protocol::limits;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::agent;
use crate::app::App;
use crate::attachments::carry::Which;
use crate::error::{Failure, Kind as Error};
use crate::join::Opening;
use crate::relay;
use crate::sync::{self, Report, Scope};
use crate::transport::{Connection, Deadlines, TransportError};
use crate::vault::Home;
use crate::vault::committees::Standing;

/// How often the vault is looked at for what other commands wrote.
const LOOK: Duration = Duration::from_millis(500);
/// How long a relay that failed, or told of news in vain, is left alone, at first; doubled up to
/// [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// And at most.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Who asks to join, and whether this device was let in somewhere, no watch tells.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// By what a vault was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// By the passphrase: it stays open for as long as the process lives.
    Passphrase,
    /// By the agent: with its end nothing of this device may stay open.
    Agent,
}

/// Why a round is due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// A log grew, or a relay was lost.
    News,
    /// It has been long.
    Time,
    /// Another command may have written.
    Look,
}

/// Follows all relays until SIGINT or SIGTERM, or until the agent ends that opened the vault. `tell` hears
/// of the first round, and of each that brought, sent or failed something.
pub async fn watch(
    app: &mut App,
    opened: Opened,
    mut tell: impl FnMut(Report) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut stops = Stops::new(app.vault.home(), opened)?;
    let mut pause = PAUSE_MIN;
    let mut first = true;
    let mut disputed = Vec::new();
    let mut due = Due::Time;
    loop {
        // Before the round: what is written while it runs may have come too late for it.
        let before = app.vault.changes()?;
        let round = tokio::select! {
            round = alone_round(app) => round,
            // Whatever it was at: nothing half-done is ever kept.
            stopped = stops.next() => return stopped,
        };
        let report = match round {
            // Another command is at it for long. Its turn, then ours.
            Err(failure) if failure.kind == Error::Busy && !first => {
                Report { failures: vec![failure], ..Report::default() }
            }
            round => round?,
        };
        let failed = !report.failures.is_empty();
        let cut_off_everywhere = cut_off(&report) >= active(app)?;
        let ends = |failure: &Failure| ends_watch(failure, cut_off_everywhere);
        if let Some(at) = report.failures.iter().position(ends) {
            let mut report = report;
            let failure = report.failures.swap_remove(at);
            tell(report)?;
            return Err(failure);
        }
        let brought = &report.brought;
        let moved = brought.received > 0 || brought.sent > 0 || brought.fetched > 0;
        let refused = !report.brought.refused.is_empty();
        let faulty = !report.faulty.is_empty();
        let before_round = std::mem::take(&mut disputed);
        disputed.extend(report.disputed.iter().map(Failure::story));
        if first || moved || refused || faulty || disputed != before_round {
            tell(report)?;
        }
        first = false;
        // A relay that tells of news again and again, and has none, is heard less and less.
        let vain = due == Due::News && !moved;
        pause = if failed || vain { (pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
        let (news, mut heard) = mpsc::channel(1);
        let mut watchers = watchers(app, &news, if vain { pause } else { Duration::ZERO })?;
        let again = Instant::now() + if failed { pause } else { ASK_AGAIN };
        let waited = tokio::select! {
            stopped = stops.next() => return stopped,
            waited = wait(app, before, &mut heard, again) => waited,
        };
        watchers.abort_all();
        due = waited?;
    }
}

/// A lie is told at once and ends the watch, as does having nowhere left to be; the rest may pass.
fn ends_watch(failure: &Failure, cut_off_everywhere: bool) -> bool {
    match failure.kind {
        Error::Verification | Error::TooOld | Error::Damaged | Error::DiskFull => true,
        Error::NotAllowed => cut_off_everywhere,
        _ => false,
    }
}

/// In how many committees this device may not be any longer, or not now.
fn cut_off(report: &Report) -> usize {
    report.failures.iter().filter(|failure| failure.kind == Error::NotAllowed).count()
}

/// The committees in which it can be: a claim to come back into one fails like that too.
fn active(app: &App) -> Result<usize, Failure> {
    let mut count = 0;
    for known in app.vault.read(crate::vault::Read::committees)? {
        let claims = matches!(Opening::of(&known)?, Some(Opening::Claim(_)));
        count += usize::from(claims || known.standing == Standing::Active);
    }
    Ok(count)
}

async fn alone_round(app: &mut App) -> Result<Report, Failure> {
    let _alone = relay::alone(app).await?;
    sync::round(app, Scope::All, Which::Sound).await
}

/// Waits until a round is due.
async fn wait(
    app: &App,
    before: i64,
    heard: &mut mpsc::Receiver<()>,
    again: Instant,
) -> Result<Due, Failure> {
    loop {
        let due = tokio::select! {
            Some(()) = heard.recv() => Due::News,
            () = sleep_until(again) => Due::Time,
            () = sleep(LOOK) => Due::Look,
        };
        match due {
            Due::Look if app.vault.changes()? == before => {}
            due => return Ok(due),
        }
    }
}

/// A task for each relay that sends one word when there is news, listening after `pause`.
fn watchers(app: &App, news: &mpsc::Sender<()>, pause: Duration) -> Result<JoinSet<()>, Failure> {
    let committees = app.vault.read(crate::vault::Read::committees)?;
    let mut by_relay = std::collections::BTreeMap::<String, Vec<HeadAsk>>::new();
    for known in committees.iter().filter(|known| known.standing == Standing::Active) {
        let ask = HeadAsk { committee: known.id, size: known.size };
        by_relay.entry(known.relay.clone()).or_default().push(ask);
    }
    let mut tasks = JoinSet::new();
    for (address, asks) in by_relay {
        let address = relay::address_of(&address)?;
        for committees in asks.chunks(limits::HEADS_COMMITTEES_MAX) {
            let (address, login) = (address.clone(), app.device.login_key().clone());
            let (committees, news) = (committees.to_vec(), news.clone());
            tasks.spawn(async move {
                sleep(pause).await;
                // However it ends, a round is due: it finds out what is so.
                if until_news(&address, &login, committees).await.is_err() {
                    sleep(PAUSE_MIN).await;
                }
                // Nobody listens when a round is due already.
                let _ = news.send(()).await;
            });
        }
    }
    Ok(tasks)
}

async fn until_news(
    address: &RelayAddress,
    login: &sealpost_protocol::sign::SigningKey,
    committees: Vec<HeadAsk>,
) -> Result<Option<Reply>, TransportError> {
    let connection = Connection::open(address, login, Deadlines::default()).await?;
    let request = Request::Watch(HeadsRequest { committees });
    connection.request(&request).await?.next().await
}

/// What ends a watch.
struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Where the agent stands that opened the vault.
    agent: Option<Home>,
}

impl Stops {
    fn new(home: &Home, opened: Opened) -> Result<Self, Failure> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            agent: (opened == Opened::Agent).then(|| home.clone()),
        })
    }

    /// Ends with how the command is to end.
    async fn next(&mut self) -> Result<(), Failure> {
        let agent = self.agent.as_ref();
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
            () = agent_ends(agent) => Err(Failure::new(Error::Locked, "The agent has ended")
                .safe("What was pulled is in the vault; nothing is open any more.")
                .next("sealpost unlock, then sealpost sync --watch")),
        }
    }
}

/// Looks whether the agent is there, which keeps it from no idleness.
async fn agent_ends(home: Option<&Home>) {
    let Some(home) = home else { return std::future::pending().await };
    // One that does not answer as it should is none to rely on.
    while let Ok(Some(_)) = agent::state(home) {
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
