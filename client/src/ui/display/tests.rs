use proptest::prelude::*;
use vte::{Params, Parser, Perform};

use super::*;

/// A terminal that counts what it is told to do.
#[derive(Default)]
struct Terminal {
    printed: String,
    actions: Vec<String>,
}

impl Terminal {
    fn shows(bytes: &[u8]) -> Self {
        let mut terminal = Self::default();
        let mut parser = Parser::new();
        parser.advance(&mut terminal, bytes);
        // What is unfinished would swallow this.
        parser.advance(&mut terminal, b"|");
        terminal
    }
}

impl Perform for Terminal {
    fn print(&mut self, char: char) {
        self.printed.push(char);
    }
    fn execute(&mut self, byte: u8) {
        self.actions.push(format!("execute {byte:#04x}"));
    }
    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.actions.push(format!("hook {action}"));
    }
    fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
        self.actions.push("OSC".to_owned());
    }
    fn csi_dispatch(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.actions.push(format!("CSI {action}"));
    }
    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.actions.push(format!("ESC {byte:#04x}"));
    }
}

/// The strings of the corpus.
fn corpus() -> Vec<String> {
    let cases = include_str!("../../../testdata/display/corpus.txt").lines();
    let cases = cases.filter(|line| !line.is_empty() && !line.starts_with('#'));
    cases.map(|line| serde_json::from_str(line).expect("a JSON string a line")).collect()
}

/// Text in which every other character is one that terminals or readers stumble over.
fn nasty() -> impl Strategy<Value = String> {
    let hot = prop_oneof![
        Just('\u{1b}'),
        Just('['),
        Just(']'),
        Just('\u{7}'),
        Just('\u{9b}'),
        Just('\u{9d}'),
        Just('\u{9c}'),
        Just('\u{90}'),
        Just('\u{200c}'),
        Just('\u{200d}'),
        Just('م'),
        Just('\u{301}'),
        Just('\n'),
        Just('\r'),
        Just('m'),
        Just('2'),
        Just(';'),
        Just('P'),
        Just('\\'),
        proptest::char::range('\u{2000}', '\u{20ff}'),
        proptest::char::range('\u{e0000}', '\u{e01ff}'),
        proptest::char::range('\0', '\u{ff}'),
        any::<char>(),
    ];
    prop::collection::vec(hot, 0..60).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_shown_makes_a_terminal_do_anything_but_print(text in nasty()) {
        let shown = line(&text);
        let terminal = Terminal::shows(shown.as_bytes());
        prop_assert_eq!(&terminal.actions, &Vec::<String>::new());
        prop_assert_eq!(terminal.printed, format!("{}|", shown));
        let several = Untrusted::text(&text).to_string();
        let actions = Terminal::shows(several.as_bytes()).actions;
        let laid_out = |action: &String| action == "execute 0x0a" || action == "execute 0x09";
        prop_assert!(actions.iter().all(laid_out), "{:?}", actions);
        // The last gate changes nothing that came through another one.
        prop_assert_eq!(Untrusted::text(&shown).to_string(), shown.as_str());
        prop_assert_eq!(Untrusted::text(&several).to_string(), several.as_str());
        prop_assert_eq!(Untrusted::line(&text).is_plain(), shown == text);
    }
}

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

#[test]
fn the_corpus_is_shown_and_nothing_happens_though_raw_it_would() {
    let cases = corpus();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut dangerous = 0;
    for text in &cases {
        let shown = line(text);
        let terminal = Terminal::shows(shown.as_bytes());
        assert!(terminal.actions.is_empty(), "{shown}: {:?}", terminal.actions);
        assert!(!shown.chars().any(is_deceptive), "{shown}");
        let raw = Terminal::shows(text.as_bytes());
        dangerous += usize::from(!raw.actions.is_empty() || !raw.printed.ends_with('|'));
    }
    assert!(dangerous >= 40, "the terminal of this test sees only {dangerous}");
}

#[test]
fn marks_are_shown_where_spelling_puts_them_and_not_in_piles() {
    // Tibetan stacks, Hebrew with vowels and accents, an Indic vowel sign, Vietnamese taken apart.
    for text in ["བསྒྲུབས", "בְּרֵאשִׁ֖ית", "हिन्दी", "Vie\u{323}\u{302}t"]
    {
        assert_eq!(line(text), text);
        assert!(Untrusted::line(text).is_plain());
    }
    let piled = line(&format!("a{}", "\u{301}".repeat(50)));
    assert_eq!(piled.matches('\u{301}').count(), MARKS_MAX, "{piled}");
    assert_eq!(line("\u{301}x"), "<U+0301>x");
    assert_eq!(line("a \u{338}"), "a <U+0338>");
    assert_eq!(line("\u{1b}\u{338}"), "<U+001B><U+0338>");
}
