//! `sealpost-relay`, as the scenarios run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealpost_relay::main()
}
