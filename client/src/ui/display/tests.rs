use super::*;

fn line(text: &str) -> String {
    Untrusted::line(text).to_string()
}

#[test]
fn ordinary_text_of_any_script_is_shown_as_it_is() {
    for text in ["baran", "Ağır Ceza", "سوسن", "می\u{200c}خواهم", "क्\u{200d}ष", "刘", "é"]
    {
        assert_eq!(line(text), text);
    }
}

#[test]
fn escapes_overrides_and_invisible_characters_are_made_visible() {
    let shown = [
        ("\u{1b}[2J", "<U+001B>[2J"),
        ("\u{9b}31m", "<U+009B>31m"),
        ("a\u{202e}b", "a<U+202E>b"),
        ("a\u{2066}b\u{2069}", "a<U+2066>b<U+2069>"),
        ("ba\u{200b}ran", "ba<U+200B>ran"),
        ("ba\u{200d}ran", "ba<U+200D>ran"),
        ("\u{200c}می", "<U+200C>می"),
        ("\u{feff}x\u{e0041}", "<U+FEFF>x<U+E0041>"),
        ("x\r\n\t\u{7f}\0", "x<U+000D><U+000A><U+0009><U+007F><U+0000>"),
    ];
    for (text, expected) in shown {
        assert_eq!(line(text), expected);
    }
}

#[test]
fn text_keeps_its_lines_and_tabs_and_nothing_else() {
    assert_eq!(Untrusted::text("a\n\tb\r\u{7}").to_string(), "a\n\tb<U+000D><U+0007>");
}
