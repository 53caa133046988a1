//! Frames: what travels between client and relay (SPEC.md §18).
//!
//! A frame is a u32 big-endian length and so many bytes of CBOR. One stream carries one request
//! and the frames of its answer. Transports move frames and know nothing of their content.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Decoder, Encode};

use crate::code::Code;
use crate::codec::{self, PeerCodecError, tagged};
use crate::entry::Blob;
use crate::hash::Hash;
use crate::id::{CommitteeId, DeviceId, InvitationId, LeafIndex, TreeSize, UnixMillis};
use crate::invitation::{KeptJoinRequest, SealedJoinRequest};
use crate::limits;
use crate::tree::Proof;

/// The version of requests and answers, which `hello` settles.
pub const VERSION: u8 = 1;

/// The length of the length.
const LENGTH_BYTES: usize = 4;

tagged! {
    /// What a client asks.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Request {
        /// Which versions do you speak?
        1 => Hello(Hello),
        /// Found a committee here. Answered by [`Reply::Pushed`].
        2 => Found(FoundRequest),
        /// How far are these logs? Answered by [`Reply::Heads`].
        3 => Heads(HeadsRequest),
        /// Entries from a size on. Answered by [`Reply::Entries`] … [`Reply::End`].
        4 => Pull(PullRequest),
        /// Append these. Answered by [`Reply::Pushed`].
        5 => Push(PushRequest),
        /// Say when these logs grow. Answered by [`Reply::Grown`] for as long as the stream lives.
        6 => Watch(HeadsRequest),
        /// Keep this blob, whose bytes follow on the stream. Answered by [`Reply::BlobAt`] and, once it is
        /// all here, [`Reply::Done`].
        7 => BlobPut(BlobPutRequest),
        /// A blob from an offset on. Answered by [`Reply::BlobBytes`] … [`Reply::Done`].
        8 => BlobGet(BlobGetRequest),
        /// This device vouches for a checkpoint. Answered by [`Reply::Done`].
        9 => Cosign(CosignRequest),
        /// Ask to be let in with an invitation. Answered by [`Reply::Done`]; asked again, by
        /// [`Reply::Answered`] once the invitation's maker has answered.
        10 => Join(SealedJoinRequest),
        /// Who asks with my invitations? Answered by [`Reply::Joins`].
        11 => Joins(CommitteeRequest),
        /// Make, list or cancel invitations. Answered by [`Reply::Invitations`].
        12 => Invite(InviteRequest),
        /// Who vouches for which size? Answered by [`Reply::Cosignatures`].
        13 => Cosignatures(CommitteeRequest),
        /// Keep this for who asked with my invitation. Answered by [`Reply::Done`].
        14 => Answer(AnswerRequest),
    }
}

tagged! {
    /// What a relay answers.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Reply {
        /// No.
        0 => Refused(Refused),
        /// The version both speak.
        1 => Hello(HelloReply),
        /// No, for this device may act in that committee no longer, or not now; and why.
        2 => NotActive(NotActive),
        /// One state for each committee asked for, in that order.
        3 => Heads(Vec<HeadState>) by codec::at_most::<_, _, { limits::HEADS_COMMITTEES_MAX }>,
        /// Some entries, in order.
        4 => Entries(Vec<ByteVec>) by codec::at_most::<_, _, { limits::PULL_FRAME_ENTRIES_MAX }>,
        /// No more entries, and the checkpoint that covers them.
        5 => End(Checkpointed),
        /// What became of each entry pushed, in order.
        6 => Pushed(Pushed),
        /// A log has grown to this size.
        7 => Grown(HeadAsk),
        /// Done, durably.
        8 => Done(Empty),
        /// From where on the bytes of a blob are to be sent.
        9 => BlobAt(BlobAt),
        /// The next bytes of a blob.
        10 => BlobBytes(BlobBytes),
        /// Those who ask to be let in.
        11 => Joins(Vec<JoinOf>),
        /// The open invitations this device made.
        12 => Invitations(Vec<OpenInvitation>),
        /// The last cosignature of each device that gave one.
        13 => Cosignatures(Vec<CosignatureOf>),
        /// What the invitation's maker left for who asks.
        14 => Answered(Answered),
    }
}

/// No fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Empty {}

/// Opens a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// The versions the client speaks.
    #[n(0)]
    pub versions: Vec<u8>,
}

/// Answers [`Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HelloReply {
    /// The version to speak.
    #[n(0)]
    pub version: u8,
    /// The relay's clock, by which it judges expiry.
    #[n(1)]
    pub now: UnixMillis,
}

/// A permit's code as it is used: 16 bytes.
pub type PermitCode = ByteArray<16>;

/// Founds a committee.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FoundRequest {
    /// The relay's leave.
    #[n(0)]
    pub permit: PermitCode,
    /// The founding entry.
    #[n(1)]
    pub entry: ByteVec,
}

/// A committee and the size the asker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeadAsk {
    /// Which.
    #[n(0)]
    pub committee: CommitteeId,
    /// How much of it the asker holds; in an answer, how much there is.
    #[n(1)]
    pub size: TreeSize,
}

/// Names committees.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeadsRequest {
    /// At most [`limits::HEADS_COMMITTEES_MAX`].
    #[n(0)]
    pub committees: Vec<HeadAsk>,
}

tagged! {
    /// How one log stands, compared to what the asker holds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum HeadState {
        /// Not here, or not for this device to know.
        0 => Unknown(Empty),
        /// Just what the asker holds.
        1 => Same(Empty),
        /// Another size: a checkpoint.
        2 => Other(Checkpointed),
        /// Not for this device any longer, or not now; and why.
        3 => NotActive(NotActive),
    }
}

/// Shows a device why it may not act: the entry that suspended or ended it, in its place in the
/// log. Whoever gets it need not believe the relay: its author's signature and the proof tell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NotActive {
    /// The entry, as it was signed.
    #[n(0)]
    pub entry: ByteVec,
    /// Its place.
    #[n(1)]
    pub index: LeafIndex,
    /// Inclusion proof.
    #[n(2)]
    pub proof: Proof,
    /// The checkpoint the proof is for, as the text of its signed note.
    #[n(3)]
    pub checkpoint: String,
}

/// A checkpoint, as the text of its signed note.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Checkpointed {
    /// At most [`limits::NOTE_BYTES_MAX`].
    #[n(0)]
    pub checkpoint: String,
}

/// Asks for entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PullRequest {
    /// Of which log.
    #[n(0)]
    pub committee: CommitteeId,
    /// From which size on.
    #[n(1)]
    pub from: TreeSize,
}

/// Appends entries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PushRequest {
    /// To which log.
    #[n(0)]
    pub committee: CommitteeId,
    /// In this order; at most [`limits::PUSH_ENTRIES_MAX`].
    #[n(1)]
    #[cbor(decode_with = "codec::at_most::<_, _, { limits::PUSH_ENTRIES_MAX }>")]
    pub entries: Vec<ByteVec>,
}

tagged! {
    /// What became of one entry.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum PushResult {
        /// Durable in the log: its place, and the proof under the answer's checkpoint.
        1 => Accepted(Accepted),
        /// Not in the log.
        2 => Refused(Refused),
    }
}

/// An accepted entry's receipt, together with the checkpoint of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Accepted {
    /// Its place.
    #[n(0)]
    pub index: LeafIndex,
    /// Inclusion proof.
    #[n(1)]
    pub proof: Proof,
}

/// What became of the entries of a push.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pushed {
    /// One for each entry, in order.
    #[n(0)]
    #[cbor(decode_with = "codec::at_most::<_, _, { limits::PUSH_ENTRIES_MAX }>")]
    pub results: Vec<PushResult>,
    /// Covers every accepted one.
    #[n(1)]
    pub checkpoint: String,
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// Why.
    #[n(0)]
    pub code: Code,
}

/// Has a blob kept, for an entry that will name it. What follows the frame on the stream is no frame:
/// the blob's bytes from the offset on that the relay answers, to the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobPutRequest {
    /// For which committee.
    #[n(0)]
    pub committee: CommitteeId,
    /// Which.
    #[n(1)]
    pub blob: Blob,
}

/// How much of a blob the relay has from this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobAt {
    /// Bytes from its beginning.
    #[n(0)]
    pub offset: u64,
}

/// Asks for a blob that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobGetRequest {
    /// Of which committee.
    #[n(0)]
    pub committee: CommitteeId,
    /// Which.
    #[n(1)]
    pub sha256: Hash,
    /// From which byte on.
    #[n(2)]
    pub offset: u64,
}

/// A piece of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobBytes {
    /// 1 to [`limits::BLOB_FRAME_BYTES`] bytes.
    #[cbor(n(0), decode_with = "decode_blob_bytes")]
    pub bytes: ByteVec,
}

fn decode_blob_bytes<C>(
    d: &mut Decoder<'_>,
    _: &mut C,
) -> Result<ByteVec, minicbor::decode::Error> {
    let at = d.position();
    let bytes = d.bytes()?;
    if !(1..=limits::BLOB_FRAME_BYTES).contains(&bytes.len()) {
        return Err(minicbor::decode::Error::message("too many bytes of a blob, or none").at(at));
    }
    Ok(bytes.to_vec().into())
}

/// Vouches for a checkpoint of the relay's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CosignRequest {
    /// Of which log.
    #[n(0)]
    pub committee: CommitteeId,
    /// The size vouched for; the root must be the relay's own at that size.
    #[n(1)]
    pub size: TreeSize,
    /// The root vouched for.
    #[n(2)]
    pub root: Hash,
    /// One signature line of a note.
    #[n(3)]
    pub cosignature: String,
}

/// Names a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitteeRequest {
    /// Which.
    #[n(0)]
    pub committee: CommitteeId,
}

/// Does something about invitations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InviteRequest {
    /// To which committee.
    #[n(0)]
    pub committee: CommitteeId,
    /// What.
    #[n(1)]
    pub action: InviteAction,
}

tagged! {
    /// What to do about invitations.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum InviteAction {
        /// Open one.
        1 => New(OpenInvitation),
        /// End one.
        2 => Cancel(InvitationId),
        /// Only list them.
        3 => List(Empty),
    }
}

/// An invitation as the relay keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OpenInvitation {
    /// Which.
    #[n(0)]
    pub id: InvitationId,
    /// SHA-256 of the value a joiner shows.
    #[n(1)]
    pub access_hash: Hash,
    /// When it dies, by the relay's clock.
    #[n(2)]
    pub expires: UnixMillis,
    /// How many may still ask with it.
    #[n(3)]
    pub uses: u32,
}

/// Somebody who asks to be let in with an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JoinOf {
    /// By which invitation.
    #[n(0)]
    pub invitation: InvitationId,
    /// The sealed request.
    #[n(1)]
    pub request: KeptJoinRequest,
}

/// Answers somebody who asked with an invitation of the sending device's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AnswerRequest {
    /// To which committee the invitation leads.
    #[n(0)]
    pub committee: CommitteeId,
    /// By which invitation they asked.
    #[n(1)]
    pub invitation: InvitationId,
    /// Which request: its [`KeptJoinRequest::hash`].
    #[n(2)]
    pub request: Hash,
    /// An age file for who asked, of at most [`limits::ANSWER_BYTES_MAX`] bytes.
    #[cbor(n(3), decode_with = "decode_answer")]
    pub file: ByteVec,
}

/// An answer to a join request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Answered {
    /// An age file, of at most [`limits::ANSWER_BYTES_MAX`] bytes.
    #[cbor(n(0), decode_with = "decode_answer")]
    pub file: ByteVec,
}

fn decode_answer<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<ByteVec, minicbor::decode::Error> {
    let at = d.position();
    let file = d.bytes()?;
    if file.len() > limits::ANSWER_BYTES_MAX {
        return Err(minicbor::decode::Error::message("an answer is too long").at(at));
    }
    Ok(file.to_vec().into())
}

/// A device's last cosignature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CosignatureOf {
    /// Whose.
    #[n(0)]
    pub device: DeviceId,
    /// The size vouched for.
    #[n(1)]
    pub size: TreeSize,
    /// The root vouched for.
    #[n(2)]
    pub root: Hash,
    /// One signature line of a note.
    #[n(3)]
    pub cosignature: String,
}

/// Why bytes are no frame. Always the fault of whoever sent them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerFrameError {
    /// The length is over the limit. Known before any of the frame is read.
    #[error("a frame of {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// What the length says.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    CutOff,
    /// The body is not what was expected.
    #[error("frame: {0}")]
    Codec(#[from] PeerCodecError),
}

/// A frame's bytes, length first.
///
/// # Panics
/// When the body is longer than [`limits::FRAME_BYTES_MAX`]: whoever fills a frame keeps to it.
pub fn encode<T: Encode<()>>(body: &T) -> Vec<u8> {
    let body = codec::encode(body);
    assert!(body.len() <= limits::FRAME_BYTES_MAX, "a frame of {} bytes was built", body.len());
    let length = u32::try_from(body.len()).expect("the limit is below 2^32");
    [length.to_be_bytes().as_slice(), &body].concat()
}

/// Decodes a frame's body.
pub fn decode<'b, T: Decode<'b, ()> + Encode<()>>(body: &'b [u8]) -> Result<T, PeerFrameError> {
    Ok(codec::decode(body, limits::FRAME_BYTES_MAX)?)
}

/// Cuts a stream of bytes into frame bodies. A length field is only a claim: memory grows with
/// the bytes that came, never with what a length promises.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    max: usize,
}

impl FrameReader {
    /// A reader for frames of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { buffer: Vec::new(), max: max.min(limits::FRAME_BYTES_MAX) }
    }

    /// Takes bytes as they came; at most [`limits::FRAME_READ_STEP_BYTES`] at a time keeps
    /// allocation in small steps.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's body, if it has come.
    pub fn next_body(&mut self) -> Result<Option<Vec<u8>>, PeerFrameError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let len = u32::from_be_bytes(*length) as usize;
        if len > self.max {
            return Err(PeerFrameError::TooLarge { len, max: self.max });
        }
        if self.buffer.len() < LENGTH_BYTES + len {
            return Ok(None);
        }
        let rest = self.buffer.split_off(LENGTH_BYTES + len);
        let mut frame = std::mem::replace(&mut self.buffer, rest);
        frame.drain(..LENGTH_BYTES);
        Ok(Some(frame))
    }

    /// What came behind the last whole frame.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    /// Says at the end of a stream whether it ended between frames.
    pub fn finish(&self) -> Result<(), PeerFrameError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(PeerFrameError::CutOff) }
    }
}

#[cfg(test)]
mod tests;
