//! `attach`: a file sealed into the vault, and the draft of its record.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::limits;
use sealpost_protocol::record::Fields;
use sealpost_protocol::seal::{AttachmentPassphrase, AttachmentSealer, Plain, blob_size};
use serde_json::{Value, json};

use super::{Details, KIND, SCHEMA};
use crate::app::App;
use crate::catalog::Owner;
use crate::error::{Failure, Kind as Error};
use crate::outbox::{self, Saved, Written};
use crate::random;
use crate::ui::progress::Progress;
use crate::ui::time;
use crate::vault::attachments::{BlobNo, BlobWriter};
use crate::vault::{Read, VaultError};

/// Read and sealed at a time.
const STEP_BYTES: usize = 256 * 1024;

/// A file that is to be attached.
#[derive(Debug)]
pub struct Attach {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub role: &'static str,
    /// The members who alone may read it; none: the committee.
    pub readers: Vec<MemberNumber>,
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
}

/// Seals the file and saves its record: on return both are on disk. Memory does not grow with the file.
pub fn attach(app: &mut App, to: &Owner, attach: &Attach) -> Result<Attached, Failure> {
    let source = Source::open(&attach.path)?;
    let passphrase = AttachmentPassphrase::generate(&*random::secret()?);
    let (no, writer) = app.vault.begin_sealing(to.committee, blob_size(source.size()))?;
    let sealed = source.seal(writer, &passphrase);
    let saved = sealed.and_then(|(plain, blob, media)| {
        let details = Details {
            to: to.id.clone(),
            label: label(&attach.path),
            role: attach.role.to_owned(),
            media: media.to_owned(),
            plain,
            blob,
            passphrase,
        };
        let saved = save(app, to, attach, &details, no)?;
        Ok(Attached { saved, plain, media })
    });
    if saved.is_err() {
        // Should that fail too, the next that seals sees to it.
        let _ = app.vault.discard_blob(no);
    }
    saved
}

fn save(
    app: &mut App,
    to: &Owner,
    attach: &Attach,
    details: &Details,
    no: BlobNo,
) -> Result<Saved, Failure> {
    let made = app.clock.now();
    let actor = app.vault.read(Read::own)?.handle;
    let custody = json!([{
        "time": time::rfc3339(made),
        "event": "attached",
        "actor": actor,
        "tool": concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        "hash_after": details.plain.sha256.to_string(),
    }]);
    let class = if attach.readers.is_empty() { "H1" } else { "H2" };
    let mut about = details.to_fields();
    about.insert("custody".to_owned(), custody);
    let mut fields = Fields::new();
    fields.insert("kind".to_owned(), json!(KIND));
    fields.insert("schema".to_owned(), json!(SCHEMA));
    fields.insert("created".to_owned(), json!(time::rfc3339(made)));
    fields.insert("class".to_owned(), Value::String(class.to_owned()));
    let apart = if attach.readers.is_empty() {
        fields.extend(about);
        Fields::new()
    } else {
        about
    };
    let written = Written { kind: KIND, fields, apart, readers: &attach.readers, made };
    outbox::save_attachment(app, to, details, no, written)
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
        let mut sealer = AttachmentSealer::new(writer, passphrase).map_err(not_kept)?;
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
        let (writer, plain, blob) = sealer.finish().map_err(not_kept)?;
        writer.finish().map_err(not_kept)?;
        Ok((plain, blob, media.unwrap_or_default()))
    }

    fn changed(&self) -> Failure {
        refused(format!("{} changed while it was read", self.path.display()))
            .next("Attach it again once nothing writes to it any more.")
    }
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
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
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
