use proptest::prelude::*;

use super::*;
use crate::vectors::for_each_vector;

fn check<'a>(rule: &str, file: &'a [u8]) -> Result<AgeHeader<'a>, PeerAgeHeaderError> {
    match rule.split_once(' ') {
        None => check_record(file),
        Some((_, readers)) => check_hybrid(file, readers.parse().unwrap()),
    }
}

#[test]
fn the_age_header_vectors_come_out_as_they_say() {
    for_each_vector("age-header", |vector| {
        vector.assert(check(vector.field("check"), vector.body_bytes()));
    });
}

#[test]
fn stanzas_and_payload_are_found() {
    let file = b"age-encryption.org/v1\n-> a b c\nAAAA\n-> d\n\n\
        --- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\npayload";
    let header = parse(file, 256).unwrap();
    let [first, second] = header.stanzas() else { panic!("two stanzas") };
    assert_eq!((first.kind(), first.args().collect::<Vec<_>>()), ("a", vec!["b", "c"]));
    assert_eq!((first.body_bytes(), second.body_bytes()), (3, 0));
    assert_eq!((second.kind(), second.args().count()), ("d", 0));
    assert_eq!(&file[header.payload_offset()..], b"payload");
}

/// Honest: 33 stanzas of one line. Bomb: a mebibyte of them, in four shapes.
#[test]
fn a_header_bomb_is_refused_at_the_limit() {
    let version = "age-encryption.org/v1\n";
    for (stanza, expected) in [
        ("-> a\n\n", PeerAgeHeaderError::TooManyStanzas { max: STANZAS_MAX }),
        ("-> a b c d e f g h i\nAAAA\n", PeerAgeHeaderError::TooManyStanzas { max: STANZAS_MAX }),
        ("a", PeerAgeHeaderError::HeaderTooLong { max: 8_192 }),
    ] {
        let bomb = [version, &stanza.repeat((1 << 20) / stanza.len())].concat();
        assert_eq!(parse(bomb.as_bytes(), 8_192).unwrap_err(), expected, "{stanza:?}");
        // What lies beyond the limit changes nothing, so nobody looked at it.
        let window = &bomb.as_bytes()[..8_192 + 1];
        assert_eq!(parse(window, 8_192).unwrap_err(), expected, "{stanza:?}");
        let record = check_record(&bomb.as_bytes()[..256]).unwrap_err();
        assert_eq!(check_record(bomb.as_bytes()).unwrap_err(), record, "{stanza:?}");
    }
    let one_stanza = [version, "-> a\n", &format!("{}\n", "A".repeat(64)).repeat(1 << 14)].concat();
    assert_eq!(
        parse(one_stanza.as_bytes(), 1 << 20).unwrap_err(),
        PeerAgeHeaderError::StanzaTooLong { max: limits::STANZA_BYTES_MAX }
    );
    let honest = [version, &"-> a\n\n".repeat(STANZAS_MAX)].concat()
        + "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    assert_eq!(parse(honest.as_bytes(), 8_192).unwrap().stanzas().len(), STANZAS_MAX);
}

#[test]
fn the_length_of_the_plaintext_follows_from_the_files() {
    let header = |payload_bytes| AgeHeader { stanzas: vec![], header_bytes: 0, payload_bytes };
    let chunk = 64 * 1024;
    for (payload, plaintext) in [
        (16 + 16, Some(0)),
        (16 + 17, Some(1)),
        (16 + chunk + 16, Some(chunk)),
        (16 + chunk + 16 + 17, Some(chunk + 1)),
        (16 + 2 * (chunk + 16), Some(2 * chunk)),
        (15, None),
        (16, None),
        (16 + 15, None),
        // A second chunk must hold something.
        (16 + chunk + 16 + 16, None),
        (16 + chunk + 16 + 1, None),
    ] {
        assert_eq!(header(payload).plaintext_bytes().ok(), plaintext, "{payload}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, max in 0_usize..600) {
        let after_version = [VERSION_LINE, &bytes].concat();
        for file in [bytes, after_version] {
            let _ = parse(&file, max);
            let _ = check_record(&file);
            let _ = check_hybrid(&file, max);
        }
    }

    /// Text of the header's own alphabet gets deeper into the parser than noise does.
    #[test]
    fn no_text_makes_it_panic(text in "(-> ?[ab]{0,3}( [!-~]{0,4}){0,3}\n([A-Za-z/+]{0,64}\n){0,3}|--- ?[AEQ]{41,45}\n){0,6}") {
        let file = [VERSION_LINE, text.as_bytes()].concat();
        if let Ok(header) = parse(&file, 4_096) {
            prop_assert!(header.payload_offset() <= file.len());
            prop_assert!(!header.stanzas().is_empty());
        }
    }
}
