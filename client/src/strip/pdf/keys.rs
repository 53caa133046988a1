//! Which keys of a PDF's dictionaries are kept.

/// What a dictionary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// All that is kept of it, if it is known what it needs.
    kept: Option<&'static [&'static [u8]]>,
    /// What is dropped of it besides what is dropped everywhere.
    dropped: &'static [&'static [u8]],
    /// What its dropped keys are called.
    what: &'static str,
}

const fn only(kept: &'static [&'static [u8]], what: &'static str) -> Role {
    Role { kept: Some(kept), dropped: &[], what }
}

const fn without(dropped: &'static [&'static [u8]], what: &'static str) -> Role {
    Role { kept: None, dropped, what }
}

pub(super) const CATALOG: Role = only(
    &[
        b"Type",
        b"Pages",
        b"PageLabels",
        b"Names",
        b"Dests",
        b"ViewerPreferences",
        b"PageLayout",
        b"PageMode",
        b"Outlines",
        b"OpenAction",
        b"AcroForm",
        b"StructTreeRoot",
        b"MarkInfo",
        b"Lang",
        b"OCProperties",
    ],
    "application-data",
);
/// Of the catalog's names: not those of embedded files.
pub(super) const NAMES: Role =
    only(&[b"Dests", b"AP", b"JavaScript", b"Pages", b"Templates"], "embedded-files");
/// Of its form: not the second one in XML.
pub(super) const FORM: Role =
    only(&[b"Fields", b"NeedAppearances", b"CO", b"DR", b"DA", b"Q"], "application-data");
pub(super) const PAGES: Role = only(
    &[b"Type", b"Parent", b"Kids", b"Count", b"Resources", b"MediaBox", b"CropBox", b"Rotate"],
    "application-data",
);
/// Without a measured map on it, and what programs note of it.
pub(super) const PAGE: Role = only(
    &[
        b"Type",
        b"Parent",
        b"Resources",
        b"MediaBox",
        b"CropBox",
        b"BleedBox",
        b"TrimBox",
        b"ArtBox",
        b"Contents",
        b"Rotate",
        b"Group",
        b"Annots",
        b"UserUnit",
        b"StructParents",
        b"Tabs",
        b"Dur",
        b"Trans",
    ],
    "application-data",
);
pub(super) const IMAGE: Role = only(
    &[
        b"Type",
        b"Subtype",
        b"Width",
        b"Height",
        b"ColorSpace",
        b"BitsPerComponent",
        b"Intent",
        b"ImageMask",
        b"Mask",
        b"Decode",
        b"Interpolate",
        b"SMask",
        b"SMaskInData",
        b"Matte",
        b"Name",
        b"StructParent",
        b"OC",
        b"Filter",
        b"DecodeParms",
    ],
    "application-data",
);
/// A drawing of its own: not where it was taken from, and who made that.
pub(super) const DRAWING: Role = only(
    &[
        b"Type",
        b"Subtype",
        b"FormType",
        b"BBox",
        b"Matrix",
        b"Resources",
        b"Group",
        b"StructParent",
        b"StructParents",
        b"OC",
        b"Name",
        b"Filter",
        b"DecodeParms",
    ],
    "application-data",
);
pub(super) const FONT: Role = only(
    &[
        b"Type",
        b"Subtype",
        b"Name",
        b"BaseFont",
        b"FirstChar",
        b"LastChar",
        b"Widths",
        b"FontDescriptor",
        b"Encoding",
        b"ToUnicode",
        b"DescendantFonts",
        b"CIDSystemInfo",
        b"DW",
        b"W",
        b"DW2",
        b"W2",
        b"CIDToGIDMap",
        b"FontBBox",
        b"FontMatrix",
        b"CharProcs",
        b"Resources",
    ],
    "application-data",
);
/// Any other stream. Its content stands in the file.
pub(super) const STREAM: Role =
    without(&[b"F", b"FFilter", b"FDecodeParms", b"DL"], "application-data");
/// A note on a page: who wrote it, and when.
pub(super) const ANNOTATION: Role = without(&[b"T", b"M", b"NM", b"FS"], "annotation-authors");
/// A field's place on a page. `T` is its name.
pub(super) const WIDGET: Role = without(&[b"M", b"NM"], "annotation-authors");
pub(super) const SIGNATURE_FIELD: Role =
    without(&[b"V", b"M", b"NM", b"AP", b"Lock", b"SV"], "signatures");
pub(super) const SIGNATURE: Role = only(&[], "signatures");
/// What opens a file on somebody's disk.
pub(super) const LOCAL_ACTION: Role = only(&[], "local-paths");
pub(super) const OTHER: Role = without(&[], "application-data");

/// Dropped wherever they stand, and what they are called.
const EVERYWHERE: [(&[u8], &str); 24] = [
    (b"Metadata", "pdf-xmp"),
    (b"PieceInfo", "piece-info"),
    (b"Private", "piece-info"),
    (b"LastModified", "times"),
    (b"CreationDate", "times"),
    (b"ModDate", "times"),
    (b"AF", "embedded-files"),
    (b"EF", "embedded-files"),
    (b"RF", "embedded-files"),
    (b"Thumb", "thumbnail"),
    (b"OPI", "local-paths"),
    (b"VP", "place"),
    (b"Measure", "place"),
    (b"PtData", "place"),
    (b"CreatorInfo", "pdf-info"),
    (b"Creator", "pdf-info"),
    (b"Producer", "pdf-info"),
    (b"Author", "pdf-info"),
    (b"User", "pdf-info"),
    (b"OutputIntents", "icc"),
    (b"DefaultGray", "icc"),
    (b"DefaultRGB", "icc"),
    (b"DefaultCMYK", "icc"),
    (b"AA", "application-data"),
];

/// What a key of such a dictionary is called if it is dropped.
pub(super) fn dropped(role: Role, key: &[u8]) -> Option<&'static str> {
    if let Some((_, what)) = EVERYWHERE.iter().find(|(name, _)| *name == key) {
        return Some(what);
    }
    let is_kept = role.kept.is_none_or(|kept| kept.contains(&key));
    (!is_kept || role.dropped.contains(&key)).then_some(role.what)
}
