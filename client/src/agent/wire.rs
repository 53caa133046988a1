//! What is said over the socket. One connection carries one question and one answer, each a u32
//! big-endian length and canonical CBOR.

use std::io::{self, Read, Write};
use std::time::Duration;

use minicbor::{Decode, Encode};
use sealpost_protocol::codec;
use sealpost_protocol::hash::Hash;

/// The longest question or answer.
pub(super) const MESSAGE_BYTES_MAX: usize = 128;

/// What a command asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Ask {
    /// How do you stand?
    #[n(0)]
    State,
    /// What does the `identity.age` of this hash hold?
    #[n(1)]
    Secrets(#[n(0)] Hash),
    /// End.
    #[n(2)]
    End,
}

/// What the agent answers. No secret is among it: they follow [`Answer::Secrets`] as bytes of a
/// known number, straight from the page they are kept in, for whatever encodes leaves copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Answer {
    /// So.
    #[n(0)]
    State(#[n(0)] State),
    /// The secrets follow.
    #[n(1)]
    Secrets,
    /// It holds another `identity.age`, which is no more: it ends.
    #[n(2)]
    Other,
    /// It ends.
    #[n(3)]
    Ending,
}

/// How an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct State {
    #[n(0)]
    left_millis: u64,
    #[n(1)]
    unused_left_millis: u64,
    /// Whether the secrets are kept out of swap.
    #[n(2)]
    pub memory_locked: bool,
}

impl State {
    pub(super) fn new(left: Duration, unused_left: Duration, memory_locked: bool) -> Self {
        Self { left_millis: millis(left), unused_left_millis: millis(unused_left), memory_locked }
    }

    /// How long it lives at most.
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.left_millis)
    }

    /// How long it lives when nothing is asked of it; never more than [`Self::left`].
    pub fn unused_left(&self) -> Duration {
        Duration::from_millis(self.unused_left_millis)
    }
}

/// What an agent is started with, before the secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Terms {
    #[n(0)]
    lives_millis: u64,
    #[n(1)]
    idle_millis: u64,
    /// The `identity.age` that the secrets are of.
    #[n(2)]
    pub identity: Hash,
}

impl Terms {
    /// To live for `lives`, or until nothing was asked for `idle`.
    pub fn new(lives: Duration, idle: Duration, identity: Hash) -> Self {
        Self { lives_millis: millis(lives), idle_millis: millis(idle), identity }
    }

    /// How long it lives at most.
    pub fn lives(&self) -> Duration {
        Duration::from_millis(self.lives_millis)
    }

    /// How long it lives unused.
    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_millis)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The message with its length before it.
pub(super) fn framed<T: Encode<()>>(message: &T) -> Vec<u8> {
    let bytes = codec::encode(message);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &bytes].concat()
}

/// How many bytes follow, unless they are more than any message has.
pub(super) fn length(head: [u8; 4]) -> io::Result<usize> {
    usize::try_from(u32::from_be_bytes(head))
        .ok()
        .filter(|length| *length <= MESSAGE_BYTES_MAX)
        .ok_or_else(|| io::Error::other("too long for a message"))
}

/// Reads a message of a framed one's bytes.
pub(super) fn parse<T: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) -> io::Result<T> {
    codec::decode(bytes, MESSAGE_BYTES_MAX)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a message.
pub(super) fn send<T: Encode<()>>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&framed(message))
}

/// Reads a message.
pub(super) fn receive<T: for<'b> Decode<'b, ()> + Encode<()>>(
    from: &mut impl Read,
) -> io::Result<T> {
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let mut bytes = vec![0; length(head)?];
    from.read_exact(&mut bytes)?;
    parse(&bytes)
}
