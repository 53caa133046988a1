use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::ImageFormat;

use super::checksum;
use crate::strip::tests::{
    MARKER, holds, holds_marker, picture, pixels, stripped, survives_damage, tiff,
};
use crate::strip::{StripError, strip};

const MEDIA: &str = "image/png";
/// The signature and the head.
const HEAD_BYTES: usize = 8 + 25;
const END_BYTES: usize = 12;

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap().to_be_bytes();
    [len.as_slice(), &kind, data, &checksum(kind, data)].concat()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn with(chunks: &[Vec<u8>]) -> Vec<u8> {
    let picture = picture(ImageFormat::Png);
    [&picture[..HEAD_BYTES], &chunks.concat(), &picture[HEAD_BYTES..]].concat()
}

/// Behind its pixels.
fn with_behind(chunks: &[Vec<u8>]) -> Vec<u8> {
    let picture = picture(ImageFormat::Png);
    let (picture, end) = picture.split_at(picture.len() - END_BYTES);
    [picture, &chunks.concat(), end].concat()
}

/// A picture of one red pixel, with these chunks before and behind its own.
fn pixel(data: &[u8], before: &[Vec<u8>], behind: &[Vec<u8>]) -> Vec<u8> {
    let head = chunk(*b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
    let end = chunk(*b"IEND", b"");
    let data = chunk(*b"IDAT", data);
    [super::SIGNATURE, &head, &before.concat(), &data, &behind.concat(), &end].concat()
}

const RED: [u8; 4] = [0, 255, 0, 0];

fn telling() -> Vec<u8> {
    let marker = MARKER.as_bytes();
    let packed = zlib(marker);
    let mut file = with(&[
        chunk(*b"pHYs", &[0, 0, 11, 19, 0, 0, 11, 19, 1]),
        chunk(*b"iCCP", &[b"of a screen\0\0", packed.as_slice()].concat()),
        chunk(*b"eXIf", &tiff(6)),
        chunk(*b"tEXt", &[b"Author\0", marker].concat()),
        chunk(*b"zTXt", &[b"Author\0\0", packed.as_slice()].concat()),
        chunk(*b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", marker].concat()),
        chunk(*b"tIME", &[7, 234, 3, 1, 12, 30, 0]),
        chunk(*b"maKr", marker),
        chunk(*b"gAMA", &[0, 0, 0xB1, 0x8F]),
    ]);
    file.extend(marker);
    file
}

#[test]
fn what_tells_of_its_maker_goes_and_the_picture_stays() {
    let telling = telling();
    let packed = zlib(MARKER.as_bytes());
    assert!(holds_marker(&telling) && holds(&telling, &packed));
    let stripped = stripped(MEDIA, &telling);
    assert!(!holds_marker(&stripped.bytes) && !holds(&stripped.bytes, &packed));
    let removed =
        ["application-data", "exif", "icc", "resolution", "text", "time", "trailing-data"];
    assert_eq!(stripped.removed, removed);
    assert_eq!(pixels(&stripped.bytes), pixels(&picture(ImageFormat::Png)));
    let kinds = [b"gAMA", b"eXIf", b"IDAT", b"IEND"];
    assert!(kinds.iter().all(|kind| holds(&stripped.bytes, kind.as_slice())));
    assert!(!holds(&stripped.bytes, b"tIME"));
}

#[test]
fn a_picture_that_tells_nothing_is_left_as_it_is() {
    let bare = picture(ImageFormat::Png);
    let stripped = stripped(MEDIA, &bare);
    assert_eq!((stripped.bytes, stripped.removed), (bare, vec![]));
}

/// Editors of screenshots have left the rest of what was cut off there.
#[test]
fn what_stands_behind_the_pixels_among_them_goes() {
    let rest = [zlib(&RED).as_slice(), MARKER.as_bytes()].concat();
    let files = [
        pixel(&rest, &[], &[]),
        pixel(&zlib(&RED), &[], &[chunk(*b"IDAT", MARKER.as_bytes())]),
        with_behind(&[chunk(*b"IDAT", MARKER.as_bytes())]),
    ];
    for file in files {
        assert!(holds_marker(&file));
        let stripped = stripped(MEDIA, &file);
        assert_eq!(stripped.removed, ["trailing-data"]);
        assert!(!holds_marker(&stripped.bytes));
        assert_eq!(pixels(&stripped.bytes), pixels(&file));
    }
    // More rows than the picture has.
    let longer = zlib(&[&RED, MARKER.as_bytes()].concat());
    assert!(strip(MEDIA, &pixel(&longer, &[], &[])).is_err());
}

#[test]
fn the_frames_of_a_film_are_kept() {
    let control = |number: u8| {
        let mut control = vec![0, 0, 0, number, 0, 0, 0, 1, 0, 0, 0, 1];
        control.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0]);
        chunk(*b"fcTL", &control)
    };
    let frame = |data: &[u8]| chunk(*b"fdAT", &[&[0, 0, 0, 2], data].concat());
    let film = |data: &[u8]| {
        let before = [chunk(*b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), control(0)];
        pixel(&zlib(&RED), &before, &[control(1), frame(data)])
    };
    let kept = film(&zlib(&[0, 0, 0, 255]));
    let stripped = stripped(MEDIA, &kept);
    assert_eq!((stripped.bytes, stripped.removed), (kept, vec![]));
    let hiding = film(&[zlib(&RED).as_slice(), MARKER.as_bytes()].concat());
    assert!(strip(MEDIA, &hiding).is_err());
}

#[test]
fn what_each_kind_of_pixels_takes_is_known() {
    use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgba};
    let size = (13, 7);
    let images: [DynamicImage; 4] = [
        ImageBuffer::from_pixel(size.0, size.1, Luma([9_u8])).into(),
        ImageBuffer::from_pixel(size.0, size.1, LumaA([9_u16, 7])).into(),
        ImageBuffer::from_pixel(size.0, size.1, Rgba([1_u8, 2, 3, 4])).into(),
        ImageBuffer::from_pixel(size.0, size.1, Rgba([1_u16, 2, 3, 4])).into(),
    ];
    for image in images {
        let mut bytes = Vec::new();
        image.write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        assert_eq!(pixels(&stripped(MEDIA, &bytes).bytes), image.into_rgba8().into_raw());
    }
    // One bit a pixel, interlaced, five by five: passes of 1, 1, 1, 2, 1, 3 and 2 rows.
    let header = super::Header { width: 5, height: 5, colour: 0, pixel_bits: 1, interlaced: true };
    assert_eq!(header.unpacked(5, 5), 2 * (1 + 1 + 1 + 2 + 1 + 3 + 2));
    assert_eq!(header.unpacked(1, 1), 2);
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    let file = picture(ImageFormat::Png);
    let mut flipped = file.clone();
    flipped[HEAD_BYTES + 20] ^= 1;
    let twice = pixel(&zlib(&RED), &vec![chunk(*b"gAMA", &[0, 0, 1, 1]); 2], &[]);
    let long = pixel(&zlib(&RED), &[chunk(*b"gAMA", MARKER.as_bytes())], &[]);
    let empty = pixel(b"", &[], &[]);
    for broken in [&file[..file.len() - 1], &flipped, &twice, &long, &empty, &file[..8], b""] {
        let refused = strip(MEDIA, broken).unwrap_err();
        assert!(matches!(refused, StripError::Malformed { kind: "PNG", .. }), "{refused}");
    }
    // A picture that would take all memory is refused before it is unpacked.
    let mut large = pixel(&zlib(&RED), &[], &[]);
    large[16..24].fill(0x7F);
    let sum = checksum(*b"IHDR", &large[16..29]);
    large[29..33].copy_from_slice(&sum);
    assert!(strip(MEDIA, &large).unwrap_err().to_string().contains("too large"));
}

#[test]
fn damage_is_survived() {
    survives_damage(MEDIA, &telling(), 2_000);
}
