//! Attachments: files that belong to records.
//!
//! ```text
//! attach  FILE ── sealed into the vault, piece by piece ── draft of its record
//!         with --strip also a working copy without metadata, as an attachment of its own
//! sync    draft ── blob to the relay, from where it left off ── then the entry that names it
//!         entry of others ── blob from the relay ── hash checked ── here
//! save    blob here ── opened, hash and length checked ── under a name of our own in DIR
//! ```
//!
//! A blob is durable at the relay before its entry is sent, and text goes before blobs.

pub mod carry;
pub mod details;
pub mod file_name;
pub mod save;
pub mod seal;
pub mod state;

pub use details::{Details, Edition};

/// The kind of an attachment's record.
pub const KIND: &str = "attachment";
/// The letters before the dash in its REF.
pub const PREFIX: &str = "AT";
/// The version of its fields.
const SCHEMA: u32 = 1;
