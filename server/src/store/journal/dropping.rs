//! Dropping what was forgotten from a segment: a copy without it takes the segment's place.
//!
//! Until the copy has the segment's name durably, both hold the same log, one of them with what is
//! forgotten. So whatever fails and whenever the power goes, one whole segment is found under the
//! name, and the entry in it is whole or dropped.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sealpost_protocol::id::{CommitteeId, LeafIndex};

use super::super::StoreError;
use super::super::disk::{self, Disk, DiskFile, is_full};
use super::super::frame;
use super::segment::{HEADER_BYTES, OpenSegment};
use super::{Journal, ZERO_STEP_BYTES};

/// A segment's copy, before it has the segment's name.
pub(in crate::store) const COPY: &str = "dropping";

/// Entries by committee and place.
pub(in crate::store) type Entries = BTreeSet<(CommitteeId, LeafIndex)>;

/// Why what was forgotten was not dropped.
#[derive(Debug)]
pub(in crate::store) enum DropError {
    /// It is still there, and it may be tried again.
    Later(StoreError),
    /// Which of two files the segment that is written to will be after a power cut is not known:
    /// nothing may be written to either.
    Unknown(io::Error),
}

impl From<StoreError> for DropError {
    fn from(error: StoreError) -> Self {
        Self::Later(error)
    }
}

impl Journal {
    /// Drops the payloads of entries in a segment, durably: when this returns `Ok`, they stand in no
    /// file of the journal. But for those that it gives back: they stand in no good frame of the segment,
    /// and are left as they are; no copy is made for them a second time.
    ///
    /// When nothing is to go the segment's name is made durable once more: perhaps it was not said that it
    /// is. After a failure that says nothing, and another copy is made.
    pub(in crate::store) fn drop_payloads(
        &mut self,
        number: u32,
        goes: &Entries,
    ) -> Result<Entries, DropError> {
        let goes_now: Entries = goes.difference(&self.left).copied().collect();
        if goes_now.is_empty() && !self.unsure.contains(&number) {
            let synced = self.segments.disk().sync_folder(self.segments.folder());
            synced.map_err(dropping)?;
        } else {
            let left = self.write_anew(number, &goes_now)?;
            self.left.extend(left);
        }
        Ok(goes.intersection(&self.left).copied().collect())
    }

    /// How many copies of segments were begun.
    pub(in crate::store) fn copies(&self) -> u32 {
        self.copies
    }

    /// Puts a copy without these entries' payloads in a segment's place, durably. Which of them stand in no
    /// good frame of it.
    fn write_anew(&mut self, number: u32, goes: &Entries) -> Result<Entries, DropError> {
        let segments = Arc::clone(&self.segments);
        let disk = segments.disk();
        let old = segments.open(number)?;
        let (path, copy) = (segments.path(number), segments.folder().join(COPY));
        // What an earlier try left takes room itself.
        wipe(disk, &copy).map_err(dropping)?;
        if self.free_bytes() < old.len.saturating_add(self.sizes.reserve_bytes) {
            return Err(StoreError::StoreFull.into());
        }
        self.copies += 1;
        let (file, left) = match copy_without(disk, &old, &copy, goes) {
            Ok(copied) => copied,
            Err(error) => {
                // It holds what may be forgotten one day. There is nothing to do if that fails too:
                // the next try begins with it.
                let _ = wipe(disk, &copy);
                return Err(error.into());
            }
        };
        let renamed = disk.rename(&copy, &path);
        // It may have happened all the same.
        let is_current = number == self.current.number;
        if let Err(error) = renamed {
            match disk.open(&copy) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                Err(_) if is_current => return Err(DropError::Unknown(error)),
                Ok(_) | Err(_) => {
                    let _ = wipe(disk, &copy);
                    return Err(dropping(error).into());
                }
            }
        }
        let OpenSegment { len, mark, first_sequence, .. } = *old;
        let new = Arc::new(OpenSegment { number, file, len, mark, first_sequence });
        segments.replace(&new);
        if is_current {
            self.current = new;
        }
        match disk.sync_folder(segments.folder()) {
            Ok(()) => {}
            Err(error) if is_current => return Err(DropError::Unknown(error)),
            Err(error) => {
                self.unsure.insert(number);
                return Err(dropping(error).into());
            }
        }
        self.unsure.remove(&number);
        // What a disk keeps underneath nobody knows, and a copy may be anywhere by now: this is as much
        // as can be done, and no promise. An error changes nothing. Nor does the old file keep a name for
        // the next start to wipe it by: after a power cut it may be the segment itself.
        let _ = zero(old.file.as_ref());
        Ok(left)
    }
}

/// Writes a segment anew, durably. What is no good frame is copied as it is: damage is evidence. Also
/// gives what was to go and stands in no good frame.
fn copy_without(
    disk: &dyn Disk,
    old: &OpenSegment,
    path: &Path,
    goes: &Entries,
) -> Result<(Box<dyn DiskFile>, Entries), StoreError> {
    let file = disk.create(path).map_err(dropping)?;
    file.preallocate(old.len).map_err(dropping)?;
    let mut copy = Copy { file: file.as_ref(), written: 0, waiting: Vec::new() };
    let mut left = goes.clone();
    let mut good = Some((HEADER_BYTES, old.first_sequence.saturating_sub(1)));
    while let Some((at, before)) = good {
        copy.stretch(old, at)?;
        let mut sequence = before;
        let end = old.walk(at, &mut sequence, &mut |_, frame, batch| {
            let here: Vec<_> = batch.entries().filter(|entry| goes.contains(entry)).collect();
            if here.is_empty() {
                return copy.push(frame);
            }
            match frame::drop_payloads(frame, old.mark, &|id, index| goes.contains(&(id, index))) {
                Some(without) => {
                    for entry in &here {
                        left.remove(entry);
                    }
                    copy.push(&without)
                }
                None => copy.push(frame),
            }
        })?;
        // Behind damage it is looked for more only when something is missing.
        good = if left.is_empty() { None } else { old.good_frame_behind(end, sequence)? };
    }
    copy.stretch(old, old.len)?;
    copy.flush()?;
    file.sync().map_err(dropping)?;
    Ok((file, left))
}

/// A file that is written from its beginning to its end.
struct Copy<'f> {
    file: &'f dyn DiskFile,
    written: u64,
    waiting: Vec<u8>,
}

impl Copy<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() as u64 >= ZERO_STEP_BYTES { self.flush() } else { Ok(()) }
    }

    /// Copies what comes next as it is, up to `to`.
    fn stretch(&mut self, old: &OpenSegment, to: u64) -> Result<(), StoreError> {
        let mut at = self.written + self.waiting.len() as u64;
        while at < to {
            let step = usize::try_from((to - at).min(ZERO_STEP_BYTES)).expect("at most a step");
            let mut bytes = vec![0; step];
            old.file.read_exact_at(&mut bytes, at).map_err(dropping)?;
            self.push(&bytes)?;
            at += step as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.file.write_all_at(&self.waiting, self.written).map_err(dropping)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

fn dropping(error: io::Error) -> StoreError {
    if is_full(&error) {
        StoreError::StoreFull
    } else {
        StoreError::io("dropping what was forgotten")(error)
    }
}

/// Removes a file that need not exist, its bytes first as far as that goes.
pub(in crate::store) fn wipe(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
        Ok(file) => drop(zero(file.as_ref())),
    }
    disk::remove_if_there(disk, path)
}

/// Writes zeros over all of a file.
pub(in crate::store) fn zero(file: &dyn DiskFile) -> io::Result<()> {
    let len = file.len()?;
    let zeros = vec![0; usize::try_from(len.min(ZERO_STEP_BYTES)).expect("at most a step")];
    let mut at = 0;
    while at < len {
        let step = usize::try_from((len - at).min(ZERO_STEP_BYTES)).expect("at most a step");
        file.write_all_at(&zeros[..step], at)?;
        at += step as u64;
    }
    file.sync()
}

#[cfg(test)]
mod tests;
