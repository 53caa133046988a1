//! What a folder holds, and its files: read from them, written to them, nothing checked yet.

use std::fmt;

use super::field::ShownField;
use super::{Files, Inclusion, PeerFolderError, files, split_off};
use crate::entry::UnverifiedEntry;
use crate::seal::{AttachmentPassphrase, PeerOpenError, RecordKey};

/// An entry and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The entry, with its payload.
    pub entry: UnverifiedEntry,
    /// Its place in the tree of the note.
    pub inclusion: Inclusion,
}

/// All of one record.
pub struct Whole {
    /// The file key of its payload.
    pub(super) key: RecordKey,
    /// What the key opens.
    pub(super) plaintext: Vec<u8>,
    /// The payload under a header of its own.
    pub(super) sealed_anew: Vec<u8>,
    /// What opens that.
    pub(super) passphrase: AttachmentPassphrase,
}

/// What is shown of the record.
pub enum Shown {
    /// All of it.
    Whole(Whole),
    /// Single fields.
    Part(Vec<ShownField>),
}

/// A folder as it is made or read.
pub struct Folder {
    /// The relay's signed note.
    pub note: Vec<u8>,
    /// Cosignatures of the same checkpoint, a line each, in the order of their devices.
    pub cosignatures: Vec<u8>,
    /// Every roster entry from the founding one on, to the last that an entry here names.
    pub roster: Vec<Placed>,
    /// The record.
    pub record: Placed,
    /// What is shown of it.
    pub shown: Shown,
    /// The attachments that are shown with it, each with all of its record.
    pub attachments: Vec<(Placed, Whole)>,
}

impl Whole {
    /// Discloses a payload. `passphrase` must have been drawn for it alone.
    pub fn of(
        payload: &[u8],
        key: RecordKey,
        passphrase: AttachmentPassphrase,
    ) -> Result<Self, PeerOpenError> {
        let plaintext = key.open(payload)?.to_vec();
        let sealed_anew = key.seal_anew(payload, &passphrase)?;
        Ok(Self { key, plaintext, sealed_anew, passphrase })
    }
}

impl Shown {
    /// The leaves of a record that `wanted` names by their paths.
    pub fn part(record: &crate::record::Record, wanted: impl Fn(&str) -> bool) -> Self {
        Self::Part(ShownField::of(record, wanted))
    }
}

impl Folder {
    /// The files that say all this; those that follow from it are not among them.
    pub(super) fn to_files(&self) -> Files {
        let mut all = Files::new();
        all.insert(files::NOTE.to_owned(), self.note.clone());
        all.insert(files::COSIGNATURES.to_owned(), self.cosignatures.clone());
        for placed in &self.roster {
            placed.put(&mut all, &files::roster(placed.inclusion.index), files::CHANGE);
        }
        self.record.put(&mut all, files::RECORD, files::SEALED);
        match &self.shown {
            Shown::Whole(whole) => whole.put(&mut all, files::RECORD),
            Shown::Part(fields) => {
                for (number, field) in (1..).zip(fields) {
                    let folder = files::field(number);
                    put(&mut all, &folder, files::LEAF, field.leaf_bytes());
                    put(&mut all, &folder, files::INCLUSION, field.inclusion.to_string());
                }
            }
        }
        for (number, (placed, whole)) in (1..).zip(&self.attachments) {
            let folder = files::attachment(number);
            placed.put(&mut all, &folder, files::SEALED);
            whole.put(&mut all, &folder);
        }
        all
    }

    /// Reads the files: each in its one form, none missing, none that has no place.
    pub(super) fn from_files(mut all: Files) -> Result<Self, PeerFolderError> {
        let record = Placed::take(&mut all, files::RECORD, files::SEALED)?;
        let is_whole = all.contains_key(&format!("{}/{}", files::RECORD, files::FILE_KEY));
        let shown = match is_whole {
            true => Shown::Whole(Whole::take(&mut all, files::RECORD)?),
            false => Shown::Part(take_fields(&mut all)?),
        };
        let mut attachments = Vec::new();
        loop {
            let folder = files::attachment(attachments.len() + 1);
            if !all.contains_key(&format!("{folder}/{}", files::HEADER)) {
                break;
            }
            let placed = Placed::take(&mut all, &folder, files::SEALED)?;
            attachments.push((placed, Whole::take(&mut all, &folder)?));
        }
        let note = take(&mut all, "", files::NOTE)?;
        let cosignatures = take(&mut all, "", files::COSIGNATURES)?;
        let roster = take_roster(&mut all)?;
        match all.into_keys().next() {
            Some(name) => Err(PeerFolderError::Extra(name)),
            None => Ok(Self { note, cosignatures, roster, record, shown, attachments }),
        }
    }
}

impl Placed {
    fn put(&self, all: &mut Files, folder: &str, payload: &str) {
        let entry = &self.entry;
        put(all, folder, files::HEADER, entry.header_bytes());
        put(all, folder, files::SIGNATURE, entry.signature().to_bytes());
        put(all, folder, payload, entry.payload().unwrap_or_default());
        put(all, folder, files::INCLUSION, self.inclusion.to_string());
    }

    fn take(all: &mut Files, folder: &str, payload: &str) -> Result<Self, PeerFolderError> {
        let header = take(all, folder, files::HEADER)?;
        let signature = take(all, folder, files::SIGNATURE)?;
        let payload = take(all, folder, payload)?;
        let entry = UnverifiedEntry::from_parts(&header, &signature, &payload)
            .map_err(|error| PeerFolderError::Entry { name: folder.to_owned(), error })?;
        Ok(Self { entry, inclusion: take_inclusion(all, folder)? })
    }
}

impl Whole {
    fn put(&self, all: &mut Files, folder: &str) {
        put(all, folder, files::FILE_KEY, self.key.expose().as_slice());
        put(all, folder, files::PLAINTEXT, self.plaintext.as_slice());
        put(all, folder, files::SEALED_ANEW, self.sealed_anew.as_slice());
        put(all, folder, files::PASSPHRASE, format!("{}\n", self.passphrase.expose()));
    }

    fn take(all: &mut Files, folder: &str) -> Result<Self, PeerFolderError> {
        let malformed = |file| PeerFolderError::Malformed(format!("{folder}/{file}"));
        let key = RecordKey::from_bytes(&take(all, folder, files::FILE_KEY)?);
        let passphrase = take(all, folder, files::PASSPHRASE)?;
        let passphrase = std::str::from_utf8(&passphrase).ok();
        let passphrase = passphrase.and_then(|text| text.strip_suffix('\n')?.parse().ok());
        Ok(Self {
            key: key.ok_or_else(|| malformed(files::FILE_KEY))?,
            plaintext: take(all, folder, files::PLAINTEXT)?,
            sealed_anew: take(all, folder, files::SEALED_ANEW)?,
            passphrase: passphrase.ok_or_else(|| malformed(files::PASSPHRASE))?,
        })
    }
}

/// The fields that are there, numbered from 1 in the order of their places.
fn take_fields(all: &mut Files) -> Result<Vec<ShownField>, PeerFolderError> {
    let mut fields: Vec<ShownField> = Vec::new();
    loop {
        let folder = files::field(fields.len() + 1);
        let name = format!("{folder}/{}", files::LEAF);
        if !all.contains_key(&name) {
            break;
        }
        let leaf = ShownField::read_leaf(&take(all, &folder, files::LEAF)?);
        let leaf = leaf.ok_or_else(|| PeerFolderError::Malformed(name.clone()))?;
        let inclusion = take_inclusion(all, &folder)?;
        let field = ShownField { leaf, inclusion };
        if fields.last().is_some_and(|last| !last.stands_before(&field)) {
            return Err(PeerFolderError::Malformed(name));
        }
        fields.push(field);
    }
    if fields.is_empty() {
        return Err(PeerFolderError::Missing(format!("{}/{}", files::RECORD, files::FILE_KEY)));
    }
    Ok(fields)
}

/// The roster entries, in the order of their names, which is that of the log.
fn take_roster(all: &mut Files) -> Result<Vec<Placed>, PeerFolderError> {
    let mut shown = split_off(all, "roster/");
    let mut roster = Vec::new();
    while let Some(name) = shown.keys().next().cloned() {
        let folder = name.rsplit_once('/').map_or(name.as_str(), |(folder, _)| folder);
        let placed = Placed::take(&mut shown, folder, files::CHANGE)?;
        if files::roster(placed.inclusion.index) != folder {
            return Err(PeerFolderError::Malformed(format!("{folder}/{}", files::INCLUSION)));
        }
        roster.push(placed);
    }
    Ok(roster)
}

fn take_inclusion(all: &mut Files, folder: &str) -> Result<Inclusion, PeerFolderError> {
    let inclusion = Inclusion::parse(&take(all, folder, files::INCLUSION)?);
    inclusion.ok_or_else(|| PeerFolderError::Malformed(format!("{folder}/{}", files::INCLUSION)))
}

fn take(all: &mut Files, folder: &str, file: &str) -> Result<Vec<u8>, PeerFolderError> {
    let name = path(folder, file);
    all.remove(&name).ok_or(PeerFolderError::Missing(name))
}

fn put(all: &mut Files, folder: &str, file: &str, bytes: impl AsRef<[u8]>) {
    all.insert(path(folder, file), bytes.as_ref().to_vec());
}

fn path(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("record", &self.record.inclusion.index).finish()
    }
}
