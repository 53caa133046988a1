//! What changes do to members and devices once they take effect, and what must hold afterwards.

use crate::card::Card;
use crate::change::{Policy, Role, SetRole, Target};
use crate::entry;
use crate::id::{LeafIndex, MemberNumber};
use crate::limits;

use super::{Device, Member, PeerRosterError, Proposed, Roster, Standing};

impl Roster {
    /// Lets a decided change take effect.
    pub(super) fn take(&mut self, change: &Proposed, at: LeafIndex) -> Result<(), PeerRosterError> {
        match change {
            Proposed::Admit(admission) => self.let_in(&admission.card, admission.role, at),
            Proposed::Role(role) => self.set_role(*role),
            Proposed::Restore(target) => self.restore(*target),
            Proposed::Remove(member) => self.remove(*member, at),
            Proposed::Policy(policy) => self.set_policy(*policy),
            Proposed::Device(new) => self.take_device(new, at),
            // What it drops is no part of the roster.
            Proposed::Forget(_) => Ok(()),
        }
    }

    fn let_in(&mut self, card: &Card, role: Role, at: LeafIndex) -> Result<(), PeerRosterError> {
        self.check_new_card(card)?;
        let (member, standing) = (self.next_member(), Standing::Active);
        self.members.insert(member, Member { role, standing });
        let device = Device { card: card.clone(), member, standing, since: at };
        self.devices.insert(card.device(), device);
        Ok(())
    }

    pub(super) fn check_new_card(&self, card: &Card) -> Result<(), PeerRosterError> {
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

    fn set_role(&mut self, change: SetRole) -> Result<(), PeerRosterError> {
        let member = self.members.get_mut(&change.member).ok_or(PeerRosterError::NoSuchMember)?;
        match member.standing {
            Standing::Ended(_) => Err(PeerRosterError::Ended),
            _ if member.role == change.role => Err(PeerRosterError::NothingChanges),
            _ => {
                member.role = change.role;
                Ok(())
            }
        }
    }

    fn restore(&mut self, target: Target) -> Result<(), PeerRosterError> {
        let standing = self.standing_mut(target)?;
        match *standing {
            Standing::Active => Err(PeerRosterError::NotSuspended),
            Standing::Suspended(_) => {
                *standing = Standing::Active;
                Ok(())
            }
            Standing::Ended(_) => Err(PeerRosterError::Ended),
        }
    }

    fn remove(&mut self, member: MemberNumber, at: LeafIndex) -> Result<(), PeerRosterError> {
        let standing = self.standing_mut(Target::Member(member))?;
        if matches!(standing, Standing::Ended(_)) {
            return Err(PeerRosterError::Ended);
        }
        *standing = Standing::Ended(at);
        Ok(())
    }

    fn set_policy(&mut self, policy: Policy) -> Result<(), PeerRosterError> {
        if policy.format != entry::VERSION {
            return Err(PeerRosterError::PolicyFormat);
        }
        if policy.approvals == 0 {
            return Err(PeerRosterError::NoApprovals);
        }
        if policy == self.policy {
            return Err(PeerRosterError::NothingChanges);
        }
        self.policy = policy;
        Ok(())
    }

    /// The standing a target has of its own.
    pub(super) fn standing_mut(
        &mut self,
        target: Target,
    ) -> Result<&mut Standing, PeerRosterError> {
        let member = self.member_of(target)?;
        let of_member = self.members.get_mut(&member).map(|member| &mut member.standing);
        match target {
            Target::Member(_) => of_member.ok_or(PeerRosterError::NoSuchMember),
            // What a member's end ended does not come back device by device.
            Target::Device(_) if matches!(of_member, Some(Standing::Ended(_))) => {
                Err(PeerRosterError::Ended)
            }
            Target::Device(id) => {
                let device = self.devices.get_mut(&id);
                device.map(|device| &mut device.standing).ok_or(PeerRosterError::NoSuchDevice)
            }
        }
    }

    /// What every change leaves behind: somebody who can change the roster, enough coordinators for
    /// the approvals the policy asks for when one of them is lost, and a lock that can be changed.
    pub(super) fn check_sound(&self) -> Result<(), PeerRosterError> {
        if self.active_devices().count() > limits::ACTIVE_DEVICES_MAX {
            return Err(PeerRosterError::TooManyActiveDevices);
        }
        let mut in_hand = self.active_devices().filter(|id| !self.is_spare(*id));
        if !in_hand.any(|id| self.role_of(id) == Some(Role::Coordinator)) {
            return Err(PeerRosterError::LastCoordinator);
        }
        let coordinators = self.members.keys().filter(|m| self.is_lasting_coordinator(**m)).count();
        let most = u16::try_from(coordinators.saturating_sub(1).max(1)).unwrap_or(u16::MAX);
        let needed = self.policy.approvals;
        if needed > most {
            return Err(PeerRosterError::TooFewCoordinators { needed, most });
        }
        Ok(())
    }

    /// Whether a member is a coordinator whose membership has not ended, suspended or not.
    pub(super) fn is_lasting_coordinator(&self, member: MemberNumber) -> bool {
        self.member(member).is_some_and(|member| {
            member.role == Role::Coordinator && !matches!(member.standing, Standing::Ended(_))
        })
    }
}

#[cfg(test)]
mod tests;
