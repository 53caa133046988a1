//! All scenarios over the real binaries, in one test binary.

mod power;

use sealpost_tests::programs::Programs;

/// The programs under test.
fn programs() -> Programs {
    Programs {
        client: env!("CARGO_BIN_EXE_sealpost-tested").into(),
        relay: env!("CARGO_BIN_EXE_sealpost-relay-tested").into(),
    }
}
