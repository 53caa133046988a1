use std::path::PathBuf;

use minicbor::bytes::ByteArray;
use sealpost_protocol::change::Role as MemberRole;
use sealpost_protocol::checkpoint::{
    Checkpoint, Cosignature, Cosigner, Origin, SignedCheckpoint, UnverifiedCheckpoint,
};
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Entry, Kind as EntryKind};
use sealpost_protocol::frame::{CommitteeRequest, CosignRequest, HeadAsk};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::Term;
use sealpost_protocol::tree::{Proof, verify_inclusion};
use sealpost_protocol::world::{
    Held, TestDevice, World, founding_change, founding_header, record_file,
};
use tempfile::TempDir;

use super::*;
use crate::store::disk::faulty::FaultyDisk;
use crate::store::disk::{Disk, RealDisk};
use crate::store::{Options, Store};

pub(crate) mod answers;
mod blobs;
mod changes;
mod cut_off;
mod forget;
pub(crate) mod invitations;
mod pace;
pub(crate) mod strangers;
mod trouble;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const HOUR_MS: u64 = 3_600_000;

fn clock() -> UnixMillis {
    NOW
}

type TestService = Service<Store>;

/// A relay with its folder, and the log as an honest client holds it.
struct Fixture {
    service: Arc<TestService>,
    world: World,
    home: Home,
}

/// Where a relay keeps its logs.
struct Home {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    options: Options,
    /// Vanishes with the test; none for a disk in memory.
    _folder: Option<TempDir>,
}

const FOUNDER: u8 = 1;
const MEMBER: u8 = 2;

fn relay_key() -> SigningKey {
    SigningKey::from_bytes(&[90; 32])
}

fn login(device: &TestDevice) -> PublicKey {
    (*device.card.login_key()).into()
}

fn stranger() -> PublicKey {
    login(&TestDevice::new(66))
}

/// Small segments: making a segment is the slow part of a test.
fn small() -> Options {
    Options { segment_bytes: 4 * 1024 * 1024, ..Options::default() }
}

impl Home {
    fn real() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay");
        Self { disk: Arc::new(RealDisk), path, options: small(), _folder: Some(folder) }
    }

    fn faulty(disk: &FaultyDisk) -> Self {
        let options = Options { segment_bytes: 64 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
        Self { disk: Arc::new(disk.clone()), path: "/relay".into(), options, _folder: None }
    }

    async fn try_open(&self) -> Result<Arc<TestService>, FoldError> {
        let store = Store::open(&self.disk, &self.path, self.options)?;
        Ok(Arc::new(Service::open(Arc::new(store), relay_key(), clock).await?))
    }

    async fn open(&self) -> Arc<TestService> {
        self.try_open().await.unwrap()
    }
}

impl Fixture {
    /// A committee of a founder and a member.
    async fn new() -> Self {
        Self::at(Home::real()).await
    }

    async fn at(home: Home) -> Self {
        drop(Store::create(&home.disk, &home.path, home.options).unwrap());
        let service = home.open().await;
        let founder = TestDevice::new(FOUNDER);
        let world = World::found(&founder);
        let mut fixture = Self { service, world, home };
        let founded = fixture.found(fixture.permit().await).await;
        assert_eq!(accepted(&founded), [LeafIndex(0)]);
        fixture.world.admit(&founder, &TestDevice::new(MEMBER), MemberRole::Member).unwrap();
        let admitted = fixture.push_last(login(&founder)).await;
        assert_eq!(accepted(&admitted), [LeafIndex(1)]);
        fixture
    }

    async fn permit(&self) -> [u8; 16] {
        permit::issue(self.service.store().as_ref(), &[9; 16].into(), None, NOW).await.unwrap();
        [9; 16]
    }

    async fn found(&self, permit: [u8; 16]) -> Reply {
        let entry = self.world.log[0].clone().into();
        let permit = ByteArray::from(permit);
        ask(&self.service, stranger(), Request::Found(FoundRequest { permit, entry })).await
    }

    fn committee(&self) -> CommitteeId {
        self.world.committee.id()
    }

    /// Pushes what the world took in last.
    async fn push_last(&self, peer: PublicKey) -> Reply {
        self.push(peer, self.world.log[self.world.log.len() - 1..].to_vec()).await
    }

    async fn push(&self, peer: PublicKey, entries: Vec<Vec<u8>>) -> Reply {
        let entries = entries.into_iter().map(Into::into).collect();
        let push = PushRequest { committee: self.committee(), entries };
        ask(&self.service, peer, Request::Push(push)).await
    }

    async fn pull(&self, peer: PublicKey, from: u64) -> (Vec<Vec<u8>>, SignedCheckpoint) {
        let pull = PullRequest { committee: self.committee(), from: TreeSize(from) };
        let mut replies = stream(&self.service, peer, Request::Pull(pull));
        let mut entries = Vec::new();
        loop {
            match replies.recv().await.expect("an end comes before the stream does") {
                Reply::Entries(some) => entries.extend(some.into_iter().map(Vec::from)),
                Reply::End(end) => return (entries, self.verified(&end.checkpoint)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn verified(&self, note: &str) -> SignedCheckpoint {
        let origin = Origin { committee: self.committee(), term: Term(1) };
        UnverifiedCheckpoint::parse(note.as_bytes())
            .unwrap()
            .verify(&relay_key().verifying_key(), &origin)
            .unwrap()
    }

    async fn restart(self) -> Self {
        drop(self.service);
        Self { service: self.home.open().await, ..self }
    }
}

fn stream(service: &Arc<TestService>, peer: PublicKey, request: Request) -> mpsc::Receiver<Reply> {
    stream_with(service, peer, request, mpsc::channel(1).1)
}

fn stream_with(
    service: &Arc<TestService>,
    peer: PublicKey,
    request: Request,
    body: Body,
) -> mpsc::Receiver<Reply> {
    let (replies, receiver) = mpsc::channel(2);
    let service = service.clone();
    tokio::spawn(async move { service.call(peer, request, body, replies).await });
    receiver
}

async fn ask(service: &Arc<TestService>, peer: PublicKey, request: Request) -> Reply {
    stream(service, peer, request).recv().await.expect("every request is answered")
}

fn refused(code: Code) -> Reply {
    Reply::Refused(Refused { code })
}

fn receipts(reply: &Reply) -> Vec<(LeafIndex, Proof)> {
    let Reply::Pushed(pushed) = reply else { panic!("{reply:?}") };
    let receipt = |result: &PushResult| match result {
        PushResult::Accepted(accepted) => (accepted.index, accepted.proof.clone()),
        PushResult::Refused(refused) => panic!("{refused:?}"),
    };
    pushed.results.iter().map(receipt).collect()
}

fn accepted(reply: &Reply) -> Vec<LeafIndex> {
    receipts(reply).into_iter().map(|(index, _)| index).collect()
}

fn first_code(reply: &Reply) -> Code {
    match reply {
        Reply::Refused(refused) => refused.code,
        Reply::Pushed(pushed) => match &pushed.results[0] {
            PushResult::Refused(refused) => refused.code,
            PushResult::Accepted(accepted) => panic!("{accepted:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pushed_record_is_pulled_and_proven() {
    let mut fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    for _ in 0..20 {
        fixture.world.record(&member).unwrap();
    }
    let pushed = fixture.push(login(&member), fixture.world.log[2..].to_vec()).await;
    let Reply::Pushed(Pushed { checkpoint, .. }) = &pushed else { panic!("{pushed:?}") };
    let signed = fixture.verified(checkpoint);
    assert_eq!(signed.checkpoint().root, fixture.world.committee.root());
    for (index, proof) in receipts(&pushed) {
        let bytes = &fixture.world.log[usize::try_from(index.0).unwrap()];
        let leaf = UnverifiedEntry::decode(bytes).unwrap().leaf();
        let Checkpoint { size, root, .. } = signed.checkpoint();
        verify_inclusion(&leaf, index, *size, &proof, root).unwrap();
    }
    let (entries, head) = fixture.pull(login(&TestDevice::new(FOUNDER)), 0).await;
    assert_eq!(entries, fixture.world.log);
    assert_eq!(head.text(), checkpoint);
}

#[tokio::test]
async fn a_pull_ends_in_time_with_a_checkpoint_of_what_it_brought() {
    let fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    let mut header = fixture.world.record_header(&member);
    let file = [record_file(), vec![7; 1_000_000]].concat();
    let mut leaves = fixture.world.committee.frontier().clone();
    let mut roots = HashMap::new();
    for _ in 0..12 {
        let mut entries = Vec::new();
        for _ in 0..3 {
            let entry = Entry::sign(header.clone(), file.clone(), &member.signing);
            header.author_seq = header.author_seq.next();
            header.author_prev = entry.leaf();
            leaves.append(entry.leaf());
            roots.insert(leaves.size(), leaves.root());
            entries.push(entry.encode());
        }
        assert_eq!(accepted(&fixture.push(login(&member), entries).await).len(), 3);
    }
    let (first, head) = fixture.pull(login(&member), 0).await;
    let bytes: usize = first.iter().map(Vec::len).sum();
    assert!((1..=1_010_000).contains(&(bytes - limits::PULL_BYTES_MAX)), "{bytes}");
    let Checkpoint { size, root, .. } = *head.checkpoint();
    assert_eq!((size, root), (TreeSize(first.len() as u64), roots[&size]));
    let (rest, head) = fixture.pull(login(&member), size.0).await;
    assert_eq!((first.len() + rest.len(), head.checkpoint().size), (38, TreeSize(38)));
    assert_eq!(head.checkpoint().root, leaves.root());
}

#[tokio::test]
async fn an_entry_pushed_again_finds_its_place() {
    let mut fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    for _ in 0..3 {
        fixture.world.record(&member).unwrap();
    }
    let records = fixture.world.log[2..].to_vec();
    let twice = [records.clone(), records.clone()].concat();
    let indices: Vec<_> = [2, 3, 4, 2, 3, 4].map(LeafIndex).to_vec();
    assert_eq!(accepted(&fixture.push(login(&member), twice).await), indices);
    let fixture = fixture.restart().await;
    assert_eq!(accepted(&fixture.push(login(&member), records).await), indices[..3]);
    let (entries, _) = fixture.pull(login(&member), 0).await;
    assert_eq!(entries.len(), 5);
}

#[tokio::test]
async fn a_forked_author_chain_is_refused() {
    let mut fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    let header = fixture.world.record_header(&member);
    fixture.world.record(&member).unwrap();
    fixture.push_last(login(&member)).await;
    let other = Entry::sign(
        sealpost_protocol::entry::Header { made_at: NOW, ..header },
        record_file(),
        &member.signing,
    );
    let reply = fixture.push(login(&member), vec![other.encode()]).await;
    assert_eq!(first_code(&reply), Code::AuthorChain);
}

#[tokio::test]
async fn a_refused_entry_leaves_the_others_of_its_push() {
    let mut fixture = Fixture::new().await;
    let (founder, member) = (TestDevice::new(FOUNDER), TestDevice::new(MEMBER));
    let forged = Entry::sign(fixture.world.record_header(&member), record_file(), &founder.signing);
    fixture.world.record(&founder).unwrap();
    let sound = fixture.world.log[2].clone();
    let entries = vec![forged.encode(), b"no entry".to_vec(), sound];
    let reply = fixture.push(login(&founder), entries).await;
    let Reply::Pushed(pushed) = &reply else { panic!("{reply:?}") };
    let code = |code| PushResult::Refused(Refused { code });
    assert_eq!(pushed.results[0], code(Code::BadSignature));
    assert_eq!(pushed.results[1], code(Code::Malformed));
    assert!(matches!(&pushed.results[2], PushResult::Accepted(at) if at.index == LeafIndex(2)));
}

#[tokio::test]
async fn a_restart_folds_the_same_log_and_signs_the_same_note() {
    let mut fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    fixture.world.record(&member).unwrap();
    fixture.push_last(login(&member)).await;
    let (before, note) = fixture.pull(login(&member), 0).await;
    let mut fixture = fixture.restart().await;
    let (after, same) = fixture.pull(login(&member), 0).await;
    assert_eq!((before, note.text()), (after, same.text()));
    fixture.world.record(&member).unwrap();
    assert_eq!(accepted(&fixture.push_last(login(&member)).await), [LeafIndex(3)]);
}

#[tokio::test]
async fn heads_say_the_same_or_the_checkpoint() {
    let fixture = Fixture::new().await;
    let heads = |size| {
        let ask = HeadAsk { committee: fixture.committee(), size: TreeSize(size) };
        Request::Heads(HeadsRequest { committees: vec![ask] })
    };
    let member = login(&TestDevice::new(MEMBER));
    let same = ask(&fixture.service, member, heads(2)).await;
    assert_eq!(same, Reply::Heads(vec![HeadState::Same(Empty {})]));
    for other in [0, 1, 3] {
        let reply = ask(&fixture.service, member, heads(other)).await;
        let Reply::Heads(states) = reply else { panic!("{reply:?}") };
        let [HeadState::Other(head)] = states.as_slice() else { panic!("{states:?}") };
        assert_eq!(fixture.verified(&head.checkpoint).checkpoint().size, TreeSize(2));
    }
}

#[tokio::test]
async fn a_watcher_hears_of_growth() {
    let mut fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    let watched = HeadAsk { committee: fixture.committee(), size: TreeSize(2) };
    let watch = Request::Watch(HeadsRequest { committees: vec![watched] });
    let mut grown = stream(&fixture.service, login(&TestDevice::new(FOUNDER)), watch);
    for size in [3, 4] {
        fixture.world.record(&member).unwrap();
        fixture.push_last(login(&member)).await;
        let heard = Reply::Grown(HeadAsk { size: TreeSize(size), ..watched });
        assert_eq!(grown.recv().await, Some(heard));
    }
}

#[tokio::test]
async fn a_permit_founds_one_committee() {
    let fixture = Fixture::new().await;
    assert_eq!(accepted(&fixture.found([9; 16]).await), [LeafIndex(0)], "the same one again");
    assert_eq!(fixture.found([8; 16]).await, refused(Code::NotFound), "an unknown permit");
    let other = World::found(&TestDevice::new(3));
    let request = FoundRequest { permit: [9; 16].into(), entry: other.log[0].clone().into() };
    let reply = ask(&fixture.service, stranger(), Request::Found(request)).await;
    assert_eq!(reply, refused(Code::AlreadyFounded));
}

#[tokio::test]
async fn a_committee_is_founded_at_the_relay_it_names() {
    let fixture = Fixture::new().await;
    permit::issue(fixture.service.store().as_ref(), &[7; 16].into(), None, NOW).await.unwrap();
    let founder = TestDevice::new(3);
    let mut change = founding_change(&founder);
    let key = SigningKey::from_bytes(&[91; 32]).verifying_key();
    let key = sealpost_protocol::address::key_to_text(&key.into());
    change.home.address = format!("sealpost://{key}@relay.example:1").parse().unwrap();
    let header = founding_header(&founder);
    let payload = codec::encode(&Change::Found(Box::new(change)));
    let entry = Entry::sign(header, payload, &founder.signing);
    let request = FoundRequest { permit: [7; 16].into(), entry: entry.encode().into() };
    let reply = ask(&fixture.service, stranger(), Request::Found(request)).await;
    assert_eq!(reply, refused(Code::OtherLog));
}

fn cosign_request(fixture: &Fixture, device: &TestDevice, size: u64, root: Hash) -> CosignRequest {
    let committee = fixture.committee();
    let origin = Origin { committee, term: Term(1) };
    let checkpoint = Checkpoint { origin, size: TreeSize(size), root };
    let cosigner = Cosigner::Device(device.id());
    let cosignature = Cosignature::sign(&checkpoint, cosigner, &device.signing, NOW);
    let cosignature = cosignature.text().to_owned();
    CosignRequest { committee, size: TreeSize(size), root, cosignature }
}

#[tokio::test]
async fn a_cosignature_over_another_root_is_refused() {
    let fixture = Fixture::new().await;
    let member = TestDevice::new(MEMBER);
    let root = fixture.world.committee.root();
    let request = cosign_request(&fixture, &member, 2, root);
    let done = ask(&fixture.service, login(&member), Request::Cosign(request.clone())).await;
    assert_eq!(done, Reply::Done(Empty {}));
    let about = Request::Cosignatures(CommitteeRequest { committee: fixture.committee() });
    let Reply::Cosignatures(kept) = ask(&fixture.service, login(&member), about).await else {
        panic!("not the cosignatures");
    };
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].device, &kept[0].cosignature), (member.id(), &request.cosignature));

    let cosign =
        async |request| ask(&fixture.service, login(&member), Request::Cosign(request)).await;
    let other = cosign_request(&fixture, &member, 2, Hash::of(b"another"));
    assert_eq!(cosign(other).await, refused(Code::Disputed));
    let ahead = cosign_request(&fixture, &member, 3, root);
    assert_eq!(cosign(ahead).await, refused(Code::SeenOutOfRange));
    let anothers = cosign_request(&fixture, &TestDevice::new(FOUNDER), 2, root);
    assert_eq!(cosign(anothers).await, refused(Code::NotEntitled));
    let mut forged = request;
    forged.root = fixture.world.committee.root();
    forged.size = TreeSize(1);
    assert_eq!(cosign(forged).await, refused(Code::Disputed));
}

#[tokio::test]
async fn the_newcomer_is_known_as_soon_as_admitted() {
    let mut fixture = Fixture::new().await;
    let (founder, newcomer) = (TestDevice::new(FOUNDER), TestDevice::new(5));
    let pull = PullRequest { committee: fixture.committee(), from: TreeSize(0) };
    let before = ask(&fixture.service, login(&newcomer), Request::Pull(pull)).await;
    assert_eq!(before, refused(Code::NotFound));
    fixture.world.admit(&founder, &newcomer, MemberRole::Reader).unwrap();
    fixture.push_last(login(&founder)).await;
    let (entries, _) = fixture.pull(login(&newcomer), 0).await;
    assert_eq!(entries, fixture.world.log);
    let header = fixture.world.header(newcomer.id(), EntryKind::Record);
    let record = Entry::sign(header, record_file(), &newcomer.signing);
    let reply = fixture.push(login(&newcomer), vec![record.encode()]).await;
    assert_eq!(first_code(&reply), Code::NotEntitled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_share_one_log() {
    let mut fixture = Fixture::new().await;
    let founder = TestDevice::new(FOUNDER);
    let writers: Vec<TestDevice> = (10..18).map(TestDevice::new).collect();
    for writer in &writers {
        fixture.world.admit(&founder, writer, MemberRole::Member).unwrap();
        fixture.push_last(login(&founder)).await;
    }
    // Each writer signs a chain of its own over the same `seen`; the relay finds the order.
    let mut pushes = Vec::new();
    for writer in &writers {
        let mut header = fixture.world.record_header(writer);
        let mut entries = Vec::new();
        for _ in 0..25 {
            let entry = Entry::sign(header.clone(), record_file(), &writer.signing);
            header.author_seq = header.author_seq.next();
            header.author_prev = entry.leaf();
            entries.push(entry.encode().into());
        }
        let push = PushRequest { committee: fixture.committee(), entries };
        pushes.push(stream(&fixture.service, login(writer), Request::Push(push)));
    }
    for mut push in pushes {
        let reply = push.recv().await.unwrap();
        assert_eq!(accepted(&reply).len(), 25);
    }
    let (entries, head) = fixture.pull(login(&founder), 0).await;
    assert_eq!(entries.len(), 2 + 8 + 8 * 25);
    let log: Vec<_> = entries.iter().map(|bytes| UnverifiedEntry::decode(bytes).unwrap()).collect();
    let mut log = log.into_iter();
    let (mut fold, first) = Committee::found(log.next().unwrap()).unwrap();
    let mut nodes = first.nodes;
    for entry in log {
        let signed = fold.verify_signature(entry).unwrap();
        let admitted = fold.admit(signed, &Held { nodes: &nodes, log: &entries }).unwrap();
        nodes.extend(admitted.nodes);
    }
    assert_eq!(fold.root(), head.checkpoint().root);
    assert_eq!(check_logs(fixture.service.store().as_ref()).await.unwrap(), 210);
}
