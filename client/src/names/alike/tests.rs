use super::*;

#[test]
fn handles_that_nobody_tells_apart_read_alike() {
    for (one, other) in [
        ("baran", "b\u{430}ran"),
        ("Isla", "lsla"),
        ("isla", "\u{456}sla"),
        ("mira", "rnira"),
        ("n0or", "nOor"),
        ("\u{633}\u{648}\u{633}\u{6cc}", "\u{633}\u{648}\u{633}\u{64a}"),
        ("k-7", "k\u{2010}7"),
        ("Ali", "\u{ff21}li"),
        ("baran", "Baran"),
    ] {
        assert!(reads_like(one, other), "{one} {other}");
        assert!(reads_like(other, one), "{other} {one}");
    }
}

#[test]
fn handles_that_differ_do_not() {
    for (one, other) in
        [("baran", "bara"), ("isla", "mira"), ("\u{15f}irin", "shirin"), ("heron", "heron-2")]
    {
        assert!(!reads_like(one, other), "{one} {other}");
    }
}

#[test]
fn a_word_of_two_scripts_is_told_and_two_words_of_one_each_are_not() {
    for mixed in ["b\u{430}ran", "isla\u{3b1}", "\u{633}a"] {
        assert!(mixes_scripts(mixed), "{mixed}");
    }
    for sound in [
        "isla",
        "\u{15f}irin-7",
        "\u{633}\u{648}\u{633}\u{646}",
        "baran \u{633}\u{648}",
        "東京タワー",
    ] {
        assert!(!mixes_scripts(sound), "{sound}");
    }
}

#[test]
fn the_same_handle_is_no_lookalike() {
    assert_eq!(warnings("baran", ["baran", "isla"]), Vec::<String>::new());
    let told = warnings("b\u{430}ran", ["baran", "isla"]);
    assert!(told[0].contains("reads like baran") && told[1].contains("script"), "{told:?}");
    assert_eq!(told.len(), 2);
}
