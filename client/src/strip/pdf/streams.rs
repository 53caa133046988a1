//! The streams of a PDF: pictures are stripped as files of their own are, and nothing hides behind the
//! end of the others.

use lopdf::{Object, Stream};

use super::{Copying, STREAM_BYTES_MAX, broken, jbig2, keys};
use crate::strip::{StripError, jpeg, zlib};

impl Copying<'_> {
    /// A stream with what of it is kept.
    pub(super) fn stream(&mut self, stream: &Stream) -> Result<Stream, StripError> {
        let subtype = stream.dict.get(b"Subtype").and_then(Object::as_name);
        let role = match subtype {
            Ok(b"Image") => keys::IMAGE,
            Ok(b"Form") => keys::DRAWING,
            _ => keys::STREAM,
        };
        let is_image = role == keys::IMAGE;
        let mut dict = stream.dict.clone();
        // It may stand elsewhere, and is written anew.
        dict.remove(b"Length");
        let mut dict = self.dictionary(&dict, role, 0)?;
        let filters = match stream.dict.get(b"Filter") {
            Err(_) => Vec::new(),
            // lopdf decodes no stream whose filters stand elsewhere.
            Ok(_) => stream.filters().map_err(|_| broken("a stream's filters are damaged"))?,
        };
        if filters.contains(&b"JPXDecode".as_slice()) {
            return Err(StripError::Holds("JPEG 2000 pictures"));
        }
        let content = match filters.split_last() {
            Some((&b"DCTDecode", before)) => {
                let jpeg = self.before_last(stream, before)?;
                dict.remove(b"Filter");
                let parameters = match dict.remove(b"DecodeParms") {
                    Some(Object::Array(mut each)) => each.pop(),
                    one => one,
                };
                dict.set("Filter", Object::Name(b"DCTDecode".to_vec()));
                if let Some(parameters) = parameters.filter(|one| !one.is_null()) {
                    dict.set("DecodeParms", parameters);
                }
                jpeg::strip(&jpeg, self.removed)?
            }
            Some((&b"JBIG2Decode", before)) => {
                self.must_be_bare_jbig2(stream, before)?;
                self.trimmed(stream, filters.first().copied())?
            }
            _ if filters.iter().any(|filter| matches!(*filter, b"DCTDecode" | b"JBIG2Decode")) => {
                return Err(broken("a picture in a picture"));
            }
            _ => {
                if !is_image {
                    self.must_draw_no_jpeg(stream)?;
                }
                self.trimmed(stream, filters.first().copied())?
            }
        };
        Ok(Stream::new(dict, content))
    }

    /// A picture, and what it shares with others, must hold nothing that might be words.
    fn must_be_bare_jbig2(&mut self, stream: &Stream, before: &[&[u8]]) -> Result<(), StripError> {
        let from = self.from;
        let parameters = stream.dict.get_deref(b"DecodeParms", from);
        let parameters = match parameters {
            Ok(Object::Array(each)) => each.as_slice(),
            Ok(one) => std::slice::from_ref(one),
            Err(_) => &[],
        };
        let mut parts = vec![self.before_last(stream, before)?];
        for one in parameters {
            let (_, one) = from.dereference(one).map_err(|_| broken("an object is missing"))?;
            let shared = one.as_dict().and_then(|one| one.get_deref(b"JBIG2Globals", from));
            if let Ok(shared) = shared.and_then(Object::as_stream) {
                parts.push(self.unpacked(shared)?);
            }
        }
        for part in parts {
            if !jbig2::is_bare(&part)? {
                return Err(StripError::Holds("words in JBIG2 pictures"));
            }
        }
        Ok(())
    }

    /// What a picture in a stream is once the filters before its own are undone.
    fn before_last(&mut self, stream: &Stream, before: &[&[u8]]) -> Result<Vec<u8>, StripError> {
        if before.is_empty() {
            return Ok(stream.content.clone());
        }
        let mut packed = Stream::new(stream.dict.clone(), stream.content.clone());
        let names = before.iter().map(|name| Object::Name(name.to_vec())).collect();
        packed.dict.set("Filter", Object::Array(names));
        self.unpacked(&packed)
    }

    fn unpacked(&mut self, stream: &Stream) -> Result<Vec<u8>, StripError> {
        let most = usize::try_from(self.room).unwrap_or(usize::MAX).min(STREAM_BYTES_MAX);
        let unpacked = stream
            .get_plain_content_with_limit(most)
            .map_err(|_| broken("a stream is damaged, or too large"))?;
        self.room -= unpacked.len() as u64;
        Ok(unpacked)
    }

    /// Pictures may stand in the instructions that draw a page.
    fn must_draw_no_jpeg(&mut self, stream: &Stream) -> Result<(), StripError> {
        let unpacked = self.unpacked(stream)?;
        let mut rest = unpacked.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
            rest = &rest[at + 1..];
            if rest.starts_with(b"DCT") {
                return Err(StripError::Holds("pictures among the instructions that draw a page"));
            }
        }
        Ok(())
    }

    /// The content without what stands behind its end.
    fn trimmed(&mut self, stream: &Stream, first: Option<&[u8]>) -> Result<Vec<u8>, StripError> {
        let content = stream.content.as_slice();
        if !matches!(first, Some(b"FlateDecode" | b"Fl")) {
            return Ok(content.to_vec());
        }
        let measured = zlib::measure(std::iter::once(content), self.room)
            .ok_or_else(|| broken("a stream is damaged, or too large"))?;
        self.room -= measured.unpacked;
        let end = usize::try_from(measured.packed).unwrap_or(usize::MAX);
        let (kept, behind) = content.split_at(end.min(content.len()));
        // Many writers count the end of the line.
        self.removed.note_if(!behind.trim_ascii().is_empty(), "trailing-data");
        Ok(kept.to_vec())
    }
}
