//! Plaintexts in fixed steps: u32 length, the bytes, zeros up to the next step.

use zeroize::Zeroizing;

/// The length of the length.
pub(super) const LENGTH_BYTES: usize = 4;

/// Pads to a multiple of `step`.
pub(super) fn pad(bytes: &[u8], step: usize) -> Zeroizing<Vec<u8>> {
    let len = LENGTH_BYTES + bytes.len();
    let length = u32::try_from(bytes.len()).expect("every limit is far below 2^32");
    let mut padded = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(step)));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(bytes);
    padded.resize(len.next_multiple_of(step), 0);
    padded
}

/// Reads what [`pad`] made; a step too many is refused like other bytes in the padding, because it
/// would mark who made it.
pub(super) fn unpad(padded: &[u8], step: usize) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (bytes, zeros) = rest.split_at_checked(length)?;
    let expected = (LENGTH_BYTES + bytes.len()).next_multiple_of(step);
    let sound = padded.len() == expected && zeros.iter().all(|byte| *byte == 0);
    sound.then_some(bytes)
}
