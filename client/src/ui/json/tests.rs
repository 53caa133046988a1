use super::*;

#[test]
fn a_string_comes_back_the_same_and_its_bytes_are_harmless() {
    let text = "سوسن \u{202e}\u{1b}[2J\u{9b}\u{200c}\u{e0041}\n\t\u{7f} end";
    let line = to_line(&text).expect("a string serialises");
    assert_eq!(serde_json::from_slice::<String>(&line).expect("it is JSON"), text);
    let shown = String::from_utf8(line).expect("JSON is UTF-8");
    assert!(!shown.trim_end_matches('\n').chars().any(is_deceptive), "{shown:?}");
}
