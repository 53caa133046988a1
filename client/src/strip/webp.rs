//! WebP (RFC 9649): the chunks that are the picture, or its frames.

use super::cursor::Cursor;
use super::exif::{self, Orientation};
use super::{CHUNKS_MAX, Removed, StripError};

/// Of the head of an extended file: there is transparency, there are frames.
const KEPT_FLAGS: u8 = 0x10 | ANIMATED;
const ANIMATED: u8 = 0x02;
const HAS_EXIF: u8 = 0x08;
/// Of a frame, before its own chunks.
const FRAME_BYTES: usize = 16;

struct Chunk<'b> {
    kind: [u8; 4],
    data: &'b [u8],
}

pub(super) fn strip(bytes: &[u8], removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let mut at = Cursor::new(bytes, "WebP");
    at.expect(b"RIFF", "it does not begin as one")?;
    let len = at.len_le()?;
    let content = at.take(len)?;
    let mut file = at.of(content);
    // One byte more may fill it up.
    removed.note_if(at.rest().len() > len % 2, "trailing-data");
    file.expect(b"WEBP", "it does not begin as one")?;
    let chunks = chunks(&mut file)?;
    let body = match chunks.split_first() {
        Some((head, rest)) if head.kind == *b"VP8X" => extended(head, rest, &file, removed)?,
        Some((picture, rest)) if is_picture(picture) => {
            removed.note_if(!rest.is_empty(), "application-data");
            let mut body = Vec::with_capacity(bytes.len());
            push(&mut body, picture.kind, picture.data);
            body
        }
        _ => return Err(file.broken("it has no picture")),
    };
    let mut written = b"RIFF".to_vec();
    written.extend(len_of(body.len() + 4));
    written.extend(b"WEBP");
    written.extend(body);
    Ok(written)
}

fn chunks<'b>(at: &mut Cursor<'b>) -> Result<Vec<Chunk<'b>>, StripError> {
    let mut chunks = Vec::new();
    while !at.is_empty() {
        let kind = at.array()?;
        let len = at.len_le()?;
        let data = at.take(len)?;
        if len % 2 == 1 && !at.is_empty() {
            at.byte()?;
        }
        at.must(chunks.len() < CHUNKS_MAX, "it has too many chunks")?;
        chunks.push(Chunk { kind, data });
    }
    Ok(chunks)
}

fn is_picture(chunk: &Chunk<'_>) -> bool {
    matches!(&chunk.kind, b"VP8 " | b"VP8L")
}

/// A file with a head, and what else than a picture.
fn extended(
    head: &Chunk<'_>,
    rest: &[Chunk<'_>],
    at: &Cursor<'_>,
    removed: &mut Removed,
) -> Result<Vec<u8>, StripError> {
    at.must(head.data.len() == 10, "a bad head")?;
    let animated = head.data[0] & ANIMATED != 0;
    let mut orientation: Option<Orientation> = None;
    let mut image = Vec::new();
    let (mut pictures, mut alphas, mut globals) = (0, 0, 0);
    for chunk in rest {
        match &chunk.kind {
            b"EXIF" => {
                let tiff = chunk.data.strip_prefix(b"Exif\0\0").unwrap_or(chunk.data);
                exif::keep(&mut orientation, tiff, removed);
                removed.note_if(tiff.len() != chunk.data.len(), "exif");
            }
            b"ANIM" if animated => {
                globals += 1;
                at.must(chunk.data.len() == 6, "a chunk of the wrong length")?;
                push(&mut image, chunk.kind, chunk.data);
            }
            b"ANMF" if animated => {
                pictures += 1;
                push(&mut image, chunk.kind, &frame(chunk, at, removed)?);
            }
            b"ALPH" if !animated => {
                alphas += 1;
                push(&mut image, chunk.kind, chunk.data);
            }
            b"VP8 " | b"VP8L" if !animated => {
                pictures += 1;
                push(&mut image, chunk.kind, chunk.data);
            }
            kind => removed.note(what(kind)),
        }
    }
    let is_sound = if animated { globals == 1 && pictures > 0 } else { pictures == 1 };
    at.must(is_sound && alphas <= 1, "it has not one picture")?;
    let mut head: [u8; 10] = head.data.try_into().expect("it has that length");
    let exif_flag = if orientation.is_some() { HAS_EXIF } else { 0 };
    head[0] = head[0] & KEPT_FLAGS | exif_flag;
    head[1..4].fill(0);
    let mut body = Vec::with_capacity(image.len());
    push(&mut body, *b"VP8X", &head);
    body.extend(image);
    if let Some(orientation) = orientation {
        push(&mut body, *b"EXIF", &orientation.to_tiff());
    }
    Ok(body)
}

/// A frame, with nothing but its picture.
fn frame(chunk: &Chunk<'_>, at: &Cursor<'_>, removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let mut inner = at.of(chunk.data);
    let mut frame = inner.take(FRAME_BYTES)?.to_vec();
    let (mut pictures, mut alphas) = (0, 0);
    for chunk in chunks(&mut inner)? {
        match &chunk.kind {
            b"ALPH" => alphas += 1,
            b"VP8 " | b"VP8L" => pictures += 1,
            kind => {
                removed.note(what(kind));
                continue;
            }
        }
        push(&mut frame, chunk.kind, chunk.data);
    }
    at.must(pictures == 1 && alphas <= 1, "a frame has not one picture")?;
    Ok(frame)
}

fn push(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    bytes.extend(kind);
    bytes.extend(len_of(data.len()));
    bytes.extend(data);
    if data.len() % 2 == 1 {
        bytes.push(0);
    }
}

fn len_of(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("less than what was read, and a head").to_le_bytes()
}

fn what(kind: &[u8; 4]) -> &'static str {
    match kind {
        b"XMP " => "xmp",
        b"ICCP" => "icc",
        _ => "application-data",
    }
}

#[cfg(test)]
mod tests;
