//! What this device says of itself.

use rusqlite::{OptionalExtension, params};
use sealpost_protocol::id::UnixMillis;

use super::sql::{int, millis};
use super::{Read, VaultError, Write};

/// The one row about this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The handle it joins committees with, unless told otherwise.
    pub handle: String,
    /// The country it says to be in, two letters; `ZZ` when it does not say.
    pub country: String,
    /// When the vault was made.
    pub made: UnixMillis,
}

impl Read<'_> {
    /// What this device says of itself.
    pub fn own(&self) -> Result<Own, VaultError> {
        let found =
            self.transaction.query_row("SELECT handle, country, made_ms FROM own", [], |row| {
                Ok(Own { handle: row.get(0)?, country: row.get(1)?, made: millis(row.get(2)?) })
            });
        found.optional()?.ok_or_else(|| VaultError::Damaged("it does not say whose it is".into()))
    }
}

impl Write<'_> {
    /// Says it.
    pub fn set_own(&self, own: &Own) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT OR REPLACE INTO own (one, handle, country, made_ms) VALUES (1, ?1, ?2, ?3)",
            params![own.handle, own.country, int(own.made.0)],
        )?;
        Ok(())
    }
}
