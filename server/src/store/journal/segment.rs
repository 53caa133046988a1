//! The files of the journal: opening, walking, telling a torn tail from damage.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use super::super::StoreError;
use super::super::disk::{Disk, DiskFile};
use super::super::frame::{self, BODY_HEAD_BYTES, Batch, HEAD_BYTES, Head, NotAFrame, Reader};
use super::{FramePlace, Mark};

/// What stands before the first frame.
pub(in crate::store) const HEADER_BYTES: u64 = 16 + 4 + 4 + 8 + 8 + 4;
const MAGIC: &[u8; 16] = b"sealpost-journal";
pub(in crate::store) const VERSION: u32 = 1;
/// Segment files kept open for reading: 4 GiB of log at hand without an open call.
const OPEN_SEGMENTS_MAX: usize = 64;
const SEARCH_STEP_BYTES: usize = 1024 * 1024;

/// An entry in the journal, head included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Place {
    pub(in crate::store) segment: u32,
    pub(in crate::store) offset: u32,
    pub(in crate::store) len: u32,
}

/// A segment whose header was checked.
#[derive(Debug)]
pub(in crate::store) struct OpenSegment {
    pub(in crate::store) number: u32,
    pub(in crate::store) file: Box<dyn DiskFile>,
    pub(in crate::store) len: u64,
    /// Random bytes that every frame of this segment repeats, and that nobody outside can know:
    /// what a member writes into an entry is never taken for a frame.
    pub(in crate::store) mark: u64,
    /// Of the first frame here.
    pub(in crate::store) first_sequence: u64,
}

/// What stands behind the last good frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Tail {
    /// Zeros.
    Clean,
    /// Something up to `to`, but no frame.
    Torn { to: u64 },
    /// A good frame further on.
    Damaged,
}

/// All segments of a journal.
#[derive(Debug)]
pub(in crate::store) struct Segments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    open: Mutex<HashMap<u32, Arc<OpenSegment>>>,
    /// Held while a segment is read, and while another file takes its place: nobody is in the old one
    /// when its bytes are wiped.
    reading: RwLock<()>,
}

/// The header of a new segment, with a mark drawn for it.
pub(super) fn header(number: u32, first_sequence: u64) -> io::Result<Vec<u8>> {
    let mut mark = [0; 8];
    getrandom::fill(&mut mark).map_err(|error| io::Error::other(error.to_string()))?;
    // Never a zero byte: no run of zeros holds a mark.
    let mark = mark.map(|byte| byte.max(1));
    Ok(encode_header(number, first_sequence, u64::from_be_bytes(mark)))
}

pub(super) fn encode_header(number: u32, first_sequence: u64, mark: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&first_sequence.to_be_bytes());
    bytes.extend_from_slice(&mark.to_be_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

/// The name of a segment's file.
pub(in crate::store) fn file_name(number: u32) -> String {
    format!("{number:08}")
}

/// Whether the first segment of the journal in `folder` holds nothing behind its header.
pub(in crate::store) fn is_empty(disk: &dyn Disk, folder: &Path) -> Result<bool, StoreError> {
    let reading = "reading the journal";
    let first = folder.join(file_name(1));
    let file = disk.open(&first).map_err(StoreError::io(reading))?;
    let len = file.len().map_err(StoreError::io(reading))?;
    let segment = OpenSegment { number: 1, file, len, mark: 0, first_sequence: 1 };
    Ok(segment.end_of_content(HEADER_BYTES)? == HEADER_BYTES)
}

impl Segments {
    pub(in crate::store) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, open: Mutex::default(), reading: RwLock::default() }
    }

    pub(in crate::store) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(in crate::store) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(in crate::store) fn path(&self, number: u32) -> PathBuf {
        self.folder.join(file_name(number))
    }

    /// The number of the last segment. They are counted from 1, and none may be missing.
    pub(in crate::store) fn last(&self) -> Result<u32, StoreError> {
        let names = self.disk.list(&self.folder).map_err(StoreError::io("listing the journal"))?;
        let mut last = 0;
        for number in names.iter().filter_map(|name| name.parse::<u32>().ok()) {
            if number != last + 1 {
                return Err(StoreError::StoreDamaged { segment: last + 1, offset: 0 });
            }
            last = number;
        }
        if last == 0 {
            return Err(StoreError::StoreDamaged { segment: 1, offset: 0 });
        }
        Ok(last)
    }

    pub(in crate::store) fn open(&self, number: u32) -> Result<Arc<OpenSegment>, StoreError> {
        if let Some(segment) = self.open_segments().get(&number) {
            return Ok(Arc::clone(segment));
        }
        let segment = Arc::new(self.open_anew(number)?);
        let mut open = self.open_segments();
        if open.len() >= OPEN_SEGMENTS_MAX {
            open.clear();
        }
        open.insert(number, Arc::clone(&segment));
        Ok(segment)
    }

    /// Has a segment read from another file from now on; whoever reads the one before has ended.
    pub(super) fn replace(&self, segment: &Arc<OpenSegment>) {
        let _alone = self.reading.write().unwrap_or_else(PoisonError::into_inner);
        self.open_segments().insert(segment.number, Arc::clone(segment));
    }

    fn open_segments(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<OpenSegment>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_anew(&self, number: u32) -> Result<OpenSegment, StoreError> {
        let opening = "opening a journal segment";
        let file = self.disk.open(&self.path(number)).map_err(StoreError::io(opening))?;
        let len = file.len().map_err(StoreError::io(opening))?;
        let mut header = [0; 44];
        let read = file.read_up_to(&mut header, 0).map_err(StoreError::io(opening))?;
        let damaged = StoreError::StoreDamaged { segment: number, offset: 0 };
        let mut reader = Reader(&header[..read]);
        let mut parse = || {
            let magic = reader.take(MAGIC.len())?;
            Some((magic, reader.u32()?, reader.u32()?, reader.u64()?, reader.u64()?, reader.u32()?))
        };
        let (magic, version, own, first_sequence, mark, crc) = parse().ok_or(damaged.clone())?;
        if magic != MAGIC || crc != crc32c::crc32c(&header[..40]) {
            return Err(damaged);
        }
        if version != VERSION {
            return Err(StoreError::LocalVersion { found: version, known: VERSION });
        }
        if own != number {
            return Err(damaged);
        }
        Ok(OpenSegment { number, file, len, mark, first_sequence })
    }

    /// Whether the journal holds exactly the frame that `mark` is about.
    pub(in crate::store) fn holds(&self, mark: &Mark) -> Result<bool, StoreError> {
        if mark.place.segment == 0 || mark.place.segment > self.last()? {
            return Ok(false);
        }
        let segment = self.open(mark.place.segment)?;
        let Some(frame) = segment.frame(mark.place.offset)? else { return Ok(false) };
        let place = segment.place(mark.place.offset, &frame);
        if frame::verify(&frame, segment.mark) != Some(mark.sequence) {
            return Ok(false);
        }
        // Its checksum is another one when something was dropped from it since.
        let dropped =
            || frame::decode(&frame, segment.mark).is_some_and(|batch| batch.has_dropped());
        let same_but_crc = FramePlace { crc: place.crc, ..mark.place } == place;
        Ok(place == mark.place || (same_but_crc && dropped()))
    }

    /// Reads a stretch of a segment.
    pub(in crate::store) fn read(
        &self,
        number: u32,
        offset: u32,
        len: usize,
    ) -> Result<Bytes, StoreError> {
        let _reading = self.reading.read().unwrap_or_else(PoisonError::into_inner);
        let segment = self.open(number)?;
        let mut buffer = vec![0; len];
        let offset = u64::from(offset);
        match segment.file.read_exact_at(&mut buffer, offset) {
            Ok(()) => Ok(Bytes::from(buffer)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(StoreError::StoreDamaged { segment: number, offset })
            }
            Err(error) => Err(StoreError::io("reading the journal")(error)),
        }
    }
}

type Visit<'v> = &'v mut dyn FnMut(FramePlace, &Bytes, &Batch) -> Result<(), StoreError>;

impl OpenSegment {
    pub(in crate::store) fn place(&self, offset: u64, frame: &[u8]) -> FramePlace {
        let head = frame.first_chunk().and_then(|head| Head::decode(head).ok());
        let crc = head.expect("only whole frames have a place").crc();
        FramePlace { segment: self.number, offset, len: frame.len() as u64, crc }
    }

    /// Visits the good frames from `at` on, which must be numbered behind `sequence`; gives the
    /// place behind the last one.
    pub(in crate::store) fn walk(
        &self,
        at: u64,
        sequence: &mut u64,
        visit: Visit<'_>,
    ) -> Result<u64, StoreError> {
        let mut at = at;
        while let Some(frame) = self.frame(at)? {
            match frame::decode(&frame, self.mark) {
                Some(batch) if batch.sequence == *sequence + 1 => {
                    visit(self.place(at, &frame), &frame, &batch)?;
                    *sequence = batch.sequence;
                    at += frame.len() as u64;
                }
                _ => break,
            }
        }
        Ok(at)
    }

    /// What claims to be a frame at `at`, unchecked; `None` if nothing does.
    fn frame(&self, at: u64) -> Result<Option<Bytes>, StoreError> {
        let reading = "reading the journal";
        let mut head = [0; HEAD_BYTES];
        if self.file.read_up_to(&mut head, at).map_err(StoreError::io(reading))? < HEAD_BYTES {
            return Ok(None);
        }
        let len = match Head::decode(&head) {
            Ok(head) if at + head.frame_len() <= self.len => head.frame_len(),
            Ok(_) | Err(NotAFrame::End | NotAFrame::Bad) => return Ok(None),
        };
        let mut frame = vec![0; usize::try_from(len).expect("a frame fits into its segment")];
        match self.file.read_exact_at(&mut frame, at) {
            Ok(()) => Ok(Some(Bytes::from(frame))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(StoreError::io(reading)(error)),
        }
    }

    /// Looks at what stands from `at` to the end of the file; `sequence` is of the last good
    /// frame before it.
    pub(in crate::store) fn tail(&self, at: u64, sequence: u64) -> Result<Tail, StoreError> {
        let to = self.end_of_content(at)?;
        if to == at {
            return Ok(Tail::Clean);
        }
        match self.good_frame_within(at, to, sequence)? {
            Some(_) => Ok(Tail::Damaged),
            None => Ok(Tail::Torn { to }),
        }
    }

    /// The next good frame behind `at`, where no good one stands; and the sequence number before it.
    pub(super) fn good_frame_behind(
        &self,
        at: u64,
        sequence: u64,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        let next = at + 1;
        self.good_frame_within(next, self.end_of_content(next)?, sequence)
    }

    /// The place behind the last byte that is not zero.
    fn end_of_content(&self, at: u64) -> Result<u64, StoreError> {
        let mut buffer = vec![0; SEARCH_STEP_BYTES];
        let (mut offset, mut end) = (at, at);
        loop {
            let read = self
                .file
                .read_up_to(&mut buffer, offset)
                .map_err(StoreError::io("reading the journal's tail"))?;
            if read == 0 {
                return Ok(end);
            }
            if let Some(last) = buffer[..read].iter().rposition(|byte| *byte != 0) {
                end = offset + last as u64 + 1;
            }
            offset += read as u64;
        }
    }

    /// Every frame repeats the segment's mark at a fixed place: found by that, then checked.
    fn good_frame_within(
        &self,
        at: u64,
        to: u64,
        sequence: u64,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        let len = usize::try_from(to - at).expect("a segment fits into memory");
        let mut rest = vec![0; len];
        self.file
            .read_exact_at(&mut rest, at)
            .map_err(StoreError::io("reading the journal's tail"))?;
        let mark = self.mark.to_be_bytes();
        let marks = rest.windows(mark.len()).enumerate().filter(|(_, bytes)| *bytes == mark);
        for (place, _) in marks {
            let Some(start) = place.checked_sub(HEAD_BYTES) else { continue };
            let start = at + start as u64;
            // The last bytes of a frame may be zeros, so it is read from the file, not from `rest`.
            let Some(frame) = self.frame(start)? else { continue };
            match frame::verify(&frame, self.mark) {
                Some(found) if found > sequence => return Ok(Some((start, found - 1))),
                Some(_) | None => {}
            }
        }
        Ok(None)
    }

    /// Puts zeros in place of a torn tail, durably.
    pub(super) fn cut(&self, from: u64, to: u64) -> Result<(), StoreError> {
        tracing::warn!(
            segment = self.number,
            offset = from,
            bytes = to - from,
            "the journal ends in a write that was never finished: cut off"
        );
        let len = usize::try_from(to - from).expect("a segment fits into memory");
        self.file
            .write_all_at(&vec![0; len], from)
            .and_then(|()| self.file.sync())
            .map_err(StoreError::io("cutting off the journal's torn tail"))
    }
}

const _: () = assert!(HEADER_BYTES == 44 && BODY_HEAD_BYTES == 16);
