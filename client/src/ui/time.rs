//! Times as text: RFC 3339, UTC, milliseconds; and durations as people type them.

use std::time::Duration;

use jiff::Timestamp;
use sealpost_protocol::id::UnixMillis;

/// `2026-03-11T09:14:00.000Z`. A time beyond the year 9999 is shown as the last one before it.
pub fn rfc3339(time: UnixMillis) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    let stamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{stamp:.3}")
}

/// The text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a duration: type a number and s, m, h, d or w, for example 48h")]
pub struct NotADuration;

/// Reads `90s`, `30m`, `48h`, `7d` or `2w`.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let text = super::digits::to_latin(text.trim());
    let unit = text.chars().last().ok_or(NotADuration)?;
    let number: u64 =
        text[..text.len() - unit.len_utf8()].trim_end().parse().map_err(|_| NotADuration)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(NotADuration),
    };
    match number.checked_mul(seconds) {
        Some(total) if total > 0 => Ok(Duration::from_secs(total)),
        _ => Err(NotADuration),
    }
}

#[cfg(test)]
mod tests;
