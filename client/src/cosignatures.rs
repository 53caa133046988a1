//! Cosignatures: what devices vouch for, verified, and held against the log that is here.
//!
//! ```text
//! fetch ── that device's own, for this log? ── vault: of each device the one over the largest size
//!       ── over our own root at that size? ── else disputed: evidence, told at every sync
//! ```
//!
//! One over another root stands not under the relay's signature: either may have lied, so it keeps
//! nobody from anything.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_protocol::checkpoint::{Checkpoint, Cosigner, UnverifiedCosignature};
use sealpost_protocol::frame::{CommitteeRequest, CosignatureOf, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, TreeSize, UnixMillis};

use crate::app::App;
use crate::confirmed::Holders;
use crate::error::{Failure, Kind as Error};
use crate::lie::FollowError;
use crate::log::Log;
use crate::names::{self, People};
use crate::relay;
use crate::transport::Connection;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::evidence::{Cosigned, Exhibit, Heard};
use crate::vault::{Read, VaultError, Write};

/// How often others are listened for when nothing waits for their word.
pub const LISTEN_AGAIN_MILLIS: u64 = 60 * 60 * 1000;

/// How what somebody vouches for stands to what this device verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agrees {
    /// It is the same log, up to there.
    Same,
    /// It is more than this device was shown.
    Ahead,
    /// It is another log.
    Contradicts,
    /// It vouches for nothing.
    Silent,
}

impl Agrees {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Ahead => "ahead",
            Self::Contradicts => "contradicts",
            Self::Silent => "silent",
        }
    }
}

/// The log that is here, to hold cosignatures against. Most are over the same few sizes.
struct Held<'a> {
    vault: &'a Read<'a>,
    log: &'a Log,
    roots: BTreeMap<TreeSize, Hash>,
}

impl<'a> Held<'a> {
    fn new(vault: &'a Read<'a>, log: &'a Log) -> Self {
        Self { vault, log, roots: BTreeMap::new() }
    }

    fn agrees(&mut self, mark: &Cosigned) -> Result<Agrees, VaultError> {
        if mark.size > self.log.size() {
            return Ok(Agrees::Ahead);
        }
        let ours = match self.roots.get(&mark.size) {
            Some(root) => *root,
            None => self.log.root_at(self.vault, mark.size)?,
        };
        self.roots.insert(mark.size, ours);
        Ok(if ours == mark.root { Agrees::Same } else { Agrees::Contradicts })
    }
}

/// The newest cosignature of each device, held against the log that is here.
#[derive(Debug, Default)]
pub struct Judged {
    /// Those of this very log: what counts for the lease and for confirmed records.
    pub same: Vec<Cosigned>,
    /// The others.
    pub others: Vec<(Cosigned, Agrees)>,
}

impl Judged {
    /// Those in the vault.
    pub fn load(vault: &Read<'_>, log: &Log) -> Result<Self, VaultError> {
        let mut held = Held::new(vault, log);
        let mut judged = Self::default();
        for mark in vault.cosignatures(log.known.no)? {
            match held.agrees(&mark)? {
                Agrees::Same => judged.same.push(mark),
                agrees => judged.others.push((mark, agrees)),
            }
        }
        Ok(judged)
    }

    /// That of one device.
    pub fn of(&self, device: DeviceId) -> Option<(&Cosigned, Agrees)> {
        let signer = Cosigner::Device(device).to_string();
        let same = self.same.iter().map(|mark| (mark, Agrees::Same));
        let mut all = same.chain(self.others.iter().map(|(mark, agrees)| (mark, *agrees)));
        all.find(|(mark, _)| mark.signer == signer)
    }

    /// What is disputed. `own` is this device.
    pub fn disputes(&self, log: &Log, own: DeviceId) -> Vec<Dispute> {
        let of = |(mark, agrees): &(Cosigned, Agrees)| {
            let Ok(Cosigner::Device(device)) = mark.signer.parse() else { return None };
            let is_disputed = match agrees {
                Agrees::Contradicts => log.fold()?.roster().is_active(device),
                // Nobody else signs for this device, and it vouches for nothing that it does not hold.
                Agrees::Ahead => device == own,
                Agrees::Same | Agrees::Silent => false,
            };
            is_disputed.then(|| dispute(log, own, device, mark))
        };
        self.others.iter().filter_map(of).collect()
    }
}

/// A device's word against the log that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Whose.
    pub device: DeviceId,
    /// The size it vouched for.
    pub size: TreeSize,
    /// The size that is here.
    held: TreeSize,
    /// Whether that is this device.
    is_own: bool,
}

impl Dispute {
    /// What contradicts what, and why that matters.
    pub fn what(&self, known: &Committee, people: &People) -> String {
        let (committee, size, held) = (names::committee_ref(&known.id), self.size, self.held);
        let device = names::device_ref(&self.device);
        if self.is_own && size > held {
            return format!(
                "{committee}: this device itself vouched for {size} entries and holds {held}: its \
                 vault was put back from an old copy, and the relay does not show what came after"
            );
        }
        let who = match self.is_own {
            true => "this device itself".to_owned(),
            false => format!("{device} of {}", people.name(&self.device)),
        };
        format!(
            "{committee}: {who} vouches for another log of {size} entries than the one shown here: \
             the relay shows two, or that device lies"
        )
    }

    /// What to do about it.
    pub fn next(known: &Committee) -> String {
        let committee = names::committee_ref(&known.id);
        format!(
            "Compare head codes by phone, and tell your colleagues: sealpost committee audit {committee}"
        )
    }

    /// As it is told.
    pub fn told(&self, known: &Committee, people: &People) -> Failure {
        Failure::new(Error::Verification, self.what(known, people))
            .safe("The cosignature is kept, and nothing is held back for it.")
            .next(Self::next(known))
    }
}

fn dispute(log: &Log, own: DeviceId, device: DeviceId, mark: &Cosigned) -> Dispute {
    Dispute { device, size: mark.size, held: log.size(), is_own: device == own }
}

/// Listens for others when that may teach something, keeps what is disputed as evidence and returns it.
/// The log was followed before, so that whoever is ahead is ahead of what the relay shows.
pub async fn hear(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
) -> Result<Vec<Dispute>, FollowError> {
    let (own, now) = (app.device.device_id(), app.clock.now());
    let mut fetched = Vec::new();
    if app.vault.read(|vault| is_due(vault, known.no, own, now))? {
        fetched = fetch(app, connection, known).await?;
    }
    Ok(all_disputes(app, known.no, fetched)?)
}

/// Whether to listen again: an hour after the last time, or at once while the newest entry of this
/// device is not confirmed and somebody's word for it is lacking.
pub(crate) fn is_due(
    vault: &Read<'_>,
    no: CommitteeNo,
    own: DeviceId,
    now: UnixMillis,
) -> Result<bool, Failure> {
    let lately = |heard: Heard| now.0.abs_diff(heard.at.0) < LISTEN_AGAIN_MILLIS;
    if !vault.heard(no)?.is_some_and(lately) {
        return Ok(true);
    }
    let Some(newest) = vault.newest_of(no, own)? else { return Ok(false) };
    let log = Log::load(vault, no)?;
    let held = Holders::of(&log, &Judged::load(vault, &log)?)?.holding(newest, own);
    Ok(!held.confirmed && held.devices < held.of)
}

/// What is disputed by what the vault holds, and what was besides by what was just fetched.
pub(crate) fn all_disputes(
    app: &mut App,
    no: CommitteeNo,
    fetched: Vec<Dispute>,
) -> Result<Vec<Dispute>, Failure> {
    let (own, now) = (app.device.device_id(), app.clock.now());
    let (log, judged) = app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let judged = Judged::load(vault, &log)?;
        Ok::<_, Failure>((log, judged))
    })?;
    let mut all = judged.disputes(&log, own);
    if !all.is_empty() {
        // One that was ahead is disputed only since the log came to its size.
        app.vault.write(|vault| {
            let mut marks = all.iter().filter_map(|dispute| judged.of(dispute.device));
            marks.try_for_each(|(mark, _)| exhibit(vault, &log, mark, now))
        })?;
    }
    let known: BTreeSet<DeviceId> = all.iter().map(|dispute| dispute.device).collect();
    all.extend(fetched.into_iter().filter(|dispute| !known.contains(&dispute.device)));
    Ok(all)
}

/// Fetches and verifies who vouches for which size, and notes when. Returns what contradicts the log,
/// which is kept.
pub async fn fetch(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
) -> Result<Vec<Dispute>, FollowError> {
    let request = Request::Cosignatures(CommitteeRequest { committee: known.id });
    let Reply::Cosignatures(all) = relay::ask(connection, &request).await? else {
        return Err(relay::unexpected().into());
    };
    Ok(keep(app, known.no, &all)?)
}

pub(crate) fn keep(
    app: &mut App,
    no: CommitteeNo,
    all: &[CosignatureOf],
) -> Result<Vec<Dispute>, Failure> {
    let (log, marks) = app
        .vault
        .read(|vault| Ok::<_, Failure>((Log::load(vault, no)?, vault.cosignatures(no)?)))?;
    let (own, now) = (app.device.device_id(), app.clock.now());
    app.vault.write(|vault| {
        let mut held = Held::new(vault, &log);
        let mut disputes: BTreeMap<DeviceId, Dispute> = BTreeMap::new();
        let is_new = |one: &&CosignatureOf| marks.iter().all(|mark| mark.line != one.cosignature);
        for (device, mark) in all.iter().filter(is_new).filter_map(|one| verify(&log, one)) {
            // One shows it: a relay and a device together would fill the disk with more.
            if held.agrees(&mark)? == Agrees::Contradicts && !disputes.contains_key(&device) {
                exhibit(vault, &log, &mark, now)?;
                disputes.insert(device, dispute(&log, own, device, &mark));
            }
            vault.put_cosignature(no, &mark)?;
        }
        vault.set_heard(no, Heard { size: log.size(), at: now })?;
        Ok(disputes.into_values().collect())
    })
}

fn exhibit(
    vault: &Write<'_>,
    log: &Log,
    mark: &Cosigned,
    now: UnixMillis,
) -> Result<(), VaultError> {
    let text = format!("{}\n{}\n{}\n{}", log.origin(), mark.size, mark.root, mark.line);
    vault.keep_evidence(log.known.no, Exhibit::Disputed, text.as_bytes(), now)
}

/// A cosignature under the device's own key; what does not verify is nobody's word.
fn verify(log: &Log, given: &CosignatureOf) -> Option<(DeviceId, Cosigned)> {
    let key = *log.fold()?.roster().signing_key(given.device)?;
    let checkpoint = Checkpoint { origin: log.origin(), size: given.size, root: given.root };
    let unverified = UnverifiedCosignature::parse(given.cosignature.as_bytes()).ok()?;
    if *unverified.claimed_cosigner() != Cosigner::Device(given.device) {
        return None;
    }
    let verified = unverified.verify(&checkpoint, &key).ok()?;
    let mark = Cosigned {
        signer: verified.cosigner().to_string(),
        size: given.size,
        root: given.root,
        at: verified.time(),
        line: verified.text().to_owned(),
    };
    Some((given.device, mark))
}

#[cfg(test)]
mod tests;
