//! A bar on stderr for work that takes long. It draws nothing unless stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Steps below which nobody has to be told that something goes on.
const STEPS_MIN: u64 = 500;

/// Bytes below which nobody has to be told either.
const BYTES_MIN: u64 = 4 * 1024 * 1024;

/// How far some work is.
pub struct Progress(ProgressBar);

impl Progress {
    /// Work of so many steps, `what` in one word.
    pub fn of(what: &'static str, steps: u64) -> Self {
        if steps < STEPS_MIN {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}  {per_sec}  {eta}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(steps).with_style(style).with_message(what))
    }

    /// Work on so many bytes, of which `done` are behind us: with its rate, and the time that is left.
    pub fn of_bytes(what: &'static str, bytes: u64, done: u64) -> Self {
        if bytes < BYTES_MIN {
            return Self(ProgressBar::hidden());
        }
        let template = "{msg} {bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(bytes).with_style(style).with_message(what).with_position(done);
        // The rate is of what goes on now.
        bar.reset_eta();
        Self(bar)
    }

    /// So many steps more are done.
    pub fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
