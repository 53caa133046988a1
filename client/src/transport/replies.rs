//! A request on its way out, and the frames of its answer, each within limits and deadlines.

use std::time::Duration;

use quinn::{ReadError, RecvStream, SendStream, WriteError};
use sealpost_protocol::frame::{self, FrameReader, Reply, Request};
use sealpost_protocol::limits::{self, FRAME_BYTES_MAX, FRAME_READ_STEP_BYTES};
use sealpost_protocol::wire::CloseCode;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Deadlines, PeerError, TransportError, dial};

/// Bytes given to QUIC at a time, so that a deadline measures progress and not the frame's size.
const WRITE_STEP_BYTES: usize = 16 * 1024;
/// What one pull may bring. A log of a million records is less.
const PULL_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The largest blob, and what its frames are beside its bytes.
const BLOB_ANSWER_BYTES_MAX: u64 = limits::BLOB_BYTES_MAX + limits::BLOB_BYTES_MAX / 1024;
/// What one watch may bring: a line of a few bytes for each change, for as long as it lives.
const WATCH_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Writes the whole request. An early refusal is no error: it stands in the answer.
pub(super) async fn send(
    mut send: SendStream,
    frame: &[u8],
    deadlines: Deadlines,
) -> Result<(), TransportError> {
    if write(&mut send, frame, deadlines).await? == Taken::All {
        end(&mut send);
    }
    Ok(())
}

/// Whether the relay still takes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It took all of it.
    All,
    /// It wants no more: its answer says why.
    NoMore,
}

/// Writes some bytes of a request.
pub(super) async fn write(
    send: &mut SendStream,
    bytes: &[u8],
    deadlines: Deadlines,
) -> Result<Taken, TransportError> {
    for step in bytes.chunks(WRITE_STEP_BYTES) {
        let written = timeout(deadlines.pause, send.write_all(step)).await;
        match written.map_err(|_| TransportError::TooSlow)? {
            Ok(()) => {}
            Err(WriteError::Stopped(_)) => return Ok(Taken::NoMore),
            Err(WriteError::ConnectionLost(error)) => return Err(dial::lost(&error)),
            Err(error) => return Err(TransportError::Lost(error.to_string())),
        }
    }
    Ok(Taken::All)
}

/// Ends a request.
pub(super) fn end(send: &mut SendStream) {
    // An error means that the relay stopped the stream: its answer says why.
    let _ = send.finish();
}

/// How the replies to a request go on and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One reply.
    One,
    /// Entries, then their checkpoint.
    UntilEnd,
    /// Pieces of a blob, then that it is done.
    UntilDone,
    /// Where a blob is to be gone on with, and once all of it was sent, that it is done.
    Upload,
    /// For as long as both listen.
    Endless,
}

/// The answer to one request. Memory holds one frame at a time. Dropping it tells the relay that
/// nobody listens any more.
#[derive(Debug)]
pub struct Replies {
    receive: RecvStream,
    reader: FrameReader,
    fits: fn(&Reply) -> bool,
    shape: Shape,
    bytes_max: u64,
    received: u64,
    began: Option<Instant>,
    complete: bool,
    deadlines: Deadlines,
}

impl Replies {
    pub(super) fn new(receive: RecvStream, request: &Request, deadlines: Deadlines) -> Self {
        let (shape, fits) = expected(request);
        let bytes_max = match shape {
            Shape::One | Shape::Upload => (FRAME_BYTES_MAX + size_of::<u32>()) as u64,
            Shape::UntilEnd => PULL_BYTES_MAX,
            Shape::UntilDone => BLOB_ANSWER_BYTES_MAX,
            Shape::Endless => WATCH_BYTES_MAX,
        };
        Self {
            receive,
            reader: FrameReader::new(FRAME_BYTES_MAX),
            fits,
            shape,
            bytes_max,
            received: 0,
            began: None,
            complete: false,
            deadlines,
        }
    }

    /// Lowers what the whole answer may have, for who knows better: the size of a log, say.
    #[must_use]
    pub fn at_most(mut self, bytes: u64) -> Self {
        self.bytes_max = self.bytes_max.min(bytes);
        self
    }

    /// Waits so much longer for what comes next than for what came before.
    pub(super) fn be_patient(&mut self, for_longer: Duration) {
        self.deadlines.pause += for_longer;
    }

    /// The next reply; none after the last. A refusal is a reply, and the last one.
    ///
    /// Waiting for the next reply of a watch has no deadline: it ends when the line is lost.
    pub async fn next(&mut self) -> Result<Option<Reply>, TransportError> {
        let Some(body) = self.next_body().await? else { return Ok(None) };
        let reply: Reply = frame::decode(&body).map_err(PeerError::from)?;
        self.complete = matches!(
            (&reply, self.shape),
            (Reply::Refused(_) | Reply::NotActive(_), _)
                | (_, Shape::One)
                | (Reply::End(_), Shape::UntilEnd)
                | (Reply::Done(_), Shape::UntilDone | Shape::Upload)
        );
        let refusal = matches!(reply, Reply::Refused(_) | Reply::NotActive(_));
        if !refusal && !(self.fits)(&reply) {
            return Err(self.broken(PeerError::Unexpected));
        }
        Ok(Some(reply))
    }

    async fn next_body(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let now = Instant::now();
        // A watch is timed by frame, and so is what lies an upload apart; any other answer as a whole, or a relay that drips small
        // frames would hold a sync for ever.
        let (began, mut counted) = match self.shape {
            Shape::Endless | Shape::Upload => (now, 0),
            Shape::One | Shape::UntilEnd | Shape::UntilDone => {
                (*self.began.get_or_insert(now), self.received)
            }
        };
        let mut of_this = 0;
        loop {
            let ready = self.reader.next_body().map_err(PeerError::from);
            match ready {
                Err(error) => return Err(self.broken(error)),
                Ok(Some(_)) if self.complete => return Err(self.broken(PeerError::Unexpected)),
                Ok(Some(body)) => return Ok(Some(body)),
                Ok(None) => {}
            }
            let due = began + self.patience(counted);
            let Some(bytes) = self.read(due, of_this).await? else { return self.end() };
            of_this += bytes;
            counted += bytes;
            self.received += bytes;
            if self.received > self.bytes_max {
                return Err(self.broken(PeerError::Endless(self.bytes_max)));
            }
        }
    }

    /// How long so many bytes and the next may take.
    fn patience(&self, bytes: u64) -> Duration {
        let rate = u64::from(self.deadlines.bytes_a_second_min.max(1));
        self.deadlines.pause + Duration::from_secs(bytes / rate)
    }

    /// Reads some bytes. `of_this` came of this frame already.
    async fn read(&mut self, due: Instant, of_this: u64) -> Result<Option<u64>, TransportError> {
        let between_frames = of_this == 0 && self.reader.finish().is_ok();
        let reading = self.receive.read_chunk(FRAME_READ_STEP_BYTES, true);
        let read = if self.shape == Shape::Endless && between_frames {
            reading.await
        } else {
            timeout_at(due, reading).await.map_err(|_| TransportError::TooSlow)?
        };
        match read {
            Ok(Some(chunk)) => {
                self.reader.push(&chunk.bytes);
                Ok(Some(chunk.bytes.len() as u64))
            }
            Ok(None) => Ok(None),
            Err(ReadError::ConnectionLost(error)) => Err(dial::lost(&error)),
            Err(ReadError::Reset(code)) => Err(reset(code)),
            Err(error) => Err(TransportError::Lost(error.to_string())),
        }
    }

    fn end(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        self.reader.finish().map_err(PeerError::from)?;
        match self.shape {
            Shape::Endless => Ok(None),
            _ if self.complete => Ok(None),
            _ => Err(PeerError::Incomplete.into()),
        }
    }

    fn broken(&mut self, error: PeerError) -> TransportError {
        // An error means that the stream is over already.
        let _ = self.receive.stop(CloseCode::Misbehaved.number().into());
        error.into()
    }
}

fn reset(code: quinn::VarInt) -> TransportError {
    match CloseCode::from_number(code.into_inner()) {
        Some(CloseCode::Stopping) => TransportError::TurnedAway("it is being stopped"),
        Some(CloseCode::TooSlow) => TransportError::TooSlow,
        code => TransportError::Lost(format!("the relay ended the answer ({code:?})")),
    }
}

/// Which replies belong to a request, besides a refusal.
fn expected(request: &Request) -> (Shape, fn(&Reply) -> bool) {
    match request {
        Request::Hello(_) => (Shape::One, |reply| matches!(reply, Reply::Hello(_))),
        Request::Found(_) | Request::Push(_) => {
            (Shape::One, |reply| matches!(reply, Reply::Pushed(_)))
        }
        Request::Heads(_) => (Shape::One, |reply| matches!(reply, Reply::Heads(_))),
        Request::Pull(_) => {
            (Shape::UntilEnd, |reply| matches!(reply, Reply::Entries(_) | Reply::End(_)))
        }
        Request::Watch(_) => (Shape::Endless, |reply| matches!(reply, Reply::Grown(_))),
        Request::Cosign(_) | Request::Answer(_) => {
            (Shape::One, |reply| matches!(reply, Reply::Done(_)))
        }
        Request::BlobPut(_) => {
            (Shape::Upload, |reply| matches!(reply, Reply::BlobAt(_) | Reply::Done(_)))
        }
        Request::BlobGet(_) => {
            (Shape::UntilDone, |reply| matches!(reply, Reply::BlobBytes(_) | Reply::Done(_)))
        }
        Request::Join(_) => {
            (Shape::One, |reply| matches!(reply, Reply::Done(_) | Reply::Answered(_)))
        }
        Request::Joins(_) => (Shape::One, |reply| matches!(reply, Reply::Joins(_))),
        Request::Invite(_) => (Shape::One, |reply| matches!(reply, Reply::Invitations(_))),
        Request::Cosignatures(_) => (Shape::One, |reply| matches!(reply, Reply::Cosignatures(_))),
    }
}
