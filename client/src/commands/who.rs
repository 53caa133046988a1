//! `sealpost who`

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use sealpost_protocol::id::UnixMillis;
use serde::Serialize;

use crate::app::Session;
use crate::catalog;
use crate::confirmed::HeldBy;
use crate::error::{Failure, Kind};
use crate::lease::{Lease, LeaseShown};
use crate::log::Log;
use crate::ui::{table, time};
use crate::who::{self, Reader, Who as Answer};

/// Shows which devices could open a record, and which have shown that they hold it.
///
/// Answered from the log alone. Who could open it is certain; who had it is known only of devices that
/// vouched for the log beyond it. "After cut-off" means that an honest relay did not serve it to them.
/// Past the lease it says so: whom coordinators cut off since may be kept from this device.
#[derive(Debug, clap::Args)]
pub struct Who {
    /// The record.
    #[arg(value_name = "REF")]
    record: String,
    /// As the log stood on that day (2026-03-11, to its end in UTC) or at that time (RFC 3339), by the
    /// times its authors claim.
    #[arg(long, value_name = "DATE")]
    on: Option<String>,
}

/// What `who` prints with `--json`.
#[derive(Serialize)]
struct Shown {
    #[serde(rename = "ref")]
    reference: String,
    lock: u32,
    leaf_index: u64,
    /// By whom else it is held; none with --on.
    held: Option<HeldBy>,
    lease: LeaseShown,
    /// Whether a part of it is for named readers; who they are is known to them alone.
    part_for_named_readers: bool,
    readers: Vec<ReaderShown>,
}

#[derive(Serialize)]
struct ReaderShown {
    device: String,
    handle: String,
    role: &'static str,
    /// `granted` or `linked`.
    lock: &'static str,
    /// The entry from which on it held the lock.
    since: u64,
    /// The entry that cut it off, if it is.
    cut_off: Option<u64>,
    /// `delivered`, `unknown` or `after-cut-off`.
    had: &'static str,
    delivered_at: Option<String>,
}

impl Who {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let app = session.open()?;
        let on = self.on.as_deref().map(end_of).transpose()?;
        let (own, now) = (app.device.device_id(), app.clock.now());
        let (answer, held, lease) = app.vault.read(|vault| {
            let record = catalog::in_log(vault, &self.record)?;
            let held = match on {
                None => catalog::held_by(vault, &record)?,
                Some(_) => None,
            };
            let log = Log::load(vault, record.committee)?;
            let lease = Lease::load(vault, &log, own, now)?.shown();
            Ok::<_, Failure>((who::can_open(vault, record, on)?, held, lease))
        })?;
        let shown = Shown::of(&answer, held, lease);
        session.ui.result(&shown, &shown.words(&answer))?;
        Ok(())
    }
}

/// A time, or the last moment of a day.
fn end_of(typed: &str) -> Result<UnixMillis, Failure> {
    let wrong = || {
        Failure::new(Kind::Usage, "--on takes a date like 2026-03-11 or a time in RFC 3339")
            .next("Type it again.")
    };
    let at = match typed.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let day: Date = typed.parse().map_err(|_| wrong())?;
            let next = day.checked_add(Span::new().days(1)).map_err(|_| wrong())?;
            let next = next.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp();
            next.checked_sub(Span::new().milliseconds(1)).map_err(|_| wrong())?
        }
    };
    u64::try_from(at.as_millisecond()).map(UnixMillis).map_err(|_| wrong())
}

impl Shown {
    fn of(answer: &Answer, held: Option<HeldBy>, lease: LeaseShown) -> Self {
        Self {
            reference: answer.record.reference.clone(),
            lock: answer.record.epoch.0,
            leaf_index: answer.record.index.0,
            held,
            lease,
            part_for_named_readers: answer.is_apart,
            readers: answer.readers.iter().map(ReaderShown::of).collect(),
        }
    }

    fn words(&self, answer: &Answer) -> String {
        let rows: Vec<Vec<String>> = answer.readers.iter().map(cells).collect();
        let headers = ["DEVICE", "HANDLE", "ROLE", "LOCK", "SINCE ENTRY", "CUT OFF BY", "HAD IT"];
        let held = self.held.map_or_else(String::new, |held| format!("  {}", held.words()));
        let mut parts = vec![
            format!("{}  lock {}, entry {}{held}", self.reference, self.lock, self.leaf_index),
            table(&headers, &rows),
        ];
        if self.lease.over {
            parts.push(self.lease.words());
        }
        if self.part_for_named_readers {
            parts.push(
                "A part of it is for named readers; who they are is known to them alone.".into(),
            );
        }
        parts.join("\n\n")
    }
}

impl ReaderShown {
    fn of(reader: &Reader) -> Self {
        Self {
            device: reader.reference(),
            handle: reader.handle.clone(),
            role: reader.role,
            lock: if reader.granted { "granted" } else { "linked" },
            since: reader.since.0,
            cut_off: reader.cut_off.map(|at| at.0),
            had: match (reader.delivered, reader.served) {
                (Some(_), _) => "delivered",
                (None, true) => "unknown",
                (None, false) => "after-cut-off",
            },
            delivered_at: reader.delivered.map(time::rfc3339),
        }
    }
}

fn cells(reader: &Reader) -> Vec<String> {
    vec![
        reader.reference(),
        reader.handle.clone(),
        reader.role.to_owned(),
        if reader.granted { "granted" } else { "through links" }.to_owned(),
        reader.since.to_string(),
        reader.cut_off.map_or_else(String::new, |at| at.to_string()),
        reader.had(),
    ]
}
