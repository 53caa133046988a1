//! What a relay did that no honest relay does, and what shows it to others.
//!
//! A lie ends with exit 7 and is kept in the vault with the bytes that show it. What the relay signed itself
//! becomes evidence: a file that others can check without this vault. Then the relay is not dealt with for that
//! committee until it shows again what was verified here, or the committee has another home. Whatever stands not
//! under the relay's own signature is no evidence against it, and stops nobody.

use std::path::PathBuf;

use sealpost_protocol::checkpoint::PeerNoteError;
use sealpost_protocol::committee::Refusal;
use sealpost_protocol::entry::PeerEntryError;
use sealpost_protocol::evidence::{Evidence, Finding};
use sealpost_protocol::id::{LeafIndex, TreeSize};
use sealpost_protocol::tree::PeerProofError;

use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::names;
use crate::vault::VaultError;
use crate::vault::committees::Committee;
use crate::vault::evidence::Exhibit;
use crate::vault::stops::Stop;

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
    /// It signed two roots for one size, or for what one of two trees began with.
    #[error("it signed two different logs of {0} entries")]
    TwoRoots(TreeSize),
    /// It signed for an entry of this device, and for another one in its place.
    #[error("it acknowledged entry {0} to this device, and signed for another one in its place")]
    Dropped(LeafIndex),
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
    /// What shows it to others.
    pub evidence: Option<Box<Evidence>>,
    /// Notes of the relay that no log which goes on from the verified one can come to: they have done what they
    /// were kept for.
    void: Vec<String>,
}

impl From<Lie> for Caught {
    fn from(lie: Lie) -> Self {
        Self { lie, exhibits: Vec::new(), evidence: None, void: Vec::new() }
    }
}

impl Caught {
    /// A lie that evidence shows.
    pub fn shown_by(lie: Lie, evidence: Evidence) -> Self {
        Self::from(lie).notes_of(evidence.finding()).showing(Some(evidence))
    }

    /// With the notes of what was found.
    #[must_use]
    pub fn notes_of(self, finding: &Finding) -> Self {
        finding.notes().into_iter().fold(self, |caught, note| caught.note(note.text()))
    }

    /// With what shows it to others, if anything does.
    #[must_use]
    pub fn showing(self, evidence: Option<Evidence>) -> Self {
        Self { evidence: evidence.map(Box::new), ..self }
    }

    /// With a note of the relay's that is binding no more.
    #[must_use]
    pub fn voiding(mut self, note: String) -> Self {
        self.void.push(note);
        self
    }

    /// Whether the relay signed for two logs.
    pub fn is_fork(&self) -> bool {
        let finding = self.evidence.as_deref().map(Evidence::finding);
        matches!(finding, Some(Finding::Fork { .. }))
    }

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

    /// Keeps what shows it, deals with the relay no more where that is evidence, and says what happened. Nothing is
    /// said before it is on the disk.
    pub fn told(self, app: &mut App, committee: &Committee) -> Failure {
        let reference = names::committee_ref(&committee.id);
        let mut what = format!("The relay of {reference} lied: {}", self.lie);
        let audit = format!(
            "Compare head codes with colleagues by phone: sealpost committee audit {reference}"
        );
        let (kept, next) = match self.keep(app, committee) {
            Ok(None) if self.exhibits.is_empty() => ("", audit),
            Ok(None) => (" What shows it is kept in the vault.", audit),
            Ok(Some(path)) => {
                let path = path.display();
                what = format!("{what} (evidence: {path})");
                let others = format!("Show it to others: sealpost proof verify {path}");
                (" What is written here waits in the vault.", format!("{others}; {audit}"))
            }
            Err(error) => return evidence_lost(&what, error),
        };
        let next = match self.lie {
            Lie::Blob | Lie::BlobGone => {
                "Whoever attached it may have it still: ask them to attach it anew.".to_owned()
            }
            _ => next,
        };
        Failure::new(Error::Verification, what)
            .safe(format!("What was verified before stays as it was; nothing new was taken.{kept}"))
            .next(next)
    }

    /// Where the evidence is, if it is any. While a relay is not dealt with, one file of each kind is enough: what
    /// it says meanwhile in ever other words is no other lie.
    pub(crate) fn keep(
        &self,
        app: &mut App,
        committee: &Committee,
    ) -> Result<Option<PathBuf>, VaultError> {
        let (no, now) = (committee.no, app.clock.now());
        let Some(evidence) = &self.evidence else {
            app.vault.write(|vault| {
                for (exhibit, bytes) in &self.exhibits {
                    vault.keep_evidence(no, *exhibit, bytes, now)?;
                }
                self.void.iter().try_for_each(|note| vault.void_ahead(no, note))
            })?;
            return Ok(None);
        };
        let kind = evidence.finding().kind();
        let earlier = app.vault.read(|vault| vault.stop(no))?.filter(|stop| stop.kind == kind);
        let there = earlier.map(|stop| app.vault.evidence_path(&stop.file));
        if let Some(path) = there.filter(|path| path.is_file()) {
            app.vault
                .write(|vault| self.void.iter().try_for_each(|it| vault.void_ahead(no, it)))?;
            return Ok(Some(path));
        }
        let (file, text) = (evidence.file_name(), evidence.to_string());
        // First the file: what the vault speaks of is there. Should it not be written, the vault keeps it.
        let written = app.vault.write_evidence(&file, &text);
        let stop = Stop { kind: kind.to_owned(), file, since: now };
        app.vault.write(|vault| {
            vault.keep_evidence(no, Exhibit::File, text.as_bytes(), now)?;
            vault.put_stop(no, &stop)?;
            self.void.iter().try_for_each(|note| vault.void_ahead(no, note))
        })?;
        written.map(Some)
    }
}

/// An error while the relay of a committee is not dealt with: only a sync asks it again.
pub fn must_be_dealt_with(app: &App, known: &Committee) -> Result<(), Failure> {
    let Some(stop) = app.vault.read(|vault| vault.stop(known.no))? else { return Ok(()) };
    let (reference, path) = (names::committee_ref(&known.id), app.vault.evidence_path(&stop.file));
    let what = format!(
        "The relay of {reference} lied (evidence: {}), and has not shown since what was verified here",
        path.display()
    );
    Err(Failure::new(Error::Verification, what)
        .safe("What was verified before can be read; what is written waits in the vault.")
        .next("sealpost sync, which asks the relay again"))
}

fn evidence_lost(what: &str, error: VaultError) -> Failure {
    Failure::new(Error::Verification, format!("{what}. The evidence could not be written"))
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
