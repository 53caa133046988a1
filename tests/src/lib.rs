//! The harness of the scenarios over the real binaries.
//!
//! ```text
//! Home (a person's machine) ──datagrams──> Proxy (weather, records) ──> Relay (a real process)
//!   └ Pty (a person at a terminal; Terminal obeys it)     or Tap (a relay whose frames are seen,
//! Peer (any client one can think of) ─────────────────────>          and which can be made to lie)
//!   ├ Invented (a founder)   └ Rogue (a member who misbehaves)
//! Liar (each lie of a relay, by its name)
//! Scene (where most scenarios begin; Village and Helped are larger)   Scan (is this marker anywhere?)
//! ```
//!
//! Every piece starts the real thing, waits for events and never for time to pass, and takes down
//! what it started when it is dropped. The scenarios themselves are in `tests/it/`, one file each,
//! in one binary. A scenario shows the honest case beside the refused one, and asserts exit codes,
//! JSON and words; [`ran::Ran`] shows both streams of a command that did something else.
//!
//! Longer campaigns of kills, power cuts and hostile strings are commands of their own: [`campaign`].

pub mod agent;
pub mod campaign;
pub mod helped;
pub mod home;
pub mod invented;
pub mod journal;
pub mod liar;
pub mod load;
pub mod peer;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod pty;
pub mod ran;
pub mod relay;
pub mod rogue;
pub mod scan;
pub mod scene;
pub mod seed;
pub mod tap;
pub mod terminal;
pub mod village;
