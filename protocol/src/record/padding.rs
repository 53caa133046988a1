//! Padding: the relay sees lengths, so records come in few of them.

use super::PeerRecordError;
use crate::limits::RECORD_PLAINTEXT_BYTES_MAX;

pub(super) const SPACE: u8 = b' ';
const SMALLEST_BYTES: u64 = 1_024;
/// Up to here lengths are powers of two; above, that would waste up to half.
const POWERS_UP_TO_BYTES: u64 = 64 * 1_024;

/// How long a record's text, or an attachment, of `len` bytes is once padded.
pub fn padded_len(len: u64) -> u64 {
    if len <= POWERS_UP_TO_BYTES { len.max(SMALLEST_BYTES).next_power_of_two() } else { padme(len) }
}

/// Padmé: the next length whose binary form ends in so many zeros that lengths tell O(log log) bits.
/// Adds at most 12 %, above 64 KiB at most 3 %.
pub fn padme(len: u64) -> u64 {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else {
        return len;
    };
    let zeros = exponent.saturating_sub(exponent.ilog2() + 1);
    len.next_multiple_of(1 << zeros)
}

/// The text without its padding. A length that our own padding would not have made is refused,
/// because it would mark who made it.
pub(super) fn strip(plaintext: &[u8]) -> Result<&[u8], PeerRecordError> {
    let (len, max) = (plaintext.len(), RECORD_PLAINTEXT_BYTES_MAX);
    if len > max {
        return Err(PeerRecordError::TooLarge { len, max });
    }
    let spaces = plaintext.iter().rev().take_while(|byte| **byte == SPACE).count();
    let text = &plaintext[..len - spaces];
    if padded_len(text.len() as u64) != len as u64 {
        return Err(PeerRecordError::Padding);
    }
    Ok(text)
}
