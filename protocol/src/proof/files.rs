//! What the files of a proof are called.

use crate::id::{DeviceId, LeafIndex};

pub(super) const NOTE: &str = "note.txt";
pub(super) const COSIGNATURES: &str = "cosignatures.txt";
/// The folder of the record.
pub(super) const RECORD: &str = "record";
pub(super) const HEADER: &str = "header.cbor";
pub(super) const SIGNATURE: &str = "signature.bin";
pub(super) const INCLUSION: &str = "inclusion.txt";
/// A roster entry's payload.
pub(super) const CHANGE: &str = "payload.cbor";
/// A record's payload.
pub(super) const SEALED: &str = "payload.age";
pub(super) const FILE_KEY: &str = "file-key.bin";
pub(super) const PLAINTEXT: &str = "plaintext.json";
pub(super) const SEALED_ANEW: &str = "record.age";
pub(super) const PASSPHRASE: &str = "passphrase.txt";
pub(super) const LEAF: &str = "leaf.bin";
/// An attachment's blob, the only file of a proof that may be of any size.
pub const BLOB: &str = "blob.age";

/// The folder of the roster entry at `index`: names sort as the log does.
pub(super) fn roster(index: LeafIndex) -> String {
    format!("roster/{:010}", index.0)
}

/// The folder of the attachment with that number, from 1.
pub(super) fn attachment(number: usize) -> String {
    format!("attachment-{number}")
}

/// The folder of the field with that number, from 1.
pub(super) fn field(number: usize) -> String {
    format!("{RECORD}/field-{number}")
}

/// The file with a device's keys.
pub(super) fn device(device: DeviceId) -> String {
    format!("devices/{device}.keys")
}
