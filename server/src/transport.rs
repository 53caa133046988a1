//! QUIC: the relay's side (SPEC.md §19).
//!
//! ```text
//! datagram → gate (how many, from where) → handshake (key exchange, login key)
//!     → gate (how many of this key) → stream → one request frame → Calls::call → reply frames
//! ```
//!
//! The transport moves frames and knows nothing of what they mean, with two exceptions: a watch
//! never ends by itself, so it is cut when the relay stops; and refusals are counted by code.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use quinn::{Endpoint, Incoming, TokioRuntime};
use sealpost_protocol::frame::{Reply, Request};
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::CloseCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::hub::{CutOff, CutOffs};
use crate::limits::Limits;
use crate::metrics::{Metrics, Turned};
use crate::service::{Body, Service};
use crate::stop::Stop;
use crate::store::{BlobStore, LogStore, NoteStore};

use allowance::Budget;
use connection::Shared;
use gate::{Gate, Verdict};

mod allowance;
mod connection;
mod gate;
mod quic;
mod request;
mod reset;
mod tls;

/// What answers requests: the service, as a transport sees it.
pub trait Calls: Send + Sync + 'static {
    /// Answers one request of the device that logged in with `peer`. `body` is what follows the request
    /// on its stream: it flows from the first [`Reply::BlobAt`] on, and for a request to put a blob alone.
    /// The answer is complete when
    /// `replies` is dropped; nobody listens any more when it is closed. Runs to its end even when
    /// the peer has gone, unless the request is a watch.
    fn call(
        self: &Arc<Self>,
        peer: PublicKey,
        request: Request,
        body: Body,
        replies: mpsc::Sender<Reply>,
    ) -> impl Future<Output = ()> + Send;

    /// What `peer` may send at most in one request.
    fn request_bytes_max(&self, peer: PublicKey) -> usize;

    /// Whether `peer` is more than a stranger: connections of strangers make room for each other
    /// and not for those of devices. Unless said otherwise nobody is a stranger.
    fn knows(&self, _peer: PublicKey) -> bool {
        true
    }

    /// Hears when a committee cuts `peer` off: its connections are closed at once. Unless said
    /// otherwise nobody ever is.
    fn cut_off(&self, peer: PublicKey) -> CutOff {
        Arc::<CutOffs>::default().listen(peer)
    }
}

/// Why the relay cannot listen. Never the fault of a peer.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("{0} is in use: another program, or another relay, listens there")]
    LocalPortInUse(SocketAddr),
    /// This machine has no such address, or this user may not listen there.
    #[error("cannot listen on {address}: {error}")]
    LocalAddress {
        /// What was asked for.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The relay's own key does not work.
    #[error("the relay's key does not serve for TLS: {0}")]
    LocalKey(String),
}

/// A bound endpoint, not yet answering.
pub struct Transport {
    endpoint: Endpoint,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Transport {
    /// Binds the socket. From here on the port is taken, and datagrams wait.
    pub fn bind(
        listen: SocketAddr,
        key: &SigningKey,
        alpn: &[u8],
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Result<Self, BindError> {
        let tls = tls::server_config(key, alpn)
            .map_err(|error| BindError::LocalKey(error.to_string()))?;
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::LocalPortInUse(listen),
            _ => BindError::LocalAddress { address: listen, error },
        };
        let socket = quic::socket(listen).map_err(refused)?;
        let config = quic::server_config(tls, &limits);
        let endpoint = reset::endpoint_config(key);
        let endpoint = Endpoint::new(endpoint, Some(config), socket, Arc::new(TokioRuntime))
            .map_err(refused)?;
        Ok(Self { endpoint, limits, metrics })
    }

    /// Where it listens: the port, when the operating system chose it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Answers until told to stop; then takes nothing new, lets what runs finish for
    /// [`Limits::stop_grace`] and closes what is left with [`CloseCode::Stopping`].
    pub async fn serve<C: Calls>(self, calls: Arc<C>, mut stop: Stop) {
        let gate = Arc::new(Gate::new(self.limits));
        let shared = Arc::new(Shared {
            calls,
            limits: self.limits,
            budget: Budget::new(self.limits.requests_bytes_max),
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.told() => break,
                Some(_) = connections.join_next() => {}
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.answer(incoming, &gate, &shared, &mut connections),
                    None => break,
                },
            }
        }
        let _ = timeout(self.limits.stop_grace, self.finish(&mut connections)).await;
        self.endpoint.close(CloseCode::Stopping.number().into(), b"");
        let _ = timeout(self.limits.stop_grace, self.endpoint.wait_idle()).await;
    }

    /// Sees the connections to their end, and tells newcomers at once that there is no use.
    async fn finish(&self, connections: &mut JoinSet<()>) {
        loop {
            tokio::select! {
                ended = connections.join_next() => if ended.is_none() { return },
                Some(incoming) = self.endpoint.accept() => incoming.refuse(),
            }
        }
    }

    fn answer<C: Calls>(
        &self,
        incoming: Incoming,
        gate: &Arc<Gate>,
        shared: &Arc<Shared<C>>,
        connections: &mut JoinSet<()>,
    ) {
        let address = incoming.remote_address().ip();
        match gate.knock(address, incoming.remote_address_validated()) {
            Verdict::Admit(pass) => {
                connections.spawn(connection::handle(incoming, pass, shared.clone()));
            }
            Verdict::Prove => {
                self.metrics.turned(Turned::Retried);
                if let Err(error) = incoming.retry() {
                    error.into_incoming().refuse();
                }
            }
            Verdict::Refuse => {
                self.metrics.turned(Turned::TooMany);
                incoming.refuse();
            }
        }
    }
}

impl<S: LogStore + NoteStore + BlobStore> Calls for Service<S> {
    async fn call(
        self: &Arc<Self>,
        peer: PublicKey,
        request: Request,
        body: Body,
        replies: mpsc::Sender<Reply>,
    ) {
        Self::call(self, peer, request, body, replies).await;
    }

    fn request_bytes_max(&self, peer: PublicKey) -> usize {
        Self::request_bytes_max(self, peer)
    }

    fn knows(&self, peer: PublicKey) -> bool {
        Self::knows(self, peer)
    }

    fn cut_off(&self, peer: PublicKey) -> CutOff {
        Self::cut_off(self, peer)
    }
}

#[cfg(test)]
pub(crate) mod tests;
