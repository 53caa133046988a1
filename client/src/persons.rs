//! A person across committees. A handle is of one committee; what makes two members the same person
//! is that they have a device in common.

use std::collections::BTreeSet;

use sealpost_protocol::change::Role;
use sealpost_protocol::id::{DeviceId, MemberNumber};
use sealpost_protocol::roster::Standing;

use crate::error::{Failure, Kind as Error};
use crate::log::Log;
use crate::members;
use crate::names::{self, Wanted};
use crate::vault::Read;
use crate::vault::committees::{Committee, Standing as Known};

/// A person in one committee.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The committee.
    pub known: Committee,
    /// The number there.
    pub number: MemberNumber,
    /// The handle there, or the REF of a device.
    pub handle: String,
    /// The standing there.
    pub standing: Standing,
    /// The role there.
    pub role: Role,
    /// The devices there, ended ones included.
    pub devices: Vec<DeviceId>,
}

impl Membership {
    fn is_ended(&self) -> bool {
        matches!(self.standing, Standing::Ended(_))
    }
}

fn by_device(known: &Committee) -> String {
    format!("Name a device by REF ({}), or --committee another", members::list_command(known))
}

/// The person whom `typed` names by a handle or the REF of a device, in every committee that this
/// device shares with them. With `committee` the name is looked for there alone.
pub fn everywhere(
    vault: &Read<'_>,
    typed: &str,
    committee: Option<&str>,
) -> Result<Vec<Membership>, Failure> {
    let here = committee.map(|typed| names::committee(vault, Some(typed))).transpose()?;
    let mut named: Vec<Membership> = Vec::new();
    let mut others = Vec::new();
    let mut not_found = None;
    for known in vault.committees()? {
        if !matches!(known.standing, Known::Active | Known::Ended) {
            continue;
        }
        let log = Log::load(vault, known.no)?;
        let Some(fold) = log.fold() else { continue };
        let label = names::label(&known)?;
        let is_looked_at = here.as_ref().is_none_or(|here| here.no == known.no);
        if is_looked_at {
            match members::one(fold, label.as_ref(), typed) {
                Ok(number) => named.extend(membership(&log, number)?),
                Err(failure) if failure.kind == Error::NotFound => not_found = Some(failure),
                Err(failure) => return Err(failure.next(by_device(&known))),
            }
        }
        others.push(log);
    }
    // Whoever is gone leaves the handle to who comes after, in another committee too.
    if named.iter().any(|one| !one.is_ended()) {
        named.retain(|one| !one.is_ended());
    }
    let Some(first) = named.first() else { return Err(nobody(not_found, typed)) };
    let devices = all_devices(first, &others)?;
    if let Some(other) = named.iter().find(|one| !one.devices.iter().any(|d| devices.contains(d))) {
        return Err(two_persons(typed, first, other));
    }
    let mut all = Vec::new();
    for log in &others {
        all.extend(shared(log, &devices)?);
    }
    Ok(all)
}

/// As [`everywhere`], but in the one committee that is meant.
pub fn one(vault: &Read<'_>, typed: &str, committee: Option<&str>) -> Result<Membership, Failure> {
    let known = match committee {
        Some(typed) => names::committee(vault, Some(typed))?,
        None => {
            let mut all = everywhere(vault, typed, None)?;
            match (all.pop(), all.pop()) {
                (Some(only), None) => return Ok(only),
                (one, other) => return Err(which_committee(one.iter().chain(&other).chain(&all))),
            }
        }
    };
    let log = Log::load(vault, known.no)?;
    let label = names::label(&known)?;
    let number = members::one(log.pulled()?, label.as_ref(), typed)
        .map_err(|failure| failure.next(members::list_command(&known)))?;
    membership(&log, number)?.ok_or_else(|| nobody(None, typed))
}

/// The one of these devices that `typed` names.
pub fn device(devices: &[DeviceId], typed: &str) -> Result<DeviceId, Failure> {
    let wanted = Wanted::parse(typed, "DV")?;
    let devices: BTreeSet<DeviceId> = devices.iter().copied().collect();
    wanted.one_of(devices, ToString::to_string, names::device_ref)
}

/// The devices of whoever has a device of `first`'s, in any committee.
///
/// A card is no secret: a member can add a stranger's device as their own, and whoever cuts that member
/// off would cut off the stranger elsewhere. So a further device is taken for its member's when it has
/// signed in that log; a first one, whose safety number a coordinator compared, always.
fn all_devices(first: &Membership, logs: &[Log]) -> Result<BTreeSet<DeviceId>, Failure> {
    let mut devices = BTreeSet::new();
    for log in logs.iter().filter(|log| log.known.no == first.known.no) {
        devices.extend(acknowledged(log, first)?);
    }
    loop {
        let before = devices.len();
        for log in logs {
            for one in shared(log, &devices)? {
                devices.extend(acknowledged(log, &one)?);
            }
        }
        if devices.len() == before {
            return Ok(devices);
        }
    }
}

/// Of a member's devices, those that are surely theirs.
fn acknowledged(log: &Log, member: &Membership) -> Result<Vec<DeviceId>, Failure> {
    let fold = log.pulled()?;
    let since = |id: &DeviceId| fold.roster().device(*id).map(|device| device.since);
    let first = member.devices.iter().copied().min_by_key(since);
    let is_theirs = |id: &DeviceId| Some(*id) == first || fold.author_head(*id).is_some();
    Ok(member.devices.iter().copied().filter(is_theirs).collect())
}

/// Who has one of the devices in a committee.
fn shared(log: &Log, devices: &BTreeSet<DeviceId>) -> Result<Vec<Membership>, Failure> {
    let roster = log.pulled()?.roster();
    let numbers: BTreeSet<MemberNumber> =
        devices.iter().filter_map(|id| roster.device(*id)).map(|device| device.member).collect();
    let mut found = Vec::new();
    for number in numbers {
        found.extend(membership(log, number)?);
    }
    Ok(found)
}

fn membership(log: &Log, number: MemberNumber) -> Result<Option<Membership>, Failure> {
    let roster = log.pulled()?.roster();
    let Some(member) = roster.member(number) else { return Ok(None) };
    let devices: Vec<DeviceId> = roster.devices_of(number).map(|(id, _)| id).collect();
    let label = names::label(&log.known)?;
    let named = label.and_then(|label| label.members.get(&number).cloned());
    let handle = match (named, devices.first()) {
        (Some(named), _) => named.handle,
        (None, Some(device)) => names::device_ref(device).to_string(),
        (None, None) => number.to_string(),
    };
    let (known, standing, role) = (log.known.clone(), member.standing, member.role);
    Ok(Some(Membership { known, number, handle, standing, role, devices }))
}

fn nobody(not_found: Option<Failure>, typed: &str) -> Failure {
    let what = format!("Nobody in these committees is called {}", typed.trim());
    not_found
        .unwrap_or_else(|| Failure::new(Error::NotFound, what))
        .next("sealpost member list --committee REF")
}

fn two_persons(typed: &str, one: &Membership, other: &Membership) -> Failure {
    let [one, other] = [one, other].map(|member| names::committee_ref(&member.known.id));
    let what = format!("{} in {one} and {other} are two persons", typed.trim());
    Failure::new(Error::Ambiguous, what).next("Say which: --committee REF")
}

fn which_committee<'m>(all: impl Iterator<Item = &'m Membership>) -> Failure {
    let refs: Vec<String> =
        all.map(|member| names::committee_ref(&member.known.id).to_string()).collect();
    Failure::new(Error::Ambiguous, format!("In which committee? {}", refs.join(", ")))
        .next("Say which: --committee REF")
}

#[cfg(test)]
mod tests;
