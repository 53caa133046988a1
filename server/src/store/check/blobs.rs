//! What `check` thinks of blobs and uploads: every file in their folders is as an entry names it, or is
//! said.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use sealpost_protocol::entry::Blob;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::CommitteeId;
use sha2::{Digest, Sha256};

use super::super::StoreError;
use super::super::blobs::folder::{BLOBS, UPLOADS, UploadName};
use super::super::disk::Disk;
use super::{Check, Fault};

/// Bytes of a blob read at once.
const READ_BYTES: usize = 1024 * 1024;

impl Check<'_> {
    /// Reads every blob that entries name, and names whatever else lies there.
    pub(super) fn blobs(&mut self) -> Result<(), StoreError> {
        let mut committees: BTreeSet<CommitteeId> = self.logs.keys().copied().collect();
        for folder in [BLOBS, UPLOADS] {
            for name in list(self.disk.as_ref(), &self.root.join(folder))? {
                match name.parse::<CommitteeId>() {
                    Ok(committee) if committee.to_string() == name => {
                        committees.insert(committee);
                    }
                    _ => self.left_over(format!("{folder}/{name}"), "it belongs nowhere"),
                }
            }
        }
        for committee in committees {
            self.blobs_of(committee)?;
            self.uploads_of(committee)?;
        }
        Ok(())
    }

    fn blobs_of(&mut self, committee: CommitteeId) -> Result<(), StoreError> {
        let folder = format!("{BLOBS}/{committee}");
        let mut missing =
            self.logs.get(&committee).map(|log| log.blobs.clone()).unwrap_or_default();
        for name in list(self.disk.as_ref(), &self.root.join(&folder))? {
            let file = format!("{folder}/{name}");
            let sha256 = name.parse::<Hash>().ok().filter(|sha256| sha256.to_string() == name);
            let Some(size) = sha256.and_then(|sha256| missing.remove(&sha256)) else {
                match sha256 {
                    Some(sha256) if self.was_named(committee, sha256) => {
                        self.find(file, 0, Fault::Forgotten("a blob"));
                    }
                    Some(_) => self.left_over(file, "no entry names it"),
                    None => self.left_over(file, "it belongs nowhere"),
                }
                continue;
            };
            let Some(sha256) = sha256 else { continue };
            if let Some(what) = self.unlike(&file, Blob { sha256, size })? {
                self.find(file, 0, Fault::Blob(what));
            }
        }
        for (sha256, size) in missing {
            self.missing(committee, Blob { sha256, size })?;
        }
        Ok(())
    }

    /// Whether a forgotten entry names a blob.
    fn was_named(&self, committee: CommitteeId, sha256: Hash) -> bool {
        let log = self.logs.get(&committee);
        let next = log.and_then(|log| log.naming.range((sha256, 0)..).next());
        next.is_some_and(|((hash, _), _)| *hash == sha256)
    }

    /// One that is not in its place may wait among the uploads.
    fn missing(&mut self, committee: CommitteeId, blob: Blob) -> Result<(), StoreError> {
        let folder = format!("{UPLOADS}/{committee}");
        for name in list(self.disk.as_ref(), &self.root.join(&folder))? {
            let upload = UploadName::parse(&name).filter(|upload| upload.whole);
            let file = format!("{folder}/{name}");
            if upload.is_some_and(|upload| upload.sha256 == blob.sha256)
                && self.unlike(&file, blob)?.is_none()
            {
                self.find(file, 0, Fault::Misplaced);
                return Ok(());
            }
        }
        let file = format!("{BLOBS}/{committee}/{}", blob.sha256);
        self.find(file, 0, Fault::Blob("an entry names this blob, and it is missing"));
        Ok(())
    }

    fn uploads_of(&mut self, committee: CommitteeId) -> Result<(), StoreError> {
        let folder = format!("{UPLOADS}/{committee}");
        for name in list(self.disk.as_ref(), &self.root.join(&folder))? {
            let file = format!("{folder}/{name}");
            let is_said = |found: &super::Finding| found.file == file;
            if self.findings.iter().any(is_said) {
                continue;
            }
            let what = match UploadName::parse(&name) {
                Some(upload) if upload.whole => "an upload that no entry names yet",
                Some(_) => "an upload that is not finished",
                None => "it belongs nowhere",
            };
            self.left_over(file, what);
        }
        Ok(())
    }

    fn left_over(&mut self, file: String, what: &'static str) {
        self.find(file, 0, Fault::LeftOver(what));
    }

    /// What is wrong with a file that should be this blob.
    fn unlike(&self, file: &str, blob: Blob) -> Result<Option<&'static str>, StoreError> {
        let other_length = "an entry names this blob, and it has another length";
        let io = |error| StoreError::io("reading a blob")(error);
        let opened = match self.disk.open(&self.root.join(file)) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                return Ok(Some("an entry names this blob, and it is a folder"));
            }
            opened => opened.map_err(io)?,
        };
        if opened.len().map_err(io)? != blob.size {
            return Ok(Some(other_length));
        }
        let (mut hash, mut at) = (Sha256::new(), 0);
        let mut buffer = vec![0; READ_BYTES];
        while at < blob.size {
            let Ok(read) = opened.read_up_to(&mut buffer, at) else {
                return Ok(Some("an entry names this blob, and the disk cannot read it"));
            };
            if read == 0 {
                return Ok(Some(other_length));
            }
            hash.update(&buffer[..read]);
            at += read as u64;
        }
        let same = Hash(hash.finalize().into()) == blob.sha256;
        Ok((!same).then_some("an entry names this blob, and it is damaged"))
    }
}

/// The names in a folder, of which an earlier version of this program made none.
fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<String>, StoreError> {
    match disk.list(folder) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        listed => listed.map_err(StoreError::io("looking for blobs")),
    }
}
