use image::ImageFormat;

use crate::strip::tests::{
    MARKER, holds, holds_marker, picture, pixels, stripped, survives_damage,
};
use crate::strip::{StripError, strip};

const MEDIA: &str = "image/gif";

fn extension(label: u8, blocks: &[&[u8]]) -> Vec<u8> {
    let mut extension = vec![0x21, label];
    blocks.iter().for_each(|block| super::push(&mut extension, block));
    extension.push(0);
    extension
}

/// The picture, with these blocks before its own.
fn with(blocks: &[Vec<u8>]) -> Vec<u8> {
    let picture = picture(ImageFormat::Gif);
    let at = 13 + super::table_bytes(picture[10]);
    [&picture[..at], &blocks.concat(), &picture[at..]].concat()
}

fn telling() -> Vec<u8> {
    let marker = MARKER.as_bytes();
    let mut file = with(&[
        extension(0xFF, &[super::LOOP, &[1, 0, 0]]),
        extension(0xFF, &[super::LOOP, marker]),
        extension(0xFF, &[super::LOOP, &[1, 0, 0], marker]),
        extension(0xFF, &[b"XMP DataXMP", marker]),
        extension(0xFF, &[b"ICCRGBG1012", marker]),
        extension(0xFE, &[marker, marker]),
        extension(0x01, &[&[0; 12], marker]),
        extension(0x77, &[marker]),
    ]);
    file.extend(marker);
    file
}

#[test]
fn what_tells_of_its_maker_goes_and_the_picture_stays() {
    let telling = telling();
    assert!(holds_marker(&telling));
    let stripped = stripped(MEDIA, &telling);
    assert!(!holds_marker(&stripped.bytes));
    assert_eq!(stripped.removed, ["application-data", "comment", "icc", "trailing-data", "xmp"]);
    assert_eq!(pixels(&stripped.bytes), pixels(&picture(ImageFormat::Gif)));
    assert!(holds(&stripped.bytes, &extension(0xFF, &[super::LOOP, &[1, 0, 0]])));
}

#[test]
fn a_picture_that_tells_nothing_is_left_as_it_is() {
    let bare = picture(ImageFormat::Gif);
    let stripped = stripped(MEDIA, &bare);
    assert_eq!((stripped.bytes, stripped.removed), (bare, vec![]));
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    let whole = picture(ImageFormat::Gif);
    let long = with(&[extension(super::GRAPHIC_CONTROL, &[MARKER.as_bytes()])]);
    let empty = [&whole[..13 + super::table_bytes(whole[10])], b"\x3B"].concat();
    for broken in [&whole[..whole.len() - 1], &long, &empty, &whole[..6], b""] {
        let refused = strip(MEDIA, broken).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { kind: "GIF", .. }), "{refused}");
    }
}

#[test]
fn damage_is_survived() {
    survives_damage(MEDIA, &telling(), 2_000);
}
