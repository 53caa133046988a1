//! The service behind QUIC: what a stranger, an unknown device and a device of another committee
//! are told of a log that exists is what they are told of one that does not, byte for byte.

use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{FoundRequest, PushRequest};
use sealpost_protocol::world::{TestDevice, World};

use super::*;
use crate::permit;
use crate::service::Service;
use crate::service::tests::invitations::open_invitation;
use crate::service::tests::strangers::requests;
use crate::store::disk::Disk;
use crate::store::disk::faulty::FaultyDisk;
use crate::store::{Options, Store};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// What makes a login key of a device's seed.
const LOGIN: u8 = 0x80;
pub(super) const MEMBER: u8 = 1;
const MEMBER_ELSEWHERE: u8 = 2;
const NOBODY: u8 = 3;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[90; 32])
}

pub(super) struct Served {
    address: SocketAddr,
    pub(super) metrics: Arc<Metrics>,
    service: Arc<Service<Store>>,
    _stopper: Stopper,
}

impl Served {
    pub(super) async fn start() -> Self {
        let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new());
        let options = Options { segment_bytes: 256 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
        let store = Arc::new(Store::create(&disk, "/data".as_ref(), options).unwrap());
        let service = Arc::new(Service::open(store, key(), || NOW).await.unwrap());
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let metrics = Arc::new(Metrics::new());
        let transport =
            Transport::bind(listen, &key(), wire::ALPN, Limits::default(), metrics.clone())
                .unwrap();
        let address = transport.local_addr().unwrap();
        let (stopper, stop) = stop::channel();
        tokio::spawn(transport.serve(service.clone(), stop));
        Self { address, metrics, service, _stopper: stopper }
    }

    /// Waits until so many bytes of blobs are written.
    pub(super) async fn written(&self, bytes: u64) {
        while self.service.store().blob_counts().received_bytes < bytes {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn peer(&self, seed: u8) -> Peer {
        let login = seed ^ LOGIN;
        Peer::connect(self.address, &key(), Suite::Hybrid, login, wire::ALPN).await.unwrap()
    }

    /// A committee of one device and a record in it.
    pub(super) async fn found(&self, seed: u8) -> World {
        let founder = TestDevice::new(seed);
        let mut world = World::found(&founder);
        let permit = [seed; 16].into();
        permit::issue(self.service.store().as_ref(), &permit, None, NOW).await.unwrap();
        world.record(&founder).unwrap();
        let committee = world.committee.id();
        let peer = self.peer(seed).await;
        let entry = world.log[0].clone().into();
        let founded = peer.ask(&Request::Found(FoundRequest { permit, entry })).await;
        let entries = vec![world.log[1].clone().into()];
        let pushed = peer.ask(&Request::Push(PushRequest { committee, entries })).await;
        assert!(matches!((&founded[..], &pushed[..]), ([Reply::Pushed(_)], [Reply::Pushed(_)])));
        world
    }
}

/// Every byte of the answer's stream.
async fn raw(peer: &Peer, request: &Request) -> Vec<u8> {
    let (mut send, mut receive) = peer.connection.open_bi().await.unwrap();
    // The relay may refuse before it has read all.
    let _ = send.write_all(&frame::encode(request)).await;
    let _ = send.finish();
    receive.read_to_end(8 * 1024 * 1024).await.unwrap()
}

#[tokio::test]
async fn foreign_is_nonexistent_byte_for_byte() {
    let served = Served::start().await;
    let world = served.found(MEMBER).await;
    served.found(MEMBER_ELSEWHERE).await;
    let entry = world.log[1].clone();
    let open = open_invitation(1, 1);
    let blob = Blob { sha256: Hash::of(b"a blob"), size: 6 };
    let existing = requests(world.committee.id(), &entry, open, blob);
    let absent = requests(CommitteeId(Hash([9; 32])), &entry, open, blob);
    let (elsewhere, nobody) = (served.peer(MEMBER_ELSEWHERE).await, served.peer(NOBODY).await);
    for (existing, absent) in existing.iter().zip(&absent) {
        let nothing = raw(&nobody, absent).await;
        assert!(!nothing.is_empty());
        assert_eq!(raw(&nobody, existing).await, nothing, "a stranger: {existing:?}");
        assert_eq!(raw(&elsewhere, existing).await, nothing, "from elsewhere: {existing:?}");
        assert_eq!(raw(&elsewhere, absent).await, nothing, "from elsewhere: {absent:?}");
    }
    // The honest case is another.
    let heads = &existing[0];
    assert_ne!(raw(&served.peer(MEMBER).await, heads).await, raw(&nobody, heads).await);
}

/// A request as large as only a device of a committee may send it: about a log that exists it is
/// refused like about one that does not, and so is the same from a device of another committee.
#[tokio::test]
async fn a_large_request_tells_no_more_than_a_small_one() {
    let served = Served::start().await;
    let world = served.found(MEMBER).await;
    served.found(MEMBER_ELSEWHERE).await;
    let push = |committee, len| {
        Request::Push(PushRequest { committee, entries: vec![vec![7; len].into()] })
    };
    let (exists, absent) = (world.committee.id(), CommitteeId(Hash([9; 32])));
    for seed in [MEMBER_ELSEWHERE, NOBODY] {
        let peer = served.peer(seed).await;
        for len in [1_000, 100_000, 1_000_000] {
            let told = raw(&peer, &push(exists, len)).await;
            assert_eq!(told, raw(&peer, &push(absent, len)).await, "{len} bytes");
        }
    }
}
