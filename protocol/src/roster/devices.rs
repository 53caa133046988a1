//! A member's own devices: added and retired by the member, and the spare whose seed helpers share
//! (SPEC.md §7).

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::card::Card;
use crate::change::{AddDevice, Recovery, Role, Target};
use crate::id::{DeviceId, LeafIndex, MemberNumber};
use crate::limits;

use super::{Device, PeerRosterError, Place, Proposed, Roster, Standing, sealed};

/// A further device of a member, its grant aside.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NewDevice {
    /// The device.
    #[n(0)]
    pub card: Card,
    /// Whose it is to be.
    #[n(1)]
    pub member: MemberNumber,
}

/// A device that nobody has: enough of its helpers can make it again from their shares of its seed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Spare {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// How many shares make its seed.
    #[n(1)]
    pub threshold: u8,
    /// The devices that hold a share, each of another member.
    #[n(2)]
    pub helpers: BTreeSet<DeviceId>,
    /// The entry that shared it.
    #[n(3)]
    pub at: LeafIndex,
}

impl Roster {
    pub(super) fn add_device(
        &mut self,
        change: AddDevice,
        place: Place,
    ) -> Result<(), PeerRosterError> {
        let AddDevice { card, grant } = change;
        let (role, member) = self.author(place.author)?;
        let device = card.device();
        sealed::check_grants(&[grant], [device])?;
        let change = Proposed::Device(Box::new(NewDevice { card, member }));
        let mut after = self.after(&change, place.index)?;
        if self.policy.device_needs_coordinator && role != Role::Coordinator {
            self.propose(change, member, place);
        } else {
            after.note_granted([device]);
            *self = after;
        }
        Ok(())
    }

    /// Lets a decided `device` take effect.
    pub(super) fn take_device(
        &mut self,
        new: &NewDevice,
        at: LeafIndex,
    ) -> Result<(), PeerRosterError> {
        self.check_new_card(&new.card)?;
        let lasting = |device: &Device| !matches!(device.standing, Standing::Ended(_));
        let has = self.devices_of(new.member).filter(|(_, device)| lasting(device)).count();
        if has >= limits::MEMBER_DEVICES_MAX {
            return Err(PeerRosterError::TooManyOwnDevices);
        }
        let (card, member, standing) = (new.card.clone(), new.member, Standing::Active);
        self.devices.insert(card.device(), Device { card, member, standing, since: at });
        Ok(())
    }

    pub(super) fn retire(&mut self, device: DeviceId, place: Place) -> Result<(), PeerRosterError> {
        let (_, member) = self.author(place.author)?;
        let whose = self.device(device).ok_or(PeerRosterError::NoSuchDevice)?.member;
        if whose != member {
            return Err(PeerRosterError::NotOwnDevice);
        }
        let target = Target::Device(device);
        let mut after = self.clone();
        let standing = after.standing_mut(target)?;
        if matches!(standing, Standing::Ended(_)) {
            return Err(PeerRosterError::Ended);
        }
        *standing = Standing::Ended(place.index);
        after.settle(self, Some(target), place.index)?;
        *self = after;
        Ok(())
    }

    pub(super) fn share(
        &mut self,
        recovery: &Recovery,
        place: Place,
    ) -> Result<(), PeerRosterError> {
        let (_, member) = self.author(place.author)?;
        let spare = recovery.spare;
        let is_own = self.device(spare).is_some_and(|device| device.member == member);
        let helps = self.spares.values().any(|other| other.helpers.contains(&spare));
        if !is_own || !self.is_active(spare) || helps || spare == place.author {
            return Err(PeerRosterError::NotASpare);
        }
        // Whoever kept an old share would hold one more of the same seed.
        if self.is_spare(spare) {
            return Err(PeerRosterError::SharedAlready);
        }
        let helpers = self.check_shares(recovery, member)?;
        let mut after = self.clone();
        if let Some(before) = after.spares.remove(&member) {
            *after.standing_mut(Target::Device(before.device))? = Standing::Ended(place.index);
        }
        let (threshold, at) = (recovery.threshold, place.index);
        after.spares.insert(member, Spare { device: spare, threshold, helpers, at });
        after.settle(self, None, place.index)?;
        *self = after;
        Ok(())
    }

    /// The devices that shares are for: active ones that no spare is, each of another member than the
    /// owner and the others.
    fn check_shares(
        &self,
        recovery: &Recovery,
        owner: MemberNumber,
    ) -> Result<BTreeSet<DeviceId>, PeerRosterError> {
        let shares = &recovery.shares;
        let threshold = usize::from(recovery.threshold);
        if threshold < limits::SHARES_MIN || threshold > shares.len() {
            return Err(PeerRosterError::Threshold);
        }
        if shares.len() > limits::SHARES_MAX || !shares.is_sorted_by_key(|share| share.device) {
            return Err(PeerRosterError::Shares);
        }
        let mut members = BTreeSet::from([owner]);
        for share in shares {
            let device = self.device(share.device).filter(|_| self.is_active(share.device));
            let is_new = device.is_some_and(|device| members.insert(device.member));
            if !is_new || self.is_spare(share.device) {
                return Err(PeerRosterError::Shares);
            }
            sealed::check_share(&share.file)?;
        }
        Ok(shares.iter().map(|share| share.device).collect())
    }

    /// Ends the spares one of whose helpers is no longer active, or whose owner has ended. A share
    /// that was given cannot be taken back: there is to be a new seed, never the same one shared anew.
    pub(super) fn end_spares(&mut self, at: LeafIndex) {
        let stands = |roster: &Self, (owner, spare): (&MemberNumber, &Spare)| {
            let lasts = |owner| !matches!(owner, Standing::Ended(_));
            roster.member(*owner).is_some_and(|owner| lasts(owner.standing))
                && roster.device(spare.device).is_some_and(|device| lasts(device.standing))
                && spare.helpers.iter().all(|helper| roster.is_active(*helper))
        };
        let ended: Vec<MemberNumber> =
            self.spares.iter().filter(|one| !stands(self, *one)).map(|(owner, _)| *owner).collect();
        for owner in ended {
            // One that was retired ended in this same entry.
            let spare = self.spares.remove(&owner).and_then(|it| self.devices.get_mut(&it.device));
            if let Some(spare) = spare {
                spare.standing = Standing::Ended(at);
            }
        }
    }

    /// The member and role of an author who may act.
    fn author(&self, author: DeviceId) -> Result<(Role, MemberNumber), PeerRosterError> {
        match (self.role_of(author), self.device(author)) {
            (Some(role), Some(device)) => Ok((role, device.member)),
            _ => Err(PeerRosterError::NoSuchDevice),
        }
    }

    /// Whether a device is a spare. It makes its owner's next device, ends the old ones and changes the
    /// lock, and does nothing else.
    pub fn is_spare(&self, device: DeviceId) -> bool {
        self.spares.values().any(|spare| spare.device == device)
    }

    /// A member's spare.
    pub fn spare_of(&self, member: MemberNumber) -> Option<&Spare> {
        self.spares.get(&member)
    }

    /// All spares, with their owners.
    pub fn spares(&self) -> impl Iterator<Item = (MemberNumber, &Spare)> {
        self.spares.iter().map(|(owner, spare)| (*owner, spare))
    }
}

#[cfg(test)]
mod tests;
