//! Evidence: what a relay signed that no honest relay signs, in one file (SPEC.md §27).
//!
//! ```text
//! client     two notes, or a note and an entry ── Finding ── Evidence ── text, a file
//! outsider   text ── notes signed by the relay named? proofs lead to their roots? do they
//!            contradict each other? ── Evidence
//! ```
//!
//! Both go through [`Evidence::new`], so what is made is what holds. It takes the file and the relay's key and
//! nothing else. No file is read or written here. Whatever is not under the relay's own signature is no
//! evidence against it: there is no [`Finding`] for that.

use std::fmt;

use crate::address::key_to_text;
use crate::card::{self, PeerCardError};
use crate::checkpoint::{
    Checkpoint, Origin, PeerNoteError, SignedCheckpoint, UnverifiedCheckpoint,
};
use crate::entry::{Header, PeerEntryError, UnverifiedEntry};
use crate::hash::Hash;
use crate::id::{DeviceId, LeafIndex, TreeSize};
use crate::limits::EVIDENCE_BYTES_MAX;
use crate::sign::PublicKey;
use crate::tree::{self, MakeProofError, Nodes, PeerProofError, Proof};

mod text;

/// What a relay signed, checked: each [`Finding`] says what that shows and what it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    relay: PublicKey,
    finding: Finding,
}

/// What contradicts what. All notes are of one log, by one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Two notes that no single log has. Shown by signatures alone.
    Fork {
        /// The one that is not longer.
        old: SignedCheckpoint,
        /// The other.
        new: SignedCheckpoint,
        /// What the tree of `new` had for a root when it was as long as that of `old`.
        begins: Hash,
        /// The way from there to the root of `new` (RFC 6962 §2.1.2).
        steps: Proof,
    },
    /// Two notes of different sizes, the shorter shown after the longer. The order is the word of who made the
    /// file: an honest relay signs both, the shorter one first.
    Rollback {
        /// The one that was verified.
        held: SignedCheckpoint,
        /// The shorter one that was shown later.
        shown: SignedCheckpoint,
        /// An entry that the relay acknowledged under `held` and that `shown` is too short for.
        receipt: Option<Placed>,
    },
    /// An entry the relay acknowledged, and a note of a tree with another one in its place. Shown by
    /// signatures alone.
    Dropped {
        /// The note of the receipt.
        held: SignedCheckpoint,
        /// The entry in its place.
        receipt: Placed,
        /// The other note.
        shown: SignedCheckpoint,
        /// What stands in that place there.
        leaf: Hash,
        /// The way from there to the root of `shown`.
        steps: Proof,
    },
    /// An entry in the relay's log that the device it names did not sign. Shown by signatures alone.
    Rewritten {
        /// The note.
        note: SignedCheckpoint,
        /// The entry in its place.
        entry: Placed,
        /// The encoded keys of its author, whose SHA-256 is the device id.
        keys: Vec<u8>,
    },
    /// An entry in the relay's log whose author had seen another log: none of whom this relay could let it in.
    /// Shown by signatures alone.
    Seen {
        /// The note.
        note: SignedCheckpoint,
        /// The entry in its place.
        entry: Placed,
        /// The root of the relay's tree at the size its author had seen.
        begins: Hash,
        /// The way from there to the root of `note`.
        steps: Proof,
    },
}

/// An entry without its payload, in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which place.
    pub index: LeafIndex,
    /// The entry.
    pub entry: UnverifiedEntry,
    /// The way from its leaf to the root.
    pub steps: Proof,
}

/// Why a file is no evidence. Always the fault of whoever made or changed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerEvidenceError {
    /// It begins as no evidence does.
    #[error("it is no evidence file")]
    Magic,
    /// Made by a newer program.
    #[error("evidence of version {0}, this program knows 1")]
    NewerVersion(String),
    /// Longer than [`EVIDENCE_BYTES_MAX`].
    #[error("{0} bytes, more than evidence may have")]
    TooLong(usize),
    /// A part is missing, unknown, or not written in its one form.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// A note is not the relay's, or of another log than the first.
    #[error("a note: {0}")]
    Note(#[from] PeerNoteError),
    /// The sizes are not in the order that this kind of evidence has.
    #[error("the sizes are not those of such evidence")]
    Sizes,
    /// What should be an entry is none.
    #[error(transparent)]
    Entry(#[from] PeerEntryError),
    /// An entry has its payload with it.
    #[error("the entry comes with its payload, which belongs to nobody else")]
    Payload,
    /// An entry is of another log than the notes.
    #[error("the entry is of another log than the notes")]
    OtherLog,
    /// An entry or leaf does not stand where it is said to.
    #[error("the place: {0}")]
    Inclusion(PeerProofError),
    /// The tree did not begin as it is said to.
    #[error("the beginning: {0}")]
    Beginning(PeerProofError),
    /// The keys are not those of the entry's author.
    #[error("the keys are not those of the entry's author")]
    OtherKeys,
    /// The keys do not read.
    #[error("the keys: {0}")]
    Keys(PeerCardError),
    /// What is shown does not contradict itself: an honest relay signs that.
    #[error("what it shows does not contradict itself")]
    Consistent,
}

impl Evidence {
    /// Checks what was found about the relay whose key is `relay`.
    pub fn new(relay: PublicKey, finding: Finding) -> Result<Self, PeerEvidenceError> {
        let origin = finding.origin();
        for note in finding.notes() {
            verified(note.text(), relay, &origin)?;
        }
        finding.check()?;
        Ok(Self { relay, finding })
    }

    /// Not sound perhaps.
    #[cfg(test)]
    pub(crate) fn unchecked(relay: PublicKey, finding: Finding) -> Self {
        Self { relay, finding }
    }

    /// Holds `note` against `head` of the same log, whose tree has these nodes, and of which `note` says no
    /// more. The fork, if there is one.
    pub fn of_fork<N: Nodes + ?Sized>(
        relay: PublicKey,
        note: &SignedCheckpoint,
        head: &SignedCheckpoint,
        nodes: &N,
    ) -> Result<Option<Self>, MakeProofError<N::Error>> {
        let (old, new) = (note.checkpoint().size, head.checkpoint().size);
        let begins = tree::root_at(old, nodes)?;
        let steps = tree::consistency_proof(old, new, nodes)?;
        let fork = Finding::Fork { old: note.clone(), new: head.clone(), begins, steps };
        Ok(Self::new(relay, fork).ok())
    }

    /// Reads a file and checks it.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeerEvidenceError> {
        if bytes.len() > EVIDENCE_BYTES_MAX {
            return Err(PeerEvidenceError::TooLong(bytes.len()));
        }
        let (relay, finding) = text::parse(bytes)?;
        let read = Self::new(relay, finding)?;
        match read.to_string().as_bytes() == bytes {
            true => Ok(read),
            false => Err(PeerEvidenceError::Malformed("not in its one form")),
        }
    }

    /// The key of the relay it is about.
    pub fn relay(&self) -> &PublicKey {
        &self.relay
    }

    /// The log it is about.
    pub fn origin(&self) -> Origin {
        self.finding.origin()
    }

    /// What was found.
    pub fn finding(&self) -> &Finding {
        &self.finding
    }

    /// What its file is called, whoever makes it: the same evidence has the same name, and the name says nothing.
    pub fn file_name(&self) -> String {
        let hash = Hash::of(self.to_string().as_bytes()).to_string();
        format!("{}.txt", &hash[..16])
    }
}

impl fmt::Display for Evidence {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, &key_to_text(&self.relay), &self.finding)
    }
}

/// A note under the relay's key, of this log.
fn verified(
    note: &str,
    relay: PublicKey,
    origin: &Origin,
) -> Result<SignedCheckpoint, PeerEvidenceError> {
    let key = relay.verifying_key().map_err(|_| PeerEvidenceError::Malformed("the relay's key"))?;
    Ok(UnverifiedCheckpoint::parse(note.as_bytes())?.verify(&key, origin)?)
}

impl Finding {
    /// The word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fork { .. } => "fork",
            Self::Rollback { .. } => "rollback",
            Self::Dropped { .. } => "dropped",
            Self::Rewritten { .. } => "rewritten",
            Self::Seen { .. } => "seen",
        }
    }

    /// Whether the relay's signatures alone show it, and nobody's word.
    pub fn is_by_signatures_alone(&self) -> bool {
        !matches!(self, Self::Rollback { .. })
    }

    /// The log it is about.
    pub fn origin(&self) -> Origin {
        self.first().checkpoint().origin
    }

    /// The notes, in the order of the file.
    pub fn notes(&self) -> Vec<&SignedCheckpoint> {
        match self {
            Self::Fork { old, new, .. } => vec![old, new],
            Self::Rollback { held, shown, .. } | Self::Dropped { held, shown, .. } => {
                vec![held, shown]
            }
            Self::Rewritten { note, .. } | Self::Seen { note, .. } => vec![note],
        }
    }

    fn first(&self) -> &SignedCheckpoint {
        match self {
            Self::Fork { old: note, .. }
            | Self::Rollback { held: note, .. }
            | Self::Dropped { held: note, .. }
            | Self::Rewritten { note, .. }
            | Self::Seen { note, .. } => note,
        }
    }

    fn check(&self) -> Result<(), PeerEvidenceError> {
        match self {
            Self::Fork { old, new, begins, steps } => {
                let (old, new) = (old.checkpoint(), new.checkpoint());
                check_beginning(old.size, begins, new, steps)?;
                contradicts(*begins != old.root)
            }
            Self::Rollback { held, shown, receipt } => {
                check_rollback(held.checkpoint(), shown.checkpoint(), receipt.as_ref())
            }
            Self::Dropped { held, receipt, shown, leaf, steps } => {
                receipt.check(held.checkpoint())?;
                let tree = shown.checkpoint();
                tree::verify_inclusion(leaf, receipt.index, tree.size, steps, &tree.root)
                    .map_err(PeerEvidenceError::Inclusion)?;
                contradicts(*leaf != receipt.entry.leaf())
            }
            Self::Rewritten { note, entry, keys } => {
                entry.check(note.checkpoint())?;
                if DeviceId(Hash::of(keys)) != entry.header().author {
                    return Err(PeerEvidenceError::OtherKeys);
                }
                let key = card::signing_key_of(keys).map_err(PeerEvidenceError::Keys)?;
                contradicts(entry.entry.clone().verify(&key).is_err())
            }
            Self::Seen { note, entry, begins, steps } => {
                entry.check(note.checkpoint())?;
                let seen = entry.header().seen;
                if seen.size.0 > entry.index.0 {
                    return Err(PeerEvidenceError::Sizes);
                }
                check_beginning(seen.size, begins, note.checkpoint(), steps)?;
                contradicts(*begins != seen.root)
            }
        }
    }
}

impl Placed {
    /// What it claims.
    pub fn header(&self) -> &Header {
        self.entry.header()
    }

    /// Whether it is an entry of this log, without payload, in its place.
    fn check(&self, tree: &Checkpoint) -> Result<(), PeerEvidenceError> {
        if self.entry.payload().is_some() {
            return Err(PeerEvidenceError::Payload);
        }
        let (header, leaf, origin) = (self.header(), self.entry.leaf(), tree.origin);
        let is_of_log = match self.index {
            LeafIndex(0) => leaf == origin.committee.0,
            _ => (header.committee, header.term) == (origin.committee, origin.term),
        };
        if !is_of_log {
            return Err(PeerEvidenceError::OtherLog);
        }
        tree::verify_inclusion(&leaf, self.index, tree.size, &self.steps, &tree.root)
            .map_err(PeerEvidenceError::Inclusion)
    }
}

fn check_beginning(
    size: TreeSize,
    root: &Hash,
    tree: &Checkpoint,
    steps: &Proof,
) -> Result<(), PeerEvidenceError> {
    tree::verify_consistency(size, tree.size, steps, root, &tree.root)
        .map_err(PeerEvidenceError::Beginning)
}

fn check_rollback(
    held: &Checkpoint,
    shown: &Checkpoint,
    receipt: Option<&Placed>,
) -> Result<(), PeerEvidenceError> {
    if shown.size >= held.size || receipt.is_some_and(|receipt| receipt.index.0 < shown.size.0) {
        return Err(PeerEvidenceError::Sizes);
    }
    receipt.map_or(Ok(()), |receipt| receipt.check(held))
}

fn contradicts(does: bool) -> Result<(), PeerEvidenceError> {
    if does { Ok(()) } else { Err(PeerEvidenceError::Consistent) }
}

#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
