//! What the relay says about its own running, on stderr, a line an event.
//!
//! No id, key or address stands in it above debug level: what other crates log may hold addresses
//! of peers, so they are heard at debug level only.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What needs the operator.
    Error,
    /// And what may soon.
    Warn,
    /// And what the relay does.
    Info,
    /// And details, with addresses of peers.
    Debug,
    /// And everything.
    Trace,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Starts logging to stderr, once a process; later calls change nothing.
pub fn start(format: LogFormat, level: Level) {
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // Fails only when there is a subscriber already: in a test that has its own.
    let _ = Registry::default().with(layer.with_filter(targets(level))).try_init();
}

/// Has a panic say where it was and no more: its message may hold what was being worked on.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic: this is a defect, please report it");
        tracing::debug!(%panic, "what it said");
    }));
}

/// Which events are heard.
pub(crate) fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let others = if ours >= LevelFilter::DEBUG { ours } else { LevelFilter::OFF };
    Targets::new().with_default(others).with_target("sealpost_relay", ours)
}

#[cfg(test)]
mod tests {
    use tracing::Level as Heard;

    use super::{Level, targets};

    #[test]
    fn other_crates_are_heard_at_debug_level_only() {
        for level in [Level::Error, Level::Warn, Level::Info] {
            assert!(targets(level).would_enable("sealpost_relay::store", &Heard::ERROR));
            for other in ["quinn_udp", "quinn_proto::connection", "rustls", "sled", "log"] {
                assert!(!targets(level).would_enable(other, &Heard::ERROR), "{other} at {level:?}");
            }
        }
        assert!(targets(Level::Debug).would_enable("quinn_udp", &Heard::WARN));
        assert!(!targets(Level::Warn).would_enable("sealpost_relay::store", &Heard::INFO));
        assert!(!targets(Level::Info).would_enable("sealpost_relay::store", &Heard::DEBUG));
    }
}
