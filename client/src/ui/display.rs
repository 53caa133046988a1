//! Strings from others, made safe to look at.
//!
//! A handle, a title or a record may hold terminal escapes, right-to-left overrides or characters
//! nobody sees. They are shown as `<U+202E>`, so that what is read is what is there.

use std::fmt;

/// A string somebody else wrote. Its `Display` is the only way it reaches a terminal.
#[derive(Clone, Copy)]
pub struct Untrusted<'a> {
    text: &'a str,
    layout: Layout,
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Line,
    Text,
}

impl<'a> Untrusted<'a> {
    /// For one line: a handle, a title, a message. Line breaks and tabs are made visible too.
    pub fn line(text: &'a str) -> Self {
        Self { text, layout: Layout::Line }
    }

    /// For text of several lines: line breaks and tabs are kept.
    pub fn text(text: &'a str) -> Self {
        Self { text, layout: Layout::Text }
    }
}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        let mut chars = self.text.chars().peekable();
        while let Some(char) = chars.next() {
            let laid_out = self.layout == Layout::Text && matches!(char, '\n' | '\t');
            let joins = is_joiner(char)
                && before.is_some_and(uses_joiners)
                && chars.peek().copied().is_some_and(uses_joiners);
            if laid_out || joins || !is_deceptive(char) {
                fmt::Write::write_char(f, char)?;
            } else {
                write!(f, "<U+{:04X}>", u32::from(char))?;
            }
            before = Some(char);
        }
        Ok(())
    }
}

/// Whether `char` does something other than showing itself: controls (C0, DEL, C1), bidirectional
/// marks and overrides, and everything of no width.
pub fn is_deceptive(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Zero width joiner and non-joiner: letters of their own in Persian and Indic spelling.
fn is_joiner(char: char) -> bool {
    matches!(char, '\u{200c}' | '\u{200d}')
}

fn uses_joiners(char: char) -> bool {
    matches!(char,
        '\u{620}'..='\u{6ff}' | '\u{700}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}'
        | '\u{900}'..='\u{dff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests;
