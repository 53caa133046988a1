//! Folds as they were decoded, for as long as what is stored stays the same.
//!
//! Decoding one tests both signatures of every card in it: a hundred devices take ten milliseconds, and a
//! command looks at a log a dozen times.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee as Fold;

use super::committees::{CommitteeNo, Position};
use super::{Read, Write};

/// The fold that was decoded last of each committee.
#[derive(Default)]
pub(super) struct Folds(RefCell<BTreeMap<CommitteeNo, Decoded>>);

struct Decoded {
    from: Vec<u8>,
    fold: Arc<Fold>,
}

impl Read<'_> {
    /// The fold of a position. `None`: it was written by an older program, whose folds had another shape.
    pub fn fold(&self, no: CommitteeNo, position: &Position) -> Option<Arc<Fold>> {
        let mut known = self.folds.0.borrow_mut();
        if let Some(decoded) = known.get(&no).filter(|decoded| decoded.from == position.fold) {
            return Some(Arc::clone(&decoded.fold));
        }
        let fold: Arc<Fold> = Arc::new(codec::decode(&position.fold, usize::MAX).ok()?);
        known.insert(no, Decoded { from: position.fold.clone(), fold: Arc::clone(&fold) });
        Some(fold)
    }
}

impl Write<'_> {
    /// Remembers the fold that a position was encoded from.
    pub fn remember_fold(&self, no: CommitteeNo, position: &Position, fold: &Fold) {
        let decoded = Decoded { from: position.fold.clone(), fold: Arc::new(fold.clone()) };
        self.folds.0.borrow_mut().insert(no, decoded);
    }
}

#[cfg(test)]
mod tests;
