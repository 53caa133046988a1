//! One stream: one request frame, then the frames of its answer.

use std::sync::Arc;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{self, FrameReader, PeerFrameError, Refused, Reply, Request};
use sealpost_protocol::limits::FRAME_READ_STEP_BYTES;
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::CloseCode;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::Calls;
use super::allowance::Allowance;
use super::connection::Shared;
use crate::limits::{Limits, REPLIES_WAITING, WRITE_STEP_BYTES};
use crate::metrics::Outcome;

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

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole(Outcome),
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
        Ok(request) => answer(send, peer, request, last_word, &shared).await,
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
) -> Result<Request, Unread> {
    let began = Instant::now();
    let mut reader = FrameReader::new(bytes_max);
    let mut received = 0;
    let mut body = None;
    loop {
        let deadline = began + time_for(received, &shared.limits);
        let chunk = timeout_at(deadline, receive.read_chunk(FRAME_READ_STEP_BYTES, true))
            .await
            .map_err(|_| Unread::TooSlow)?
            .map_err(|_| Unread::Gone)?;
        let Some(chunk) = chunk else { break };
        if body.is_some() {
            return Err(Unread::Refused(Code::Malformed));
        }
        received += chunk.bytes.len();
        shared.metrics.received_bytes.inc_by(chunk.bytes.len() as u64);
        allowance.cover(received).map_err(|_| Unread::Refused(Code::Busy))?;
        reader.push(&chunk.bytes);
        body = reader.next_body().map_err(|error| Unread::Refused(code_of(&error)))?;
    }
    reader.finish().map_err(|error| Unread::Refused(code_of(&error)))?;
    let body = body.ok_or(Unread::Gone)?;
    frame::decode(&body).map_err(|error| Unread::Refused(code_of(&error)))
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
    mut last_word: LastWord,
    shared: &Arc<Shared<C>>,
) {
    let began = Instant::now();
    let kind = request_kind(&request);
    let endless = matches!(request, Request::Watch(_));
    let (replies, waiting) = mpsc::channel(REPLIES_WAITING);
    let call = shared.calls.call(peer, request, replies);
    let stop = endless.then(|| shared.stop.clone());
    let writing = async {
        tokio::select! {
            biased;
            code = told(&mut last_word) => {
                reset(&mut send, code);
                Sent::Broken
            }
            sent = write_answer(&mut send, waiting, stop, shared) => sent,
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
        Sent::Broken => Outcome::Gone,
    };
    shared.metrics.answered(kind, outcome, (!endless).then(|| began.elapsed()));
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
