//! Strings from elsewhere, made safe for the operator's terminal.
//!
//! A command line that was pasted, a path or a label may hold terminal escapes, right-to-left overrides or
//! characters nobody sees. They are shown as `<U+202E>`, as the client shows them.

use std::fmt::Write as _;

/// For one line: line breaks and tabs are made visible too.
pub fn line(text: &str) -> String {
    made_visible(text, |_| false)
}

/// For text of several lines: line breaks and tabs are kept.
pub fn text(text: &str) -> String {
    made_visible(text, |char| matches!(char, '\n' | '\t'))
}

/// For JSON: the same as `\u` escapes, which every parser turns back into the same string.
pub fn json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        if is_plain(char) {
            shown.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            write!(shown, "\\u{unit:04x}").expect("a string takes everything");
        }
    }
    shown
}

fn made_visible(text: &str, lays_out: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_plain(char) || lays_out(char) {
            shown.push(char);
        } else {
            write!(shown, "<U+{:04X}>", u32::from(char)).expect("a string takes everything");
        }
    }
    shown
}

/// Whether `char` shows itself and does nothing else. The standard library escapes what does not, and
/// marks on other letters too; not so the few that have no ink, or that every font draws as it likes.
fn is_plain(char: char) -> bool {
    let blank = matches!(
        char,
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{fffc}' | '\u{1d159}'
    );
    matches!(char, '"' | '\'' | '\\') || (!blank && char.escape_debug().len() == 1)
}

#[cfg(test)]
mod tests;
