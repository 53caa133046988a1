use super::super::display::is_deceptive;
use super::*;

#[test]
fn a_string_comes_back_the_same_and_its_bytes_are_harmless() {
    let text = "سوسن \u{202e}\u{1b}[2J\u{9b}\u{200c}\u{e0041}\u{fe0f}\n\t\u{7f} end";
    let line = to_line(&text).expect("a string serialises");
    assert_eq!(serde_json::from_slice::<String>(&line).expect("it is JSON"), text);
    let shown = String::from_utf8(line).expect("JSON is UTF-8");
    assert!(!shown.trim_end_matches('\n').chars().any(is_deceptive), "{shown:?}");
}

#[test]
fn several_lines_hold_the_same_values_as_harmlessly() {
    let value = serde_json::json!({ "a\u{202e}": ["\u{9b}2J", { "b": null }], "c": 1 });
    let mut written = Vec::new();
    write_pretty(&mut written, &value).expect("memory");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).expect("JSON"), value);
    let written = String::from_utf8(written).expect("JSON is UTF-8");
    assert!(written.lines().count() > 5 && !written.contains(['\u{202e}', '\u{9b}']), "{written}");
}

#[test]
fn piled_up_marks_are_escaped_and_a_letters_own_are_not() {
    let text = format!("e\u{301} {}", "\u{301}".repeat(40));
    let line = to_line(&text).expect("a string serialises");
    assert_eq!(serde_json::from_slice::<String>(&line).expect("it is JSON"), text);
    let written = String::from_utf8(line).expect("JSON is UTF-8");
    assert_eq!(written.matches('\u{301}').count(), 1, "{written}");
}
