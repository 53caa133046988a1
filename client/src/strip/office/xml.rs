//! The XML of a document, without who wrote what of it when, and where.
//!
//! Names are compared without their prefixes, for any prefix may stand for any vocabulary.

use std::borrow::Cow;

use quick_xml::escape::unescape;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

use super::parts::{self, Family, Fate};
use super::{CONTENT_TYPES, Removed, StripError, broken};

/// Who wrote it, for whoever reads it next.
const AUTHOR: &str = "Author";
const INITIALS: &str = "A";
/// When, where a time must stand.
const TIME: &str = "2000-01-01T00:00:00";
/// Where a link leads that led to somebody's own disk.
const NOWHERE: &str = "about:blank";

/// What becomes of an element or an attribute that is not kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It is left out, with all that is in it. What it is called.
    Drop(&'static str),
    /// It says this. What it is called if it said something else.
    Say(&'static str, &'static str),
}

use Change::{Drop, Say};

/// Filters a part. Comments and instructions to programs go.
pub(super) fn filter(
    family: Family,
    part: &str,
    content: &[u8],
    removed: &mut Removed,
) -> Result<Vec<u8>, StripError> {
    let text = std::str::from_utf8(content).map_err(|_| broken("its XML is not UTF-8"))?;
    let text = text.trim_start_matches('\u{FEFF}');
    let mut reader = Reader::from_str(text);
    let mut writer = Writer::new(Vec::with_capacity(content.len()));
    let mut depth = 0_usize;
    // How deep the element lies whose content goes, and what it says in place of that.
    let mut silent: Option<(usize, Option<&'static str>)> = None;
    let mut said = String::new();
    write(&mut writer, Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), Some("yes"))))?;
    loop {
        let event = reader.read_event().map_err(|_| broken("its XML is damaged"))?;
        match &event {
            Event::Start(start) => {
                depth += 1;
                if silent.is_some() {
                    continue;
                }
                match element(family, part, start)? {
                    Some(Drop(what)) => {
                        removed.note(what);
                        silent = Some((depth, None));
                    }
                    change => {
                        write(&mut writer, Event::Start(attributes(part, start, removed)?))?;
                        let change = change.or_else(|| instruction(&reader, start));
                        if let Some(Say(says, what)) = change {
                            said.clear();
                            silent = Some((depth, Some(says)));
                            // What it said is compared once it ends.
                            removed.note_if(says_otherwise(&reader, start, says), what);
                        }
                    }
                }
            }
            Event::End(_) => {
                if silent.is_none_or(|(at, says)| at == depth && says.is_some()) {
                    if let Some((_, Some(says))) = silent {
                        write(&mut writer, Event::Text(BytesText::new(says)))?;
                    }
                    write(&mut writer, event)?;
                }
                silent = silent.filter(|(at, _)| *at != depth);
                depth = depth.checked_sub(1).ok_or_else(|| broken("its XML is damaged"))?;
            }
            Event::Empty(start) if silent.is_none() => match element(family, part, start)? {
                Some(Drop(what)) => removed.note(what),
                _ => write(&mut writer, Event::Empty(attributes(part, start, removed)?))?,
            },
            Event::Comment(_) | Event::PI(_) => removed.note("comment"),
            Event::DocType(_) => return Err(StripError::Holds("definitions in its XML")),
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if silent.is_none() => {
                write(&mut writer, event)?;
            }
            Event::Eof if depth == 0 => return Ok(writer.into_inner()),
            Event::Eof => return Err(broken("its XML does not end")),
            // The declaration is ours.
            _ => {}
        }
    }
}

fn write(writer: &mut Writer<Vec<u8>>, event: Event<'_>) -> Result<(), StripError> {
    writer.write_event(event).map_err(|_| broken("its XML cannot be written"))
}

/// Whether an element that just began says something else.
fn says_otherwise(reader: &Reader<&[u8]>, start: &BytesStart<'_>, says: &str) -> bool {
    let mut ahead = reader.clone();
    ahead.read_text(start.name()).map_or(true, |text| text.into_inner() != says)
}

/// A field that shows a file of somebody's own shows what it showed last.
fn instruction(reader: &Reader<&[u8]>, start: &BytesStart<'_>) -> Option<Change> {
    if local(start.name().as_ref()) != "instrText" {
        return None;
    }
    let text = reader.clone().read_text(start.name()).ok()?.into_inner();
    names_file(&text).then_some(Say("", "local-paths"))
}

/// Whether a field's instruction names a file on a disk.
fn names_file(instruction: &str) -> bool {
    instruction.contains(":\\") || instruction.contains("\\\\") || instruction.contains("file:")
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn element(
    family: Family,
    part: &str,
    start: &BytesStart<'_>,
) -> Result<Option<Change>, StripError> {
    let name = start.name();
    let change = match (family, local(name.as_ref())) {
        (Family::OpenXml, "rsids" | "rsid" | "docId" | "persistentDocumentId" | "revisionPtr") => {
            Some(Drop("revision-ids"))
        }
        (Family::OpenXml, "docVars" | "dataBinding" | "fileVersion") => {
            Some(Drop("application-data"))
        }
        (Family::OpenXml, "attachedTemplate" | "mailMerge" | "absPath" | "webPublishItems") => {
            Some(Drop("local-paths"))
        }
        // Views of a shared sheet have their users' names.
        (
            Family::OpenXml,
            "fileSharing" | "customWorkbookViews" | "customSheetViews" | "securityDescriptor",
        ) => Some(Drop("authors")),
        (Family::OpenXml, "printerSettings") => Some(Drop("printer-settings")),
        (Family::OpenXml, "connection") => return Err(StripError::Holds("data sources")),
        // A list of who commented a sheet. Authors of slides have attributes instead.
        (Family::OpenXml, "author") if part.starts_with("xl/") => Some(Say(AUTHOR, "authors")),
        (Family::OpenXml, "Override") if part == CONTENT_TYPES => {
            refers(family, attribute(start, "PartName")?.as_deref().and_then(from_root))
        }
        (Family::OpenXml, "Relationship") => {
            let target = attribute(start, "Target")?.unwrap_or_default();
            let is_outside = attribute(start, "TargetMode")?.as_deref() == Some("External");
            if is_outside { None } else { refers(family, resolve(part, &target)) }
        }
        (Family::OpenDocument, "encryption-data") => {
            return Err(StripError::Holds("encryption"));
        }
        (Family::OpenDocument, "file-entry") => {
            refers(family, attribute(start, "full-path")?.filter(|path| path != "/"))
        }
        // What programs and people say that a picture is, often its file's name.
        (Family::OpenDocument, "title" | "desc") if name.as_ref().starts_with("svg:") => {
            Some(Drop("picture-names"))
        }
        (Family::OpenDocument, "creator") => Some(Say(AUTHOR, "authors")),
        (Family::OpenDocument, "creator-initials" | "sender-initials") => {
            Some(Say(INITIALS, "authors"))
        }
        // A date in the text is content.
        (Family::OpenDocument, "date") if name.as_ref() != "text:date" => Some(Say(TIME, "times")),
        (Family::OpenDocument, "date-string") => Some(Say("", "times")),
        _ => None,
    };
    Ok(change)
}

/// What refers to a part that is left out is left out too.
fn refers(family: Family, part: Option<String>) -> Option<Change> {
    match parts::fate(family, &part?) {
        Fate::Dropped(what) => Some(Drop(what)),
        _ => None,
    }
}

fn from_root(path: &str) -> Option<String> {
    path.strip_prefix('/').map(str::to_owned)
}

/// The part that a relationship of `relationships` means.
fn resolve(relationships: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return from_root(target);
    }
    let (folder, _) = relationships.rsplit_once("_rels/")?;
    let mut path: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    Some(path.join("/"))
}

fn attribute(start: &BytesStart<'_>, wanted: &str) -> Result<Option<String>, StripError> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| broken("its XML is damaged"))?;
        if local(attribute.key.as_ref()) == wanted {
            return value(&attribute).map(|value| Some(value.into_owned()));
        }
    }
    Ok(None)
}

fn value<'a>(attribute: &'a Attribute<'_>) -> Result<Cow<'a, str>, StripError> {
    unescape(&attribute.value).map_err(|_| broken("its XML is damaged"))
}

/// An element with those of its attributes that are kept.
fn attributes(
    part: &str,
    start: &BytesStart<'_>,
    removed: &mut Removed,
) -> Result<BytesStart<'static>, StripError> {
    let element = start.name().as_ref().to_owned();
    let is_outside = attribute(start, "TargetMode")?.as_deref() == Some("External");
    let mut kept = BytesStart::new(element.clone());
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| broken("its XML is damaged"))?;
        let (key, value) = (attribute.key.as_ref().to_owned(), value(&attribute)?);
        let change = of_attribute(part, &element, &key).or_else(|| {
            leads_home(&key, &value, is_outside).then_some(Say(NOWHERE, "local-paths"))
        });
        let is_instruction = local(&key) == "instr" && names_file(&value);
        let change = change.or_else(|| is_instruction.then_some(Say("", "local-paths")));
        match change {
            // To the letter, but for the quotes around it.
            None => kept.push_attribute(Attribute {
                key: attribute.key,
                value: attribute.value.replace('"', "&quot;").into(),
            }),
            Some(Drop(what)) => removed.note(what),
            Some(Say(says, what)) => {
                removed.note_if(value != says, what);
                kept.push_attribute((key.as_str(), says));
            }
        }
    }
    Ok(kept)
}

fn of_attribute(part: &str, element: &str, key: &str) -> Option<Change> {
    let attribute = local(key);
    let is_prefixed = key.contains(':');
    match (local(element), attribute) {
        _ if attribute.starts_with("rsid") || attribute.ends_with("rsid") => {
            Some(Drop("revision-ids"))
        }
        (_, "paraId" | "textId") => Some(Drop("revision-ids")),
        (_, "uid") if is_prefixed => Some(Drop("revision-ids")),
        (_, "author") if is_prefixed => Some(Say(AUTHOR, "authors")),
        (_, "initials") => Some(Say(INITIALS, "authors")),
        ("cmAuthor" | "author", "name") | (_, "userId") => Some(Say(AUTHOR, "authors")),
        (_, "providerId") => Some(Say("None", "authors")),
        (_, "refreshedBy" | "userName" | "securityDescriptor") | ("permStart", "ed") => {
            Some(Drop("authors"))
        }
        (_, "refreshedDate" | "refreshedDateIso" | "dateUtc") | ("cm", "dt") => Some(Drop("times")),
        (_, "date") if is_prefixed && part.starts_with("word/") => Some(Drop("times")),
        ("cm" | "reply", "created") => Some(Say(TIME, "times")),
        ("tag", "val") if part.starts_with("ppt/") => Some(Say("", "application-data")),
        // Programs put the picture's file name there, and what they think it shows.
        ("docPr" | "cNvPr" | "frame", "name") => Some(Say("Object", "picture-names")),
        ("docPr" | "cNvPr", "descr" | "title") | ("imagedata", "title") | (_, "alt") => {
            Some(Drop("picture-names"))
        }
        ("pageSetup", "id") => Some(Drop("printer-settings")),
        _ => None,
    }
}

/// Whether an attribute leads to a file outside the document: on somebody's disk.
fn leads_home(key: &str, value: &str, is_outside: bool) -> bool {
    if !matches!(local(key), "Target" | "href" | "url" | "src" | "path") {
        return false;
    }
    let begins = |scheme: &str| {
        value.get(..scheme.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(scheme))
    };
    let is_web = ["http:", "https:", "mailto:", "tel:", "#", NOWHERE].into_iter().any(begins);
    let is_disk = value.contains('\\') || begins("file:") || begins("../") || begins("/");
    // In relationships of a document's own parts both are usual.
    if local(key) == "Target" { is_outside && !is_web } else { is_disk && !is_web }
}
