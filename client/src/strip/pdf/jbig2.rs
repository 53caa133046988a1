//! JBIG2 (ITU-T T.88) as PDF embeds it: segments, of which only extensions hold words.

use crate::strip::StripError;
use crate::strip::cursor::Cursor;

/// A generic region whose length is not said beforehand.
const UNKNOWN_LENGTH: usize = 0xFFFF_FFFF;

/// Whether there are only segments that show the picture. An error if it does not read.
pub(super) fn is_bare(bytes: &[u8]) -> Result<bool, StripError> {
    let mut at = Cursor::new(bytes, "JBIG2");
    // Many writers count the end of the line.
    while !at.rest().trim_ascii().is_empty() {
        let number = at.len_be()?;
        let flags = at.byte()?;
        let referred = referred(&mut at)?;
        let size = match number {
            0..=256 => 1,
            257..=65_536 => 2,
            _ => 4,
        };
        at.take(referred.saturating_mul(size))?;
        // Its page.
        at.take(if flags & 0x40 == 0 { 1 } else { 4 })?;
        let len = at.len_be()?;
        at.must(len != UNKNOWN_LENGTH, "a segment has no length")?;
        at.take(len)?;
        // Dictionaries, regions, pages and their ends, profiles and tables.
        let shows = matches!(
            flags & 0x3F,
            0 | 4 | 6 | 7 | 16 | 20 | 22 | 23 | 36 | 38..=40 | 42 | 43 | 48..=53
        );
        if !shows {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many segments one refers to. Takes also which of them are kept.
fn referred(at: &mut Cursor<'_>) -> Result<usize, StripError> {
    let mut ahead = at.clone();
    match ahead.byte()? >> 5 {
        7 => {
            let count = at.len_be()? & 0x1FFF_FFFF;
            at.take((count + 1).div_ceil(8))?;
            Ok(count)
        }
        count => {
            at.byte()?;
            Ok(usize::from(count))
        }
    }
}

#[cfg(test)]
mod tests;
