use super::*;

#[test]
fn ordinary_text_is_shown_as_it_is() {
    for plain in ["/var/lib/sealpost", "it's \"C:\\x\"", "Ağır Ceza", "سوسن", "刘", "é"] {
        assert_eq!(line(plain), plain);
        assert_eq!(text(plain), plain);
        assert_eq!(json(plain), plain);
    }
}

#[test]
fn escapes_overrides_and_what_nobody_sees_are_made_visible() {
    assert_eq!(line("\u{1b}[2J\u{9b}31m"), "<U+001B>[2J<U+009B>31m");
    assert_eq!(line("a\u{202e}b\u{200b}\u{301}\u{3164}"), "a<U+202E>b<U+200B><U+0301><U+3164>");
    assert_eq!(line("a\r\n\tb"), "a<U+000D><U+000A><U+0009>b");
    assert_eq!(text("a\r\n\tb\u{7}"), "a<U+000D>\n\tb<U+0007>");
}

#[test]
fn json_stays_the_same_string() {
    let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{e0041}\"\\";
    let shown = json(&serde_json::to_string(hostile).unwrap());
    assert!(shown.is_ascii(), "{shown}");
    assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), hostile);
}
