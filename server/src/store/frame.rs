//! One frame of the journal: what one group commit wrote (SPEC.md §20.2, §20.3).
//!
//! Written by [`FrameWriter`], read by [`decode`]; both give the same [`Batch`], which says where
//! in the frame each entry stands, so that what is indexed after a write and after a restart
//! cannot differ.

use std::ops::Range;

use bytes::Bytes;
use sealpost_protocol::entry::{Blob, UnverifiedEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, CommitteeId, DeviceId, LeafIndex};

use super::{StoredEntry, notes::NoteChange};

/// Length, type and checksum.
pub(super) const HEAD_BYTES: usize = 4 + 1 + 4;
/// The mark and the sequence number that open every body.
pub(super) const BODY_HEAD_BYTES: usize = 8 + 8;
/// Everything before the first item.
pub(super) const ITEMS_AT: usize = HEAD_BYTES + BODY_HEAD_BYTES;
/// What an append costs before its entries.
pub(super) const APPEND_HEAD_BYTES: usize = 1 + 32 + 8 + 4;
/// What an entry that names no blob costs before its bytes.
const ENTRY_HEAD_BYTES: usize = 1 + 32 + 8 + 32 + 4 + 4;
/// What the count of blobs costs, and each of them: hash and size.
const BLOB_COUNT_BYTES: usize = 1;
const BLOB_BYTES: usize = 32 + 8;
/// What one changed note costs before its key and value.
pub(super) const NOTE_HEAD_BYTES: usize = 1 + 2 + 4;
/// What a list of changed notes costs before the first.
pub(super) const NOTES_HEAD_BYTES: usize = 1 + 4;
/// What is forgotten costs before the first place, and each place.
const FORGET_HEAD_BYTES: usize = 1 + 32 + 4;
const FORGET_PLACE_BYTES: usize = 8;
/// How long an entry without its payload is, which stands before it.
const DROPPED_HEAD_BYTES: usize = 4;

/// A checksum.
const CRC_BYTES: usize = 4;
/// Where in a frame its checksum stands.
const CRC_AT: usize = 4 + 1;

const TYPE_BATCH: u8 = 1;
const ITEM_APPEND: u8 = 1;
const ITEM_NOTES: u8 = 2;
const ITEM_FORGET: u8 = 3;
/// Flags of an entry.
const ENTRY_DROPPED: u8 = 1;
const ENTRY_NAMES_BLOBS: u8 = 1 << 1;
const NOTE_PUT: u8 = 1;
const NOTE_DELETE: u8 = 2;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Frames of a journal are counted from 1, without gaps.
    pub(super) sequence: u64,
    /// In log order.
    pub(super) items: Vec<Item>,
}

impl Batch {
    /// Whether the payload of an entry in it was dropped.
    pub(super) fn has_dropped(&self) -> bool {
        self.items.iter().any(|item| match item {
            Item::Append(appended) => appended.entries.iter().any(|entry| entry.dropped),
            Item::Notes(_) | Item::Forget(_) => false,
        })
    }

    /// Which entries stand in the frame.
    pub(super) fn entries(&self) -> impl Iterator<Item = (CommitteeId, LeafIndex)> {
        let appended = self.items.iter().filter_map(|item| match item {
            Item::Append(appended) => Some(appended),
            Item::Notes(_) | Item::Forget(_) => None,
        });
        appended.flat_map(|appended| {
            let places = (appended.first.0..).take(appended.entries.len());
            places.map(|index| (appended.committee, LeafIndex(index)))
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Append(Appended),
    Notes(Vec<NoteChange>),
    Forget(Forgotten),
}

/// Entries of one committee's log whose payloads and blobs are forgotten from this frame on. It is
/// written with the entry that says so, so that a start after a crash knows what is still to be
/// dropped, without decoding entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forgotten {
    pub(super) committee: CommitteeId,
    pub(super) places: Vec<LeafIndex>,
}

/// Entries put behind one committee's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) committee: CommitteeId,
    pub(super) first: LeafIndex,
    pub(super) entries: Vec<PlacedEntry>,
}

/// An entry, and where in its frame it stands, head included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlacedEntry {
    pub(super) leaf_hash: Hash,
    pub(super) author: DeviceId,
    pub(super) author_seq: AuthorSeq,
    pub(super) blobs: Vec<Blob>,
    /// Its payload was forgotten, and is not there any more.
    pub(super) dropped: bool,
    pub(super) offset: u32,
    pub(super) len: u32,
}

impl PlacedEntry {
    /// Where in its frame the entry's own bytes stand, and zeros where its payload was dropped.
    fn room(&self) -> Range<usize> {
        let start = self.offset as usize;
        start + head_len(self.blobs.len())..start + self.len as usize
    }

    /// The entry's own bytes, in its frame.
    pub(super) fn bytes(&self, frame: &Bytes) -> Bytes {
        let room = frame.slice(self.room());
        match within(&room, self.dropped) {
            Some(entry) => room.slice(entry),
            None => unreachable!("checked when it was decoded"),
        }
    }
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAFrame {
    /// A length of zero: here the journal ends.
    End,
    /// Anything else: torn or damaged.
    Bad,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) body_len: u32,
    crc: u32,
}

impl Head {
    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Self, NotAFrame> {
        let mut reader = Reader(bytes);
        let body_len = reader.u32().ok_or(NotAFrame::Bad)?;
        let kind = reader.u8().ok_or(NotAFrame::Bad)?;
        let crc = reader.u32().ok_or(NotAFrame::Bad)?;
        if body_len == 0 {
            return Err(NotAFrame::End);
        }
        if kind != TYPE_BATCH {
            return Err(NotAFrame::Bad);
        }
        Ok(Self { body_len, crc })
    }

    pub(super) fn frame_len(self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.body_len)
    }

    pub(super) fn crc(self) -> u32 {
        self.crc
    }
}

/// Checks a whole frame: its checksum, and that it belongs to the segment with that mark.
pub(super) fn verify(frame: &[u8], mark: u64) -> Option<u64> {
    let head = Head::decode(frame.get(..HEAD_BYTES)?.try_into().ok()?).ok()?;
    if head.frame_len() != frame.len() as u64 || frame_crc(frame) != head.crc {
        return None;
    }
    let mut body = Reader(&frame[HEAD_BYTES..]);
    (body.u64()? == mark).then_some(())?;
    body.u64()
}

/// Checks a frame and takes it apart. `None` when it is torn, damaged or of another segment.
pub(super) fn decode(frame: &Bytes, mark: u64) -> Option<Batch> {
    let sequence = verify(frame, mark)?;
    let mut reader = Reader(&frame[ITEMS_AT..]);
    let mut items = Vec::new();
    while !reader.0.is_empty() {
        items.push(match reader.u8()? {
            ITEM_APPEND => Item::Append(decode_append(frame, &mut reader)?),
            ITEM_NOTES => Item::Notes(decode_notes(&mut reader)?),
            ITEM_FORGET => Item::Forget(decode_forget(&mut reader)?),
            _ => return None,
        });
    }
    Some(Batch { sequence, items })
}

fn decode_append(frame: &[u8], reader: &mut Reader<'_>) -> Option<Appended> {
    let committee = CommitteeId(reader.hash()?);
    let first = LeafIndex(reader.u64()?);
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for number in 0..count {
        let rest = reader.0;
        let index = LeafIndex(first.0.checked_add(number.into())?);
        let (entry, len) = decode_entry(rest, committee, index)?;
        let offset = frame.len() - rest.len();
        entries.push(PlacedEntry {
            leaf_hash: entry.leaf_hash,
            author: entry.author,
            author_seq: entry.author_seq,
            blobs: entry.blobs,
            dropped: entry.dropped,
            offset: u32::try_from(offset).ok()?,
            len: u32::try_from(len).ok()?,
        });
        reader.take(len)?;
    }
    Some(Appended { committee, first, entries })
}

/// An entry as it stands in the journal, without its bytes.
#[derive(Clone, Debug)]
pub(super) struct EntryHead {
    pub(super) leaf_hash: Hash,
    pub(super) author: DeviceId,
    pub(super) author_seq: AuthorSeq,
    pub(super) blobs: Vec<Blob>,
    /// Its payload was forgotten, and is not there any more.
    pub(super) dropped: bool,
    /// Where the entry's own bytes stand, counted from its head.
    pub(super) entry: Range<usize>,
}

/// Reads the entry at the start of `bytes`, which must be the `index`th of `committee`, and checks
/// its own checksum: what stands elsewhere, or has a flipped bit, is not served. Gives its head
/// and its length, head included.
pub(super) fn decode_entry(
    bytes: &[u8],
    committee: CommitteeId,
    index: LeafIndex,
) -> Option<(EntryHead, usize)> {
    let mut reader = Reader(bytes);
    let flags = reader.u8()?;
    if flags & !(ENTRY_DROPPED | ENTRY_NAMES_BLOBS) != 0 {
        return None;
    }
    let dropped = flags & ENTRY_DROPPED != 0;
    let author = DeviceId(reader.hash()?);
    let author_seq = AuthorSeq(reader.u64()?);
    let leaf_hash = reader.hash()?;
    let len = usize::try_from(reader.u32()?).ok()?;
    let names_blobs = flags & ENTRY_NAMES_BLOBS != 0;
    let blobs = if names_blobs { reader.blobs()? } else { Vec::new() };
    let head = &bytes[..bytes.len() - reader.0.len()];
    let crc = reader.u32()?;
    let room = reader.take(len)?;
    (entry_crc(committee, index, head, room) == crc).then_some(())?;
    let within = within(room, dropped)?;
    let start = head_len(blobs.len());
    let entry = start + within.start..start + within.end;
    Some((EntryHead { leaf_hash, author, author_seq, blobs, dropped, entry }, start + len))
}

/// Where in its room an entry stands: all of it, or what is left behind its length, and then
/// nothing but zeros.
fn within(room: &[u8], dropped: bool) -> Option<Range<usize>> {
    if !dropped {
        return Some(0..room.len());
    }
    let mut reader = Reader(room);
    let len = usize::try_from(reader.u32()?).ok()?;
    reader.take(len)?;
    let is_clean = reader.0.iter().all(|byte| *byte == 0);
    is_clean.then_some(DROPPED_HEAD_BYTES..DROPPED_HEAD_BYTES + len)
}

fn decode_forget(reader: &mut Reader<'_>) -> Option<Forgotten> {
    let committee = CommitteeId(reader.hash()?);
    let count = reader.u32()?;
    let mut places = Vec::new();
    for _ in 0..count {
        places.push(LeafIndex(reader.u64()?));
    }
    Some(Forgotten { committee, places })
}

/// An entry as it is handed out when it is forgotten. `None`: it is no entry.
pub(super) fn without_payload(entry: &[u8]) -> Option<Vec<u8>> {
    Some(UnverifiedEntry::decode(entry).ok()?.with_payload_dropped().encode())
}

/// The frame without the payloads of those of its entries that go. Every entry keeps its place and
/// its length. `None`: it is no frame of that segment, or one of them is no entry.
pub(super) fn drop_payloads(
    frame: &Bytes,
    mark: u64,
    goes: &dyn Fn(CommitteeId, LeafIndex) -> bool,
) -> Option<Vec<u8>> {
    let batch = decode(frame, mark)?;
    let mut bytes = frame.to_vec();
    for item in &batch.items {
        let Item::Append(appended) = item else { continue };
        for (entry, index) in appended.entries.iter().zip(appended.first.0..) {
            let index = LeafIndex(index);
            if !entry.dropped && goes(appended.committee, index) {
                drop_payload(&mut bytes, appended.committee, index, entry)?;
            }
        }
    }
    let crc = frame_crc(&bytes);
    bytes[CRC_AT..HEAD_BYTES].copy_from_slice(&crc.to_be_bytes());
    Some(bytes)
}

fn drop_payload(
    frame: &mut [u8],
    committee: CommitteeId,
    index: LeafIndex,
    entry: &PlacedEntry,
) -> Option<()> {
    let left = without_payload(&frame[entry.room()])?;
    leave(frame, committee, index, entry, &left)
}

/// Leaves that of an entry, and zeros.
fn leave(
    frame: &mut [u8],
    committee: CommitteeId,
    index: LeafIndex,
    entry: &PlacedEntry,
    left: &[u8],
) -> Option<()> {
    let room = entry.room();
    let fits = DROPPED_HEAD_BYTES + left.len() <= room.len();
    fits.then_some(())?;
    let dropped = &mut frame[room.clone()];
    dropped.fill(0);
    dropped[..DROPPED_HEAD_BYTES].copy_from_slice(&length(left.len()).to_be_bytes());
    dropped[DROPPED_HEAD_BYTES..][..left.len()].copy_from_slice(left);
    let (start, crc_at) = (entry.offset as usize, room.start - CRC_BYTES);
    frame[start] |= ENTRY_DROPPED;
    let crc = entry_crc(committee, index, &frame[start..crc_at], &frame[room.clone()]);
    frame[crc_at..room.start].copy_from_slice(&crc.to_be_bytes());
    Some(())
}

fn decode_notes(reader: &mut Reader<'_>) -> Option<Vec<NoteChange>> {
    let count = reader.u32()?;
    let mut changes = Vec::new();
    for _ in 0..count {
        let kind = reader.u8()?;
        let key_len = usize::from(reader.u16()?);
        let value_len = usize::try_from(reader.u32()?).ok()?;
        let key = reader.take(key_len)?.to_vec();
        let value = Bytes::copy_from_slice(reader.take(value_len)?);
        changes.push(match kind {
            NOTE_PUT => NoteChange { key, value: Some(value) },
            NOTE_DELETE if value.is_empty() => NoteChange { key, value: None },
            _ => return None,
        });
    }
    Some(changes)
}

/// The checksum over everything in a frame but the checksum.
fn frame_crc(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..HEAD_BYTES - 4]), &frame[HEAD_BYTES..])
}

fn entry_crc(committee: CommitteeId, index: LeafIndex, head: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32c::crc32c(committee.as_bytes());
    crc = crc32c::crc32c_append(crc, &index.0.to_be_bytes());
    crc = crc32c::crc32c_append(crc, head);
    crc32c::crc32c_append(crc, payload)
}

/// How many bytes of a frame an append takes.
pub(super) fn append_len(entries: &[StoredEntry]) -> usize {
    let len = |entry: &StoredEntry| head_len(entry.blobs.len()) + room_len(entry);
    APPEND_HEAD_BYTES + entries.iter().map(len).sum::<usize>()
}

/// How much room an entry takes behind its head.
fn room_len(entry: &StoredEntry) -> usize {
    let length = if entry.dropped { DROPPED_HEAD_BYTES } else { 0 };
    length + entry.bytes.len()
}

/// How many bytes of a frame it takes that so many entries are forgotten.
pub(super) fn forget_len(places: usize) -> usize {
    match places {
        0 => 0,
        places => FORGET_HEAD_BYTES + places * FORGET_PLACE_BYTES,
    }
}

/// What an entry that names so many blobs costs before its bytes.
fn head_len(blobs: usize) -> usize {
    match blobs {
        0 => ENTRY_HEAD_BYTES,
        blobs => ENTRY_HEAD_BYTES + BLOB_COUNT_BYTES + blobs * BLOB_BYTES,
    }
}

/// How many bytes of a frame changed notes take.
pub(super) fn notes_len(changes: &[NoteChange]) -> usize {
    let bytes: usize = changes
        .iter()
        .map(|change| {
            NOTE_HEAD_BYTES + change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
        })
        .sum();
    NOTES_HEAD_BYTES + bytes
}

/// Collects the items of one frame.
#[derive(Debug)]
pub(super) struct FrameWriter {
    frame: Vec<u8>,
    items: Vec<Item>,
}

impl FrameWriter {
    pub(super) fn new(buffer: Vec<u8>) -> Self {
        let mut frame = buffer;
        frame.clear();
        frame.resize(ITEMS_AT, 0);
        Self { frame, items: Vec::new() }
    }

    pub(super) fn append(
        &mut self,
        committee: CommitteeId,
        first: LeafIndex,
        entries: &[StoredEntry],
    ) {
        self.frame.push(ITEM_APPEND);
        self.frame.extend_from_slice(committee.as_bytes());
        self.frame.extend_from_slice(&first.0.to_be_bytes());
        self.frame.extend_from_slice(&length(entries.len()).to_be_bytes());
        let placed = entries
            .iter()
            .zip(first.0..)
            .map(|(entry, index)| self.entry(committee, LeafIndex(index), entry))
            .collect();
        self.items.push(Item::Append(Appended { committee, first, entries: placed }));
    }

    fn entry(
        &mut self,
        committee: CommitteeId,
        index: LeafIndex,
        entry: &StoredEntry,
    ) -> PlacedEntry {
        let start = self.frame.len();
        let names_blobs = if entry.blobs.is_empty() { 0 } else { ENTRY_NAMES_BLOBS };
        self.frame.push(names_blobs | if entry.dropped { ENTRY_DROPPED } else { 0 });
        self.frame.extend_from_slice(entry.author.as_bytes());
        self.frame.extend_from_slice(&entry.author_seq.0.to_be_bytes());
        self.frame.extend_from_slice(entry.leaf_hash.as_bytes());
        self.frame.extend_from_slice(&length(room_len(entry)).to_be_bytes());
        if !entry.blobs.is_empty() {
            let count = u8::try_from(entry.blobs.len()).expect("admission lets in a few");
            self.frame.push(count);
            for blob in &entry.blobs {
                self.frame.extend_from_slice(blob.sha256.as_bytes());
                self.frame.extend_from_slice(&blob.size.to_be_bytes());
            }
        }
        let crc_at = self.frame.len();
        self.frame.extend_from_slice(&[0; CRC_BYTES]);
        if entry.dropped {
            self.frame.extend_from_slice(&length(entry.bytes.len()).to_be_bytes());
        }
        self.frame.extend_from_slice(&entry.bytes);
        let (head, room) = (&self.frame[start..crc_at], &self.frame[crc_at + CRC_BYTES..]);
        let crc = entry_crc(committee, index, head, room);
        self.frame[crc_at..crc_at + CRC_BYTES].copy_from_slice(&crc.to_be_bytes());
        PlacedEntry {
            leaf_hash: entry.leaf_hash,
            author: entry.author,
            author_seq: entry.author_seq,
            blobs: entry.blobs.clone(),
            dropped: entry.dropped,
            offset: length(start),
            len: length(self.frame.len() - start),
        }
    }

    pub(super) fn notes(&mut self, changes: Vec<NoteChange>) {
        self.frame.push(ITEM_NOTES);
        self.frame.extend_from_slice(&length(changes.len()).to_be_bytes());
        for change in &changes {
            let value = change.value.as_deref();
            let key_len = u16::try_from(change.key.len()).expect("keys are limited on the way in");
            self.frame.push(if value.is_some() { NOTE_PUT } else { NOTE_DELETE });
            self.frame.extend_from_slice(&key_len.to_be_bytes());
            self.frame.extend_from_slice(&length(value.map_or(0, <[u8]>::len)).to_be_bytes());
            self.frame.extend_from_slice(&change.key);
            self.frame.extend_from_slice(value.unwrap_or_default());
        }
        self.items.push(Item::Notes(changes));
    }

    /// Notes what is forgotten from now on, if anything is.
    pub(super) fn forget(&mut self, committee: CommitteeId, places: &[LeafIndex]) {
        if places.is_empty() {
            return;
        }
        self.frame.push(ITEM_FORGET);
        self.frame.extend_from_slice(committee.as_bytes());
        self.frame.extend_from_slice(&length(places.len()).to_be_bytes());
        for place in places {
            self.frame.extend_from_slice(&place.0.to_be_bytes());
        }
        self.items.push(Item::Forget(Forgotten { committee, places: places.to_vec() }));
    }

    /// How long the frame is so far.
    pub(super) fn len(&self) -> usize {
        self.frame.len()
    }

    /// The bytes for the segment with that mark, and what they mean.
    pub(super) fn finish(self, mark: u64, sequence: u64) -> (Vec<u8>, Batch) {
        let Self { mut frame, items } = self;
        let body_len = length(frame.len() - HEAD_BYTES);
        frame[..4].copy_from_slice(&body_len.to_be_bytes());
        frame[4] = TYPE_BATCH;
        frame[HEAD_BYTES..HEAD_BYTES + 8].copy_from_slice(&mark.to_be_bytes());
        frame[HEAD_BYTES + 8..ITEMS_AT].copy_from_slice(&sequence.to_be_bytes());
        let crc = frame_crc(&frame);
        frame[CRC_AT..HEAD_BYTES].copy_from_slice(&crc.to_be_bytes());
        (frame, Batch { sequence, items })
    }
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a frame is limited far below 4 GiB")
}

/// Takes big-endian numbers off the front of a slice.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn hash(&mut self) -> Option<Hash> {
        self.array().map(Hash)
    }

    /// The blobs of an entry that names some.
    fn blobs(&mut self) -> Option<Vec<Blob>> {
        let count = self.u8().filter(|count| *count > 0)?;
        (0..count).map(|_| Some(Blob { sha256: self.hash()?, size: self.u64()? })).collect()
    }
}

#[cfg(test)]
mod tests;
