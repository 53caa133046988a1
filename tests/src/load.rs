//! A committee at work: many invented devices, all of whose entries were signed beforehand.
//!
//! ```text
//! Load::sign ─ founding, admissions, records ─> Load::settle   the roster, over one line
//!                                               Writer::push   one record after the other, each
//!                                                              when the one before has its receipt
//!                                               Load::audit    a pulled log against all receipts
//! ```
//!
//! The same load drives a relay over QUIC and a service without a network: a [`Line`] is either.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use minicbor::bytes::{ByteArray, ByteVec};
use sealpost::transport::Connection;
use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::card::Card;
use sealpost_protocol::change::{Found, Relay, Role};
use sealpost_protocol::checkpoint::{Checkpoint, Origin, UnverifiedCheckpoint};
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::{Entry, UnverifiedEntry};
use sealpost_protocol::frame::{
    Accepted, FoundRequest, PermitCode, PullRequest, PushRequest, PushResult, Pushed, Reply,
    Request,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, Term, TreeSize};
use sealpost_protocol::seal::{EpochKeys, EpochSecret};
use sealpost_protocol::sign::{PublicKey, SigningKey};
use sealpost_protocol::tree::{Frontier, verify_inclusion};
use sealpost_protocol::world::{self, TestDevice, World};
use sealpost_relay::service::Service;
use sealpost_relay::store::{BlobStore, LogStore, NoteStore};
use tokio::sync::mpsc;

/// Takes a request to a relay and the answer back.
pub trait Line: Send + Sync {
    /// All replies. An answer that was cut off is shorter: what was asked may have been done.
    fn ask(&self, request: Request) -> impl Future<Output = Vec<Reply>> + Send;
}

impl Line for Connection {
    async fn ask(&self, request: Request) -> Vec<Reply> {
        let mut all = Vec::new();
        if let Ok(mut replies) = self.request(&request).await {
            while let Ok(Some(reply)) = replies.next().await {
                all.push(reply);
            }
        }
        all
    }
}

/// A service that is called without a network by the device that logs in with `peer`.
pub struct Direct<S> {
    /// The service.
    pub service: Arc<Service<S>>,
    /// The login key.
    pub peer: PublicKey,
}

impl<S: LogStore + NoteStore + BlobStore> Line for Direct<S> {
    async fn ask(&self, request: Request) -> Vec<Reply> {
        let (sender, mut replies) = mpsc::channel(2);
        let (service, peer) = (self.service.clone(), self.peer);
        let no_body = mpsc::channel(1).1;
        let call = tokio::spawn(async move { service.call(peer, request, no_body, sender).await });
        let mut all = Vec::new();
        while let Some(reply) = replies.recv().await {
            all.push(reply);
        }
        call.await.expect("the service does not panic");
        all
    }
}

/// A committee and what each of its members is going to write.
#[derive(Clone)]
pub struct Load {
    relay: PublicKey,
    committee: CommitteeId,
    founder: SigningKey,
    /// The founding entry and the admissions.
    roster: Vec<Vec<u8>>,
    /// Who writes.
    pub writers: Vec<Writer>,
}

/// A device with its signed records, and the receipts it has for them.
#[derive(Clone)]
pub struct Writer {
    /// Logs the device in.
    pub login: SigningKey,
    committee: CommitteeId,
    records: Vec<(Hash, Vec<u8>)>,
    /// One for each record accepted, in order.
    pub receipts: Vec<Receipt>,
}

/// The relay's word that a record is in the log.
#[derive(Clone)]
pub struct Receipt {
    leaf: Hash,
    accepted: Accepted,
    checkpoint: String,
}

impl Load {
    /// Founds a committee for the relay at `address` and admits a writer for each of `records`,
    /// for whom it signs so many, with sealed payloads of `plaintext_bytes`.
    pub fn sign(address: &RelayAddress, records: &[usize], plaintext_bytes: usize) -> Self {
        let (founder, founder_login) = device(0);
        let devices: Vec<_> = (1..).map(device).take(records.len()).collect();
        let mut world = found(&founder, address);
        for (writer, _) in &devices {
            world.admit(&founder, writer, Role::Member).expect("an admissible newcomer");
        }
        let keys = EpochKeys::new(EpochSecret::generate(&[200; 32]));
        let plaintext = vec![b' '; plaintext_bytes];
        let writers = devices
            .into_iter()
            .zip(records)
            .map(|((writer, login), records)| Writer {
                login,
                committee: world.committee.id(),
                records: sign_records(&world, &writer, *records, || {
                    keys.seal_record(&plaintext).expect("less than a record may have")
                }),
                receipts: Vec::new(),
            })
            .collect();
        Self {
            relay: *address.key(),
            committee: world.committee.id(),
            founder: founder_login,
            roster: world.log,
            writers,
        }
    }

    /// The login key of the founder.
    pub fn founder(&self) -> &SigningKey {
        &self.founder
    }

    /// How many records have been accepted.
    pub fn receipts(&self) -> usize {
        self.writers.iter().map(|writer| writer.receipts.len()).sum()
    }

    /// Founds the committee with a permit and pushes the admissions, over the founder's line.
    pub async fn settle(&self, line: &impl Line, permit: PermitCode) {
        let entry = ByteVec::from(self.roster[0].clone());
        let founded = line.ask(Request::Found(FoundRequest { permit, entry })).await;
        assert!(accepted(founded).is_some(), "the founding entry was not accepted");
        for admission in &self.roster[1..] {
            let entries = vec![ByteVec::from(admission.clone())];
            let push = PushRequest { committee: self.committee, entries };
            let pushed = line.ask(Request::Push(push)).await;
            assert!(accepted(pushed).is_some(), "an admission was not accepted");
        }
    }

    /// The whole log and its checkpoint, over the line of anybody in the committee.
    pub async fn pull(&self, line: &impl Line) -> Result<(Vec<Vec<u8>>, String), String> {
        let mut log = Vec::new();
        loop {
            let before = log.len();
            let checkpoint = self.pull_some(line, &mut log).await?;
            // A pull ends after some megabytes, with a checkpoint of what it brought.
            if log.len() == before {
                return Ok((log, checkpoint));
            }
        }
    }

    async fn pull_some(&self, line: &impl Line, log: &mut Vec<Vec<u8>>) -> Result<String, String> {
        let from = TreeSize(log.len() as u64);
        let pull = PullRequest { committee: self.committee, from };
        for reply in line.ask(Request::Pull(pull)).await {
            match reply {
                Reply::Entries(entries) => log.extend(entries.into_iter().map(Vec::from)),
                Reply::End(end) => return Ok(end.checkpoint),
                other => return Err(format!("a pull was answered with {other:?}")),
            }
        }
        Err("a pull was cut off".to_owned())
    }

    /// Holds a log against its checkpoint and every receipt that was given out: what was accepted
    /// is there once, where the receipt says, in its author's order; nothing is there that was not
    /// signed here; every checkpoint ever shown is of this very log.
    pub fn audit(&self, log: &[Vec<u8>], checkpoint: &str) -> Result<(), String> {
        let (leaves, roots) = leaves_and_roots(log)?;
        let head = self.verified(checkpoint)?;
        if head.size.0 != leaves.len() as u64 || Some(&head.root) != roots.last() {
            return Err("the pulled log is not that of its checkpoint".to_owned());
        }
        self.in_order_and_once(log, &leaves)?;
        for receipt in self.writers.iter().flat_map(|writer| &writer.receipts) {
            let (index, at) = (receipt.accepted.index, self.check_receipt(receipt)?);
            let place = usize::try_from(index.0).map_err(|_| "an index beyond memory")?;
            if leaves.get(place) != Some(&receipt.leaf) {
                return Err(format!("the record accepted at {index} is not there"));
            }
            let size = usize::try_from(at.size.0).map_err(|_| "a size beyond memory")?;
            if roots.get(size) != Some(&at.root) {
                return Err(format!("a checkpoint of {size} entries was of another log"));
            }
        }
        Ok(())
    }

    /// Checks a receipt by itself: the relay's signature and the inclusion proof.
    pub fn check_receipt(&self, receipt: &Receipt) -> Result<Checkpoint, String> {
        let Checkpoint { origin, size, root } = self.verified(&receipt.checkpoint)?;
        let Accepted { index, proof } = &receipt.accepted;
        verify_inclusion(&receipt.leaf, *index, size, proof, &root)
            .map_err(|error| format!("a receipt: {error}"))?;
        Ok(Checkpoint { origin, size, root })
    }

    fn verified(&self, note: &str) -> Result<Checkpoint, String> {
        let key = self.relay.verifying_key().map_err(|error| error.to_string())?;
        let origin = Origin { committee: self.committee, term: Term(1) };
        let note = UnverifiedCheckpoint::parse(note.as_bytes())
            .map_err(|error| format!("a checkpoint: {error}"))?;
        let signed =
            note.verify(&key, &origin).map_err(|error| format!("a checkpoint: {error}"))?;
        Ok(*signed.checkpoint())
    }

    /// The roster first; then, of each writer, the first so many records and no others.
    fn in_order_and_once(&self, log: &[Vec<u8>], leaves: &[Hash]) -> Result<(), String> {
        if log.get(..self.roster.len()) != Some(&self.roster) {
            return Err("the log does not begin with its roster".to_owned());
        }
        let expected: HashMap<Hash, (usize, usize)> = self
            .writers
            .iter()
            .enumerate()
            .flat_map(|(writer, Writer { records, .. })| {
                let place =
                    move |(seq, (leaf, _)): (usize, &(Hash, Vec<u8>))| (*leaf, (writer, seq));
                records.iter().enumerate().map(place)
            })
            .collect();
        let mut next = vec![0; self.writers.len()];
        for (entry, leaf) in log.iter().zip(leaves).skip(self.roster.len()) {
            let (writer, seq) =
                *expected.get(leaf).ok_or("the log has an entry that nobody here signed")?;
            if next[writer] != seq || self.writers[writer].records[seq].1 != *entry {
                return Err(format!("writer {writer}: record {seq} stands twice or out of order"));
            }
            next[writer] += 1;
        }
        let behind = next.iter().zip(&self.writers).find(|(n, w)| **n < w.receipts.len());
        behind.map_or(Ok(()), |(found, writer)| {
            Err(format!("{found} records of a writer who has {} receipts", writer.receipts.len()))
        })
    }
}

impl Writer {
    /// Pushes the records that have no receipt yet, one at a time, until all have one or the
    /// relay does not accept one. Says whether all have.
    pub async fn push(&mut self, line: &impl Line) -> bool {
        self.push_some(line, self.records.len() - self.receipts.len()).await
    }

    /// As [`Writer::push`], for the next `count` of them.
    pub async fn push_some(&mut self, line: &impl Line, count: usize) -> bool {
        let from = self.receipts.len();
        for (leaf, bytes) in &self.records[from..from + count] {
            let entries = vec![ByteVec::from(bytes.clone())];
            let push = PushRequest { committee: self.committee, entries };
            let Some((accepted, checkpoint)) = accepted(line.ask(Request::Push(push)).await) else {
                return false;
            };
            self.receipts.push(Receipt { leaf: *leaf, accepted, checkpoint });
        }
        true
    }

    /// How many bytes one entry takes.
    pub fn entry_bytes(&self) -> usize {
        self.records.first().map_or(0, |(_, bytes)| bytes.len())
    }
}

/// A permit's code, made of a seed.
pub fn permit(seed: u8) -> PermitCode {
    ByteArray::from([seed; 16])
}

fn accepted(replies: Vec<Reply>) -> Option<(Accepted, String)> {
    match replies.into_iter().next() {
        Some(Reply::Pushed(Pushed { results, checkpoint })) => match results.into_iter().next() {
            Some(PushResult::Accepted(accepted)) => Some((accepted, checkpoint)),
            _ => None,
        },
        _ => None,
    }
}

fn device(seed: u8) -> (TestDevice, SigningKey) {
    let signing = SigningKey::from_bytes(&Hash::of(&[b's', seed]).0);
    let login = SigningKey::from_bytes(&Hash::of(&[b'l', seed]).0);
    let card = Card::sign(&signing, &login, &world::recipient(seed));
    (TestDevice { signing, card }, login)
}

fn found(founder: &TestDevice, address: &RelayAddress) -> World {
    let country = "CH".parse().expect("two letters");
    let home = Relay { address: address.clone(), country };
    let change = Found { home, ..world::founding_change(founder) };
    let entry = world::found_with(founder, change, world::founding_header(founder));
    let (committee, admitted) = Committee::found(entry).expect("a sound founding entry");
    World { committee, nodes: admitted.nodes, log: vec![admitted.entry.encode()] }
}

/// Records that follow each other in their author's chain. All saw the log as it was when the
/// roster was complete.
fn sign_records(
    world: &World,
    author: &TestDevice,
    records: usize,
    payload: impl Fn() -> Vec<u8>,
) -> Vec<(Hash, Vec<u8>)> {
    let mut header = world.record_header(author);
    (0..records)
        .map(|_| {
            let entry = Entry::sign(header.clone(), payload(), &author.signing);
            header.author_seq = header.author_seq.next();
            header.author_prev = entry.leaf();
            (entry.leaf(), entry.encode())
        })
        .collect()
}

/// The leaf of each entry, and the root of each size from 0 on.
fn leaves_and_roots(log: &[Vec<u8>]) -> Result<(Vec<Hash>, Vec<Hash>), String> {
    let mut frontier = Frontier::new();
    let mut leaves = Vec::with_capacity(log.len());
    let mut roots = vec![frontier.root()];
    for bytes in log {
        let entry = UnverifiedEntry::decode(bytes).map_err(|error| error.to_string())?;
        leaves.push(entry.leaf());
        frontier.append(entry.leaf());
        roots.push(frontier.root());
    }
    Ok((leaves, roots))
}
