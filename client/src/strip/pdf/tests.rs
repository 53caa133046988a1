use image::ImageFormat;
use lopdf::{
    EncryptionState, EncryptionVersion, IncrementalDocument, Permissions, Stream, dictionary,
};

use super::*;
use crate::strip::tests::{MARKER, holds_marker, picture, pixels, stripped, survives_damage};
use crate::strip::{Stripped, strip};

const MEDIA: &str = "application/pdf";
const CONTENT: &[u8] = b"BT /F1 24 Tf 72 700 Td (Decision of the court) Tj ET /Im1 Do";

fn text(text: &str) -> Object {
    Object::string_literal(text)
}

fn marked() -> Object {
    text(MARKER)
}

/// In sixteen bits, as names that are not ASCII are written.
fn marked_wide() -> Object {
    let wide: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_be_bytes).collect();
    Object::String([b"\xFE\xFF".as_slice(), &wide].concat(), lopdf::StringFormat::Hexadecimal)
}

fn flate(dict: Dictionary, content: &[u8]) -> Stream {
    let mut stream = Stream::new(dict, [content, &[b' '; 300]].concat());
    stream.compress().unwrap();
    assert!(stream.is_compressed());
    stream
}

fn telling_jpeg() -> Vec<u8> {
    let jpeg = picture(ImageFormat::Jpeg);
    let len = u16::try_from(MARKER.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], b"\xFF\xFE", &len, MARKER.as_bytes(), &jpeg[2..]].concat()
}

fn xmp(doc: &mut Document) -> Object {
    let dict = dictionary! { "Type" => "Metadata", "Subtype" => "XML" };
    doc.add_object(flate(dict, format!("<x:xmpmeta>{MARKER}</x:xmpmeta>").as_bytes())).into()
}

fn image(doc: &mut Document) -> ObjectId {
    let profile = doc.add_object(flate(dictionary! { "N" => 3 }, MARKER.as_bytes()));
    let metadata = xmp(doc);
    let dict = dictionary! {
        "Type" => "XObject", "Subtype" => "Image", "Width" => 24, "Height" => 40,
        "ColorSpace" => vec!["ICCBased".into(), profile.into()], "BitsPerComponent" => 8,
        "Filter" => "DCTDecode", "Metadata" => metadata, "Maker" => marked(),
    };
    doc.add_object(Stream::new(dict, telling_jpeg()))
}

/// A page with a text, a picture and a note.
fn document() -> Document {
    let mut doc = Document::with_version("1.5");
    let pages = doc.new_object_id();
    let image = image(&mut doc);
    let metadata = xmp(&mut doc);
    let font = doc.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Courier", "Maker" => marked(), "Metadata" => metadata.clone(),
    });
    let content = doc.add_object(flate(dictionary! {}, CONTENT));
    let taken = dictionary! { "Author" => marked() };
    let drawing = doc.add_object(flate(
        dictionary! {
            "Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(); 4],
            "PTEX.FileName" => marked(), "PTEX.InfoDict" => taken,
        },
        b"0 0 m",
    ));
    let note = doc.add_object(dictionary! {
        "Type" => "Annot", "Subtype" => "Text", "Rect" => vec![0.into(), 0.into(), 9.into(), 9.into()],
        "Contents" => text("a note"), "T" => marked_wide(), "M" => text("D:20260301"), "NM" => marked(),
    });
    let link = doc.add_object(dictionary! {
        "Type" => "Annot", "Subtype" => "Link", "Rect" => vec![0.into(), 0.into(), 9.into(), 9.into()],
        "A" => dictionary! { "S" => "URI", "URI" => text(&format!("file:///home/{MARKER}")) },
    });
    let page = doc.add_object(dictionary! {
        "Type" => "Page", "Parent" => pages, "Contents" => content,
        "MediaBox" => vec![0.into(), 0.into(), 595.5.into(), 842.into()],
        "Resources" => dictionary! {
            "Font" => dictionary! { "F1" => font }, "XObject" => dictionary! { "Im1" => image, "Fm1" => drawing },
        },
        "Annots" => vec![note.into(), link.into()], "LastModified" => text("D:20260301"),
        "PieceInfo" => dictionary! { "Editor" => dictionary! { "Private" => marked() } },
        "VP" => vec![dictionary! { "Measure" => marked() }.into()], "Unknown" => marked(),
        "Metadata" => metadata,
    });
    doc.objects.insert(
        pages,
        dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 }.into(),
    );
    let file = doc.add_object(flate(dictionary! { "Type" => "EmbeddedFile" }, MARKER.as_bytes()));
    let metadata = xmp(&mut doc);
    let catalog = doc.add_object(dictionary! {
        "Type" => "Catalog", "Pages" => pages, "Metadata" => metadata, "Lang" => text("tr"),
        "Names" => dictionary! { "EmbeddedFiles" => dictionary! { "Names" => vec![
            marked(), dictionary! { "F" => marked(), "EF" => dictionary! { "F" => file } }.into(),
        ] } },
        "OutputIntents" => vec![dictionary! { "Info" => marked() }.into()],
        "AcroForm" => dictionary! { "Fields" => Vec::<Object>::new(), "XFA" => marked() },
    });
    let info = doc.add_object(dictionary! {
        "Author" => marked(), "Creator" => marked_wide(), "CreationDate" => text("D:20260301"),
    });
    doc.trailer.set("Root", catalog);
    doc.trailer.set("Info", info);
    doc.trailer.set("ID", vec![marked(), marked()]);
    doc.add_object(flate(dictionary! {}, MARKER.as_bytes()));
    doc
}

fn saved(mut doc: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    doc.save_to(&mut bytes).unwrap();
    bytes
}

/// A file with another author before, and something behind its end.
fn telling() -> Vec<u8> {
    let before = saved(document());
    let mut update =
        IncrementalDocument::create_from(before.clone(), Document::load_mem(&before).unwrap());
    let info = update.get_prev_documents().trailer.get(b"Info").unwrap().as_reference().unwrap();
    update.new_document.objects.insert(info, dictionary! { "Author" => text("nobody") }.into());
    let mut bytes = Vec::new();
    update.save_to(&mut bytes).unwrap();
    bytes.extend(MARKER.as_bytes());
    bytes
}

/// Whether the marker is in any text or stream of it, unpacked.
fn tells(bytes: &[u8]) -> bool {
    fn in_object(object: &Object) -> bool {
        match object {
            Object::String(text, _) | Object::Name(text) => holds_marker(text),
            Object::Array(items) => items.iter().any(in_object),
            Object::Dictionary(dict) => dict.iter().any(|(_, value)| in_object(value)),
            Object::Stream(stream) => {
                let plain = stream.get_plain_content().unwrap_or_default();
                holds_marker(&plain)
                    || holds_marker(&stream.content)
                    || stream.dict.iter().any(|(_, value)| in_object(value))
            }
            _ => false,
        }
    }
    holds_marker(bytes) || Document::load_mem(bytes).unwrap().objects.values().any(in_object)
}

fn page(doc: &Document) -> &Dictionary {
    doc.get_dictionary(doc.page_iter().next().unwrap()).unwrap()
}

#[test]
fn what_tells_of_its_maker_goes_and_the_pages_stay() {
    let telling = telling();
    assert!(tells(&telling));
    let Stripped { bytes, removed } = stripped(MEDIA, &telling);
    assert!(!tells(&bytes));
    let expected = [
        "annotation-authors",
        "application-data",
        "comment",
        "embedded-files",
        "icc",
        "local-paths",
        "old-revisions",
        "pdf-id",
        "pdf-info",
        "pdf-xmp",
        "piece-info",
        "place",
        "times",
        "trailing-data",
        "unused-objects",
    ];
    assert_eq!(removed, expected);
    assert_eq!(bytes.windows(5).filter(|window| window == b"%%EOF").count(), 1);
    let doc = Document::load_mem(&bytes).unwrap();
    assert_eq!(
        doc.trailer.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(),
        [b"Root".as_slice(), b"Size"]
    );
    assert_eq!(doc.get_pages().len(), 1);
    let content = doc.get_page_content(doc.page_iter().next().unwrap());
    assert!(content.starts_with(CONTENT));
    let annotations = doc.get_page_annotations(doc.page_iter().next().unwrap()).unwrap();
    assert_eq!(annotations[0].get(b"Contents").unwrap().as_str().unwrap(), b"a note");
    assert_eq!(page(&doc).get(b"MediaBox").unwrap().as_array().unwrap()[2], 595.5.into());
    let images = doc.get_page_images(doc.page_iter().next().unwrap()).unwrap();
    assert_eq!(images[0].color_space.as_deref(), Some("DeviceRGB"));
    assert_eq!(pixels(images[0].content), pixels(&telling_jpeg()));
}

#[test]
fn what_tells_nothing_has_nothing_removed() {
    let bare = stripped(MEDIA, &telling()).bytes;
    // Written by others: with streams of objects, and with other numbers.
    let mut doc = Document::load_mem(&bare).unwrap();
    doc.renumber_objects_with(50);
    let mut modern = Vec::new();
    doc.save_modern(&mut modern).unwrap();
    let again = stripped(MEDIA, &modern);
    assert_eq!(again.removed, Vec::<&str>::new());
    assert_eq!(Document::load_mem(&again.bytes).unwrap().get_pages().len(), 1);
}

/// The file, changed before it is saved.
fn changed(change: impl FnOnce(&mut Document)) -> Vec<u8> {
    let mut doc = document();
    change(&mut doc);
    saved(doc)
}

fn streams(doc: &mut Document, subtype: Option<&str>) -> Vec<ObjectId> {
    let wanted = |object: &Object| {
        object.as_stream().is_ok_and(|stream| {
            let found = stream.dict.get(b"Subtype").and_then(Object::as_name).ok();
            found == subtype.map(str::as_bytes)
        })
    };
    doc.objects.iter().filter(|(_, object)| wanted(object)).map(|(id, _)| *id).collect()
}

#[test]
fn a_jpeg_in_other_filters_is_stripped_too() {
    let file = changed(|doc| {
        let id = streams(doc, Some("Image"))[0];
        let stream = doc.get_object_mut(id).unwrap().as_stream_mut().unwrap();
        let mut packed = flate(dictionary! {}, &telling_jpeg());
        let filters = vec!["FlateDecode".into(), "DCTDecode".into()];
        stream.set_content(std::mem::take(&mut packed.content));
        stream.dict.set("Filter", filters);
        stream.dict.set("DecodeParms", vec![Object::Null, Object::Null]);
    });
    let Stripped { bytes, removed } = stripped(MEDIA, &file);
    assert!(removed.contains(&"comment") && removed.contains(&"trailing-data"));
    assert!(!tells(&bytes));
}

#[test]
fn what_stands_behind_the_end_of_a_stream_goes() {
    let file = changed(|doc| {
        for id in streams(doc, None) {
            let stream = doc.get_object_mut(id).unwrap().as_stream_mut().unwrap();
            stream.set_content([stream.content.as_slice(), MARKER.as_bytes()].concat());
        }
    });
    let Stripped { bytes, removed } = stripped(MEDIA, &file);
    assert!(removed.contains(&"trailing-data"));
    assert!(!tells(&bytes));
}

#[test]
fn a_signature_names_who_signed() {
    let file = changed(|doc| {
        let signature = doc.add_object(dictionary! { "Type" => "Sig", "Name" => marked() });
        let field = doc.add_object(dictionary! {
            "FT" => "Sig", "T" => text("Signature1"), "V" => signature, "Subtype" => "Widget",
            "Rect" => vec![0.into(), 0.into(), 9.into(), 9.into()],
        });
        let form = dictionary! { "Fields" => vec![field.into()], "SigFlags" => 3 };
        doc.catalog_mut().unwrap().set("AcroForm", form);
    });
    let Stripped { bytes, removed } = stripped(MEDIA, &file);
    assert!(removed.contains(&"signatures"));
    assert!(!tells(&bytes));
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let with_filter = |filter: &'static str| {
        changed(|doc| {
            let id = streams(doc, Some("Image"))[0];
            doc.get_object_mut(id).unwrap().as_stream_mut().unwrap().dict.set("Filter", filter);
        })
    };
    let inline = changed(|doc| {
        let id = streams(doc, None)[0];
        let drawing = [CONTENT, b" BI /F /DCT ID \xFF\xD8 EI"].concat();
        for id in [id, streams(doc, None)[1]] {
            *doc.get_object_mut(id).unwrap() = flate(dictionary! {}, &drawing).into();
        }
    });
    let encrypted = changed(|doc| {
        doc.trailer.set("ID", vec![text("0123456789abcdef"), text("0123456789abcdef")]);
        let version = EncryptionVersion::V2 {
            document: doc,
            owner_password: "owner",
            user_password: "",
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        doc.encrypt(&state).unwrap();
    });
    let film = changed(|doc| {
        let film = doc.add_object(dictionary! {
            "Subtype" => "Movie", "Rect" => vec![0.into(), 0.into(), 9.into(), 9.into()],
        });
        let page = doc.page_iter().next().unwrap();
        doc.get_dictionary_mut(page).unwrap().set("Annots", vec![film.into()]);
    });
    for (file, what) in [
        (with_filter("JPXDecode"), "JPEG 2000 pictures"),
        (inline, "pictures among the instructions that draw a page"),
        (encrypted, "encryption"),
        (film, "sounds, films or models"),
    ] {
        assert_eq!(strip(MEDIA, &file).unwrap_err(), StripError::Holds(what));
    }
}

/// Scans of paper in black and white.
#[test]
fn a_jbig2_picture_with_words_in_it_is_refused() {
    let words = [&[0, 0, 0, 9, 62, 0, 1, 0, 0, 0, 4], b"name".as_slice()].concat();
    let page = [[0, 0, 0, 0, 48, 0, 1, 0, 0, 0, 19].as_slice(), &[0; 19]].concat();
    let with = |picture: &[u8], shared: &[u8]| {
        changed(|doc| {
            let shared = doc.add_object(Stream::new(dictionary! {}, shared.to_vec()));
            let id = streams(doc, Some("Image"))[0];
            let stream = doc.get_object_mut(id).unwrap().as_stream_mut().unwrap();
            stream.set_content(picture.to_vec());
            stream.dict.set("Filter", "JBIG2Decode");
            stream.dict.set("DecodeParms", dictionary! { "JBIG2Globals" => shared });
        })
    };
    let kept = stripped(MEDIA, &with(&page, &page)).bytes;
    let doc = Document::load_mem(&kept).unwrap();
    let images = doc.get_page_images(doc.page_iter().next().unwrap()).unwrap();
    assert_eq!(images[0].content, page);
    for (picture, shared) in [(&words, &page), (&page, &words)] {
        let refused = strip(MEDIA, &with(picture, shared)).unwrap_err();
        assert_eq!(refused, StripError::Holds("words in JBIG2 pictures"));
    }
}

#[test]
fn what_does_not_read_is_refused() {
    let file = saved(document());
    let damaged = changed(|doc| {
        for id in streams(doc, None) {
            let stream = doc.get_object_mut(id).unwrap().as_stream_mut().unwrap();
            let half = stream.content.len() / 2;
            stream.set_content(stream.content[..half].to_vec());
        }
    });
    for broken in [&file[..file.len() / 2], b"%PDF-1.7", b"", &damaged] {
        let refused = strip(MEDIA, broken).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { kind: "PDF", .. }), "{refused}");
    }
}

#[test]
fn damage_is_survived() {
    survives_damage(MEDIA, &telling(), 2_000);
}
