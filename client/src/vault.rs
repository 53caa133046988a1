//! Everything a device stores: `identity.age`, `vault.db`, `attachments` and `lock` in one folder.
//!
//! `identity.age` is sealed under the passphrase and holds the device's secrets and the database
//! key; `vault.db` is one SQLCipher database under that key; `attachments` holds sealed files, in pieces
//! of which the database says whose they are; `lock` is what a sync holds. But for a folder `evidence` ([`stops`]),
//! where a relay was caught, nothing else is ever written there, and no name, title or count shows from outside: [`steps`] says in which sizes both come, and the
//! database's journal is empty but while something is written.
//!
//! The database is reached through [`Vault::read`] and [`Vault::write`] only, each one transaction
//! that no network call can stand in: so a verified position and what was verified are stored
//! together or not at all. This module and those below it are the only ones that name SQLite.

use std::path::PathBuf;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub mod ahead;
pub mod attachments;
pub mod committees;
mod container;
mod database;
mod disk;
pub mod drills;
pub mod entries;
pub mod evidence;
pub mod folds;
pub mod home;
mod identity_file;
pub mod invitations;
pub mod outbox;
pub mod own;
pub mod receipts;
pub mod records;
pub mod secrets;
mod sql;
pub mod steps;
pub mod stops;
mod sync_lock;

pub use database::SCHEMA;
use folds::Folds;
pub use home::Home;
pub use identity_file::{DEFAULT_WORK_FACTOR, SECRETS_BYTES, Secrets, WORK_FACTOR_MAX};
pub use sync_lock::SyncLock;

/// An opened vault.
pub struct Vault {
    home: Home,
    connection: Connection,
    folds: Folds,
}

/// Why a vault cannot be opened or used. None of them holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no vault in the folder.
    #[error("there is no vault in {0}")]
    NoVault(PathBuf),
    /// There is one already.
    #[error("there is already a vault in {0}")]
    Exists(PathBuf),
    /// A database without the identity that opens it.
    #[error("{0} is there, but identity.age, which opens it, is not")]
    Orphan(PathBuf),
    /// An identity without its database.
    #[error("identity.age is there, but {0} is not")]
    Missing(PathBuf),
    /// The passphrase does not open `identity.age`.
    #[error("the passphrase does not open this vault")]
    WrongPassphrase,
    /// Written by a newer program.
    #[error("this vault has version {found}, and this program knows versions up to {known}")]
    Newer {
        /// What the vault says.
        found: u32,
        /// What this program knows.
        known: u32,
    },
    /// The disk or quota is full.
    #[error("the disk is full")]
    DiskFull,
    /// A file or folder cannot be written.
    #[error("cannot use {path}: {cause}")]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// Another command held the write lock for too long.
    #[error("another sealpost command is writing to this vault")]
    Busy,
    /// Another sync holds the lock.
    #[error("another sync is running on this vault")]
    SyncRunning,
    /// Files that are not what this program wrote.
    #[error("the vault is damaged: {0}")]
    Damaged(String),
    /// A verified position was to be replaced by a smaller one.
    #[error("this device has verified {held} entries and was to go back to {shown}")]
    Backwards {
        /// The tree size stored.
        held: u64,
        /// The tree size to be stored.
        shown: u64,
    },
    /// The operating system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
    /// Sealing `identity.age` failed.
    #[error("sealing identity.age failed: {0}")]
    Age(String),
    /// Another error of the database, by its number.
    #[error("the database failed with code {0}")]
    Sql(i32),
}

impl From<rusqlite::Error> for VaultError {
    /// By number only: SQLite's messages may quote the statement, and one of ours holds the key.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let Some(failure) = error.sqlite_error() else {
            return Self::Damaged("a value is not of the expected type".to_owned());
        };
        let not_writable = |cause: &str| Self::NotWritable {
            path: PathBuf::from(home::DATABASE),
            cause: format!("{cause} (code {})", failure.extended_code),
        };
        match failure.code {
            ErrorCode::DiskFull => Self::DiskFull,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::ReadOnly => not_writable("it is read-only"),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => not_writable("cannot open it"),
            ErrorCode::SystemIoFailure => not_writable("input or output failed"),
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
                Self::Damaged("vault.db does not open under this identity's key".to_owned())
            }
            _ => Self::Sql(failure.extended_code),
        }
    }
}

impl Vault {
    /// Makes a vault for `secrets`, sealed under `passphrase`.
    ///
    /// `identity.age` is put in place last: a vault that was not finished is none, and is cleared
    /// away by the next attempt.
    pub fn create(
        home: Home,
        passphrase: &secrecy::SecretString,
        work_factor: u8,
        secrets: &Secrets,
        own: &own::Own,
    ) -> Result<Self, VaultError> {
        home.prepare()?;
        let _alone = SyncLock::take(&home)?;
        home.clear_unfinished()?;
        let sealed = identity_file::seal(secrets, passphrase, work_factor)?;
        disk::write_synced(&home.unfinished_identity(), &sealed)?;
        let connection = database::create(&home.database(), &secrets.vault_key)?;
        let mut vault = Self { home, connection, folds: Folds::default() };
        vault.write(|write| write.set_own(own))?;
        disk::rename_synced(&vault.home.unfinished_identity(), &vault.home.identity())?;
        Ok(vault)
    }

    /// Opens the vault in `home`.
    pub fn open(
        home: Home,
        passphrase: &secrecy::SecretString,
    ) -> Result<(Self, Secrets), VaultError> {
        home.must_hold_a_vault()?;
        let sealed = disk::read(&home.identity(), identity_file::IDENTITY_FILE_BYTES_MAX)?;
        let secrets = identity_file::open(&sealed, passphrase)?;
        Ok((Self::open_with(home, &secrets)?, secrets))
    }

    /// Opens the vault in `home` with what its `identity.age` holds.
    pub fn open_with(home: Home, secrets: &Secrets) -> Result<Self, VaultError> {
        home.must_hold_a_vault()?;
        let connection = database::open(&home.database(), &secrets.vault_key)?;
        Ok(Self { home, connection, folds: Folds::default() })
    }

    /// Seals this vault's secrets under another passphrase. They stay the same: an older copy of
    /// `identity.age` still opens with the older passphrase.
    ///
    /// The new file is put in place when it is on disk and was read back and opened: whenever this ends,
    /// the old one or the new one is there, and whole.
    pub fn change_passphrase(
        &self,
        _alone: &SyncLock,
        secrets: &Secrets,
        passphrase: &secrecy::SecretString,
        work_factor: u8,
    ) -> Result<(), VaultError> {
        let (unfinished, identity) = (self.home.unfinished_identity(), self.home.identity());
        // What a killed change left.
        disk::remove_if_there(&unfinished)?;
        let sealed = identity_file::seal(secrets, passphrase, work_factor)?;
        let written = disk::write_synced(&unfinished, &sealed).and_then(|()| {
            let bytes = disk::read(&unfinished, identity_file::IDENTITY_FILE_BYTES_MAX)?;
            identity_file::open(&bytes, passphrase).map(drop)
        });
        if let Err(error) = written {
            disk::remove_if_there(&unfinished)?;
            return Err(error);
        }
        disk::rename_synced(&unfinished, &identity)
    }

    /// Makes one wrong guess at the passphrase of the vault in `home`, with all the work that takes, and
    /// returns the file's work factor.
    pub fn guess(home: &Home) -> Result<u8, VaultError> {
        home.must_hold_a_vault()?;
        let sealed = disk::read(&home.identity(), identity_file::IDENTITY_FILE_BYTES_MAX)?;
        let odd = || VaultError::Damaged("identity.age has no work factor".to_owned());
        let work_factor = identity_file::work_factor(&sealed).ok_or_else(odd)?;
        let wrong = data_encoding::HEXLOWER.encode(&*crate::random::secret::<32>()?);
        match identity_file::open(&sealed, &wrong.into()) {
            Err(VaultError::WrongPassphrase) => Ok(work_factor),
            Err(error) => Err(error),
            Ok(_) => Err(VaultError::Damaged("identity.age opens with any passphrase".to_owned())),
        }
    }

    /// The folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A number that is another one when another process has written since.
    pub fn changes(&self) -> Result<i64, VaultError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Reads in one transaction: what is seen belongs together.
    pub fn read<'v, T, E: From<VaultError>>(
        &'v self,
        work: impl FnOnce(&Read<'v>) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred);
        work(&Read { transaction: begun.map_err(VaultError::from)?, folds: &self.folds })
    }

    /// Writes in one transaction. When `work` or the commit fails, nothing was written; when this
    /// returns, what was written is on disk.
    pub fn write<'v, T, E: From<VaultError>>(
        &'v mut self,
        work: impl FnOnce(&Write<'v>) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = begun.map_err(VaultError::from)?;
        let write = Write(Read { transaction, folds: &self.folds });
        let value = work(&write)?;
        steps::fill(&write.0.transaction).map_err(VaultError::from)?;
        write.0.transaction.commit().map_err(VaultError::from)?;
        Ok(value)
    }
}

/// A reading transaction. The modules below add what can be read.
pub struct Read<'v> {
    transaction: Transaction<'v>,
    folds: &'v Folds,
}

/// A writing transaction: reads too. The modules below add what can be written.
pub struct Write<'v>(Read<'v>);

impl<'v> std::ops::Deref for Write<'v> {
    type Target = Read<'v>;

    fn deref(&self) -> &Read<'v> {
        &self.0
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
