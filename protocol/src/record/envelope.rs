//! The members that say where a record belongs.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::{Binding, Fields, PeerRecordError, RecordId, SALT_BYTES};
use crate::hash::Hash;

/// The members that bind a record, in their order, before those of its kind.
pub(super) const ENVELOPE: [&str; 5] = ["committee", "author", "epoch", "id", "salt"];

/// The members of a record: its envelope, then the fields of its kind.
pub(super) fn bound_members(
    fields: &Fields,
    binding: &Binding,
    id: &RecordId,
    salt: &[u8; SALT_BYTES],
) -> Fields {
    let values = [
        Value::from(binding.committee.to_string()),
        Value::from(binding.author.to_string()),
        Value::from(binding.epoch.0),
        Value::from(id.to_string()),
        Value::from(BASE64URL_NOPAD.encode(salt)),
    ];
    let envelope = ENVELOPE.into_iter().map(str::to_owned).zip(values);
    envelope.chain(fields.clone()).collect()
}

/// Checks the members that bind a record and hands back its id and salt.
pub(super) fn check(
    members: &Fields,
    binding: &Binding,
) -> Result<(RecordId, [u8; SALT_BYTES]), PeerRecordError> {
    for (name, found) in ENVELOPE.into_iter().zip(members.keys().map(Some).chain([None; 5])) {
        if found.map(String::as_str) != Some(name) {
            return Err(PeerRecordError::Envelope(name));
        }
    }
    if hash(members, "committee")? != binding.committee.0 {
        return Err(PeerRecordError::Committee);
    }
    if hash(members, "author")? != binding.author.0 {
        return Err(PeerRecordError::Author);
    }
    let epoch = members["epoch"].as_u64().ok_or(PeerRecordError::Envelope("epoch"))?;
    if epoch != u64::from(binding.epoch.0) {
        return Err(PeerRecordError::Epoch);
    }
    let id = text(members, "id")?.parse().map_err(|_| PeerRecordError::Envelope("id"))?;
    let salt = BASE64URL_NOPAD.decode(text(members, "salt")?.as_bytes()).ok();
    let salt = salt.and_then(|bytes| bytes.try_into().ok());
    Ok((id, salt.ok_or(PeerRecordError::Envelope("salt"))?))
}

fn text<'a>(members: &'a Fields, name: &'static str) -> Result<&'a str, PeerRecordError> {
    members[name].as_str().ok_or(PeerRecordError::Envelope(name))
}

/// Lower-case hex alone: one value has one text.
fn hash(members: &Fields, name: &'static str) -> Result<Hash, PeerRecordError> {
    let text = text(members, name)?;
    let hash: Hash = text.parse().map_err(|_| PeerRecordError::Envelope(name))?;
    if hash.to_string() != text {
        return Err(PeerRecordError::Envelope(name));
    }
    Ok(hash)
}
