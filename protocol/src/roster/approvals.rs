//! Changes that need more than one coordinator: they wait until enough have approved (SPEC.md §7).

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::card::Card;
use crate::change::{Admit, Approve, Policy, Role, SetRole, Target};
use crate::codec::tagged;
use crate::hash::Hash;
use crate::id::{DeviceId, LeafIndex, MemberNumber, UnixMillis};
use crate::limits;

use super::{NewDevice, PeerRosterError, Place, Roster, sealed};

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

tagged! {
    /// A change that one coordinator may not be able to make alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Proposed {
        /// Lets a person in.
        1 => Admit(Box<Admission>),
        /// Gives a member another role.
        2 => Role(SetRole),
        /// Ends a suspension.
        3 => Restore(Target),
        /// Ends a membership.
        4 => Remove(MemberNumber),
        /// Changes the policy.
        5 => Policy(Policy),
        /// Adds a device to a member who is no coordinator, where the policy has coordinators see to it.
        6 => Device(Box<NewDevice>),
        /// Drops the payload and the blobs of another's record.
        7 => Forget(Forgetting),
    }
}

/// What an admission comes to, its sealed parts aside. The member number is given when it takes
/// effect.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Admission {
    /// The first device.
    #[n(0)]
    pub card: Card,
    /// The role.
    #[n(1)]
    pub role: Role,
}

/// A record that is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Forgetting {
    /// Its place in the log.
    #[n(0)]
    pub index: LeafIndex,
    /// Whose it is.
    #[n(1)]
    pub member: MemberNumber,
}

/// A change that waits for approvals.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Proposal {
    /// What it would do.
    #[n(0)]
    pub change: Proposed,
    /// The entry that proposed it.
    #[n(1)]
    pub at: LeafIndex,
    /// When its author says it was proposed.
    #[n(2)]
    pub made_at: UnixMillis,
    /// Who proposed it.
    #[n(3)]
    pub by: MemberNumber,
    /// The coordinators who are for it; the proposer too, unless it is about the proposer.
    #[n(4)]
    pub approved: BTreeSet<MemberNumber>,
}

impl Proposal {
    fn is_forget(&self) -> bool {
        matches!(self.change, Proposed::Forget(_))
    }
}

impl Roster {
    pub(super) fn admit(&mut self, admit: Admit, place: Place) -> Result<(), PeerRosterError> {
        let Admit { card, member, role, grants, label } = admit;
        self.require_coordinator(place.author)?;
        let expected = self.next_member();
        if member != expected {
            return Err(PeerRosterError::MemberNumber { expected });
        }
        sealed::check_label(&label)?;
        let device = card.device();
        let change = Proposed::Admit(Box::new(Admission { card, role }));
        let granted = (!self.needs_approvals(&change)).then_some(device);
        sealed::check_grants(&grants, granted)?;
        self.decide(change, place)?;
        self.note_granted(granted);
        Ok(())
    }

    /// Lets a change take effect, or keeps it until others approved it.
    pub(super) fn decide(&mut self, change: Proposed, place: Place) -> Result<(), PeerRosterError> {
        let by = self.require_coordinator(place.author)?;
        self.check_unbound(by, &change)?;
        // A proposal that could not take effect now is refused now.
        let after = self.after(&change, place.index)?;
        if self.needs_approvals(&change) {
            self.propose(change, by, place);
        } else {
            *self = after;
        }
        Ok(())
    }

    /// Lets a record be forgotten at once, or keeps that until others approved it; which. Members forget
    /// their own.
    pub(crate) fn forget(
        &mut self,
        forgetting: Forgetting,
        place: Place,
    ) -> Result<bool, PeerRosterError> {
        let own = self.device(place.author).map(|device| device.member);
        if own == Some(forgetting.member) {
            return Ok(true);
        }
        let by = self.require_coordinator(place.author)?;
        let change = Proposed::Forget(forgetting);
        if !self.needs_approvals(&change) {
            return Ok(true);
        }
        let waits = |proposal: &&Proposal| proposal.by == by && proposal.is_forget();
        if self.proposals.values().filter(waits).count() >= limits::FORGETS_WAITING_MAX {
            return Err(PeerRosterError::TooManyForgets);
        }
        self.propose(change, by, place);
        Ok(false)
    }

    pub(super) fn propose(&mut self, change: Proposed, by: MemberNumber, place: Place) {
        let mine = |proposal: &Proposal| proposal.by == by && !proposal.is_forget();
        let count = self.proposals.values().filter(|proposal| mine(proposal)).count();
        if count >= limits::PROPOSALS_MAX && !matches!(change, Proposed::Forget(_)) {
            let oldest = self.proposals.iter().filter(|(_, proposal)| mine(proposal));
            let oldest = oldest.min_by_key(|(_, proposal)| proposal.at).map(|(leaf, _)| *leaf);
            oldest.and_then(|leaf| self.proposals.remove(&leaf));
        }
        let for_it = (self.target_of(&change) != Some(by)).then_some(by);
        let approved = for_it.into_iter().collect();
        let (at, made_at) = (place.index, place.made_at);
        self.proposals.insert(place.leaf, Proposal { change, at, made_at, by, approved });
    }

    pub(super) fn approve(
        &mut self,
        approve: &Approve,
        place: Place,
    ) -> Result<(), PeerRosterError> {
        let by = self.require_coordinator(place.author)?;
        if self.undecided.contains_key(&approve.entry) {
            check_bare(approve)?;
            return self.approve_suspension(approve.entry, by);
        }
        let proposal = self.proposals.get(&approve.entry).ok_or(PeerRosterError::NoSuchProposal)?;
        let age = place.made_at.0.saturating_sub(proposal.made_at.0);
        if age > limits::PROPOSAL_DAYS_MAX * DAY_MILLIS {
            return Err(PeerRosterError::ProposalTooOld);
        }
        if self.target_of(&proposal.change) == Some(by) {
            return Err(PeerRosterError::NotForThisMember);
        }
        if proposal.approved.contains(&by) {
            return Err(PeerRosterError::AlreadyApproved);
        }
        self.check_unbound(by, &proposal.change)?;
        if self.missing_approvals(proposal) > 1 {
            check_bare(approve)?;
            let proposal = self.proposals.get_mut(&approve.entry);
            proposal.ok_or(PeerRosterError::NoSuchProposal)?.approved.insert(by);
            return Ok(());
        }
        let change = proposal.change.clone();
        self.complete(&change, approve, place.index)
    }

    /// Folds an approval of a `forget` that stands in the log and is not at hand; `approved` has approved it
    /// before, and its proposer is for it. It carries nothing, and drops what is no part of the roster.
    pub(crate) fn approve_unseen_forget(
        &mut self,
        approve: &Approve,
        approved: &mut BTreeSet<MemberNumber>,
        place: Place,
    ) -> Result<(), PeerRosterError> {
        if self.is_spare(place.author) {
            return Err(PeerRosterError::BySpare);
        }
        let by = self.require_coordinator(place.author)?;
        let needed = usize::from(self.policy.approvals).saturating_sub(1);
        if approved.len() >= needed {
            return Err(PeerRosterError::NoSuchProposal);
        }
        if approved.contains(&by) {
            return Err(PeerRosterError::AlreadyApproved);
        }
        check_bare(approve)?;
        if approved.len() + 1 == needed {
            // As whatever takes effect does.
            let mut after = self.clone();
            after.settle(self, None, place.index)?;
            *self = after;
        }
        approved.insert(by);
        self.count(place);
        Ok(())
    }

    fn complete(
        &mut self,
        change: &Proposed,
        approve: &Approve,
        at: LeafIndex,
    ) -> Result<(), PeerRosterError> {
        let mut after = self.after(change, at)?;
        after.proposals.remove(&approve.entry);
        let returned = |device: &DeviceId| !self.is_active(*device);
        let needed: Vec<DeviceId> = after.ungranted().filter(returned).collect();
        sealed::check_grants(&approve.grants, needed.iter().copied())?;
        match (change, &approve.label) {
            (Proposed::Admit(_), Some(label)) => sealed::check_label(label)?,
            (Proposed::Admit(_), None) | (_, Some(_)) => {
                return Err(PeerRosterError::ApprovalLabel);
            }
            (_, None) => {}
        }
        after.note_granted(needed);
        *self = after;
        Ok(())
    }

    /// What follows from a change that began with the roster `before`, and what must hold then.
    /// `changed` is whose role or standing became another.
    pub(super) fn settle(
        &mut self,
        before: &Self,
        changed: Option<Target>,
        at: LeafIndex,
    ) -> Result<(), PeerRosterError> {
        self.end_spares(at);
        self.check_sound()?;
        self.void_outdated(before, changed);
        self.settle_suspensions();
        Ok(())
    }

    /// The roster once `change` has taken effect.
    pub(super) fn after(&self, change: &Proposed, at: LeafIndex) -> Result<Self, PeerRosterError> {
        let mut after = self.clone();
        after.take(change, at)?;
        let changed = match change {
            // What one coordinator may do at will voids nothing, or one alone could keep a change
            // from ever getting through.
            Proposed::Role(role) if !self.is_about_coordinators(*role) => None,
            Proposed::Role(SetRole { member, .. }) | Proposed::Remove(member) => {
                Some(Target::Member(*member))
            }
            Proposed::Restore(target) => Some(*target),
            Proposed::Admit(_)
            | Proposed::Policy(_)
            | Proposed::Device(_)
            | Proposed::Forget(_) => None,
        };
        after.settle(self, changed, at)?;
        Ok(after)
    }

    /// Drops what was proposed under other circumstances: other active coordinators, another policy,
    /// another role or standing of whom it is about. A removal outlives its target's suspension.
    fn void_outdated(&mut self, before: &Self, changed: Option<Target>) {
        let other_deciders = self.active_coordinators() != before.active_coordinators()
            || self.policy != before.policy;
        let suspended = changed.filter(|it| self.is_suspended(*it) && !before.is_suspended(*it));
        let suspended = suspended.and_then(|target| self.member_of(target).ok());
        let mut proposals = std::mem::take(&mut self.proposals);
        proposals.retain(|_, proposal| match proposal.change {
            Proposed::Remove(member) if Some(member) == suspended => true,
            _ if other_deciders => false,
            _ => !changed.is_some_and(|changed| self.touches(changed, &proposal.change)),
        });
        self.proposals = proposals;
    }

    /// Whether a changed role or standing is that of whom `change` is about.
    fn touches(&self, changed: Target, change: &Proposed) -> bool {
        match changed {
            // Whose record it is need not be here any more for it to be forgotten.
            Target::Member(_) if matches!(change, Proposed::Forget(_)) => false,
            Target::Member(member) => self.target_of(change) == Some(member),
            Target::Device(_) => *change == Proposed::Restore(changed),
        }
    }

    /// The member a change is about, whose own approval does not count.
    pub fn target_of(&self, change: &Proposed) -> Option<MemberNumber> {
        match change {
            Proposed::Role(SetRole { member, .. }) | Proposed::Remove(member) => Some(*member),
            Proposed::Restore(target) => self.member_of(*target).ok(),
            Proposed::Device(new) => Some(new.member),
            Proposed::Forget(forgetting) => Some(forgetting.member),
            Proposed::Admit(_) | Proposed::Policy(_) => None,
        }
    }

    /// Whether one coordinator alone cannot make this change.
    pub fn needs_approvals(&self, change: &Proposed) -> bool {
        let grave = match change {
            Proposed::Admit(admission) => admission.role == Role::Coordinator,
            Proposed::Role(role) => self.is_about_coordinators(*role),
            Proposed::Restore(_)
            | Proposed::Remove(_)
            | Proposed::Policy(_)
            | Proposed::Forget(_) => true,
            Proposed::Device(_) => false,
        };
        grave && self.policy.approvals > 1
    }

    /// Whether a role is given to a coordinator, or makes one.
    fn is_about_coordinators(&self, change: SetRole) -> bool {
        change.role == Role::Coordinator || self.is_coordinator(change.member)
    }

    /// How many approvals a proposal still needs, at least one.
    pub fn missing_approvals(&self, proposal: &Proposal) -> usize {
        let needed = match proposal.change {
            // Whose it is need not be a coordinator: one of them sees to it.
            Proposed::Device(_) => 1,
            _ => usize::from(self.policy.approvals),
        };
        needed.saturating_sub(proposal.approved.len()).max(1)
    }

    /// The changes that wait for approvals, by the leaf hash of the entry that proposed them.
    pub fn proposals(&self) -> impl Iterator<Item = (Hash, &Proposal)> {
        self.proposals.iter().map(|(leaf, proposal)| (*leaf, proposal))
    }

    /// The proposal made by the entry with that leaf hash, while it waits.
    pub fn proposal(&self, leaf: Hash) -> Option<&Proposal> {
        self.proposals.get(&leaf)
    }

    /// The roster as it would be if `proposal` took effect now: whom its last approval must grant.
    pub fn grants_of(&self, proposal: &Proposal) -> Result<Vec<(DeviceId, Card)>, PeerRosterError> {
        let after = self.after(&proposal.change, proposal.at)?;
        let returned = after.ungranted().filter(|device| !self.is_active(*device));
        Ok(returned.filter_map(|id| Some((id, after.device(id)?.card.clone()))).collect())
    }
}

/// An approval that completes nothing carries nothing.
fn check_bare(approve: &Approve) -> Result<(), PeerRosterError> {
    if approve.label.is_some() {
        return Err(PeerRosterError::ApprovalLabel);
    }
    sealed::check_grants(&approve.grants, [])
}

#[cfg(test)]
mod tests;
