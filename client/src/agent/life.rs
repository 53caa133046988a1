//! How long an agent lives.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::wire::{State, Terms};

/// The time since the machine was started, the time it slept included: a laptop that is closed and
/// carried away does not stay unlocked for longer.
pub(super) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// The two ends that an agent may come to, by the clock of [`since_boot`].
#[derive(Debug)]
pub(super) struct Life {
    end: Duration,
    idle: Duration,
    used: Duration,
}

impl Life {
    pub(super) fn begin(terms: &Terms, now: Duration) -> Self {
        Self { end: now.saturating_add(terms.lives()), idle: terms.idle(), used: now }
    }

    /// Something was asked for.
    pub(super) fn touch(&mut self, now: Duration) {
        self.used = now;
    }

    /// How long it lives when nothing more is asked. Nothing when it is over.
    pub(super) fn left(&self, now: Duration) -> Duration {
        self.end.min(self.used.saturating_add(self.idle)).saturating_sub(now)
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.left(now).is_zero()
    }

    pub(super) fn state(&self, now: Duration, memory_locked: bool) -> State {
        State::new(self.end.saturating_sub(now), self.left(now), memory_locked)
    }
}
