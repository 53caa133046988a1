//! The `sealpost-relay` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealpost_relay::main()
}
