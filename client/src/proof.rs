//! Proofs: a folder by which an outsider checks one record without this program (SPEC.md §22).
//!
//! ```text
//! make    record, roster, note and marks out of the vault ── the protocol's Folder, which must hold
//!         ── preview ── a folder under a name of its own, synced ── renamed
//! verify  folder ── plain files read, blobs hashed ── the protocol's verify ── blobs opened
//! ```
//!
//! What is made is what `verify` accepts: both go through one check. So it is of evidence against a relay, which
//! [`evidence`] reads and puts into words (SPEC.md §27); what was met makes it, in [`crate::lie`].

pub mod evidence;
pub mod folder;
pub mod make;
pub mod verify;
