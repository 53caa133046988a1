//! The roster: who is in a committee, in which role, and which lock is in force (SPEC.md §7).
//!
//! It is folded from the log's roster entries by one pure function, [`Roster::apply`], on relay
//! and client alike. A change is checked as a whole before any of it takes effect.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

use crate::card::{self, Card};
use crate::change::{Change, Found, Policy, Relay, Role, Target};
use crate::entry::RosterHead;
use crate::hash::Hash;
use crate::id::{DeviceId, Epoch, LeafIndex, MemberNumber, UnixMillis};
use crate::sign::{PublicKey, VerifyingKey};

mod approvals;
mod devices;
mod error;
mod lock;
mod people;
mod sealed;
mod suspension;

pub use approvals::{Admission, Forgetting, Proposal, Proposed};
pub use devices::{NewDevice, Spare};
pub use error::PeerRosterError;
pub use lock::LockState;
pub use suspension::Suspension;

/// Whether a member or a device may act. A device acts when both it and its member may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
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
    #[cbor(n(0), decode_with = "card::decode_kept")]
    pub card: Card,
    /// Whose it is.
    #[n(1)]
    pub member: MemberNumber,
    /// Its own standing, beside its member's.
    #[n(2)]
    pub standing: Standing,
    /// The entry that brought it in.
    #[n(3)]
    pub since: LeafIndex,
}

/// A member of the committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Member {
    /// What the member may do, with all devices.
    #[n(0)]
    pub role: Role,
    /// The member's standing, beside that of each device.
    #[n(1)]
    pub standing: Standing,
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
    /// When its author says it was made. Only the age of an approval is told from it.
    pub made_at: UnixMillis,
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
    /// Changes that wait for approvals, by the leaf hash of the entry that proposed them.
    #[n(9)]
    proposals: BTreeMap<Hash, Proposal>,
    /// Suspensions of coordinators that the others have not decided, by leaf hash.
    #[n(10)]
    undecided: BTreeMap<Hash, Suspension>,
    /// The members' spares.
    #[n(11)]
    spares: BTreeMap<MemberNumber, Spare>,
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
        sealed::check_lock(&lock)?;
        let device = founder.device();
        sealed::check_grants(&lock.grants, [device])?;
        if *founder.recipient() == lock.recipient {
            return Err(PeerRosterError::RecipientUsed);
        }
        let (number, standing) = (MemberNumber(1), Standing::Active);
        let founder = Device { card: founder, member: number, standing, since: place.index };
        Ok(Self {
            members: [(number, Member { role: Role::Coordinator, standing })].into(),
            devices: [(device, founder)].into(),
            locks: vec![LockState::new(&lock, place.index)],
            policy,
            home,
            mirrors: Vec::new(),
            head: RosterHead { number: 0, leaf: place.leaf },
            lock_number: 0,
            leaves_since_lock: vec![place.leaf],
            proposals: BTreeMap::new(),
            undecided: BTreeMap::new(),
            spares: BTreeMap::new(),
        })
    }

    /// Folds one more change, which its author signed and the committee's other rules let pass.
    pub fn apply(&mut self, change: Change, place: Place) -> Result<(), PeerRosterError> {
        let by_spare = self.is_spare(place.author);
        match change {
            Change::Found(_) => return Err(PeerRosterError::AlreadyFounded),
            Change::Device(device) => self.add_device(*device, place)?,
            Change::Retire(retire) => self.retire(retire.device, place)?,
            Change::Lock(lock) => self.lock(&lock, place)?,
            _ if by_spare => return Err(PeerRosterError::BySpare),
            Change::Admit(admit) => self.admit(*admit, place)?,
            Change::Role(role) => self.decide(Proposed::Role(role), place)?,
            Change::Suspend(suspend) => self.suspend(suspend.target, place)?,
            Change::Restore(restore) => self.decide(Proposed::Restore(restore.target), place)?,
            Change::Remove(remove) => self.decide(Proposed::Remove(remove.member), place)?,
            Change::Policy(policy) => self.decide(Proposed::Policy(policy), place)?,
            Change::Approve(approve) => self.approve(&approve, place)?,
            Change::Recovery(recovery) => self.share(&recovery, place)?,
            Change::Label(label) => self.label(&label, place)?,
            // Repairs change nothing that others sign against: they do not move the head.
            Change::Grant(grant) => return self.repair_grant(&grant, place),
            Change::Link(link) => return self.repair_link(&link, place),
            Change::Relays(_) => return Err(PeerRosterError::NotBuilt("relays")),
        }
        self.count(place);
        Ok(())
    }

    /// Moves the head to the entry that was folded.
    fn count(&mut self, place: Place) {
        self.head = RosterHead { number: self.head.number + 1, leaf: place.leaf };
        self.leaves_since_lock.push(place.leaf);
    }

    /// The member whose device `device` is, if that is an active coordinator.
    fn require_coordinator(&self, device: DeviceId) -> Result<MemberNumber, PeerRosterError> {
        match (self.role_of(device), self.device(device)) {
            (Some(Role::Coordinator), Some(device)) => Ok(device.member),
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
        self.devices().filter(|(_, device)| self.may_act(device)).map(|(id, _)| id)
    }

    /// Whether a device may act: it is here, and neither it nor its member is suspended or ended.
    pub fn is_active(&self, device: DeviceId) -> bool {
        self.device(device).is_some_and(|device| self.may_act(device))
    }

    /// A device's standing and its member's, as one: what ended it for good before what may pass,
    /// the member's before its own.
    pub fn standing_of(&self, device: DeviceId) -> Option<Standing> {
        let device = self.device(device)?;
        let both = [self.members.get(&device.member)?.standing, device.standing];
        let ended = both.into_iter().find(|standing| matches!(standing, Standing::Ended(_)));
        let suspended =
            both.into_iter().find(|standing| matches!(standing, Standing::Suspended(_)));
        Some(ended.or(suspended).unwrap_or(Standing::Active))
    }

    /// All members, in the order of their numbers.
    pub fn members(&self) -> impl Iterator<Item = (MemberNumber, Member)> {
        self.members.iter().map(|(number, member)| (*number, *member))
    }

    /// A member.
    pub fn member(&self, number: MemberNumber) -> Option<Member> {
        self.members.get(&number).copied()
    }

    /// The devices of a member, ended ones included.
    pub fn devices_of(&self, member: MemberNumber) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.devices().filter(move |(_, device)| device.member == member)
    }

    /// The coordinator members who may act: active, with an active device. A spare is one: who has lost
    /// all others may come back, and must not void by that what waits, again and again.
    pub fn active_coordinators(&self) -> BTreeSet<MemberNumber> {
        let members = self.active_devices().filter_map(|id| self.device(id)).map(|d| d.member);
        members.filter(|number| self.is_coordinator(*number)).collect()
    }

    /// The role of an active device.
    pub fn role_of(&self, device: DeviceId) -> Option<Role> {
        let device = self.device(device).filter(|device| self.may_act(device))?;
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

    fn may_act(&self, device: &Device) -> bool {
        let member = self.members.get(&device.member);
        device.standing == Standing::Active
            && member.is_some_and(|member| member.standing == Standing::Active)
    }

    fn is_coordinator(&self, member: MemberNumber) -> bool {
        self.member(member).is_some_and(|member| member.role == Role::Coordinator)
    }

    /// The member a target is or belongs to.
    fn member_of(&self, target: Target) -> Result<MemberNumber, PeerRosterError> {
        match target {
            Target::Member(number) if self.members.contains_key(&number) => Ok(number),
            Target::Member(_) => Err(PeerRosterError::NoSuchMember),
            Target::Device(id) => {
                self.device(id).map(|device| device.member).ok_or(PeerRosterError::NoSuchDevice)
            }
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
