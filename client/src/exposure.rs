//! What somebody's devices still hold, and whom to warn first. It cannot be taken back.

use std::collections::BTreeMap;

use sealpost_protocol::id::DeviceId;
use sealpost_protocol::reference::Ref;
use serde::Serialize;
use serde_json::Value;

use crate::attachments;
use crate::error::Failure;
use crate::log::Log;
use crate::names::{self, People};
use crate::persons::Membership;
use crate::suspend::Wanted;
use crate::ui::{table, time};
use crate::vault::Read;
use crate::vault::records::{Content, Record};
use crate::who;

/// How many are named of those to warn first: a list to telephone, not to file.
const NAMED_MAX: usize = 10;

/// What somebody's devices hold. In `--json` with these names.
#[derive(Debug, Serialize)]
pub struct Exposure {
    /// By committee and device.
    pub devices: Vec<DeviceExposure>,
    /// The colleagues whose records are open to them, by handle, most records first.
    pub authors: Vec<Named>,
    /// The persons whom those records are about, by REF, most records first, as far as this device can
    /// read them.
    pub persons: Vec<Named>,
    /// Authors and persons who are not named.
    pub more: usize,
}

/// What one device holds of one committee.
#[derive(Debug, Serialize)]
pub struct DeviceExposure {
    /// The device's REF.
    pub device: String,
    /// The committee's REF.
    pub committee: String,
    /// The locks it holds.
    pub locks: Vec<u32>,
    /// Records it can open. None came under a lock it holds once it was cut off.
    pub records: usize,
    /// Those of them that it has, for it vouched for the log beyond them.
    pub delivered: usize,
    /// Those of the records that are attachments: whether it fetched their files is not known.
    pub attachments: usize,
    /// Those with a part for named readers, which it may or may not open.
    pub with_named_part: usize,
    /// For how much of the log it last vouched.
    pub seen_size: Option<u64>,
    /// When, to the hour.
    pub seen_at: Option<String>,
    /// The entry that cut it off, if it is.
    pub cut_off: Option<u64>,
}

/// Somebody, and how many records they come up in.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// A handle, or a person's REF.
    pub name: String,
    /// How many.
    pub records: usize,
}

/// What a person's devices hold, or the one device that is meant.
pub fn of(vault: &Read<'_>, wanted: &Wanted) -> Result<Exposure, Failure> {
    let mut devices = Vec::new();
    let (mut authors, mut persons) = (BTreeMap::new(), BTreeMap::new());
    for membership in &wanted.memberships {
        let no = membership.known.no;
        let log = Log::load(vault, no)?;
        let people = People::load(vault, no)?;
        let marks = vault.cosignatures(no)?;
        let records = vault.records(no)?;
        let meant = |device: &DeviceId| wanted.device.is_none_or(|one| one == *device);
        let ids: Vec<DeviceId> = membership.devices.iter().copied().filter(meant).collect();
        for device in &ids {
            devices.push(one(vault, &log, &marks, membership, *device, &records)?);
        }
        let roster = log.pulled()?.roster();
        let open = |record: &&Record| ids.iter().any(|device| roster.holds(*device, record.epoch));
        for record in records.iter().filter(open) {
            let is_own = ids.contains(&record.author);
            if !is_own {
                *authors.entry(people.name(&record.author)).or_insert(0) += 1;
            }
            for person in persons_in(record) {
                *persons.entry(person).or_insert(0) += 1;
            }
        }
    }
    let (authors, more_authors) = most(authors);
    let (persons, more_persons) = most(persons);
    Ok(Exposure { devices, authors, persons, more: more_authors + more_persons })
}

fn one(
    vault: &Read<'_>,
    log: &Log,
    marks: &[crate::vault::evidence::Cosigned],
    membership: &Membership,
    device: DeviceId,
    records: &[Record],
) -> Result<DeviceExposure, Failure> {
    let roster = log.pulled()?.roster();
    let open: Vec<&Record> =
        records.iter().filter(|record| roster.holds(device, record.epoch)).collect();
    let mut delivered = 0;
    for record in &open {
        delivered +=
            usize::from(who::delivered(vault, log, marks, device, record.index)?.is_some());
    }
    let signer = sealpost_protocol::checkpoint::Cosigner::Device(device).to_string();
    let mark = marks.iter().find(|mark| mark.signer == signer);
    let epochs = (1..=roster.epoch().0).map(sealpost_protocol::id::Epoch);
    Ok(DeviceExposure {
        device: names::device_ref(&device).to_string(),
        committee: names::committee_ref(&membership.known.id).to_string(),
        locks: epochs.filter(|epoch| roster.holds(device, *epoch)).map(|epoch| epoch.0).collect(),
        records: open.len(),
        delivered,
        attachments: open.iter().filter(|record| record.kind == attachments::KIND).count(),
        with_named_part: open.iter().filter(|record| who::is_apart(record)).count(),
        seen_size: mark.map(|mark| mark.size.0),
        seen_at: mark.map(|mark| time::rfc3339(mark.at)),
        cut_off: who::cut_off(roster, device).map(|at| at.0),
    })
}

/// The persons whom a record names, by REF.
fn persons_in(record: &Record) -> Vec<String> {
    let Content::Opened(json) = &record.content else { return Vec::new() };
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(json) {
        collect(&value, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let person = text.parse::<Ref>().ok().filter(|reference| reference.prefix() == "P");
            found.extend(person.map(|reference| reference.to_string()));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Those who come up most, and how many others there are.
fn most(counted: BTreeMap<String, usize>) -> (Vec<Named>, usize) {
    let mut all: Vec<Named> =
        counted.into_iter().map(|(name, records)| Named { name, records }).collect();
    all.sort_by(|one, other| other.records.cmp(&one.records).then(one.name.cmp(&other.name)));
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    (all, more)
}

impl Exposure {
    /// As it is told.
    pub fn words(&self) -> String {
        let cells = |one: &DeviceExposure| {
            let locks: Vec<String> = one.locks.iter().map(ToString::to_string).collect();
            let seen = one.seen_at.clone().unwrap_or_else(|| "never vouched".to_owned());
            vec![
                one.device.clone(),
                one.committee.clone(),
                locks.join(" "),
                one.records.to_string(),
                one.delivered.to_string(),
                one.with_named_part.to_string(),
                seen,
                one.cut_off.map_or_else(|| "active".to_owned(), |at| format!("by entry {at}")),
            ]
        };
        let headers = [
            "DEVICE",
            "COMMITTEE",
            "LOCKS",
            "CAN OPEN",
            "HAS",
            "NAMED PARTS",
            "LAST SEEN",
            "CUT OFF",
        ];
        let rows: Vec<Vec<String>> = self.devices.iter().map(cells).collect();
        let named = |named: &Named| vec![named.name.clone(), named.records.to_string()];
        let authors: Vec<Vec<String>> = self.authors.iter().map(named).collect();
        let persons: Vec<Vec<String>> = self.persons.iter().map(named).collect();
        let more = match self.more {
            0 => String::new(),
            more => format!("and {more} more"),
        };
        let parts = [
            "What these devices still hold. It cannot be taken back, and no remote wipe is sent: \
             deleting a seized device's data can be an offence."
                .to_owned(),
            table(&headers, &rows),
            table(&["WARN FIRST: WHO WROTE THEM", "RECORDS"], &authors),
            table(&["WARN FIRST: WHOM THEY ARE ABOUT", "RECORDS"], &persons),
            more,
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
mod tests;
