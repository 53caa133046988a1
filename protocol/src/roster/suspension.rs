//! Suspensions: at once, by any one coordinator; and how a coordinator who suspends another is
//! kept from taking over (SPEC.md §7).

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::change::Target;
use crate::hash::Hash;
use crate::id::MemberNumber;

use super::{PeerRosterError, Place, Proposed, Roster, Standing};

/// A suspension of a coordinator that the other coordinators have not decided. Until they have, it
/// binds who made it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Suspension {
    /// Whom it cut off.
    #[n(0)]
    pub target: Target,
    /// The member that is or belongs to.
    #[n(1)]
    pub member: MemberNumber,
    /// Who made it.
    #[n(2)]
    pub by: MemberNumber,
    /// The coordinators who are for it.
    #[n(3)]
    pub approved: BTreeSet<MemberNumber>,
}

impl Roster {
    pub(super) fn suspend(&mut self, target: Target, place: Place) -> Result<(), PeerRosterError> {
        let by = self.require_coordinator(place.author)?;
        let member = self.member_of(target)?;
        // Who cuts off a device of their own gains nothing by it.
        let binds = self.policy.approvals > 1 && self.is_coordinator(member) && member != by;
        if binds && self.undecided_by(by).any(|other| other.member != member) {
            return Err(PeerRosterError::Bound);
        }
        let mut after = self.clone();
        let standing = after.standing_mut(target)?;
        match *standing {
            Standing::Active => *standing = Standing::Suspended(place.index),
            Standing::Suspended(_) => return Err(PeerRosterError::AlreadySuspended),
            Standing::Ended(_) => return Err(PeerRosterError::Ended),
        }
        if binds {
            let suspension = Suspension { target, member, by, approved: BTreeSet::new() };
            after.undecided.insert(place.leaf, suspension);
        }
        after.settle(self, Some(target), place.index)?;
        *self = after;
        Ok(())
    }

    pub(super) fn approve_suspension(
        &mut self,
        leaf: Hash,
        by: MemberNumber,
    ) -> Result<(), PeerRosterError> {
        let suspension = self.undecided.get(&leaf).ok_or(PeerRosterError::NoSuchProposal)?;
        if suspension.approved.contains(&by) {
            return Err(PeerRosterError::AlreadyApproved);
        }
        if !self.deciders(suspension).contains(&by) {
            return Err(PeerRosterError::NotForThisMember);
        }
        if let Some(suspension) = self.undecided.get_mut(&leaf) {
            suspension.approved.insert(by);
        }
        self.settle_suspensions();
        Ok(())
    }

    /// Refuses a bound suspender to restore or remove whom they suspended.
    pub(super) fn check_unbound(
        &self,
        by: MemberNumber,
        change: &Proposed,
    ) -> Result<(), PeerRosterError> {
        let about = match change {
            Proposed::Restore(_) | Proposed::Remove(_) => self.target_of(change),
            Proposed::Admit(_)
            | Proposed::Role(_)
            | Proposed::Policy(_)
            | Proposed::Device(_)
            | Proposed::Forget(_) => None,
        };
        if about.is_some() && self.undecided_by(by).any(|own| Some(own.member) == about) {
            return Err(PeerRosterError::Bound);
        }
        Ok(())
    }

    /// Drops the suspensions that are decided, all by what stood before any was dropped.
    pub(super) fn settle_suspensions(&mut self) {
        let decided = self.undecided.iter().filter(|(_, suspension)| self.is_decided(suspension));
        let decided: Vec<Hash> = decided.map(|(leaf, _)| *leaf).collect();
        self.undecided.retain(|leaf, _| !decided.contains(leaf));
    }

    fn is_decided(&self, suspension: &Suspension) -> bool {
        let deciders = self.deciders(suspension);
        let needed = usize::from(self.policy.approvals).min(deciders.len());
        self.policy.approvals == 1
            || !self.is_suspended(suspension.target)
            || !self.is_lasting_coordinator(suspension.member)
            || suspension.approved.intersection(&deciders).count() >= needed
    }

    /// Who decides a suspension: the active coordinators who are neither its target nor have one of
    /// their own undecided.
    pub fn deciders(&self, suspension: &Suspension) -> BTreeSet<MemberNumber> {
        let mut deciders = self.active_coordinators();
        deciders.remove(&suspension.member);
        deciders.retain(|member| self.undecided_by(*member).next().is_none());
        deciders
    }

    /// The suspensions that are not decided, by the leaf hash of their entries.
    pub fn undecided(&self) -> impl Iterator<Item = (Hash, &Suspension)> {
        self.undecided.iter().map(|(leaf, suspension)| (*leaf, suspension))
    }

    fn undecided_by(&self, member: MemberNumber) -> impl Iterator<Item = &Suspension> {
        self.undecided.values().filter(move |suspension| suspension.by == member)
    }

    pub(super) fn is_suspended(&self, target: Target) -> bool {
        let standing = match target {
            Target::Member(number) => self.member(number).map(|member| member.standing),
            Target::Device(id) => self.device(id).map(|device| device.standing),
        };
        matches!(standing, Some(Standing::Suspended(_)))
    }
}

#[cfg(test)]
mod tests;
