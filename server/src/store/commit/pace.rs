//! How often what is forgotten may be dropped: each time a whole segment is written anew, and a member
//! who forgets one record after the other must not keep the journal and the disk from the others.

use std::time::{Duration, Instant};

/// So many times as long as a drop took the journal is left in peace …
const PAUSE_FACTOR: u32 = 9;
/// … and at least so many times as long as what is forgotten waits at first.
const PAUSE_MIN_FACTOR: u32 = 30;
/// In the long run a segment is written anew no more often than once in so many times that long …
const EVERY_FACTOR: u32 = 300;
/// … but as many as this may come sooner.
const SOONER_MAX: u32 = 12;

/// What was written anew lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Until then it counts.
    counts_until: Option<Instant>,
}

impl Pace {
    /// When the next drop may begin, after one that has ended now, took so long and wrote so many segments
    /// anew; what is forgotten waits `drop_after` at first.
    pub(super) fn next(
        &mut self,
        now: Instant,
        took: Duration,
        written: u32,
        drop_after: Duration,
    ) -> Instant {
        let every = drop_after.saturating_mul(EVERY_FACTOR);
        let counts_from = self.counts_until.map_or(now, |until| until.max(now));
        let counts_until = counts_from + every.saturating_mul(written);
        self.counts_until = Some(counts_until);
        let pause_min = drop_after.saturating_mul(PAUSE_MIN_FACTOR);
        let pause = took.saturating_mul(PAUSE_FACTOR).max(pause_min);
        let paced = counts_until.checked_sub(every.saturating_mul(SOONER_MAX));
        paced.map_or(now, |paced| paced.max(now)).max(now + pause)
    }
}

#[cfg(test)]
mod tests;
