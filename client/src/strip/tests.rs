use image::{ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What every test plants, and must not find again.
pub(super) const MARKER: &str = "Marker 41.0082N 28.9784E";

/// A picture that is not the same upside down.
pub(super) fn picture(format: ImageFormat) -> Vec<u8> {
    let pixel =
        |x: u32, y: u32| Rgb([x * 9, y * 5, (x + y) * 3].map(|value| value.to_le_bytes()[0]));
    let mut bytes = Vec::new();
    let picture = RgbImage::from_fn(24, 40, pixel);
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// The pixels, as somebody else's code shows them.
pub(super) fn pixels(bytes: &[u8]) -> Vec<u8> {
    image::load_from_memory(bytes).unwrap().into_rgba8().into_raw()
}

/// Whether the marker is there: as it is, or in sixteen bits.
pub(super) fn holds_marker(bytes: &[u8]) -> bool {
    let little: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_be_bytes).collect();
    [MARKER.as_bytes(), &little, &big].iter().any(|marker| holds(bytes, marker))
}

pub(super) fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// EXIF's TIFF with an orientation, and the marker as its artist.
pub(super) fn tiff(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
    tiff.extend(b"\x12\x01\x03\0\x01\0\0\0");
    tiff.extend([orientation, 0, 0, 0]);
    tiff.extend(b"\x3b\x01\x02\0");
    tiff.extend(u32::try_from(MARKER.len()).unwrap().to_le_bytes());
    tiff.extend(38_u32.to_le_bytes());
    tiff.extend([0; 4]);
    tiff.extend(MARKER.as_bytes());
    tiff
}

/// Strips it; the result strips to itself.
pub(super) fn stripped(media: &str, bytes: &[u8]) -> Stripped {
    let stripped = strip(media, bytes).unwrap();
    assert_stable(media, &stripped);
    stripped
}

fn assert_stable(media: &str, stripped: &Stripped) {
    let again = strip(media, &stripped.bytes).expect("what was written reads");
    assert_eq!(again.removed, Vec::<&str>::new());
    assert!(again.bytes == stripped.bytes, "stripped again it is another file");
}

/// Damages a file in many ways: whatever comes of it, nothing panics, and what is not refused strips to
/// itself.
pub(super) fn survives_damage(media: &str, file: &[u8], cases: u32) {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8, 0..24_usize);
    let changes = prop::collection::vec(change, 1..5);
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&changes, |changes| {
        let mut bytes = file.to_vec();
        for (at, value, how, len) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let until = (at + len).min(bytes.len());
            match how {
                0 => bytes[at] = value,
                1 => drop(bytes.splice(at..at, vec![value; len])),
                2 => drop(bytes.drain(at..until)),
                _ => bytes.truncate(at),
            }
        }
        if let Ok(stripped) = strip(media, &bytes) {
            assert_stable(media, &stripped);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn what_is_not_known_is_refused_and_told_what_is() {
    for media in ["image/heif", "image/tiff", "video/mp4", "text/plain", "application/octet-stream"]
    {
        let refused = strip(media, b"bytes").unwrap_err();
        assert_eq!(refused, StripError::UnknownKind(media.to_owned()));
        assert!(refused.to_string().contains("JPEG"), "{refused}");
    }
}

#[test]
fn what_is_called_something_else_than_it_is_is_refused() {
    let picture = picture(ImageFormat::Png);
    for media in ["image/jpeg", "image/webp", "image/gif"] {
        let refused = strip(media, &picture).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { .. }), "{refused}");
    }
}

#[test]
fn kinds_are_sorted_and_told_once() {
    let mut removed = Removed::default();
    for kind in ["xmp", "exif", "xmp"] {
        removed.note(kind);
    }
    assert_eq!(removed.0.into_iter().collect::<Vec<_>>(), ["exif", "xmp"]);
}
