//! `--json`: the results as scripts read them.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

use super::display::is_deceptive;

/// `value` as one line of JSON. What would mislead a terminal is written as `\u` escapes, which
/// every parser turns back into the same string.
pub(super) fn to_line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Escaping))?;
    line.push(b'\n');
    Ok(line)
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut shown = 0;
        for (at, char) in fragment.char_indices().filter(|(_, char)| is_deceptive(*char)) {
            writer.write_all(&fragment.as_bytes()[shown..at])?;
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            shown = at + char.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[shown..])
    }
}

#[cfg(test)]
mod tests;
