use image::{ImageDecoder, ImageFormat, ImageReader};

use crate::strip::tests::{
    MARKER, holds, holds_marker, picture, pixels, stripped, survives_damage, tiff,
};
use crate::strip::{StripError, strip};

const MEDIA: &str = "image/webp";

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    super::push(&mut chunk, *kind, data);
    chunk
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".as_slice(), &chunks.concat()].concat();
    [b"RIFF", super::len_of(body.len()).as_slice(), &body].concat()
}

/// The chunk that is the picture.
fn image() -> Vec<u8> {
    let picture = picture(ImageFormat::WebP);
    assert_eq!(&picture[12..16], b"VP8L");
    picture[12..].to_vec()
}

fn head(flags: u8) -> Vec<u8> {
    chunk(b"VP8X", &[flags, 1, 2, 3, 23, 0, 0, 39, 0, 0])
}

fn telling() -> Vec<u8> {
    let marker = MARKER.as_bytes();
    let mut file = file(&[
        head(0x2C),
        chunk(b"ICCP", marker),
        image(),
        chunk(b"EXIF", &tiff(6)),
        chunk(b"XMP ", marker),
        chunk(b"MAKR", marker),
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
    let removed = ["application-data", "exif", "icc", "trailing-data", "xmp"];
    assert_eq!(stripped.removed, removed);
    assert_eq!(pixels(&stripped.bytes), pixels(&picture(ImageFormat::WebP)));
    // Only how it lies is still said.
    assert_eq!(stripped.bytes[20..24], [0x08, 0, 0, 0]);
    let reader = ImageReader::with_format(std::io::Cursor::new(&stripped.bytes), ImageFormat::WebP);
    let orientation = reader.into_decoder().unwrap().orientation().unwrap();
    assert_eq!(orientation.to_exif(), 6);
}

#[test]
fn a_picture_that_tells_nothing_is_left_as_it_is() {
    let bare = picture(ImageFormat::WebP);
    let stripped = stripped(MEDIA, &bare);
    assert_eq!((stripped.bytes, stripped.removed), (bare, vec![]));
}

#[test]
fn a_picture_without_a_head_has_nothing_behind_it() {
    let telling = file(&[image(), chunk(b"EXIF", &tiff(1))]);
    let stripped = stripped(MEDIA, &telling);
    assert_eq!((stripped.bytes, stripped.removed), (file(&[image()]), vec!["application-data"]));
}

#[test]
fn the_frames_of_a_film_are_kept_and_nothing_in_them() {
    let marker = MARKER.as_bytes();
    let mut frame = vec![0; super::FRAME_BYTES];
    (frame[6], frame[9], frame[12]) = (23, 39, 100);
    let telling = [frame.clone(), chunk(b"MAKR", marker), image()].concat();
    let bare = [frame, image()].concat();
    let film = |frames: &[Vec<u8>], flags| {
        let mut chunks = vec![head(flags), chunk(b"ANIM", &[0; 6])];
        chunks.extend(frames.iter().map(|frame| chunk(b"ANMF", frame)));
        file(&chunks)
    };
    let stripped = stripped(MEDIA, &film(&[bare.clone(), telling], 0x02));
    assert_eq!(stripped.removed, ["application-data"]);
    let mut expected = film(&[bare.clone(), bare], 0x02);
    expected[21..24].fill(0);
    assert_eq!(stripped.bytes, expected);
    assert!(!holds(&stripped.bytes, b"MAKR"));
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    let whole = picture(ImageFormat::WebP);
    let two = file(&[head(0), image(), image()]);
    let none = file(&[head(0), chunk(b"EXIF", &tiff(6))]);
    let short = file(&[chunk(b"VP8X", &[0; 9]), image()]);
    for broken in [&whole[..whole.len() - 9], &two, &none, &short, &whole[..12], b""] {
        let refused = strip(MEDIA, broken).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { kind: "WebP", .. }), "{refused}");
    }
}

#[test]
fn damage_is_survived() {
    survives_damage(MEDIA, &telling(), 2_000);
}

#[test]
fn a_picture_of_countless_pieces_is_refused() {
    let mut file = file(&[head(0), image()]);
    file.extend(b"MAKR\0\0\0\0".repeat(crate::strip::CHUNKS_MAX));
    let len = super::len_of(file.len() - 8);
    file[4..8].copy_from_slice(&len);
    assert!(strip(MEDIA, &file).unwrap_err().to_string().contains("too many"));
}
