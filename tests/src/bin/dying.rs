//! `sealpost-relay` on a disk that kills it at a write to its journal, when told to (kills.rs).

use std::process::ExitCode;

fn main() -> ExitCode {
    sealpost_tests::campaign::disk::mortal_relay()
}
