//! Exports: a committee's log in one file, from its founding entry to the relay's note (SPEC.md §26).
//!
//! ```text
//! bytes ─PartReader─> parts ─UnverifiedExport─> each entry admitted ─> note, cosignatures ─> VerifiedExport
//! ```
//!
//! Nothing in a file is believed: the log is folded anew, every signature is checked, and the root that
//! comes out must be the one that the home relay signed.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{
    Checkpoint, Cosigner, Origin, PeerNoteError, SignedCheckpoint, UnverifiedCheckpoint,
    UnverifiedCosignature,
};
use crate::codec::{self, PeerCodecError};
use crate::committee::{AdmitError, Committee, Refusal};
use crate::entry::{Admitted, Blob, PeerEntryError, UnverifiedEntry};
use crate::forget::{Past, PastEntry};
use crate::frame::CosignatureOf;
use crate::hash::Hash;
use crate::id::{CommitteeId, DeviceId, LeafIndex, TreeSize};
use crate::limits::NOTE_BYTES_MAX;
use crate::tree::Frontier;

mod parts;

pub use parts::{
    MAGIC, Part, PartReader, encode_cosignature, encode_end, encode_entry, encode_note,
};

/// Why a file is no export, or not an honest one: the fault of whoever made it, or of what happened to it
/// since.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerExportError {
    /// It does not begin as exports do.
    #[error("the file is no export of a log")]
    Magic,
    /// Made by a newer program.
    #[error("the export was made by a newer version of the program")]
    NewerVersion,
    /// A part is longer than it may be. Known before any of it is read.
    #[error("a part of the export has {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// What its length says.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// The file ends before the export does.
    #[error("the export is cut short")]
    CutOff,
    /// Something follows the end.
    #[error("something follows the end of the export")]
    Trailing,
    /// The note is none, or not the home relay's about this log.
    #[error("the export's note: {0}")]
    Note(#[from] PeerNoteError),
    /// An export begins with a founding entry.
    #[error("the export has no entries")]
    Empty,
    /// An entry does not decode.
    #[error("entry {index} of the export: {error}")]
    Entry {
        /// Which.
        index: LeafIndex,
        /// Why.
        error: PeerEntryError,
    },
    /// An entry is not admitted.
    #[error("entry {index} of the export: {refusal}")]
    Refused {
        /// Which.
        index: LeafIndex,
        /// Why.
        refusal: Refusal,
    },
    /// A payload is missing, and nothing in the export forgets it.
    #[error("entry {0} of the export lacks its payload, and nothing forgets it")]
    Withheld(LeafIndex),
    /// The root that the home relay signed is not the one of these entries.
    #[error("the export's note is over other entries than the export holds")]
    OtherRoot,
    /// A cosignature does not decode.
    #[error("a cosignature of the export: {0}")]
    CosignatureCodec(PeerCodecError),
    /// A cosignature out of order, of a device that was never here, or over another log.
    #[error("a cosignature of the export is out of its place, a stranger's, or over another log")]
    OtherCosignature,
    /// A cosignature that does not verify.
    #[error("a cosignature of the export: {0}")]
    Cosignature(PeerNoteError),
}

/// The name of the file that holds a committee's log.
pub fn file_name(committee: CommitteeId) -> String {
    format!("{committee}.log")
}

/// The name of the folder beside it that holds the blobs, each under its SHA-256.
pub fn folder_name(committee: CommitteeId) -> String {
    format!("{committee}.blobs")
}

/// An export of which not all has come, or been checked.
#[derive(Debug, Default)]
pub struct UnverifiedExport {
    note: Option<UnverifiedCheckpoint>,
    fold: Option<Committee>,
    past: Entries,
    forgets: BTreeMap<LeafIndex, LeafIndex>,
    blobs: BTreeMap<LeafIndex, Named>,
    signed: Option<SignedCheckpoint>,
    cosignatures: Vec<CosignatureOf>,
}

/// What came of a log before. Its roots and entries are held in memory: about 130 bytes an entry.
#[derive(Debug)]
struct Entries {
    /// By size, that of the empty log first.
    roots: Vec<Hash>,
    entries: Vec<PastEntry>,
}

/// The blobs that a record names, and whose it is.
type Named = (DeviceId, Vec<Blob>);

impl Default for Entries {
    fn default() -> Self {
        Self { roots: vec![Frontier::default().root()], entries: Vec::new() }
    }
}

impl Past for Entries {
    type Error = Refusal;

    fn root_at(&self, size: TreeSize) -> Result<Hash, Refusal> {
        at(&self.roots, size.0).ok_or(Refusal::SeenOutOfRange)
    }

    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, Refusal> {
        at(&self.entries, index.0).ok_or(Refusal::NoSuchRecord)
    }
}

fn at<T: Copy>(values: &[T], index: u64) -> Option<T> {
    usize::try_from(index).ok().and_then(|index| values.get(index)).copied()
}

impl UnverifiedExport {
    /// Takes the next part, in their order.
    pub fn take(&mut self, part: Part) -> Result<(), PeerExportError> {
        match part {
            Part::Note(note) => {
                self.note = Some(UnverifiedCheckpoint::parse(&note)?);
                Ok(())
            }
            Part::Entry(bytes) => self.entry(&bytes),
            Part::Cosignature(bytes) => self.cosignature(&bytes),
        }
    }

    /// Checks what can be said only at the end.
    pub fn finish(mut self) -> Result<VerifiedExport, PeerExportError> {
        self.note_must_fit()?;
        let (Some(fold), Some(note)) = (self.fold, self.signed) else {
            return Err(PeerExportError::Empty);
        };
        let Self { past, forgets, mut blobs, cosignatures, .. } = self;
        let forgotten: BTreeSet<LeafIndex> = forgets.values().copied().collect();
        blobs.retain(|index, _| !forgotten.contains(index));
        Ok(VerifiedExport { fold, past, forgets, forgotten, blobs, note, cosignatures })
    }

    fn entry(&mut self, bytes: &[u8]) -> Result<(), PeerExportError> {
        let index = LeafIndex(self.past.entries.len() as u64);
        let entry = UnverifiedEntry::decode(bytes);
        let entry = entry.map_err(|error| PeerExportError::Entry { index, error })?;
        let (this, author) = (PastEntry::from(&entry), entry.header().author);
        let named = entry.header().blobs.clone();
        let admitted = self.admit(entry);
        let admitted = admitted.map_err(|refusal| PeerExportError::Refused { index, refusal })?;
        if let Some(forgotten) = admitted.forgets {
            self.forgets.insert(index, forgotten);
        }
        if !named.is_empty() {
            self.blobs.insert(index, (author, named));
        }
        self.past.entries.push(this);
        self.past.roots.extend(self.fold.as_ref().map(Committee::root));
        Ok(())
    }

    fn admit(&mut self, entry: UnverifiedEntry) -> Result<Admitted, Refusal> {
        let Some(fold) = &mut self.fold else {
            let (fold, admitted) = Committee::found(entry)?;
            self.fold = Some(fold);
            return Ok(admitted);
        };
        let signed = fold.verify_signature(entry)?;
        fold.admit_logged(signed, &self.past).map_err(|error| match error {
            AdmitError::Refused(refusal) | AdmitError::Past(refusal) => refusal,
        })
    }

    /// The note is the home relay's, and over these entries.
    fn note_must_fit(&mut self) -> Result<(), PeerExportError> {
        let Some(note) = self.note.take() else { return Ok(()) };
        let fold = self.fold.as_ref().ok_or(PeerExportError::Empty)?;
        if let Some(index) = fold.lacking().next() {
            return Err(PeerExportError::Withheld(index));
        }
        let claimed = *note.claimed();
        let key = fold.roster().home().address.key().verifying_key();
        let key = key.map_err(|_| PeerNoteError::Signature)?;
        let signed = note.verify(&key, &Origin { committee: fold.id(), term: fold.term() })?;
        if (claimed.size, claimed.root) != (fold.size(), fold.root()) {
            return Err(PeerExportError::OtherRoot);
        }
        self.signed = Some(signed);
        Ok(())
    }

    fn cosignature(&mut self, bytes: &[u8]) -> Result<(), PeerExportError> {
        self.note_must_fit()?;
        let fold = self.fold.as_ref().ok_or(PeerExportError::Empty)?;
        let kept: CosignatureOf =
            codec::decode(bytes, NOTE_BYTES_MAX).map_err(PeerExportError::CosignatureCodec)?;
        if self.cosignatures.last().is_some_and(|last| last.device >= kept.device)
            || self.past.root_at(kept.size) != Ok(kept.root)
        {
            return Err(PeerExportError::OtherCosignature);
        }
        check_cosignature(fold, &kept)?;
        self.cosignatures.push(kept);
        Ok(())
    }
}

/// Whether a device of the committee vouched for that size and root. Whether they are the log's is for
/// the caller to say.
pub fn check_cosignature(fold: &Committee, kept: &CosignatureOf) -> Result<(), PeerExportError> {
    let key = fold.roster().signing_key(kept.device).ok_or(PeerExportError::OtherCosignature)?;
    let origin = Origin { committee: fold.id(), term: fold.term() };
    let checkpoint = Checkpoint { origin, size: kept.size, root: kept.root };
    let line = UnverifiedCosignature::parse(kept.cosignature.as_bytes())
        .map_err(PeerExportError::Cosignature)?;
    if *line.claimed_cosigner() != Cosigner::Device(kept.device) {
        return Err(PeerExportError::OtherCosignature);
    }
    line.verify(&checkpoint, key).map(|_| ()).map_err(PeerExportError::Cosignature)
}

/// An export of which every entry was admitted, under the home relay's note.
#[derive(Debug)]
pub struct VerifiedExport {
    fold: Committee,
    past: Entries,
    /// What is forgotten, by what forgets it.
    forgets: BTreeMap<LeafIndex, LeafIndex>,
    forgotten: BTreeSet<LeafIndex>,
    blobs: BTreeMap<LeafIndex, Named>,
    note: SignedCheckpoint,
    cosignatures: Vec<CosignatureOf>,
}

impl VerifiedExport {
    /// Whose log it is.
    pub fn committee(&self) -> CommitteeId {
        self.fold.id()
    }

    /// The log, folded.
    pub fn fold(&self) -> &Committee {
        &self.fold
    }

    /// The home relay's note over all of it.
    pub fn note(&self) -> &SignedCheckpoint {
        &self.note
    }

    /// Each device's last cosignature, by device.
    pub fn cosignatures(&self) -> &[CosignatureOf] {
        &self.cosignatures
    }

    /// The root at a size that the log had.
    pub fn root_at(&self, size: TreeSize) -> Option<Hash> {
        self.past.root_at(size).ok()
    }

    /// The leaf hash of an entry.
    pub fn leaf_at(&self, index: LeafIndex) -> Option<Hash> {
        self.past.entry_at(index).ok().map(|entry| entry.leaf)
    }

    /// What the entry at `index` makes forgotten.
    pub fn forgets(&self, index: LeafIndex) -> Option<LeafIndex> {
        self.forgets.get(&index).copied()
    }

    /// Whether an entry is forgotten at the end of the log.
    pub fn is_forgotten(&self, index: LeafIndex) -> bool {
        self.forgotten.contains(&index)
    }

    /// The blobs that records name which are not forgotten, with the device that named each first.
    pub fn blobs(&self) -> BTreeMap<Hash, (DeviceId, Blob)> {
        let mut blobs = BTreeMap::new();
        for (device, named) in self.blobs.values() {
            for blob in named {
                blobs.entry(blob.sha256).or_insert((*device, *blob));
            }
        }
        blobs
    }
}

#[cfg(test)]
mod tests;
