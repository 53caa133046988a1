//! A committee's log on this device: the verified fold, and the one way in which it grows.
//!
//! ```text
//! entries + note ── note signed by the home? ── leaves make its root? ── each admitted?
//!                   ── Extension ──> one transaction: entries, nodes, what opens, position
//! ```
//!
//! Roots come first: nothing of an entry is looked at before the whole stretch is known to be what
//! the relay signed for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::checkpoint::{Checkpoint, Origin, SignedCheckpoint, UnverifiedCheckpoint};
use sealpost_protocol::committee::{AdmitError, Committee as Fold, Refusal};
use sealpost_protocol::entry::{Admitted, Kind, PeerEntryError, SignedEntry, UnverifiedEntry};
use sealpost_protocol::forget::{Past, PastEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{LeafIndex, Term, TreeSize};
use sealpost_protocol::limits;
use sealpost_protocol::sign::VerifyingKey;
use sealpost_protocol::tree::{self, Frontier, MakeProofError};

use crate::cores;
use crate::error::{Failure, Kind as Error};
use crate::lie::{Caught, FollowError, Lie};
use crate::relay;
use crate::vault::committees::{Committee, CommitteeNo, Position};
use crate::vault::folds::Kept;
use crate::vault::{Read, VaultError};

mod contradiction;

pub use contradiction::{Compared, OtherLog, receipt};

/// Nodes of a tree that are kept when they were read: more than any root is made of.
const NODES_READ_MAX: usize = 1_024;

/// A log as far as it is verified.
pub struct Log {
    /// What the vault knows of the committee.
    pub known: Committee,
    fold: Option<Arc<Fold>>,
    address: RelayAddress,
}

/// What a relay sent: entries as they came, and the note that is to cover them.
#[derive(Debug, Default)]
pub struct Pulled {
    /// In log order, from the verified size on.
    pub entries: Vec<Vec<u8>>,
    /// The note, unverified.
    pub note: String,
}

impl Pulled {
    /// Whether it goes to the log's end, and was not broken off for its size.
    pub fn is_whole(&self) -> bool {
        self.entries.iter().map(Vec::len).sum::<usize>() < limits::PULL_BYTES_MAX
    }
}

/// What a log must come to, besides the note it is pulled under.
#[derive(Clone, Debug)]
pub struct Mark {
    /// At which size.
    pub size: TreeSize,
    /// Which root.
    pub root: Hash,
    /// Who says so.
    pub by: MarkBy,
}

/// Who says what a log must come to.
#[derive(Clone, Debug)]
pub enum MarkBy {
    /// The relay, by another signed note.
    Relay(String),
    /// Whoever invited.
    Inviter,
}

/// A verified stretch of the log, not yet stored.
pub struct Extension {
    /// Its entries, admitted.
    pub admitted: Vec<Admitted>,
    /// The fold behind them.
    pub fold: Fold,
    /// The nodes they complete, the first at [`tree::node_count`] of the size before.
    pub nodes: Vec<Hash>,
    /// The size before.
    pub from: TreeSize,
    /// The note that covers them.
    pub note: SignedCheckpoint,
}

impl Log {
    /// Loads what is verified.
    pub fn load(vault: &Read<'_>, no: CommitteeNo) -> Result<Self, Failure> {
        let known = vault.committee_no(no)?;
        let fold = match vault.fold(no)? {
            None => None,
            Some(Kept::Fold(fold)) => Some(fold),
            // The entries are there.
            Some(Kept::Older(position)) => Some(Arc::new(fold_again(vault, no, &position)?)),
        };
        let address = match &fold {
            Some(fold) => fold.roster().home().address.clone(),
            None => relay::address_of(&known.relay)?,
        };
        Ok(Self { known, fold, address })
    }

    /// The fold; none before the first pull.
    pub fn fold(&self) -> Option<&Fold> {
        self.fold.as_deref()
    }

    /// The fold, for what only a committee that was pulled can do.
    pub fn pulled(&self) -> Result<&Fold, Failure> {
        self.fold().ok_or_else(|| {
            Failure::new(Error::NotDelivered, "Nothing of this committee's log is here yet")
                .next("sealpost sync")
        })
    }

    /// How many entries are verified.
    pub fn size(&self) -> TreeSize {
        self.fold().map_or(TreeSize(0), Fold::size)
    }

    /// The home relay.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// The head, once there is one.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let fold = self.fold()?;
        Some(Checkpoint { origin: self.origin(), size: fold.size(), root: fold.root() })
    }

    /// What its checkpoints are about.
    pub fn origin(&self) -> Origin {
        let term = self.fold().map_or(Term(1), Fold::term);
        Origin { committee: self.known.id, term }
    }

    /// A note of the home relay about this log.
    pub fn verify_note(&self, text: &str) -> Result<SignedCheckpoint, Lie> {
        let unverified = UnverifiedCheckpoint::parse(text.as_bytes())?;
        Ok(unverified.verify(&self.home_key()?, &self.origin())?)
    }

    fn home_key(&self) -> Result<VerifyingKey, Lie> {
        // Parsing an address refuses what is no usable key.
        let key = self.address.key().verifying_key();
        key.map_err(|_| Lie::Note(sealpost_protocol::checkpoint::PeerNoteError::OtherKey))
    }

    /// Verifies what a relay sent. Nothing is changed.
    pub fn extend(
        &self,
        vault: &Read<'_>,
        pulled: &Pulled,
        marks: &[Mark],
    ) -> Result<Extension, FollowError> {
        let note = self.verify_note(&pulled.note)?;
        let from = self.size();
        if let Some(caught) = self.held_against(vault, &note)? {
            return Err(caught.into());
        }
        let decoded = decode_all(from, &pulled.entries)?;
        let past = Stored {
            vault,
            no: self.known.no,
            from,
            nodes: self.check_roots(vault, &decoded, &note)?,
            entries: decoded.iter().map(Decoded::as_past).collect(),
            read: RefCell::default(),
        };
        self.hold_to(marks, &note, &past)?;
        let told = |at: usize, error, fold: Option<&Fold>| match error {
            AdmissionError::Lie(lie) => self
                .let_in(lie, &note, &pulled.entries[at], fold, &past)
                .map_or_else(FollowError::from, FollowError::Caught),
            AdmissionError::Newer(failure) => failure.into(),
            AdmissionError::Vault(error) => error.into(),
        };
        let mut entries = decoded.into_iter();
        let (mut fold, first) = match self.fold() {
            Some(fold) => (fold.clone(), None),
            None => {
                let entry = entries.next().ok_or(Lie::OtherCommittee)?.known(LeafIndex(0))?;
                let (fold, first) = found(entry).map_err(|error| told(0, error, None))?;
                (fold, Some(first))
            }
        };
        let first = first.into_iter().collect();
        let admitted = admit_all(&mut fold, first, entries.collect(), &past)
            .map_err(|(at, error)| told(at, error, Some(&fold)))?;
        if fold.id() != self.known.id {
            return Err(Lie::OtherCommittee.into());
        }
        if fold.roster().home().address.key() != self.address.key() {
            return Err(Lie::OtherHome.into());
        }
        Ok(Extension { admitted, fold, nodes: past.nodes, from, note })
    }

    /// Grows the tree by the leaves and holds it against the note. Returns the nodes that were completed.
    fn check_roots(
        &self,
        vault: &Read<'_>,
        decoded: &[Decoded],
        note: &SignedCheckpoint,
    ) -> Result<Vec<Hash>, FollowError> {
        let mut tree = self.fold().map_or_else(Frontier::new, |fold| fold.frontier().clone());
        let nodes = decoded.iter().flat_map(|entry| tree.append(entry.leaf())).collect();
        let shown = note.checkpoint();
        if (tree.size(), tree.root()) == (shown.size, shown.root) {
            return Ok(nodes);
        }
        Err(self.caught_by_notes(vault, Lie::Root, note.text())?.into())
    }

    /// A lie that the note held and another one show.
    fn caught_by_notes(
        &self,
        vault: &Read<'_>,
        lie: Lie,
        other: &str,
    ) -> Result<Caught, VaultError> {
        let held = vault.note(self.known.no)?.map(|(_, note)| note);
        let caught = Caught::from(lie).note(other);
        Ok(held.into_iter().fold(caught, Caught::note))
    }

    /// The root at a verified size.
    pub fn root_at(&self, vault: &Read<'_>, size: TreeSize) -> Result<Hash, VaultError> {
        if let Some(fold) = self.fold().filter(|fold| fold.size() == size) {
            return Ok(fold.root());
        }
        tree::root_at(size, &Stored::of(vault, self.known.no)).map_err(node_error)
    }

    /// The way from a verified entry to the root of the whole verified log.
    pub fn inclusion(&self, vault: &Read<'_>, index: LeafIndex) -> Result<tree::Proof, VaultError> {
        let stored = Stored::of(vault, self.known.no);
        tree::inclusion_proof(index, self.size(), &stored).map_err(node_error)
    }

    /// Whether `entry` would be admitted next, by rules that others' entries cannot change again.
    /// Grows `fold`, so that an author's entries can be tried one after the other.
    pub fn try_next(
        &self,
        vault: &Read<'_>,
        fold: &mut Fold,
        entry: UnverifiedEntry,
    ) -> Result<Result<(), Refusal>, VaultError> {
        let signed = match fold.verify_signature(entry) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match fold.admit(signed, &Stored::of(vault, self.known.no)) {
            Ok(_) => Ok(Ok(())),
            Err(AdmitError::Refused(refusal)) => Ok(Err(refusal)),
            Err(AdmitError::Past(error)) => Err(error),
        }
    }
}

/// Folds a log again from its stored entries, with every rule and signature.
fn fold_again(vault: &Read<'_>, no: CommitteeNo, position: &Position) -> Result<Fold, Failure> {
    let damaged = || VaultError::Damaged("a committee's log does not fold again".to_owned());
    let past = Stored::of(vault, no);
    let refused = |error| match error {
        AdmissionError::Lie(_) | AdmissionError::Newer(_) => damaged(),
        AdmissionError::Vault(error) => error,
    };
    let mut fold: Option<Fold> = None;
    for index in (0..position.size.0).map(LeafIndex) {
        let bytes = vault.entry(no, index)?.ok_or_else(damaged)?;
        let entry = UnverifiedEntry::decode(&bytes).map_err(|_| damaged())?;
        match &mut fold {
            None => fold = Some(found(entry).map_err(refused)?.0),
            Some(fold) => {
                let signed = fold.verify_signature(entry);
                admit(fold, signed, index, &past).map_err(refused)?;
            }
        }
    }
    let fold = fold.ok_or_else(damaged)?;
    let noted = UnverifiedCheckpoint::parse(&position.note).map_err(|_| damaged())?;
    if fold.root() != noted.claimed().root {
        return Err(damaged().into());
    }
    Ok(fold)
}

/// An entry as it was read. One of a newer version still has a leaf hash, so that the tree can be
/// verified before the entry is refused.
enum Decoded {
    Known(Box<UnverifiedEntry>),
    Newer { leaf: Hash, version: u64 },
}

fn decode_all(from: TreeSize, entries: &[Vec<u8>]) -> Result<Vec<Decoded>, Lie> {
    let decode = |(bytes, index): (&Vec<u8>, u64)| match UnverifiedEntry::decode(bytes) {
        Ok(entry) => Ok(Decoded::Known(Box::new(entry))),
        Err(PeerEntryError::UnknownVersion { leaf, version }) => {
            Ok(Decoded::Newer { leaf, version })
        }
        Err(error) => Err(Lie::Entry { index: LeafIndex(index), error }),
    };
    cores::map(entries.iter().zip(from.0..).collect(), decode).into_iter().collect()
}

/// Parts entries where a roster entry stands, which is a part of its own. What it changes decides under which
/// keys those after it are verified; within a part nothing does, and they can be verified at once.
fn runs(entries: Vec<Decoded>) -> Vec<Vec<Decoded>> {
    let together = |one: &Decoded, next: &Decoded| !one.is_roster() && !next.is_roster();
    let lengths: Vec<usize> = entries.chunk_by(together).map(<[_]>::len).collect();
    let mut entries = entries.into_iter();
    lengths.into_iter().map(|length| entries.by_ref().take(length).collect()).collect()
}

impl Decoded {
    fn leaf(&self) -> Hash {
        match self {
            Self::Known(entry) => entry.leaf(),
            Self::Newer { leaf, .. } => *leaf,
        }
    }

    fn as_past(&self) -> Option<PastEntry> {
        match self {
            Self::Known(entry) => Some(PastEntry::from(entry.as_ref())),
            Self::Newer { .. } => None,
        }
    }

    fn is_roster(&self) -> bool {
        matches!(self, Self::Known(entry) if entry.header().kind == Kind::Roster)
    }

    fn known(self, index: LeafIndex) -> Result<UnverifiedEntry, Failure> {
        match self {
            Self::Known(entry) => Ok(*entry),
            Self::Newer { version, .. } => Err(newer(index, version)),
        }
    }

    /// Whether its author signed it; its version, if that is one that this program does not know.
    fn verify_signature(self, fold: &Fold) -> Result<Result<SignedEntry, Refusal>, u64> {
        match self {
            Self::Known(entry) => Ok(fold.verify_signature(*entry)),
            Self::Newer { version, .. } => Err(version),
        }
    }
}

fn newer(index: LeafIndex, version: u64) -> Failure {
    Failure::new(Error::TooOld, format!("Entry {index} of the log is of version {version}"))
        .safe("What was verified before can be read; nothing is written there.")
        .next("Install the newest sealpost, then sealpost sync")
}

enum AdmissionError {
    Lie(Lie),
    Newer(Failure),
    Vault(VaultError),
}

impl AdmissionError {
    fn inadmissible(index: LeafIndex, refusal: Refusal) -> Self {
        Self::Lie(Lie::Inadmissible { index, refusal })
    }
}

/// Begins a log.
fn found(entry: UnverifiedEntry) -> Result<(Fold, Admitted), AdmissionError> {
    Fold::found(entry).map_err(|refusal| AdmissionError::inadmissible(LeafIndex(0), refusal))
}

/// Takes entries one after the other, behind those that were. Of one that is not admitted, its place among all.
fn admit_all(
    fold: &mut Fold,
    mut admitted: Vec<Admitted>,
    entries: Vec<Decoded>,
    past: &Stored<'_, '_>,
) -> Result<Vec<Admitted>, (usize, AdmissionError)> {
    for run in runs(entries) {
        let before = &*fold;
        for signed in cores::map(run, |entry| entry.verify_signature(before)) {
            let at = admitted.len();
            let index = LeafIndex(past.from.0 + at as u64);
            let admission = match signed {
                Ok(signed) => admit(fold, signed, index, past),
                Err(version) => Err(AdmissionError::Newer(newer(index, version))),
            };
            admitted.push(admission.map_err(|error| (at, error))?);
        }
    }
    Ok(admitted)
}

/// Takes the next entry, if its signature was verified.
fn admit(
    fold: &mut Fold,
    signed: Result<SignedEntry, Refusal>,
    index: LeafIndex,
    past: &Stored<'_, '_>,
) -> Result<Admitted, AdmissionError> {
    let inadmissible = |refusal| AdmissionError::inadmissible(index, refusal);
    fold.admit_logged(signed.map_err(inadmissible)?, past).map_err(|error| match error {
        AdmitError::Refused(refusal) => inadmissible(refusal),
        AdmitError::Past(error) => AdmissionError::Vault(error),
    })
}

/// What the log held before: what is stored, and the stretch that is being verified.
struct Stored<'r, 'v> {
    vault: &'r Read<'v>,
    no: CommitteeNo,
    /// The size up to which it is in the vault.
    from: TreeSize,
    /// The nodes that were completed since.
    nodes: Vec<Hash>,
    /// The entries since.
    entries: Vec<Option<PastEntry>>,
    /// Nodes that were read of the vault. The same few are asked for with every entry: those that the tree's
    /// root is made of.
    read: RefCell<BTreeMap<u64, Hash>>,
}

impl<'r, 'v> Stored<'r, 'v> {
    fn of(vault: &'r Read<'v>, no: CommitteeNo) -> Self {
        let (nodes, entries, read) = Default::default();
        Self { vault, no, from: TreeSize(u64::MAX), nodes, entries, read }
    }
}

impl Past for Stored<'_, '_> {
    type Error = VaultError;

    fn root_at(&self, size: TreeSize) -> Result<Hash, VaultError> {
        tree::root_at(size, self).map_err(node_error)
    }

    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, VaultError> {
        let missing = || VaultError::Damaged("an entry of a committee's log is missing".to_owned());
        if let Some(at) = index.0.checked_sub(self.from.0) {
            let at = usize::try_from(at).ok();
            return at.and_then(|at| self.entries.get(at)).copied().flatten().ok_or_else(missing);
        }
        let bytes = self.vault.entry(self.no, index)?.ok_or_else(missing)?;
        Ok(PastEntry::from(&UnverifiedEntry::decode(&bytes).map_err(|_| missing())?))
    }
}

impl tree::Nodes for Stored<'_, '_> {
    type Error = VaultError;

    fn node(&self, position: u64) -> Result<Hash, VaultError> {
        let missing = || VaultError::Damaged("a node of a committee's tree is missing".to_owned());
        let stored = if self.nodes.is_empty() { u64::MAX } else { tree::node_count(self.from) };
        if let Some(at) = position.checked_sub(stored) {
            let at = usize::try_from(at).ok();
            return at.and_then(|at| self.nodes.get(at)).copied().ok_or_else(missing);
        }
        let mut read = self.read.borrow_mut();
        if let Some(node) = read.get(&position) {
            return Ok(*node);
        }
        let node = self.vault.node(self.no, position)?.ok_or_else(missing)?;
        if read.len() == NODES_READ_MAX {
            read.clear();
        }
        read.insert(position, node);
        Ok(node)
    }
}

fn node_error(error: MakeProofError<VaultError>) -> VaultError {
    match error {
        MakeProofError::StoreNodes(error) => error,
        MakeProofError::PeerRange { .. } => {
            VaultError::Damaged("a root beyond the verified log was asked for".to_owned())
        }
    }
}
