//! The Sealpost relay: keeps sealed logs that it cannot read.
//!
//! ```text
//! datagrams ─transport─> Request ─service─> admit ─store─> journal, fdatasync ─> Reply
//!                                    └─hub─> watchers
//! cli ─> commands ─run─────> all of the above, beside control.sock, metrics and upkeep
//!                 ─key, permit─> a running relay over control.sock, else its folder
//!                 ─check────> the folder, every entry, every signature and every attachment
//!                 ─export, import─> logs as files, out of the folder and into it
//! ```
//!
//! Transports move frames and know nothing of what they mean; the service knows no sockets; the
//! store does not look into entries. What the operator is told when something fails, and with which
//! exit code, stands in [`error`] alone. Nothing here opens a sealed file: the code for it is in a
//! feature of `sealpost-protocol` that this crate does not ask for.

use std::process::ExitCode;
use std::sync::Arc;

pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod display;
pub mod error;
pub mod hub;
pub mod key;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod permit;
pub mod service;
pub mod stop;
pub mod store;
pub mod transport;
pub mod upkeep;

#[cfg(test)]
mod program;

use store::disk::{Disk, RealDisk};

/// Runs the program on the process's own arguments, streams and disk.
pub fn main() -> ExitCode {
    main_on(Arc::new(RealDisk))
}

/// The same program over any disk: whoever tests what a disk may do brings one that does it.
pub fn main_on(disk: Arc<dyn Disk>) -> ExitCode {
    // A crash must not put the relay's key into a file. Where that cannot be had the rest works.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    logs::hush_panics();
    ExitCode::from(cli::run(disk, std::env::args_os()))
}
