//! Streams that tests read back.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::{Format, Ui};

/// What was written to one stream.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// All of it so far, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panicked").clone()).expect("UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A `Ui` and what it will have written to stdout and stderr.
pub(crate) fn ui(format: Format) -> (Ui, Captured, Captured) {
    let (out, err) = (Captured::default(), Captured::default());
    (Ui::new(Box::new(out.clone()), Box::new(err.clone()), format), out, err)
}
