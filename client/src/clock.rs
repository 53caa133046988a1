//! Where the time comes from. Times are claims: the order of things comes from the log.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use sealpost_protocol::id::UnixMillis;

/// A clock.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The system's.
    System,
    /// Stopped.
    Stopped(UnixMillis),
}

impl Clock {
    /// The time.
    pub fn now(self) -> UnixMillis {
        match self {
            Self::Stopped(time) => time,
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }

    /// The time, for counting days from.
    pub fn timestamp(self) -> Timestamp {
        let millis = i64::try_from(self.now().0).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }
}
