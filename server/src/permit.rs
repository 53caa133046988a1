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

use crate::limits::{PERMIT_LABEL_BYTES_MAX, PERMITS_MAX};
use crate::store::{Commit, CommitError, NoteStore, StoreError};

const PREFIX: &[u8] = b"permit/";
/// How much of an id must be typed.
const ID_SYMBOLS_MIN: usize = 8;

/// A permit as it stands in the notes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Permit {
    /// When it was issued.
    #[n(0)]
    pub issued: UnixMillis,
    /// What it founded.
    #[n(1)]
    pub founded: Option<CommitteeId>,
    /// The operator's note on it.
    #[n(2)]
    pub label: Option<String>,
}

/// What the operator is shown of a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Several ids begin like that.
    #[error("several permits have ids that begin like that")]
    LocalAmbiguous,
    /// As many unused ones as the relay keeps.
    #[error("there are {PERMITS_MAX} unused permits: the relay keeps no more")]
    LocalTooMany,
    /// Longer than the relay keeps.
    #[error("a label has at most {PERMIT_LABEL_BYTES_MAX} bytes and no control characters")]
    LocalLabel,
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    LocalRandom(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not take it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Issues a permit for `code`, 16 random bytes; gives its id. The oldest used ones make room.
pub async fn issue<S: NoteStore>(
    store: &S,
    code: &PermitCode,
    label: Option<String>,
    now: UnixMillis,
) -> Result<Hash, PermitError> {
    let fits = |label: &String| {
        label.len() <= PERMIT_LABEL_BYTES_MAX && !label.chars().any(char::is_control)
    };
    if !label.as_ref().is_none_or(fits) {
        return Err(PermitError::LocalLabel);
    }
    let id = Hash::of(code.as_slice());
    let key = key_of(id);
    let permit = Permit { issued: now, founded: None, label };
    let commit = Commit {
        require: vec![(key.clone(), None)],
        put: vec![(key, codec::encode(&permit).into())],
        delete: make_room(list(store).await?)?,
    };
    store.commit(commit).await?;
    Ok(id)
}

/// Which used permits must go for one more to fit, the oldest first. A used one matters only to a
/// founder who never heard that the committee was founded.
fn make_room(mut kept: Vec<Listed>) -> Result<Vec<Vec<u8>>, PermitError> {
    let over = (kept.len() + 1).saturating_sub(PERMITS_MAX);
    kept.retain(|listed| listed.permit.founded.is_some());
    if kept.len() < over {
        return Err(PermitError::LocalTooMany);
    }
    kept.sort_by_key(|listed| listed.permit.issued);
    Ok(kept.iter().take(over).map(|listed| key_of(listed.id)).collect())
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

/// Ends the unused permit whose id in hex begins with `begins`; gives its id.
pub async fn revoke<S: NoteStore>(store: &S, begins: &str) -> Result<Hash, PermitError> {
    let begins = begins.to_ascii_lowercase();
    let named = |listed: &Listed| {
        begins.len() >= ID_SYMBOLS_MIN && listed.id.to_string().starts_with(&begins)
    };
    let mut named = list(store).await?.into_iter().filter(named);
    let Listed { id, permit } = named.next().ok_or(PermitError::LocalUnknown)?;
    if named.next().is_some() {
        return Err(PermitError::LocalAmbiguous);
    }
    if permit.founded.is_some() {
        return Err(PermitError::LocalUnknown);
    }
    let key = key_of(id);
    let held = Some(Bytes::from(codec::encode(&permit)));
    let commit = Commit { require: vec![(key.clone(), held)], put: Vec::new(), delete: vec![key] };
    store.commit(commit).await?;
    Ok(id)
}

fn key_of(id: Hash) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}

fn decode(value: &[u8]) -> Option<Permit> {
    codec::decode(value, value.len()).ok()
}

#[cfg(test)]
mod tests;
