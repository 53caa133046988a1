//! Which parts of a document are kept.

use super::{CONTENT_TYPES, MIMETYPE, Parts};

/// The two families of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// docx, xlsx, pptx.
    OpenXml,
    /// odt, ods, odp.
    OpenDocument,
}

/// What becomes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is left out, with what refers to it. What it is called.
    Dropped(&'static str),
    /// The document is refused, for this is not understood.
    Refused(&'static str),
    AsItIs,
    Xml,
    Picture,
}

impl Family {
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let documents = ["word/document.xml", "xl/workbook.xml", "ppt/presentation.xml"];
        let types = [
            b"application/vnd.oasis.opendocument.text".as_slice(),
            b"application/vnd.oasis.opendocument.spreadsheet",
            b"application/vnd.oasis.opendocument.presentation",
        ];
        if parts.get(MIMETYPE).is_some_and(|media| types.contains(&media.as_slice())) {
            Some(Self::OpenDocument)
        } else if parts.contains_key(CONTENT_TYPES)
            && parts.contains_key("_rels/.rels")
            && documents.iter().any(|document| parts.contains_key(*document))
        {
            Some(Self::OpenXml)
        } else {
            None
        }
    }
}

/// What is neither text nor a picture.
const OBJECTS: &str = "macros, fonts, embedded objects, sounds or films";
const UNKNOWN: &str = "a part that is not known here";

/// What becomes of the part with that name.
pub(super) fn fate(family: Family, name: &str) -> Fate {
    match family {
        Family::OpenXml => open_xml(name),
        Family::OpenDocument => open_document(name),
    }
}

/// Of Open XML: left out, by how their names begin.
const DROPPED: [(&str, &str); 18] = [
    ("docProps/thumbnail", "thumbnail"),
    ("docProps/", "office-properties"),
    ("docMetadata/", "office-properties"),
    ("customXml/", "application-data"),
    ("_xmlsignatures/", "signatures"),
    ("word/people.xml", "authors"),
    ("word/commentsExtended.xml", "revision-ids"),
    ("word/commentsIds.xml", "revision-ids"),
    ("word/commentsExtensible.xml", "times"),
    ("word/_rels/settings.xml.rels", "local-paths"),
    ("xl/persons/", "authors"),
    ("xl/threadedComments/", "authors"),
    ("xl/revisions/", "authors"),
    ("xl/printerSettings/", "printer-settings"),
    ("word/printerSettings/", "printer-settings"),
    ("ppt/printerSettings/", "printer-settings"),
    ("ppt/changesInfos/", "authors"),
    ("ppt/revisionInfo.xml", "revision-ids"),
];

/// Of Open XML: XML that is kept, by how its name begins, without numbers.
const KEPT: [&str; 49] = [
    "word/document",
    "word/styles",
    "word/settings",
    "word/webSettings",
    "word/fontTable",
    "word/numbering",
    "word/comments",
    "word/footnotes",
    "word/endnotes",
    "word/header",
    "word/footer",
    "word/theme/theme",
    "word/charts/chart",
    "word/charts/style",
    "word/charts/colors",
    "word/diagrams/",
    "word/drawings/",
    "xl/workbook",
    "xl/styles",
    "xl/sharedStrings",
    "xl/calcChain",
    "xl/metadata",
    "xl/worksheets/sheet",
    "xl/chartsheets/sheet",
    "xl/drawings/",
    "xl/charts/",
    "xl/theme/theme",
    "xl/tables/table",
    "xl/comments",
    "xl/pivotTables/pivotTable",
    "xl/pivotCache/pivotCache",
    "xl/externalLinks/externalLink",
    "ppt/presentation",
    "ppt/presProps",
    "ppt/viewProps",
    "ppt/tableStyles",
    "ppt/slides/slide",
    "ppt/slideLayouts/slideLayout",
    "ppt/slideMasters/slideMaster",
    "ppt/notesSlides/notesSlide",
    "ppt/notesMasters/notesMaster",
    "ppt/handoutMasters/handoutMaster",
    "ppt/theme/theme",
    "ppt/comment",
    "ppt/authors",
    "ppt/charts/",
    "ppt/diagrams/",
    "ppt/drawings/",
    "ppt/tags/tag",
];

fn open_xml(name: &str) -> Fate {
    if let Some((_, what)) = DROPPED.iter().find(|(begins, _)| name.starts_with(begins)) {
        return Fate::Dropped(what);
    }
    if name == CONTENT_TYPES || name == "_rels/.rels" {
        return Fate::Xml;
    }
    if name.contains("/media/") {
        return Fate::Picture;
    }
    // What a part refers to goes the way of the part.
    let part = match name.rsplit_once("/_rels/") {
        Some((folder, part)) => match part.strip_suffix(".rels") {
            Some(part) => format!("{folder}/{part}"),
            None => return Fate::Refused(UNKNOWN),
        },
        None => name.to_owned(),
    };
    // Building blocks: a document of its own beside it.
    let part = part.replacen("word/glossary/", "word/", 1);
    if let Some((_, what)) = DROPPED.iter().find(|(begins, _)| part.starts_with(begins)) {
        return Fate::Dropped(what);
    }
    let is_known = KEPT.iter().any(|known| {
        let rest = part.strip_prefix(known);
        rest.is_some_and(|rest| known.ends_with('/') || is_numbered(rest, known))
    });
    match part.rsplit_once('.').map(|(_, extension)| extension) {
        Some("xml" | "vml") if is_known => Fate::Xml,
        Some("xml" | "vml") => Fate::Refused(UNKNOWN),
        _ => Fate::Refused(OBJECTS),
    }
}

/// Whether what follows such a name is a number at most. Comments and caches have longer names.
fn is_numbered(rest: &str, known: &str) -> bool {
    let stem = rest.trim_end_matches(".xml");
    let varies = ["ppt/comment", "xl/pivotCache/pivotCache", "word/styles"];
    varies.contains(&known) || stem.bytes().all(|byte| byte.is_ascii_digit())
}

fn open_document(name: &str) -> Fate {
    // Charts and formulas are documents in folders of their own.
    let (folder, part) = match name.split_once('/') {
        Some((folder, part)) if folder.starts_with("Object ") => (folder, part),
        _ => ("", name),
    };
    let begins = |folder: &str| part.starts_with(folder);
    match part {
        MIMETYPE if folder.is_empty() => Fate::AsItIs,
        "content.xml" | "styles.xml" | "META-INF/manifest.xml" => Fate::Xml,
        "meta.xml" => Fate::Dropped("office-properties"),
        "settings.xml" => Fate::Dropped("printer-settings"),
        "META-INF/documentsignatures.xml" => Fate::Dropped("signatures"),
        "manifest.rdf" | "layout-cache" => Fate::Dropped("application-data"),
        _ if begins("Configurations2/") => Fate::Dropped("application-data"),
        _ if begins("Thumbnails/") || begins("ObjectReplacements/") => Fate::Dropped("thumbnail"),
        _ if begins("Pictures/") || begins("media/") => Fate::Picture,
        _ if part.ends_with(".xml") => Fate::Refused(UNKNOWN),
        _ => Fate::Refused(OBJECTS),
    }
}
