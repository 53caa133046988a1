//! `sealpost-relay` on a disk that kills it at a write to its journal, when told to (campaign.rs).

use std::process::ExitCode;
use std::sync::Arc;

use sealpost_relay::store::disk::{Disk, RealDisk};
use sealpost_tests::campaign::disk::{JournalDisk, KillWhenTold, ORDERS};

fn main() -> ExitCode {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    match std::env::var_os(ORDERS) {
        Some(orders) => {
            let mishap = Arc::new(KillWhenTold::new(orders.into()));
            sealpost_relay::main_on(Arc::new(JournalDisk::new(disk, mishap)))
        }
        None => sealpost_relay::main_on(disk),
    }
}
