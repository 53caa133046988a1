//! PDF (ISO 32000-1): what the pages need, copied into a new file.
//!
//! Nothing of the file's structure is taken over: only what can be reached from its catalog is copied,
//! object by object, and numbered in the order in which it was reached. So old revisions, objects that
//! nothing names, and bytes between objects are not there any more.
//!
//! What stays: text, also invisible text and comments in the instructions that draw a page; alternative
//! texts, form values, links to the web, scripts; font programs with the names in them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lopdf::xref::{Xref, XrefEntry, XrefRecovery, XrefType};
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId};

use super::zlib::UNPACKED_BYTES_MAX;
use super::{Removed, StripError};

mod jbig2;
mod keys;
mod streams;

/// What a file's own structure may unpack to, and one stream that is looked at.
const STREAM_BYTES_MAX: usize = 256 * 1024 * 1024;
/// What a file ends with.
const END: &[u8] = b"%%EOF";
/// How deep objects may lie in each other.
const DEPTH_MAX: usize = 128;

pub(super) fn strip(bytes: &[u8], removed: &mut Removed) -> Result<Vec<u8>, StripError> {
    let options =
        LoadOptions { max_decompressed_size: Some(STREAM_BYTES_MAX), ..LoadOptions::default() };
    let from =
        Document::load_mem_with_options(bytes, options).map_err(|_| broken("it cannot be read"))?;
    if from.is_encrypted() || from.was_encrypted() || from.trailer.has(b"Encrypt") {
        return Err(StripError::Holds("encryption"));
    }
    if from.xref_recovery == Some(XrefRecovery::Reconstructed) {
        return Err(broken("its table of objects is damaged"));
    }
    removed.note_if(from.trailer.has(b"Info"), "pdf-info");
    removed.note_if(from.trailer.has(b"ID"), "pdf-id");
    removed.note_if(from.revision_count() > 1, "old-revisions");
    let end = bytes.windows(END.len()).rposition(|window| window == END);
    let behind = end.map_or(bytes, |at| &bytes[at + END.len()..]);
    removed.note_if(!behind.trim_ascii().is_empty(), "trailing-data");
    let root = from.trailer.get(b"Root").and_then(Object::as_reference);
    let root = root.map_err(|_| broken("it has no catalog"))?;
    let mut copying = Copying {
        from: &from,
        to: Document::new(),
        numbers: BTreeMap::new(),
        waiting: VecDeque::new(),
        room: UNPACKED_BYTES_MAX,
        root,
        removed,
    };
    copying.copy()?;
    let mut to = copying.to;
    to.version = "1.7".to_owned();
    to.reference_table = Xref::new(0, XrefType::CrossReferenceTable);
    to.trailer.set("Root", Object::Reference((1, 0)));
    let mut written = Vec::with_capacity(bytes.len());
    to.save_to(&mut written).map_err(|_| broken("it cannot be written"))?;
    Ok(written)
}

/// What is copied from where, and what is still to be.
struct Copying<'c> {
    from: &'c Document,
    to: Document,
    /// What was reached, and its new number.
    numbers: BTreeMap<ObjectId, u32>,
    waiting: VecDeque<ObjectId>,
    /// What streams may still unpack to.
    room: u64,
    root: ObjectId,
    removed: &'c mut Removed,
}

impl Copying<'_> {
    fn copy(&mut self) -> Result<(), StripError> {
        self.reference(self.root)?;
        while let Some(id) = self.waiting.pop_front() {
            let object =
                self.from.objects.get(&id).ok_or_else(|| broken("an object is missing"))?;
            let copied = match object {
                Object::Stream(stream) => Object::Stream(self.stream(stream)?),
                Object::Dictionary(dict) if id == self.root => {
                    Object::Dictionary(self.dictionary(dict, keys::CATALOG, 0)?)
                }
                _ if id == self.root => return Err(broken("it has no catalog")),
                other => self.object(other, 0)?,
            };
            let number = self.numbers[&id];
            self.to.objects.insert((number, 0), copied);
            self.to.max_id = self.to.max_id.max(number);
        }
        let used = used(self.from);
        let unused =
            |(id, object): (&ObjectId, &Object)| !used.contains(id) && !is_structure(object);
        let any_unused = self.from.objects.iter().any(unused);
        self.removed.note_if(any_unused, "unused-objects");
        Ok(())
    }

    /// What a reference becomes, and sees to it that what it names is copied.
    fn reference(&mut self, id: ObjectId) -> Result<Object, StripError> {
        // An object may be nothing but a reference to another.
        let id = match self.from.dereference(&Object::Reference(id)) {
            Ok((Some(last), _)) => last,
            _ => id,
        };
        if let Some(number) = self.numbers.get(&id) {
            return Ok(Object::Reference((*number, 0)));
        }
        match self.from.objects.get(&id) {
            Some(Object::Stream(stream)) if stream.dict.has_type(b"Metadata") => {
                self.removed.note("pdf-xmp");
                Ok(Object::Null)
            }
            Some(Object::Null) => Ok(Object::Null),
            Some(object) if is_structure(object) => {
                Err(broken("it refers to what holds it together"))
            }
            Some(_) => {
                let number = u32::try_from(self.numbers.len() + 1)
                    .map_err(|_| broken("it has too many objects"))?;
                self.numbers.insert(id, number);
                self.waiting.push_back(id);
                Ok(Object::Reference((number, 0)))
            }
            // To name what is nowhere is to name nothing; what should be somewhere was not read.
            None => match self.from.reference_table.get(id.0) {
                Some(XrefEntry::Normal { generation, .. }) if *generation == id.1 => {
                    Err(broken("an object cannot be read"))
                }
                Some(XrefEntry::Compressed { .. }) if id.1 == 0 => {
                    Err(broken("an object cannot be read"))
                }
                _ => Ok(Object::Null),
            },
        }
    }

    fn object(&mut self, object: &Object, depth: usize) -> Result<Object, StripError> {
        if depth > DEPTH_MAX {
            return Err(broken("it is nested too deep"));
        }
        match object {
            Object::Reference(id) => self.reference(*id),
            Object::Dictionary(dict) => {
                let role = self.role(dict)?;
                Ok(Object::Dictionary(self.dictionary(dict, role, depth)?))
            }
            Object::Array(items) => {
                if let Some(name) = self.device_colours(items)? {
                    self.removed.note("icc");
                    return Ok(Object::Name(name));
                }
                let copied = items.iter().map(|item| self.object(item, depth + 1));
                Ok(Object::Array(copied.collect::<Result<_, _>>()?))
            }
            Object::Stream(_) => Err(broken("a stream stands in another object")),
            Object::Real(value) if !value.is_finite() => Err(broken("a number is none")),
            other => Ok(other.clone()),
        }
    }

    fn dictionary(
        &mut self,
        dict: &Dictionary,
        role: keys::Role,
        depth: usize,
    ) -> Result<Dictionary, StripError> {
        let mut copied = Dictionary::new();
        for (key, value) in dict {
            if let Some(what) = keys::dropped(role, key) {
                self.removed.note(what);
                continue;
            }
            let value = match (role, key.as_slice(), value) {
                (keys::CATALOG, b"Names", value) => self.part(value, keys::NAMES, depth)?,
                (keys::CATALOG, b"AcroForm", value) => self.part(value, keys::FORM, depth)?,
                (_, _, value) => self.object(value, depth + 1)?,
            };
            // It was a reference to metadata, or to nothing.
            if value != Object::Null {
                copied.set(key.clone(), value);
            }
        }
        Ok(copied)
    }

    /// A dictionary that stands for itself or is referred to: from here only, so it is copied in place.
    fn part(
        &mut self,
        value: &Object,
        role: keys::Role,
        depth: usize,
    ) -> Result<Object, StripError> {
        let from = self.from;
        let (_, value) = from.dereference(value).map_err(|_| broken("an object is missing"))?;
        let dict = value.as_dict().map_err(|_| broken("a dictionary is none"))?;
        Ok(Object::Dictionary(self.dictionary(dict, role, depth + 1)?))
    }

    /// What a dictionary is, as far as that says what of it is kept.
    fn role(&self, dict: &Dictionary) -> Result<keys::Role, StripError> {
        let name = |key: &[u8]| {
            let value = dict.get_deref(key, self.from).and_then(Object::as_name);
            value.unwrap_or_default()
        };
        let role = match (name(b"Type"), name(b"Subtype")) {
            (b"Page", _) => keys::PAGE,
            (b"Pages", _) => keys::PAGES,
            (b"Font", _) => keys::FONT,
            (b"Sig" | b"DocTimeStamp", _) => keys::SIGNATURE,
            (_, b"Sound" | b"Movie" | b"Screen" | b"3D" | b"RichMedia") if dict.has(b"Rect") => {
                return Err(StripError::Holds("sounds, films or models"));
            }
            (_, b"Widget") if name(b"FT") == b"Sig" => keys::SIGNATURE_FIELD,
            (_, b"Widget") => keys::WIDGET,
            (_, subtype) if dict.has(b"Rect") && !subtype.is_empty() => keys::ANNOTATION,
            _ if name(b"FT") == b"Sig" => keys::SIGNATURE_FIELD,
            _ => match name(b"S") {
                b"Launch" | b"GoToR" | b"GoToE" | b"ImportData" | b"Rendition" | b"Thread" => {
                    keys::LOCAL_ACTION
                }
                b"URI" if is_local(dict) => keys::LOCAL_ACTION,
                _ => keys::OTHER,
            },
        };
        Ok(role)
    }

    /// The plain colours in place of those of a profile, which names its device and its maker.
    fn device_colours(&self, items: &[Object]) -> Result<Option<Vec<u8>>, StripError> {
        let [Object::Name(name), profile] = items else { return Ok(None) };
        if name != b"ICCBased" {
            return Ok(None);
        }
        let components = self.from.dereference(profile).and_then(|(_, profile)| {
            profile.as_stream()?.dict.get_deref(b"N", self.from)?.as_i64()
        });
        match components {
            Ok(1) => Ok(Some(b"DeviceGray".to_vec())),
            Ok(3) => Ok(Some(b"DeviceRGB".to_vec())),
            Ok(4) => Ok(Some(b"DeviceCMYK".to_vec())),
            _ => Err(broken("a profile of colours is damaged")),
        }
    }
}

/// Whether it belongs to the file and not to the document: every writer makes its own.
fn is_structure(object: &Object) -> bool {
    let name = object.type_name();
    name.is_ok_and(|name| matches!(name, b"ObjStm" | b"XRef" | b"Linearized"))
}

/// What can be reached from anything that the file says of itself.
fn used(from: &Document) -> BTreeSet<ObjectId> {
    let mut used = BTreeSet::new();
    let mut waiting: Vec<&Object> = from.trailer.iter().map(|(_, value)| value).collect();
    while let Some(object) = waiting.pop() {
        match object {
            Object::Reference(id) if used.insert(*id) => waiting.extend(from.objects.get(id)),
            Object::Array(items) => waiting.extend(items),
            Object::Dictionary(dict) => waiting.extend(dict.iter().map(|(_, value)| value)),
            Object::Stream(stream) => waiting.extend(stream.dict.iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    used
}

/// Whether a link leads to somebody's own disk.
fn is_local(action: &Dictionary) -> bool {
    let address = action.get(b"URI").and_then(Object::as_str).unwrap_or_default();
    let web = [b"http:".as_slice(), b"https:", b"mailto:", b"tel:", b"#"];
    !web.iter().any(|scheme| {
        address.get(..scheme.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(scheme))
    })
}

fn broken(why: &'static str) -> StripError {
    StripError::Malformed { kind: "PDF", why }
}

#[cfg(test)]
mod tests;
