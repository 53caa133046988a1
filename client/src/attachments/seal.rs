//! `attach`: a file sealed into the vault, and the draft of its record; with it, if that is wanted, a
//! working copy without metadata.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{MemberNumber, UnixMillis};
use sealpost_protocol::limits;
use sealpost_protocol::record::{Fields, RecordId};
use sealpost_protocol::seal::{AttachmentPassphrase, AttachmentSealer, BlobSink, Plain, blob_size};
use serde_json::{Value, json};

use super::details::LABEL_BYTES_MAX;
use super::{Details, Edition, KIND, SCHEMA};
use crate::app::App;
use crate::catalog::Owner;
use crate::error::{Failure, Kind as Error};
use crate::outbox::{self, Saved, Sealed, Written};
use crate::piped::Piped;
use crate::random;
use crate::strip::{self, Stripped};
use crate::ui::progress::Progress;
use crate::ui::time;
use crate::vault::attachments::{BlobNo, BlobWriter, SealingLock};
use crate::vault::{Read, VaultError};

/// Read and sealed at a time.
const STEP_BYTES: usize = 256 * 1024;
/// The longest extension with its dot: what is longer is part of the name.
const EXTENSION_BYTES_MAX: usize = 16;
/// In the label of a working copy.
const WORKING: &str = " (working copy)";

/// A file that is to be attached.
#[derive(Debug)]
pub struct Attach {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub role: &'static str,
    /// The members who alone may read it; none: the committee.
    pub readers: Vec<MemberNumber>,
    /// Whether a working copy without metadata is attached with it.
    pub strip: bool,
}

/// What was attached.
#[derive(Debug)]
pub struct Attached {
    /// Its record, as it was saved.
    pub saved: Saved,
    /// The file as it was read.
    pub plain: Plain,
    /// Its media type.
    pub media: &'static str,
    /// The working copy that was attached with it.
    pub working: Option<Working>,
}

/// A working copy.
#[derive(Debug)]
pub struct Working {
    /// Its record, as it was saved.
    pub saved: Saved,
    /// The copy.
    pub plain: Plain,
    /// What was removed.
    pub removed: Vec<&'static str>,
}

/// Seals the file and saves its record, and those of its working copy: on return all are on disk, and
/// after an error none is. Memory does not grow with the file, unless it is stripped.
pub fn attach(app: &mut App, to: &Owner, attach: &Attach) -> Result<Attached, Failure> {
    let source = Source::open(&attach.path)?;
    // Before anything is sealed: what cannot be stripped is not attached.
    let stripped = if attach.strip { Some(source.strip()?) } else { None };
    let sealing = app.vault.hold_sealing()?;
    let mut rooms = Vec::new();
    let attached = attach_both(app, &sealing, to, attach, &source, stripped, &mut rooms);
    if attached.is_err() {
        // Should that fail too, the next that seals sees to it.
        rooms.into_iter().for_each(|no| drop(app.vault.discard_sealing(no)));
    }
    attached
}

/// Notes in `rooms` what room in the vault it took.
fn attach_both(
    app: &mut App,
    sealing: &SealingLock,
    to: &Owner,
    attach: &Attach,
    source: &Source,
    stripped: Option<Copied>,
    rooms: &mut Vec<BlobNo>,
) -> Result<Attached, Failure> {
    let made = app.clock.now();
    let mut ids = [outbox::new_id(made)?, outbox::new_id(made)?].map(|id| id.to_string());
    // The original is shown before its copy.
    ids.sort();
    let [id, working_id] = ids.map(|id| id.parse::<RecordId>().expect("it was one"));
    let mut room = |app: &mut App, size| {
        let (no, writer) = app.vault.begin_sealing(sealing, to.committee, blob_size(size))?;
        rooms.push(no);
        Ok::<_, Failure>((no, writer))
    };
    let (no, writer) = room(app, source.size())?;
    let copy_room = match &stripped {
        Some(copied) => Some(room(app, copied.stripped.bytes.len() as u64)?),
        None => None,
    };
    let passphrase = AttachmentPassphrase::generate(&*random::secret()?);
    let (plain, blob, media) = source.seal(writer, &passphrase)?;
    let actor = app.vault.read(Read::own)?.handle;
    let record = Record { actor, readers: &attach.readers, made };
    let original = Details {
        to: to.id.clone(),
        label: label(&attach.path),
        role: attach.role.to_owned(),
        media: media.to_owned(),
        plain,
        edition: Edition::Evidentiary,
        blob,
        passphrase,
    };
    let mut sealed = vec![record.write(id.clone(), no, &original, "attached")];
    let mut working = None;
    if let (Some(Copied { of, stripped }), Some((no, writer))) = (stripped, copy_room) {
        if of != plain.sha256 {
            return Err(source.changed());
        }
        let passphrase = AttachmentPassphrase::generate(&*random::secret()?);
        let (plain, blob) = seal_copy(&stripped.bytes, writer, &passphrase)?;
        let edition = Edition::Working {
            derived_from: Some(id.to_string()),
            stripped: stripped.removed.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let label = working_label(&original.label);
        let copy = Details { label, plain, edition, blob, passphrase, ..original };
        sealed.push(record.write(working_id, no, &copy, "derived"));
        working = Some((plain, stripped.removed));
    }
    let mut saved = outbox::save_attachments(app, to, sealed)?.into_iter();
    let mut next = || saved.next().expect("as many were saved as were sealed");
    let saved = next();
    let working = working.map(|(plain, removed)| Working { saved: next(), plain, removed });
    Ok(Attached { saved, plain, media, working })
}

/// What the records of an original and its copy have in common.
struct Record<'r> {
    actor: String,
    readers: &'r [MemberNumber],
    made: UnixMillis,
}

impl<'r> Record<'r> {
    fn write(&self, id: RecordId, no: BlobNo, details: &Details, event: &str) -> Sealed<'r> {
        let readers = self.readers;
        let custody = json!([{
            "time": time::rfc3339(self.made),
            "event": event,
            "actor": self.actor,
            "tool": concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
            "hash_after": details.plain.sha256.to_string(),
        }]);
        let class = if readers.is_empty() { "H1" } else { "H2" };
        let mut about = details.to_fields();
        about.insert("custody".to_owned(), custody);
        let mut fields = Fields::new();
        fields.insert("kind".to_owned(), json!(KIND));
        fields.insert("schema".to_owned(), json!(SCHEMA));
        fields.insert("created".to_owned(), json!(time::rfc3339(self.made)));
        fields.insert("class".to_owned(), Value::String(class.to_owned()));
        let apart = if readers.is_empty() {
            fields.extend(about);
            Fields::new()
        } else {
            about
        };
        let written = Written { kind: KIND, fields, apart, readers, made: self.made };
        Sealed { id, no, blob: details.blob, written }
    }
}

/// A file as it is read: what is sealed is one state of it, or nothing is.
struct Source {
    file: File,
    path: PathBuf,
    before: Metadata,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut options = File::options();
        // A pipe or a device would hold the command, and none of them has a length.
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(path).map_err(|error| unreadable(path, error))?;
        let before = file.metadata().map_err(|error| unreadable(path, error))?;
        if !before.is_file() {
            return Err(refused(format!("{} is no file", path.display())));
        }
        if before.len() > limits::ATTACHMENT_BYTES_MAX {
            let what = format!("{} is larger than 64 GiB", path.display());
            return Err(refused(what).next("Split it, and attach the parts."));
        }
        Ok(Self { file, path: path.to_owned(), before })
    }

    fn size(&self) -> u64 {
        self.before.len()
    }

    fn seal(
        &self,
        writer: BlobWriter,
        passphrase: &AttachmentPassphrase,
    ) -> Result<(Plain, Blob, &'static str), Failure> {
        let not_kept = |error: io::Error| Failure::from(VaultError::from(error));
        let progress = Progress::of_bytes("sealing", self.size(), 0);
        // Hashed once more and written while the next is read and sealed.
        let sink = Piped::new(BlobSink::new(writer)).map_err(not_kept)?;
        let mut sealer = AttachmentSealer::new(sink, passphrase).map_err(not_kept)?;
        let mut buffer = vec![0; STEP_BYTES];
        let (mut media, mut left) = (None, self.size());
        loop {
            let read = read_up_to(&self.file, &mut buffer)
                .map_err(|error| unreadable(&self.path, error))?;
            media = media.or_else(|| Some(media_of(&buffer[..read])));
            // One that grows is not followed for ever.
            left = left.checked_sub(read as u64).ok_or_else(|| self.changed())?;
            if read == 0 {
                break;
            }
            sealer.write(&buffer[..read]).map_err(not_kept)?;
            progress.advance(read as u64);
        }
        let after = self.file.metadata().map_err(|error| unreadable(&self.path, error))?;
        let state = |metadata: &Metadata| {
            (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino())
        };
        if left > 0 || state(&after) != state(&self.before) {
            return Err(self.changed());
        }
        let (sink, plain) = sealer.finish().map_err(not_kept)?;
        let (writer, blob) = sink.finish().map_err(not_kept)?.finish();
        writer.finish().map_err(not_kept)?;
        Ok((plain, blob, media.unwrap_or_default()))
    }

    /// Makes a working copy of it in memory.
    fn strip(&self) -> Result<Copied, Failure> {
        if self.size() > strip::INPUT_BYTES_MAX {
            return Err(not_stripped(&self.path, strip::StripError::TooLarge));
        }
        let reopened = Self::open(&self.path)?;
        let mut bytes = Vec::new();
        let mut file = (&reopened.file).take(self.size());
        file.read_to_end(&mut bytes).map_err(|error| unreadable(&self.path, error))?;
        let media = media_of(&bytes[..bytes.len().min(STEP_BYTES)]);
        let stripped =
            strip::strip(media, &bytes).map_err(|error| not_stripped(&self.path, error))?;
        Ok(Copied { of: Hash::of(&bytes), stripped })
    }

    fn changed(&self) -> Failure {
        refused(format!("{} changed while it was read", self.path.display()))
            .next("Attach it again once nothing writes to it any more.")
    }
}

/// A working copy in memory.
struct Copied {
    /// The SHA-256 of what it was made of.
    of: Hash,
    stripped: Stripped,
}

fn seal_copy(
    bytes: &[u8],
    writer: BlobWriter,
    passphrase: &AttachmentPassphrase,
) -> Result<(Plain, Blob), Failure> {
    let not_kept = |error: io::Error| Failure::from(VaultError::from(error));
    let mut sealer = AttachmentSealer::new(BlobSink::new(writer), passphrase).map_err(not_kept)?;
    sealer.write(bytes).map_err(not_kept)?;
    let (sink, plain) = sealer.finish().map_err(not_kept)?;
    let (writer, blob) = sink.finish();
    writer.finish().map_err(not_kept)?;
    Ok((plain, blob))
}

fn read_up_to(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// By what it begins with, whatever it is called.
fn media_of(beginning: &[u8]) -> &'static str {
    let text = || std::str::from_utf8(beginning).is_ok() && !beginning.contains(&0);
    match infer::get(beginning) {
        Some(kind) => kind.mime_type(),
        None if !beginning.is_empty() && text() => "text/plain",
        None => "application/octet-stream",
    }
}

/// The file's own name, without the folders it lies in.
fn label(path: &Path) -> String {
    let name =
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    // Room for the mark of a working copy.
    name[..name.floor_char_boundary(LABEL_BYTES_MAX - WORKING.len())].to_owned()
}

/// The same, marked before its extension, and no longer than a file's name may be.
fn working_label(label: &str) -> String {
    let (stem, extension) = match label.rfind('.') {
        Some(dot) if dot > 0 && label.len() - dot <= EXTENSION_BYTES_MAX => label.split_at(dot),
        _ => (label, ""),
    };
    let room = LABEL_BYTES_MAX.saturating_sub(WORKING.len() + extension.len());
    let stem = &stem[..stem.floor_char_boundary(room)];
    format!("{stem}{WORKING}{extension}")
}

fn not_stripped(path: &Path, error: strip::StripError) -> Failure {
    refused(format!("{} was not stripped", path.display()))
        .because(error)
        .next("Attach it without --strip, or remove what tells of its maker with another program.")
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Error::Usage,
        _ => Error::NotWritable,
    };
    Failure::new(kind, format!("cannot read {}", path.display()))
        .because(error)
        .safe("Nothing was attached.")
        .next("Look at the file's name and whether it may be read.")
}

fn refused(what: String) -> Failure {
    Failure::new(Error::Usage, what)
        .safe("Nothing was attached; the file is as it was.")
        .next("sealpost help attach")
}

#[cfg(test)]
mod tests;
