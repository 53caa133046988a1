//! One round with every relay: what is new is pulled and verified, what waits is sent, and what
//! was verified is vouched for.
//!
//! ```text
//! by relay: connect ── found, join what is not open yet ── heads of all committees at once
//!   by committee: follow ── send ── cosign ── join requests
//!   then what others vouch for, where it may teach something, and the blobs of all, the smallest first
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sealpost_protocol::checkpoint::{Cosignature, Cosigner};
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{CosignRequest, HeadAsk, HeadState, HeadsRequest, Reply, Request};
use sealpost_protocol::id::{TreeSize, UnixMillis};
use sealpost_protocol::limits;
use tokio::time::Instant;

use crate::app::App;
use crate::attachments::carry::{self, Carried, Which, carry};
use crate::cosignatures::{self, LISTEN_AGAIN_MILLIS};
use crate::cutoff;
use crate::deliver;
use crate::error::{Failure, Kind as Error};
use crate::invitations;
use crate::join::{self, Opening};
use crate::lease::Lease;
use crate::lie::{self, Caught, FollowError, Lie};
use crate::log::Log;
use crate::names::People;
use crate::pull::{self, Brought};
use crate::push;
use crate::recovery::claim;
use crate::relay::{self, AskError};
use crate::transport::Connection;
use crate::vault::ahead::Ahead;
use crate::vault::committees::{Committee, CommitteeNo, Standing};
use crate::vault::evidence::Cosigned;
use crate::vault::outbox::{Draft, Sending, What};
use crate::vault::{Read, Write};

/// How old this device's own cosignature may become before an unchanged log is vouched for again.
const VOUCH_AGAIN_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// How long the blobs of one relay are carried while others wait.
const BLOBS_TURN: Duration = Duration::from_secs(60);

/// Which committees.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// All.
    All,
    /// This one.
    One(CommitteeNo),
}

impl Scope {
    fn holds(self, no: CommitteeNo) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == no,
        }
    }
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What was brought, and what was sent.
    pub brought: Brought,
    /// Drafts that still wait, or were refused.
    pub unsent: u64,
    /// The relays, and whether each answered.
    pub relays: Vec<Asked>,
    /// What went wrong, in the order in which it did.
    pub failures: Vec<Failure>,
    /// Attachments that are not what their entries name. Nothing else hangs on them.
    pub faulty: Vec<Failure>,
    /// Devices that vouch for another log than the one here. It stops nothing.
    pub disputed: Vec<Failure>,
}

/// A relay that was to be asked.
#[derive(Debug)]
pub struct Asked {
    /// Its address.
    pub address: String,
    /// Whether it answered, for each of the committees asked for.
    pub answered: bool,
}

impl Report {
    /// The failure that decides the exit code: a lie before anything else, then what keeps this
    /// device out, then what is not delivered, then that nobody answered.
    pub fn into_result(self) -> Result<(), Failure> {
        let Self { unsent, relays, failures, faulty, brought, disputed: _ } = self;
        let nobody = !relays.is_empty() && relays.iter().all(|relay| !relay.answered);
        let weight = |failure: &Failure| match failure.kind {
            Error::Verification => 0,
            Error::TooOld | Error::NotAllowed | Error::Damaged | Error::DiskFull => 1,
            Error::Unreachable => 3,
            _ => 2,
        };
        // One attachment is never worse than what is unsent, but for a lie.
        let (lied, faulty): (Vec<_>, Vec<_>) =
            faulty.into_iter().partition(|failure| failure.kind == Error::Verification);
        let worst = failures.into_iter().chain(lied).min_by_key(weight);
        let worst = match worst {
            Some(failure) if weight(&failure) < 3 => Some(failure),
            other => faulty.into_iter().next().map(of_one_attachment).or(other),
        };
        match worst {
            Some(failure) if weight(&failure) < 2 => Err(failure),
            worst if unsent > 0 => Err(not_delivered(unsent, worst, &brought.refused)),
            Some(failure) if failure.kind != Error::Unreachable || nobody => Err(failure),
            _ => Ok(()),
        }
    }

    /// The lie that was met, if any: the rest is for whoever asked to say in other words.
    pub fn into_lie(self) -> Result<(), Failure> {
        let lied = |failure: &Failure| failure.kind == Error::Verification;
        self.failures.into_iter().find(lied).map_or(Ok(()), Err)
    }

    /// As [`Self::into_result`], for whoever only wants to have followed: what is unsent is no
    /// failure.
    pub fn into_followed(self) -> Result<(), Failure> {
        Self { unsent: 0, ..self }.into_result()
    }
}

/// This disk's trouble with one attachment, when nothing else went wrong.
fn of_one_attachment(failure: Failure) -> Failure {
    let what = format!("An attachment is not here: {}", failure.story());
    Failure::new(Error::Failed, what).safe(failure.safe).next(failure.next)
}

fn not_delivered(unsent: u64, why: Option<Failure>, refused: &[String]) -> Failure {
    let why = why.map(|failure| failure.story());
    let reasons: Vec<String> = why.into_iter().chain(refused.iter().cloned()).collect();
    let what = match reasons.as_slice() {
        [] => format!("{unsent} unsent"),
        reasons => format!("{unsent} unsent: {}", reasons.join("; ")),
    };
    Failure::new(Error::NotDelivered, what)
        .safe("What was written is in the vault.")
        .next("sealpost status, and sealpost sync when the relay can be reached")
}

/// One round. The caller holds the sync lock.
pub async fn round(app: &mut App, scope: Scope, which: Which) -> Result<Report, Failure> {
    let mut report = Report::default();
    drop_refused_changes(app, scope)?;
    let by_relay = by_relay(in_scope(app, scope)?);
    let (relays, mut loaded) = (by_relay.len(), VecDeque::new());
    for (address, committees) in by_relay {
        let connection = connected(app, &address, &committees, &mut report).await?;
        if let Some(connection) = connection {
            with_relay(app, &connection, &committees, &mut report).await?;
            if let Scope::All = scope {
                hear(app, &connection, &committees, &mut report).await?;
            }
            if relays == 1 {
                let active = active(&committees);
                let _ = carry(app, &connection, &active, which, None, &mut report).await?;
            } else if carry::waits(app, &committees, which)? {
                loaded.push_back((address, committees));
            }
            connection.close().await;
        }
    }
    carry_by_turns(app, scope, loaded, which, &mut report).await?;
    close(app, scope, &mut report)?;
    Ok(report)
}

/// Carries the blobs of several relays by turns, and the text of all of them in between: no large file keeps
/// what is urgent from another relay.
async fn carry_by_turns(
    app: &mut App,
    scope: Scope,
    mut loaded: VecDeque<(String, Vec<Committee>)>,
    which: Which,
    report: &mut Report,
) -> Result<(), Failure> {
    while let Some((address, committees)) = loaded.pop_front() {
        let until = Instant::now() + BLOBS_TURN;
        let Some(connection) = connected_again(app, &address, report).await? else { continue };
        let active = active(&committees);
        let carried = carry(app, &connection, &active, which, Some(until), report).await?;
        connection.close().await;
        if carried == Carried::All {
            continue;
        }
        loaded.push_back((address.clone(), committees));
        for (other, committees) in by_relay(in_scope(app, scope)?) {
            if other == address {
                continue;
            }
            if let Some(connection) = connected_again(app, &other, report).await? {
                text(app, &connection, &self::active(&committees), report).await?;
                connection.close().await;
            }
        }
    }
    Ok(())
}

/// Connects once more to a relay that is in the report already.
async fn connected_again(
    app: &App,
    address: &str,
    report: &mut Report,
) -> Result<Option<Connection>, Failure> {
    let connected = relay::connect(app, &relay::address_of(address)?).await.map_err(Failure::from);
    Ok(connected.map_err(|failure| report.failures.push(failure)).ok())
}

/// Those this device is in.
fn active(committees: &[Committee]) -> Vec<Committee> {
    let active = committees.iter().filter(|known| known.standing == Standing::Active);
    active.cloned().collect()
}

/// Says what is left after a round.
pub(crate) fn close(app: &App, scope: Scope, report: &mut Report) -> Result<(), Failure> {
    // A relay that lied is not let off because it says something else now, or nothing.
    if !report.failures.iter().any(|failure| failure.kind == Error::Verification) {
        let here = in_scope(app, scope)?;
        let mut here = here.iter().filter(|known| known.standing != Standing::Ended);
        report.failures.extend(here.find_map(|known| lie::must_be_dealt_with(app, known).err()));
    }
    report.unsent = unsent(app, scope)?;
    for draft in
        app.vault.read(Read::drafts)?.iter().filter(|draft| is_refused_change(draft, scope))
    {
        report.brought.refused.push(deliver::never(draft).story());
    }
    Ok(())
}

fn in_scope(app: &App, scope: Scope) -> Result<Vec<Committee>, Failure> {
    Ok(app.vault.read(|vault| match scope {
        Scope::All => vault.committees(),
        Scope::One(no) => vault.committee_no(no).map(|known| vec![known]),
    })?)
}

/// The committees of each relay, without those this device has no part in any more.
pub(crate) fn by_relay(committees: Vec<Committee>) -> BTreeMap<String, Vec<Committee>> {
    let mut by_relay: BTreeMap<String, Vec<Committee>> = BTreeMap::new();
    for known in committees.into_iter().filter(|known| known.standing != Standing::Ended) {
        by_relay.entry(known.relay.clone()).or_default().push(known);
    }
    by_relay
}

/// Connects to a relay, and notes for its committees whether it answered.
pub(crate) async fn connected(
    app: &mut App,
    address: &str,
    committees: &[Committee],
    report: &mut Report,
) -> Result<Option<Connection>, Failure> {
    let connection = match relay::address_of(address) {
        Err(failure) => Err(failure),
        Ok(parsed) => relay::connect(app, &parsed).await.map_err(Failure::from),
    };
    let answered = connection.is_ok();
    note_answer(app, committees, answered)?;
    report.relays.push(Asked { address: address.to_owned(), answered });
    Ok(connection.map_err(|failure| report.failures.push(failure)).ok())
}

/// A roster change that no log can admit any more was told of in the round before: it holds nothing
/// that anybody wrote.
fn drop_refused_changes(app: &mut App, scope: Scope) -> Result<(), Failure> {
    let drafts = app.vault.read(Read::drafts)?;
    let refused: Vec<_> = drafts.iter().filter(|draft| is_refused_change(draft, scope)).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let remove = |vault: &Write<'_>| refused.iter().try_for_each(|d| vault.remove_draft(d.no));
    Ok(app.vault.write(remove)?)
}

fn is_refused_change(draft: &Draft, scope: Scope) -> bool {
    draft.new.what == What::Roster
        && draft.sending == Sending::Refused
        && scope.holds(draft.new.committee)
}

pub(crate) fn note_answer<'a>(
    app: &mut App,
    committees: impl IntoIterator<Item = &'a Committee>,
    answered: bool,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let mut committees = committees.into_iter();
    app.vault.write(|vault| {
        committees.try_for_each(|known| vault.set_answered(known.no, answered, now))
    })?;
    Ok(())
}

fn unsent(app: &App, scope: Scope) -> Result<u64, Failure> {
    app.vault.read(|vault| {
        let drafts = vault.drafts()?;
        let founding = vault.committees()?;
        let drafts = drafts.iter().filter(|draft| scope.holds(draft.new.committee)).count();
        let founding = founding
            .iter()
            .filter(|known| known.standing == Standing::Founding && scope.holds(known.no))
            .count();
        Ok((drafts + founding) as u64)
    })
}

/// Everything with one relay. What goes wrong with one committee keeps no other from its turn.
pub(crate) async fn with_relay(
    app: &mut App,
    connection: &Connection,
    committees: &[Committee],
    report: &mut Report,
) -> Result<(), Failure> {
    for impostor in connection.impostors() {
        let what = format!("Somebody stands in for the relay: {impostor}");
        report.failures.push(
            Failure::new(Error::Verification, what)
                .safe("The relay itself was reached at another of its addresses.")
                .next("Tell the relay's operator, and your colleagues."),
        );
    }
    for known in committees.iter().filter(|known| known.standing != Standing::Active) {
        let opened = open(app, connection, known, &mut report.brought).await;
        report_failure(app, known, opened, report)?;
    }
    text(app, connection, &active(committees), report).await
}

/// All but blobs, for committees this device is in: once before any of these, and whenever there may be
/// something new while they are carried.
pub(crate) async fn text(
    app: &mut App,
    connection: &Connection,
    committees: &[Committee],
    report: &mut Report,
) -> Result<(), Failure> {
    let active = cut_off_first(app, connection, committees, report).await?;
    let active: Vec<&Committee> = active.iter().collect();
    for some in active.chunks(limits::HEADS_COMMITTEES_MAX) {
        let states = match heads(connection, some).await {
            Ok(states) => states,
            Err(error) => {
                note_failure(app, some, error.into(), report)?;
                continue;
            }
        };
        for (known, state) in some.iter().zip(states) {
            let done = one(app, connection, known, state, &mut report.brought).await;
            report_failure(app, known, done, report)?;
        }
    }
    Ok(())
}

/// Sends the suspensions that wait, before anything is pulled. Returns the committees this device is in
/// as they are since.
async fn cut_off_first(
    app: &mut App,
    connection: &Connection,
    committees: &[Committee],
    report: &mut Report,
) -> Result<Vec<Committee>, Failure> {
    let mut active = Vec::new();
    for known in committees {
        let sent = push::send_cut_offs(app, connection, known.no, &mut report.brought).await;
        if let Err(FollowError::Caught(caught)) = sent {
            report_failure(app, known, Err(caught.into()), report)?;
        }
        // Whatever else kept it back is met again where the log is followed.
        active.push(app.vault.read(|vault| vault.committee_no(known.no))?);
    }
    Ok(active)
}

pub(crate) fn report_failure(
    app: &mut App,
    known: &Committee,
    done: Result<(), FollowError>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Err(error) = done else { return Ok(()) };
    let failure = error.told(app, known);
    note_failure(app, &[known], failure, report)
}

/// Keeps a failure with these committees. A relay that does not serve a log has not answered for it,
/// however well it took the connection.
fn note_failure(
    app: &mut App,
    committees: &[&Committee],
    failure: Failure,
    report: &mut Report,
) -> Result<(), Failure> {
    if failure.kind == Error::Unreachable {
        note_answer(app, committees.iter().copied(), false)?;
        for asked in &mut report.relays {
            asked.answered &= committees.iter().all(|known| known.relay != asked.address);
        }
    }
    report.failures.push(failure);
    Ok(())
}

/// Founds or joins what is not open yet. The caller holds the sync lock.
pub async fn open(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    match Opening::of(known)? {
        Some(Opening::Found(opening)) => {
            join::found(app, connection, known, &opening).await?;
            brought.add(pull::follow(app, connection, known.no).await?);
            vouch(app, connection, known.no).await
        }
        Some(Opening::Join(opening)) => {
            join::ask(app, connection, known.no, opening).await?;
            match pull::follow(app, connection, known.no).await {
                Ok(new) => brought.add(new),
                // Not let in yet: the relay says no more than it says to a stranger.
                Err(error) if is_not_found(&error) => return not_let_in(app, known.no),
                Err(error) => return Err(error),
            }
            vouch(app, connection, known.no).await
        }
        Some(Opening::Claim(claiming)) => {
            claim::go_on(app, connection, known, claiming, brought).await?;
            vouch(app, connection, known.no).await
        }
        None => Ok(()),
    }
}

/// No error, unless a part of the log was shown before.
fn not_let_in(app: &App, no: CommitteeNo) -> Result<(), FollowError> {
    let known = app.vault.read(|vault| vault.committee_no(no))?;
    if known.size.0 == 0 { Ok(()) } else { Err(gone(app, &known)?.into()) }
}

fn is_not_found(error: &FollowError) -> bool {
    matches!(error, FollowError::Failed(failure) if failure.kind == Error::NotFound)
}

/// How far these logs are, by the relay's word.
pub(crate) async fn heads(
    connection: &Connection,
    some: &[&Committee],
) -> Result<Vec<HeadState>, AskError> {
    let committees =
        some.iter().map(|known| HeadAsk { committee: known.id, size: known.size }).collect();
    match relay::ask(connection, &Request::Heads(HeadsRequest { committees })).await? {
        Reply::Heads(states) if states.len() == some.len() => Ok(states),
        _ => Err(relay::unexpected()),
    }
}

/// One committee this device is in.
async fn one(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    state: HeadState,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    let behind = match state {
        HeadState::Unknown(_) => return Err(gone(app, known)?.into()),
        HeadState::NotActive(shown) => return Err(cutoff::told(app, known, &shown)),
        // Unsigned: a relay that is not dealt with has to show more than that.
        HeadState::Same(_) => app.vault.read(|vault| is_owed(vault, known.no))?,
        HeadState::Other(head) => {
            keep_head(app, known, &head.checkpoint)?;
            true
        }
    };
    if behind {
        brought.add(pull::follow(app, connection, known.no).await?);
    }
    listen(app, connection, known).await?;
    brought.add(push::send(app, connection, known.no).await?);
    // Last: nothing of it may keep back what is to be sent.
    match afterwards(app, connection, known).await {
        // The log was followed and all is sent: the relay has answered for it.
        Err(FollowError::Failed(failure)) if failure.kind == Error::Unreachable => {
            brought.faults.push(failure.story());
            Ok(())
        }
        done => done,
    }
}

/// Whether the relay owes something of the log though it has not grown: what it signed for, what forgot a
/// payload that it left out, or, after a lie, its signature under what was verified.
fn is_owed(vault: &Read<'_>, no: CommitteeNo) -> Result<bool, Failure> {
    let log = Log::load(vault, no)?;
    let lied = vault.stop(no)?.is_some();
    Ok(lied || !vault.ahead(no)?.is_empty() || log.pulled()?.lacking().next().is_some())
}

async fn afterwards(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
) -> Result<(), FollowError> {
    vouch(app, connection, known.no).await?;
    invitations::fetch_asking(app, connection, known).await
}

/// Fetches what coordinators vouch for when this device has heard from too few: not again within the
/// hour while the log stays as it is, unless records wait for it.
async fn listen(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
) -> Result<(), FollowError> {
    let (own, now) = (app.device.device_id(), app.clock.now());
    let (lease, lately) = app.vault.read(|vault| {
        let log = Log::load(vault, known.no)?;
        let lately = vault.heard(known.no)?.is_some_and(|heard| {
            heard.size == log.size() && now.0.abs_diff(heard.at.0) < LISTEN_AGAIN_MILLIS
        });
        Ok::<_, Failure>((Lease::load(vault, &log, own, now)?, lately))
    })?;
    if !lease.is_over() || (lately && !lease.enforced) {
        return Ok(());
    }
    // What is disputed is kept, and told at the end: it keeps nobody from sending.
    cosignatures::fetch(app, connection, known).await?;
    Ok(())
}

/// Hears what others vouch for, once all is sent. Not in a round for one committee: that is for one
/// thing, which somebody waits for.
async fn hear(
    app: &mut App,
    connection: &Connection,
    committees: &[Committee],
    report: &mut Report,
) -> Result<(), Failure> {
    for known in committees {
        let known = app.vault.read(|vault| vault.committee_no(known.no))?;
        let is_stopped = app.vault.read(|vault| vault.stop(known.no))?.is_some();
        if known.standing != Standing::Active || known.answered == Some(false) || is_stopped {
            continue;
        }
        match cosignatures::hear(app, connection, &known).await {
            Ok(disputes) => {
                let people = app.vault.read(|vault| People::load(vault, known.no))?;
                report.disputed.extend(disputes.iter().map(|one| one.told(&known, &people)));
            }
            Err(FollowError::Failed(failure)) if !is_grave(&failure) => {
                report.brought.faults.push(failure.story());
            }
            failed => report_failure(app, &known, failed.map(|_| ()), report)?,
        }
    }
    Ok(())
}

/// Whether it is worse than that the relay did not say what others vouch for.
fn is_grave(failure: &Failure) -> bool {
    matches!(failure.kind, Error::Verification | Error::Damaged | Error::DiskFull)
}

fn gone(app: &App, known: &Committee) -> Result<Caught, Failure> {
    let held = app.vault.read(|vault| vault.note(known.no))?;
    let caught = Caught::from(Lie::Gone(known.size));
    Ok(match held {
        Some((_, note)) => caught.note(note),
        None => caught,
    })
}

/// The relay says how far the log is: from here on it is bound to that.
fn keep_head(app: &mut App, known: &Committee, note: &str) -> Result<(), FollowError> {
    let note = app.vault.read(|vault| {
        let log = Log::load(vault, known.no)?;
        let note = log.verify_note(note)?;
        match log.held_against(vault, &note)? {
            Some(caught) => Err(FollowError::Caught(caught)),
            None => Ok(note),
        }
    })?;
    let ahead = Ahead { size: note.checkpoint().size, note: note.text().to_owned() };
    Ok(app.vault.write(|vault| vault.put_ahead(known.no, &ahead))?)
}

/// Whether this device is to vouch anew, for `size` entries. Never for less than it did: it says that it
/// knows of no more, and an old copy of the vault was put back.
fn is_news(last: &Cosigned, size: TreeSize, now: UnixMillis) -> bool {
    last.size < size || last.size == size && now.0.abs_diff(last.at.0) > VOUCH_AGAIN_MILLIS
}

/// Tells the relay that this device holds the log up to here, when that is news.
async fn vouch(app: &mut App, connection: &Connection, no: CommitteeNo) -> Result<(), FollowError> {
    let own = Cosigner::Device(app.device.device_id());
    let now = app.clock.now();
    let (log, marks) = app
        .vault
        .read(|vault| Ok::<_, Failure>((Log::load(vault, no)?, vault.cosignatures(no)?)))?;
    let Some(checkpoint) = log.checkpoint() else { return Ok(()) };
    let is_member =
        log.fold().is_some_and(|fold| fold.roster().role_of(app.device.device_id()).is_some());
    let last = marks.iter().find(|mark| mark.signer == own.to_string());
    if !is_member || !last.is_none_or(|last| is_news(last, checkpoint.size, now)) {
        return Ok(());
    }
    let cosignature = Cosignature::sign(&checkpoint, own, app.device.signing_key(), now);
    let request = Request::Cosign(CosignRequest {
        committee: log.known.id,
        size: checkpoint.size,
        root: checkpoint.root,
        cosignature: cosignature.text().to_owned(),
    });
    match relay::ask(connection, &request).await {
        Ok(_) => {}
        // It is given again at the next sync; nothing that this device needs hangs on it.
        Err(AskError::Refused(Code::Full | Code::Busy | Code::TooMany)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let mark = Cosigned {
        signer: own.to_string(),
        size: checkpoint.size,
        root: checkpoint.root,
        at: cosignature.time(),
        line: cosignature.text().to_owned(),
    };
    Ok(app.vault.write(|vault| vault.put_cosignature(no, &mark))?)
}

#[cfg(test)]
mod tests;
