//! `sealpost-relay import`

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::export::{Part, PartReader, UnverifiedExport, VerifiedExport, folder_name};
use sealpost_protocol::id::{CommitteeId, DeviceId};
use sealpost_protocol::limits::BLOB_FRAME_BYTES;
use serde::Serialize;
use tokio::sync::mpsc;

use super::folder;
use crate::cli::Session;
use crate::config::{self, Settings};
use crate::error::{Failure, Kind};
use crate::key;
use crate::service::{self, ImportError, Imported};
use crate::store::{
    self, Begun, BlobError, BlobOptions, BlobStore as _, BlobUpload as _, Options, Store,
};

/// How much of a file is read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Pieces of a blob that wait to be written.
const PIECES_WAITING: usize = 4;

/// Takes committees' logs from files that `export` wrote, while no relay serves the folder.
///
/// Every entry is admitted anew, with all signatures, and the log held against the relay's note, before
/// anything is written. A log that is here already is left as it is, a shorter one is continued, another one
/// is refused. Attachments are taken from the folder ID.blobs beside the file. Only the relay with the key of
/// a committee's home takes its log.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// Make the data folder first, around the file `key` of the relay that was put there.
    #[arg(long)]
    init: bool,
    /// Take a log whose attachments are not all there: whoever has them may send them again.
    #[arg(long)]
    without_blobs: bool,
    /// What `export` wrote.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ImportedJson {
    committee: String,
    size: u64,
    taken: u64,
    file: String,
}

impl Import {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let data = session.data()?;
        let (store, key) = self.open(session, &data)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Failure::io("starting", &error))?;
        let mut imported = Vec::new();
        let done = self.files.iter().try_for_each(|file| {
            let (committee, done) = runtime.block_on(self.import(&store, &key, file))?;
            let (committee, file) = (committee.to_string(), file.display().to_string());
            imported.push(ImportedJson { committee, size: done.size.0, taken: done.taken, file });
            Ok(())
        });
        // What was signed for is durable before this says so.
        store.close();
        if !imported.is_empty() {
            let words: Vec<String> = imported.iter().map(words).collect();
            session.result(&imported, &words.join("\n"))?;
        }
        done
    }

    fn open(&self, session: &Session, data: &Path) -> Result<(Store, SigningKey), Failure> {
        let disk = &session.disk;
        if self.init {
            store::must_be_free(disk.as_ref(), data)?;
        } else {
            store::must_be_data_folder(disk.as_ref(), data)?;
        }
        folder::must_be_ours(disk.as_ref(), data)?;
        let key = match key::read(disk.as_ref(), data)? {
            None if self.init => return Err(no_key()),
            _ => folder::key_of(disk.as_ref(), data)?,
        };
        let settings = Settings::read(disk.as_ref(), &data.join(config::FILE))?.unwrap_or_default();
        // All blobs of a log come before the entries that name them.
        let blobs = BlobOptions { device_uploads_max: usize::MAX, ..BlobOptions::DEFAULT };
        let options = settings.options(Options { blobs, ..Options::DEFAULT });
        let store = if self.init {
            // What cannot be taken leaves no folder behind.
            for file in &self.files {
                service::must_be_home(key::public(&key), &verify(file)?)?;
            }
            Store::create(disk, data, options)?
        } else {
            Store::open(disk, data, options)?
        };
        Ok((store, key))
    }

    async fn import(
        &self,
        store: &Store,
        key: &SigningKey,
        file: &Path,
    ) -> Result<(CommitteeId, Imported), Failure> {
        let export = verify(file)?;
        let committee = export.committee();
        let mut import = service::Import::open(store, key::public(key), &export).await?;
        let missing = import.missing_blobs().await?;
        let folder = file.parent().unwrap_or(Path::new("")).join(folder_name(committee));
        self.must_be_there(&missing, &folder)?;
        for (device, blob) in missing {
            send(store, committee, device, blob, &folder).await?;
        }
        import.begin().await?;
        let mut parts = Parts::open(file)?;
        while let Some(part) = parts.next()? {
            if let Part::Entry(bytes) = part {
                import.take(&bytes).await?;
            }
        }
        Ok((committee, import.finish().await?))
    }

    /// Whether attachments that are not here lie beside the file, or need not.
    fn must_be_there(&self, missing: &[(DeviceId, Blob)], folder: &Path) -> Result<(), Failure> {
        let is_there = |blob: &Blob| folder.join(blob.sha256.to_string()).exists();
        let nowhere = missing.iter().filter(|(_, blob)| !is_there(blob)).count();
        if nowhere > 0 && !self.without_blobs {
            return Err(ImportError::LocalBlobsMissing(nowhere).into());
        }
        Ok(())
    }
}

fn words(imported: &ImportedJson) -> String {
    let ImportedJson { committee, size, taken, .. } = imported;
    match taken {
        0 => format!("{committee}: all {size} entries were here already."),
        taken if taken == size => format!("{committee}: {size} entries came."),
        taken => format!("{committee}: {taken} of {size} entries came, the others were here."),
    }
}

fn no_key() -> Failure {
    Failure::new(
        Kind::NotFound,
        "The folder holds no key: a log goes only to the relay that signed it",
    )
    .next("Put the file `key` of that relay's data folder there, for its owner alone to read.")
}

/// Reads and checks all of a file.
fn verify(file: &Path) -> Result<VerifiedExport, Failure> {
    let (mut parts, mut export) = (Parts::open(file)?, UnverifiedExport::default());
    while let Some(part) = parts.next()? {
        export.take(part)?;
    }
    Ok(export.finish()?)
}

/// The parts of a file, one after the other.
struct Parts {
    file: File,
    reader: PartReader,
    buffer: Vec<u8>,
}

impl Parts {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = format!("{} is not there", path.display());
                return Err(Failure::new(Kind::NotFound, what).next("Name another file."));
            }
            opened => opened.map_err(|error| Failure::io("opening the file", &error))?,
        };
        Ok(Self { file, reader: PartReader::default(), buffer: vec![0; READ_BYTES] })
    }

    fn next(&mut self) -> Result<Option<Part>, Failure> {
        loop {
            if let Some(part) = self.reader.next_part()? {
                return Ok(Some(part));
            }
            let read = self.file.read(&mut self.buffer);
            match read.map_err(|error| Failure::io("reading the file", &error))? {
                0 => {
                    self.reader.finish()?;
                    return Ok(None);
                }
                read => self.reader.push(&self.buffer[..read]),
            }
        }
    }
}

/// Takes a blob from its file; one that is nowhere was not asked for.
async fn send(
    store: &Store,
    committee: CommitteeId,
    device: DeviceId,
    blob: Blob,
    folder: &Path,
) -> Result<(), Failure> {
    let path = folder.join(blob.sha256.to_string());
    let mut sent = try_to_send(store, committee, device, blob, &path).await?;
    if let Err(BlobError::PeerOther) = sent {
        // What lay here of an earlier try may be no beginning of it, and is gone now.
        sent = try_to_send(store, committee, device, blob, &path).await?;
    }
    Ok(sent.map_err(ImportError::Blob)?)
}

async fn try_to_send(
    store: &Store,
    committee: CommitteeId,
    device: DeviceId,
    blob: Blob,
    path: &Path,
) -> Result<Result<(), BlobError>, Failure> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(())),
        opened => opened.map_err(|error| Failure::io("opening an attachment", &error))?,
    };
    let upload = match store.upload(committee, device, blob).await {
        Ok(Begun::Whole) => return Ok(Ok(())),
        Ok(Begun::At(upload)) => upload,
        Err(error) => return Ok(Err(error)),
    };
    let offset = SeekFrom::Start(upload.offset());
    file.seek(offset).map_err(|error| Failure::io("reading an attachment", &error))?;
    let (pieces, body) = mpsc::channel(PIECES_WAITING);
    let (received, given) = tokio::join!(store.receive(upload, body), give(file, pieces));
    // A file that cannot be read is why too little came.
    given.map_err(|error| Failure::io("reading an attachment", &error))?;
    Ok(received)
}

async fn give(mut file: File, pieces: mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; BLOB_FRAME_BYTES];
        let read = file.read(&mut piece)?;
        piece.truncate(read);
        // Nobody takes it any more once something is wrong with it.
        if read == 0 || pieces.send(piece.into()).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
