//! Locks: who was granted which epoch, how far back its holders read, and when a new one is due.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::card::RecipientBytes;
use crate::change::{Label, Lock, RepairGrant, RepairLink, Role};
use crate::id::{DeviceId, Epoch, LeafIndex};

use super::{PeerRosterError, Place, Roster, sealed};

/// A lock: what the log says of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LockState {
    /// Its recipient.
    #[n(0)]
    pub recipient: RecipientBytes,
    /// The entry that began it.
    #[n(1)]
    pub at: LeafIndex,
    /// Whether a link hands the previous epoch's secret to those who hold this one.
    #[n(2)]
    pub linked: bool,
    /// The devices that were granted this epoch.
    #[n(3)]
    pub(super) granted: BTreeSet<DeviceId>,
}

impl Roster {
    pub(super) fn lock(&mut self, lock: &Lock, place: Place) -> Result<(), PeerRosterError> {
        let by_coordinator =
            self.role_of(place.author) == Some(Role::Coordinator) && !self.is_spare(place.author);
        if !by_coordinator && !self.lock_pending() {
            return Err(PeerRosterError::NotCoordinator);
        }
        // Whom history is withheld from is the coordinators' to say.
        if !by_coordinator && lock.link.is_none() {
            return Err(PeerRosterError::LinkMissing);
        }
        sealed::check_lock(lock)?;
        sealed::check_grants(&lock.grants, self.active_devices())?;
        let used_by_lock = self.locks.iter().any(|old| old.recipient == lock.recipient);
        let used_by_device =
            self.devices.values().any(|device| *device.card.recipient() == lock.recipient);
        if used_by_lock || used_by_device {
            return Err(PeerRosterError::RecipientUsed);
        }
        self.locks.push(LockState::new(lock, place.index));
        self.lock_number = self.head.number + 1;
        self.leaves_since_lock.clear();
        Ok(())
    }

    pub(super) fn label(&mut self, label: &Label, place: Place) -> Result<(), PeerRosterError> {
        self.require_coordinator(place.author)?;
        sealed::check_label(&label.sealed)
    }

    pub(super) fn repair_grant(
        &mut self,
        grant: &RepairGrant,
        place: Place,
    ) -> Result<(), PeerRosterError> {
        let lock = self.lock_of(grant.epoch).ok_or(PeerRosterError::NoSuchEpoch)?;
        if !self.is_active(grant.device) {
            return Err(PeerRosterError::NoSuchDevice);
        }
        if !self.holds(place.author, grant.epoch) {
            return Err(PeerRosterError::NotHeld);
        }
        sealed::check_grant(&grant.file)?;
        self.locks[lock].granted.insert(grant.device);
        Ok(())
    }

    pub(super) fn repair_link(
        &self,
        link: &RepairLink,
        place: Place,
    ) -> Result<(), PeerRosterError> {
        let lock = self.lock_of(link.epoch).ok_or(PeerRosterError::NoSuchEpoch)?;
        if !self.locks[lock].linked {
            return Err(PeerRosterError::NoLink);
        }
        if !self.holds(place.author, link.epoch) {
            return Err(PeerRosterError::NotHeld);
        }
        sealed::check_link(&link.file)
    }

    /// Notes that devices have the current epoch's secret.
    pub(super) fn note_granted(&mut self, devices: impl IntoIterator<Item = DeviceId>) {
        let lock = self.locks.last_mut();
        lock.expect("founding pushes the first lock and none is ever taken out")
            .granted
            .extend(devices);
    }

    /// Whether somebody who holds the current epoch is no longer active, so that nothing may be
    /// sealed to it.
    pub fn lock_pending(&self) -> bool {
        !self.current_lock().granted.iter().all(|device| self.is_active(*device))
    }

    /// The active devices that were not granted the current epoch, in the order of their ids.
    pub fn ungranted(&self) -> impl Iterator<Item = DeviceId> {
        self.active_devices().filter(|device| !self.current_lock().granted.contains(device))
    }

    /// Whether `device` was granted `epoch`, or a later one from which links lead back to it.
    pub fn holds(&self, device: DeviceId, epoch: Epoch) -> bool {
        let Some(first) = self.lock_of(epoch) else { return false };
        let linked_back = |later: usize| self.locks[first + 1..=later].iter().all(|l| l.linked);
        (first..self.locks.len())
            .take_while(|later| linked_back(*later))
            .any(|later| self.locks[later].granted.contains(&device))
    }

    pub(super) fn lock_of(&self, epoch: Epoch) -> Option<usize> {
        let at = usize::try_from(epoch.0).ok()?.checked_sub(1)?;
        (at < self.locks.len()).then_some(at)
    }
}

impl LockState {
    pub(super) fn new(lock: &Lock, at: LeafIndex) -> Self {
        Self {
            recipient: lock.recipient.clone(),
            at,
            linked: lock.link.is_some(),
            granted: lock.grants.iter().map(|grant| grant.device).collect(),
        }
    }

    /// The devices that were granted this epoch.
    pub fn granted(&self) -> impl Iterator<Item = DeviceId> {
        self.granted.iter().copied()
    }
}

#[cfg(test)]
mod tests;
