//! `manifest.txt`: every file of the folder but itself, as `sha256sum` writes and checks it.

use std::collections::BTreeMap;
use std::fmt;

use super::PeerFolderError;
use crate::hash::Hash;

/// What the manifest is called.
pub const MANIFEST: &str = "manifest.txt";

/// The hash of every file, by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest(BTreeMap<String, Hash>);

impl Manifest {
    /// That of these files.
    pub fn of(hashes: &BTreeMap<String, Hash>) -> Self {
        Self(hashes.clone())
    }

    /// Reads it: for each file one line of its hash, two spaces and its name, in the order of the names.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeerFolderError> {
        let text = std::str::from_utf8(bytes).map_err(|_| PeerFolderError::Manifest)?;
        let line = |line: &str| {
            let (hash, name) = line.split_once("  ")?;
            is_name(name).then_some((name.to_owned(), hash.parse().ok()?))
        };
        let hashes: Option<BTreeMap<String, Hash>> = text.lines().map(line).collect();
        let manifest = Self(hashes.ok_or(PeerFolderError::Manifest)?);
        // One set of files has one text.
        if manifest.to_string() == text { Ok(manifest) } else { Err(PeerFolderError::Manifest) }
    }

    /// Whether it lists exactly what was found.
    pub fn check(&self, found: &BTreeMap<String, Hash>) -> Result<(), PeerFolderError> {
        for (name, hash) in &self.0 {
            match found.get(name) {
                Some(found) if found == hash => {}
                Some(_) => return Err(PeerFolderError::Altered(name.clone())),
                None => return Err(PeerFolderError::Missing(name.clone())),
            }
        }
        match found.keys().find(|name| !self.0.contains_key(*name)) {
            Some(name) => Err(PeerFolderError::Extra(name.clone())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, hash)| writeln!(f, "{hash}  {name}"))
    }
}

/// Letters, digits, `-` and `.` in parts that begin with none of the last: nothing that a shell expands,
/// and no way out of the folder.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        part.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && part.bytes().all(sound)
    };
    name.split('/').all(is_part)
}
