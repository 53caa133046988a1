//! Strings from others, made safe to look at.
//!
//! A handle, a title or a record may hold terminal escapes, right-to-left overrides or characters
//! nobody sees. They are shown as `<U+202E>`, so that what is read is what is there.

use std::fmt::{self, Write};

use unicode_normalization::char::is_combining_mark;

/// Marks on one letter that are shown as they are. Tibetan and Hebrew spelling need four; more pile up
/// over the lines above and below.
const MARKS_MAX: usize = 6;

/// A string somebody else wrote. Its `Display` is the only way it reaches a terminal.
///
/// What it shows, shown once more, stays the same: so the last gate ([`super::Ui`]) may do it again.
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

    /// Whether it is shown as it is.
    pub fn is_plain(&self) -> bool {
        shown(self.text).all(|(char, plain)| plain || self.lays_out(char))
    }

    fn lays_out(&self, char: char) -> bool {
        self.layout == Layout::Text && matches!(char, '\n' | '\t')
    }
}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (char, plain) in shown(self.text) {
            if plain || self.lays_out(char) {
                f.write_char(char)?;
            } else {
                write!(f, "<U+{:04X}>", u32::from(char))?;
            }
        }
        Ok(())
    }
}

/// Each character of `text`, and whether it may be shown as it is where it stands.
pub(super) fn shown(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut place = Place::default();
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        let char = chars.next()?;
        Some((char, place.shows(char, chars.peek().copied())))
    })
}

/// What stands before a character.
#[derive(Default)]
struct Place {
    before: Option<char>,
    /// Whether something is shown that a mark can sit on.
    base: bool,
    marks: usize,
}

impl Place {
    fn shows(&mut self, char: char, next: Option<char>) -> bool {
        let joins = is_joiner(char)
            && self.before.is_some_and(uses_joiners)
            && next.is_some_and(uses_joiners);
        let is_mark = is_combining_mark(char) && !joins;
        self.marks = if is_mark { self.marks + 1 } else { 0 };
        let sits = !is_mark || (self.base && self.marks <= MARKS_MAX);
        let plain = joins || (!is_deceptive(char) && sits);
        // Nothing may sit on our own `>`.
        self.base = plain && !char.is_whitespace();
        self.before = Some(char);
        plain
    }
}

/// Whether `char` does something other than showing itself: controls (C0, DEL, C1), bidirectional
/// marks and overrides, tags and selectors, everything of no width or no ink, and what every font
/// draws as it likes (private use, noncharacters).
pub fn is_deceptive(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}')
        || u32::from(char) & 0xfffe == 0xfffe
}

/// Zero width joiner and non-joiner: letters of their own in Persian and Indic spelling.
fn is_joiner(char: char) -> bool {
    matches!(char, '\u{200c}' | '\u{200d}')
}

fn uses_joiners(char: char) -> bool {
    matches!(char,
        '\u{620}'..='\u{6ff}' | '\u{700}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}'
        | '\u{900}'..='\u{dff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        && !is_deceptive(char)
}

#[cfg(test)]
mod tests;
