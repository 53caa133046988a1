//! What the relay counts, as Prometheus text on loopback. No label holds an id, a key or an
//! address: labels are the fixed words below and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{PushResult, Reply};

use crate::store::{BlobCounts, ForgetCounts, StoreError};

mod http;

pub use http::{MetricsError, serve};

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Turned {
    /// Sent back to prove its address; an honest one returns at once.
    Retried,
    /// Over a limit.
    TooMany,
    /// Another key exchange, protocol or key type, or too slow.
    HandshakeFailed,
    /// A committee suspended or removed the device that had logged in.
    CutOff,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With what was asked for.
    Answered,
    /// With a code.
    Refused(Code),
    /// The request or the answer was too slow.
    TooSlow,
    /// The peer went away.
    Gone,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Answered => "Answered",
            Self::Refused(code) => code.name(),
            Self::TooSlow => "TooSlow",
            Self::Gone => "Gone",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnedLabels {
    why: Turned,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    request: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    request: &'static str,
}

/// All numbers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections that are logged in.
    pub connections: Gauge,
    /// Bytes of requests, as they came.
    pub received_bytes: Counter,
    /// Bytes of answers, as they went.
    pub sent_bytes: Counter,
    /// 1 while the disk is too full to write.
    pub disk_full: Gauge,
    /// 1 after a write failed: the relay must be restarted.
    pub writing_stopped: Gauge,
    /// Bytes of blobs that came.
    blob_received_bytes: Counter,
    /// Bytes of blobs that were given.
    blob_sent_bytes: Counter,
    /// Uploads that run.
    uploads_running: Gauge,
    /// Blobs that are missing or damaged, as far as that was noticed.
    blobs_damaged: Gauge,
    /// Uploads removed because no entry came to name them.
    uploads_collected: Counter,
    /// Payloads that were forgotten and are gone from the disk.
    payloads_dropped: Counter,
    /// Entries that are forgotten and still to be dropped from the disk.
    drops_pending: Gauge,
    /// Times the disk did not take it.
    drops_failed: Counter,
    entries: Counter,
    turned: Family<TurnedLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<KindLabels, Histogram>,
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sealpost_relay"),
            connections: Gauge::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            disk_full: Gauge::default(),
            writing_stopped: Gauge::default(),
            blob_received_bytes: Counter::default(),
            blob_sent_bytes: Counter::default(),
            uploads_running: Gauge::default(),
            blobs_damaged: Gauge::default(),
            uploads_collected: Counter::default(),
            payloads_dropped: Counter::default(),
            drops_pending: Gauge::default(),
            drops_failed: Counter::default(),
            entries: Counter::default(),
            turned: Family::default(),
            requests: Family::default(),
            // 1 ms to 65 s: from a round trip at home to a large push over a mobile line.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 17))
            }),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("connections", "Logged in", self.connections.clone());
        let received = self.received_bytes.clone();
        registry.register_with_unit("received", "Requests", Unit::Bytes, received);
        let sent = self.sent_bytes.clone();
        registry.register_with_unit("sent", "Answers", Unit::Bytes, sent);
        registry.register("disk_full", "1: reads and does not write", self.disk_full.clone());
        let stopped = self.writing_stopped.clone();
        registry.register("writing_stopped", "1: a write failed, restart", stopped);
        let received = self.blob_received_bytes.clone();
        registry.register_with_unit("blobs_received", "Attachments", Unit::Bytes, received);
        let sent = self.blob_sent_bytes.clone();
        registry.register_with_unit("blobs_sent", "Attachments", Unit::Bytes, sent);
        registry.register("uploads_running", "Attachments coming", self.uploads_running.clone());
        let damaged = self.blobs_damaged.clone();
        registry.register("blobs_damaged", "Not 0: run check", damaged);
        let collected = self.uploads_collected.clone();
        registry.register("uploads_collected", "Named by no entry", collected);
        let dropped = self.payloads_dropped.clone();
        registry.register("payloads_dropped", "Forgotten, gone from the disk", dropped);
        let pending = self.drops_pending.clone();
        registry.register("drops_pending", "Forgotten, still on the disk", pending);
        let failed = self.drops_failed.clone();
        registry.register("drops_failed", "Times it could not be dropped", failed);
        registry.register("entries_accepted", "Durably in a log", self.entries.clone());
        registry.register("connections_turned", "Turned away", self.turned.clone());
        registry.register("requests", "By kind and outcome", self.requests.clone());
        let seconds = self.seconds.clone();
        registry.register_with_unit("request", "From request to answer", Unit::Seconds, seconds);
    }

    /// A connection was turned away.
    pub fn turned(&self, why: Turned) {
        self.turned.get_or_create(&TurnedLabels { why }).inc();
    }

    /// A stream brought no request.
    pub fn unread(&self, outcome: Outcome) {
        self.answered("none", outcome, None);
    }

    /// A request ended. A watch has no time.
    pub fn answered(&self, request: &'static str, outcome: Outcome, time: Option<Duration>) {
        self.requests.get_or_create(&RequestLabels { request, outcome }).inc();
        if let Some(time) = time {
            self.seconds.get_or_create(&KindLabels { request }).observe(time.as_secs_f64());
        }
    }

    /// A reply goes out.
    pub fn saw(&self, reply: &Reply) {
        if let Reply::Pushed(pushed) = reply {
            let accepted = |result: &&PushResult| matches!(result, PushResult::Accepted(_));
            self.entries.inc_by(pushed.results.iter().filter(accepted).count() as u64);
        }
    }

    /// What the store says of taking writes.
    pub fn note_store(&self, ready: &Result<(), StoreError>) {
        let full = matches!(ready, Err(StoreError::StoreFull));
        let stopped = !full && !matches!(ready, Ok(()) | Err(StoreError::StoreBusy));
        self.disk_full.set(full.into());
        self.writing_stopped.set(stopped.into());
    }

    /// What the store counted of blobs, since it was opened.
    pub fn note_blobs(&self, counts: &BlobCounts) {
        reach(&self.blob_received_bytes, counts.received_bytes);
        reach(&self.blob_sent_bytes, counts.read_bytes);
        self.uploads_running.set(level(counts.running));
        self.blobs_damaged.set(level(counts.damaged));
        reach(&self.uploads_collected, counts.collected);
    }

    /// What the store counted of what is forgotten, since it was opened.
    pub fn note_forgotten(&self, counts: &ForgetCounts) {
        reach(&self.payloads_dropped, counts.dropped);
        self.drops_pending.set(level(counts.pending));
        reach(&self.drops_failed, counts.failed);
    }

    /// The numbers as OpenMetrics text, which Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String cannot fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Brings a counter up to what was counted elsewhere.
fn reach(counter: &Counter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

fn level(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Refuses an address that other machines could reach.
pub fn check_loopback(address: SocketAddr) -> Result<(), MetricsError> {
    if address.ip().is_loopback() { Ok(()) } else { Err(MetricsError::LocalNotLoopback(address)) }
}

/// Binds the metrics' socket, on loopback only.
pub async fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, MetricsError> {
    check_loopback(address)?;
    let refused = |error: io::Error| MetricsError::LocalAddress { address, error: Arc::new(error) };
    tokio::net::TcpListener::bind(address).await.map_err(refused)
}

#[cfg(test)]
mod tests;
