//! One connection: its handshake, its login key, its streams.

use std::sync::Arc;

use quinn::{Connection, Incoming};
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::CloseCode;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::allowance::Budget;
use super::gate::Pass;
use super::{Calls, request, tls};
use crate::hub::CutOff;
use crate::limits::Limits;
use crate::metrics::{Metrics, Turned};
use crate::stop::Stop;

/// What all connections share.
pub(super) struct Shared<C> {
    pub(super) calls: Arc<C>,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: Stop,
}

/// Sees a connection through, from its first datagram to its last request.
pub(super) async fn handle<C: Calls>(incoming: Incoming, mut pass: Pass, shared: Arc<Shared<C>>) {
    let Some((connection, peer)) = handshake(incoming, &shared).await else {
        shared.metrics.turned(Turned::HandshakeFailed);
        return;
    };
    // Before any of its requests is looked at: what is decided after a cut-off is decided anew.
    let cut_off = shared.calls.cut_off(peer);
    let displaced = pass.log_in(peer, shared.calls.knows(peer));
    shared.metrics.connections.inc();
    let mut running = JoinSet::new();
    let words = Words { displaced, cut_off };
    let ending = accept(&connection, peer, words, &shared, &mut running).await;
    if let Ending::CutOff = ending {
        shared.metrics.turned(Turned::CutOff);
    }
    if let Ending::Stopping = ending {
        drain(&mut running).await;
    }
    if let Some(code) = ending.close_code() {
        connection.close(code.number().into(), b"");
    }
    // Requests that were begun are finished in any case, also when nobody waits for the answer.
    drain(&mut running).await;
    shared.metrics.connections.dec();
}

async fn handshake<C>(incoming: Incoming, shared: &Shared<C>) -> Option<(Connection, PublicKey)> {
    let address = incoming.remote_address();
    let connection = match timeout(shared.limits.handshake_deadline, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "a handshake failed");
            return None;
        }
        Err(_) => {
            tracing::debug!(%address, "a handshake took too long");
            return None;
        }
    };
    let peer = tls::peer_key(&connection);
    if peer.is_none() {
        connection.close(CloseCode::Misbehaved.number().into(), b"");
    }
    Some((connection, peer?))
}

/// How a connection comes to its end.
#[derive(Debug)]
enum Ending {
    /// The other end closed it, or is gone.
    Gone,
    Idle,
    /// A newer connection took its place.
    Displaced(CloseCode),
    Stopping,
    /// A committee suspended or removed the device.
    CutOff,
}

/// Whatever else may end a connection than its peer.
struct Words {
    displaced: oneshot::Receiver<CloseCode>,
    cut_off: CutOff,
}

impl Ending {
    fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Gone => None,
            Self::Idle => Some(CloseCode::Idle),
            Self::Displaced(code) => Some(*code),
            Self::Stopping => Some(CloseCode::Stopping),
            Self::CutOff => Some(CloseCode::CutOff),
        }
    }
}

async fn accept<C: Calls>(
    connection: &Connection,
    peer: PublicKey,
    Words { mut displaced, mut cut_off }: Words,
    shared: &Arc<Shared<C>>,
    running: &mut JoinSet<()>,
) -> Ending {
    let mut stop = shared.stop.clone();
    let requests = Budget::new(shared.limits.connection_requests_bytes_max);
    loop {
        let nothing_runs = running.is_empty();
        tokio::select! {
            biased;
            () = stop.told() => return Ending::Stopping,
            () = cut_off.told() => return Ending::CutOff,
            // The gate forgets whom it displaces only after it has said so.
            Ok(code) = &mut displaced => return Ending::Displaced(code),
            Some(ended) = running.join_next() => report(ended),
            stream = connection.accept_bi() => match stream {
                Ok(stream) => {
                    let allowance = shared.budget.allowance(&requests);
                    running.spawn(request::handle(stream, peer, allowance, shared.clone()));
                }
                Err(_) => return Ending::Gone,
            },
            () = sleep(shared.limits.connection_idle_max), if nothing_runs => {
                return Ending::Idle;
            }
        }
    }
}

async fn drain(running: &mut JoinSet<()>) {
    while let Some(ended) = running.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a request ended in that panic; the others go on");
    }
}
