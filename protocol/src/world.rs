//! A committee made of invented devices, for tests and load (feature `testing`).
//!
//! Signatures, hashes and chains are real. Sealed parts have the right shape and nothing in them:
//! the rules outside feature `seal` look at shapes alone.

use data_encoding::BASE64_NOPAD;

use crate::age_header::{HYBRID_SHARE_BYTES, HYBRID_STANZA, WRAPPED_FILE_KEY_BYTES};
use crate::card::{Card, RECIPIENT_BYTES, RecipientBytes};
use crate::change::{
    AddDevice, Admit, Approve, Change, Found, Grant, Lock, Policy, Recovery, Relay, Remove,
    Restore, Retire, Role, SetRole, Share, Suspend, Target,
};
use crate::checkpoint::{Checkpoint, Cosignature, Cosigner, Origin};
use crate::codec;
use crate::committee::{AdmitError, Committee, Refusal};
use crate::entry::{Admitted, Entry, Header, Kind, RosterHead, UnverifiedEntry, VERSION};
use crate::export;
use crate::forget::{Forget, Past, PastEntry};
use crate::frame::CosignatureOf;
use crate::hash::Hash;
use crate::id::{
    AuthorSeq, CommitteeId, DeviceId, Epoch, LeafIndex, MemberNumber, TreeSize, UnixMillis,
};
use crate::roster::{Proposed, Roster};
use crate::sign::SigningKey;
use crate::tree::{self, Frontier, MakeProofError, NoNode};

/// An invented device, made of a seed.
pub struct TestDevice {
    /// Signs its entries.
    pub signing: SigningKey,
    /// Its card.
    pub card: Card,
}

impl TestDevice {
    /// The device of that seed.
    pub fn new(seed: u8) -> Self {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let login = SigningKey::from_bytes(&[seed ^ 0x80; 32]);
        let card = Card::sign(&signing, &login, &recipient(seed));
        Self { signing, card }
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        self.card.device()
    }
}

/// Bytes in the place of a hybrid recipient.
pub fn recipient(seed: u8) -> RecipientBytes {
    RecipientBytes(Box::new([seed; RECIPIENT_BYTES]))
}

/// A file with the shape of one sealed to one hybrid recipient.
pub fn hybrid_file() -> Vec<u8> {
    let share = BASE64_NOPAD.encode(&[1; HYBRID_SHARE_BYTES]);
    let body = BASE64_NOPAD.encode(&[2; WRAPPED_FILE_KEY_BYTES]);
    shaped(&format!("{HYBRID_STANZA} {share}"), &body)
}

/// A file with the shape of a sealed record.
pub fn record_file() -> Vec<u8> {
    let salt = BASE64_NOPAD.encode(&[3; 16]);
    shaped(&format!("scrypt {salt} 1"), &BASE64_NOPAD.encode(&[4; WRAPPED_FILE_KEY_BYTES]))
}

fn shaped(stanza: &str, body: &str) -> Vec<u8> {
    let mac = BASE64_NOPAD.encode(&[5; 32]);
    let header = format!("age-encryption.org/v1\n-> {stanza}\n{body}\n--- {mac}\n");
    [header.as_bytes(), &[6; 16 + 64 + 16]].concat()
}

/// A grant with nothing in it.
pub fn grant(device: DeviceId) -> Grant {
    Grant { device, file: hybrid_file().into() }
}

/// A lock that grants `devices`.
pub fn lock(seed: u8, devices: &[DeviceId], linked: bool) -> Lock {
    let mut devices = devices.to_vec();
    devices.sort();
    Lock {
        recipient: recipient(seed),
        grants: devices.into_iter().map(grant).collect(),
        link: linked.then(|| hybrid_file().into()),
        label: hybrid_file().into(),
    }
}

/// Cuts off.
pub fn suspend(target: Target) -> Change {
    Change::Suspend(Suspend { target })
}

/// Adds a device to its author's member, or proposes to.
pub fn add_device(device: &TestDevice) -> Change {
    let (card, grant) = (device.card.clone(), grant(device.id()));
    Change::Device(Box::new(AddDevice { card, grant }))
}

/// Ends a device of its author's member.
pub fn retire(device: DeviceId) -> Change {
    Change::Retire(Retire { device })
}

/// Shares a spare's seed among helpers.
pub fn recovery(spare: DeviceId, threshold: u8, helpers: &[DeviceId]) -> Recovery {
    let mut helpers = helpers.to_vec();
    helpers.sort();
    let share = |device| Share { device, file: hybrid_file().into() };
    Recovery { spare, threshold, shares: helpers.into_iter().map(share).collect() }
}

/// Ends a suspension, or proposes to.
pub fn restore(target: Target) -> Change {
    Change::Restore(Restore { target })
}

/// Ends a membership, or proposes to.
pub fn remove(member: MemberNumber) -> Change {
    Change::Remove(Remove { member })
}

/// Gives a role, or proposes to.
pub fn set_role(member: MemberNumber, role: Role) -> Change {
    Change::Role(SetRole { member, role })
}

/// Asks for that many approvals from now on, or proposes to.
pub fn set_approvals(approvals: u16) -> Change {
    Change::Policy(Policy { approvals, ..Policy::default() })
}

/// The next lock, for all active devices.
pub fn next_lock(roster: &Roster) -> Change {
    let devices: Vec<DeviceId> = roster.active_devices().collect();
    let seed = 200_u8.wrapping_add(u8::try_from(roster.epoch().0 % 256).unwrap_or(0));
    Change::Lock(Box::new(lock(seed, &devices, true)))
}

/// The admission of a newcomer, with a grant unless others have to approve it first.
pub fn admission(roster: &Roster, newcomer: &TestDevice, role: Role) -> Admit {
    let waits = role == Role::Coordinator && roster.policy().approvals > 1;
    Admit {
        card: newcomer.card.clone(),
        member: roster.next_member(),
        role,
        grants: if waits { Vec::new() } else { vec![grant(newcomer.id())] },
        label: hybrid_file().into(),
    }
}

/// An approval of what waits under `entry`, with what it must carry if it is the last one.
pub fn approval(roster: &Roster, entry: Hash) -> Approve {
    let completed = roster.proposal(entry).filter(|it| roster.missing_approvals(it) == 1);
    let admits = completed.is_some_and(|it| matches!(it.change, Proposed::Admit(_)));
    let returned = completed.and_then(|it| roster.grants_of(it).ok()).unwrap_or_default();
    Approve {
        entry,
        grants: returned.into_iter().map(|(device, _)| grant(device)).collect(),
        label: admits.then(|| hybrid_file().into()),
    }
}

/// The key of the relay where every invented committee is at home.
pub fn relay_key() -> SigningKey {
    SigningKey::from_bytes(&[90; 32])
}

/// The founder's founding change.
pub fn founding_change(founder: &TestDevice) -> Found {
    let key = relay_key().verifying_key();
    let key = data_encoding::BASE32_NOPAD.encode(key.as_bytes()).to_lowercase();
    let address = format!("sealpost://{key}@relay.example:4433");
    Found {
        founder: founder.card.clone(),
        home: Relay {
            address: address.parse().expect("a sound key and a host"),
            country: "CH".parse().expect("two letters"),
        },
        policy: Policy::default(),
        lock: lock(200, &[founder.id()], false),
    }
}

/// The header of the founder's founding entry.
pub fn founding_header(founder: &TestDevice) -> Header {
    Header {
        version: VERSION,
        committee: CommitteeId::NONE,
        term: crate::id::Term(1),
        kind: Kind::Roster,
        author: founder.id(),
        author_seq: AuthorSeq(0),
        author_prev: Hash::ZERO,
        seen: crate::entry::Seen { size: TreeSize(0), root: Frontier::default().root() },
        roster_head: RosterHead::NONE,
        epoch: Epoch(0),
        made_at: UnixMillis(1_700_000_000_000),
        payload_len: 0,
        payload_sha256: Hash::ZERO,
        content: Hash::ZERO,
        blobs: Vec::new(),
    }
}

/// A founding entry with parts of one's own.
pub fn found_with(founder: &TestDevice, found: Found, header: Header) -> UnverifiedEntry {
    let payload = codec::encode(&Change::Found(Box::new(found)));
    reread(&Entry::sign(header, payload, &founder.signing))
}

/// The entry as whoever receives it reads it.
pub fn reread(entry: &Entry) -> UnverifiedEntry {
    UnverifiedEntry::decode(&entry.encode()).expect("what was signed here decodes")
}

/// An export of these parts, whatever they are.
pub fn export_of(note: &str, log: &[Vec<u8>], cosignatures: &[Vec<u8>]) -> Vec<u8> {
    let entries = log.iter().flat_map(|entry| export::encode_entry(entry));
    let cosignatures = cosignatures.iter().flat_map(|kept| export::encode_cosignature(kept));
    let parts = export::encode_note(note).into_iter().chain(entries).chain(cosignatures);
    parts.chain(export::encode_end()).collect()
}

/// A log that is held in memory, as what was before the end of its fold.
pub struct Held<'h> {
    /// Every node of the tree.
    pub nodes: &'h [Hash],
    /// Every encoded entry.
    pub log: &'h [Vec<u8>],
}

impl Past for Held<'_> {
    type Error = MakeProofError<NoNode>;

    fn root_at(&self, size: TreeSize) -> Result<Hash, Self::Error> {
        tree::root_at(size, self.nodes)
    }

    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, Self::Error> {
        let at = usize::try_from(index.0).expect("a log in memory");
        let entry = UnverifiedEntry::decode(&self.log[at]).expect("it was admitted");
        Ok(PastEntry::from(&entry))
    }
}

/// A log of invented devices, with all its nodes and entries.
pub struct World {
    /// The fold.
    pub committee: Committee,
    /// Every node of the tree.
    pub nodes: Vec<Hash>,
    /// Every encoded entry.
    pub log: Vec<Vec<u8>>,
}

impl World {
    /// Founds a committee.
    pub fn found(founder: &TestDevice) -> Self {
        let entry = found_with(founder, founding_change(founder), founding_header(founder));
        let (committee, admitted) = Committee::found(entry).expect("a sound founding entry");
        Self { committee, nodes: admitted.nodes, log: vec![admitted.entry.encode()] }
    }

    /// What it held before its end.
    pub fn past(&self) -> Held<'_> {
        Held { nodes: &self.nodes, log: &self.log }
    }

    /// What its relay signs.
    pub fn checkpoint(&self) -> Checkpoint {
        let origin = Origin { committee: self.committee.id(), term: self.committee.term() };
        Checkpoint { origin, size: self.committee.size(), root: self.committee.root() }
    }

    /// It as its relay exports it, with the cosignatures of these devices.
    pub fn export(&self, cosigners: &[&TestDevice]) -> Vec<u8> {
        let note = self.checkpoint().sign(&relay_key());
        let mut kept: Vec<CosignatureOf> = cosigners.iter().map(|it| self.cosigned(it)).collect();
        kept.sort_by_key(|kept| kept.device);
        let kept: Vec<Vec<u8>> = kept.iter().map(codec::encode).collect();
        export_of(note.text(), &self.log, &kept)
    }

    /// A device vouches for all of it.
    pub fn cosigned(&self, device: &TestDevice) -> CosignatureOf {
        let (checkpoint, by) = (self.checkpoint(), Cosigner::Device(device.id()));
        let line =
            Cosignature::sign(&checkpoint, by, &device.signing, UnixMillis(1_700_000_000_000));
        let Checkpoint { size, root, .. } = checkpoint;
        CosignatureOf { device: device.id(), size, root, cosignature: line.text().to_owned() }
    }

    /// A header that admission accepts as the author's next.
    pub fn header(&self, author: DeviceId, kind: Kind) -> Header {
        let head = self.committee.author_head(author);
        Header {
            version: VERSION,
            committee: self.committee.id(),
            term: self.committee.term(),
            kind,
            author,
            author_seq: head.map_or(AuthorSeq(0), |head| head.seq.next()),
            author_prev: head.map_or(Hash::ZERO, |head| head.leaf),
            seen: self.committee.seen(),
            roster_head: self.committee.roster().head(),
            epoch: self.committee.roster().epoch(),
            made_at: UnixMillis(1_700_000_000_000),
            payload_len: 0,
            payload_sha256: Hash::ZERO,
            content: if kind == Kind::Record { Hash::of(b"fields") } else { Hash::ZERO },
            blobs: Vec::new(),
        }
    }

    /// A header for the author's next record.
    pub fn record_header(&self, author: &TestDevice) -> Header {
        self.header(author.id(), Kind::Record)
    }

    /// Admits an entry.
    pub fn push(&mut self, entry: &Entry) -> Result<Admitted, Refusal> {
        let signed = self.committee.verify_signature(reread(entry))?;
        let past = Held { nodes: &self.nodes, log: &self.log };
        let admitted = self.committee.admit(signed, &past).map_err(|error| match error {
            AdmitError::Refused(refusal) => refusal,
            AdmitError::Past(error) => panic!("all nodes are at hand: {error}"),
        })?;
        self.nodes.extend(&admitted.nodes);
        self.log.push(entry.encode());
        Ok(admitted)
    }

    /// Signs and admits a record.
    pub fn record(&mut self, author: &TestDevice) -> Result<Admitted, Refusal> {
        let header = self.record_header(author);
        self.push(&Entry::sign(header, record_file(), &author.signing))
    }

    /// Signs and admits a `forget`.
    pub fn forget(&mut self, author: &TestDevice, forget: Forget) -> Result<Admitted, Refusal> {
        let header = self.header(author.id(), Kind::Forget);
        self.push(&Entry::sign(header, codec::encode(&forget), &author.signing))
    }

    /// Signs and admits a roster change.
    pub fn change(&mut self, author: &TestDevice, change: &Change) -> Result<Admitted, Refusal> {
        let header = self.header(author.id(), Kind::Roster);
        self.push(&Entry::sign(header, codec::encode(change), &author.signing))
    }

    /// The admission of a newcomer.
    pub fn admission(&self, newcomer: &TestDevice, role: Role) -> Admit {
        admission(self.committee.roster(), newcomer, role)
    }

    /// Signs and admits the admission of a newcomer.
    pub fn admit(
        &mut self,
        author: &TestDevice,
        newcomer: &TestDevice,
        role: Role,
    ) -> Result<Admitted, Refusal> {
        let admit = self.admission(newcomer, role);
        self.change(author, &Change::Admit(Box::new(admit)))
    }

    /// Signs and admits an approval, with all it must carry.
    pub fn approve(&mut self, author: &TestDevice, entry: Hash) -> Result<Admitted, Refusal> {
        let approve = approval(self.committee.roster(), entry);
        self.change(author, &Change::Approve(approve))
    }

    /// Signs and admits the next lock.
    pub fn change_locks(&mut self, author: &TestDevice) -> Result<Admitted, Refusal> {
        let lock = next_lock(self.committee.roster());
        self.change(author, &lock)
    }

    /// The active devices.
    pub fn active(&self) -> Vec<DeviceId> {
        self.committee.roster().active_devices().collect()
    }
}
