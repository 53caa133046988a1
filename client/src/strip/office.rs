//! Office Open XML (ECMA-376) and OpenDocument (ISO 26300): a zip of XML and pictures, written anew.
//!
//! Each part is kept, left out together with what refers to it, or a reason to refuse the document:
//! [`parts`] says which. XML is filtered by [`xml`], pictures are stripped as files of their own are.
//!
//! What stays: the text, deleted text in tracked changes too, hidden slides and sheets, what fields
//! showed when they were last filled in (an author's name, a path), and names of styles, sheets and parts.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use self::parts::{Family, Fate};
use super::{Removed, StripError};

mod parts;
mod xml;

/// What all parts may unpack to.
const UNPACKED_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Parts of a document: a large presentation has some thousands.
const PARTS_MAX: usize = 20_000;
/// OpenDocument's first part: its media type.
const MIMETYPE: &str = "mimetype";
const CONTENT_TYPES: &str = "[Content_Types].xml";

type Parts = BTreeMap<String, Vec<u8>>;

pub(super) fn strip(
    media: &str,
    bytes: &[u8],
    removed: &mut Removed,
) -> Result<Vec<u8>, StripError> {
    let from = read(bytes, UNPACKED_BYTES_MAX, removed)?;
    let family = Family::of(&from).ok_or_else(|| StripError::UnknownKind(media.to_owned()))?;
    let mut kept = Parts::new();
    for (name, content) in &from {
        let content = match parts::fate(family, name) {
            Fate::Dropped(what) => {
                removed.note(what);
                continue;
            }
            Fate::Refused(what) => return Err(StripError::Holds(what)),
            Fate::AsItIs => content.clone(),
            Fate::Xml => xml::filter(family, name, content, removed)?,
            Fate::Picture => picture(content, removed)?,
        };
        kept.insert(name.clone(), content);
    }
    write(family, &kept).ok_or_else(|| broken("it cannot be written"))
}

/// All parts, which may unpack to `room` bytes.
fn read(bytes: &[u8], mut room: u64, removed: &mut Removed) -> Result<Parts, StripError> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken("it cannot be read"))?;
    if archive.len() > PARTS_MAX {
        return Err(broken("it has too many parts"));
    }
    removed.note_if(!archive.comment().is_empty(), "comment");
    let mut parts = Parts::new();
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).map_err(|_| broken("a part cannot be read"))?;
        if part.encrypted() {
            return Err(StripError::Holds("encryption"));
        }
        let changed = part.last_modified().filter(|time| *time != DateTime::DEFAULT);
        removed.note_if(changed.is_some(), "times");
        let has_more = part.extra_data().is_some_and(|extra| !extra.is_empty());
        removed.note_if(has_more || !part.comment().is_empty(), "zip-fields");
        let name = part.name().map_err(|_| broken("a part has no name"))?.into_owned();
        if name.ends_with('/') {
            continue;
        }
        let mut content = Vec::new();
        (&mut part)
            .take(room + 1)
            .read_to_end(&mut content)
            .map_err(|_| broken("a part cannot be read"))?;
        room = room
            .checked_sub(content.len() as u64)
            .ok_or_else(|| broken("it unpacks to too much"))?;
        if parts.insert(name, content).is_some() {
            return Err(broken("a part stands there twice"));
        }
    }
    Ok(parts)
}

fn picture(content: &[u8], removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let media = infer::get(content).map_or("", |kind| kind.mime_type());
    match super::picture(media, content, removed) {
        Some(stripped) => stripped,
        None => Err(StripError::Holds("pictures other than JPEG, PNG, WebP and GIF")),
    }
}

/// In the order in which a reader expects the first, and else by their names.
fn write(family: Family, parts: &Parts) -> Option<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let first: &[&str] = match family {
        Family::OpenDocument => &[MIMETYPE],
        Family::OpenXml => &[CONTENT_TYPES, "_rels/.rels"],
    };
    let rest = parts.keys().map(String::as_str).filter(|name| !first.contains(name));
    for name in first.iter().copied().chain(rest) {
        // Its reader finds it without unpacking.
        let method = match name {
            MIMETYPE => CompressionMethod::Stored,
            _ => CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::DEFAULT);
        writer.start_file(name, options).ok()?;
        writer.write_all(parts.get(name)?).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

fn broken(why: &'static str) -> StripError {
    StripError::Malformed { kind: "an office document", why }
}

#[cfg(test)]
mod tests;
