use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::strip::tests::{
    MARKER, holds, holds_marker, picture, pixels, stripped, survives_damage, tiff,
};
use crate::strip::{StripError, strip};

const MEDIA: &str = "image/jpeg";

fn segment(marker: u8, parts: &[&[u8]]) -> Vec<u8> {
    let data = parts.concat();
    let len = u16::try_from(data.len() + 2).unwrap();
    [&[0xFF, marker], len.to_be_bytes().as_slice(), &data].concat()
}

/// A picture with these segments behind its first two bytes.
fn with(segments: &[Vec<u8>]) -> Vec<u8> {
    let picture = picture(ImageFormat::Jpeg);
    [&picture[..2], &segments.concat(), &picture[2..]].concat()
}

fn exif(orientation: u8) -> Vec<u8> {
    segment(0xE1, &[b"Exif\0\0", &tiff(orientation)])
}

/// Everything that a telephone and those who worked on its picture leave in it.
fn telling() -> Vec<u8> {
    let marker = MARKER.as_bytes();
    let wide: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut file = with(&[
        exif(6),
        segment(0xE0, &[b"JFXX\0\x10", marker]),
        segment(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>", marker]),
        segment(0xE1, &[b"http://ns.adobe.com/xmp/extension/\0", &[b'0'; 40], marker]),
        segment(0xE1, &[b"something of a maker", &wide]),
        segment(0xE2, &[b"ICC_PROFILE\0\x01\x01", marker]),
        segment(0xE2, &[b"MPF\0", marker]),
        segment(0xEB, &[b"JP\0\x01", marker]),
        segment(0xED, &[b"Photoshop 3.0\08BIM\x04\x04", marker]),
        segment(0xFE, &[marker]),
    ]);
    // The film that was taken with it, and the marker between a marker's fill bytes.
    file.extend([b"\0\0\0\x18ftypmp42", marker].concat());
    file
}

#[test]
fn what_tells_of_its_maker_goes_and_the_picture_stays() {
    let telling = telling();
    assert!(holds_marker(&telling));
    let stripped = stripped(MEDIA, &telling);
    assert!(!holds_marker(&stripped.bytes));
    let removed = [
        "application-data",
        "comment",
        "exif",
        "icc",
        "iptc",
        "more-pictures",
        "thumbnail",
        "trailing-data",
        "xmp",
    ];
    assert_eq!(stripped.removed, removed);
    assert_eq!(pixels(&stripped.bytes), pixels(&telling));
}

#[test]
fn a_picture_on_its_side_still_lies_as_it_did() {
    let lies = |bytes: &[u8]| {
        let reader = ImageReader::with_format(std::io::Cursor::new(bytes), ImageFormat::Jpeg);
        let mut decoder = reader.into_decoder().unwrap();
        let orientation = decoder.orientation().unwrap();
        let mut image = DynamicImage::from_decoder(decoder).unwrap();
        image.apply_orientation(orientation);
        (orientation.to_exif(), image.into_rgb8().into_raw())
    };
    for orientation in 1..=8 {
        let file = with(&[exif(orientation)]);
        let stripped = stripped(MEDIA, &file);
        assert_eq!(stripped.removed, ["exif"]);
        assert_eq!(lies(&stripped.bytes), lies(&file));
        assert_eq!(lies(&stripped.bytes).0, orientation);
        assert_eq!(holds(&stripped.bytes, b"Exif"), orientation != 1);
    }
    // Nonsense is no orientation.
    for orientation in [0, 9, 255] {
        let stripped = stripped(MEDIA, &with(&[exif(orientation)]));
        assert!(!holds(&stripped.bytes, b"Exif"));
    }
}

#[test]
fn of_what_the_colours_depend_on_only_that_is_kept() {
    let jfif = segment(0xE0, &[b"JFIF\0\x01\x02\x01\0\x48\0\x48\x08\x01", MARKER.as_bytes()]);
    let adobe = segment(0xEE, &[b"Adobe\0\x64\x12\x34\x56\x78\x01", MARKER.as_bytes()]);
    let stripped = stripped(MEDIA, &with(&[jfif, adobe]));
    assert!(!holds_marker(&stripped.bytes));
    assert_eq!(stripped.removed, ["encoder-settings", "resolution", "thumbnail"]);
    assert!(holds(&stripped.bytes, b"\xFF\xE0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0"));
    assert!(holds(&stripped.bytes, b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\x01"));
}

#[test]
fn a_picture_that_tells_nothing_is_left_as_it_is() {
    let bare = stripped(MEDIA, &picture(ImageFormat::Jpeg)).bytes;
    assert_eq!(pixels(&bare), pixels(&picture(ImageFormat::Jpeg)));
}

#[test]
fn nothing_hides_in_a_segment_that_is_kept() {
    let file = picture(ImageFormat::Jpeg);
    for marker in [0xC0, 0xC4, 0xDB, 0xDA] {
        let at = file.windows(2).position(|window| window == [0xFF, marker]).unwrap();
        let len = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        let longer = u16::try_from(len + MARKER.len()).unwrap().to_be_bytes();
        let (before, after) = file.split_at(at + 2 + len);
        let mut hiding = [before, MARKER.as_bytes(), after].concat();
        hiding[at + 2..at + 4].copy_from_slice(&longer);
        assert!(strip(MEDIA, &hiding).is_err(), "{marker:x}");
    }
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    let file = picture(ImageFormat::Jpeg);
    let hierarchical = with(&[segment(0xDE, &[&[8, 0, 1, 0, 1, 1, 1, 0x11, 0]])]);
    for broken in [&file[..file.len() - 2], &file[..100], &file[..2], b"", &hierarchical] {
        let refused = strip(MEDIA, broken).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { kind: "JPEG", .. }), "{refused}");
    }
    // Nothing but what tells of its maker.
    let empty = [b"\xFF\xD8".as_slice(), &exif(6), b"\xFF\xD9"].concat();
    assert!(strip(MEDIA, &empty).is_err());
}

#[test]
fn damage_is_survived() {
    survives_damage(MEDIA, &telling(), 2_000);
}
