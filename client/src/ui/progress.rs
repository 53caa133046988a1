//! A bar on stderr for work that takes long. It draws nothing unless stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Steps below which nobody has to be told that something goes on.
const STEPS_MIN: u64 = 500;

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
