use super::*;

/// By hand: RFC 9496 §4.3.4 of HKDF-SHA256's 64 bytes, in Python.
#[test]
fn the_second_generator_is_the_one_the_spec_shows() {
    let shown = data_encoding::HEXLOWER.encode(SECOND_GENERATOR.compress().as_bytes());
    assert_eq!(shown, "d4de767d7ca473e28dc3bcea6fb57757ababa2b5a51aacf6097dbfdb887c3371");
}
