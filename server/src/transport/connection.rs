//! One connection: its handshake, its login key, its streams.

use std::sync::Arc;

use quinn::{Connection, Incoming};
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::CloseCode;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::allowance::Budget;
use super::gate::Pass;
use super::{Calls, request, tls};
use crate::hub::CutOff;
use crate::limits::{BREAK_OFF_GRACE, BREAK_OFF_LOOKS_EVERY, Limits};
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
    let last_word = watch::Sender::new(None);
    let words = Words { displaced, cut_off, last_word: last_word.subscribe() };
    let ending = accept(&connection, peer, words, &shared, &mut running).await;
    match ending {
        Ending::Stopping => drain(&mut running).await,
        Ending::Displaced(code) if !running.is_empty() => {
            break_off(&connection, &last_word, code).await;
        }
        Ending::Gone | Ending::Idle | Ending::Displaced(_) => {}
    }
    if let Some(code) = ending.close_code() {
        connection.close(code.number().into(), b"");
    }
    if ending.close_code() == Some(CloseCode::CutOff) {
        shared.metrics.turned(Turned::CutOff);
    }
    // Requests that were begun are finished in any case, also when nobody waits for the answer.
    drain(&mut running).await;
    shared.metrics.connections.dec();
}

/// Ends all answers, and waits for the word of it to go out: a connection that is closed while its
/// line is full closes in silence (quinn issue 2785), and its peer would wait for half a minute.
async fn break_off(
    connection: &Connection,
    last_word: &watch::Sender<Option<CloseCode>>,
    code: CloseCode,
) {
    let resets = || connection.stats().frame_tx.reset_stream;
    let before = resets();
    last_word.send_replace(Some(code));
    let gone_out = async {
        while resets() == before && connection.close_reason().is_none() {
            sleep(BREAK_OFF_LOOKS_EVERY).await;
        }
    };
    // Whoever acknowledges nothing is not waited for.
    let _ = timeout(BREAK_OFF_GRACE, gone_out).await;
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
    /// A newer connection took its place, or a committee cut its device off.
    Displaced(CloseCode),
    Stopping,
}

/// Whatever else may end a connection than its peer.
struct Words {
    displaced: oneshot::Receiver<CloseCode>,
    cut_off: CutOff,
    /// For the answers: why the connection ends under them.
    last_word: watch::Receiver<Option<CloseCode>>,
}

impl Ending {
    fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Gone => None,
            Self::Idle => Some(CloseCode::Idle),
            Self::Displaced(code) => Some(*code),
            Self::Stopping => Some(CloseCode::Stopping),
        }
    }
}

async fn accept<C: Calls>(
    connection: &Connection,
    peer: PublicKey,
    Words { mut displaced, mut cut_off, last_word }: Words,
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
            () = cut_off.told() => return Ending::Displaced(CloseCode::CutOff),
            // The gate forgets whom it displaces only after it has said so.
            Ok(code) = &mut displaced => return Ending::Displaced(code),
            Some(ended) = running.join_next() => report(ended),
            stream = connection.accept_bi() => match stream {
                Ok(stream) => {
                    let allowance = shared.budget.allowance(&requests);
                    let last_word = last_word.clone();
                    let request = request::handle(stream, peer, allowance, last_word, shared.clone());
                    running.spawn(request);
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
