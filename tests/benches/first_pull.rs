//! Us: the first pull of somebody who was let in before most of a log was written. A relay process, the real
//! client, and authors who are devices without a client.
//!
//! The pull is measured as a whole, and two of its stages beside it: what comes over the wire, read and
//! decoded by a peer that verifies nothing; and what the client's own code takes to verify the first answer,
//! from its bytes to the last signature, without opening or storing anything.

use std::time::Instant;

use sealpost::lie::FollowError;
use sealpost::log::{Log, Pulled};
use sealpost::transport::{Connection, Deadlines};
use sealpost::vault::home::Home as VaultHome;
use sealpost::vault::records::Content;
use sealpost::vault::{Vault, VaultError};
use sealpost_protocol::entry::{Entry, Header, Kind, Seen, UnverifiedEntry};
use sealpost_protocol::frame::{PullRequest, PushRequest, PushResult, Pushed, Reply, Request};
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
use sealpost_protocol::record::{Binding, Fields, RecordBody};
use sealpost_protocol::seal::EpochKeys;
use sealpost_protocol::sign::VerifyingKey;
use sealpost_protocol::tree::Frontier;
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::load::Line;
use sealpost_tests::peer::{Manner, Peer, replies};
use sealpost_tests::programs::Programs;
use sealpost_tests::relay::Relay;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::seed::Seeded;
use serde_json::json;

use crate::removal::{admit, follow};
use crate::transfer::peak;
use crate::{RECORD_BYTES, ROUNDS};

const AUTHORS: usize = 4;
/// Entries in one push: what an author seals before it sees what came of them.
const BATCH: usize = 128;
/// With its envelope, a record of so much text is padded to [`RECORD_BYTES`].
const TEXT_BYTES: usize = 1_600;
/// The cores of the machine kind that the goal is for.
const CORES: usize = 2;

/// A committee's log, and as many newcomers without it as there are rounds.
pub(crate) struct FirstPull {
    relay: Relay,
    newcomers: Vec<Home>,
    committee: CommitteeId,
    /// Wrote some of it.
    author: Rogue,
    size: TreeSize,
}

/// What one round came to.
pub(crate) struct Took {
    /// All entries over the wire, in seconds.
    pub(crate) wire: f64,
    /// All datagrams that came, in bytes.
    pub(crate) wire_bytes: u64,
    /// Entries a second that the client verifies.
    pub(crate) verified: f64,
    /// Of the same entries, signatures a second that so many threads verify and do nothing else.
    pub(crate) strict: f64,
    /// The command, to the last record opened and stored, in seconds.
    pub(crate) whole: f64,
    /// The most memory that it had, in bytes.
    pub(crate) client_bytes: u64,
}

impl FirstPull {
    /// Founds the committee, lets everybody in and has the authors write so many records.
    pub(crate) fn start(programs: &Programs, records: usize) -> Self {
        let relay = Relay::start(programs);
        let coordinator = Home::of(programs, "isla");
        let committee = coordinator.found(relay.address(), &relay.permit(), "Harbour");
        let mut authors = admit(&coordinator, &committee, 0, AUTHORS);
        let uses = ROUNDS.to_string();
        let new = ["invite", "new", "--committee", &committee, "--uses", &uses];
        let invitation = coordinator.run(&new).exits(0).field("invitation");
        let newcomer = |number| {
            let newcomer = Home::of(programs, &format!("newcomer-{number}"));
            let _ = newcomer.join(&invitation).exits(0);
            newcomer
        };
        let newcomers: Vec<Home> = (0..ROUNDS).map(newcomer).collect();
        coordinator.sync();
        for asking in coordinator.asking() {
            let _ = coordinator.admit(&asking).exits(0);
        }
        authors.iter_mut().for_each(follow);
        let size = write(&authors, relay.address(), records);
        let author = authors.remove(0);
        let committee = author.binding().committee;
        Self { relay, newcomers, committee, author, size }
    }

    /// Everything once, for a newcomer who has nothing of the log.
    pub(crate) fn round(&mut self) -> Took {
        let newcomer = self.newcomers.pop().expect("one for each round");
        let (first, wire, wire_bytes) = self.wire();
        let strict = self.strict(&first);
        let verified = verified(&newcomer, &first);
        let began = Instant::now();
        let client_bytes = peak(&newcomer, &["sync"]);
        let whole = began.elapsed().as_secs_f64();
        self.must_be_whole(&newcomer);
        Took { wire, wire_bytes, verified, strict, whole, client_bytes }
    }

    /// Entries in the log.
    pub(crate) fn size(&self) -> u64 {
        self.size.0
    }

    /// The first answer, and what all of them took.
    fn wire(&self) -> (Pulled, f64, u64) {
        let manner = Manner::of(self.author.device.login_key());
        let peer = Peer::connect(self.relay.address(), &manner).expect("the relay answers");
        let before = peer.received_bytes();
        let began = Instant::now();
        let (mut first, mut from) = (None, TreeSize(0));
        while from < self.size {
            let pull = PullRequest { committee: self.committee, from };
            let mut pulled = Pulled::default();
            for reply in replies(&peer.ask(&Request::Pull(pull))) {
                match reply {
                    Reply::Entries(more) => pulled.entries.extend(more.into_iter().map(Vec::from)),
                    Reply::End(end) => pulled.note = end.checkpoint,
                    other => panic!("a pull was answered with {other:?}"),
                }
            }
            assert!(!pulled.entries.is_empty(), "the log ends at {from}");
            from.0 += pulled.entries.len() as u64;
            first.get_or_insert(pulled);
        }
        let took = began.elapsed().as_secs_f64();
        (first.expect("a log has entries"), took, peer.received_bytes() - before)
    }

    /// The limit: the signatures of an answer, each verified strictly under its author's key.
    fn strict(&self, pulled: &Pulled) -> f64 {
        let roster = self.author.world().committee.roster();
        let signed: Vec<(UnverifiedEntry, VerifyingKey)> = pulled
            .entries
            .iter()
            .map(|bytes| {
                let entry = UnverifiedEntry::decode(bytes).expect("an entry");
                let key = *roster.signing_key(entry.header().author).expect("a member's entry");
                (entry, key)
            })
            .collect();
        let began = Instant::now();
        std::thread::scope(|scope| {
            for some in signed.chunks(signed.len().div_ceil(CORES)) {
                scope.spawn(move || {
                    for (entry, key) in some {
                        let verified = entry.signature().verify(key, entry.header_bytes());
                        verified.expect("an honest signature");
                    }
                });
            }
        });
        signed.len() as f64 / began.elapsed().as_secs_f64()
    }

    /// Every entry is there, and every record opened.
    fn must_be_whole(&self, newcomer: &Home) {
        let vault = open(newcomer);
        let read = vault.read(|vault| {
            let known = vault.committees()?.remove(0);
            let last = vault.record_at(known.no, LeafIndex(self.size.0 - 1))?;
            let epoch = self.author.binding().epoch;
            Ok::<_, VaultError>((known.size, last, vault.unopened(known.no, epoch)?.len()))
        });
        let (size, last, unopened) = read.expect("our own vault");
        assert_eq!((size, unopened), (self.size, 0));
        assert!(last.is_some_and(|last| matches!(last.content, Content::Opened(_))));
    }
}

fn open(home: &Home) -> Vault {
    let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
    opened.unwrap_or_else(|error| panic!("the vault of our own home: {error}")).0
}

/// Entries a second that the client verifies of an answer, on a vault that has nothing of the log.
fn verified(newcomer: &Home, pulled: &Pulled) -> f64 {
    let took = open(newcomer).read(|vault| {
        let log = Log::load(vault, vault.committees()?.remove(0).no)?;
        let began = Instant::now();
        log.extend(vault, pulled, &[])?;
        Ok::<_, FollowError>(began.elapsed().as_secs_f64())
    });
    pulled.entries.len() as f64 / took.unwrap_or_else(|error| panic!("not verified: {error:?}"))
}

/// An author at work.
struct Author<'r> {
    rogue: &'r Rogue,
    line: Connection,
    keys: EpochKeys,
    binding: Binding,
    header: Header,
}

/// Has the authors write by turns, each a push at a time, having seen all that was written before. Returns
/// the size of the log.
fn write(authors: &[Rogue], address: &str, records: usize) -> TreeSize {
    let address = address.parse().expect("the relay's own address");
    let mut tree = authors[0].world().committee.frontier().clone();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let mut writing = Vec::new();
        for rogue in authors {
            let login = rogue.device.login_key();
            let opened = Connection::open(&address, login, Deadlines::default()).await;
            let line = opened.expect("the relay answers on loopback");
            let (keys, binding) = (rogue.keys(), rogue.binding());
            writing.push(Author { rogue, line, keys, binding, header: rogue.header(Kind::Record) });
        }
        let numbers: Vec<u64> = (0..records as u64).collect();
        for (turn, some) in numbers.chunks(BATCH).enumerate() {
            writing[turn % authors.len()].push(some, &mut tree).await;
        }
        for author in writing {
            author.line.close().await;
        }
    });
    tree.size()
}

impl Author<'_> {
    async fn push(&mut self, numbers: &[u64], tree: &mut Frontier) {
        self.header.seen = Seen { size: tree.size(), root: tree.root() };
        let mut entries = Vec::new();
        for number in numbers {
            let entry = self.sign(*number);
            tree.append(entry.leaf());
            entries.push(entry.encode().into());
        }
        let push = PushRequest { committee: self.binding.committee, entries };
        let answer = self.line.ask(Request::Push(push)).await;
        let [Reply::Pushed(Pushed { results, .. })] = answer.as_slice() else {
            panic!("{answer:?}");
        };
        let accepted = |result: &PushResult| matches!(result, PushResult::Accepted(_));
        assert!(results.len() == numbers.len() && results.iter().all(accepted));
    }

    fn sign(&mut self, number: u64) -> Entry {
        let id = format!("01M886ZTD9EZMS7D{number:010}").parse().expect("a ULID");
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).expect("the system has randomness");
        let bound = note(number).bind(&self.binding, &id, &salt).expect("sound fields");
        assert_eq!(bound.plaintext.len(), RECORD_BYTES, "TEXT_BYTES is no longer right");
        self.header.content = bound.content;
        let payload = self.keys.seal_record(&bound.plaintext).expect("it is short");
        let entry = Entry::sign(self.header.clone(), payload, self.rogue.device.signing_key());
        self.header.author_seq = self.header.author_seq.next();
        self.header.author_prev = entry.leaf();
        entry
    }
}

/// A note in words, no two alike.
fn note(number: u64) -> RecordBody {
    const SYLLABLES: [&str; 16] = [
        "ba", "den", "ge", "hal", "i", "jo", "kur", "la", "men", "no", "per", "ra", "sel", "tu",
        "vi", "zan",
    ];
    let mut random = Seeded::new(number);
    let mut text = String::new();
    while text.len() < TEXT_BYTES {
        for _ in 0..=random.below(3) {
            let syllable = usize::try_from(random.below(16)).expect("below 16");
            text.push_str(SYLLABLES[syllable]);
        }
        text.push(' ');
    }
    let note = json!({
        "kind": "note", "schema": 1, "created": "2026-03-11T12:00:00.000Z", "text": text,
    });
    let fields: Fields = note.as_object().expect("an object").clone();
    RecordBody { fields }
}
