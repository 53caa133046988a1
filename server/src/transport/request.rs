//! One stream: one request frame, then the frames of its answer. Behind the request for a blob to be
//! put come its bytes, once the answer has said from where on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{self, FrameReader, PeerFrameError, Refused, Reply, Request};
use sealpost_protocol::limits::FRAME_READ_STEP_BYTES;
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::CloseCode;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::Calls;
use super::allowance::Allowance;
use super::connection::Shared;
use crate::limits::{
    BODY_BYTES_WAITING, BODY_CHUNK_BYTES, BODY_CHUNKS_WAITING, Limits, REPLIES_WAITING,
    WRITE_STEP_BYTES,
};
use crate::metrics::Outcome;

/// A blob's stream among those of one connection, where others have 0: text goes first.
const BLOB_PRIORITY: i32 = -1;

/// Why the connection ends under its answers, once it does.
type LastWord = watch::Receiver<Option<CloseCode>>;

/// Why no request could be read.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// The peer hears why.
    Refused(Code),
    /// It came too slowly, or not at all.
    TooSlow,
    /// The stream or the connection ended.
    Gone,
}

/// A request, and for a blob that is to be put how far its stream was read.
struct Asked {
    request: Request,
    body_begun: Option<Vec<u8>>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole(Outcome),
    /// The rest of the request came too slowly.
    TooSlow,
    /// The peer no longer listens, or was too slow.
    Broken,
}

/// Reads the request, has it answered, writes the answer.
pub(super) async fn handle<C: Calls>(
    (mut send, mut receive): (SendStream, RecvStream),
    peer: PublicKey,
    mut allowance: Allowance,
    last_word: LastWord,
    shared: Arc<Shared<C>>,
) {
    let bytes_max = shared.calls.request_bytes_max(peer);
    match read(&mut receive, bytes_max, &mut allowance, &shared).await {
        Ok(Asked { request, body_begun }) => {
            if matches!(request, Request::BlobGet(_)) {
                let _ = send.set_priority(BLOB_PRIORITY);
            }
            let body = body_begun.map(|begun| (receive, begun));
            answer(send, peer, request, body, last_word, &shared).await;
        }
        Err(Unread::Refused(code)) => {
            stop(&mut receive, CloseCode::Misbehaved);
            let refusal = Reply::Refused(Refused { code });
            let deadline = shared.limits.write_deadline;
            let sent = write(&mut send, &refusal, deadline, &shared).await;
            if sent.is_ok() {
                finish(&mut send, deadline).await;
            }
            shared.metrics.unread(Outcome::Refused(code));
        }
        Err(Unread::TooSlow) => {
            stop(&mut receive, CloseCode::TooSlow);
            reset(&mut send, CloseCode::TooSlow);
            shared.metrics.unread(Outcome::TooSlow);
        }
        Err(Unread::Gone) => shared.metrics.unread(Outcome::Gone),
    }
    // Held until here: the request's bytes lived as long.
    drop(allowance);
}

async fn read<C>(
    receive: &mut RecvStream,
    bytes_max: usize,
    allowance: &mut Allowance,
    shared: &Shared<C>,
) -> Result<Asked, Unread> {
    let began = Instant::now();
    let mut reader = FrameReader::new(bytes_max);
    let mut received = 0;
    let mut request = None;
    loop {
        let deadline = began + time_for(received, &shared.limits);
        let chunk = timeout_at(deadline, receive.read_chunk(FRAME_READ_STEP_BYTES, true))
            .await
            .map_err(|_| Unread::TooSlow)?
            .map_err(|_| Unread::Gone)?;
        let Some(chunk) = chunk else { break };
        if request.is_some() {
            return Err(Unread::Refused(Code::Malformed));
        }
        received += chunk.bytes.len();
        shared.metrics.received_bytes.inc_by(chunk.bytes.len() as u64);
        allowance.cover(received).map_err(|_| Unread::Refused(Code::Busy))?;
        reader.push(&chunk.bytes);
        let Some(body) = reader.next_body().map_err(|error| refused(&error))? else { continue };
        match frame::decode(&body).map_err(|error| refused(&error))? {
            request @ Request::BlobPut(_) => {
                let waiting = received + BODY_BYTES_WAITING;
                allowance.cover(waiting).map_err(|_| Unread::Refused(Code::Busy))?;
                return Ok(Asked { request, body_begun: Some(reader.into_rest()) });
            }
            other => request = Some(other),
        }
    }
    reader.finish().map_err(|error| refused(&error))?;
    Ok(Asked { request: request.ok_or(Unread::Gone)?, body_begun: None })
}

fn refused(error: &PeerFrameError) -> Unread {
    Unread::Refused(code_of(error))
}

/// How long a request may take of which so many bytes have come.
pub(super) fn time_for(received: usize, limits: &Limits) -> Duration {
    let seconds = received / limits.request_bytes_a_second_min.max(1) as usize;
    limits.request_grace + Duration::from_secs(seconds as u64)
}

fn code_of(error: &PeerFrameError) -> Code {
    match error {
        PeerFrameError::TooLarge { .. } => Code::TooLarge,
        PeerFrameError::CutOff | PeerFrameError::Codec(_) => Code::Malformed,
    }
}

async fn answer<C: Calls>(
    mut send: SendStream,
    peer: PublicKey,
    request: Request,
    body: Option<(RecvStream, Vec<u8>)>,
    mut last_word: LastWord,
    shared: &Arc<Shared<C>>,
) {
    let began = Instant::now();
    let kind = request_kind(&request);
    let endless = matches!(request, Request::Watch(_));
    let (replies, waiting) = mpsc::channel(REPLIES_WAITING);
    let (bytes, flowing) = mpsc::channel(BODY_CHUNKS_WAITING);
    let call = shared.calls.call(peer, request, flowing, replies);
    let (flow, (say_slow, slow)) = (Notify::new(), oneshot::channel());
    let feeding = feed(body, bytes, &flow, shared);
    let call = while_fed(call, feeding, say_slow);
    let stop = endless.then(|| shared.stop.clone());
    let writing = async {
        tokio::select! {
            biased;
            code = told(&mut last_word) => {
                reset(&mut send, code);
                Sent::Broken
            }
            Ok(()) = slow => {
                reset(&mut send, CloseCode::TooSlow);
                Sent::TooSlow
            }
            sent = write_answer(&mut send, waiting, &flow, stop, shared) => sent,
        }
    };
    let sent = if endless {
        // A watch has nothing to finish: it ends with its listener.
        tokio::select! {
            sent = writing => sent,
            // Its last words are still on the way.
            sent = async { call.await; std::future::pending().await } => sent,
        }
    } else {
        tokio::join!(call, writing).1
    };
    let outcome = match sent {
        Sent::Whole(outcome) => outcome,
        Sent::TooSlow => Outcome::TooSlow,
        Sent::Broken => Outcome::Gone,
    };
    shared.metrics.answered(kind, outcome, (!endless).then(|| began.elapsed()));
}

/// Sees a call to its end, and beside it to the bytes that it asked for.
async fn while_fed(
    call: impl Future<Output = ()>,
    feeding: impl Future<Output = Result<(), Unread>>,
    say_slow: oneshot::Sender<()>,
) {
    tokio::pin!(call);
    tokio::select! {
        biased;
        () = &mut call => return,
        fed = feeding => if fed == Err(Unread::TooSlow) {
            // Whoever writes the answer may have gone already.
            let _ = say_slow.send(());
        },
    }
    call.await;
}

/// Hands on the bytes behind a request, once the answer has said from where on they are to come. Whoever
/// sends them may pause as long as whoever takes an answer; while they wait for the disk nothing counts.
async fn feed<C>(
    body: Option<(RecvStream, Vec<u8>)>,
    bytes: mpsc::Sender<Bytes>,
    flow: &Notify,
    shared: &Shared<C>,
) -> Result<(), Unread> {
    let Some((mut receive, begun)) = body else { return Ok(()) };
    flow.notified().await;
    if !begun.is_empty() {
        bytes.send(begun.into()).await.map_err(|_| Unread::Gone)?;
    }
    let mut patience = Patience::new(shared.limits.request_grace);
    loop {
        let place = bytes.reserve().await.map_err(|_| Unread::Gone)?;
        let mut chunk = vec![0; BODY_CHUNK_BYTES];
        let began = Instant::now();
        let read = match timeout(patience.left, receive.read(&mut chunk)).await {
            Ok(read) => read.map_err(|_| Unread::Gone)?,
            Err(_) => {
                stop(&mut receive, CloseCode::TooSlow);
                return Err(Unread::TooSlow);
            }
        };
        let Some(read) = read else { return Ok(()) };
        chunk.truncate(read);
        shared.metrics.received_bytes.inc_by(read as u64);
        place.send(chunk.into());
        patience.came(read, began.elapsed());
    }
}

/// How long the next bytes of a blob may still be waited for: each [`WRITE_STEP_BYTES`] of them have the
/// same time.
#[derive(Debug)]
pub(super) struct Patience {
    grace: Duration,
    pub(super) left: Duration,
    bytes: usize,
}

impl Patience {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, left: grace, bytes: 0 }
    }

    /// So many bytes came after they were waited for so long.
    pub(super) fn came(&mut self, bytes: usize, waited: Duration) {
        self.bytes += bytes;
        self.left = self.left.saturating_sub(waited);
        if self.bytes >= WRITE_STEP_BYTES {
            (self.left, self.bytes) = (self.grace, 0);
        }
    }
}

/// The code that a connection ends with under its answers.
async fn told(last_word: &mut LastWord) -> CloseCode {
    match last_word.wait_for(Option::is_some).await.map(|word| *word) {
        Ok(Some(code)) => code,
        // Nobody is left to say it.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

async fn write_answer<C>(
    send: &mut SendStream,
    mut waiting: mpsc::Receiver<Reply>,
    flow: &Notify,
    stop: Option<crate::stop::Stop>,
    shared: &Shared<C>,
) -> Sent {
    let deadline = shared.limits.write_deadline;
    let mut outcome = Outcome::Answered;
    let deaf = send.stopped();
    let stopped = async {
        match stop {
            Some(mut stop) => stop.told().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deaf, stopped);
    loop {
        let reply = tokio::select! {
            reply = waiting.recv() => reply,
            _ = &mut deaf => return Sent::Broken,
            () = &mut stopped => {
                reset(send, CloseCode::Stopping);
                return Sent::Broken;
            }
        };
        let Some(reply) = reply else { break };
        match &reply {
            Reply::Refused(refused) => outcome = Outcome::Refused(refused.code),
            Reply::NotActive(_) => outcome = Outcome::Refused(Code::NotActive),
            _ => {}
        }
        shared.metrics.saw(&reply);
        if write(send, &reply, deadline, shared).await.is_err() {
            reset(send, CloseCode::TooSlow);
            return Sent::Broken;
        }
        if matches!(reply, Reply::BlobAt(_)) {
            flow.notify_one();
        }
    }
    finish(send, deadline).await;
    Sent::Whole(outcome)
}

/// The peer takes no more.
struct Deaf;

async fn write<C>(
    send: &mut SendStream,
    reply: &Reply,
    deadline: Duration,
    shared: &Shared<C>,
) -> Result<(), Deaf> {
    let frame = frame::encode(reply);
    for step in frame.chunks(WRITE_STEP_BYTES) {
        timeout(deadline, send.write_all(step)).await.map_err(|_| Deaf)?.map_err(|_| Deaf)?;
        shared.metrics.sent_bytes.inc_by(step.len() as u64);
    }
    Ok(())
}

/// Ends the stream and waits until the peer has it all, so that closing the connection next loses
/// nothing.
async fn finish(send: &mut SendStream, deadline: Duration) {
    if send.finish().is_ok() {
        let _ = timeout(deadline, send.stopped()).await;
    }
}

/// An error means that the stream is over already, which is what was wanted.
fn stop(receive: &mut RecvStream, code: CloseCode) {
    let _ = receive.stop(code.number().into());
}

/// As [`stop`].
fn reset(send: &mut SendStream, code: CloseCode) {
    let _ = send.reset(code.number().into());
}

/// A request's name in metrics.
fn request_kind(request: &Request) -> &'static str {
    match request {
        Request::Hello(_) => "hello",
        Request::Found(_) => "found",
        Request::Heads(_) => "heads",
        Request::Pull(_) => "pull",
        Request::Push(_) => "push",
        Request::Watch(_) => "watch",
        Request::Cosign(_) => "cosign",
        Request::Join(_) => "join",
        Request::Joins(_) => "joins",
        Request::Invite(_) => "invite",
        Request::Cosignatures(_) => "cosignatures",
        Request::Answer(_) => "answer",
        Request::BlobPut(_) => "blob-put",
        Request::BlobGet(_) => "blob-get",
    }
}
