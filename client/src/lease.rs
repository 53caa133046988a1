//! The lease: who hears from too few coordinators cannot know whom they cut off since.
//!
//! A relay can keep a removal from one client for as long as it likes. What it cannot do is let that
//! client hear of what coordinators vouch for in the meantime: their cosignatures grow old. So a client
//! says when it has heard from too few, and where the policy demands it seals nothing more.

use std::collections::BTreeSet;

use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::{DeviceId, MemberNumber, UnixMillis};
use serde::Serialize;

use crate::cosignatures::Judged;
use crate::error::{Failure, Kind as Error};
use crate::log::Log;
use crate::names::{self, People};
use crate::vault::Read;
use crate::vault::committees::Committee;
use crate::vault::evidence::Cosigned;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// From whom a client has heard lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The active coordinator members other than its own.
    pub others: BTreeSet<MemberNumber>,
    /// Those of them who vouched for the log within the lease.
    pub heard: BTreeSet<MemberNumber>,
    /// How many must have.
    pub needed: usize,
    /// Within how many days.
    pub days: u16,
    /// Whether nothing may be sealed otherwise.
    pub enforced: bool,
}

/// The lease as it is shown. In `--json` with these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseShown {
    /// Coordinators other than oneself who vouched for the log within it.
    pub heard: usize,
    /// Of how many.
    pub of: usize,
    /// How many must have.
    pub needed: usize,
    /// Within how many days.
    pub days: u16,
    /// Whether too few have.
    pub over: bool,
    /// Whether nothing is sealed then.
    pub enforced: bool,
}

impl Lease {
    /// By the cosignatures in the vault that are of this very log.
    pub fn load(
        vault: &Read<'_>,
        log: &Log,
        own: DeviceId,
        now: UnixMillis,
    ) -> Result<Self, Failure> {
        let judged = Judged::load(vault, log)?;
        Ok(Self::of(log.pulled()?, own, &judged.same, now))
    }

    /// By what devices vouch for of this very log, as it was last fetched. `own` is this device. Who
    /// vouches for more than this device was shown was not heard: just that may have been kept from it.
    pub fn of(fold: &Fold, own: DeviceId, marks: &[Cosigned], now: UnixMillis) -> Self {
        let roster = fold.roster();
        let policy = roster.policy();
        let mut others = roster.active_coordinators();
        if let Some(device) = roster.device(own) {
            others.remove(&device.member);
        }
        let length = u64::from(policy.lease.days) * DAY_MILLIS;
        // A clock may be some hours wrong; a mark from next year keeps no lease alive until then.
        let is_fresh = |mark: &Cosigned| {
            mark.size <= fold.size()
                && mark.at.0.saturating_add(length) >= now.0
                && mark.at.0 <= now.0 + DAY_MILLIS
        };
        let vouched = |member: &MemberNumber| {
            let mut devices = roster.devices_of(*member).map(|(id, _)| id);
            devices.any(|id| {
                let signer = Cosigner::Device(id).to_string();
                roster.is_active(id)
                    && marks.iter().any(|mark| mark.signer == signer && is_fresh(mark))
            })
        };
        let heard = others.iter().copied().filter(vouched).collect();
        let needed = usize::from(policy.approvals).max(2).min(others.len());
        let (days, enforced) = (policy.lease.days, policy.lease.enforce);
        Self { others, heard, needed, days, enforced }
    }

    /// Whether this device has heard from too few.
    pub fn is_over(&self) -> bool {
        self.heard.len() < self.needed
    }

    /// In numbers.
    pub fn shown(&self) -> LeaseShown {
        LeaseShown {
            heard: self.heard.len(),
            of: self.others.len(),
            needed: self.needed,
            days: self.days,
            over: self.is_over(),
            enforced: self.enforced,
        }
    }

    /// That it is over, and whom to ask.
    pub fn told(&self, known: &Committee, people: &People) -> String {
        let silent: Vec<String> =
            self.others.difference(&self.heard).map(|member| people.member(*member)).collect();
        format!(
            "{}: within {} days {} of {} coordinators were heard, {} are needed; silent: {}",
            names::committee_ref(&known.id),
            self.days,
            self.heard.len(),
            self.others.len(),
            self.needed,
            silent.join(", ")
        )
    }

    /// Nothing is sealed until more are heard.
    pub fn keeps_back(&self, known: &Committee, people: &People) -> Failure {
        Failure::new(Error::NotDelivered, self.told(known, people))
            .safe("The committee's policy keeps records back until then. They are in the vault.")
            .next("Call a coordinator, have them sync, then sealpost sync")
    }
}

impl LeaseShown {
    /// In words.
    pub fn words(&self) -> String {
        let Self { heard, of, needed, days, .. } = self;
        let state = match (self.over, self.enforced) {
            (false, _) => "",
            (true, false) => ": over, whom they cut off since may be kept from this device",
            (true, true) => ": over, and no record is sealed until then",
        };
        format!(
            "lease  {heard} of {of} other coordinators heard within {days} days, {needed} needed{state}"
        )
    }
}

#[cfg(test)]
mod tests;
