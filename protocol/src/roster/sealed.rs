//! The shapes of the sealed parts of roster changes (SPEC.md §11). What is in them, the relay
//! cannot know and every holder checks.

use crate::age_header;
use crate::change::{Grant, Lock};
use crate::id::DeviceId;
use crate::limits;

use super::PeerRosterError;

/// All parts of a lock but the question who is granted it.
pub(super) fn check_lock(lock: &Lock) -> Result<(), PeerRosterError> {
    check_label(&lock.label)?;
    lock.link.as_ref().map_or(Ok(()), |link| check_link(link))
}

/// Grants for exactly these devices, in this order.
pub(super) fn check_grants(
    grants: &[Grant],
    devices: impl IntoIterator<Item = DeviceId>,
) -> Result<(), PeerRosterError> {
    if grants.iter().map(|grant| grant.device).ne(devices) {
        return Err(PeerRosterError::Grants);
    }
    grants.iter().try_for_each(|grant| check_grant(&grant.file))
}

pub(super) fn check_grant(file: &[u8]) -> Result<(), PeerRosterError> {
    check_hybrid("grant", file, limits::GRANT_BYTES_MAX)
}

pub(super) fn check_link(file: &[u8]) -> Result<(), PeerRosterError> {
    check_hybrid("link", file, limits::LINK_BYTES_MAX)
}

pub(super) fn check_label(file: &[u8]) -> Result<(), PeerRosterError> {
    check_hybrid("label", file, limits::LABEL_BYTES_MAX)
}

pub(super) fn check_share(file: &[u8]) -> Result<(), PeerRosterError> {
    check_hybrid("share", file, limits::SHARE_BYTES_MAX)
}

fn check_hybrid(part: &'static str, file: &[u8], max: usize) -> Result<(), PeerRosterError> {
    if file.len() > max {
        return Err(PeerRosterError::TooLarge { part, len: file.len(), max });
    }
    match age_header::check_hybrid(file, 1) {
        Ok(_) => Ok(()),
        Err(error) => Err(PeerRosterError::Sealed { part, error }),
    }
}
