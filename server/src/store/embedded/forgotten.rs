//! What is forgotten: from the moment that is durable nobody is given it any more, and it goes from the
//! disk as soon as the disk takes it.
//!
//! ```text
//! frame that forgets → index (still to be dropped) → served without payload, names no blobs
//!     → journal's thread writes the segment anew ─┐
//!     → blobs' thread removes the files ──────────┴→ index (done)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex};

use super::super::StoreError;
use super::super::frame::{self, EntryHead};
use super::super::journal::Journal;
use super::super::journal::dropping::{DropError, Entries};
use super::super::journal::segment::Place;
use super::{Inner, View};

/// Entries of one committee that are forgotten and still to be dropped; and what blobs each of them
/// named, once that was looked up.
pub(super) type Pending = BTreeMap<LeafIndex, Option<Vec<Hash>>>;

/// What became of what is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dropped {
    /// It is gone from the disk.
    All,
    /// It is gone from one segment, and there are others.
    OneOfSeveral,
    /// Some blobs are not gone: an entry may be about to name them, or the disk did not take it.
    NotYet,
}

/// What was forgotten, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgetCounts {
    /// Payloads dropped since the store was opened.
    pub dropped: u64,
    /// Entries that are forgotten and still to be dropped from the disk.
    pub pending: u64,
    /// Times the disk did not take it. It is tried again.
    pub failed: u64,
}

impl View {
    /// What is forgotten in a stretch of a log, whether or not it was dropped.
    pub(super) fn forgotten(
        &self,
        committee: CommitteeId,
        stretch: Range<LeafIndex>,
    ) -> BTreeSet<LeafIndex> {
        let pending = self.forgotten.get(&committee).into_iter();
        let pending = pending.flat_map(|pending| pending.range(stretch.clone()));
        let dropped = self.dropped.get(&committee).into_iter();
        let dropped = dropped.flat_map(|dropped| dropped.range(stretch.clone()));
        pending.map(|(index, _)| index).chain(dropped).copied().collect()
    }

    /// Whether an entry is forgotten, whether or not it was dropped.
    pub(super) fn is_forgotten(&self, committee: CommitteeId, index: LeafIndex) -> bool {
        let pending = self.forgotten.get(&committee);
        let dropped = self.dropped.get(&committee);
        pending.is_some_and(|pending| pending.contains_key(&index))
            || dropped.is_some_and(|dropped| dropped.contains(&index))
    }

    /// Makes what is forgotten pending unless it was dropped. Whether it is.
    fn is_pending(&mut self, committee: CommitteeId, index: LeafIndex) -> bool {
        let dropped = self.dropped.get(&committee);
        let is_pending = !dropped.is_some_and(|dropped| dropped.contains(&index));
        if is_pending {
            self.forgotten.entry(committee).or_default().entry(index).or_default();
        }
        is_pending
    }

    fn is_dropped(&mut self, committee: CommitteeId, index: LeafIndex) {
        if let Some(pending) = self.forgotten.get_mut(&committee) {
            pending.remove(&index);
            if pending.is_empty() {
                self.forgotten.remove(&committee);
            }
        }
        self.dropped.entry(committee).or_default().insert(index);
    }

    /// Makes what was dropped pending again. Whether it was.
    fn is_back(&mut self, committee: CommitteeId, index: LeafIndex) -> bool {
        let was = self.dropped.get_mut(&committee).is_some_and(|dropped| dropped.remove(&index));
        if was {
            self.forgotten.entry(committee).or_default().insert(index, None);
        }
        was
    }
}

impl Inner {
    /// Looks up which blobs an entry named that is forgotten now, before that is published: whoever sends
    /// one again then finds the way clear. `None`: it is looked up again when it is dropped.
    pub(super) fn look_up_forgotten(
        &self,
        committee: CommitteeId,
        index: LeafIndex,
    ) -> Option<Vec<Hash>> {
        match self.blobs_of(committee, index) {
            Ok(named) => {
                self.blobs.forgotten(committee, &named);
                Some(named)
            }
            Err(error) => {
                tracing::debug!(%error, "what is forgotten was not looked up yet");
                None
            }
        }
    }

    /// After a start: what was forgotten before and is still to be dropped. When the index was made anew
    /// that is all that was ever forgotten: it is looked at again, and found to be done.
    pub(super) fn go_on_forgetting(&self) {
        let pending = self.view(|view| view.forgotten.clone());
        if pending.is_empty() {
            return;
        }
        for (committee, pending) in pending {
            let found: Pending = pending
                .into_keys()
                .map(|index| (index, self.look_up_forgotten(committee, index)))
                .collect();
            self.with_view(|view| view.forgotten.entry(committee).or_default().extend(found));
        }
        self.queue.drop_forgotten(Duration::ZERO);
    }

    /// An index that was made anew while this serves takes all that was ever forgotten for pending. What
    /// was dropped is known, and is not looked at again.
    pub(super) fn forget_again(&self) -> Result<(), StoreError> {
        let numbers: BTreeMap<u32, CommitteeId> =
            self.numbers().into_iter().map(|(committee, number)| (number, committee)).collect();
        for (number, index) in self.index.forgotten()? {
            let Some(committee) = numbers.get(&number) else { continue };
            if !self.with_view(|view| view.is_pending(*committee, index)) {
                self.index.dropped(number, index, &[]);
            }
        }
        self.queue.drop_forgotten(Duration::ZERO);
        Ok(())
    }

    /// Entries were read whole: what was dropped of them before is on the disk again, as when a file was
    /// put back from a backup, and is dropped once more.
    pub(super) fn are_back(&self, committee: CommitteeId, whole: impl Iterator<Item = LeafIndex>) {
        let back: Vec<LeafIndex> = self.view(|view| {
            let dropped = view.dropped.get(&committee);
            dropped.map_or_else(Vec::new, |dropped| {
                whole.filter(|index| dropped.contains(index)).collect()
            })
        });
        let Some(held) = self.held(committee).filter(|_| !back.is_empty()) else { return };
        for index in back {
            // It may be dropped by now what was read a moment ago.
            let is_whole = self.entry_head(committee, index).is_ok_and(|head| !head.dropped);
            if is_whole && self.with_view(|view| view.is_back(committee, index)) {
                self.index.is_back(held.number, index);
            }
        }
        self.queue.drop_forgotten(self.drop_after);
    }

    /// Drops what is forgotten, for the thread that writes the journal, which stands still meanwhile:
    /// so no more than one segment is written anew. Everything in it goes at once.
    pub(in crate::store) fn drop_forgotten(
        &self,
        journal: &mut Journal,
    ) -> Result<Dropped, DropError> {
        let mut segments: BTreeMap<u32, Vec<(CommitteeId, LeafIndex)>> = BTreeMap::new();
        let mut outcome = Ok(Dropped::All);
        for (committee, pending) in self.view(|view| view.forgotten.clone()) {
            for index in pending.into_keys() {
                match self.place(committee, index) {
                    Ok(place) => {
                        segments.entry(place.segment).or_default().push((committee, index));
                    }
                    // What can be found is dropped.
                    Err(error) => outcome = Err(error.into()),
                }
            }
        }
        // Each has its turn, whatever is amiss with others.
        let turn = self.drop_turn.load(Ordering::Relaxed);
        let later = segments.split_off(&turn);
        let mut left = later.len() + segments.len();
        for (segment, entries) in later.into_iter().chain(segments) {
            left -= 1;
            let before = self.dropped.load(Ordering::Relaxed);
            match self.drop_in(journal, segment, &entries) {
                Ok(Dropped::All | Dropped::OneOfSeveral) => {}
                Ok(Dropped::NotYet) if outcome.is_err() => {}
                Ok(Dropped::NotYet) => outcome = Ok(Dropped::NotYet),
                Err(DropError::Unknown(error)) => return Err(DropError::Unknown(error)),
                // What can be dropped elsewhere is.
                Err(later) => outcome = Err(later),
            }
            if self.dropped.load(Ordering::Relaxed) > before && left > 0 {
                self.drop_turn.store(segment + 1, Ordering::Relaxed);
                return outcome.map(|_| Dropped::OneOfSeveral);
            }
        }
        outcome
    }

    /// What is damaged keeps nothing else in its segment.
    fn drop_in(
        &self,
        journal: &mut Journal,
        segment: u32,
        entries: &[(CommitteeId, LeafIndex)],
    ) -> Result<Dropped, DropError> {
        let (mut whole, mut gone) = (Entries::new(), Entries::new());
        let mut outcome = Ok(Dropped::All);
        for (committee, index) in entries {
            match self.entry_head(*committee, *index) {
                Ok(head) if head.dropped => drop(gone.insert((*committee, *index))),
                Ok(_) => drop(whole.insert((*committee, *index))),
                Err(error) => outcome = Err(error.into()),
            }
        }
        let left = journal.drop_payloads(segment, &whole)?;
        self.dropped.fetch_add((whole.len() - left.len()) as u64, Ordering::Relaxed);
        gone.extend(whole.difference(&left));
        for (committee, index) in gone {
            if !self.is_done(committee, index)? {
                outcome = outcome.and(Ok(Dropped::NotYet));
            }
        }
        if let Some((committee, index)) = left.first() {
            return Err(self.damaged(self.place(*committee, *index)?).into());
        }
        outcome
    }

    /// Whether an entry's blobs are gone too, which is then noted.
    fn is_done(&self, committee: CommitteeId, index: LeafIndex) -> Result<bool, StoreError> {
        let known =
            self.view(|view| view.forgotten.get(&committee)?.get(&index).cloned()).flatten();
        let blobs = match known {
            Some(blobs) => blobs,
            None => {
                let Some(blobs) = self.look_up_forgotten(committee, index) else {
                    return Ok(false);
                };
                self.with_view(|view| {
                    let pending = view.forgotten.entry(committee).or_default();
                    pending.insert(index, Some(blobs.clone()));
                });
                blobs
            }
        };
        if !self.blobs.are_gone(committee, &blobs) {
            return Ok(false);
        }
        if let Some(held) = self.held(committee) {
            self.index.dropped(held.number, index, &blobs);
        }
        self.with_view(|view| view.is_dropped(committee, index));
        Ok(true)
    }

    fn blobs_of(&self, committee: CommitteeId, index: LeafIndex) -> Result<Vec<Hash>, StoreError> {
        let head = self.entry_head(committee, index)?;
        Ok(head.blobs.iter().map(|blob| blob.sha256).collect())
    }

    /// An entry as it stands in the journal, published or not.
    fn entry_head(
        &self,
        committee: CommitteeId,
        index: LeafIndex,
    ) -> Result<EntryHead, StoreError> {
        let place = self.place(committee, index)?;
        let bytes = self.segments.read(place.segment, place.offset, place.len as usize)?;
        let entry = frame::decode_entry(&bytes, committee, index);
        Ok(entry.ok_or_else(|| self.damaged(place))?.0)
    }

    fn place(&self, committee: CommitteeId, index: LeafIndex) -> Result<Place, StoreError> {
        let missing = || StoreError::StoreIndex("an entry is missing in it".to_owned());
        let held = self.held(committee).ok_or_else(missing)?;
        let places = self.doubting(self.index.places(held.number, index, 0))?;
        places.first().copied().ok_or_else(missing)
    }

    /// Something of what is forgotten could not be dropped.
    pub(in crate::store) fn drop_failed(&self) {
        self.drops_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted of what is forgotten.
    pub(super) fn forget_counts(&self) -> ForgetCounts {
        let pending = self.view(|view| view.forgotten.values().map(BTreeMap::len).sum::<usize>());
        ForgetCounts {
            dropped: self.dropped.load(Ordering::Relaxed),
            pending: pending as u64,
            failed: self.drops_failed.load(Ordering::Relaxed),
        }
    }
}

/// An entry as it is given to those who ask; forgotten ones without their payload, also where the disk
/// still has it. `None`: it is no entry.
pub(super) fn given(head: &EntryHead, bytes: Bytes, is_forgotten: bool) -> Option<Bytes> {
    if head.dropped || !is_forgotten {
        return Some(bytes);
    }
    frame::without_payload(&bytes).map(Bytes::from)
}
