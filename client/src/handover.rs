//! Handing locks to devices that lack them: history that was withheld, or a grant that is broken.

use std::collections::BTreeSet;

use sealpost_protocol::id::Epoch;

use crate::app::App;
use crate::changes::Intent;
use crate::error::{Failure, Kind as Error};
use crate::log::Log;
use crate::names;
use crate::persons::Membership;

/// Which locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    /// The one in force, whether or not the log has a grant of it.
    Present,
    /// This one, likewise.
    One(u32),
    /// Every one that the member's devices do not hold.
    History,
}

/// The grants that hand `locks` to the active devices of a member.
pub fn grants(app: &App, member: &Membership, locks: Locks) -> Result<Vec<Intent>, Failure> {
    app.vault.read(|vault| {
        let log = Log::load(vault, member.known.no)?;
        let roster = log.pulled()?.roster();
        let held: BTreeSet<Epoch> = vault.epochs_held(member.known.no)?.into_iter().collect();
        let wanted: Vec<Epoch> = match locks {
            Locks::Present => vec![roster.epoch()],
            Locks::One(lock) => vec![Epoch(lock)],
            Locks::History => held.iter().copied().collect(),
        };
        if let Some(lacking) = wanted.iter().find(|epoch| !held.contains(epoch)) {
            let what = format!("This device does not hold lock {lacking}");
            return Err(Failure::new(Error::NotAllowed, what)
                .next("Ask a colleague who can read what is under it."));
        }
        let again = locks != Locks::History;
        let mut grants = Vec::new();
        for (device, _) in roster.devices_of(member.number) {
            for epoch in wanted.iter().copied() {
                if roster.is_active(device) && (again || !roster.holds(device, epoch)) {
                    let device = device.to_string();
                    grants.push(Intent::Grant { device, epoch: epoch.0, again });
                }
            }
        }
        if grants.is_empty() {
            return Err(nothing(member));
        }
        Ok(grants)
    })
}

fn nothing(member: &Membership) -> Failure {
    let committee = names::committee_ref(&member.known.id);
    let what = format!("{} has no active device in {committee} that lacks a lock", member.handle);
    Failure::new(Error::Failed, what).next(format!("sealpost committee audit {committee}"))
}

/// The locks that grants hand over, each once.
pub fn locks(grants: &[Intent]) -> Vec<u32> {
    let epoch = |grant: &Intent| match grant {
        Intent::Grant { epoch, .. } => Some(*epoch),
        _ => None,
    };
    let locks: BTreeSet<u32> = grants.iter().filter_map(epoch).collect();
    locks.into_iter().collect()
}

#[cfg(test)]
mod tests;
