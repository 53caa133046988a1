//! `attachments`: the sealed bytes of all attachments that are here, in one file of equal pieces.
//!
//! ```text
//! attachments   piece 0 │ piece 1 │ piece 2 │ …          256 KiB each, ciphertext or random bytes
//! vault.db      piece 0 → blob 7, part 0 · piece 1 → free · piece 2 → blob 7, part 1 · …
//! ```
//!
//! One file, so that a copy of the folder shows no number of attachments; pieces, so that what one
//! leaves behind serves the next. The file grows in the steps of [`steps`], and what nobody uses yet is
//! random: free and taken look alike.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, fstatvfs};
use rustix::io::Errno;

use super::{Home, VaultError, disk, steps};
use crate::random;
use crate::write_behind::WriteBehind;

/// The bytes of a piece: few for a photograph, not too many rows for a film.
pub(super) const PIECE_BYTES: u64 = 256 * 1024;
/// What is left free on the disk: text must still be written when scans no longer fit.
const LEFT_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// [`PIECE_BYTES`] in memory.
const PIECE: usize = 256 * 1024;

/// How many pieces so many bytes take.
pub(super) fn pieces(bytes: u64) -> u64 {
    bytes.div_ceil(PIECE_BYTES)
}

/// The file.
#[derive(Debug)]
pub(super) struct Container {
    file: File,
}

impl Container {
    pub(super) fn open(home: &Home) -> Result<Self, VaultError> {
        Ok(Self { file: disk::touch(&home.attachments())? })
    }

    /// Makes the file of `before` pieces longer by the step that holds `lacking` more. Returns how many
    /// it has then. Room is reserved, so that what was begun does not fail for it.
    pub(super) fn grow(&self, before: u64, lacking: u64) -> io::Result<u64> {
        let len = steps::step((before + lacking) * PIECE_BYTES);
        self.must_have_room(len.saturating_sub(before * PIECE_BYTES))?;
        match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            // No such call on this file system.
            Err(Errno::OPNOTSUPP) => self.file.set_len(len)?,
            reserved => reserved?,
        }
        Ok(len / PIECE_BYTES)
    }

    /// An error when so many bytes more would leave the disk nearly full.
    pub(super) fn must_have_room(&self, bytes: u64) -> io::Result<()> {
        let disk = fstatvfs(&self.file)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < bytes.saturating_add(LEFT_FREE_BYTES) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Fills pieces that nobody uses.
    pub(super) fn fill(&self, pieces: impl IntoIterator<Item = u64>) -> io::Result<()> {
        let mut filler = vec![0; PIECE];
        for piece in pieces {
            random::filler(&mut filler)?;
            self.file.write_all_at(&filler, piece * PIECE_BYTES)?;
        }
        Ok(())
    }

    /// Writes a blob into its pieces, behind the `held` bytes that are there: whole pieces.
    pub(super) fn writer(self, pieces: Vec<u64>, held: u64) -> BlobWriter {
        let next = usize::try_from(held / PIECE_BYTES).unwrap_or(usize::MAX);
        let (buffer, behind) = (Vec::with_capacity(PIECE), WriteBehind::default());
        BlobWriter { file: self.file, behind, pieces, next, buffer }
    }

    /// Reads the first `size` bytes of a blob.
    pub(super) fn reader(self, pieces: Vec<u64>, size: u64) -> BlobReader {
        BlobReader { file: self.file, pieces, at: 0, size }
    }

    /// Holds, for as long as the file is open, that somebody seals into it.
    pub(super) fn share(&self) -> io::Result<()> {
        Ok(flock(&self.file, FlockOperation::LockShared)?)
    }

    /// Whether nobody seals into it now, and until this is dropped.
    pub(super) fn is_alone(&self) -> io::Result<bool> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Writes a blob, piece by piece.
#[derive(Debug)]
pub struct BlobWriter {
    file: File,
    behind: WriteBehind,
    pieces: Vec<u64>,
    next: usize,
    buffer: Vec<u8>,
}

impl BlobWriter {
    /// How many pieces it has, written or not.
    pub(super) fn reserved(&self) -> u64 {
        self.pieces.len() as u64
    }

    /// Gives it all the pieces of its blob, more than before.
    pub(super) fn extend(&mut self, pieces: Vec<u64>) {
        self.pieces = pieces;
    }

    /// How many bytes it still takes before it needs more pieces.
    pub fn room(&self) -> u64 {
        let left = self.pieces.len().saturating_sub(self.next) as u64;
        (left * PIECE_BYTES).saturating_sub(self.buffer.len() as u64)
    }

    /// Puts the whole pieces that came so far on disk. How many bytes that are, from the beginning.
    pub fn sync(&mut self) -> io::Result<u64> {
        self.behind.finish(&self.file)?;
        Ok(self.next as u64 * PIECE_BYTES)
    }

    /// Puts all of it on disk. Behind its end the last piece is random.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let end = self.buffer.len();
            self.buffer.resize(PIECE, 0);
            random::filler(&mut self.buffer[end..])?;
            self.write_piece()?;
        }
        self.behind.finish(&self.file)
    }

    fn write_piece(&mut self) -> io::Result<()> {
        // Nobody has more room than was reserved for it.
        let piece = self.pieces.get(self.next).ok_or(io::ErrorKind::WriteZero)?;
        self.file.write_all_at(&self.buffer, piece * PIECE_BYTES)?;
        self.behind.wrote(&self.file, PIECE_BYTES)?;
        self.next += 1;
        self.buffer.clear();
        Ok(())
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PIECE {
            self.write_piece()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a blob.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    pieces: Vec<u64>,
    at: u64,
    size: u64,
}

impl BlobReader {
    /// Goes on from `offset`.
    pub fn skip_to(&mut self, offset: u64) {
        self.at = offset.min(self.size);
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = usize::try_from(self.at / PIECE_BYTES).unwrap_or(usize::MAX);
        let within = self.at % PIECE_BYTES;
        let left = (self.size - self.at).min(PIECE_BYTES - within);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if len == 0 {
            return Ok(0);
        }
        let piece = self.pieces.get(part).ok_or(io::ErrorKind::UnexpectedEof)?;
        let read = self.file.read_at(&mut buffer[..len], piece * PIECE_BYTES + within)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}
