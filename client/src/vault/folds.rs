//! Folds as they were decoded, for as long as what is stored stays the same.
//!
//! One of a hundred devices takes 170 KB, which are read out of some forty pages, and milliseconds to
//! decode; a command looks at a log a dozen times.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::TreeSize;

use super::committees::{CommitteeNo, Position};
use super::{Read, VaultError, Write};

/// The fold that was decoded last of each committee.
#[derive(Default)]
pub(super) struct Folds(RefCell<BTreeMap<CommitteeNo, Decoded>>);

/// A fold, and where it was stored.
struct Decoded {
    size: TreeSize,
    note: Vec<u8>,
    fold: Arc<Fold>,
}

/// What is stored of a log as far as it is verified.
#[derive(Debug)]
pub enum Kept {
    /// Its fold.
    Fold(Arc<Fold>),
    /// It was written by an older program, whose folds had another shape.
    Older(Position),
}

impl Folds {
    /// Another one may be stored.
    pub(super) fn drop_one(&self, no: CommitteeNo) {
        self.0.borrow_mut().remove(&no);
    }
}

impl Read<'_> {
    /// The fold of a log as far as it is verified; none before the first pull.
    pub fn fold(&self, no: CommitteeNo) -> Result<Option<Kept>, VaultError> {
        let Some((size, note)) = self.note(no)? else { return Ok(None) };
        if let Some(decoded) = self.folds.0.borrow().get(&no)
            && (decoded.size, &decoded.note) == (size, &note)
        {
            return Ok(Some(Kept::Fold(Arc::clone(&decoded.fold))));
        }
        let Some(position) = self.position(no)? else { return Ok(None) };
        let Ok(fold) = codec::decode(&position.fold, usize::MAX) else {
            return Ok(Some(Kept::Older(position)));
        };
        let fold: Arc<Fold> = Arc::new(fold);
        let decoded = Decoded { size, note, fold: Arc::clone(&fold) };
        self.folds.0.borrow_mut().insert(no, decoded);
        Ok(Some(Kept::Fold(fold)))
    }
}

impl Write<'_> {
    /// Stores how far a log is verified and its fold there, and remembers that.
    pub fn set_fold(&self, no: CommitteeNo, note: &[u8], fold: &Fold) -> Result<(), VaultError> {
        let (size, note) = (fold.size(), note.to_vec());
        let position = Position { size, note: note.clone(), fold: codec::encode(fold) };
        self.set_position(no, &position)?;
        let decoded = Decoded { size, note, fold: Arc::new(fold.clone()) };
        self.folds.0.borrow_mut().insert(no, decoded);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
