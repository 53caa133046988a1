//! `--json`: the results as scripts read them.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::display::shown;

/// `value` as one line of JSON. What would mislead a terminal is written as `\u` escapes, which
/// every parser turns back into the same string.
pub(super) fn to_line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let compact = Escaping(CompactFormatter);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, compact))?;
    line.push(b'\n');
    Ok(line)
}

/// Writes `value` over several lines, for people who read it with other programs.
pub fn write_pretty<T: Serialize>(writer: impl io::Write, value: &T) -> io::Result<()> {
    let pretty = Escaping(PrettyFormatter::new());
    Ok(value.serialize(&mut serde_json::Serializer::with_formatter(writer, pretty))?)
}

/// Lays out as `F` does.
struct Escaping<F>(F);

/// Hands layout on.
macro_rules! as_inside {
    ($( $method:ident($($argument:ident: $type:ty),*) )+) => { $(
        fn $method<W: io::Write + ?Sized>(
            &mut self,
            writer: &mut W,
            $($argument: $type),*
        ) -> io::Result<()> {
            self.0.$method(writer, $($argument),*)
        }
    )+ };
}

impl<F: Formatter> Formatter for Escaping<F> {
    as_inside! {
        begin_array() end_array() begin_array_value(first: bool) end_array_value()
        begin_object() end_object() begin_object_key(first: bool) end_object_key()
        begin_object_value() end_object_value()
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut written = 0;
        let mut at = 0;
        for (char, plain) in shown(fragment) {
            let next = at + char.len_utf8();
            if !plain {
                writer.write_all(&fragment.as_bytes()[written..at])?;
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                written = next;
            }
            at = next;
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests;
