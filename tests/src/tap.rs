//! A relay whose frames can be seen, and changed: the relay's own service and transport in this
//! process, with a recorder between the two.
//!
//! What a real relay sees of a request after TLS is what is recorded here. A test may also lie in
//! the relay's name: every reply passes through its [`Lie`] before it is recorded and sent.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ed25519_dalek::SigningKey;
use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::checkpoint::{Checkpoint, Origin};
use sealpost_protocol::frame::{self, PermitCode, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, Term};
use sealpost_protocol::permit::code_to_text;
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::tree::Frontier;
use sealpost_protocol::wire;
use sealpost_relay::clock;
use sealpost_relay::hub::CutOff;
use sealpost_relay::key;
use sealpost_relay::limits::Limits;
use sealpost_relay::metrics::Metrics;
use sealpost_relay::permit;
use sealpost_relay::service::{Body, Clock, Service};
use sealpost_relay::stop::{self, Stopper};
use sealpost_relay::store::disk::{Disk, RealDisk};
use sealpost_relay::store::{Options, Store};
use sealpost_relay::transport::{Calls, Transport};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::journal;
use crate::proxy::Direction;

/// Small: a test writes some kilobytes.
const STORE: Options =
    Options { segment_bytes: 1024 * 1024, reserve_bytes: 64 * 1024, ..Options::DEFAULT };

/// One frame, as it is inside TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The login key of the peer it is from or to.
    pub peer: PublicKey,
    /// Which way it went.
    pub direction: Direction,
    /// The frame, its length included.
    pub bytes: Vec<u8>,
}

/// What a relay answers instead of the truth.
pub type Lie = Box<dyn FnMut(&Request, Reply) -> Reply + Send>;

/// A relay in this process. Dropping it stops it.
pub struct Tap {
    runtime: Runtime,
    recorder: Arc<Recorder>,
    store: Arc<Store>,
    key: SigningKey,
    metrics: Arc<Metrics>,
    address: String,
    folder: TempDir,
    stopper: Stopper,
    serving: Option<JoinHandle<()>>,
}

impl Tap {
    /// Starts a relay that behaves as every relay.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self::start_with(wire::ALPN, clock::now)
    }

    /// As [`Tap::start`], speaking another application protocol.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_as(alpn: &[u8]) -> Self {
        Self::start_with(alpn, clock::now)
    }

    /// As [`Tap::start`], with another clock.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_at(clock: Clock) -> Self {
        Self::start_with(wire::ALPN, clock)
    }

    fn start_with(alpn: &[u8], clock: Clock) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads are left");
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let key = key::generate().expect("the system has randomness");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let metrics = Arc::new(Metrics::new());
        let inside = runtime.enter();
        let store = Store::create(&disk, &folder.path().join("data"), STORE);
        let store = Arc::new(store.expect("the folder is empty"));
        let service = Service::open(store.clone(), key.clone(), clock);
        let service = Arc::new(runtime.block_on(service).expect("there is no log yet"));
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let transport = Transport::bind(listen, &key, alpn, Limits::default(), metrics.clone())
            .expect("loopback has a free port");
        let host = transport.local_addr().expect("it is bound");
        let recorder = Arc::new(Recorder::of(service));
        let (stopper, stop) = stop::channel();
        let serving = Some(runtime.spawn(transport.serve(recorder.clone(), stop)));
        let address = address_of(&key, host);
        drop(inside);
        Self { runtime, recorder, store, key, metrics, address, folder, stopper, serving }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new permit's code.
    ///
    /// # Panics
    /// When none can be kept.
    pub fn permit(&self) -> String {
        let mut code = [0; 16];
        getrandom::fill(&mut code).expect("the system has randomness");
        let code = PermitCode::from(code);
        let issuing = permit::issue(self.store.as_ref(), &code, None, clock::now());
        self.runtime.block_on(issuing).expect("the store takes it");
        code_to_text(&code).to_string()
    }

    /// All frames so far, in the order in which they went.
    pub fn frames(&self) -> Vec<Frame> {
        lock(&self.recorder.frames).clone()
    }

    /// Forgets the frames so far.
    pub fn forget_frames(&self) {
        lock(&self.recorder.frames).clear();
    }

    /// From now on every reply passes through `lie`.
    pub fn lie(&self, lie: impl FnMut(&Request, Reply) -> Reply + Send + 'static) {
        *lock(&self.recorder.lie) = Some(Box::new(lie));
    }

    /// From now on no answer with entries ends: they are sent again for as long as somebody listens.
    pub fn never_end(&self) {
        self.recorder.endless.store(true, Ordering::SeqCst);
    }

    /// From now on it tells the truth again.
    pub fn tell_the_truth(&self) {
        *lock(&self.recorder.lie) = None;
        self.recorder.endless.store(false, Ordering::SeqCst);
    }

    /// All that it took in, entry by entry: the truth, whatever it says.
    pub fn log(&self, committee: CommitteeId) -> Vec<Vec<u8>> {
        let mut logs = self.logs();
        logs.retain(|(id, _)| *id == committee);
        logs.pop().map(|(_, log)| log).unwrap_or_default()
    }

    /// The logs of all committees here.
    pub fn logs(&self) -> Vec<(CommitteeId, Vec<Vec<u8>>)> {
        self.runtime.block_on(journal::entries(&self.store))
    }

    /// A checkpoint under its key, of any log that whoever holds its key likes to sign for.
    pub fn signs(&self, committee: CommitteeId, leaves: &[Hash]) -> String {
        self.signer().signs(committee, leaves)
    }

    /// Whoever holds its key.
    pub fn signer(&self) -> Signer {
        Signer(self.key.clone())
    }

    /// Its metrics, as a scraper gets them.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }
}

/// A relay's key in hands that sign anything with it.
pub struct Signer(SigningKey);

impl Signer {
    /// A checkpoint of any log.
    pub fn signs(&self, committee: CommitteeId, leaves: &[Hash]) -> String {
        let mut tree = Frontier::new();
        for leaf in leaves {
            tree.append(*leaf);
        }
        let origin = Origin { committee, term: Term(1) };
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        checkpoint.sign(&self.0).text().to_owned()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(serving) = self.serving.take() {
            let _ = self.runtime.block_on(serving);
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tap at {}", self.address)
    }
}

/// The seam between transport and service.
struct Recorder {
    service: Arc<Service<Store>>,
    frames: Mutex<Vec<Frame>>,
    lie: Mutex<Option<Lie>>,
    endless: AtomicBool,
}

impl Recorder {
    fn of(service: Arc<Service<Store>>) -> Self {
        let (frames, lie, endless) = Default::default();
        Self { service, frames, lie, endless }
    }

    fn record(&self, peer: PublicKey, direction: Direction, bytes: Vec<u8>) {
        lock(&self.frames).push(Frame { peer, direction, bytes });
    }

    fn is_endless(&self, reply: &Reply) -> bool {
        matches!(reply, Reply::Entries(_)) && self.endless.load(Ordering::SeqCst)
    }

    fn said(&self, request: &Request, reply: Reply) -> Reply {
        match lock(&self.lie).as_mut() {
            Some(lie) => lie(request, reply),
            None => reply,
        }
    }
}

impl Calls for Recorder {
    async fn call(
        self: &Arc<Self>,
        peer: PublicKey,
        request: Request,
        body: Body,
        replies: mpsc::Sender<Reply>,
    ) {
        self.record(peer, Direction::ToRelay, frame::encode(&request));
        let (sender, mut receiver) = mpsc::channel(1);
        let passing = async {
            loop {
                let reply = tokio::select! {
                    reply = receiver.recv() => reply,
                    () = replies.closed() => None,
                };
                let Some(reply) = reply else { break };
                let reply = self.said(&request, reply);
                self.record(peer, Direction::ToClient, frame::encode(&reply));
                while self.is_endless(&reply) && replies.send(reply.clone()).await.is_ok() {}
                if replies.send(reply).await.is_err() {
                    break;
                }
            }
            // The service sees that nobody listens any more.
            drop(receiver);
        };
        tokio::join!(self.service.call(peer, request.clone(), body, sender), passing);
    }

    fn request_bytes_max(&self, peer: PublicKey) -> usize {
        self.service.request_bytes_max(peer)
    }

    fn cut_off(&self, peer: PublicKey) -> CutOff {
        self.service.cut_off(peer)
    }
}

fn address_of(key: &SigningKey, host: SocketAddr) -> String {
    let host = host.to_string().parse().expect("a host and a port");
    let address = RelayAddress::new(key::public(key), vec![host]);
    address.expect("it is one host").to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
