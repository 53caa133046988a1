//! The way back in for whoever lost every device: a spare, shared among helpers (SPEC.md §21).
//!
//! ```text
//! set    owner ── the spare's card, shares sealed to helpers' devices ──> log
//! help   helper ── its share, sealed to the claiming card, the answer of a join ──> relay
//! claim  new device ── enough answers ──> the spare ── device, retire ──> log, and it is in
//! ```
//!
//! The secret lives while it is split and while the rebuilt spare acts, and is on no disk.

use sealpost_protocol::change::{self, Change};
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::{CommitteeId, DeviceId, LeafIndex, MemberNumber};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::recovery::{PeerShareError, Share, open_share};
use sealpost_protocol::roster::{Spare, Standing};

use crate::error::{Failure, Kind as Error};
use crate::keys;
use crate::log::Log;
use crate::vault::Read;
use crate::vault::committees::{Committee, CommitteeNo, Standing as Known};

mod act;
pub mod claim;
pub mod help;
pub mod set;

/// The command that makes a way back in.
pub const SET: &str = "sealpost recovery set --helpers HANDLE HANDLE HANDLE --threshold 2";

/// A spare that this device's member owns or has a share of.
#[derive(Debug)]
pub struct Shared {
    /// In which committee.
    pub known: Committee,
    /// Whose it is.
    pub owner: MemberNumber,
    /// It, with its helpers.
    pub spare: Spare,
    /// Whether it is this device's own member's.
    pub is_own: bool,
    /// The device of this device's member that has a share of it.
    pub held_by: Option<DeviceId>,
}

/// The spares this device's member owns, and those it helps with.
pub fn shared(vault: &Read<'_>, this: DeviceId) -> Result<Vec<Shared>, Failure> {
    let mut found = Vec::new();
    for known in vault.committees()?.into_iter().filter(|known| known.standing == Known::Active) {
        let log = Log::load(vault, known.no)?;
        let Some(roster) = log.fold().map(Fold::roster) else { continue };
        let Some(own) = roster.device(this).map(|device| device.member) else { continue };
        for (owner, spare) in roster.spares() {
            let is_ours = |id: &&DeviceId| roster.device(**id).is_some_and(|it| it.member == own);
            let held_by = spare.helpers.iter().find(is_ours).copied();
            let is_own = owner == own;
            if is_own || held_by.is_some() {
                let (known, spare) = (known.clone(), spare.clone());
                found.push(Shared { known, owner, spare, is_own, held_by });
            }
        }
    }
    Ok(found)
}

/// The share of `owner`'s spare that this device holds, opened and verified.
pub fn held_share(
    vault: &Read<'_>,
    device: &DeviceIdentity,
    no: CommitteeNo,
    owner: MemberNumber,
) -> Result<Share, Failure> {
    let log = Log::load(vault, no)?;
    let fold = log.pulled()?;
    let spare = fold.roster().spare_of(owner).ok_or_else(no_share)?;
    let entry = keys::entry_at(vault, no, spare.at)?;
    let Some(Change::Recovery(recovery)) = keys::change_of(entry.payload()) else {
        return Err(no_share());
    };
    match given(device, fold.id(), &recovery) {
        None => Err(no_share()),
        Some(Ok(share)) => Ok(share),
        Some(Err(error)) => Err(Failure::new(Error::Verification, "The share does not open")
            .because(error)
            .safe("Nobody was shown anything.")
            .next("Tell its owner: sealpost recovery set")),
    }
}

/// The share that a change gives to `device`, if it gives it one: whether it opens and fits.
pub fn given(
    device: &DeviceIdentity,
    committee: CommitteeId,
    recovery: &change::Recovery,
) -> Option<Result<Share, PeerShareError>> {
    let own = device.device_id();
    let given = recovery.shares.iter().find(|share| share.device == own)?;
    let opened = open_share(&given.file, device.hybrid());
    Some(opened.and_then(|share| {
        share.is_for(committee, recovery.spare, own, recovery.threshold)?;
        Ok(share)
    }))
}

/// The last spare of `owner`, when it has ended and no other took its place.
pub fn ended_spare(
    vault: &Read<'_>,
    no: CommitteeNo,
    fold: &Fold,
    owner: MemberNumber,
) -> Result<Option<DeviceId>, Failure> {
    let roster = fold.roster();
    let has_ended = |id| matches!(roster.standing_of(id), Some(Standing::Ended(_)));
    let ended = roster.devices_of(owner).any(|(id, _)| has_ended(id));
    if !ended || roster.spare_of(owner).is_some() {
        return Ok(None);
    }
    let is_theirs =
        |spare: &DeviceId| roster.device(*spare).is_some_and(|device| device.member == owner);
    Ok(spares_shared(vault, no)?.into_iter().find(is_theirs))
}

/// Whether a device is, or was, a spare.
pub fn was_shared(vault: &Read<'_>, no: CommitteeNo, device: DeviceId) -> Result<bool, Failure> {
    Ok(spares_shared(vault, no)?.contains(&device))
}

/// Every spare that the log shared, the last first.
fn spares_shared(vault: &Read<'_>, no: CommitteeNo) -> Result<Vec<DeviceId>, Failure> {
    let mut spares = Vec::new();
    let mut before = LeafIndex(u64::MAX);
    while let Some((index, entry)) = keys::last_roster_entry(vault, no, before)? {
        before = index;
        if let Some(Change::Recovery(recovery)) = keys::change_of(entry.payload()) {
            spares.push(recovery.spare);
        }
    }
    Ok(spares)
}

fn no_share() -> Failure {
    Failure::new(Error::NotFound, "This device holds no share of theirs")
        .next("sealpost recovery show")
}

#[cfg(test)]
mod tests;
