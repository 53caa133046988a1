use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{
    self, BlobAt, Checkpointed, Empty, HeadAsk, HeadsRequest, Hello, HelloReply, PullRequest,
    Refused,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, TreeSize, UnixMillis};
use sealpost_protocol::wire;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::stop::{self, Stopper};
use peer::{Peer, Suite, close_code};

mod body;
mod closing;
mod cut_off;
mod foreign;
mod handshake;
pub(crate) mod peer;
mod streams;

/// Answers with what it can make up: enough to see every path of the transport.
#[derive(Debug, Default)]
struct Echo {
    /// Pulls that wait here for a word before they end.
    go_on: Notify,
    pulls_begun: Notify,
    pulls_ended: AtomicUsize,
    deaf: Notify,
    /// The body of a blob that nobody takes is as long as it may be.
    full: Notify,
}

impl Echo {
    /// The size of a blob whose bytes it takes on a word.
    const SLOW: u64 = 1;
    /// The size of a blob that it does not want.
    const UNWANTED: u64 = 2;

    async fn put(&self, size: u64, mut body: Body, replies: &mpsc::Sender<Reply>) -> Reply {
        if size == Self::UNWANTED {
            return Reply::Refused(Refused { code: Code::NotFound });
        }
        let _ = replies.send(Reply::BlobAt(BlobAt { offset: 0 })).await;
        if size == Self::SLOW {
            while body.capacity() > 0 {
                tokio::task::yield_now().await;
            }
            self.full.notify_one();
            self.go_on.notified().await;
        }
        let mut offset = 0;
        while let Some(bytes) = body.recv().await {
            offset += bytes.len() as u64;
        }
        Reply::BlobAt(BlobAt { offset })
    }
}

impl Calls for Echo {
    async fn call(
        self: &Arc<Self>,
        peer: PublicKey,
        request: Request,
        body: Body,
        replies: mpsc::Sender<Reply>,
    ) {
        let reply = match request {
            // The "time" tells the test who logged in.
            Request::Hello(_) => hello_to(peer),
            Request::Heads(_) => Reply::Done(Empty {}),
            Request::Watch(heads) => {
                for ask in heads.committees {
                    let _ = replies.send(Reply::Grown(ask)).await;
                }
                replies.closed().await;
                return self.deaf.notify_one();
            }
            Request::Pull(_) => {
                self.pulls_begun.notify_one();
                self.go_on.notified().await;
                self.pulls_ended.fetch_add(1, Ordering::SeqCst);
                Reply::End(Checkpointed { checkpoint: "the end".to_owned() })
            }
            Request::BlobPut(put) => self.put(put.blob.size, body, &replies).await,
            // Until nobody listens any more.
            Request::Joins(_) => {
                let entry = minicbor::bytes::ByteVec::from(vec![7; 500 * 1024]);
                while replies.send(Reply::Entries(vec![entry.clone()])).await.is_ok() {}
                return self.deaf.notify_one();
            }
            _ => Reply::Refused(Refused { code: Code::NotFound }),
        };
        let _ = replies.send(reply).await;
    }

    fn request_bytes_max(&self, _: PublicKey) -> usize {
        64 * 1024
    }
}

fn hello_to(peer: PublicKey) -> Reply {
    let [first, second, ..] = peer.0;
    let now = UnixMillis(u64::from(u16::from_be_bytes([first, second])));
    Reply::Hello(HelloReply { version: frame::VERSION, now })
}

/// A relay that listens on loopback.
struct Relay {
    address: SocketAddr,
    key: SigningKey,
    echo: Arc<Echo>,
    metrics: Arc<Metrics>,
    stopper: Stopper,
    serving: JoinHandle<()>,
}

impl Relay {
    fn start(limits: Limits) -> Self {
        let key = SigningKey::from_bytes(&[1; 32]);
        let metrics = Arc::new(Metrics::new());
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let transport = Transport::bind(listen, &key, wire::ALPN, limits, metrics.clone()).unwrap();
        let address = transport.local_addr().unwrap();
        let (stopper, stop) = stop::channel();
        let echo = Arc::new(Echo::default());
        let serving = tokio::spawn(transport.serve(echo.clone(), stop));
        Self { address, key, echo, metrics, stopper, serving }
    }

    async fn peer(&self, seed: u8) -> Peer {
        self.try_peer(Suite::Hybrid, seed).await.unwrap()
    }

    async fn try_peer(&self, suite: Suite, seed: u8) -> Result<Peer, quinn::ConnectionError> {
        Peer::connect(self.address, &self.key, suite, seed, wire::ALPN).await
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|found| found == line)
    }

    /// Waits for a number that a task of the relay changes after its peer has seen the effect.
    async fn count(&self, line: &str) {
        let counted = async {
            while !self.counted(line) {
                tokio::task::yield_now().await;
            }
        };
        let in_time = timeout(Duration::from_secs(20), counted).await;
        assert!(in_time.is_ok(), "no {line} in\n{}", self.metrics.text());
    }
}

fn hello() -> Request {
    Request::Hello(Hello { versions: vec![frame::VERSION] })
}

fn ask() -> HeadAsk {
    HeadAsk { committee: CommitteeId(Hash([9; 32])), size: TreeSize(3) }
}

fn watch() -> Request {
    Request::Watch(HeadsRequest { committees: vec![ask()] })
}

fn pull() -> Request {
    let HeadAsk { committee, size } = ask();
    Request::Pull(PullRequest { committee, from: size })
}
