//! Campaigns: many seeded mishaps, and what must be so after each.
//!
//! [`disk`] wraps the disk of a relay, [`power`] cuts the power under a service, [`kills`] kills
//! the real programs, [`blobs`] kills them while a large file is on its way, [`lines`] sends one over
//! bad lines, [`display`] shows what a terminal must not obey. Each takes a seed and a number of rounds and ends by itself; the tests run
//! short ones, `cargo run --release -p sealpost-tests --bin campaign` longer ones.

pub mod blobs;
pub mod disk;
pub mod display;
pub mod kills;
pub mod lines;
pub mod power;
mod victims;
