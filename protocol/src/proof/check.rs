//! Whether a folder holds, and what it proves.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::field::ShownField;
use super::{
    Attached, Folder, PeerFolderError, Placed, ProvenField, RecordKey, Shown, Whole, files,
};
use crate::change::Role;
use crate::checkpoint::{
    Cosigner, Origin, PeerNoteError, SignedCheckpoint, UnverifiedCheckpoint, UnverifiedCosignature,
};
use crate::committee::{PeerChainError, RosterChain};
use crate::entry::Header;
use crate::hash::Hash;
use crate::id::{CommitteeId, DeviceId, LeafIndex, MemberNumber, UnixMillis};
use crate::record::{Binding, Record};
use crate::roster::Roster;

/// Where `id` stands in every record.
const ID_PATH: &str = "/id";

/// What a folder proves.
pub struct Proof {
    /// The committee, by the leaf hash of its founding entry.
    pub committee: CommitteeId,
    /// When it was founded, as its founder says.
    pub founded: UnixMillis,
    /// The relay's signed note.
    pub note: SignedCheckpoint,
    /// Which devices vouch for the same checkpoint.
    pub cosigners: Vec<Cosigned>,
    /// How many roster entries are shown.
    pub roster_entries: usize,
    /// The roster after the last of them.
    pub roster: Roster,
    /// The record.
    pub record: Proven,
    /// The attachments that are shown with it.
    pub attachments: Vec<Proven>,
}

/// A device that vouches for the log, active at the last roster entry that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The device.
    pub device: DeviceId,
    /// Whose it is.
    pub member: MemberNumber,
    /// When, to the hour, as it says.
    pub at: UnixMillis,
}

/// An entry whose author was entitled to it, in its place, and what is shown of it.
pub struct Proven {
    /// The header, as it was signed.
    pub header: Header,
    /// Its leaf hash.
    pub leaf: Hash,
    /// Its place.
    pub index: LeafIndex,
    /// The author's member.
    pub member: MemberNumber,
    /// The author's role at the roster entry that the header names.
    pub role: Role,
    /// What is shown.
    pub part: ShownPart,
    /// The attached file, of an attachment.
    pub attached: Option<Attached>,
}

/// What is shown of a record.
pub enum ShownPart {
    /// All of it: the record, and its plaintext.
    Whole(Box<Record>, Zeroizing<Vec<u8>>),
    /// Single fields.
    Fields(Vec<ProvenField>),
}

impl Proof {
    /// The members who vouch for the log and are not the record's author.
    pub fn independent(&self) -> BTreeSet<MemberNumber> {
        let members = self.cosigners.iter().map(|cosigned| cosigned.member);
        members.filter(|member| *member != self.record.member).collect()
    }

    /// The record and the attachments, by their folders.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Proven)> {
        let attachments = (1..).map(files::attachment).zip(&self.attachments);
        std::iter::once((files::RECORD.to_owned(), &self.record)).chain(attachments)
    }

    /// The blobs that go with it: their names and hashes.
    pub fn blobs(&self) -> BTreeMap<String, Hash> {
        let blob = |(folder, entry): (String, &Proven)| {
            let attached = entry.attached.as_ref()?;
            Some((format!("{folder}/{}", files::BLOB), attached.blob.sha256))
        };
        self.entries().filter_map(blob).collect()
    }
}

impl Folder {
    /// Checks all of it but what follows from it (SPEC.md §22).
    pub fn check(&self) -> Result<Proof, PeerFolderError> {
        let (chain, note, mut authors) = self.check_roster()?;
        let shown = match &self.shown {
            Shown::Whole(whole) => whole.check(files::RECORD, &self.record)?,
            Shown::Part(fields) => check_fields(fields, &self.record.entry.header().content)?,
        };
        let record = authors.remove(0).proven(&self.record, shown, None);
        if !record.header.blobs.is_empty() {
            return Err(PeerFolderError::Blobs(files::RECORD.to_owned()));
        }
        let id = record.id();
        let mut attachments = Vec::new();
        for ((number, (placed, whole)), author) in (1..).zip(&self.attachments).zip(authors) {
            let folder = files::attachment(number);
            let shown = whole.check(&folder, placed)?;
            let attached = match &shown {
                ShownPart::Whole(record, _) => Attached::of(record, &placed.entry.header().blobs),
                ShownPart::Fields(_) => None,
            };
            let belongs = |attached: &Attached| Some(&attached.to) == id.as_ref();
            let attached = attached.filter(belongs);
            let attached = attached.ok_or_else(|| PeerFolderError::Attachment(folder.clone()))?;
            // Anybody in the committee can write another's id.
            if author.member != record.member {
                return Err(PeerFolderError::OtherMember(folder));
            }
            attachments.push(author.proven(placed, shown, Some(attached)));
        }
        Ok(Proof {
            committee: chain.id(),
            founded: self.roster[0].entry.header().made_at,
            cosigners: check_cosignatures(&self.cosignatures, &note, chain.roster())?,
            note,
            roster_entries: self.roster.len(),
            roster: chain.roster().clone(),
            record,
            attachments,
        })
    }

    /// Follows the roster from the founding entry, and checks each author where it stood at the roster entry
    /// that its header names. The authors are in the order of the entries, the record's first.
    fn check_roster(
        &self,
    ) -> Result<(RosterChain, SignedCheckpoint, Vec<Author>), PeerFolderError> {
        let (founding, rest) = self
            .roster
            .split_first()
            .ok_or_else(|| PeerFolderError::missing(files::roster(LeafIndex(0))))?;
        let fault = |placed: &Placed| {
            let name = files::roster(placed.inclusion.index);
            move |error| PeerFolderError::Roster { name, error }
        };
        let mut chain = RosterChain::found(founding.entry.clone()).map_err(fault(founding))?;
        let note = self.check_note(&chain)?;
        founding.check_place(&files::roster(founding.inclusion.index), &note)?;
        let mut waiting = self.signed(&note)?;
        let mut authors = waiting.settle(&chain)?;
        for placed in rest {
            let (name, index) = (files::roster(placed.inclusion.index), placed.inclusion.index);
            if waiting.coming.is_empty() {
                return Err(PeerFolderError::Extra(name));
            }
            placed.check_place(&name, &note)?;
            waiting.pass(&chain, index)?;
            chain.follow(placed.entry.clone(), index).map_err(fault(placed))?;
            authors.extend(waiting.settle(&chain)?);
        }
        waiting.end(&chain)?;
        authors.sort_by_key(|(number, _)| *number);
        Ok((chain, note, authors.into_iter().map(|(_, author)| author).collect()))
    }

    fn check_note(&self, chain: &RosterChain) -> Result<SignedCheckpoint, PeerFolderError> {
        let home = chain.roster().home().address.key().verifying_key();
        let home = home.map_err(|_| PeerFolderError::Note(PeerNoteError::OtherKey))?;
        let origin = Origin { committee: chain.id(), term: chain.term() };
        UnverifiedCheckpoint::parse(&self.note)
            .and_then(|note| note.verify(&home, &origin))
            .map_err(PeerFolderError::Note)
    }

    /// The record and the attachments, each in its place.
    fn signed(&self, note: &SignedCheckpoint) -> Result<Waiting<'_>, PeerFolderError> {
        let attachments = self.attachments.iter().map(|(placed, _)| placed);
        let attachments = (1..).map(files::attachment).zip(attachments);
        let all = std::iter::once((files::RECORD.to_owned(), &self.record)).chain(attachments);
        let all: Vec<(usize, String, &Placed)> =
            (0..).zip(all).map(|(number, (name, placed))| (number, name, placed)).collect();
        for (_, name, placed) in &all {
            placed.check_place(name, note)?;
        }
        Ok(Waiting { coming: all, standing: Vec::new() })
    }
}

/// The entries that are looked at while the roster is followed.
struct Waiting<'f> {
    /// Whose roster entry is still to come.
    coming: Vec<(usize, String, &'f Placed)>,
    /// Whose place in the log is still to come.
    standing: Vec<(String, &'f Placed)>,
}

impl Waiting<'_> {
    /// Checks those whose roster entry came last.
    fn settle(&mut self, chain: &RosterChain) -> Result<Vec<(usize, Author)>, PeerFolderError> {
        let head = chain.roster().head();
        let has_come = |(_, _, placed): &(usize, String, &Placed)| {
            placed.entry.header().roster_head.number <= head.number
        };
        let (come, left): (Vec<_>, Vec<_>) = self.coming.drain(..).partition(has_come);
        self.coming = left;
        let mut authors = Vec::new();
        for (number, name, placed) in come {
            let signed = chain
                .check_record(placed.entry.clone(), placed.inclusion.index)
                .map_err(|error| PeerFolderError::Roster { name: name.clone(), error })?;
            authors.push((number, Author::of(signed.header().author, chain.roster())));
            self.standing.push((name, placed));
        }
        Ok(authors)
    }

    /// Checks those that stand before the roster entry at `next`, which is not followed yet.
    fn pass(&mut self, chain: &RosterChain, next: LeafIndex) -> Result<(), PeerFolderError> {
        let is_before = |(_, placed): &(String, &Placed)| placed.inclusion.index < next;
        let (before, left): (Vec<_>, Vec<_>) = self.standing.drain(..).partition(is_before);
        self.standing = left;
        before.into_iter().try_for_each(|(name, placed)| {
            chain
                .check_record_in_place(placed.entry.clone(), placed.inclusion.index)
                .map_err(|error| PeerFolderError::Roster { name, error })
        })
    }

    /// Checks those that are left, and that none names a roster entry beyond the last that is shown.
    fn end(mut self, chain: &RosterChain) -> Result<(), PeerFolderError> {
        self.pass(chain, LeafIndex(u64::MAX))?;
        match self.coming.into_iter().next() {
            None => Ok(()),
            Some((_, name, placed)) => {
                let named = placed.entry.header().roster_head;
                let error = PeerChainError::Gap { named, shown: chain.roster().head() };
                Err(PeerFolderError::Roster { name, error })
            }
        }
    }
}

/// Who signed an entry, as the roster had it.
struct Author {
    member: MemberNumber,
    role: Role,
}

impl Author {
    fn of(device: DeviceId, roster: &Roster) -> Self {
        let known = roster.device(device).expect("its signature was checked with its card");
        let role = roster.role_of(device).expect("it was checked to be active");
        Self { member: known.member, role }
    }

    fn proven(self, placed: &Placed, part: ShownPart, attached: Option<Attached>) -> Proven {
        Proven {
            header: placed.entry.header().clone(),
            leaf: placed.entry.leaf(),
            index: placed.inclusion.index,
            member: self.member,
            role: self.role,
            part,
            attached,
        }
    }
}

impl Proven {
    /// The record's id, if it is shown.
    fn id(&self) -> Option<String> {
        match &self.part {
            ShownPart::Whole(record, _) => Some(record.id().to_string()),
            ShownPart::Fields(fields) => {
                let shown = fields.iter().find(|field| field.path == ID_PATH)?;
                serde_json::from_str(&shown.value).ok()
            }
        }
    }
}

impl Placed {
    fn check_place(&self, name: &str, note: &SignedCheckpoint) -> Result<(), PeerFolderError> {
        let checkpoint = note.checkpoint();
        if self.inclusion.size != checkpoint.size {
            return Err(PeerFolderError::OtherTree(name.to_owned()));
        }
        self.inclusion
            .verify(&self.entry.leaf(), &checkpoint.root)
            .map_err(|error| PeerFolderError::Inclusion { name: name.to_owned(), error })
    }
}

impl Whole {
    /// That one key made both headers and opens the payload, and that this is the record.
    fn check(&self, folder: &str, placed: &Placed) -> Result<ShownPart, PeerFolderError> {
        let named = |file: &str| format!("{folder}/{file}");
        let open = |file: &str| {
            let name = named(file);
            move |error| PeerFolderError::Open { name, error }
        };
        let payload = placed.entry.payload().unwrap_or_default();
        for (file, bytes) in [(files::SEALED, payload), (files::SEALED_ANEW, &self.sealed_anew)] {
            if !self.key.made_header_of(bytes).map_err(open(file))? {
                return Err(PeerFolderError::OtherKey(named(file)));
            }
        }
        let plaintext = self.key.open(payload).map_err(open(files::SEALED))?;
        if plaintext.as_slice() != self.plaintext {
            return Err(PeerFolderError::Plaintext(named(files::PLAINTEXT)));
        }
        if body(payload) != body(&self.sealed_anew) {
            return Err(PeerFolderError::OtherBody(named(files::SEALED_ANEW)));
        }
        let opened = RecordKey::of_file(&self.sealed_anew, &self.passphrase);
        if opened.map_err(open(files::SEALED_ANEW))? != self.key {
            return Err(PeerFolderError::OtherKey(named(files::SEALED_ANEW)));
        }
        let header = placed.entry.header();
        let (committee, author) = (header.committee, header.author);
        let binding = Binding { committee, author, epoch: header.epoch };
        let record = Record::open(&plaintext, &binding, &header.content)
            .map_err(|error| PeerFolderError::Record { name: named(files::PLAINTEXT), error })?;
        Ok(ShownPart::Whole(Box::new(record), plaintext))
    }
}

/// What follows the header of a file that was looked at.
fn body(file: &[u8]) -> Option<&[u8]> {
    let header = crate::age_header::check_record(file).ok()?;
    file.get(header.payload_offset()..)
}

fn check_fields(fields: &[ShownField], content: &Hash) -> Result<ShownPart, PeerFolderError> {
    let proven = |(number, field): (usize, &ShownField)| {
        let name = files::field(number);
        field.verify(content).map_err(|error| PeerFolderError::Inclusion { name, error })
    };
    Ok(ShownPart::Fields((1..).zip(fields).map(proven).collect::<Result<_, _>>()?))
}

/// The lines, each by another active device of the roster, in the order of the devices.
fn check_cosignatures(
    lines: &[u8],
    note: &SignedCheckpoint,
    roster: &Roster,
) -> Result<Vec<Cosigned>, PeerFolderError> {
    let malformed = || PeerFolderError::Malformed(files::COSIGNATURES.to_owned());
    let mut cosigners: Vec<Cosigned> = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let unverified =
            UnverifiedCosignature::parse(line).map_err(PeerFolderError::Cosignature)?;
        let Cosigner::Device(device) = *unverified.claimed_cosigner() else {
            return Err(malformed());
        };
        if cosigners.last().is_some_and(|last| last.device >= device) {
            return Err(malformed());
        }
        let known = roster.device(device).filter(|_| roster.is_active(device));
        let known = known.ok_or(PeerFolderError::Cosigner(device))?;
        let key = known.card.signing_key();
        let cosigned =
            unverified.verify(note.checkpoint(), key).map_err(PeerFolderError::Cosignature)?;
        cosigners.push(Cosigned { device, member: known.member, at: cosigned.time() });
    }
    Ok(cosigners)
}
