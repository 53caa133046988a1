//! Reads the test vectors in `testdata/<format>/`: one failure a file, named in its header.
//!
//! A vector is a header of `name: value` lines, a blank line and a body:
//!
//! ```text
//! format: address
//! expect: Port
//! comment: port 0 names no listener
//!
//! sealpost://…@relay.example:0
//! ```
//!
//! `format` is the folder's name, `expect` is `success` or the error as its `Debug` prints it,
//! as far as a word goes: `TooLarge` or `Codec(TooLarge` for `Codec(TooLarge { len: 9, max: 8 })`.
//! The body is taken as bytes, as text or as hex; the test of the format says which. Only tests
//! read files here: the crate itself has none.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests alone do this")]

use std::fmt::Debug;
use std::fs;
use std::path::Path;

mod write;

/// One file of `testdata`.
pub(crate) struct Vector {
    /// The file's name, for messages.
    pub(crate) name: String,
    /// `success`, or the name of the error that must come.
    pub(crate) expect: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Calls `check` with every vector of `format`, by name. Panics when there is none.
pub(crate) fn for_each_vector(format: &str, mut check: impl FnMut(&Vector)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(format);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no vector", folder.display());
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Shown by the test harness only when the vector fails.
        eprintln!("vector {format}/{name}");
        check(&Vector::parse(name, format, &fs::read(&path).unwrap()));
    }
}

impl Vector {
    fn parse(name: String, format: &str, bytes: &[u8]) -> Self {
        let end = bytes
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .unwrap_or_else(|| panic!("{name}: no blank line after the header"));
        let header = std::str::from_utf8(&bytes[..end]).expect("a header is text");
        let fields: Vec<(String, String)> = header
            .lines()
            .map(|line| line.split_once(": ").expect("a header line is `name: value`"))
            .map(|(field, value)| (field.to_owned(), value.to_owned()))
            .collect();
        let mut vector =
            Self { name, expect: String::new(), fields, body: bytes[end + 2..].to_vec() };
        assert_eq!(vector.field("format"), format, "{}: lies in another folder", vector.name);
        assert!(!vector.field("comment").is_empty(), "{}: says nothing", vector.name);
        vector.expect = vector.field("expect").to_owned();
        vector
    }

    /// The header's `name`. Panics when it is missing.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("{}: header lacks {name}", self.name))
    }

    /// The header's `name`, if it has one.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body exactly as it stands in the file, the last newline included.
    pub(crate) fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    /// The same as text. Panics when it is not UTF-8.
    pub(crate) fn body_text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_else(|_| panic!("{}: no text", self.name))
    }

    /// A body of one line, without the newline that ends the file.
    pub(crate) fn body_line(&self) -> &str {
        self.body_text().strip_suffix('\n').expect("a vector ends with a newline")
    }

    /// A body of several values in hex, a blank line between two.
    pub(crate) fn body_hexes(&self) -> Vec<Vec<u8>> {
        let decode = |part: &str| {
            let digits: String = part.split_ascii_whitespace().collect();
            data_encoding::HEXLOWER.decode(digits.as_bytes())
        };
        let parts = self.body_text().split("\n\n").map(decode).collect::<Result<_, _>>();
        parts.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A body written in hex, on any number of lines.
    pub(crate) fn body_hex(&self) -> Vec<u8> {
        let digits: String = self.body_text().split_ascii_whitespace().collect();
        let hex = data_encoding::HEXLOWER.decode(digits.as_bytes());
        hex.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Panics unless `result` is what the header expects; hands back the value of a success.
    pub(crate) fn assert<T, E: Debug>(&self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                assert_eq!(self.expect, "success", "{}: accepted", self.name);
                Some(value)
            }
            Err(error) => {
                let shown = format!("{error:?}");
                let rest = shown.strip_prefix(self.expect.as_str());
                let named = rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
                assert!(named, "{}: expected {}, got {shown}", self.name, self.expect);
                None
            }
        }
    }
}
