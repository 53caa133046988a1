//! Who can read what, answered from the log alone.
//!
//! That a device holds a lock is certain as far as the log goes: it was granted it, or a later one from
//! which links lead back. A grant that is broken makes the answer too wide, never too narrow. That a
//! device has a record is known only where it vouched for the log beyond it.

use std::collections::BTreeMap;

use sealpost_protocol::change::Change;
use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::id::{DeviceId, LeafIndex, UnixMillis};
use sealpost_protocol::roster::{Place, Roster, Standing};

use crate::changes::RoleName;
use crate::error::{Failure, Kind as Error};
use crate::keys;
use crate::log::Log;
use crate::names::{self, People};
use crate::ui::time;
use crate::vault::committees::CommitteeNo;
use crate::vault::evidence::Cosigned;
use crate::vault::records::{Content, Record};
use crate::vault::{Read, VaultError};

/// A device that could open a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Reader {
    /// The device.
    pub device: DeviceId,
    /// Its member's handle, or its REF.
    pub handle: String,
    /// Its member's role.
    pub role: &'static str,
    /// Whether it was granted the record's lock itself; else links lead back from a later one.
    pub granted: bool,
    /// The entry from which on it held the lock.
    pub since: LeafIndex,
    /// Whether it was active when the record came into the log, or at any time after.
    pub served: bool,
    /// The entry that cut it off, if it is.
    pub cut_off: Option<LeafIndex>,
    /// When it vouched for the log beyond the record, to the hour; none: not known.
    pub delivered: Option<UnixMillis>,
}

/// Who could open a record.
#[derive(Debug)]
pub struct Who {
    /// The record.
    pub record: Record,
    /// Whether a part of it is for named readers, known to them alone.
    pub is_apart: bool,
    /// The devices, in the order of their ids.
    pub readers: Vec<Reader>,
}

/// Who could open a record that is in the log: now, or as the log stood at the end of a time, by the
/// times that its authors claim.
pub fn can_open(vault: &Read<'_>, record: Record, on: Option<UnixMillis>) -> Result<Who, Failure> {
    if on.is_some_and(|on| record.made > on) {
        let made = time::rfc3339(record.made);
        let what = format!("{} was not written then: it was made {made}", record.reference);
        return Err(Failure::new(Error::NotFound, what).next("Ask for a later day."));
    }
    let no = record.committee;
    let log = Log::load(vault, no)?;
    let people = People::load(vault, no)?;
    let marks = vault.cosignatures(no)?;
    let mut since: BTreeMap<DeviceId, LeafIndex> = BTreeMap::new();
    let mut served: BTreeMap<DeviceId, bool> = BTreeMap::new();
    let steps = until(steps(vault, no)?, on);
    let mut after = steps.iter().skip(1).map(|step| step.place.index);
    let roster = replay(&steps, |roster, at| {
        // Until the next roster entry, or for ever.
        let lasts_to = after.next().unwrap_or(LeafIndex(u64::MAX));
        for (device, _) in roster.devices() {
            if roster.holds(device, record.epoch) {
                since.entry(device).or_insert(at);
            }
            if roster.is_active(device) && lasts_to > record.index {
                served.insert(device, true);
            }
        }
    })?;
    let mut readers = Vec::new();
    for (device, since) in since {
        let lock = roster.lock_state(record.epoch);
        let member = roster.device(device).and_then(|known| roster.member(known.member));
        readers.push(Reader {
            device,
            handle: people.name(&device),
            role: member.map_or("", |member| RoleName::from(member.role).as_str()),
            granted: lock.is_some_and(|lock| lock.granted().any(|granted| granted == device)),
            since,
            served: served.contains_key(&device),
            cut_off: cut_off(&roster, device),
            delivered: delivered(vault, &log, &marks, device, record.index)?
                .filter(|at| on.is_none_or(|on| *at <= on)),
        });
    }
    Ok(Who { is_apart: is_apart(&record), record, readers })
}

/// The entry that cut a device off, if it is.
pub fn cut_off(roster: &Roster, device: DeviceId) -> Option<LeafIndex> {
    match roster.standing_of(device) {
        Some(Standing::Suspended(at) | Standing::Ended(at)) => Some(at),
        Some(Standing::Active) | None => None,
    }
}

/// When a device vouched for this very log beyond an entry, if it is known to have.
pub fn delivered(
    vault: &Read<'_>,
    log: &Log,
    marks: &[Cosigned],
    device: DeviceId,
    index: LeafIndex,
) -> Result<Option<UnixMillis>, VaultError> {
    let signer = Cosigner::Device(device).to_string();
    let Some(mark) = marks.iter().find(|mark| mark.signer == signer) else { return Ok(None) };
    // What vouches for more than this device verified cannot be held against it.
    if mark.size.0 <= index.0 || mark.size > log.size() {
        return Ok(None);
    }
    Ok((log.root_at(vault, mark.size)? == mark.root).then_some(mark.at))
}

/// Whether a part of a record is for named readers.
pub fn is_apart(record: &Record) -> bool {
    let Content::Opened(json) = &record.content else { return false };
    let fields: Option<serde_json::Value> = serde_json::from_str(json).ok();
    fields.is_some_and(|fields| fields.get(sealpost_protocol::record::SEALED).is_some())
}

/// One verified roster change in its place.
struct Step {
    place: Place,
    change: Change,
}

/// The roster changes of a committee, in the order of its log.
fn steps(vault: &Read<'_>, no: CommitteeNo) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    let mut before = LeafIndex(u64::MAX);
    while let Some((index, entry)) = keys::last_roster_entry(vault, no, before)? {
        let header = entry.header();
        let change = keys::change_of(entry.payload()).ok_or_else(unreadable)?;
        let (author, made_at) = (header.author, header.made_at);
        steps.push(Step { place: Place { index, leaf: entry.leaf(), author, made_at }, change });
        before = index;
    }
    steps.reverse();
    Ok(steps)
}

/// Those up to the last that is not after `on`. The log has the order, the authors the times.
fn until(mut steps: Vec<Step>, on: Option<UnixMillis>) -> Vec<Step> {
    if let Some(on) = on {
        let last = steps.iter().rposition(|step| step.place.made_at <= on);
        steps.truncate(last.map_or(0, |last| last + 1));
    }
    steps
}

/// Folds changes that were verified when they were stored. `visit` sees the roster after each.
fn replay(steps: &[Step], mut visit: impl FnMut(&Roster, LeafIndex)) -> Result<Roster, Failure> {
    let mut steps = steps.iter();
    let Some(Step { place, change: Change::Found(found) }) = steps.next() else {
        let what = "The committee was not founded then";
        return Err(Failure::new(Error::NotFound, what).next("Ask for a later day."));
    };
    let mut roster = Roster::found((**found).clone(), *place).map_err(|_| unreadable())?;
    visit(&roster, place.index);
    for Step { place, change } in steps {
        roster.apply(change.clone(), *place).map_err(|_| unreadable())?;
        visit(&roster, place.index);
    }
    Ok(roster)
}

fn unreadable() -> Failure {
    VaultError::Damaged("the roster of a committee does not fold again".to_owned()).into()
}

impl Reader {
    /// Whether and when it had the record, in words.
    pub fn had(&self) -> String {
        match (self.delivered, self.served) {
            (Some(at), _) => format!("delivered, it vouched {}", time::rfc3339(at)),
            (None, true) => "unknown".to_owned(),
            (None, false) => "after cut-off".to_owned(),
        }
    }

    /// The device's REF.
    pub fn reference(&self) -> String {
        names::device_ref(&self.device).to_string()
    }
}

#[cfg(test)]
mod tests;
