//! Is this text anywhere, in any form it might have taken?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use data_encoding::{
    BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER, Specification,
};

/// A text that stands nowhere by chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    text: String,
    /// The bytes to look for, and how the text came to look so.
    forms: BTreeMap<Vec<u8>, &'static str>,
}

/// Where a marker was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file, datagram or frame.
    pub place: String,
    /// How it was written there.
    pub form: &'static str,
}

impl Marker {
    /// A new one: 24 random letters.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn random() -> Self {
        let mut random = [0; 24];
        getrandom::fill(&mut random).expect("the system has randomness");
        let letters = random.iter().map(|byte| char::from(b'a' + byte % 26));
        Self::of(&letters.collect::<String>())
    }

    /// A text of one's own, long enough to be nowhere by chance.
    pub fn of(text: &str) -> Self {
        assert!(text.len() >= 16, "{text:?} may stand somewhere by chance");
        Self { text: text.to_owned(), forms: forms(text) }
    }

    /// Bytes that are there by no chance, a key's say; `name` is how to call them.
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 16, "{name} may stand somewhere by chance");
        Self { text: name.to_owned(), forms: forms_of_bytes(bytes) }
    }

    /// The text, to be put where it must not be found.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How the marker stands in `bytes`, if it does.
    pub fn in_bytes(&self, bytes: &[u8]) -> Option<&'static str> {
        // Most positions are told apart by their first two bytes.
        let mut begins = vec![false; 1 << 16];
        for form in self.forms.keys() {
            begins[pair(form)] = true;
        }
        let hit = bytes.windows(2).enumerate().find_map(|(at, window)| {
            let rest = begins[pair(window)].then(|| &bytes[at..])?;
            self.forms.iter().find(|(form, _)| rest.starts_with(form))
        });
        hit.map(|(_, how)| *how)
    }

    /// Every file below `folder` that holds the marker, in its content or in its name.
    ///
    /// # Panics
    /// When the folder cannot be read: what was not looked at was not searched.
    pub fn in_folder(&self, folder: &Path) -> Vec<Found> {
        let mut found = Vec::new();
        for path in files(folder) {
            let place = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            let named = self.in_bytes(place.as_bytes());
            let content = || match fs::symlink_metadata(&path).map(|file| file.is_file()) {
                Ok(true) => self.in_bytes(&fs::read(&path).expect("files of ours can be read")),
                _ => None,
            };
            if let Some(form) = named.or_else(content) {
                found.push(Found { place, form });
            }
        }
        found
    }

    /// Every numbered piece of `what` that holds the marker.
    pub fn in_all<'a>(&self, what: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Found> {
        let found = |(number, piece)| {
            self.in_bytes(piece).map(|form| Found { place: format!("{what} {number}"), form })
        };
        pieces.into_iter().enumerate().filter_map(found).collect()
    }
}

/// Everything below a folder, folders too: their names are searched.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folders of ours can be listed") {
            let entry = entry.expect("folders of ours can be listed");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            all.push(entry.path());
        }
    }
    all
}

fn pair(bytes: &[u8]) -> usize {
    match bytes {
        [first, second, ..] => usize::from(*first) << 8 | usize::from(*second),
        _ => 0,
    }
}

fn forms(text: &str) -> BTreeMap<Vec<u8>, &'static str> {
    let bytes = text.as_bytes();
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect();
    let mut forms = forms_of_bytes(bytes);
    forms.extend([
        (text.to_uppercase().into_bytes(), "upper case"),
        (utf16(u16::to_le_bytes), "UTF-16, little endian"),
        (utf16(u16::to_be_bytes), "UTF-16, big endian"),
    ]);
    forms
}

fn forms_of_bytes(bytes: &[u8]) -> BTreeMap<Vec<u8>, &'static str> {
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut forms = BTreeMap::from([
        (bytes.to_vec(), "plain"),
        (bytes.iter().rev().copied().collect(), "reversed"),
        (HEXLOWER.encode(bytes).into_bytes(), "hex"),
        (HEXUPPER.encode(bytes).into_bytes(), "hex"),
        (decimal.join(",").into_bytes(), "numbers"),
        (decimal.join(", ").into_bytes(), "numbers"),
    ]);
    let bech32 = bech32_symbols();
    for before in 0..3 {
        forms.insert(inside(&BASE64_NOPAD, bytes, before).into_bytes(), "base64");
        forms.insert(inside(&BASE64URL_NOPAD, bytes, before).into_bytes(), "base64");
    }
    for before in 0..5 {
        let symbols = inside(&BASE32_NOPAD, bytes, before);
        forms.insert(symbols.to_lowercase().into_bytes(), "base32");
        forms.insert(symbols.into_bytes(), "base32");
        let symbols = inside(&bech32, bytes, before);
        forms.insert(symbols.to_uppercase().into_bytes(), "bech32");
        forms.insert(symbols.into_bytes(), "bech32");
    }
    forms
}

/// How age writes keys.
fn bech32_symbols() -> Encoding {
    let mut alphabet = Specification::new();
    alphabet.symbols.push_str("qpzry9x8gf2tvdw0s3jn54khce6mua7l");
    alphabet.encoding().expect("32 symbols, each once")
}

/// The symbols that depend on `bytes` alone when so many others come before them in the encoded
/// text, and any after.
fn inside(encoding: &Encoding, bytes: &[u8], before: usize) -> String {
    let bits = encoding.bit_width();
    let padded = [&vec![0; before], bytes].concat();
    let first = (before * 8).div_ceil(bits);
    let last = padded.len() * 8 / bits;
    encoding.encode(&padded)[first..last].to_owned()
}

#[cfg(test)]
mod tests;
