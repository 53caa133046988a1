//! `sealpost-relay export`

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use sealpost_protocol::codec;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::export::{
    encode_cosignature, encode_end, encode_entry, encode_note, file_name, folder_name,
};
use sealpost_protocol::hash::Hasher;
use sealpost_protocol::id::CommitteeId;
use serde::Serialize;

use super::folder;
use crate::cli::Session;
use crate::error::{Failure, Kind};
use crate::service;
use crate::store::{
    self, BlobError, BlobRead as _, BlobStore as _, CommitError, LogStore as _, Options, Store,
};

mod new_file;

use new_file::NewFile;

/// Symbols of an id that are asked for at least.
const ID_SYMBOLS_MIN: usize = 8;

/// Writes committees' logs to files, while no relay serves the folder.
///
/// ID.log holds what members may pull: every sealed entry, the relay's note over all of them, the
/// cosignatures. Neither keys nor permits nor invitations. `import` takes it into another data folder of the
/// same relay; any reader of the format verifies it. A file that is there is never written over.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The committee's id, or at least its first 8 symbols.
    #[arg(long, value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    committee: Option<String>,
    /// All committees.
    #[arg(long)]
    all: bool,
    /// The folder to write them to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the attachments too, to a folder ID.blobs, each under its SHA-256.
    #[arg(long)]
    blobs: bool,
    /// When all is written, never serve these logs from this data folder again: they go on where they are
    /// imported. The folder stays as it is otherwise, and can be exported again.
    #[arg(long)]
    retire: bool,
}

#[derive(Serialize)]
struct ExportedJson {
    committee: String,
    size: u64,
    file: String,
    blobs: Option<usize>,
    /// Whether this folder serves it no more.
    retired: bool,
}

/// What was written of a log, and the relay's note over it.
struct Written {
    committee: CommitteeId,
    note: String,
    size: u64,
    file: String,
    blobs: Option<usize>,
}

impl Export {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (disk, data) = (&session.disk, session.data()?);
        store::must_be_data_folder(disk.as_ref(), &data)?;
        folder::must_be_ours(disk.as_ref(), &data)?;
        let key = folder::key_of(disk.as_ref(), &data)?;
        let store = Store::open(disk, &data, Options::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Failure::io("starting", &error))?;
        let exported = runtime.block_on(self.export(&store, &key));
        store.close();
        let exported = exported?;
        let words: Vec<String> = exported
            .iter()
            .map(|one| {
                let retired = if one.retired { "; not served from here any more" } else { "" };
                format!("{}: {} entries, {}{retired}", one.committee, one.size, one.file)
            })
            .collect();
        let words = if words.is_empty() { "No committees.".to_owned() } else { words.join("\n") };
        session.result(&exported, &words)
    }

    async fn export(&self, store: &Store, key: &SigningKey) -> Result<Vec<ExportedJson>, Failure> {
        let committees = self.committees(store).await?;
        std::fs::create_dir_all(&self.out).map_err(|error| {
            Failure::io("making the folder", &error).next("Name another --out.")
        })?;
        // Before the first is written.
        for committee in &committees {
            new_file::must_be_free(&self.out.join(file_name(*committee)))?;
        }
        let mut written = Vec::new();
        for committee in committees {
            written.push(self.write(store, key, committee).await?);
        }
        if self.retire {
            // Last: whatever was broken off before, the folder serves as it did.
            let notes = written.iter().map(|one| (one.committee, one.note.clone())).collect();
            service::retire(store, notes).await.map_err(|error| not_retired(&error))?;
        }
        let retired = self.retire;
        let json = |Written { committee, size, file, blobs, .. }| {
            let committee = committee.to_string();
            ExportedJson { committee, size, file, blobs, retired }
        };
        Ok(written.into_iter().map(json).collect())
    }

    async fn committees(&self, store: &Store) -> Result<Vec<CommitteeId>, Failure> {
        let all = store.committees().await.into_iter().map(|(committee, _)| committee);
        let Some(wanted) = &self.committee else { return Ok(all.collect()) };
        if wanted.len() < ID_SYMBOLS_MIN {
            let what = "A committee is named by at least the first 8 symbols of its id";
            return Err(Failure::new(Kind::Usage, what).next("Give more of it, or --all."));
        }
        let found: Vec<CommitteeId> =
            all.filter(|id| id.to_string().starts_with(&wanted.to_lowercase())).collect();
        match found.len() {
            1 => Ok(found),
            0 => Err(Failure::new(Kind::NotFound, "The relay has no log of that committee")
                .next("Give --all: it lists every committee.")),
            _ => Err(Failure::new(Kind::Ambiguous, "Several committees have an id like that")
                .next("Give more of it.")),
        }
    }

    async fn write(
        &self,
        store: &Store,
        key: &SigningKey,
        committee: CommitteeId,
    ) -> Result<Written, Failure> {
        let mut log = service::Export::open(store, key, committee).await?;
        let path = self.out.join(file_name(committee));
        let mut file = NewFile::create(&path)?;
        file.write(&encode_note(log.note()))?;
        loop {
            let entries = log.entries().await?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                file.write(&encode_entry(entry))?;
            }
        }
        for kept in log.cosignatures().await? {
            file.write(&encode_cosignature(&codec::encode(&kept)))?;
        }
        file.write(&encode_end())?;
        let blobs =
            if self.blobs { Some(self.write_blobs(store, committee, &log).await?) } else { None };
        // Last: where the log stands, its attachments do.
        file.keep()?;
        let (note, size) = (log.note().to_owned(), log.size().0);
        Ok(Written { committee, note, size, file: path.display().to_string(), blobs })
    }

    async fn write_blobs(
        &self,
        store: &Store,
        committee: CommitteeId,
        log: &service::Export<'_, Store>,
    ) -> Result<usize, Failure> {
        let folder = self.out.join(folder_name(committee));
        let blobs: Vec<Blob> = log.blobs().collect();
        if !blobs.is_empty() {
            std::fs::create_dir_all(&folder)
                .map_err(|error| Failure::io("making the folder of attachments", &error))?;
        }
        for blob in &blobs {
            write_blob(store, committee, *blob, &folder.join(blob.sha256.to_string())).await?;
        }
        Ok(blobs.len())
    }
}

/// Whether the marks are there is unknown, as after any write that failed.
fn not_retired(error: &CommitError) -> Failure {
    Failure::new(Kind::Failed, format!("the logs may not be retired: {error}"))
        .safe("The files are whole, and this folder serves as it did or not at all.")
        .next("Look whether they are, then export with another --out: sealpost-relay --data DIR check")
}

/// One that an earlier export left, whole, stays.
async fn write_blob(
    store: &Store,
    committee: CommitteeId,
    blob: Blob,
    path: &Path,
) -> Result<(), Failure> {
    if new_file::holds(path, blob)? {
        return Ok(());
    }
    let lost = || {
        Failure::new(Kind::Damaged, format!("attachment {} is missing or damaged", blob.sha256))
            .safe("Its log was not exported, and nothing else was changed.")
            .next("sealpost-relay --data DIR check, or leave out --blobs.")
    };
    let reader = match store.blob(committee, blob.sha256).await {
        Ok(Some(reader)) if reader.size() == blob.size => reader,
        Ok(_) | Err(BlobError::StoreLost) => return Err(lost()),
        Err(BlobError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(Failure::new(Kind::Failed, error.to_string())),
    };
    let (mut file, mut hasher, mut offset) = (NewFile::create(path)?, Hasher::default(), 0);
    while offset < blob.size {
        let bytes = reader.read(offset).await.map_err(|_| lost())?;
        hasher.update(&bytes);
        file.write(&bytes)?;
        offset += bytes.len() as u64;
    }
    if hasher.finish() != blob.sha256 {
        return Err(lost());
    }
    file.keep()
}
