//! What a relay did that no honest relay does, and what shows it to others.
//!
//! A lie ends with exit 7 and is kept in the vault with the bytes that show it. Whatever stands not
//! under the relay's own signature is no lie of the relay's.

use sealpost_protocol::checkpoint::PeerNoteError;
use sealpost_protocol::committee::Refusal;
use sealpost_protocol::entry::PeerEntryError;
use sealpost_protocol::id::{LeafIndex, TreeSize};
use sealpost_protocol::tree::PeerProofError;

use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::names;
use crate::vault::VaultError;
use crate::vault::committees::Committee;
use crate::vault::evidence::Exhibit;

/// The relay's lie.
#[derive(Debug, thiserror::Error)]
pub enum Lie {
    /// Its checkpoint does not parse, or is not signed by it for this log.
    #[error("its checkpoint is not sound: {0}")]
    Note(#[from] PeerNoteError),
    /// It shows less than it has signed for.
    #[error("it shows {shown} entries and has signed for {held}")]
    RolledBack {
        /// What it signed for before.
        held: TreeSize,
        /// What it shows now.
        shown: TreeSize,
    },
    /// It says that it holds nothing of a log that it has signed for.
    #[error("it says that it holds nothing of a log of which it signed for {0} entries")]
    Gone(TreeSize),
    /// It signed two roots for one size.
    #[error("it signed two different logs of {0} entries")]
    TwoRoots(TreeSize),
    /// The entries it sent do not make the tree that it signed.
    #[error("the entries it sent are not those it signed for")]
    Root,
    /// What it sent is no entry.
    #[error("what it sent for entry {index} is none: {error}")]
    Entry {
        /// Where.
        index: LeafIndex,
        /// Why.
        error: PeerEntryError,
    },
    /// It let in an entry that no rule admits.
    #[error("entry {index} is not admissible: {refusal}")]
    Inadmissible {
        /// Where.
        index: LeafIndex,
        /// Which rule.
        refusal: Refusal,
    },
    /// The log it serves under the committee's id is another one.
    #[error("the log it serves was founded by another entry")]
    OtherCommittee,
    /// The committee's home is another relay than the one that was named.
    #[error("the committee's home is another relay than the invitation names")]
    OtherHome,
    /// The newcomer's log does not contain what the inviter had verified.
    #[error(
        "its log does not contain what whoever invited says to have verified: one of them lies"
    )]
    InvitationHead,
    /// The receipt of an accepted entry proves nothing.
    #[error("its receipt for an accepted entry does not hold: {0}")]
    Receipt(PeerProofError),
    /// Its proof that this device was cut off does not hold.
    #[error("its proof that this device was cut off does not hold: {0}")]
    CutOffProof(PeerProofError),
    /// What it shows this device for having cut it off does not.
    #[error("the entry by which it says that this device was cut off does not do that")]
    CutOffEntry,
    /// It shows a device the entry that cut it off before it was let in again.
    #[error("it says that this device is cut off, by an entry from before it was let in again")]
    CutOffOver,
    /// What it sent for a blob is not what the entry names that it signed for.
    #[error("what it sent for an attachment is not what its entry names")]
    Blob,
    /// It has signed for the entry that names a blob, and does not have it.
    #[error("it took an attachment's entry and does not have the attachment")]
    BlobGone,
    /// It withholds the payload of a record that nothing in its log forgets.
    #[error("it shows entry {0} without its payload, and nothing in its log forgets it")]
    Withheld(LeafIndex),
    /// It answered for another number of entries than were sent.
    #[error("it answered for {got} entries of {sent}")]
    Results {
        /// How many were sent.
        sent: usize,
        /// How many answers came.
        got: usize,
    },
}

impl Lie {
    /// Whether a payload was left out.
    pub fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld(_))
    }
}

/// A lie, and the bytes that show it.
#[derive(Debug)]
pub struct Caught {
    /// What it did.
    pub lie: Lie,
    /// Notes and entries that show it.
    pub exhibits: Vec<(Exhibit, Vec<u8>)>,
}

impl From<Lie> for Caught {
    fn from(lie: Lie) -> Self {
        Self { lie, exhibits: Vec::new() }
    }
}

impl Caught {
    /// With a note that shows it.
    #[must_use]
    pub fn note(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.exhibits.push((Exhibit::Note, text.into()));
        self
    }

    /// With an entry that shows it.
    #[must_use]
    pub fn entry(mut self, bytes: &[u8]) -> Self {
        self.exhibits.push((Exhibit::Entry, bytes.to_vec()));
        self
    }

    /// Keeps the exhibits and says what happened.
    pub fn told(self, app: &mut App, committee: &Committee) -> Failure {
        let now = app.clock.now();
        let kept = app.vault.write(|vault| {
            self.exhibits.iter().try_for_each(|(exhibit, bytes)| {
                vault.keep_evidence(committee.no, *exhibit, bytes, now)
            })
        });
        let reference = names::committee_ref(&committee.id);
        let what = format!("The relay of {reference} lied: {}", self.lie);
        let kept = match kept {
            Ok(()) if self.exhibits.is_empty() => "",
            Ok(()) => " What shows it is kept as evidence.",
            Err(error) => return evidence_lost(&what, error),
        };
        let next = match self.lie {
            Lie::Blob | Lie::BlobGone => {
                "Whoever attached it may have it still: ask them to attach it anew.".to_owned()
            }
            _ => format!(
                "Compare head codes with colleagues by phone: sealpost committee audit {reference}"
            ),
        };
        Failure::new(Error::Verification, what)
            .safe(format!("What was verified before stays as it was; nothing new was taken.{kept}"))
            .next(next)
    }
}

fn evidence_lost(what: &str, error: VaultError) -> Failure {
    Failure::new(Error::Verification, format!("{what}. The evidence could not be kept"))
        .because(error)
        .next("Free some space, then sealpost sync")
}

/// Why a log could not be followed.
#[derive(Debug)]
pub enum FollowError {
    /// The relay lied.
    Caught(Caught),
    /// Something else.
    Failed(Failure),
}

impl FollowError {
    /// As it is told, with the evidence kept.
    pub fn told(self, app: &mut App, committee: &Committee) -> Failure {
        match self {
            Self::Caught(caught) => caught.told(app, committee),
            Self::Failed(failure) => failure,
        }
    }
}

impl From<Caught> for FollowError {
    fn from(caught: Caught) -> Self {
        Self::Caught(caught)
    }
}

impl From<Lie> for FollowError {
    fn from(lie: Lie) -> Self {
        Self::Caught(lie.into())
    }
}

impl<E: Into<Failure>> From<E> for FollowError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
