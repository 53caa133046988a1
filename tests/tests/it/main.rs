//! All scenarios over the real binaries, in one test binary.

use sealpost_tests::programs::Programs;

mod journey;
mod lies;
mod power;
mod strangers;
mod wycheproof;

/// The programs under test.
fn programs() -> Programs {
    Programs {
        client: env!("CARGO_BIN_EXE_sealpost-tested").into(),
        relay: env!("CARGO_BIN_EXE_sealpost-relay-tested").into(),
    }
}
