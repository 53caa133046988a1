//! A proof: a folder by which an outsider checks one record without this program (SPEC.md §22).
//!
//! ```text
//! make     record in its place, what is shown of it, attachments, roster, note ── Folder ── checked
//!          ── files by name: those of the folder, devices/…, VERIFY.md, manifest.txt
//! verify   files by name ── manifest.txt ── Folder ── note signed by the home? roster without a gap?
//!          author entitled? in the tree? opens under one key alone? ── Proof
//! ```
//!
//! Both go through [`Folder::check`], so what is made is what holds. No file is read or written here, and
//! blobs, which may be of any size, are never held: whoever has them says their hash, and opens them
//! with what [`Attached`] says.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::PeerNoteError;
use crate::committee::PeerChainError;
use crate::entry::PeerEntryError;
use crate::hash::Hash;
use crate::id::DeviceId;
use crate::limits::{
    PROOF_BLOBS_BYTES_MAX, PROOF_BLOBS_MAX, PROOF_BYTES_MAX, PROOF_FILE_BYTES_MAX, PROOF_FILES_MAX,
};
use crate::record::PeerRecordError;
use crate::seal::{PeerOpenError, RecordKey};
use crate::tree::PeerProofError;

mod attached;
mod check;
mod field;
mod files;
mod folder;
mod inclusion;
mod manifest;
mod measure;
mod steps;

pub use attached::Attached;
pub use check::{Cosigned, Proof, Proven, ShownPart};
pub use field::ProvenField;
pub use files::BLOB;
pub use folder::{Folder, Placed, Shown, Whole};
pub use inclusion::Inclusion;
pub use manifest::{MANIFEST, Manifest};
pub use measure::Measure;

/// The files of a proof by their names in the folder, all but blobs.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why a folder does not prove what it says. Always the fault of whoever made or changed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerFolderError {
    /// The manifest is not a line `hash  name` for each file, sorted, and nothing else.
    #[error("manifest.txt is not one line a file in the order of their names")]
    Manifest,
    /// A file that the manifest or the format asks for is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is there that the manifest or the format does not know.
    #[error("{0} does not belong here")]
    Extra(String),
    /// A file is not the one that the manifest lists.
    #[error("{0} was changed: it is not what manifest.txt lists")]
    Altered(String),
    /// A file is not written in its one form.
    #[error("{0} is malformed")]
    Malformed(String),
    /// The steps are not those for this folder.
    #[error("VERIFY.md does not describe the steps for this folder")]
    Steps,
    /// What should be an entry is none, or its payload is not the one its header names.
    #[error("{name}: {error}")]
    Entry {
        /// The folder of the entry.
        name: String,
        /// Why.
        error: PeerEntryError,
    },
    /// The note is not the home relay's.
    #[error("note.txt: {0}")]
    Note(PeerNoteError),
    /// An entry or a field is not in the tree.
    #[error("{name}: it is not in the tree: {error}")]
    Inclusion {
        /// Its folder.
        name: String,
        /// Why.
        error: PeerProofError,
    },
    /// It is in a tree of another size than the note's.
    #[error("{0}: its place is one in a tree of another size than that of note.txt")]
    OtherTree(String),
    /// The roster is not gap-free, or an author was not entitled.
    #[error("{name}: {error}")]
    Roster {
        /// The folder of the entry.
        name: String,
        /// Why.
        error: PeerChainError,
    },
    /// A cosignature is none of this checkpoint by an active device of the committee.
    #[error("cosignatures.txt: {0}")]
    Cosignature(PeerNoteError),
    /// A cosigner is no active device of the roster that is shown.
    #[error("cosignatures.txt: {0} is no active device of the roster that is shown")]
    Cosigner(DeviceId),
    /// The header of the sealed payload was made with another key than the one that is disclosed: the
    /// payload opens under two, or the key is invented.
    #[error("{0}: its header was not made with the file key that is disclosed: it has another one")]
    OtherKey(String),
    /// What was sealed anew is not the payload: other nonce or chunks.
    #[error("{0}: its body is not that of the payload")]
    OtherBody(String),
    /// It does not open.
    #[error("{name}: {error}")]
    Open {
        /// The file.
        name: String,
        /// Why.
        error: PeerOpenError,
    },
    /// The plaintext is not what the file key opens.
    #[error("{0}: it is not what the file key opens")]
    Plaintext(String),
    /// The plaintext is not the record of its header.
    #[error("{name}: {error}")]
    Record {
        /// The file.
        name: String,
        /// Why.
        error: PeerRecordError,
    },
    /// The record names blobs, which an attachment's alone does.
    #[error("{0}: its header names blobs, as that of an attachment alone may")]
    Blobs(String),
    /// The record of an attachment does not say what one must, or belongs to another record.
    #[error("{0}: it is no attachment of this record, or does not say what its blob is")]
    Attachment(String),
    /// The attachment names the record by its id, which everybody in the committee knows, and is another
    /// member's than the record.
    #[error(
        "{0}: another member signed it than the record, and anybody can name a record's id: nothing shows \
         that it belongs to it"
    )]
    OtherMember(String),
    /// More files than a proof may have.
    #[error("it has more than {PROOF_FILES_MAX} files")]
    TooManyFiles,
    /// A file, blobs aside, is longer than one of a proof may be.
    #[error("{0} is longer than {PROOF_FILE_BYTES_MAX} bytes")]
    FileTooLarge(String),
    /// All files together, blobs aside, are longer than those of a proof may be.
    #[error("its files have more than {PROOF_BYTES_MAX} bytes together, blobs aside")]
    TooLarge,
    /// More blobs than a proof may have.
    #[error("it has more than {PROOF_BLOBS_MAX} blobs")]
    TooManyBlobs,
    /// Its blobs together are longer than the largest one may be.
    #[error("its blobs have more than {PROOF_BLOBS_BYTES_MAX} bytes together")]
    BlobsTooLarge,
}

impl PeerFolderError {
    fn missing(name: impl Into<String>) -> Self {
        Self::Missing(name.into())
    }
}

/// A folder ready to be written.
pub struct Made {
    /// Every file but the blobs, the manifest too.
    pub files: Files,
    /// The blobs: their names and hashes.
    pub blobs: BTreeMap<String, Hash>,
    /// What it proves.
    pub proof: Proof,
}

impl Folder {
    /// The files of the folder, once it holds.
    pub fn make(self) -> Result<Made, PeerFolderError> {
        let proof = self.check()?;
        let mut files = self.to_files();
        files.extend(devices(&proof));
        files.insert(steps::STEPS.to_owned(), steps::text(&proof).into_bytes());
        let blobs = proof.blobs();
        let manifest = Manifest::of(&hashes(&files, &blobs));
        files.insert(MANIFEST.to_owned(), manifest.to_string().into_bytes());
        let mut measure = Measure::default();
        measure_files(&mut measure, &files)?;
        let attached = proof.attachments.iter().filter_map(|entry| entry.attached.as_ref());
        for one in attached {
            measure.blob(one.blob.size)?;
        }
        Ok(Made { files, blobs, proof })
    }
}

fn measure_files(measure: &mut Measure, files: &Files) -> Result<(), PeerFolderError> {
    files.iter().try_for_each(|(name, bytes)| measure.file(name, bytes.len()))
}

/// Verifies the files of a folder. `blobs` are the hashes of the files that are not in `files`, by name:
/// they are to be opened by who has them, with what [`Proven::attached`] says.
///
/// Whoever reads a folder that others made counts with a [`Measure`] of their own while they do.
pub fn verify(mut files: Files, blobs: &BTreeMap<String, Hash>) -> Result<Proof, PeerFolderError> {
    measure_files(&mut Measure::default(), &files)?;
    let manifest = files.remove(MANIFEST).ok_or_else(|| PeerFolderError::missing(MANIFEST))?;
    Manifest::parse(&manifest)?.check(&hashes(&files, blobs))?;
    let text = files.remove(steps::STEPS).ok_or_else(|| PeerFolderError::missing(steps::STEPS))?;
    let mut shown_devices = split_off(&mut files, "devices/");
    let proof = Folder::from_files(files)?.check()?;
    for (name, keys) in devices(&proof) {
        match shown_devices.remove(&name) {
            Some(shown) if shown == keys => {}
            Some(_) => return Err(PeerFolderError::Malformed(name)),
            None => return Err(PeerFolderError::Missing(name)),
        }
    }
    let expected = proof.blobs();
    let beyond = shown_devices.into_keys().next();
    let beyond = beyond.or_else(|| first_beyond(blobs, &expected));
    if let Some(name) = beyond {
        return Err(PeerFolderError::Extra(name));
    }
    for (name, sha256) in &expected {
        match blobs.get(name) {
            Some(found) if found == sha256 => {}
            Some(_) => return Err(PeerFolderError::Altered(name.clone())),
            None => return Err(PeerFolderError::Missing(name.clone())),
        }
    }
    if text != steps::text(&proof).as_bytes() {
        return Err(PeerFolderError::Steps);
    }
    Ok(proof)
}

fn first_beyond(found: &BTreeMap<String, Hash>, known: &BTreeMap<String, Hash>) -> Option<String> {
    found.keys().find(|name| !known.contains_key(*name)).cloned()
}

/// The keys of every device that signed something here, by the name of their file.
fn devices(proof: &Proof) -> Files {
    let authors = proof.entries().map(|(_, entry)| entry.header.author);
    let cosigners = proof.cosigners.iter().map(|cosigned| cosigned.device);
    let all: BTreeSet<DeviceId> = authors.chain(cosigners).collect();
    let keys = |device: DeviceId| {
        let known = proof.roster.device(device).expect("who signed stands in the roster");
        (files::device(device), known.card.keys())
    };
    all.into_iter().map(keys).collect()
}

fn hashes(files: &Files, blobs: &BTreeMap<String, Hash>) -> BTreeMap<String, Hash> {
    let of_files = files.iter().map(|(name, bytes)| (name.clone(), Hash::of(bytes)));
    of_files.chain(blobs.iter().map(|(name, hash)| (name.clone(), *hash))).collect()
}

/// Takes out the files whose names begin with `prefix`.
fn split_off(files: &mut Files, prefix: &str) -> Files {
    let names: Vec<String> =
        files.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    names.into_iter().filter_map(|name| files.remove_entry(&name)).collect()
}

#[cfg(test)]
mod tests;
