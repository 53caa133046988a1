//! The fold over a log's roster entries alone, as a proof shows them (SPEC.md §22).
//!
//! Every roster entry names the last counted one before it, by number and leaf hash: so none of those can
//! be left out or put in, and the last is named by whoever signs a record. What stands between them in the
//! log is not shown, so an author's chain and `seen` are checked as far as these entries go.
//!
//! Nor is a `forget` shown, which is no roster entry; the approval of one is. What it approves is known to be
//! a `forget` by that no roster entry proposed it. It moves the head, and nobody's standing.

use std::collections::{BTreeMap, BTreeSet};

use super::{AuthorHead, Committee, Refusal, decode_change};
use crate::change::{Approve, Change};
use crate::entry::{Header, Kind, RosterHead, SignedEntry, UnverifiedEntry};
use crate::hash::Hash;
use crate::id::{AuthorSeq, CommitteeId, LeafIndex, MemberNumber, Term, TreeSize};
use crate::roster::{PeerRosterError, Place, Roster};

/// Why entries are not what a committee's roster entries lead to. The fault of whoever shows them, or of
/// who signed one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerChainError {
    /// The roster entry it names is not the last that is shown: one is left out, or invented.
    #[error(
        "a roster entry is left out or invented: it follows number {}, leaf {}, and number {}, \
         leaf {} is the last before it that is shown", .named.number, .named.leaf,
        .shown.number, .shown.leaf
    )]
    Gap {
        /// What its header names.
        named: RosterHead,
        /// What is shown.
        shown: RosterHead,
    },
    /// It does not stand behind the one before it in the log.
    #[error("it stands at {index}, and the one before it at {last}")]
    Order {
        /// Its place.
        index: LeafIndex,
        /// That of the one before.
        last: LeafIndex,
    },
    /// It is a roster entry where a record is expected, or the reverse.
    #[error("it is an entry of another kind")]
    Kind,
    /// It breaks a rule of admission.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A committee's roster, folded from its roster entries alone.
#[derive(Debug)]
pub struct RosterChain {
    /// Its tree holds the founding entry alone and is asked nothing.
    fold: Committee,
    last: LeafIndex,
    /// The leaf hashes of all roster entries.
    leaves: BTreeSet<Hash>,
    /// Who has approved which `forget`, by its leaf hash.
    forgets: BTreeMap<Hash, BTreeSet<MemberNumber>>,
}

impl RosterChain {
    /// Begins with the founding entry, whose leaf hash is the committee's id.
    pub fn found(entry: UnverifiedEntry) -> Result<Self, PeerChainError> {
        let (fold, admitted) = Committee::found(entry)?;
        let leaves = [admitted.entry.leaf()].into();
        Ok(Self { fold, last: admitted.index, leaves, forgets: BTreeMap::new() })
    }

    /// Folds the next roster entry, which stands at `index`; or changes nothing and says why not.
    pub fn follow(
        &mut self,
        entry: UnverifiedEntry,
        index: LeafIndex,
    ) -> Result<(), PeerChainError> {
        let signed = self.check(entry, index, Kind::Roster)?;
        let header = signed.header();
        let (author, made_at) = (header.author, header.made_at);
        let place = Place { index, leaf: signed.leaf(), author, made_at };
        let change = decode_change(signed.payload())?;
        self.apply(change, place).map_err(Refusal::from)?;
        self.leaves.insert(place.leaf);
        let head = AuthorHead { seq: header.author_seq, leaf: place.leaf, seen: header.seen.size };
        self.fold.authors.insert(author, head);
        self.last = index;
        Ok(())
    }

    fn apply(&mut self, change: Change, place: Place) -> Result<(), PeerRosterError> {
        match change {
            Change::Approve(approve) if !self.leaves.contains(&approve.entry) => {
                let Approve { entry, .. } = approve;
                let mut approved = self.forgets.get(&entry).cloned().unwrap_or_default();
                self.fold.roster.approve_unseen_forget(&approve, &mut approved, place)?;
                self.forgets.insert(entry, approved);
                Ok(())
            }
            change => self.fold.roster.apply(change, place),
        }
    }

    /// Checks a record at `index` whose header names the last counted roster entry as the one its author
    /// had seen: that its author was entitled to write it then.
    pub fn check_record(
        &self,
        entry: UnverifiedEntry,
        index: LeafIndex,
    ) -> Result<SignedEntry, PeerChainError> {
        self.check(entry, index, Kind::Record)
    }

    /// Checks the same record once every roster entry that is shown of those before it was followed: what
    /// came after the one it names has neither ended its author nor its lock.
    pub fn check_record_in_place(
        &self,
        entry: UnverifiedEntry,
        index: LeafIndex,
    ) -> Result<(), PeerChainError> {
        Ok(self.check_rules(entry, index).map(|_| ())?)
    }

    fn check(
        &self,
        entry: UnverifiedEntry,
        index: LeafIndex,
        kind: Kind,
    ) -> Result<SignedEntry, PeerChainError> {
        let (named, shown) = (entry.header().roster_head, self.fold.roster.head());
        if entry.header().kind != kind {
            return Err(PeerChainError::Kind);
        }
        if index <= self.last {
            return Err(PeerChainError::Order { index, last: self.last });
        }
        if named != shown && entry.header().committee == self.fold.id {
            return Err(PeerChainError::Gap { named, shown });
        }
        Ok(self.check_rules(entry, index)?)
    }

    /// The rules of admission that these entries can tell.
    fn check_rules(
        &self,
        entry: UnverifiedEntry,
        index: LeafIndex,
    ) -> Result<SignedEntry, Refusal> {
        let signed = self.fold.verify_signature(entry)?;
        self.fold.check_author(&signed)?;
        self.check_order(signed.header(), index)?;
        self.fold.check_header(signed.header())?;
        Ok(signed)
    }

    /// That it goes on from what is shown of its author. Between two entries there may be others.
    fn check_order(&self, header: &Header, index: LeafIndex) -> Result<(), Refusal> {
        let last = self.fold.authors.get(&header.author);
        let (next, prev) =
            last.map_or((AuthorSeq(0), Hash::ZERO), |head| (head.seq.next(), head.leaf));
        let follows_it = header.author_prev == prev;
        if header.author_seq < next || (header.author_seq == next) != follows_it {
            return Err(Refusal::AuthorChain { expected: next });
        }
        let least = last.map_or(TreeSize(1), |head| head.seen.max(TreeSize(1)));
        if header.seen.size < least || header.seen.size.0 > index.0 {
            return Err(Refusal::SeenOutOfRange);
        }
        Ok(())
    }

    /// The committee.
    pub fn id(&self) -> CommitteeId {
        self.fold.id
    }

    /// The term of the home relay in force.
    pub fn term(&self) -> Term {
        self.fold.term
    }

    /// The roster after the last entry that was followed.
    pub fn roster(&self) -> &Roster {
        &self.fold.roster
    }
}

#[cfg(test)]
mod tests;
