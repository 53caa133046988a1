//! QUIC: the client's side (SPEC.md §19).
//!
//! ```text
//! address → each host in turn, each look-up's answers in turn → handshake (pinned key)
//!     → hello → request → replies, within limits and deadlines
//! ```
//!
//! A relay that lies or breaks a rule is [`TransportError::Lied`], never a network error; one that
//! cannot be reached is [`TransportError::Unreachable`]; one of another version is
//! [`TransportError::OtherVersion`].

use std::time::Duration;

use ed25519_dalek::SigningKey;
use quinn::{RecvStream, SendStream};
use sealpost_protocol::address::{Host, RelayAddress};
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{
    self, BlobPutRequest, Hello, PeerFrameError, Refused, Reply, Request,
};
use sealpost_protocol::id::UnixMillis;
use sealpost_protocol::wire::{self, CloseCode};
use tokio::time::{Instant, timeout};

mod dial;
mod replies;
mod tls;
mod upload;

pub use replies::{Replies, Taken};
pub use upload::{Begun, Upload};

/// A blob's stream among those of one connection, where others have 0.
const BLOB_PRIORITY: i32 = -1;

/// How long the client waits, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// A handshake; a fresh one is begun after it.
    pub handshake: Duration,
    /// Handshakes tried with one address before the next one's turn.
    pub handshake_attempts: u32,
    /// The next piece of an answer, or the relay taking the next piece of a request …
    pub pause: Duration,
    /// … and in all an answer must come at this rate.
    pub bytes_a_second_min: u32,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            handshake_attempts: 2,
            pause: Duration::from_secs(30),
            bytes_a_second_min: 512,
        }
    }
}

/// Why there is no connection or no answer, sorted by blame.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Somebody lied, or broke a rule that no honest relay breaks.
    #[error("{0}")]
    Lied(#[from] PeerError),
    /// The relay, or this program, is too old for the other.
    #[error("{0}")]
    OtherVersion(#[from] IncompatibleError),
    /// No relay answered. The network's or the relay's trouble.
    #[error("no relay answers at {tried}: {why}")]
    Unreachable {
        /// All hosts tried.
        tried: String,
        /// What the last one came to.
        why: String,
    },
    /// The relay asks to come back later.
    #[error("the relay turned us away for now: {0}")]
    TurnedAway(&'static str),
    /// It was connected and is no longer. What was asked may or may not have been done.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The answer, or the taking of the request, stood still for longer than any line does.
    #[error("the relay stopped answering in the middle")]
    TooSlow,
    /// This device cannot open a socket, or its key does not serve.
    #[error("this device cannot connect: {0}")]
    Local(String),
}

/// What no honest relay does.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// Another key answers there: the address is wrong, or somebody stands in between.
    #[error("{0} answers with a key that is not the relay's")]
    WrongKey(Host),
    /// It shows the relay's key and cannot sign with it.
    #[error("{0} shows the relay's key but cannot prove that it holds it")]
    UnprovenKey(Host),
    /// What came is no frame, or too large a one.
    #[error("the relay's answer is broken: {0}")]
    Frame(#[from] PeerFrameError),
    /// A reply that does not belong to the request.
    #[error("the relay answered something else than was asked")]
    Unexpected,
    /// The answer ended before it was complete.
    #[error("the relay's answer is incomplete")]
    Incomplete,
    /// More than such an answer can have.
    #[error("the relay's answer does not end: more than {0} bytes")]
    Endless(u64),
}

/// Why the two cannot speak.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IncompatibleError {
    /// No common application protocol, or not even QUIC version 1.
    #[error("the relay speaks another protocol than {}", String::from_utf8_lossy(.0))]
    Protocol(Vec<u8>),
    /// No X25519MLKEM768, no raw Ed25519 key, no TLS 1.3.
    #[error("the relay does not offer the post-quantum handshake that this program demands")]
    Handshake,
    /// It knows none of our versions of requests.
    #[error("the relay does not speak version {} of requests", frame::VERSION)]
    Version,
}

/// A relay that has proved its key and speaks our version.
#[derive(Debug)]
pub struct Connection {
    line: dial::Line,
    deadlines: Deadlines,
    relay_time: UnixMillis,
    impostors: Vec<PeerError>,
}

impl Connection {
    /// Connects to the first host of `address` that proves the pinned key, logs in with `login`
    /// and says hello. Dropping the future gives up.
    ///
    /// A wrong key at one host does not keep the others from being tried; without success it is
    /// what is reported, before anything else.
    pub async fn open(
        address: &RelayAddress,
        login: &SigningKey,
        deadlines: Deadlines,
    ) -> Result<Self, TransportError> {
        Self::open_as(address, login, deadlines, wire::ALPN).await
    }

    /// As [`Connection::open`], for a relay whose operator configured another ALPN.
    pub async fn open_as(
        address: &RelayAddress,
        login: &SigningKey,
        deadlines: Deadlines,
        alpn: &[u8],
    ) -> Result<Self, TransportError> {
        let dialled = dial::dial(address, login, deadlines, alpn).await?;
        let mut connection = Self {
            line: dialled.line,
            deadlines,
            relay_time: UnixMillis(0),
            impostors: dialled.impostors,
        };
        connection.relay_time = connection.hello().await?;
        Ok(connection)
    }

    async fn hello(&self) -> Result<UnixMillis, TransportError> {
        let hello = Request::Hello(Hello { versions: vec![frame::VERSION] });
        let mut replies = self.request(&hello).await?;
        let reply = replies.next().await?;
        match reply.ok_or(PeerError::Incomplete)? {
            Reply::Hello(hello) if hello.version == frame::VERSION => Ok(hello.now),
            Reply::Hello(_) => Err(PeerError::Unexpected.into()),
            Reply::Refused(Refused { code: Code::Unsupported }) => {
                Err(IncompatibleError::Version.into())
            }
            Reply::Refused(_) => Err(TransportError::TurnedAway("it refused to say hello")),
            _ => Err(PeerError::Unexpected.into()),
        }
    }

    /// The relay's clock when it said hello: what it judges expiry by.
    pub fn relay_time(&self) -> UnixMillis {
        self.relay_time
    }

    /// Hosts of the address that did not prove the relay's key before one did. Somebody should be
    /// told.
    pub fn impostors(&self) -> &[PeerError] {
        &self.impostors
    }

    /// Sends a request. Each may be sent while others are being answered, up to about ten.
    ///
    /// # Panics
    /// When the request is longer than [`sealpost_protocol::limits::FRAME_BYTES_MAX`].
    pub async fn request(&self, request: &Request) -> Result<Replies, TransportError> {
        let (send, receive) = self.open_stream().await?;
        let frame = frame::encode(request);
        replies::send(send, &frame, self.deadlines).await?;
        Ok(Replies::new(receive, request, self.deadlines))
    }

    /// Begins to send a blob.
    pub async fn upload(&self, request: BlobPutRequest) -> Result<Upload, TransportError> {
        let (mut send, receive) = self.open_stream().await?;
        // Whatever else is sent goes first.
        let _ = send.set_priority(BLOB_PRIORITY);
        let put = Request::BlobPut(request);
        // Should the relay want none of it, its answer says so.
        let _ = replies::write(&mut send, &frame::encode(&put), self.deadlines).await?;
        let answer = Replies::new(receive, &put, self.deadlines);
        Ok(Upload::new(send, answer, self.deadlines, &request))
    }

    async fn open_stream(&self) -> Result<(SendStream, RecvStream), TransportError> {
        let lost = |error: quinn::ConnectionError| dial::lost(&error);
        let opening = timeout(self.deadlines.pause, self.line.connection.open_bi());
        opening.await.map_err(|_| TransportError::TooSlow)?.map_err(lost)
    }

    /// Says goodbye, so that the relay need not wait for more. Takes a moment at most.
    pub async fn close(self) {
        self.line.connection.close(CloseCode::Done.number().into(), b"");
        let goodbye = Instant::now() + dial::GOODBYE_MAX;
        let _ = tokio::time::timeout_at(goodbye, self.line.endpoint.wait_idle()).await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
