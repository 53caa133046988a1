//! The parts of an export: each its length and itself.

use super::PeerExportError;
use crate::checkpoint::UnverifiedCheckpoint;
use crate::limits::{ENTRY_BYTES_MAX, NOTE_BYTES_MAX};

/// How an export of version 1 begins.
pub const MAGIC: &[u8] = b"sealpost-log/1\n";
/// How exports of every version begin.
const MAGIC_OF_ANY: &[u8] = b"sealpost-log/";
const LENGTH_BYTES: usize = 4;

/// A part, its bytes not yet looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The relay's last signed note. Its size says how many entries follow.
    Note(Vec<u8>),
    /// The next entry of the log.
    Entry(Vec<u8>),
    /// A device's last cosignature.
    Cosignature(Vec<u8>),
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Note,
    Entry,
    Cosignature,
}

impl Place {
    fn bytes_max(self) -> usize {
        match self {
            Self::Entry => ENTRY_BYTES_MAX,
            Self::Note | Self::Cosignature => NOTE_BYTES_MAX,
        }
    }
}

/// The beginning of an export, up to the first entry.
pub fn encode_note(note: &str) -> Vec<u8> {
    [MAGIC, &part(note.as_bytes())].concat()
}

/// An entry, as it is pulled.
pub fn encode_entry(entry: &[u8]) -> Vec<u8> {
    part(entry)
}

/// A cosignature, encoded as in the answer to `cosignatures`.
pub fn encode_cosignature(cosignature: &[u8]) -> Vec<u8> {
    part(cosignature)
}

/// The end, behind the last cosignature: an empty part.
pub fn encode_end() -> Vec<u8> {
    part(&[])
}

fn part(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("no part is longer than an entry may be");
    [length.to_be_bytes().as_slice(), bytes].concat()
}

/// Cuts what comes of a file into parts. A length is only a claim: memory grows with the bytes that came.
#[derive(Debug)]
pub struct PartReader {
    buffer: Vec<u8>,
    /// Up to where the buffer is used up.
    at: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Magic,
    Note,
    /// So many entries are still to come.
    Entries(u64),
    Cosignatures,
    End,
}

impl Default for PartReader {
    fn default() -> Self {
        Self { buffer: Vec::new(), at: 0, stage: Stage::Magic }
    }
}

impl PartReader {
    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part, if all of it has come.
    pub fn next_part(&mut self) -> Result<Option<Part>, PeerExportError> {
        if self.stage == Stage::Magic && !self.read_magic()? {
            return Ok(None);
        }
        let place = match self.stage {
            Stage::Magic | Stage::Note => Place::Note,
            Stage::Entries(_) => Place::Entry,
            Stage::Cosignatures => Place::Cosignature,
            Stage::End if self.rest().is_empty() => return Ok(None),
            Stage::End => return Err(PeerExportError::Trailing),
        };
        let Some(bytes) = self.cut(place.bytes_max())? else { return Ok(None) };
        match (place, self.stage) {
            (Place::Note, _) => {
                let size = UnverifiedCheckpoint::parse(&bytes)?.claimed().size;
                self.stage = entries(size.0);
                Ok(Some(Part::Note(bytes)))
            }
            (Place::Entry, Stage::Entries(left)) => {
                self.stage = entries(left - 1);
                Ok(Some(Part::Entry(bytes)))
            }
            _ if bytes.is_empty() => {
                self.stage = Stage::End;
                self.next_part()
            }
            _ => Ok(Some(Part::Cosignature(bytes))),
        }
    }

    /// Says at the end of the file whether the export ended there.
    pub fn finish(&self) -> Result<(), PeerExportError> {
        match self.stage {
            Stage::End if self.rest().is_empty() => Ok(()),
            Stage::End => Err(PeerExportError::Trailing),
            _ => Err(PeerExportError::CutOff),
        }
    }

    fn read_magic(&mut self) -> Result<bool, PeerExportError> {
        let came = self.rest();
        if came.starts_with(MAGIC) {
            self.at += MAGIC.len();
            self.stage = Stage::Note;
            return Ok(true);
        }
        if MAGIC.starts_with(came) {
            return Ok(false);
        }
        let of_another = came.starts_with(MAGIC_OF_ANY);
        Err(if of_another { PeerExportError::NewerVersion } else { PeerExportError::Magic })
    }

    fn cut(&mut self, max: usize) -> Result<Option<Vec<u8>>, PeerExportError> {
        let Some((length, rest)) = self.rest().split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*length) as usize;
        if len > max {
            return Err(PeerExportError::TooLarge { len, max });
        }
        let Some(bytes) = rest.get(..len) else { return Ok(None) };
        let bytes = bytes.to_vec();
        self.at += LENGTH_BYTES + len;
        Ok(Some(bytes))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }
}

fn entries(left: u64) -> Stage {
    if left == 0 { Stage::Cosignatures } else { Stage::Entries(left) }
}
