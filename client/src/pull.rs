//! Following a log: pulled, verified, opened and stored, a stretch at a time.
//!
//! The network comes first and the vault afterwards: no transaction stands open while a relay is
//! waited for. Position, entries, keys and opened records of a stretch are stored together.

use sealpost_protocol::checkpoint::UnverifiedCheckpoint;
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::entry::{Admitted, Kind, UnverifiedEntry};
use sealpost_protocol::frame::{PullRequest, Refused, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
use sealpost_protocol::limits;
use sealpost_protocol::tree;

use crate::app::App;
use crate::catalog;
use crate::error::Failure;
use crate::forget;
use crate::join::Opening;
use crate::keys::{self, Keys};
use crate::lie::{Caught, FollowError, Lie};
use crate::log::{Compared, Extension, Log, Mark, MarkBy, OtherLog, Pulled};
use crate::names;
use crate::news;
use crate::relay::AskError;
use crate::transport::{Connection, PeerError, TransportError};
use crate::ui::progress::Progress;
use crate::vault::committees::{Committee, CommitteeNo, Standing};
use crate::vault::entries::{self, StoredEntry};
use crate::vault::{Read, Write};

/// What one pull may bring: the limit, the entry that crosses it, and room for framing.
const ANSWER_BYTES_MAX: u64 =
    (limits::PULL_BYTES_MAX + limits::PULL_BYTES_MAX / 8 + 2 * limits::FRAME_BYTES_MAX) as u64;

/// Pulls that are repeated because a record was perhaps forgotten in their middle.
const WITHHELD_TRIES: u32 = 2;

/// Entries of another log that are looked at for what shows it to others: half a minute of pulling, and
/// 16 MiB of nodes.
const OTHER_LOG_ENTRIES_MAX: u64 = 256 * 1024;

/// What following a log brought.
#[derive(Debug, Default)]
pub struct Brought {
    /// Entries of others.
    pub received: u64,
    /// Drafts of this device that the log now has.
    pub sent: u64,
    /// Blobs that are here since.
    pub fetched: u64,
    /// What did not open as it should, or cannot be explained, in words.
    pub faults: Vec<String>,
    /// What the relay did not take, and why, in words.
    pub refused: Vec<String>,
    /// What others changed in the committee, in words.
    pub news: Vec<String>,
}

impl Brought {
    /// Adds what another stretch brought.
    pub fn add(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.fetched += other.fetched;
        self.faults.extend(other.faults);
        self.refused.extend(other.refused);
        self.news.extend(other.news);
    }
}

/// Follows a log until it is verified up to everything the relay has signed for.
pub async fn follow(
    app: &mut App,
    connection: &Connection,
    no: CommitteeNo,
) -> Result<Brought, FollowError> {
    let mut brought = Brought::default();
    let (known, ahead) =
        app.vault.read(|vault| Ok::<_, Failure>((vault.committee_no(no)?, vault.ahead(no)?)))?;
    let goal = ahead.last().map_or(0, |ahead| ahead.size.0);
    let progress = Progress::of("pulling", goal.saturating_sub(known.size.0));
    let mut tries_left = WITHHELD_TRIES;
    loop {
        let from = app.vault.read(|vault| vault.committee_no(no))?.size;
        let pulled = receive(connection, known.id, from, &progress).await?;
        let (new, goal) = match accept(app, no, &pulled) {
            // It was perhaps forgotten while this was pulled: then the next pull shows that.
            Err(FollowError::Caught(caught)) if caught.lie.is_withheld() && tries_left > 0 => {
                tries_left -= 1;
                continue;
            }
            Err(FollowError::Caught(caught)) if matches!(caught.lie, Lie::Root) => {
                // Whoever waits for this may wait no longer, and the relay knows that.
                caught.keep(app, &known)?;
                return Err(look_back(app, connection, &known, caught).await?.into());
            }
            accepted => accepted?,
        };
        brought.add(new);
        if let Goal::Reached = goal {
            fill(app, connection, no).await?;
            return Ok(brought);
        }
    }
}

/// What the relay shows does not go on from what is verified. Either it is not what it signed for; or it is another
/// log, and shown from its beginning that can be seen by others.
async fn look_back(
    app: &App,
    connection: &Connection,
    known: &Committee,
    caught: Caught,
) -> Result<Caught, FollowError> {
    let mut other = OtherLog::default();
    while other.size().0 < OTHER_LOG_ENTRIES_MAX {
        let progress = Progress::of("comparing", 0);
        // Whatever keeps it from answering now, it has lied before.
        let Ok(pulled) = receive(connection, known.id, other.size(), &progress).await else {
            break;
        };
        let compared = app.vault.read(|vault| {
            let log = Log::load(vault, known.no)?;
            log.compare(vault, &mut other, &pulled)
        })?;
        match compared {
            Compared::SoFarTheSame => {}
            Compared::Forked(fork) => return Ok(*fork),
            Compared::Nothing => break,
        }
    }
    Ok(caught)
}

/// Fetches the payloads that an earlier stretch lacked, and that nothing has forgotten since.
async fn fill(app: &mut App, connection: &Connection, no: CommitteeNo) -> Result<(), FollowError> {
    let log = app.vault.read(|vault| Log::load(vault, no))?;
    let lacking: Vec<LeafIndex> = log.pulled()?.lacking().collect();
    for index in lacking {
        let entry = receive_one(connection, log.known.id, index).await?;
        let filled = app.vault.read(|vault| Filling::of(vault, no, index, entry))?;
        let Some(filled) = filled else {
            let held = app.vault.read(|vault| vault.note(no))?;
            let caught = Caught::from(Lie::Withheld(index));
            return Err(held
                .into_iter()
                .fold(caught, |caught, (_, held)| caught.note(held))
                .into());
        };
        filled.store(app, no)?;
    }
    Ok(())
}

/// Asks for the entry at a place alone.
async fn receive_one(
    connection: &Connection,
    committee: CommitteeId,
    index: LeafIndex,
) -> Result<Option<Vec<u8>>, AskError> {
    let request = Request::Pull(PullRequest { committee, from: TreeSize(index.0) });
    let mut replies = connection.request(&request).await?.at_most(ANSWER_BYTES_MAX);
    match replies.next().await?.ok_or(TransportError::Lied(PeerError::Incomplete))? {
        Reply::Entries(entries) => Ok(entries.into_iter().next().map(Vec::from)),
        Reply::Refused(Refused { code }) => Err(AskError::Refused(code)),
        Reply::NotActive(shown) => Err(AskError::NotActive(Box::new(shown))),
        _ => Ok(None),
    }
}

/// A payload that came after its entry, and the fold that misses it no more.
struct Filling {
    index: LeafIndex,
    entry: UnverifiedEntry,
    note: Vec<u8>,
    fold: Fold,
}

impl Filling {
    /// None when it is not the payload that is missed.
    fn of(
        vault: &Read<'_>,
        no: CommitteeNo,
        index: LeafIndex,
        bytes: Option<Vec<u8>>,
    ) -> Result<Option<Self>, Failure> {
        let log = Log::load(vault, no)?;
        let mut fold = log.pulled()?.clone();
        let entry = bytes.and_then(|bytes| UnverifiedEntry::decode(&bytes).ok());
        let leaf = keys::entry_at(vault, no, index)?.leaf();
        // Whatever decodes has the payload that its header names.
        let Some(entry) = entry.filter(|entry| entry.leaf() == leaf) else { return Ok(None) };
        let filled = entry.payload().is_some_and(|payload| fold.fill(index, payload));
        let Some((_, note)) = vault.note(no)?.filter(|_| filled) else { return Ok(None) };
        Ok(Some(Self { index, entry, note, fold }))
    }

    fn store(self, app: &mut App, no: CommitteeNo) -> Result<(), Failure> {
        let Self { index, entry, note, fold } = self;
        let App { vault, device, .. } = app;
        vault.write(|vault| {
            vault.replace_entry(no, index, &entry.encode())?;
            let mut keys = Keys::new(device, no, &fold);
            catalog::open_late(vault, &mut keys, no, index, &entry)?;
            Ok(vault.set_fold(no, &note, &fold)?)
        })
    }
}

/// Whether a log was verified up to everything the relay has signed for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It was.
    Reached,
    /// This pull ended before.
    Ahead,
}

/// Verifies what was pulled and stores it. Without anything new it must lead to the goal.
pub(crate) fn accept(
    app: &mut App,
    no: CommitteeNo,
    pulled: &Pulled,
) -> Result<(Brought, Goal), FollowError> {
    let (log, extension, goal) = app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let marks = marks(vault, &log)?;
        let extension = log.extend(vault, pulled, &marks)?;
        Ok::<_, FollowError>((log, extension, marks.into_iter().max_by_key(|mark| mark.size)))
    })?;
    let shown = extension.note.checkpoint().size;
    let lacking = extension.fold.lacking().find(|index| index.0 >= log.size().0);
    if let Some(index) = lacking.filter(|_| pulled.is_whole()) {
        return Err(Caught::from(Lie::Withheld(index)).note(extension.note.text()).into());
    }
    let brought = store(app, &log, &extension)?;
    if lacking.is_some() {
        // What forgot it may stand in what is still to be pulled.
        return Ok((brought, Goal::Ahead));
    }
    match goal.filter(|goal| goal.size > shown) {
        None => {
            let mut brought = brought;
            brought.news.extend(go_on(app, no)?);
            Ok((brought, Goal::Reached))
        }
        Some(_) if shown > log.size() => Ok((brought, Goal::Ahead)),
        Some(Mark { by: MarkBy::Inviter, .. }) => {
            Err(Caught::from(Lie::InvitationHead).note(extension.note.text()).into())
        }
        Some(Mark { by: MarkBy::Relay(held), .. }) => {
            let caught =
                app.vault.read(|vault| log.short_of_a_claim(vault, &held, &extension.note))?;
            Err(caught.into())
        }
    }
}

/// The relay showed all it signed for, and that is what was verified here: it is dealt with again.
fn go_on(app: &mut App, no: CommitteeNo) -> Result<Option<String>, Failure> {
    let Some(stop) = app.vault.read(|vault| vault.stop(no))? else { return Ok(None) };
    let known = app.vault.write(|vault| {
        vault.lift_stop(no)?;
        vault.committee_no(no)
    })?;
    Ok(Some(format!(
        "The relay of {} shows again what was verified here: work with it goes on. The evidence stays: {}",
        names::committee_ref(&known.id),
        app.vault.evidence_path(&stop.file).display()
    )))
}

/// Asks for the entries from `from` on. Nothing of the answer is believed yet.
async fn receive(
    connection: &Connection,
    committee: CommitteeId,
    from: TreeSize,
    progress: &Progress,
) -> Result<Pulled, AskError> {
    let request = Request::Pull(PullRequest { committee, from });
    let mut replies = connection.request(&request).await?.at_most(ANSWER_BYTES_MAX);
    let mut entries = Vec::new();
    loop {
        let reply = replies.next().await?;
        match reply.ok_or(TransportError::Lied(PeerError::Incomplete))? {
            Reply::Entries(more) => {
                progress.advance(more.len() as u64);
                entries.extend(more.into_iter().map(Vec::from));
            }
            Reply::End(end) => return Ok(Pulled { entries, note: end.checkpoint }),
            Reply::Refused(Refused { code }) => return Err(AskError::Refused(code)),
            Reply::NotActive(shown) => return Err(AskError::NotActive(Box::new(shown))),
            _ => return Err(TransportError::Lied(PeerError::Unexpected).into()),
        }
    }
}

/// What the log must come to: what the relay signed for before, and, for a newcomer, what the
/// inviter had verified.
fn marks(vault: &Read<'_>, log: &Log) -> Result<Vec<Mark>, FollowError> {
    let mut marks = Vec::new();
    for ahead in vault.ahead(log.known.no)? {
        // Verified when it was kept.
        let parsed = UnverifiedCheckpoint::parse(ahead.note.as_bytes()).map_err(Lie::from)?;
        let root = parsed.claimed().root;
        marks.push(Mark { size: ahead.size, root, by: MarkBy::Relay(ahead.note) });
    }
    for (size, root) in inviters_heads(log)? {
        marks.push(Mark { size, root, by: MarkBy::Inviter });
    }
    Ok(marks)
}

/// Stores a verified stretch with all that follows from it, in one transaction.
fn store(app: &mut App, log: &Log, extension: &Extension) -> Result<Brought, Failure> {
    let own = app.device.device_id();
    let no = log.known.no;
    let now = app.clock.now();
    let App { vault, device, .. } = app;
    vault.write(|vault| {
        let mut brought = Brought::default();
        let mut unknown = 0;
        for admitted in &extension.admitted {
            store_entry(vault, no, admitted)?;
            let from_here = vault.remove_sent(no, &admitted.entry.leaf())?;
            let by_own = admitted.entry.header().author == own;
            brought.sent += u64::from(from_here);
            brought.received += u64::from(!by_own);
            unknown += u64::from(by_own && !from_here && admitted.index.0 > 0);
        }
        vault.put_nodes(no, tree::node_count(extension.from), &extension.nodes)?;
        let mut keys = Keys::new(device, no, &extension.fold);
        take_changes(vault, &mut keys, &extension.admitted)?;
        store_label(vault, &mut keys, no, &extension.admitted)?;
        catalog::open_new(vault, &mut keys, no, &extension.admitted)?;
        for index in extension.admitted.iter().filter_map(|admitted| admitted.forgets) {
            forget::here(vault, no, index)?;
        }
        let gained = keys.gained().clone();
        catalog::open_again(vault, &mut keys, no, &gained)?;
        brought.faults = keys.into_faults();
        if unknown > 0 {
            brought.faults.push(not_from_here(unknown));
        }
        store_position(vault, log, extension)?;
        // A newcomer was told nothing yet: what came before is no news.
        if let Some(before) = log.fold() {
            let rosters = (before.roster(), extension.fold.roster());
            brought.news = news::of(vault, no, own, now, rosters, &extension.admitted)?;
        }
        Ok(brought)
    })
}

/// A vault put back from a backup meets what it wrote since: its chain goes on from the log's.
fn not_from_here(count: u64) -> String {
    format!(
        "The log holds {count} entries signed by this device that this vault did not send. Was it \
         put back from a backup? If not, somebody else has its keys."
    )
}

fn store_entry(vault: &Write<'_>, no: CommitteeNo, admitted: &Admitted) -> Result<(), Failure> {
    let header = admitted.entry.header();
    vault.put_entry(
        no,
        &StoredEntry {
            index: admitted.index,
            leaf_hash: admitted.entry.leaf(),
            author: header.author,
            author_seq: header.author_seq,
            kind: kind_number(header.kind),
            epoch: header.epoch,
            bytes: &admitted.entry.encode(),
        },
    )?;
    Ok(())
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Roster => entries::ROSTER,
        Kind::Record => entries::RECORD,
        Kind::Forget => entries::FORGET,
    }
}

/// Takes what the roster entries among the new ones give this device.
fn take_changes(
    vault: &Write<'_>,
    keys: &mut Keys<'_>,
    admitted: &[Admitted],
) -> Result<(), Failure> {
    for Admitted { entry, .. } in admitted.iter().filter(|new| is_roster(new)) {
        if let Some(change) = keys::change_of(entry.payload()) {
            keys.take(vault, &change, entry.header())?;
        }
    }
    keys.follow_links(vault)
}

/// Opens the newest label in the log that opens, when one is new or a lock was gained that may open it.
/// One that does not open leaves the older names, to a newcomer as well.
fn store_label(
    vault: &Write<'_>,
    keys: &mut Keys<'_>,
    no: CommitteeNo,
    admitted: &[Admitted],
) -> Result<(), Failure> {
    if keys.gained().is_empty() && !admitted.iter().any(is_roster) {
        return Ok(());
    }
    let mut before = LeafIndex(u64::MAX);
    while let Some((index, entry)) = keys::last_roster_entry(vault, no, before)? {
        before = index;
        let change = keys::change_of(entry.payload());
        let label = change.and_then(|change| keys::label_of(change, entry.header().epoch));
        let Some((epoch, file)) = label else { continue };
        match keys.of(vault, epoch)?.map(|keys| keys.open_label(&file)) {
            Some(Ok(label)) => return Ok(vault.set_label(no, &codec::encode(&label))?),
            Some(Err(error)) => {
                keys.fault(format!("The names in lock {epoch} do not open: {error}"));
            }
            // Its key may still come, by a repair. Older names are older locks'.
            None => return Ok(()),
        }
    }
    Ok(())
}

fn is_roster(new: &Admitted) -> bool {
    new.entry.header().kind == Kind::Roster
}

fn store_position(vault: &Write<'_>, log: &Log, extension: &Extension) -> Result<(), Failure> {
    let no = log.known.no;
    let size = extension.fold.size();
    vault.set_fold(no, extension.note.text().as_bytes(), &extension.fold)?;
    vault.drop_ahead(no, size)?;
    let opening = matches!(log.known.standing, Standing::Founding | Standing::Joining);
    // A claim ends by itself: it follows the log before this device is in.
    let claims = matches!(Opening::of(&log.known)?, Some(Opening::Claim(_)));
    // Before that, a newcomer's log is not yet held against what whoever invited had verified.
    if opening && !claims && inviters_heads(log)?.iter().all(|(head, _)| size >= *head) {
        vault.set_standing(no, Standing::Active)?;
    }
    Ok(())
}

/// What whoever invited this device had verified, while it is being let in.
fn inviters_heads(log: &Log) -> Result<Vec<(TreeSize, Hash)>, Failure> {
    Opening::of(&log.known)?.map_or_else(|| Ok(Vec::new()), |opening| opening.heads())
}

#[cfg(test)]
mod tests;
