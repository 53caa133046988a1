use super::*;

fn segment(number: u32, flags: u8, referred: &[u8], data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&number.to_be_bytes(), [flags].as_slice(), referred, &[1], &len, data].concat()
}

fn picture() -> Vec<u8> {
    let page = segment(0, 48, &[0], &[0; 19]);
    // It refers to two others, in the long form.
    let region = segment(300, 38, &[0xE0, 0, 0, 2, 0, 0, 1, 0, 2], &[9; 30]);
    [page, region, segment(2, 49, &[0], b"")].concat()
}

#[test]
fn what_shows_a_picture_is_known() {
    assert_eq!(is_bare(&picture()), Ok(true));
    assert_eq!(is_bare(&[picture().as_slice(), b"\r\n"].concat()), Ok(true));
    assert_eq!(is_bare(b""), Ok(true));
}

#[test]
fn an_extension_may_hold_words() {
    let words = segment(3, 62, &[0x20, 1], b"\x20\0\0\0Author\0Marker\0\0");
    assert_eq!(is_bare(&[picture(), words].concat()), Ok(false));
}

#[test]
fn what_does_not_read_is_refused() {
    let whole = picture();
    let endless = [&0_u32.to_be_bytes(), [38, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF].as_slice()].concat();
    let many = [&0_u32.to_be_bytes(), [38, 0xFF, 0xFF, 0xFF, 0xFF].as_slice()].concat();
    for broken in [&whole[..whole.len() - 1], &whole[..20], &endless, &many] {
        assert!(is_bare(broken).is_err());
    }
}
