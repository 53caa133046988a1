//! Commands to a running relay, over the Unix socket `control.sock` in its data folder.
//!
//! The folder is 0700, and whoever connects must be the relay's own user or root by the kernel's
//! word. One connection carries one request and one answer: u32 big-endian length, then CBOR.

use std::fmt;
use std::io;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use sealpost_protocol::codec;
use sealpost_protocol::frame::PermitCode;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::UnixMillis;

use crate::limits::CONTROL_BYTES_MAX;
use crate::permit::{self, Listed, Permit, PermitError};
use crate::store::{CommitError, NoteStore, StoreError};

mod client;
mod server;
mod socket;

pub use client::ask;
pub use server::Control;

/// The socket's name in the data folder.
pub const FILE: &str = "control.sock";

/// What a command asks a relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Ask {
    /// Your address?
    #[n(0)]
    Address,
    /// Issue a permit.
    #[n(1)]
    PermitNew {
        /// The operator's note on it.
        #[n(0)]
        label: Option<String>,
    },
    /// All permits.
    #[n(2)]
    PermitList,
    /// End an unused permit.
    #[n(3)]
    PermitRevoke {
        /// Its id, or how that begins.
        #[n(0)]
        id: String,
    },
}

/// What it answers.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// The address.
    #[n(0)]
    Address(#[n(0)] String),
    /// A permit was issued.
    #[n(1)]
    Issued(#[n(0)] Issued),
    /// The permits.
    #[n(2)]
    Permits(#[n(0)] Vec<KeptPermit>),
    /// This permit is no more.
    #[n(3)]
    Revoked(#[n(0)] Hash),
    /// It was not done.
    #[n(4)]
    Refused(#[n(0)] Refusal),
}

/// A new permit. Whoever holds the code may found a committee: no `Debug`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Issued {
    /// By which it is listed and revoked.
    #[n(0)]
    pub id: Hash,
    /// What the founder types.
    #[n(1)]
    pub code: PermitCode,
}

/// A permit and its id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeptPermit {
    /// By which it is revoked.
    #[n(0)]
    pub id: Hash,
    /// The permit.
    #[n(1)]
    pub permit: Permit,
}

/// Why a running relay did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Refusal {
    /// No unused permit of that id.
    #[n(0)]
    Unknown,
    /// Several.
    #[n(1)]
    Ambiguous,
    /// No room for more permits.
    #[n(2)]
    TooMany,
    /// The label is too long.
    #[n(3)]
    Label,
    /// The disk is full.
    #[n(4)]
    Full,
    /// The store does not write.
    #[n(5)]
    Stopped,
    /// The store has too much to do.
    #[n(6)]
    Busy,
    /// The operating system gives no randomness.
    #[n(7)]
    Random,
}

/// Why a running relay could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It is there and does not answer.
    #[error("the running relay does not answer")]
    LocalTooSlow,
    /// What answers is no relay, or one of another version.
    #[error("what answers on control.sock is no relay of this version: {0}")]
    LocalForeign(String),
    /// Another process holds the folder and takes no commands: it is starting or stopping.
    #[error("another process uses the data folder and takes no commands")]
    LocalStopping,
    /// The operating system refused.
    #[error("asking the running relay: {0}")]
    LocalIo(Arc<io::Error>),
    /// It said no.
    #[error(transparent)]
    Refused(PermitError),
}

impl From<io::Error> for ControlError {
    fn from(error: io::Error) -> Self {
        Self::LocalIo(Arc::new(error))
    }
}

/// Does what is asked about permits, on a store that this process holds.
pub async fn perform<S: NoteStore>(
    store: &S,
    ask: Ask,
    address: &str,
    now: UnixMillis,
) -> Result<Answer, PermitError> {
    match ask {
        Ask::Address => Ok(Answer::Address(address.to_owned())),
        Ask::PermitNew { label } => {
            let mut code = PermitCode::from([0; 16]);
            getrandom::fill(code.as_mut_slice())
                .map_err(|error| PermitError::LocalRandom(error.to_string()))?;
            let id = permit::issue(store, &code, label, now).await?;
            Ok(Answer::Issued(Issued { id, code }))
        }
        Ask::PermitList => {
            let kept = |Listed { id, permit }| KeptPermit { id, permit };
            Ok(Answer::Permits(permit::list(store).await?.into_iter().map(kept).collect()))
        }
        Ask::PermitRevoke { id } => Ok(Answer::Revoked(permit::revoke(store, &id).await?)),
    }
}

impl From<&PermitError> for Refusal {
    fn from(error: &PermitError) -> Self {
        match error {
            PermitError::LocalUnknown => Self::Unknown,
            PermitError::LocalAmbiguous => Self::Ambiguous,
            PermitError::LocalTooMany | PermitError::Commit(CommitError::LocalSize) => {
                Self::TooMany
            }
            PermitError::LocalLabel => Self::Label,
            PermitError::LocalRandom(_) => Self::Random,
            PermitError::Commit(CommitError::RequireFailed { .. }) => Self::Busy,
            PermitError::Store(error) | PermitError::Commit(CommitError::Store(error)) => {
                match error {
                    StoreError::StoreFull => Self::Full,
                    StoreError::StoreBusy => Self::Busy,
                    _ => Self::Stopped,
                }
            }
        }
    }
}

impl From<Refusal> for PermitError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::LocalUnknown,
            Refusal::Ambiguous => Self::LocalAmbiguous,
            Refusal::TooMany => Self::LocalTooMany,
            Refusal::Label => Self::LocalLabel,
            Refusal::Full => Self::Store(StoreError::StoreFull),
            Refusal::Stopped => Self::Store(StoreError::StoreStopped),
            Refusal::Busy => Self::Store(StoreError::StoreBusy),
            Refusal::Random => Self::LocalRandom("the running relay got none".to_owned()),
        }
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(…)")
    }
}

/// Bytes as they go over the socket.
fn framed<T: Encode<()>>(value: &T) -> Vec<u8> {
    let body = codec::encode(value);
    let len = u32::try_from(body.len()).expect("lists are limited far below 4 GiB");
    [&len.to_be_bytes()[..], &body].concat()
}

/// How long what follows is, if that is allowed.
fn length(head: [u8; 4]) -> io::Result<usize> {
    let len = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if len > CONTROL_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(len)
}

#[cfg(test)]
mod tests;
