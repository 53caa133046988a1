//! People and a relay without a network between them, for tests: real vaults, real seals, the same
//! admission, and a relay that can be made to lie.

use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::change::Change;
use sealpost_protocol::checkpoint::{Checkpoint, Origin, UnverifiedCheckpoint};
use sealpost_protocol::codec;
use sealpost_protocol::committee::{AdmitError, Committee as Fold, Refusal};
use sealpost_protocol::entry::{Entry, Header, Kind as EntryKind, UnverifiedEntry, VERSION};
use sealpost_protocol::forget::{Past, PastEntry};
use sealpost_protocol::frame::NotActive;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, CommitteeId, LeafIndex, Term, TreeSize, UnixMillis};
use sealpost_protocol::sign::{PublicKey, SigningKey};
use sealpost_protocol::tree::{self, Frontier};
use serde_json::{Value, json};

use crate::app::App;
use crate::catalog;
use crate::changes::{Intent, RoleName};
use crate::clock::Clock;
use crate::join::{self, Founding, Opening};
use crate::kinds::Kind;
use crate::lie::FollowError;
use crate::log::{Log, Pulled};
use crate::outbox;
use crate::pull::{self, Brought, Goal};
use crate::push;
use crate::vault::committees::{CommitteeNo, NewCommittee, Standing};
use crate::vault::own::Own;
use crate::vault::{Home, Secrets, Vault, fixture};

/// A relay, Isla who founded a committee there, and Baran whom she let in.
pub(crate) fn scene() -> (MemoryRelay, Person, Person) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    (relay, isla, baran)
}

/// A relay's log of one committee.
#[derive(Clone)]
pub(crate) struct MemoryRelay {
    pub(crate) key: SigningKey,
    pub(crate) fold: Option<Fold>,
    pub(crate) entries: Vec<Vec<u8>>,
    nodes: Vec<Hash>,
}

/// A log in memory before the end of its fold: nodes and entries.
struct Held<'h>(&'h [Hash], &'h [Vec<u8>]);

impl Past for Held<'_> {
    type Error = String;

    fn root_at(&self, size: TreeSize) -> Result<Hash, String> {
        tree::root_at(size, self.0).map_err(|error| error.to_string())
    }

    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, String> {
        let entry = usize::try_from(index.0).ok().and_then(|at| self.1.get(at));
        let entry = entry.and_then(|bytes| UnverifiedEntry::decode(bytes).ok());
        entry.as_ref().map(PastEntry::from).ok_or_else(|| "no such entry".to_owned())
    }
}

impl MemoryRelay {
    pub(crate) fn new(seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        Self { key, fold: None, entries: Vec::new(), nodes: Vec::new() }
    }

    pub(crate) fn address(&self) -> RelayAddress {
        let key = PublicKey::from(self.key.verifying_key());
        let host = "relay.example:4433".parse().expect("a host");
        RelayAddress::new(key, vec![host]).expect("an address")
    }

    /// Admits an entry as a relay does.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let entry = UnverifiedEntry::decode(bytes).expect("an entry");
        let admitted = match &mut self.fold {
            None => {
                let (fold, admitted) = Fold::found(entry)?;
                self.fold = Some(fold);
                admitted
            }
            Some(fold) => {
                let signed = fold.verify_signature(entry)?;
                let past = Held(&self.nodes, &self.entries);
                fold.admit(signed, &past).map_err(|error| match error {
                    AdmitError::Refused(refusal) => refusal,
                    AdmitError::Past(error) => panic!("{error}"),
                })?
            }
        };
        self.nodes.extend(admitted.nodes);
        self.entries.push(bytes.to_vec());
        Ok(())
    }

    fn id(&self) -> CommitteeId {
        self.fold.as_ref().expect("founded").id()
    }

    /// What it signs for its first `size` entries.
    /// Drops the payload at a place, as a relay does that was told to forget it.
    pub(crate) fn drops(&mut self, index: LeafIndex) {
        let entry = &mut self.entries[usize::try_from(index.0).expect("a place in memory")];
        let decoded = UnverifiedEntry::decode(entry).expect("an entry");
        *entry = decoded.with_payload_dropped().encode();
    }

    pub(crate) fn note_at(&self, size: usize) -> String {
        self.note_over(&self.entries[..size])
    }

    /// What it signs for any entries at all.
    pub(crate) fn note_over(&self, entries: &[Vec<u8>]) -> String {
        let mut tree = Frontier::new();
        for bytes in entries {
            tree.append(UnverifiedEntry::decode(bytes).expect("an entry").leaf());
        }
        self.note_of(tree.size(), tree.root())
    }

    pub(crate) fn note_of(&self, size: TreeSize, root: Hash) -> String {
        let origin = Origin { committee: self.id(), term: Term(1) };
        Checkpoint { origin, size, root }.sign(&self.key).text().to_owned()
    }

    /// An answer to somebody who was cut off, with the entry at `index` for the reason.
    pub(crate) fn not_active(&self, index: LeafIndex) -> NotActive {
        let fold = self.fold.as_ref().expect("founded");
        let nodes = self.nodes.as_slice();
        let proof = tree::inclusion_proof(index, fold.size(), nodes).expect("it is in the log");
        let at = usize::try_from(index.0).expect("small");
        let checkpoint = self.note_at(self.entries.len());
        NotActive { entry: self.entries[at].clone().into(), index, proof, checkpoint }
    }

    /// What this relay would sign in the place of the note that is shown.
    pub(crate) fn note_for(&self, shown: &NotActive) -> String {
        let parsed = UnverifiedCheckpoint::parse(shown.checkpoint.as_bytes()).expect("a note");
        parsed.claimed().clone().sign(&self.key).text().to_owned()
    }

    /// An honest answer to a pull.
    pub(crate) fn pulled(&self, from: TreeSize) -> Pulled {
        let from = usize::try_from(from.0).expect("small");
        let entries = self.entries.get(from..).unwrap_or_default().to_vec();
        Pulled { entries, note: self.note_at(self.entries.len()) }
    }
}

/// isla, who founded a committee, and olga, tomas and baran; all but baran coordinate.
pub(crate) fn three_coordinators(relay: &mut MemoryRelay) -> (Person, [Person; 3]) {
    let mut isla = Person::founds("isla", relay);
    let mut others = ["olga", "tomas", "baran"].map(|handle| {
        let mut person = Person::joins(handle, &mut isla, relay);
        person.follows(relay).expect("let in");
        person
    });
    for other in &others[..2] {
        isla.wants(&Intent::Role { member: other.number(), role: RoleName::Coordinator });
    }
    isla.sends_all(relay);
    for person in &mut others {
        person.follows(relay).expect("followed");
    }
    (isla, others)
}

/// Somebody with a vault.
pub(crate) struct Person {
    pub(crate) app: App,
    pub(crate) no: CommitteeNo,
    home: Home,
    dir: tempfile::TempDir,
}

impl Person {
    fn vault_of(handle: &str) -> (tempfile::TempDir, Home, App) {
        let (dir, home) = fixture::home();
        let secrets = Secrets::generate().expect("randomness");
        let own = Own { handle: handle.into(), country: "CH".into(), made: UnixMillis(1) };
        let vault = Vault::create(home.clone(), &fixture::passphrase(), 1, &secrets, &own);
        let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
        (dir, home, App { vault: vault.expect("a vault"), device: secrets.device, clock })
    }

    /// Founds a committee at `relay`.
    pub(crate) fn founds(handle: &str, relay: &mut MemoryRelay) -> Self {
        let (dir, home, mut app) = Self::vault_of(handle);
        let address = relay.address();
        let founding = Founding {
            address: &address,
            permit: "00000-00000-00000-00000-00000-0",
            relay_country: "NO".parse().expect("a country"),
            name: "Reed letters".to_owned(),
        };
        let known = join::save_founding(&mut app, &founding).expect("saved");
        let Ok(Some(Opening::Found(opening))) = Opening::of(&known) else { panic!("no opening") };
        relay.append(&opening.entry_bytes().expect("hex")).expect("a founding entry");
        let mut person = Self { app, no: known.no, home, dir };
        person.follows(relay).expect("followed");
        person
    }

    /// Is let in by `coordinator`, and does not know it yet.
    pub(crate) fn joins(handle: &str, coordinator: &mut Self, relay: &mut MemoryRelay) -> Self {
        let (dir, home, mut app) = Self::vault_of(handle);
        let intent = Intent::Admit {
            card: data_encoding::HEXLOWER.encode(app.device.card().as_bytes()),
            role: RoleName::Member,
            handle: handle.to_owned(),
            country: "CH".to_owned(),
        };
        outbox::save_intent(&mut coordinator.app, coordinator.no, &intent).expect("saved");
        coordinator.sends(relay).expect("sent");
        let new = NewCommittee {
            id: relay.id(),
            relay: relay.address().to_string(),
            standing: Standing::Joining,
            opening: None,
            made: UnixMillis(2),
        };
        let no = app.vault.write(|vault| vault.add_committee(&new)).expect("added");
        Self { app, no, home, dir }
    }

    /// Pulls what `relay` honestly shows.
    pub(crate) fn follows(&mut self, relay: &MemoryRelay) -> Result<Brought, FollowError> {
        self.takes(&relay.pulled(self.size()))
    }

    /// Takes an answer to a pull.
    pub(crate) fn takes(&mut self, pulled: &Pulled) -> Result<Brought, FollowError> {
        let (brought, goal) = pull::accept(&mut self.app, self.no, pulled)?;
        assert_eq!(goal, Goal::Reached);
        Ok(brought)
    }

    /// Sends what waits and follows. What the relay refuses stays.
    pub(crate) fn sends(&mut self, relay: &mut MemoryRelay) -> Result<Brought, FollowError> {
        for bytes in self.prepares() {
            // As a relay's refusal: the next round finds out what it means.
            let _ = relay.append(&bytes);
        }
        self.follows(relay)
    }

    /// What it would send now.
    pub(crate) fn prepares(&mut self) -> Vec<Vec<u8>> {
        let (_, batch) = push::prepare(&mut self.app, self.no).expect("prepared");
        batch.into_iter().map(|flying| flying.bytes).collect()
    }

    pub(crate) fn writes(&mut self, text: &str) -> String {
        let kind = Kind::named("note").expect("a kind");
        let saved =
            outbox::save_record(&mut self.app, self.no, &kind, json!({ "text": text }), &[]);
        saved.expect("saved").id
    }

    /// Wants a roster change made.
    pub(crate) fn wants(&mut self, intent: &Intent) {
        outbox::save_intent(&mut self.app, self.no, intent).expect("saved");
    }

    /// Sends and follows until nothing is left to send.
    pub(crate) fn sends_all(&mut self, relay: &mut MemoryRelay) {
        for _ in 0..8 {
            let batch = self.prepares();
            if batch.is_empty() {
                return;
            }
            for bytes in batch {
                let _ = relay.append(&bytes);
            }
            self.follows(relay).expect("followed");
        }
        panic!("the same is sent again and again");
    }

    /// Signs any change as its next entry, has the relay take it, and follows.
    pub(crate) fn posts(&mut self, relay: &mut MemoryRelay, change: &Change) {
        let log = self.log();
        let fold = log.pulled().expect("pulled");
        let device = &self.app.device;
        let head = fold.author_head(device.device_id());
        let header = Header {
            version: VERSION,
            committee: fold.id(),
            term: fold.term(),
            kind: EntryKind::Roster,
            author: device.device_id(),
            author_seq: head.map_or(AuthorSeq(0), |head| head.seq.next()),
            author_prev: head.map_or(Hash::ZERO, |head| head.leaf),
            seen: fold.seen(),
            roster_head: fold.roster().head(),
            epoch: fold.roster().epoch(),
            made_at: self.app.clock.now(),
            payload_len: 0,
            payload_sha256: Hash::ZERO,
            content: Hash::ZERO,
            blobs: Vec::new(),
        };
        let entry = Entry::sign(header, codec::encode(change), device.signing_key());
        relay.append(&entry.encode()).expect("no rule forbids it");
        // What it finds of its own doing is of no concern here.
        self.follows(relay).expect("followed");
    }

    /// The number it has in the committee.
    pub(crate) fn number(&self) -> u32 {
        let log = self.log();
        let roster = log.pulled().expect("pulled").roster();
        roster.device(self.app.device.device_id()).expect("a member's").member.0
    }

    pub(crate) fn locks(&mut self) {
        outbox::save_intent(&mut self.app, self.no, &Intent::LOCK).expect("saved");
    }

    pub(crate) fn size(&self) -> TreeSize {
        self.log().size()
    }

    pub(crate) fn log(&self) -> Log {
        self.app.vault.read(|vault| Log::load(vault, self.no)).expect("a log")
    }

    /// The notes it can read, with their states.
    pub(crate) fn reads(&self) -> Vec<(String, String)> {
        let rows = catalog::list(&self.app, None).expect("listed");
        let text = |row: &catalog::Listed| match catalog::show(&self.app, &row.reference) {
            Ok(shown) => shown.record["text"].as_str().unwrap_or_default().to_owned(),
            Err(failure) => failure.what,
        };
        rows.iter().map(|row| (row.state.to_owned(), text(row))).collect()
    }

    pub(crate) fn evidence(&self) -> u64 {
        self.app.vault.read(|vault| vault.evidence_count(self.no)).expect("counted")
    }

    /// Everything the vault holds of the log, in one number.
    pub(crate) fn digest(&self) -> Value {
        let position = self.app.vault.read(|vault| vault.position(self.no)).expect("read");
        let size = position.as_ref().map_or(0, |position| position.size.0);
        let entry = |index| self.app.vault.read(|vault| vault.entry(self.no, LeafIndex(index)));
        let entries = (0..).take_while(|index| entry(*index).expect("read").is_some()).count();
        json!({
            "size": size, "entries": entries, "reads": self.reads(),
            "fold": position.map(|position| Hash::of(&position.fold).to_string()),
        })
    }

    /// Another command at the same time.
    pub(crate) fn beside(&self) -> App {
        let (vault, secrets) =
            Vault::open(self.home.clone(), &fixture::passphrase()).expect("opened");
        App { vault, device: secrets.device, clock: self.app.clock }
    }

    /// A copy of the vault as it is now, to be put back later.
    pub(crate) fn copies(&self) -> Vec<u8> {
        std::fs::read(self.home.path().join("vault.db")).expect("a database")
    }

    /// Puts a copy back, as from a backup.
    pub(crate) fn puts_back(self, copy: &[u8]) -> Self {
        let Self { app, no, home, dir } = self;
        drop(app);
        std::fs::write(home.path().join("vault.db"), copy).expect("written");
        let (vault, secrets) = Vault::open(home.clone(), &fixture::passphrase()).expect("opened");
        let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
        Self { app: App { vault, device: secrets.device, clock }, no, home, dir }
    }
}
