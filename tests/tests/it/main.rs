//! All scenarios over the real binaries, in one test binary.

use sealpost_tests::programs::Programs;

mod imports;
mod backups;
mod hygiene;
mod invitations;
mod journey;
mod lies;
mod offline;
mod power;
mod spec;
mod secrecy;
mod strangers;
mod watch;
mod weather;
mod wycheproof;

/// The programs under test.
fn programs() -> Programs {
    Programs {
        client: env!("CARGO_BIN_EXE_sealpost-tested").into(),
        relay: env!("CARGO_BIN_EXE_sealpost-relay-tested").into(),
    }
}
