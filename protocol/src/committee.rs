//! A committee's log, folded: roster, tree, and the head of every author's chain (SPEC.md §8).
//!
//! [`Committee::admit`] is the one gate through which an entry enters a log. The relay asks it
//! before it appends, a client before it opens, a check of a disk or a bundle before it believes.
//! It reads no clock and touches no disk; what is older than the fold (a root at an earlier size)
//! is asked of the caller.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

use crate::age_header::{self, PeerAgeHeaderError};
use crate::change::{Change, Role};
use crate::codec::{self, PeerCodecError};
use crate::entry::{Admitted, Blob, Header, Kind, RosterHead, Seen, SignedEntry, UnverifiedEntry};
use crate::forget::{Forget, Past};
use crate::hash::Hash;
use crate::id::{AuthorSeq, CommitteeId, DeviceId, Epoch, LeafIndex, Term, TreeSize};
use crate::limits;
use crate::roster::{Forgetting, PeerRosterError, Place, Proposed, Roster};
use crate::sign::{BadSignature, PublicKey};
use crate::tree::Frontier;

mod chain;

pub use chain::{PeerChainError, RosterChain};

/// Why an entry is not admitted, in the order of the rules. The entry's author is at fault, or
/// was overtaken by others ([`Refusal::is_overtaken`]); nothing was changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// It names another committee.
    #[error("the entry belongs to another committee")]
    OtherCommittee,
    /// It was meant for another home relay.
    #[error("the entry was made for term {theirs}, the log is in term {ours}")]
    OtherTerm {
        /// The entry's.
        theirs: Term,
        /// The log's.
        ours: Term,
    },
    /// Its author is not in the roster.
    #[error("the author is not in the roster")]
    UnknownAuthor,
    /// The signature does not verify.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// The author is suspended or no longer a member.
    #[error("the author is no longer active")]
    NotActive,
    /// The author's role does not allow this kind.
    #[error("the author's role does not allow this")]
    NotEntitled,
    /// It does not continue its author's chain.
    #[error("the entry does not continue its author's chain, which goes on at {expected}")]
    AuthorChain {
        /// The next sequence number.
        expected: AuthorSeq,
    },
    /// It refers to a log longer than ours, or its author had already seen more.
    #[error("the entry's `seen` does not lie between its author's last and this log's size")]
    SeenOutOfRange,
    /// Its author saw a different log of that size.
    #[error("disputed: the entry's author saw another log of size {}", .0.size)]
    Disputed(Seen),
    /// Sealed or signed under an earlier lock.
    #[error("stale lock: the epoch in force is {current}")]
    StaleEpoch {
        /// The epoch in force.
        current: Epoch,
    },
    /// The roster changed in between.
    #[error("stale roster: the roster changed since the entry was signed")]
    StaleRoster {
        /// The last roster entry.
        current: RosterHead,
    },
    /// Somebody who holds the current epoch is no longer active.
    #[error("the lock must be changed before anything is sealed")]
    LockPending,
    /// The payload is missing and nothing allows that.
    #[error("the payload is missing")]
    PayloadMissing,
    /// The payload does not have the shape its kind demands.
    #[error("payload: {0}")]
    Payload(#[from] PeerAgeHeaderError),
    /// Content root missing from a record, or present elsewhere.
    #[error("`content` must be set in records and in nothing else")]
    Content,
    /// Too many blobs, one twice, one that is empty or too large, or blobs on something that is no
    /// record.
    #[error("the entry names blobs it may not name")]
    Blobs,
    /// The payload of a `forget` that does not decode.
    #[error("forget: {0}")]
    ForgetCodec(PeerCodecError),
    /// A roster payload that does not decode.
    #[error("roster change: {0}")]
    ChangeCodec(#[from] PeerCodecError),
    /// A roster change against the rules.
    #[error("roster change: {0}")]
    Change(#[from] PeerRosterError),
    /// A `forget` of something that is no record, or not at that place, or that its author had not seen.
    #[error("it forgets no record that its author had seen at that place")]
    NoSuchRecord,
    /// A founding entry that is not as one must be.
    #[error("founding entry: {0}")]
    Founding(&'static str),
}

impl Refusal {
    /// Whether others' entries came first and the author, having seen them, may sign anew.
    pub fn is_overtaken(&self) -> bool {
        matches!(
            self,
            Self::StaleEpoch { .. }
                | Self::StaleRoster { .. }
                | Self::LockPending
                | Self::AuthorChain { .. }
                | Self::OtherTerm { .. }
        )
    }
}

/// Why admission gave no answer or a negative one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AdmitError<E> {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller could not say what the log held at an earlier place.
    #[error("what the log held before is not available")]
    Past(E),
}

/// The last entry of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthorHead {
    /// Its place in the author's chain.
    #[n(0)]
    pub seq: AuthorSeq,
    /// Its leaf hash.
    #[n(1)]
    pub leaf: Hash,
    /// The size its author had seen.
    #[n(2)]
    pub seen: TreeSize,
}

/// The fold over one committee's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Committee {
    #[n(0)]
    id: CommitteeId,
    #[n(1)]
    term: Term,
    #[n(2)]
    tree: Frontier,
    #[n(3)]
    authors: BTreeMap<DeviceId, AuthorHead>,
    #[n(4)]
    roster: Roster,
    /// Records that came without their payload, until a `forget` of them comes.
    #[n(5)]
    lacking: BTreeSet<LeafIndex>,
}

/// Whether a record may lack its payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Payloads {
    /// It is new to the log.
    Needed,
    /// It stands in a log already, and may have been forgotten since.
    MayLack,
}

impl Committee {
    /// Folds a founding entry, whose leaf hash is the committee's id.
    pub fn found(entry: UnverifiedEntry) -> Result<(Self, Admitted), Refusal> {
        let change = decode_change(entry.payload())?;
        let Change::Found(found) = change else {
            return Err(Refusal::Founding("the first entry founds the committee"));
        };
        let signed = entry.verify(found.founder.signing_key())?;
        check_founding_header(&signed, found.founder.device())?;
        let author = found.founder.device();
        let leaf = signed.leaf();
        let made_at = signed.header().made_at;
        let roster = Roster::found(*found, Place { index: LeafIndex(0), leaf, author, made_at })?;
        let mut tree = Frontier::default();
        let nodes = tree.append(leaf);
        let head = AuthorHead { seq: AuthorSeq(0), leaf, seen: TreeSize(0) };
        let committee = Self {
            id: CommitteeId(leaf),
            term: Term(1),
            tree,
            authors: [(author, head)].into(),
            roster,
            lacking: BTreeSet::new(),
        };
        let (index, entry) = (LeafIndex(0), signed.into_entry());
        Ok((committee, Admitted { index, entry, nodes, forgets: None }))
    }

    /// Checks that an entry is for this log and signed by the author it names.
    ///
    /// The costly part of admission. A device's key never changes, so this may run beside other
    /// admissions; the standing of the author is for [`Self::admit`].
    pub fn verify_signature(&self, entry: UnverifiedEntry) -> Result<SignedEntry, Refusal> {
        self.check_log(entry.header().committee, entry.header().term)?;
        let author = entry.header().author;
        let key = self.roster.signing_key(author).ok_or(Refusal::UnknownAuthor)?;
        Ok(entry.verify(key)?)
    }

    /// Admits an entry as the next of this log, or changes nothing and says why not.
    ///
    /// `past` tells what this log held before. Whether the entry is already in the log is for the caller
    /// to find out first: an old entry is refused as [`Refusal::AuthorChain`].
    pub fn admit<P: Past>(
        &mut self,
        signed: SignedEntry,
        past: &P,
    ) -> Result<Admitted, AdmitError<P::Error>> {
        self.admit_with(signed, past, Payloads::Needed)
    }

    /// As [`Self::admit`], of an entry that stands in a log already: its record may have been forgotten
    /// since. What is missed until a `forget` of it comes, [`Self::lacking`] says.
    pub fn admit_logged<P: Past>(
        &mut self,
        signed: SignedEntry,
        past: &P,
    ) -> Result<Admitted, AdmitError<P::Error>> {
        self.admit_with(signed, past, Payloads::MayLack)
    }

    fn admit_with<P: Past>(
        &mut self,
        signed: SignedEntry,
        past: &P,
        payloads: Payloads,
    ) -> Result<Admitted, AdmitError<P::Error>> {
        self.check(&signed, past)?;
        let index = self.size().next_index();
        let Header { author, made_at, .. } = *signed.header();
        let place = Place { index, leaf: signed.leaf(), author, made_at };
        let forgets = match signed.header().kind {
            Kind::Record => {
                self.check_record(&signed, payloads)?;
                if signed.payload().is_none() {
                    self.lacking.insert(index);
                }
                None
            }
            Kind::Roster => {
                let change = decode_change(signed.payload())?;
                let forgets = self.forgets(&change);
                self.roster.apply(change, place).map_err(Refusal::from)?;
                forgets
            }
            Kind::Forget => self.forget(&signed, past, place)?,
        };
        if let Some(index) = forgets {
            self.lacking.remove(&index);
        }
        let nodes = self.tree.append(place.leaf);
        let header = signed.header();
        let head = AuthorHead { seq: header.author_seq, leaf: place.leaf, seen: header.seen.size };
        self.authors.insert(place.author, head);
        Ok(Admitted { index, entry: signed.into_entry(), nodes, forgets })
    }

    /// What an approval lets be forgotten, should it be the last that was missing.
    fn forgets(&self, change: &Change) -> Option<LeafIndex> {
        let Change::Approve(approve) = change else { return None };
        let proposal = self.roster.proposal(approve.entry)?;
        match proposal.change {
            Proposed::Forget(forgetting) if self.roster.missing_approvals(proposal) == 1 => {
                Some(forgetting.index)
            }
            _ => None,
        }
    }

    /// Folds a `forget`. What is forgotten by it at once, if it need not wait for approvals.
    fn forget<P: Past>(
        &mut self,
        signed: &SignedEntry,
        past: &P,
        place: Place,
    ) -> Result<Option<LeafIndex>, AdmitError<P::Error>> {
        let payload = signed.payload().ok_or(Refusal::PayloadMissing)?;
        let decoded = codec::decode(payload, limits::FORGET_PAYLOAD_BYTES_MAX);
        let Forget { index, leaf } = decoded.map_err(Refusal::ForgetCodec)?;
        if index.0 >= signed.header().seen.size.0 {
            return Err(Refusal::NoSuchRecord.into());
        }
        let named = past.entry_at(index).map_err(AdmitError::Past)?;
        if named.leaf != leaf || named.kind != Kind::Record {
            return Err(Refusal::NoSuchRecord.into());
        }
        let author = self.roster.device(named.author).ok_or(Refusal::NoSuchRecord)?;
        let forgetting = Forgetting { index, member: author.member };
        let at_once = self.roster.forget(forgetting, place).map_err(Refusal::from)?;
        Ok(at_once.then_some(index))
    }

    /// The rules every entry but the founding one must keep.
    fn check<P: Past>(&self, signed: &SignedEntry, past: &P) -> Result<(), AdmitError<P::Error>> {
        let header = signed.header();
        self.check_log(header.committee, header.term)?;
        self.check_author(signed)?;
        self.check_chain(signed)?;
        self.check_seen(header.author, header.seen, past)?;
        Ok(self.check_header(header)?)
    }

    /// The rules about a header that the roster alone decides.
    fn check_header(&self, header: &Header) -> Result<(), Refusal> {
        let current = self.roster.epoch();
        let seen_lock = header.seen.size.0 > self.roster.current_lock().at.0;
        if header.epoch != current || !seen_lock {
            return Err(Refusal::StaleEpoch { current });
        }
        let head = header.roster_head;
        let fresh = match header.kind {
            Kind::Roster => head == self.roster.head(),
            Kind::Record | Kind::Forget => self.roster.is_since_lock(head),
        };
        if !fresh {
            return Err(Refusal::StaleRoster { current: self.roster.head() });
        }
        let is_record = header.kind == Kind::Record;
        if is_record == (header.content == Hash::ZERO) {
            return Err(Refusal::Content);
        }
        if !may_name(&header.blobs) || !(is_record || header.blobs.is_empty()) {
            return Err(Refusal::Blobs);
        }
        Ok(())
    }

    fn check_log(&self, committee: CommitteeId, term: Term) -> Result<(), Refusal> {
        if committee != self.id {
            return Err(Refusal::OtherCommittee);
        }
        if term != self.term {
            return Err(Refusal::OtherTerm { theirs: term, ours: self.term });
        }
        Ok(())
    }

    fn check_author(&self, signed: &SignedEntry) -> Result<(), Refusal> {
        let author = signed.header().author;
        let device = self.roster.device(author).ok_or(Refusal::UnknownAuthor)?;
        if PublicKey::from(*device.card.signing_key()) != signed.key() {
            return Err(BadSignature("entry").into());
        }
        let role = self.roster.role_of(author).ok_or(Refusal::NotActive)?;
        match (signed.header().kind, role) {
            (Kind::Record | Kind::Forget, Role::Reader) => Err(Refusal::NotEntitled),
            (Kind::Record | Kind::Forget, _) if self.roster.is_spare(author) => {
                Err(Refusal::NotEntitled)
            }
            // Which changes a role may make is for the roster to say.
            _ => Ok(()),
        }
    }

    fn check_chain(&self, signed: &SignedEntry) -> Result<(), Refusal> {
        let header = signed.header();
        let (expected, prev) = match self.authors.get(&header.author) {
            Some(head) => (head.seq.next(), head.leaf),
            None => (AuthorSeq(0), Hash::ZERO),
        };
        if (header.author_seq, header.author_prev) == (expected, prev) {
            Ok(())
        } else {
            Err(Refusal::AuthorChain { expected })
        }
    }

    fn check_seen<P: Past>(
        &self,
        author: DeviceId,
        seen: Seen,
        past: &P,
    ) -> Result<(), AdmitError<P::Error>> {
        let last = self.authors.get(&author).map_or(TreeSize(0), |head| head.seen);
        if seen.size > self.size() || seen.size < last || seen.size == TreeSize(0) {
            return Err(Refusal::SeenOutOfRange.into());
        }
        let ours = if seen.size == self.size() {
            self.root()
        } else {
            past.root_at(seen.size).map_err(AdmitError::Past)?
        };
        if seen.root == ours { Ok(()) } else { Err(Refusal::Disputed(seen).into()) }
    }

    fn check_record(&self, signed: &SignedEntry, payloads: Payloads) -> Result<(), Refusal> {
        if self.roster.lock_pending() {
            return Err(Refusal::LockPending);
        }
        match signed.payload() {
            Some(payload) => age_header::check_record(payload).map(|_| ()).map_err(Refusal::from),
            None if payloads == Payloads::MayLack => Ok(()),
            None => Err(Refusal::PayloadMissing),
        }
    }

    /// The records that came without their payload, and of which no `forget` has come: at the end of
    /// what somebody shows of a log there must be none.
    pub fn lacking(&self) -> impl Iterator<Item = LeafIndex> {
        self.lacking.iter().copied()
    }

    /// The payload of a record that came without it came after all, and is the one that its header names.
    /// Whether it was missed, and has the shape of one: else nothing changes.
    pub fn fill(&mut self, index: LeafIndex, payload: &[u8]) -> bool {
        age_header::check_record(payload).is_ok() && self.lacking.remove(&index)
    }

    /// The committee's id.
    pub fn id(&self) -> CommitteeId {
        self.id
    }

    /// The term of the home relay in force.
    pub fn term(&self) -> Term {
        self.term
    }

    /// How many entries the log has.
    pub fn size(&self) -> TreeSize {
        self.tree.size()
    }

    /// The log's root.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The log's tree, to be grown by leaves that are not admitted yet.
    pub fn frontier(&self) -> &Frontier {
        &self.tree
    }

    /// Size and root, as the next entry's `seen` states them.
    pub fn seen(&self) -> Seen {
        Seen { size: self.size(), root: self.root() }
    }

    /// The roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    #[cfg(test)]
    pub(crate) fn roster_mut(&mut self) -> &mut Roster {
        &mut self.roster
    }

    /// The last entry of a device, if it has any.
    pub fn author_head(&self, author: DeviceId) -> Option<AuthorHead> {
        self.authors.get(&author).copied()
    }
}

fn check_founding_header(signed: &SignedEntry, founder: DeviceId) -> Result<(), Refusal> {
    let header = signed.header();
    let empty = Seen { size: TreeSize(0), root: Frontier::default().root() };
    let rules = [
        (header.kind == Kind::Roster, "it is a roster entry"),
        (header.committee == CommitteeId::NONE, "its committee id is zero"),
        (header.term == Term(1), "its term is 1"),
        (header.author == founder, "its author is the founder"),
        (header.author_seq == AuthorSeq(0), "its author_seq is 0"),
        (header.author_prev == Hash::ZERO, "its author_prev is zero"),
        (header.seen == empty, "it has seen the empty log"),
        (header.roster_head == RosterHead::NONE, "its roster_head is zero"),
        (header.epoch == Epoch(0), "its epoch is 0"),
        (header.content == Hash::ZERO, "its content is zero"),
        (header.blobs.is_empty(), "it names no blobs"),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => Err(Refusal::Founding(rule)),
        None => Ok(()),
    }
}

/// Whether an entry may name these blobs. Whether they are there is for the relay to say.
fn may_name(blobs: &[Blob]) -> bool {
    let sound = |blob: &Blob| (1..=limits::BLOB_BYTES_MAX).contains(&blob.size);
    let hashes: BTreeSet<Hash> = blobs.iter().map(|blob| blob.sha256).collect();
    blobs.len() <= limits::BLOBS_MAX && hashes.len() == blobs.len() && blobs.iter().all(sound)
}

fn decode_change(payload: Option<&[u8]>) -> Result<Change, Refusal> {
    let payload = payload.ok_or(Refusal::PayloadMissing)?;
    Ok(codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX)?)
}

#[cfg(test)]
mod tests;
