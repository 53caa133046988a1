//! The one thing of EXIF that is needed to show a picture: which side is up.

use super::Removed;

/// How a picture lies: EXIF's values 2 to 8. Upright is no orientation at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(u8);

const TAG: u16 = 0x0112;
const SHORT: u16 = 3;
const ENTRY_BYTES: usize = 12;

impl Orientation {
    /// Reads it from EXIF's TIFF; none when it is upright, or not said. A preview's is not the picture's.
    pub(super) fn read(tiff: &[u8]) -> Option<Self> {
        let big = match tiff.get(..4)? {
            b"MM\0*" => true,
            b"II*\0" => false,
            _ => return None,
        };
        let short = |at: usize| {
            let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let (high, low) = if big { (short(4)?, short(6)?) } else { (short(6)?, short(4)?) };
        let directory = usize::from(high) << 16 | usize::from(low);
        let entries = usize::from(short(directory)?);
        let entry = (0..entries)
            .map(|entry| directory + 2 + entry * ENTRY_BYTES)
            .find(|entry| short(*entry) == Some(TAG) && short(entry + 2) == Some(SHORT))?;
        let value = u8::try_from(short(entry + 8)?).ok()?;
        (2..=8).contains(&value).then_some(Self(value))
    }

    /// TIFF with this and nothing else.
    pub(super) fn to_tiff(self) -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
        tiff[19] = self.0;
        tiff
    }
}

/// What is kept of the EXIF that a file has, the first if there are several: `before` is what was found
/// already.
pub(super) fn keep(before: &mut Option<Orientation>, tiff: &[u8], removed: &mut Removed) {
    let found = Orientation::read(tiff);
    let is_bare = found.is_some_and(|orientation| orientation.to_tiff() == tiff);
    removed.note_if(before.is_some() || !is_bare, "exif");
    *before = before.or(found);
}
