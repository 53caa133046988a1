//! How much of some bytes a zlib stream takes, without keeping what it unpacks to.

use flate2::{Decompress, FlushDecompress, Status};

/// Unpacked at a time.
const STEP_BYTES: usize = 32 * 1024;
/// The most that one file's streams may unpack to: a picture of 250 million pixels.
pub(super) const UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A stream that was unpacked to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// How many bytes it takes.
    pub(super) packed: u64,
    /// To how many it unpacks.
    pub(super) unpacked: u64,
}

/// Measures the stream that begins with these pieces; none if it is damaged, does not end, or unpacks to
/// more than `most`.
pub(super) fn measure<'b>(pieces: impl Iterator<Item = &'b [u8]>, most: u64) -> Option<Measured> {
    let mut unpack = Decompress::new(true);
    let mut out = vec![0; STEP_BYTES];
    for mut piece in pieces {
        loop {
            let (packed, unpacked) = (unpack.total_in(), unpack.total_out());
            let status = unpack.decompress(piece, &mut out, FlushDecompress::None);
            let read = usize::try_from(unpack.total_in() - packed).ok()?;
            piece = &piece[read..];
            if unpack.total_out() > most {
                return None;
            }
            match status.ok()? {
                Status::StreamEnd => {
                    let (packed, unpacked) = (unpack.total_in(), unpack.total_out());
                    return Some(Measured { packed, unpacked });
                }
                Status::Ok | Status::BufError => {}
            }
            let stands = read == 0 && unpack.total_out() == unpacked;
            if stands {
                break;
            }
        }
    }
    None
}
