use image::ImageFormat;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::strip::tests::{
    MARKER, holds, holds_marker, picture, pixels, stripped, survives_damage,
};
use crate::strip::{Stripped, strip};

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const ODT: &str = "application/vnd.oasis.opendocument.text";
/// What no working copy may lack.
const TEXT: &str = "Decision of the court";

/// A zip as programs write it: with times.
fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let time = DateTime::from_date_and_time(2026, 3, 1, 14, 52, 0).unwrap();
    let options = SimpleFileOptions::default().last_modified_time(time);
    for (name, content) in parts {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.set_comment(MARKER).unwrap();
    writer.finish().unwrap().into_inner()
}

fn parts_of(bytes: &[u8]) -> Parts {
    read(bytes, UNPACKED_BYTES_MAX, &mut Removed::default()).unwrap()
}

/// Whether the marker is anywhere in it, unpacked.
fn tells(bytes: &[u8]) -> bool {
    let parts = parts_of(bytes);
    holds_marker(bytes) || parts.values().any(|content| holds_marker(content))
}

/// The text of a part, as somebody else's reader has it; and that all of it is well-formed.
fn text(part: &[u8]) -> String {
    let mut reader = Reader::from_str(std::str::from_utf8(part).unwrap());
    let mut text = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Text(event) => text.push_str(&event.into_inner()),
            Event::Eof => return text,
            _ => {}
        }
    }
}

fn types(overrides: &str) -> String {
    format!(
        "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/docProps/core.xml\" ContentType=\"core\"/>{overrides}</Types>"
    )
}

fn relationships(inner: &str) -> String {
    format!("<Relationships xmlns=\"relationships\">{inner}</Relationships>")
}

fn relationship(id: &str, target: &str) -> String {
    format!("<Relationship Id=\"{id}\" Type=\"t\" Target=\"{target}\"/>")
}

fn telling_jpeg() -> Vec<u8> {
    let jpeg = picture(ImageFormat::Jpeg);
    let len = u16::try_from(MARKER.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], b"\xFF\xFE", &len, MARKER.as_bytes(), &jpeg[2..]].concat()
}

/// The parts that every Open XML document has, with the marker where programs put names.
fn open_xml(main: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let root = [
        relationship("rId1", main),
        relationship("rId2", "docProps/core.xml"),
        relationship("rId3", "/docProps/app.xml"),
        relationship("rId4", "docProps/thumbnail.jpeg"),
    ];
    let (types, root) = (types(""), relationships(&root.concat()));
    let core = format!("<cp:coreProperties><dc:creator>{MARKER}</dc:creator></cp:coreProperties>");
    let mut parts: Vec<(&str, &[u8])> = vec![
        (CONTENT_TYPES, types.as_bytes()),
        ("_rels/.rels", root.as_bytes()),
        ("docProps/core.xml", core.as_bytes()),
        ("docProps/app.xml", core.as_bytes()),
        ("docProps/custom.xml", core.as_bytes()),
        ("docProps/thumbnail.jpeg", MARKER.as_bytes()),
    ];
    parts.extend(more);
    zipped(&parts)
}

fn docx() -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\"?><!-- {MARKER} --><?program {MARKER}?>\
         <w:document xmlns:w=\"w\"><w:body><w:p w:rsidR=\"00AB12CD\" w14:paraId=\"1A2B3C4D\">\
         <w:ins w:id=\"1\" w:author=\"{MARKER}\" w:date=\"2026-03-01T14:52:00Z\"><w:r>\
         <w:t xml:space=\"preserve\">{TEXT} &amp; </w:t></w:r></w:ins>\
         <wp:docPr id=\"1\" name=\"{MARKER}.jpg\" descr=\"C:\\{MARKER}\"/>\
         <a:blip r:embed=\"rId1\"/>\
         <w:instrText> INCLUDEPICTURE \"C:\\\\{MARKER}\" </w:instrText><w:instrText>PAGE</w:instrText>\
         <w:fldSimple w:instr=\"LINK file:///{MARKER}\"/><w:hyperlink r:id=\"rId2\"/></w:p></w:body></w:document>"
    );
    let comments = format!(
        "<w:comments><w:comment w:id=\"0\" w:author='{MARKER}' w:initials=\"{MARKER}\" \
         w:date=\"2026-03-01T14:52:00Z\"><w:p><w:t>a note</w:t></w:p></w:comment></w:comments>"
    );
    let settings = format!(
        "<w:settings><w:attachedTemplate r:id=\"rId1\"/><w:rsids><w:rsidRoot w:val=\"{MARKER}\"/>\
         <w:rsid w:val=\"00AB12CD\"/></w:rsids><w:docVars><w:docVar w:val=\"{MARKER}\"/></w:docVars>\
         <w:zoom w:percent=\"100\"/></w:settings>"
    );
    let outside = |id: &str| {
        format!(
            "<Relationship Id=\"{id}\" Type=\"t\" Target=\"file:///C:/{MARKER}\" \
             TargetMode=\"External\"/>"
        )
    };
    let web = "<Relationship Id=\"rId9\" Type=\"t\" Target=\"https://court.example/\" \
               TargetMode=\"External\"/>";
    let document_rels = relationships(
        &[
            relationship("rId1", "media/image1.jpeg"),
            outside("rId2"),
            web.to_owned(),
            relationship("rId3", "../customXml/item1.xml"),
            relationship("rId4", "people.xml"),
            relationship("rId5", "comments.xml"),
        ]
        .concat(),
    );
    let people = format!("<w15:people><w15:person w15:author=\"{MARKER}\"/></w15:people>");
    let settings_rels = relationships(&outside("rId1"));
    open_xml(
        "word/document.xml",
        &[
            ("word/document.xml", document.as_bytes()),
            ("word/_rels/document.xml.rels", document_rels.as_bytes()),
            ("word/comments.xml", comments.as_bytes()),
            ("word/settings.xml", settings.as_bytes()),
            ("word/_rels/settings.xml.rels", settings_rels.as_bytes()),
            ("word/people.xml", people.as_bytes()),
            ("word/media/image1.jpeg", &telling_jpeg()),
            ("customXml/item1.xml", people.as_bytes()),
        ],
    )
}

fn odt() -> Vec<u8> {
    let content = format!(
        "<office:document-content><office:body><office:text><text:tracked-changes>\
         <text:changed-region><office:change-info><dc:creator>{MARKER}</dc:creator>\
         <dc:date>2026-03-01T14:52:00</dc:date></office:change-info></text:changed-region>\
         </text:tracked-changes><text:p officeooo:rsid=\"{MARKER}\">{TEXT}<office:annotation>\
         <dc:creator>{MARKER}<text:s/>{MARKER}</dc:creator><dc:date>2026-03-01T14:52:00</dc:date>\
         <meta:creator-initials>{MARKER}</meta:creator-initials><text:p>a note</text:p>\
         </office:annotation><text:date>1 March</text:date>\
         <draw:frame draw:name=\"{MARKER}\"><svg:desc>{MARKER}</svg:desc></draw:frame>\
         <draw:image xlink:href=\"Pictures/1.jpg\"/><text:a xlink:href=\"file:///home/{MARKER}\"/>\
         </text:p></office:text></office:body></office:document-content>"
    );
    let entry = |path: &str| {
        format!("<manifest:file-entry manifest:full-path=\"{path}\" manifest:media-type=\"\"/>")
    };
    let manifest = format!(
        "<manifest:manifest>{}{}{}{}</manifest:manifest>",
        entry("/"),
        entry("content.xml"),
        entry("Pictures/1.jpg"),
        [entry("meta.xml"), entry("Thumbnails/thumbnail.png"), entry("Configurations2/")].concat(),
    );
    let meta =
        format!("<office:document-meta><dc:creator>{MARKER}</dc:creator></office:document-meta>");
    zipped(&[
        (MIMETYPE, ODT.as_bytes()),
        ("content.xml", content.as_bytes()),
        ("styles.xml", b"<office:document-styles/>"),
        ("meta.xml", meta.as_bytes()),
        ("settings.xml", meta.as_bytes()),
        ("Thumbnails/thumbnail.png", MARKER.as_bytes()),
        ("Configurations2/accelerator/current.xml", MARKER.as_bytes()),
        ("Pictures/1.jpg", &telling_jpeg()),
        ("META-INF/manifest.xml", manifest.as_bytes()),
    ])
}

#[test]
fn of_a_text_of_open_xml_what_tells_of_its_maker_goes() {
    let docx = docx();
    assert!(tells(&docx));
    let Stripped { bytes, removed } = stripped(DOCX, &docx);
    assert!(!tells(&bytes));
    let expected = [
        "application-data",
        "authors",
        "comment",
        "local-paths",
        "office-properties",
        "picture-names",
        "revision-ids",
        "thumbnail",
        "times",
    ];
    assert_eq!(removed, expected);
    assert_eq!(infer::get(&bytes).unwrap().mime_type(), DOCX);
    let parts = parts_of(&bytes);
    let names: Vec<&str> = parts.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            CONTENT_TYPES,
            "_rels/.rels",
            "word/_rels/document.xml.rels",
            "word/comments.xml",
            "word/document.xml",
            "word/media/image1.jpeg",
            "word/settings.xml",
        ]
    );
    assert_eq!(text(&parts["word/document.xml"]), format!("{TEXT}  PAGE"));
    assert!(holds(&parts["word/document.xml"], b"&amp;"));
    assert_eq!(text(&parts["word/comments.xml"]), "a note");
    assert!(holds(&parts["word/comments.xml"], b"w:author=\"Author\" w:initials=\"A\">"));
    assert!(holds(&parts["word/settings.xml"], b"w:percent=\"100\""));
    assert_eq!(pixels(&parts["word/media/image1.jpeg"]), pixels(&telling_jpeg()));
    let rels = &parts["word/_rels/document.xml.rels"];
    assert!(holds(rels, b"https://court.example/") && holds(rels, b"about:blank"));
    // Nothing refers to what is not there any more.
    for (name, gone) in [
        (CONTENT_TYPES, "docProps"),
        ("_rels/.rels", "docProps"),
        ("word/_rels/document.xml.rels", "people"),
        ("word/_rels/document.xml.rels", "customXml"),
    ] {
        assert!(!holds(&parts[name], gone.as_bytes()), "{name} names {gone}");
    }
}

#[test]
fn of_a_sheet_what_tells_of_its_maker_goes() {
    let workbook = format!(
        "<workbook><customWorkbookViews><customWorkbookView name=\"{MARKER}\"/>\
         </customWorkbookViews><fileVersion appName=\"{MARKER}\"/><fileSharing userName=\"{MARKER}\"/>\
         <mc:AlternateContent><mc:Choice><x15ac:absPath url=\"C:\\{MARKER}\"/></mc:Choice>\
         </mc:AlternateContent><xr:revisionPtr documentId=\"{MARKER}\"/><sheets/></workbook>"
    );
    let sheet = format!(
        "<worksheet xr:uid=\"{MARKER}\"><c><v>{TEXT}</v></c><pageSetup r:id=\"rId1\"/></worksheet>"
    );
    let comments = format!(
        "<comments><authors><author>{MARKER}</author><author>Author</author></authors>\
         <comment authorId=\"0\"><t>a note</t></comment></comments>"
    );
    let pivot = format!("<pivotCacheDefinition refreshedBy=\"{MARKER}\" refreshedDate=\"4\"/>");
    let rels = relationships(
        &[
            relationship("rId1", "../printerSettings/printerSettings1.bin"),
            relationship("rId2", "../comments1.xml"),
            relationship("rId3", "../threadedComments/threadedComment1.xml"),
        ]
        .concat(),
    );
    let xlsx = open_xml(
        "xl/workbook.xml",
        &[
            ("xl/workbook.xml", workbook.as_bytes()),
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
            ("xl/worksheets/_rels/sheet1.xml.rels", rels.as_bytes()),
            ("xl/comments1.xml", comments.as_bytes()),
            ("xl/pivotCache/pivotCacheDefinition1.xml", pivot.as_bytes()),
            ("xl/threadedComments/threadedComment1.xml", comments.as_bytes()),
            ("xl/persons/person.xml", comments.as_bytes()),
            ("xl/printerSettings/printerSettings1.bin", MARKER.as_bytes()),
        ],
    );
    assert!(tells(&xlsx));
    let Stripped { bytes, removed } = stripped(XLSX, &xlsx);
    assert!(!tells(&bytes));
    assert!(removed.contains(&"authors") && removed.contains(&"printer-settings"));
    let parts = parts_of(&bytes);
    assert_eq!(text(&parts["xl/comments1.xml"]), "AuthorAuthora note");
    assert_eq!(text(&parts["xl/worksheets/sheet1.xml"]), TEXT);
    let rels = &parts["xl/worksheets/_rels/sheet1.xml.rels"];
    assert!(holds(rels, b"comments1.xml") && !holds(rels, b"printer") && !holds(rels, b"threaded"));
    assert!(!holds(&parts["xl/worksheets/sheet1.xml"], b"r:id"));
}

#[test]
fn of_slides_what_tells_of_their_maker_goes() {
    let authors = format!(
        "<p:cmAuthorLst><p:cmAuthor id=\"0\" name=\"{MARKER}\" initials=\"{MARKER}\"/></p:cmAuthorLst>"
    );
    let modern = format!(
        "<p188:authorLst><p188:author id=\"0\" name=\"{MARKER}\" initials=\"I\" userId=\"{MARKER}\" \
         providerId=\"AD\"/><p15:presenceInfo userId=\"{MARKER}\"/></p188:authorLst>"
    );
    let comment = "<p:cmLst><p:cm authorId=\"0\" dt=\"2026-03-01T14:52:00\"><p:text>a note</p:text>\
                   </p:cm></p:cmLst>";
    let slide = format!("<p:sld><p:cNvPr id=\"2\" name=\"{MARKER}\"/><a:t>{TEXT}</a:t></p:sld>");
    let tags = format!("<p:tagLst><p:tag name=\"N\" val=\"{MARKER}\"/></p:tagLst>");
    let pptx = open_xml(
        "ppt/presentation.xml",
        &[
            ("ppt/presentation.xml", b"<p:presentation/>"),
            ("ppt/slides/slide12.xml", slide.as_bytes()),
            ("ppt/commentAuthors.xml", authors.as_bytes()),
            ("ppt/authors.xml", modern.as_bytes()),
            ("ppt/comments/comment1.xml", comment.as_bytes()),
            ("ppt/tags/tag1.xml", tags.as_bytes()),
        ],
    );
    assert!(tells(&pptx));
    let Stripped { bytes, removed } = stripped(PPTX, &pptx);
    assert!(!tells(&bytes));
    assert!(removed.contains(&"authors") && removed.contains(&"times"));
    let parts = parts_of(&bytes);
    assert_eq!(text(&parts["ppt/slides/slide12.xml"]), TEXT);
    assert!(!holds(&parts["ppt/comments/comment1.xml"], b"2026"));
}

#[test]
fn of_a_text_of_open_document_what_tells_of_its_maker_goes() {
    let odt = odt();
    assert!(tells(&odt));
    let Stripped { bytes, removed } = stripped(ODT, &odt);
    assert!(!tells(&bytes));
    let expected = [
        "application-data",
        "authors",
        "comment",
        "local-paths",
        "office-properties",
        "picture-names",
        "printer-settings",
        "revision-ids",
        "thumbnail",
        "times",
    ];
    assert_eq!(removed, expected);
    assert_eq!(infer::get(&bytes).unwrap().mime_type(), ODT);
    let parts = parts_of(&bytes);
    let names: Vec<&str> = parts.keys().map(String::as_str).collect();
    let kept = ["META-INF/manifest.xml", "Pictures/1.jpg", "content.xml", MIMETYPE, "styles.xml"];
    assert_eq!(names, kept);
    let written = text(&parts["content.xml"]);
    let expected =
        format!("Author{TIME}{TEXT}Author{TIME}Aa note1 March", TIME = "2000-01-01T00:00:00");
    assert_eq!(written, expected);
    assert!(!holds(&parts["content.xml"], b"2026"));
    let manifest = &parts["META-INF/manifest.xml"];
    assert!(holds(manifest, b"full-path=\"/\"") && holds(manifest, b"Pictures/1.jpg"));
    assert!(!holds(manifest, b"meta.xml") && !holds(manifest, b"Thumbnails"));
    // Where readers look for it: first, and as it is.
    assert_eq!(&bytes[30..38], b"mimetype");
    assert_eq!(&bytes[38..38 + ODT.len()], ODT.as_bytes());
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let document = ("word/document.xml", b"<w:document/>".as_slice());
    for (name, content, what) in [
        ("word/vbaProject.bin", b"".as_slice(), "macros"),
        ("word/embeddings/sheet1.xlsx", b"", "embedded objects"),
        ("word/fonts/font1.odttf", b"", "fonts"),
        ("word/media/image1.emf", b"\x01\0\0\0", "pictures other than"),
        ("word/media/media1.mp4", b"\0\0\0\x18ftypmp42", "pictures other than"),
        ("word/intelligence2.xml", b"<a/>", "not known"),
        ("xl/connections.xml", b"<connections/>", "not known"),
        ("word/styles.xml", b"<!DOCTYPE x [<!ENTITY y \"z\">]><x/>", "definitions"),
    ] {
        let refused = strip(DOCX, &open_xml(document.0, &[document, (name, content)]));
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StripError::Holds(_)), "{name}: {refused}");
        assert!(refused.to_string().contains(what), "{name}: {refused}");
    }
    let encrypted = "<manifest:manifest><manifest:file-entry manifest:full-path=\"content.xml\">\
                     <manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let odt =
        zipped(&[(MIMETYPE, ODT.as_bytes()), ("META-INF/manifest.xml", encrypted.as_bytes())]);
    assert_eq!(strip(ODT, &odt).unwrap_err(), StripError::Holds("encryption"));
    let zip = zipped(&[("notes.txt", b"words")]);
    let unknown = StripError::UnknownKind("application/zip".to_owned());
    assert_eq!(strip("application/zip", &zip).unwrap_err(), unknown);
}

#[test]
fn what_does_not_read_is_refused() {
    let docx = docx();
    let with = |xml: &[u8]| open_xml("word/document.xml", &[("word/document.xml", xml)]);
    for broken in [
        docx[..docx.len() / 2].to_vec(),
        Vec::new(),
        with(b"<w:document>"),
        with(b"<w:document></w:body>"),
        with(b"</w:document>"),
        with(b"<w:document w:author='x' w:author='y'/>"),
        with(b"\xFF\xFE<\0a\0/\0>\0"),
    ] {
        let refused = strip(DOCX, &broken).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { .. }), "{refused}");
    }
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_memory() {
    let bomb = zipped(&[("word/header1.xml", &[b' '; 600]), ("word/header2.xml", &[b' '; 401])]);
    let mut removed = Removed::default();
    assert!(read(&bomb, 1_001, &mut removed).is_ok());
    let refused = read(&bomb, 1_000, &mut removed).unwrap_err();
    assert!(refused.to_string().contains("too much"), "{refused}");
}

#[test]
fn what_attributes_say_is_kept_to_the_letter() {
    let xml = b"<a b='say \"x\"&#10;y &amp; z' c=\"d\"/>";
    let written =
        xml::filter(Family::OpenXml, "word/document.xml", xml, &mut Removed::default()).unwrap();
    assert!(holds(&written, b"<a b=\"say &quot;x&quot;&#10;y &amp; z\" c=\"d\"/>"));
}

#[test]
fn damage_is_survived() {
    survives_damage(DOCX, &docx(), 1_000);
    survives_damage(ODT, &odt(), 1_000);
}

/// Damage that a zip's checksums do not catch.
#[test]
fn damaged_xml_is_survived() {
    let document = parts_of(&docx())["word/document.xml"].clone();
    for at in 0..document.len() {
        for byte in *b"<>\"'&/ \0\xFF" {
            let mut damaged = document.clone();
            damaged[at] = byte;
            let mut removed = Removed::default();
            let filter = |xml: &[u8], removed: &mut Removed| {
                xml::filter(Family::OpenXml, "word/document.xml", xml, removed)
            };
            let Ok(once) = filter(&damaged, &mut removed) else { continue };
            let mut again = Removed::default();
            assert_eq!(filter(&once, &mut again).unwrap(), once);
            assert!(again.0.is_empty(), "{:?}", again.0);
        }
    }
}
