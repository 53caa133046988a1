//! What is to go first of what waits, and what this device does for a committee without being asked.

use sealpost_protocol::change::Role;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::{DeviceId, Epoch, UnixMillis};

use crate::attachments::{self, carry};
use crate::changes::Intent;
use crate::error::Failure;
use crate::keys;
use crate::outbox::{intent_of, put_intent};
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{Draft, What};
use crate::vault::{Read, VaultError, Write};

/// What waits, in the order in which it is to go: suspensions before anything else, then a lock that
/// is due, then everything as it was written. Records wait for a lock that is due.
pub fn in_turn(
    vault: &Write<'_>,
    no: CommitteeNo,
    fold: &Fold,
    device: DeviceId,
    now: UnixMillis,
) -> Result<Vec<Draft>, Failure> {
    let waiting = vault.unsent(no)?;
    for intent in (Duties { vault, no, fold, device, now }).owed(&waiting)? {
        put_intent(vault, no, &intent, now)?;
    }
    let due = fold.roster().lock_pending();
    let mut turns = Vec::new();
    for draft in vault.unsent(no)? {
        let turn = match draft.new.what {
            What::Record if due || !is_ready(vault, &draft)? => continue,
            What::Record => Turn::AsWritten,
            What::Roster => match intent_of(&draft)? {
                Intent::Suspend { .. } => Turn::CutOff,
                Intent::Lock { .. } if due => Turn::DueLock,
                _ => Turn::AsWritten,
            },
        };
        turns.push((turn, draft));
    }
    turns.sort_by_key(|(turn, draft)| (*turn, draft.no));
    Ok(turns.into_iter().map(|(_, draft)| draft).collect())
}

/// An attachment's record waits for its blob, and nothing waits for it.
fn is_ready(vault: &Read<'_>, draft: &Draft) -> Result<bool, VaultError> {
    if draft.new.kind != attachments::KIND {
        return Ok(true);
    }
    match vault.attachment(draft.new.committee, &draft.new.id)? {
        Some(attachment) => carry::is_at_relay(vault, draft.new.committee, &attachment.blob),
        None => Ok(true),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    CutOff,
    DueLock,
    AsWritten,
}

/// How long a broken link is left to the coordinators who did not make it.
const LEFT_TO_COORDINATORS_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// What this device does for a committee without being asked.
struct Duties<'a, 'v> {
    vault: &'a Read<'v>,
    no: CommitteeNo,
    fold: &'a Fold,
    device: DeviceId,
    now: UnixMillis,
}

impl Duties<'_, '_> {
    /// It changes a lock that is due, when it coordinates or has records to send; a coordinator's
    /// grants what a device lacks; and it mends broken links. What is wanted already is not owed again.
    fn owed(&self, waiting: &[Draft]) -> Result<Vec<Intent>, Failure> {
        let roster = self.fold.roster();
        let role = roster.role_of(self.device);
        // A spare does what it was rebuilt for, and nothing besides.
        let is_spare = roster.is_spare(self.device);
        if role.is_none() || is_spare || !self.holds(roster.epoch())? {
            return Ok(Vec::new());
        }
        let wanted: Vec<Intent> = waiting
            .iter()
            .filter(|draft| draft.new.what == What::Roster)
            .map(intent_of)
            .collect::<Result<_, _>>()?;
        if let Some(orphan) = self.orphan(&wanted)? {
            return Ok(vec![orphan]);
        }
        let coordinates = role == Some(Role::Coordinator);
        if roster.lock_pending() {
            let has_records = waiting.iter().any(|draft| draft.new.what == What::Record);
            let saved = wanted.iter().any(|intent| matches!(intent, Intent::Lock { .. }));
            let owes = (coordinates || has_records) && !saved;
            return Ok(owes.then_some(DUE_LOCK).into_iter().collect());
        }
        let mut owed = if coordinates { self.grants() } else { Vec::new() };
        owed.extend(self.links()?);
        owed.retain(|intent| !wanted.contains(intent));
        Ok(owed)
    }

    /// The end of a spare that was let in and could not be shared: nobody has it, and it counts as a device.
    fn orphan(&self, wanted: &[Intent]) -> Result<Option<Intent>, Failure> {
        let roster = self.fold.roster();
        for spare in self.vault.spares_made(self.no)? {
            let named = spare.to_string();
            let is_to_come = wanted.iter().any(|intent| match intent {
                Intent::Recovery { spare, .. } | Intent::Retire { device: spare } => {
                    *spare == named
                }
                _ => false,
            });
            if roster.is_active(spare) && !roster.is_spare(spare) && !is_to_come {
                return Ok(Some(Intent::Retire { device: named }));
            }
        }
        Ok(None)
    }

    /// Grants of the lock in force for others' devices that lack one.
    fn grants(&self) -> Vec<Intent> {
        let roster = self.fold.roster();
        let lacking = roster.ungranted().filter(|lacking| *lacking != self.device);
        let grant = |lacking: DeviceId| Intent::Grant {
            device: lacking.to_string(),
            epoch: roster.epoch().0,
            again: false,
        };
        lacking.map(grant).collect()
    }

    /// Links in place of broken ones, of which this device holds both ends.
    fn links(&self) -> Result<Vec<Intent>, Failure> {
        let mut owed = Vec::new();
        for epoch in self.vault.broken_links(self.no)? {
            let before = Epoch(epoch.0.saturating_sub(1));
            if self.holds(before)? && self.holds(epoch)? && self.mends(epoch)? {
                owed.push(Intent::Link { epoch: epoch.0 });
            }
        }
        Ok(owed)
    }

    /// Coordinators who did not make a broken link come first; a day later whoever can mends it.
    fn mends(&self, epoch: Epoch) -> Result<bool, Failure> {
        let roster = self.fold.roster();
        let Some(lock) = roster.lock_state(epoch) else { return Ok(false) };
        let made = keys::entry_at(self.vault, self.no, lock.at)?;
        let (maker, made_at) = (made.header().author, made.header().made_at);
        let called = |device| device != maker && roster.role_of(device) == Some(Role::Coordinator);
        let left_alone = self.now.0.abs_diff(made_at.0) > LEFT_TO_COORDINATORS_MILLIS;
        Ok(called(self.device) || left_alone || !roster.active_devices().any(called))
    }

    fn holds(&self, epoch: Epoch) -> Result<bool, Failure> {
        Ok(self.vault.epoch_secret(self.no, epoch)?.is_some())
    }
}

/// A lock that whoever comes first makes.
const DUE_LOCK: Intent = Intent::Lock { withhold: false, if_pending: true };

/// Whether a draft is a suspension.
pub fn is_cut_off(draft: &Draft) -> bool {
    draft.new.what == What::Roster && draft.new.kind == Intent::SUSPEND
}

/// Whether a suspension waits to be sent.
pub fn cut_off_waits(vault: &Read<'_>, no: CommitteeNo) -> Result<bool, VaultError> {
    Ok(vault.unsent(no)?.iter().any(is_cut_off))
}
