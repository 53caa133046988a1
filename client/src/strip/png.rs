//! PNG and APNG (W3C PNG, third edition): the chunks that are the picture.

use super::cursor::Cursor;
use super::exif::{self, Orientation};
use super::zlib::{self, UNPACKED_BYTES_MAX};
use super::{CHUNKS_MAX, Removed, StripError};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Where each pass of an interlaced picture begins, and how far its pixels lie apart.
const PASSES: [(u64, u64, u64, u64); 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

#[derive(Clone, Copy)]
struct Chunk<'b> {
    kind: [u8; 4],
    data: &'b [u8],
}

/// How the pixels of the picture, and of all its frames, are stored.
struct Header {
    width: u32,
    height: u32,
    colour: u8,
    pixel_bits: u64,
    interlaced: bool,
}

pub(super) fn strip(bytes: &[u8], removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let mut at = Cursor::new(bytes, "PNG");
    at.expect(SIGNATURE, "it does not begin as one")?;
    let chunks = chunks(&mut at)?;
    removed.note_if(!at.is_empty(), "trailing-data");
    let header = Header::read(chunks.first(), &at)?;
    let mut orientation = None;
    let mut kept = Vec::new();
    for chunk in &chunks {
        match &chunk.kind {
            b"eXIf" => exif::keep(&mut orientation, chunk.data, removed),
            _ if header.keeps(*chunk, &at)? => kept.push(*chunk),
            kind => removed.note(what(kind)),
        }
    }
    must_be_one_each(&kept, &at)?;
    let pixels = header.pixels(&kept, &at)?;
    removed.note_if(trim(&mut kept, pixels), "trailing-data");
    Ok(write(bytes.len(), &kept, orientation))
}

/// The chunks up to the one that ends it.
fn chunks<'b>(at: &mut Cursor<'b>) -> Result<Vec<Chunk<'b>>, StripError> {
    let mut chunks = Vec::new();
    loop {
        let len = at.len_be()?;
        let kind = at.array()?;
        let data = at.take(len)?;
        at.expect(&checksum(kind, data), "a chunk is damaged")?;
        at.must(chunks.len() < CHUNKS_MAX, "it has too many chunks")?;
        chunks.push(Chunk { kind, data });
        if kind == *b"IEND" {
            return Ok(chunks);
        }
    }
}

impl Header {
    fn read(first: Option<&Chunk<'_>>, at: &Cursor<'_>) -> Result<Self, StripError> {
        let first = first.filter(|first| first.kind == *b"IHDR" && first.data.len() == 13);
        let mut data = at.of(first.ok_or_else(|| at.broken("it has no head"))?.data);
        let (width, height) =
            (u32::from_be_bytes(data.array()?), u32::from_be_bytes(data.array()?));
        let [depth, colour, compression, filter, interlace] = data.array()?;
        let samples = match (colour, depth) {
            (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) => 1,
            (2, 8 | 16) => 3,
            (4, 8 | 16) => 2,
            (6, 8 | 16) => 4,
            _ => return Err(at.broken("unknown colours")),
        };
        let is_sound = width > 0 && height > 0 && compression == 0 && filter == 0 && interlace <= 1;
        at.must(is_sound, "a bad head")?;
        let pixel_bits = samples * u64::from(depth);
        Ok(Self { width, height, colour, pixel_bits, interlaced: interlace == 1 })
    }

    /// Whether a chunk is needed to show the picture. One that is has just the length that it must have.
    fn keeps(&self, chunk: Chunk<'_>, at: &Cursor<'_>) -> Result<bool, StripError> {
        let len = chunk.data.len();
        let is_sound = match &chunk.kind {
            b"IDAT" => true,
            b"IHDR" => len == 13,
            b"IEND" => len == 0,
            // With other colours it is a proposal for screens of old.
            b"PLTE" if self.colour == 3 => (1..=256).contains(&(len / 3)) && len.is_multiple_of(3),
            b"tRNS" => match self.colour {
                0 => len == 2,
                2 => len == 6,
                3 => (1..=256).contains(&len),
                _ => false,
            },
            b"gAMA" => len == 4,
            b"cHRM" => len == 32,
            b"sRGB" => len == 1,
            b"sBIT" => (1..=4).contains(&len),
            b"acTL" => len == 8,
            b"fcTL" => len == 26,
            b"fdAT" => len >= 4,
            _ => return Ok(false),
        };
        at.must(is_sound, "a chunk of the wrong length")?;
        Ok(true)
    }

    /// Looks at all pixels; how many bytes those of the picture itself take.
    fn pixels(&self, kept: &[Chunk<'_>], at: &Cursor<'_>) -> Result<u64, StripError> {
        let mut room = UNPACKED_BYTES_MAX;
        let of = |chunk: &&Chunk<'_>, kind| chunk.kind == kind;
        let picture = kept.iter().filter(|chunk| of(chunk, *b"IDAT")).map(|chunk| chunk.data);
        let of_picture = self.measure(picture, (self.width, self.height), &mut room, at)?;
        for (nth, control) in kept.iter().enumerate().filter(|(_, one)| of(one, *b"fcTL")) {
            let mut frame = at.of(control.data);
            frame.take(4)?;
            let (width, height) =
                (u32::from_be_bytes(frame.array()?), u32::from_be_bytes(frame.array()?));
            let data = kept[nth + 1..].iter().take_while(|chunk| !of(chunk, *b"fcTL"));
            let data: Vec<_> = data.filter(|chunk| of(chunk, *b"fdAT")).collect();
            if data.is_empty() {
                // The first frame may be the picture itself.
                continue;
            }
            let len: usize = data.iter().map(|chunk| chunk.data.len() - 4).sum();
            let data = data.iter().map(|chunk| &chunk.data[4..]);
            let packed = self.measure(data, (width, height), &mut room, at)?;
            // Its chunks are numbered: none can be left out.
            at.must(packed == len as u64, "a frame is longer than its picture")?;
        }
        Ok(of_picture)
    }

    /// How many bytes these pixels take. All frames together have `room`.
    fn measure<'b>(
        &self,
        data: impl Iterator<Item = &'b [u8]>,
        (width, height): (u32, u32),
        room: &mut u64,
        at: &Cursor<'_>,
    ) -> Result<u64, StripError> {
        let expected = self.unpacked(width.into(), height.into());
        let left = room.checked_sub(expected);
        *room = left.ok_or_else(|| at.broken("the picture is too large"))?;
        let measured = zlib::measure(data, expected);
        let measured = measured.filter(|measured| measured.unpacked == expected);
        Ok(measured.ok_or_else(|| at.broken("its pixels are damaged"))?.packed)
    }

    /// How many bytes so many pixels are: each row has one before it.
    fn unpacked(&self, width: u64, height: u64) -> u64 {
        let rows = |width: u64, height: u64| match width {
            0 => 0,
            _ => height.saturating_mul(1 + (width * self.pixel_bits).div_ceil(8)),
        };
        if !self.interlaced {
            return rows(width, height);
        }
        let passes = PASSES.iter().map(|(left, top, right, down)| {
            let across = width.saturating_sub(*left).div_ceil(*right);
            rows(across, height.saturating_sub(*top).div_ceil(*down))
        });
        passes.fold(0, u64::saturating_add)
    }
}

/// All but the pixels and the frames stand there once at most; the pixels at least once.
fn must_be_one_each(kept: &[Chunk<'_>], at: &Cursor<'_>) -> Result<(), StripError> {
    let count = |kind: &[u8; 4]| kept.iter().filter(|chunk| chunk.kind == *kind).count();
    let once = [b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"acTL"];
    at.must(once.iter().all(|kind| count(kind) <= 1), "a chunk stands there twice")?;
    at.must(count(b"IDAT") > 0, "it has no pixels")
}

/// Leaves out what stands behind the pixels, in chunks of pixels. Whether there was any.
fn trim(kept: &mut Vec<Chunk<'_>>, pixels: u64) -> bool {
    let mut left = usize::try_from(pixels).unwrap_or(usize::MAX);
    let mut trimmed = false;
    for chunk in kept.iter_mut().filter(|chunk| chunk.kind == *b"IDAT") {
        let len = chunk.data.len().min(left);
        trimmed |= len < chunk.data.len();
        chunk.data = &chunk.data[..len];
        left -= len;
    }
    if trimmed {
        kept.retain(|chunk| chunk.kind != *b"IDAT" || !chunk.data.is_empty());
    }
    trimmed
}

fn write(room: usize, kept: &[Chunk<'_>], orientation: Option<Orientation>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(room);
    bytes.extend(SIGNATURE);
    for chunk in kept {
        push(&mut bytes, *chunk);
        if let (b"IHDR", Some(orientation)) = (&chunk.kind, orientation) {
            push(&mut bytes, Chunk { kind: *b"eXIf", data: &orientation.to_tiff() });
        }
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, chunk: Chunk<'_>) {
    let len = u32::try_from(chunk.data.len()).expect("it was one, or a part of one");
    bytes.extend(len.to_be_bytes());
    bytes.extend(chunk.kind);
    bytes.extend(chunk.data);
    bytes.extend(checksum(chunk.kind, chunk.data));
}

fn checksum(kind: [u8; 4], data: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&kind);
    hasher.update(data);
    hasher.finalize().to_be_bytes()
}

fn what(kind: &[u8; 4]) -> &'static str {
    match kind {
        b"tEXt" | b"zTXt" | b"iTXt" => "text",
        b"tIME" => "time",
        b"iCCP" => "icc",
        b"pHYs" => "resolution",
        _ => "application-data",
    }
}

#[cfg(test)]
mod tests;
