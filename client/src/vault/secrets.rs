//! The epochs this device can open, and the links between them that are broken.

use rusqlite::{OptionalExtension, params};
use sealpost_protocol::id::Epoch;
use secrecy::{ExposeSecret, SecretString};

use super::committees::CommitteeNo;
use super::{Read, VaultError, Write};

impl Read<'_> {
    /// The identity of that epoch, as text.
    pub fn epoch_secret(
        &self,
        no: CommitteeNo,
        epoch: Epoch,
    ) -> Result<Option<SecretString>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT identity FROM epoch_secret WHERE committee = ?1 AND epoch = ?2",
        )?;
        let found = statement.query_row(params![no.0, epoch.0], |row| row.get::<_, String>(0));
        Ok(found.optional()?.map(SecretString::from))
    }

    /// The epochs held, in order.
    pub fn epochs_held(&self, no: CommitteeNo) -> Result<Vec<Epoch>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT epoch FROM epoch_secret WHERE committee = ?1 ORDER BY epoch")?;
        let rows = statement.query_map([no.0], |row| Ok(Epoch(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The later epoch of each link that is broken and that no repair has mended.
    pub fn broken_links(&self, no: CommitteeNo) -> Result<Vec<Epoch>, VaultError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT epoch FROM broken_link WHERE committee = ?1 ORDER BY epoch")?;
        let rows = statement.query_map([no.0], |row| Ok(Epoch(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Write<'_> {
    /// Stores the identity of an epoch. One that is held already is kept as it is.
    pub fn put_epoch_secret(
        &self,
        no: CommitteeNo,
        epoch: Epoch,
        identity: &SecretString,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT OR IGNORE INTO epoch_secret VALUES (?1, ?2, ?3)",
            params![no.0, epoch.0, identity.expose_secret()],
        )?;
        Ok(())
    }

    /// Notes that the link back from `epoch` is broken.
    pub fn put_broken_link(&self, no: CommitteeNo, epoch: Epoch) -> Result<(), VaultError> {
        let insert = "INSERT OR IGNORE INTO broken_link VALUES (?1, ?2)";
        self.transaction.execute(insert, params![no.0, epoch.0])?;
        Ok(())
    }

    /// Notes that there is a link back from `epoch` that leads there.
    pub fn drop_broken_link(&self, no: CommitteeNo, epoch: Epoch) -> Result<(), VaultError> {
        let delete = "DELETE FROM broken_link WHERE committee = ?1 AND epoch = ?2";
        self.transaction.execute(delete, params![no.0, epoch.0])?;
        Ok(())
    }
}
