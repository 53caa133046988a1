//! JPEG (ITU-T T.81, JFIF): the segments that decode the picture, and the scans.

use super::cursor::Cursor;
use super::exif::{self, Orientation};
use super::{Removed, StripError};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const COM: u8 = 0xFE;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;

/// Says that there is JFIF, on which the colours depend, and nothing of its resolution.
const JFIF: &[u8] = b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0";
/// The same of Adobe's; the transform of the colours follows.
const ADOBE: &[u8] = b"Adobe\0\x64\0\0\0\0";
const EXIF: &[u8] = b"Exif\0\0";

/// What is kept of a picture.
#[derive(Default)]
struct Kept {
    jfif: bool,
    /// Adobe's transform of the colours.
    adobe: Option<u8>,
    orientation: Option<Orientation>,
    frames: usize,
    scans: usize,
    /// Segments and scans, in their order.
    image: Vec<u8>,
}

pub(super) fn strip(bytes: &[u8], removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let mut at = Cursor::new(bytes, "JPEG");
    at.expect(&[0xFF, SOI], "it does not begin as one")?;
    let mut kept = Kept { image: Vec::with_capacity(bytes.len()), ..Kept::default() };
    loop {
        let marker = marker(&mut at)?;
        if marker == EOI {
            break;
        }
        let len = usize::from(u16::from_be_bytes(at.array()?));
        let segment = at.take(len.checked_sub(2).ok_or_else(|| at.broken("a bad length"))?)?;
        match marker {
            APP0..=0xEF | COM => kept.application(marker, segment, removed),
            _ => kept.image(marker, segment, &at)?,
        }
        if marker == SOS {
            kept.scan(&mut at)?;
        }
    }
    at.must(kept.frames == 1 && kept.scans > 0, "it has not one picture")?;
    // A film that was taken with it, previews, more pictures.
    removed.note_if(!at.is_empty(), "trailing-data");
    Ok(kept.write())
}

fn marker(at: &mut Cursor<'_>) -> Result<u8, StripError> {
    at.expect(&[0xFF], "no segment where one must begin")?;
    loop {
        match at.byte()? {
            0xFF => {}
            marker => return Ok(marker),
        }
    }
}

impl Kept {
    /// A segment that is no part of the picture.
    fn application(&mut self, marker: u8, segment: &[u8], removed: &mut Removed) {
        match (marker, segment) {
            (APP0, [b'J', b'F', b'I', b'F', 0, _, _, rest @ ..]) if rest.len() >= 7 => {
                removed.note_if(rest.len() > 7, "thumbnail");
                removed.note_if(self.jfif || segment[..14] != *JFIF, "resolution");
                self.jfif = true;
            }
            (APP0, segment) if segment.starts_with(b"JFXX\0") => removed.note("thumbnail"),
            (APP14, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, rest @ ..]) => {
                let is_bare = segment.starts_with(ADOBE) && rest.is_empty();
                removed.note_if(self.adobe.is_some() || !is_bare, "encoder-settings");
                // As decoders do: the last one counts.
                self.adobe = Some(*transform);
            }
            (APP1, segment) if segment.starts_with(EXIF) => {
                exif::keep(&mut self.orientation, &segment[EXIF.len()..], removed);
            }
            (APP1, segment) if segment.starts_with(b"http://ns.adobe.com/") => removed.note("xmp"),
            (0xE2, segment) if segment.starts_with(b"ICC_PROFILE\0") => removed.note("icc"),
            (0xE2, segment) if segment.starts_with(b"MPF\0") => removed.note("more-pictures"),
            (0xED, _) => removed.note("iptc"),
            (COM, _) => removed.note("comment"),
            _ => removed.note("application-data"),
        }
    }

    /// A segment that decodes the picture: just as long as what it must say.
    fn image(&mut self, marker: u8, segment: &[u8], at: &Cursor<'_>) -> Result<(), StripError> {
        let is_sound = match marker {
            // Frames that stand alone; hierarchical ones nobody shows.
            0xC0..=0xC3 | 0xC9..=0xCB => {
                self.frames += 1;
                segment.get(5).is_some_and(|of| segment.len() == 6 + 3 * usize::from(*of))
            }
            0xC4 => are_huffman_tables(segment),
            0xDB => are_quantization_tables(segment),
            // Arithmetic conditioning, restart interval, number of lines.
            0xCC => segment.len().is_multiple_of(2),
            0xDC | 0xDD => segment.len() == 2,
            SOS => {
                self.scans += 1;
                segment.first().is_some_and(|of| segment.len() == 4 + 2 * usize::from(*of))
            }
            _ => return Err(at.broken("an unknown segment")),
        };
        at.must(is_sound, "a segment of the wrong length")?;
        self.segment(marker, segment);
        Ok(())
    }

    fn segment(&mut self, marker: u8, segment: &[u8]) {
        push_segment(&mut self.image, marker, segment);
    }

    /// What follows the head of a scan, up to the next marker that is not part of it.
    fn scan(&mut self, at: &mut Cursor<'_>) -> Result<(), StripError> {
        let rest = at.rest();
        let mut from = 0;
        loop {
            let found = rest[from..].iter().position(|byte| *byte == 0xFF);
            let until = from + found.ok_or_else(|| at.broken("a scan does not end"))?;
            self.image.extend_from_slice(&rest[from..until]);
            match rest.get(until + 1) {
                Some(next @ (0 | 0xD0..=0xD7)) => {
                    self.image.extend_from_slice(&[0xFF, *next]);
                    from = until + 2;
                }
                // Fills up to a marker.
                Some(0xFF) => from = until + 1,
                Some(_) => {
                    at.take(until)?;
                    return Ok(());
                }
                None => return Err(at.broken("a scan does not end")),
            }
        }
    }

    fn write(self) -> Vec<u8> {
        let mut bytes = vec![0xFF, SOI];
        if self.jfif {
            push_segment(&mut bytes, APP0, JFIF);
        }
        if let Some(orientation) = self.orientation {
            push_segment(&mut bytes, APP1, &[EXIF, &orientation.to_tiff()].concat());
        }
        if let Some(transform) = self.adobe {
            push_segment(&mut bytes, APP14, &[ADOBE, &[transform]].concat());
        }
        bytes.extend(self.image);
        bytes.extend([0xFF, EOI]);
        bytes
    }
}

fn push_segment(bytes: &mut Vec<u8>, marker: u8, segment: &[u8]) {
    let len = u16::try_from(segment.len() + 2).expect("it was one, or is one of ours");
    bytes.extend([0xFF, marker]);
    bytes.extend(len.to_be_bytes());
    bytes.extend(segment);
}

/// Each: its place, how many codes of each length, and their values.
fn are_huffman_tables(mut segment: &[u8]) -> bool {
    while !segment.is_empty() {
        let Some((head, rest)) = segment.split_at_checked(17) else { return false };
        let values = head[1..].iter().map(|codes| usize::from(*codes)).sum();
        let Some(rest) = rest.get(values..).filter(|_| values <= 256) else { return false };
        segment = rest;
    }
    true
}

/// Each: its place and precision, and 64 values of one or two bytes.
fn are_quantization_tables(mut segment: &[u8]) -> bool {
    while let Some((head, rest)) = segment.split_first() {
        let len = if head >> 4 == 0 { 64 } else { 128 };
        let Some(rest) = rest.get(len..) else { return false };
        segment = rest;
    }
    true
}

#[cfg(test)]
mod tests;
