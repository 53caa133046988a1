//! Permits: the relay's leave to found a committee, as notes.
//!
//! A permit stands under `permit/<SHA-256 of its code>`. The code itself is shown once, to the
//! operator, and kept nowhere. A used permit stays, with the committee it founded, so that the
//! same founding entry sent again finds its log.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::frame::PermitCode;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, UnixMillis};

use crate::store::{Commit, CommitError, NoteStore, StoreError};

const PREFIX: &[u8] = b"permit/";

/// A permit as it stands in the notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Permit {
    /// When it was issued.
    #[n(0)]
    pub issued: UnixMillis,
    /// What it founded.
    #[n(1)]
    pub founded: Option<CommitteeId>,
}

/// What the operator is shown of a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// SHA-256 of its code, by which it is revoked.
    pub id: Hash,
    /// The permit.
    pub permit: Permit,
}

/// Why a permit cannot be issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    /// There is no unused permit of that id.
    #[error("there is no unused permit of that id")]
    LocalUnknown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not take it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Issues a permit for `code`, 16 random bytes.
pub async fn issue<S: NoteStore>(
    store: &S,
    code: &PermitCode,
    now: UnixMillis,
) -> Result<(), PermitError> {
    let key = key_of(Hash::of(code.as_slice()));
    let permit = Permit { issued: now, founded: None };
    let commit = Commit {
        require: vec![(key.clone(), None)],
        put: vec![(key, codec::encode(&permit).into())],
        delete: Vec::new(),
    };
    Ok(store.commit(commit).await?)
}

/// Uses the permit of `code` for `committee`. Using it again for the same one is no error.
pub async fn redeem<S: NoteStore>(
    store: &S,
    code: &PermitCode,
    committee: CommitteeId,
) -> Result<(), Code> {
    let key = key_of(Hash::of(code.as_slice()));
    let held = store.get(&key).await.map_err(|_| Code::Stopped)?.ok_or(Code::NotFound)?;
    let permit = decode(&held).ok_or(Code::Stopped)?;
    match permit.founded {
        Some(founded) if founded == committee => return Ok(()),
        Some(_) => return Err(Code::AlreadyFounded),
        None => {}
    }
    let used = Permit { founded: Some(committee), ..permit };
    let commit = Commit {
        require: vec![(key.clone(), Some(held))],
        put: vec![(key, codec::encode(&used).into())],
        delete: Vec::new(),
    };
    store.commit(commit).await.map_err(|error| match error {
        // Somebody used or revoked it in between; asking again finds out.
        CommitError::RequireFailed { .. } => Code::Busy,
        CommitError::LocalSize | CommitError::Store(StoreError::StoreFull) => Code::Full,
        CommitError::Store(_) => Code::Stopped,
    })
}

/// All permits, used ones included.
pub async fn list<S: NoteStore>(store: &S) -> Result<Vec<Listed>, PermitError> {
    let notes = store.scan(PREFIX).await?;
    let listed = |(key, value): &(Vec<u8>, Bytes)| {
        let id = key.strip_prefix(PREFIX)?.try_into().ok()?;
        Some(Listed { id: Hash(id), permit: decode(value)? })
    };
    Ok(notes.iter().filter_map(listed).collect())
}

/// Ends an unused permit.
pub async fn revoke<S: NoteStore>(store: &S, id: Hash) -> Result<(), PermitError> {
    let key = key_of(id);
    let held = store.get(&key).await?.ok_or(PermitError::LocalUnknown)?;
    if decode(&held).is_none_or(|permit| permit.founded.is_some()) {
        return Err(PermitError::LocalUnknown);
    }
    let commit =
        Commit { require: vec![(key.clone(), Some(held))], put: Vec::new(), delete: vec![key] };
    Ok(store.commit(commit).await?)
}

fn key_of(id: Hash) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}

fn decode(value: &[u8]) -> Option<Permit> {
    codec::decode(value, value.len()).ok()
}
