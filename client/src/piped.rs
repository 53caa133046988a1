//! Writes on a thread of its own: who makes bytes and who takes them each have a processor.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// So many writes wait at most for the one that takes them: a MiB of age's chunks.
const WAITING_MAX: usize = 16;

/// Passes what is written on to `W`, in order.
///
/// What `W` refuses is told by a later write, or by [`Piped::finish`]. Once this is dropped `W` is
/// written to no more.
#[derive(Debug)]
pub struct Piped<W: Send + 'static> {
    pipe: Option<SyncSender<Vec<u8>>>,
    taker: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> Piped<W> {
    /// Begins a thread that writes to `taker`.
    pub fn new(mut taker: W) -> io::Result<Self> {
        let (pipe, pieces) = sync_channel::<Vec<u8>>(WAITING_MAX);
        let take = move || {
            for piece in pieces {
                taker.write_all(&piece)?;
            }
            Ok(taker)
        };
        let taker = std::thread::Builder::new().name("writer".to_owned()).spawn(take)?;
        Ok(Self { pipe: Some(pipe), taker: Some(taker) })
    }

    /// Waits until all was written, and gives `W` back.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()
    }
}

impl<W: Send + 'static> Piped<W> {
    fn end(&mut self) -> io::Result<W> {
        self.pipe = None;
        let ended = || io::Error::other("an earlier write failed");
        let taker = self.taker.take().ok_or_else(ended)?;
        taker.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")))
    }
}

impl<W: Write + Send + 'static> Write for Piped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.pipe.as_ref().map(|pipe| pipe.send(bytes.to_vec())) {
            Some(Ok(())) => Ok(bytes.len()),
            // It ends before its time only for an error.
            _ => self.end().and_then(|_| Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Send + 'static> Drop for Piped<W> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Has room for so many bytes, and counts them.
    struct Room(usize, Arc<AtomicUsize>);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            self.1.fetch_add(bytes.len(), Ordering::Relaxed);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_arrives_whole_and_in_order() {
        let mut piped = Piped::new(Vec::new()).expect("a thread");
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        bytes.chunks(997).for_each(|piece| piped.write_all(piece).expect("it is taken"));
        assert_eq!(piped.finish().expect("all was taken"), bytes);
    }

    #[test]
    fn a_full_disk_is_told_by_its_name_to_who_writes_on() {
        let mut piped = Piped::new(Room(10, Arc::default())).expect("a thread");
        let mut write = || piped.write_all(&[0; 4]);
        let error = (0..WAITING_MAX + 4).find_map(|_| write().err()).expect("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(write().is_err());
        assert!(piped.finish().is_err());
    }

    #[test]
    fn a_full_disk_is_told_at_the_end_to_who_wrote_all() {
        let mut piped = Piped::new(Room(10, Arc::default())).expect("a thread");
        piped.write_all(&[0; 11]).expect("it is only passed on");
        let error = piped.finish().err().expect("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn nothing_is_written_once_it_was_dropped() {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut piped = Piped::new(Room(usize::MAX, Arc::clone(&taken))).expect("a thread");
        piped.write_all(&[0; 1_000]).expect("it is passed on");
        drop(piped);
        // All of it was before: the thread is over, and holds the count no more.
        assert_eq!((taken.load(Ordering::Relaxed), Arc::strong_count(&taken)), (1_000, 1));
    }
}
