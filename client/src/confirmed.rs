//! Who else holds a log, and how far: what makes a record confirmed.
//!
//! "Accepted" is the relay's word. That somebody else has a record, only their devices can say: each
//! that vouches for the log beyond it, under its own key. Counted are active devices other than the one
//! that signed the record; a spare, which nobody has in hand, is none of them. Whoever does not say
//! where they are adds no country; but what anybody holds is held in one at least.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_protocol::change::Confirm;
use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::id::{Country, DeviceId, LeafIndex, MemberNumber, TreeSize, UnixMillis};
use sealpost_protocol::roster::{Device, Standing};
use serde::Serialize;

use crate::cosignatures::Judged;
use crate::error::Failure;
use crate::keys;
use crate::log::Log;
use crate::names::{self, NO_COUNTRY};
use crate::vault::Read;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Who holds a log, and how far, as far as is known here.
pub struct Holders {
    devices: Vec<Holder>,
    asked: Confirm,
    /// The size that is here.
    size: TreeSize,
}

struct Holder {
    device: DeviceId,
    member: MemberNumber,
    country: Option<Country>,
    /// Up to where it vouches for this very log.
    size: TreeSize,
}

/// By how many others an entry is held. In `--json` with these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeldBy {
    /// Devices that vouch for the log beyond it.
    pub devices: usize,
    /// Of how many that could.
    pub of: usize,
    /// The countries they are in.
    pub countries: usize,
    /// Whether the policy asks for no more.
    pub confirmed: bool,
}

/// Who knows that somebody was cut off. In `--json` with these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Other members, whom the log tells.
    pub told: usize,
    /// Those of them with a device that vouches for the log beyond it.
    pub confirmed: usize,
}

/// The newest cut-off in a committee.
#[derive(Clone, Debug)]
pub struct CutOff {
    /// Whose device it was.
    pub device: DeviceId,
    /// The entry that did it.
    pub at: LeafIndex,
    /// Who knows.
    pub told: Told,
}

impl Holders {
    /// By the cosignatures of this very log.
    pub fn of(log: &Log, judged: &Judged) -> Result<Self, Failure> {
        let roster = log.pulled()?.roster();
        let label = names::label(&log.known)?;
        let country = |member: MemberNumber| {
            let named = label.as_ref().and_then(|label| label.members.get(&member));
            named.map(|named| named.country).filter(|one| one.to_string() != NO_COUNTRY)
        };
        let sizes: BTreeMap<&str, TreeSize> =
            judged.same.iter().map(|mark| (mark.signer.as_str(), mark.size)).collect();
        let in_hand = |id: &DeviceId| roster.is_active(*id) && !roster.is_spare(*id);
        let holder = |(id, device): (DeviceId, &Device)| Holder {
            device: id,
            member: device.member,
            country: country(device.member),
            size: sizes
                .get(Cosigner::Device(id).to_string().as_str())
                .copied()
                .unwrap_or(TreeSize(0)),
        };
        let devices = roster.devices().filter(|(id, _)| in_hand(id)).map(holder).collect();
        Ok(Self { devices, asked: roster.policy().confirm, size: log.size() })
    }

    /// By how many an entry is held, other than the device that signed it.
    pub fn holding(&self, index: LeafIndex, author: DeviceId) -> HeldBy {
        self.from(index.0.saturating_add(1), author)
    }

    /// What the policy asks for, where all devices but one's own together are fewer.
    pub fn too_few_for(&self, author: DeviceId) -> Option<(Confirm, HeldBy)> {
        let most = self.from(0, author);
        (!most.confirmed).then_some((self.asked, most))
    }

    fn from(&self, size: u64, author: DeviceId) -> HeldBy {
        let others = || self.devices.iter().filter(|holder| holder.device != author);
        let holding = || others().filter(|holder| holder.size.0 >= size);
        let named: BTreeSet<Country> = holding().filter_map(|holder| holder.country).collect();
        let devices = holding().count();
        let countries = named.len().max(usize::from(devices > 0));
        let confirmed = devices >= usize::from(self.asked.devices)
            && countries >= usize::from(self.asked.countries);
        HeldBy { devices, of: others().count(), countries, confirmed }
    }

    /// The size below which every entry that `author` signed is confirmed.
    pub fn confirmed_below(&self, author: DeviceId) -> TreeSize {
        let mut sizes: BTreeSet<TreeSize> = self.devices.iter().map(|holder| holder.size).collect();
        sizes.insert(self.size);
        let is_confirmed = |size: &TreeSize| self.from(size.0, author).confirmed;
        sizes.into_iter().rev().find(is_confirmed).unwrap_or(TreeSize(0))
    }

    /// Who of the members other than `own` is known to have followed the log beyond an entry.
    pub fn told(&self, at: LeafIndex, own: MemberNumber) -> Told {
        let members = |size: u64| -> usize {
            let reached = self.devices.iter().filter(|holder| holder.size.0 >= size);
            let members: BTreeSet<MemberNumber> = reached.map(|holder| holder.member).collect();
            members.iter().filter(|member| **member != own).count()
        };
        Told { told: members(0), confirmed: members(at.0.saturating_add(1)) }
    }
}

impl CutOff {
    /// The newest that is no older than the lease: after that, who is silent is told by name.
    pub fn newest(
        vault: &Read<'_>,
        log: &Log,
        holders: &Holders,
        own: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Self>, Failure> {
        let roster = log.pulled()?.roster();
        let Some(member) = roster.device(own).filter(|_| roster.is_active(own)) else {
            return Ok(None);
        };
        let ended = roster.devices().filter_map(|(id, _)| match roster.standing_of(id) {
            Some(Standing::Suspended(at) | Standing::Ended(at)) => Some((at, id)),
            Some(Standing::Active) | None => None,
        });
        let Some((at, device)) = ended.max() else { return Ok(None) };
        let made = keys::entry_at(vault, log.known.no, at)?.header().made_at;
        let lease = u64::from(roster.policy().lease.days) * DAY_MILLIS;
        let told = holders.told(at, member.member);
        let is_news = made.0.saturating_add(lease) >= now.0 && told.told > 0;
        Ok(is_news.then_some(Self { device, at, told }))
    }
}

impl HeldBy {
    /// What that makes of a record in the log.
    pub fn state(&self) -> &'static str {
        if self.confirmed { "confirmed" } else { "accepted" }
    }

    /// In words.
    pub fn words(&self) -> String {
        let by = format!(
            "{} of {} in {}",
            self.devices,
            counted(self.of, "device", "devices"),
            counted(self.countries, "country", "countries")
        );
        match (self.confirmed, self.devices) {
            (true, _) => format!("confirmed by {by}"),
            (false, 0) => "sent".to_owned(),
            (false, _) => format!("sent, held by {by}"),
        }
    }
}

fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

impl Told {
    /// In words.
    pub fn words(&self) -> String {
        format!("told {}, {} confirmed", counted(self.told, "member", "members"), self.confirmed)
    }
}

#[cfg(test)]
mod tests;
