//! What a relay that does not run holds on its disk, read through the relay's own store.

use std::path::Path;
use std::sync::Arc;

use sealpost_protocol::id::{CommitteeId, LeafIndex};
use sealpost_relay::service::check_logs;
use sealpost_relay::store::disk::{Disk, RealDisk};
use sealpost_relay::store::{LogStore, Options, Store};

const READ_BYTES: usize = 1024 * 1024;

/// Every log in the data folder `data`, entry by entry, after every rule and signature in it was
/// checked from the founding entry on.
///
/// # Panics
/// When the folder does not open, or holds anything that no relay would admit.
pub fn logs(data: &Path) -> Vec<(CommitteeId, Vec<Vec<u8>>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime needs a thread and no more").block_on(read(data))
}

async fn read(data: &Path) -> Vec<(CommitteeId, Vec<Vec<u8>>)> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let store = Store::open(&disk, data, Options::default()).expect("a sound data folder");
    check_logs(&store).await.expect("only what is admissible is in the journal");
    entries(&store).await
}

/// Every log in a store, entry by entry.
pub(crate) async fn entries(store: &Store) -> Vec<(CommitteeId, Vec<Vec<u8>>)> {
    let mut logs = Vec::new();
    for (committee, size) in store.committees().await {
        let mut log: Vec<Vec<u8>> = Vec::new();
        while (log.len() as u64) < size.0 {
            let from = LeafIndex(log.len() as u64);
            let some = store.read(committee, from, READ_BYTES).await.expect("a readable journal");
            log.extend(some.iter().map(|bytes| bytes.to_vec()));
        }
        logs.push((committee, log));
    }
    logs
}
