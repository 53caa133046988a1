//! The Sealpost client: signs, seals, sends and pulls records.
//!
//! ```text
//! cli ──parses──> commands ──call──> app, outbox, names, kinds ──store──> vault
//!                    └──print──> ui                     └──errors──> error (exit codes)
//! ```
//!
//! A command parses, calls a function of the library and prints what it returned; whatever else
//! wants to do the same work calls that function.

use std::process::ExitCode;

pub mod agent;
pub mod app;
pub mod attachments;
pub mod audit;
pub mod backup;
pub mod catalog;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod confirmed;
mod cores;
pub mod cosignatures;
pub mod cutoff;
pub mod decide;
pub mod deliver;
pub mod demo;
pub mod devices;
pub mod error;
pub mod exposure;
pub mod forget;
pub mod guard;
pub mod handover;
pub mod hardness;
pub mod hygiene;
pub mod invitations;
pub mod join;
pub mod keys;
pub mod kinds;
pub mod lease;
pub mod lie;
pub mod log;
pub mod members;
pub mod names;
pub mod news;
pub mod outbox;
pub mod persons;
pub mod piped;
pub mod proof;
pub mod proposals;
pub mod pull;
pub mod push;
pub mod random;
pub mod recovery;
pub mod relay;
pub mod strip;
pub mod suspend;
pub mod sync;
pub mod transport;
pub mod turns;
pub mod ui;
pub mod vault;
pub mod watch;
pub mod who;
pub mod write_behind;

#[cfg(test)]
mod village;

/// Runs the program on the process's own arguments and streams.
pub fn main() -> ExitCode {
    guard::process();
    // A panic's words may quote what somebody else wrote.
    std::panic::set_hook(Box::new(|defect| {
        let words = format!("sealpost: a defect: {defect}\n");
        let _ = ui::aside(ui::Stream::Err, &words);
    }));
    ExitCode::from(cli::run(std::env::args_os()))
}
