//! How much a folder may hold (SPEC.md §23): counted as it is read, so that reading ends in time.

use super::PeerFolderError;
use crate::limits::{
    PROOF_BLOBS_BYTES_MAX, PROOF_BLOBS_MAX, PROOF_BYTES_MAX, PROOF_FILE_BYTES_MAX, PROOF_FILES_MAX,
};

/// What a folder holds so far.
#[derive(Debug, Default)]
pub struct Measure {
    files: usize,
    bytes: usize,
    blobs: usize,
    blob_bytes: u64,
}

impl Measure {
    /// Counts a file that is no blob.
    pub fn file(&mut self, name: &str, bytes: usize) -> Result<(), PeerFolderError> {
        self.count()?;
        if bytes > PROOF_FILE_BYTES_MAX {
            return Err(PeerFolderError::FileTooLarge(name.to_owned()));
        }
        self.bytes += bytes;
        if self.bytes > PROOF_BYTES_MAX { Err(PeerFolderError::TooLarge) } else { Ok(()) }
    }

    /// Counts a blob; before it is read, which may take long.
    pub fn blob(&mut self, bytes: u64) -> Result<(), PeerFolderError> {
        self.count()?;
        if self.blobs == PROOF_BLOBS_MAX {
            return Err(PeerFolderError::TooManyBlobs);
        }
        self.blobs += 1;
        self.blob_bytes = self.blob_bytes.saturating_add(bytes);
        let fits = self.blob_bytes <= PROOF_BLOBS_BYTES_MAX;
        if fits { Ok(()) } else { Err(PeerFolderError::BlobsTooLarge) }
    }

    fn count(&mut self) -> Result<(), PeerFolderError> {
        if self.files == PROOF_FILES_MAX {
            return Err(PeerFolderError::TooManyFiles);
        }
        self.files += 1;
        Ok(())
    }
}
