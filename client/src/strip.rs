//! Working copies of files, without what tells of whoever made them.
//!
//! ```text
//! bytes ── what they are, by `infer` ── parsed strictly ── written anew from what is needed to show
//!          the content ── working copy, and what kinds of things were left out
//! ```
//!
//! Each kind has a list of what is kept; whatever is not on it goes, known or not. What does not parse
//! is refused, and so is what cannot be done rightly: nothing half-stripped is ever returned. Stripping
//! a working copy again gives the same bytes and finds nothing to remove.
//!
//! What stays: the content. Faces, a name plate or a screen in the picture, a name in the text, how a
//! camera's sensor and an encoder's tables look, and what somebody hid in the pixels.

use std::collections::BTreeSet;

mod cursor;
mod exif;
mod gif;
mod jpeg;
mod office;
mod pdf;
mod png;
mod webp;
mod zlib;

/// The largest file that is stripped. It is held in memory, and so is its copy: photographs, scans and
/// papers are far smaller, and on a small machine more would not fit.
pub const INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most pieces a picture may consist of: the largest have some ten thousand, and a list of them is
/// held in memory too.
const CHUNKS_MAX: usize = 1_000_000;

/// What can be stripped, for people.
pub const KNOWN: &str = "JPEG, PNG, WebP and GIF pictures, PDF, docx, xlsx, pptx, odt, ods and odp";
/// How the media types of office documents begin.
const OFFICE: [&str; 2] =
    ["application/vnd.openxmlformats-officedocument", "application/vnd.oasis.opendocument."];

/// A working copy without what tells of whoever made it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stripped {
    /// The working copy.
    pub bytes: Vec<u8>,
    /// What kinds of things were removed (`exif`, `xmp`, `trailing-data`, …): sorted, each once.
    pub removed: Vec<&'static str>,
}

/// Why a file is not stripped.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StripError {
    /// It is of a kind that is not known here. Its media type.
    #[error("{0} cannot be stripped; {KNOWN} can")]
    UnknownKind(String),
    /// It is larger than [`INPUT_BYTES_MAX`].
    #[error("it is larger than 256 MiB")]
    TooLarge,
    /// It is not what its beginning says, or damaged.
    #[error("it does not read as {kind}: {why}")]
    Malformed {
        /// What it should be.
        kind: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// It holds something that could tell of its maker and that is not understood here.
    #[error("it holds {0}, which cannot be stripped")]
    Holds(&'static str),
}

/// Strips a file. `media` as `infer` says it.
pub fn strip(media: &str, bytes: &[u8]) -> Result<Stripped, StripError> {
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(StripError::TooLarge);
    }
    let mut removed = Removed::default();
    let bytes = match media {
        "application/pdf" => pdf::strip(bytes, &mut removed)?,
        // What kind of a zip it is, its parts say.
        zip if zip == "application/zip" || OFFICE.iter().any(|office| zip.starts_with(office)) => {
            office::strip(media, bytes, &mut removed)?
        }
        media => picture(media, bytes, &mut removed)
            .unwrap_or_else(|| Err(StripError::UnknownKind(media.to_owned())))?,
    };
    Ok(Stripped { bytes, removed: removed.0.into_iter().collect() })
}

/// A picture stripped; none if it is of a kind that is not known here.
fn picture(
    media: &str,
    bytes: &[u8],
    removed: &mut Removed,
) -> Option<Result<Vec<u8>, StripError>> {
    match media {
        "image/jpeg" => Some(jpeg::strip(bytes, removed)),
        "image/png" => Some(png::strip(bytes, removed)),
        "image/webp" => Some(webp::strip(bytes, removed)),
        "image/gif" => Some(gif::strip(bytes, removed)),
        _ => None,
    }
}

/// The kinds of things that were removed so far.
#[derive(Debug, Default)]
struct Removed(BTreeSet<&'static str>);

impl Removed {
    fn note(&mut self, kind: &'static str) {
        self.0.insert(kind);
    }

    /// Notes it if there was anything.
    fn note_if(&mut self, was: bool, kind: &'static str) {
        if was {
            self.note(kind);
        }
    }
}

#[cfg(test)]
mod tests;
