//! Writes the vectors of cards, entries, evidence, changes, frames, logs and shares. Run by hand after a
//! change of format: `cargo test -p sealpost-protocol --all-features -- --ignored
//! write_the_vectors`, then read the difference.

use std::fs;
use std::path::Path;

mod cards;
mod changes;
mod devices;
mod entries;
mod evidence;
mod exports;
mod frames;
mod lives;
mod logs;
mod replies;
#[cfg(feature = "seal")]
mod shares;

const HEX_COLUMNS: usize = 96;

fn write(format: &str, name: &str, expect: &str, fields: &[(&str, &str)], lines: &[Vec<u8>]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(format);
    fs::create_dir_all(&folder).unwrap();
    let mut text = format!("format: {format}\nexpect: {expect}\n");
    for (field, value) in fields {
        text.push_str(&format!("{field}: {value}\n"));
    }
    for bytes in lines {
        text.push('\n');
        let hex = data_encoding::HEXLOWER.encode(bytes);
        for line in hex.as_bytes().chunks(HEX_COLUMNS) {
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push('\n');
        }
    }
    fs::write(folder.join(name), text).unwrap();
}

fn write_text(format: &str, name: &str, expect: &str, fields: &[(&str, &str)], text: &[u8]) {
    write(format, name, expect, fields, &[]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(format).join(name);
    let header = fs::read(&path).unwrap();
    fs::write(path, [&header[..], b"\n", text].concat()).unwrap();
}

/// Where `part` stands in `bytes`.
fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("the part is in there")
}

/// `bytes` with the one at `at` replaced.
fn with_byte(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

/// `bytes` with its only `old` replaced.
fn with(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = find(bytes, old);
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

#[test]
#[ignore = "writes testdata; run by hand after a change of format"]
fn write_the_vectors() {
    cards::write_all();
    entries::write_all();
    evidence::write_all();
    exports::write_all();
    changes::write_all();
    frames::write_all();
    replies::write_all();
    logs::write_all();
    lives::write_all();
    devices::write_all();
    #[cfg(feature = "seal")]
    shares::write_all();
}
