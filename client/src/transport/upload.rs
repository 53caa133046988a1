//! Sending a blob: the request, then its bytes from where the relay wants them.

use std::time::Duration;

use quinn::SendStream;
use sealpost_protocol::frame::{BlobPutRequest, Reply};

use super::replies::{self, Replies, Taken};
use super::{Deadlines, PeerError, TransportError};

/// After the last byte the relay may take as long as this rate makes of the whole blob: it puts all of
/// it on disk, and when an upload was gone on with it reads it again.
const SETTLED_BYTES_A_SECOND: u64 = 32 * 1024 * 1024;

/// A blob on its way to a relay. Dropping it ends nothing: the relay keeps what it has.
#[derive(Debug)]
pub struct Upload {
    send: SendStream,
    replies: Replies,
    deadlines: Deadlines,
    size: u64,
}

/// How a relay takes a blob.
#[derive(Debug)]
pub enum Begun {
    /// It has so many bytes already.
    At(u64),
    /// It does not: a refusal.
    Refused(Reply),
}

impl Upload {
    pub(super) fn new(
        send: SendStream,
        replies: Replies,
        deadlines: Deadlines,
        request: &BlobPutRequest,
    ) -> Self {
        Self { send, replies, deadlines, size: request.blob.size }
    }

    /// From where on the relay wants the bytes.
    pub async fn begin(&mut self) -> Result<Begun, TransportError> {
        match self.replies.next().await?.ok_or(PeerError::Incomplete)? {
            Reply::BlobAt(at) if at.offset <= self.size => Ok(Begun::At(at.offset)),
            Reply::BlobAt(_) | Reply::Done(_) => Err(PeerError::Unexpected.into()),
            refused => Ok(Begun::Refused(refused)),
        }
    }

    /// Sends the next bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<Taken, TransportError> {
        replies::write(&mut self.send, bytes, self.deadlines).await
    }

    /// Ends the blob, and waits for the relay's word: done, once all of it is durable there, or a refusal.
    pub async fn finish(mut self) -> Result<Reply, TransportError> {
        replies::end(&mut self.send);
        self.replies.be_patient(Duration::from_secs(self.size / SETTLED_BYTES_A_SECOND));
        match self.replies.next().await?.ok_or(PeerError::Incomplete)? {
            Reply::BlobAt(_) => Err(PeerError::Unexpected.into()),
            reply => Ok(reply),
        }
    }
}
