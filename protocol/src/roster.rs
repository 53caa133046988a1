//! The roster: who is in a committee, in which role, and which lock is in force (SPEC.md §7).
//!
//! It is folded from the log's roster entries by one pure function, [`Roster::apply`], on relay
//! and client alike. A change is checked as a whole before any of it takes effect.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

use crate::age_header;
use crate::card::{Card, RecipientBytes};
use crate::change::{
    Admit, Change, Found, Grant, Label, Lock, Policy, Relay, RepairGrant, RepairLink, Role,
};
use crate::entry::RosterHead;
use crate::hash::Hash;
use crate::id::{DeviceId, Epoch, LeafIndex, MemberNumber};
use crate::limits;
use crate::sign::{PublicKey, VerifyingKey};

mod error;

pub use error::PeerRosterError;

/// Whether a device may act. A member's devices all have the member's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DeviceStanding {
    /// It may.
    #[n(0)]
    Active,
    /// Not now: suspended by the entry at this place.
    #[n(1)]
    Suspended(#[n(0)] LeafIndex),
    /// Never again: retired or removed by the entry at this place.
    #[n(2)]
    Ended(#[n(0)] LeafIndex),
}

/// A device of the committee.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Device {
    /// Its card.
    #[n(0)]
    pub card: Card,
    /// Whose it is.
    #[n(1)]
    pub member: MemberNumber,
    /// Whether it may act.
    #[n(2)]
    pub standing: DeviceStanding,
    /// The entry that brought it in.
    #[n(3)]
    pub since: LeafIndex,
}

/// A member of the committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Member {
    /// What the member may do.
    #[n(0)]
    pub role: Role,
}

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
    granted: BTreeSet<DeviceId>,
}

/// The place a change takes in the log, and who made it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its index.
    pub index: LeafIndex,
    /// Its leaf hash.
    pub leaf: Hash,
    /// Its author.
    pub author: DeviceId,
}

/// The folded roster of one committee.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Roster {
    #[n(0)]
    members: BTreeMap<MemberNumber, Member>,
    #[n(1)]
    devices: BTreeMap<DeviceId, Device>,
    /// Epoch 1 first.
    #[n(2)]
    locks: Vec<LockState>,
    #[n(3)]
    policy: Policy,
    #[n(4)]
    home: Relay,
    #[n(5)]
    mirrors: Vec<Relay>,
    #[n(6)]
    head: RosterHead,
    /// Number of the current lock's own entry, and the leaves of it and all counted after it.
    #[n(7)]
    lock_number: u64,
    #[n(8)]
    leaves_since_lock: Vec<Hash>,
}

impl Roster {
    /// Folds the founding entry.
    pub fn found(found: Found, place: Place) -> Result<Self, PeerRosterError> {
        let Found { founder, home, policy, lock } = found;
        if policy.approvals != 1 || policy.format != crate::entry::VERSION {
            return Err(PeerRosterError::FoundingPolicy);
        }
        if lock.link.is_some() {
            return Err(PeerRosterError::LinkOfFirst);
        }
        check_lock_files(&lock)?;
        let device = founder.device();
        if lock.grants.iter().map(|grant| grant.device).ne([device]) {
            return Err(PeerRosterError::Grants);
        }
        if *founder.recipient() == lock.recipient {
            return Err(PeerRosterError::RecipientUsed);
        }
        let member = MemberNumber(1);
        let founder =
            Device { card: founder, member, standing: DeviceStanding::Active, since: place.index };
        Ok(Self {
            members: [(member, Member { role: Role::Coordinator })].into(),
            devices: [(device, founder)].into(),
            locks: vec![LockState::new(&lock, place.index)],
            policy,
            home,
            mirrors: Vec::new(),
            head: RosterHead { number: 0, leaf: place.leaf },
            lock_number: 0,
            leaves_since_lock: vec![place.leaf],
        })
    }

    /// Folds one more change, which its author signed and the committee's other rules let pass.
    pub fn apply(&mut self, change: Change, place: Place) -> Result<(), PeerRosterError> {
        match change {
            Change::Found(_) => return Err(PeerRosterError::AlreadyFounded),
            Change::Admit(admit) => self.admit(*admit, place)?,
            Change::Lock(lock) => self.lock(&lock, place)?,
            Change::Label(label) => self.label(&label, place)?,
            // Repairs change nothing that others sign against: they do not move the head.
            Change::Grant(grant) => return self.repair_grant(&grant, place),
            Change::Link(link) => return self.repair_link(&link, place),
            Change::Device(_) => return Err(PeerRosterError::NotBuilt("device")),
            Change::Retire(_) => return Err(PeerRosterError::NotBuilt("retire")),
            Change::Role(_) => return Err(PeerRosterError::NotBuilt("role")),
            Change::Suspend(_) => return Err(PeerRosterError::NotBuilt("suspend")),
            Change::Restore(_) => return Err(PeerRosterError::NotBuilt("restore")),
            Change::Remove(_) => return Err(PeerRosterError::NotBuilt("remove")),
            Change::Policy(_) => return Err(PeerRosterError::NotBuilt("policy")),
            Change::Relays(_) => return Err(PeerRosterError::NotBuilt("relays")),
            Change::Recovery(_) => return Err(PeerRosterError::NotBuilt("recovery")),
            Change::Approve(_) => return Err(PeerRosterError::NotBuilt("approve")),
        }
        self.head = RosterHead { number: self.head.number + 1, leaf: place.leaf };
        self.leaves_since_lock.push(place.leaf);
        Ok(())
    }

    fn admit(&mut self, admit: Admit, place: Place) -> Result<(), PeerRosterError> {
        let Admit { card, member, role, grants, label } = admit;
        self.require_coordinator(place.author)?;
        let expected = self.next_member();
        if member != expected {
            return Err(PeerRosterError::MemberNumber { expected });
        }
        let device = card.device();
        self.check_new_card(&card)?;
        if grants.iter().map(|grant| grant.device).ne([device]) {
            return Err(PeerRosterError::Grants);
        }
        check_grants(&grants)?;
        check_label(&label)?;
        self.current_lock_mut().granted.insert(device);
        self.members.insert(member, Member { role });
        let since = place.index;
        self.devices
            .insert(device, Device { card, member, standing: DeviceStanding::Active, since });
        Ok(())
    }

    fn lock(&mut self, lock: &Lock, place: Place) -> Result<(), PeerRosterError> {
        if !self.lock_pending() {
            self.require_coordinator(place.author)?;
        }
        check_lock_files(lock)?;
        if !lock.grants.iter().map(|grant| grant.device).eq(self.active_devices()) {
            return Err(PeerRosterError::Grants);
        }
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

    fn label(&mut self, label: &Label, place: Place) -> Result<(), PeerRosterError> {
        self.require_coordinator(place.author)?;
        check_label(&label.sealed)
    }

    fn repair_grant(&mut self, grant: &RepairGrant, place: Place) -> Result<(), PeerRosterError> {
        let lock = self.lock_of(grant.epoch).ok_or(PeerRosterError::NoSuchEpoch)?;
        if !self.device(grant.device).is_some_and(Device::is_active) {
            return Err(PeerRosterError::NoSuchDevice);
        }
        if !self.holds(place.author, grant.epoch) {
            return Err(PeerRosterError::NotHeld);
        }
        check_hybrid("grant", &grant.file, limits::GRANT_BYTES_MAX)?;
        self.locks[lock].granted.insert(grant.device);
        Ok(())
    }

    fn repair_link(&self, link: &RepairLink, place: Place) -> Result<(), PeerRosterError> {
        let lock = self.lock_of(link.epoch).ok_or(PeerRosterError::NoSuchEpoch)?;
        if !self.locks[lock].linked {
            return Err(PeerRosterError::NoLink);
        }
        if !self.holds(place.author, link.epoch) {
            return Err(PeerRosterError::NotHeld);
        }
        check_hybrid("link", &link.file, limits::LINK_BYTES_MAX)
    }

    fn check_new_card(&self, card: &Card) -> Result<(), PeerRosterError> {
        if self.devices.len() >= limits::DEVICES_MAX {
            return Err(PeerRosterError::TooManyDevices);
        }
        if self.devices.contains_key(&card.device()) {
            return Err(PeerRosterError::DeviceKnown);
        }
        let keys = |card: &Card| [*card.signing_key(), *card.login_key()];
        let taken = self.devices.values().any(|device| {
            keys(&device.card).iter().any(|key| keys(card).contains(key))
                || device.card.recipient() == card.recipient()
        });
        if taken {
            return Err(PeerRosterError::KeyTaken);
        }
        // Whoever held that epoch, the removed included, could open every later grant to the device.
        if self.locks.iter().any(|lock| lock.recipient == *card.recipient()) {
            return Err(PeerRosterError::RecipientUsed);
        }
        Ok(())
    }

    fn require_coordinator(&self, device: DeviceId) -> Result<(), PeerRosterError> {
        match self.role_of(device) {
            Some(Role::Coordinator) => Ok(()),
            _ => Err(PeerRosterError::NotCoordinator),
        }
    }

    /// A device of the committee, active or not.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(&id)
    }

    /// The device that logs in with `key`.
    pub fn device_by_login(&self, key: PublicKey) -> Option<DeviceId> {
        let is_it = |device: &Device| PublicKey::from(*device.card.login_key()) == key;
        self.devices.iter().find(|(_, device)| is_it(device)).map(|(id, _)| *id)
    }

    /// The key that verifies what `device` signs.
    pub fn signing_key(&self, device: DeviceId) -> Option<&VerifyingKey> {
        self.device(device).map(|device| device.card.signing_key())
    }

    /// All devices, ended ones included, in the order of their ids.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.devices.iter().map(|(id, device)| (*id, device))
    }

    /// The devices that may act, in the order of their ids.
    pub fn active_devices(&self) -> impl Iterator<Item = DeviceId> {
        self.devices().filter(|(_, device)| device.is_active()).map(|(id, _)| id)
    }

    /// All members, in the order of their numbers.
    pub fn members(&self) -> impl Iterator<Item = (MemberNumber, Member)> {
        self.members.iter().map(|(number, member)| (*number, *member))
    }

    /// The role of an active device.
    pub fn role_of(&self, device: DeviceId) -> Option<Role> {
        let device = self.device(device).filter(|device| device.is_active())?;
        self.members.get(&device.member).map(|member| member.role)
    }

    /// The number the next admitted member gets.
    pub fn next_member(&self) -> MemberNumber {
        self.members.last_key_value().map_or(MemberNumber(1), |(last, _)| last.next())
    }

    /// The epoch in force.
    pub fn epoch(&self) -> Epoch {
        Epoch(u32::try_from(self.locks.len()).unwrap_or(u32::MAX))
    }

    /// The lock of an epoch.
    pub fn lock_state(&self, epoch: Epoch) -> Option<&LockState> {
        self.lock_of(epoch).map(|at| &self.locks[at])
    }

    /// The lock in force.
    pub fn current_lock(&self) -> &LockState {
        self.locks.last().expect("founding pushes the first lock and none is ever taken out")
    }

    /// Whether somebody who holds the current epoch is no longer active, so that nothing may be
    /// sealed to it.
    pub fn lock_pending(&self) -> bool {
        let is_active = |id: &DeviceId| self.device(*id).is_some_and(Device::is_active);
        !self.current_lock().granted.iter().all(is_active)
    }

    /// Whether `device` was granted `epoch`, or a later one from which links lead back to it.
    pub fn holds(&self, device: DeviceId, epoch: Epoch) -> bool {
        let Some(first) = self.lock_of(epoch) else { return false };
        let linked_back = |later: usize| self.locks[first + 1..=later].iter().all(|l| l.linked);
        (first..self.locks.len())
            .take_while(|later| linked_back(*later))
            .any(|later| self.locks[later].granted.contains(&device))
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The relay that orders the log.
    pub fn home(&self) -> &Relay {
        &self.home
    }

    /// The relays that follow it.
    pub fn mirrors(&self) -> &[Relay] {
        &self.mirrors
    }

    /// The last counted roster entry.
    pub fn head(&self) -> RosterHead {
        self.head
    }

    /// Whether `head` is a roster entry of this log, the current lock's or a later one.
    pub fn is_since_lock(&self, head: RosterHead) -> bool {
        let offset = head.number.checked_sub(self.lock_number);
        let leaf = offset
            .and_then(|offset| usize::try_from(offset).ok())
            .and_then(|offset| self.leaves_since_lock.get(offset));
        leaf == Some(&head.leaf)
    }

    fn lock_of(&self, epoch: Epoch) -> Option<usize> {
        let at = usize::try_from(epoch.0).ok()?.checked_sub(1)?;
        (at < self.locks.len()).then_some(at)
    }

    /// For tests of what none of the changes built so far brings about.
    #[cfg(test)]
    pub(crate) fn set_standing(&mut self, device: DeviceId, standing: DeviceStanding) {
        self.devices.get_mut(&device).expect("a device of the committee").standing = standing;
    }

    fn current_lock_mut(&mut self) -> &mut LockState {
        self.locks.last_mut().expect("founding pushes the first lock and none is ever taken out")
    }
}

impl Device {
    /// Whether it may act.
    pub fn is_active(&self) -> bool {
        self.standing == DeviceStanding::Active
    }
}

impl LockState {
    fn new(lock: &Lock, at: LeafIndex) -> Self {
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

fn check_lock_files(lock: &Lock) -> Result<(), PeerRosterError> {
    check_grants(&lock.grants)?;
    check_label(&lock.label)?;
    lock.link.as_ref().map_or(Ok(()), |link| check_hybrid("link", link, limits::LINK_BYTES_MAX))
}

fn check_grants(grants: &[Grant]) -> Result<(), PeerRosterError> {
    grants.iter().try_for_each(|grant| check_hybrid("grant", &grant.file, limits::GRANT_BYTES_MAX))
}

fn check_label(file: &[u8]) -> Result<(), PeerRosterError> {
    check_hybrid("label", file, limits::LABEL_BYTES_MAX)
}

fn check_hybrid(part: &'static str, file: &[u8], max: usize) -> Result<(), PeerRosterError> {
    if file.len() > max {
        return Err(PeerRosterError::TooLarge { part, len: file.len(), max });
    }
    match age_header::check_hybrid(file, 1) {
        Ok(_) => Ok(()),
        Err(error) => Err(PeerRosterError::Sealed { part, error }),
    }
}

#[cfg(test)]
mod tests;
