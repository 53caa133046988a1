//! From a label that somebody else wrote to a file name.

use unicode_normalization::UnicodeNormalization;

use crate::ui::display;

/// Bytes of the label that go into a name: with the REF before it, every file system takes it.
const STEM_BYTES_MAX: usize = 100;
/// Bytes of an extension that are kept when the name is cut.
const EXTENSION_BYTES_MAX: usize = 10;

/// The name under which an attachment is saved: its REF, a dash, and of the label what is letters, digits
/// and a few signs. So it never is a path, a device, a flag or hidden, two attachments never have one
/// name, and it is not more than 130 bytes.
pub fn file_name(reference: &str, label: &str) -> String {
    // What stands before the last separator, of whichever system, is where the sender kept it.
    let base = label.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = base.nfc().map(kept).collect();
    let (stem, extension) = split(&kept);
    let stem = cut(stem.trim_matches(['.', ' ', '_']), STEM_BYTES_MAX);
    let extension = cut(extension.trim_matches(['.', ' ', '_']), EXTENSION_BYTES_MAX);
    let mut name = reference.to_owned();
    if !stem.is_empty() {
        name.push('-');
        name.push_str(stem.trim_end_matches(['.', ' ']));
    }
    if !extension.is_empty() {
        name.push('.');
        name.push_str(extension.trim_end_matches(['.', ' ']));
    }
    name
}

/// The character, or a mark in its place: what does something other than showing itself, what a shell or a
/// file system reads, and what no name needs.
fn kept(char: char) -> char {
    let sign = matches!(char, '-' | '_' | '.' | ' ' | ',' | '(' | ')' | '+');
    if (char.is_alphanumeric() || sign) && !display::is_deceptive(char) { char } else { '_' }
}

fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= EXTENSION_BYTES_MAX => (stem, extension),
        _ => (name, ""),
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
