//! What a relay does for its blobs while nobody asks: collects uploads that nobody came to name, and
//! reads what is named again to find damage.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::stop::Stop;
use crate::store::Store;

/// Collects at once and then so often, until told to stop.
pub async fn collect(store: Arc<Store>, every: Duration, mut stop: Stop) {
    let collecting = async {
        loop {
            match store.collect_uploads(SystemTime::now()).await {
                Ok(0) => {}
                Ok(uploads) => tracing::info!(uploads, "removed what no entry came to name"),
                Err(error) => tracing::warn!(%error, "uploads could not be collected"),
            }
            sleep(every).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.told() => {}
        () = collecting => {}
    }
}

/// Reads all blobs again, at so many bytes a second, round after round with a pause before each, until
/// told to stop.
pub async fn scrub(store: Arc<Store>, bytes_a_second: u64, pause: Duration, mut stop: Stop) {
    let scrubbing = async {
        loop {
            sleep(pause).await;
            match store.scrub_blobs(bytes_a_second).await {
                Ok(round) if round.damaged > 0 => tracing::error!(
                    damaged = round.damaged,
                    "blobs that entries name are missing or damaged: run check"
                ),
                Ok(round) => tracing::debug!(sound = round.sound, "all blobs are as written"),
                Err(error) => tracing::warn!(%error, "blobs could not all be read again"),
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.told() => {}
        () = scrubbing => {}
    }
}

#[cfg(test)]
mod tests;
