//! GIF (version 89a): the pictures, how they follow each other, and how often.

use super::cursor::Cursor;
use super::{Removed, StripError};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const TRAILER: u8 = 0x3B;
const GRAPHIC_CONTROL: u8 = 0xF9;
/// How often a film is shown again: the application block of Netscape, whose data is three bytes.
const LOOP: &[u8] = b"NETSCAPE2.0";

/// As many blocks as an extension has that is kept.
const BLOCKS_MAX: usize = 2;

pub(super) fn strip(bytes: &[u8], removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let mut at = Cursor::new(bytes, "GIF");
    let signature = at.take(6)?;
    at.must(matches!(signature, b"GIF87a" | b"GIF89a"), "it does not begin as one")?;
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend(signature);
    let screen = at.take(7)?;
    kept.extend(screen);
    kept.extend(at.take(table_bytes(screen[4]))?);
    let mut pictures = 0;
    loop {
        match at.byte()? {
            IMAGE => {
                pictures += 1;
                picture(&mut at, &mut kept)?;
            }
            EXTENSION => extension(&mut at, &mut kept, removed)?,
            TRAILER => break,
            _ => return Err(at.broken("an unknown block")),
        }
    }
    at.must(pictures > 0, "it has no picture")?;
    kept.push(TRAILER);
    removed.note_if(!at.is_empty(), "trailing-data");
    Ok(kept)
}

/// How long the table of colours is that follows a head with these flags.
fn table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << (usize::from(flags & 7) + 1) }
}

fn picture(at: &mut Cursor<'_>, kept: &mut Vec<u8>) -> Result<(), StripError> {
    kept.push(IMAGE);
    let head = at.take(9)?;
    kept.extend(head);
    kept.extend(at.take(table_bytes(head[8]))?);
    kept.push(at.byte()?);
    blocks(at, |block| push(kept, block))?;
    kept.push(0);
    Ok(())
}

fn extension(
    at: &mut Cursor<'_>,
    kept: &mut Vec<u8>,
    removed: &mut Removed,
) -> Result<(), StripError> {
    let label = at.byte()?;
    let mut first = Vec::new();
    let mut more = false;
    blocks(at, |block| {
        more |= first.len() == BLOCKS_MAX;
        if !more {
            first.push(block);
        }
    })?;
    match (label, first.as_slice()) {
        (GRAPHIC_CONTROL, [control]) if control.len() == 4 => {}
        (GRAPHIC_CONTROL, _) => return Err(at.broken("a block of the wrong length")),
        (0xFF, [name, [1, _, _]]) if *name == LOOP && !more => {}
        (0xFE, _) => {
            removed.note("comment");
            return Ok(());
        }
        (0xFF, [name, ..]) if name.starts_with(b"XMP Data") => {
            removed.note("xmp");
            return Ok(());
        }
        (0xFF, [name, ..]) if name.starts_with(b"ICCRGBG1") => {
            removed.note("icc");
            return Ok(());
        }
        _ => {
            removed.note("application-data");
            return Ok(());
        }
    }
    kept.extend([EXTENSION, label]);
    first.iter().for_each(|block| push(kept, block));
    kept.push(0);
    Ok(())
}

/// Blocks with their lengths before them, up to an empty one.
fn blocks<'b>(at: &mut Cursor<'b>, mut each: impl FnMut(&'b [u8])) -> Result<(), StripError> {
    loop {
        match at.byte()? {
            0 => return Ok(()),
            len => each(at.take(usize::from(len))?),
        }
    }
}

fn push(kept: &mut Vec<u8>, block: &[u8]) {
    kept.push(u8::try_from(block.len()).expect("its length was one byte"));
    kept.extend(block);
}

#[cfg(test)]
mod tests;
