//! The vault's folder and the fixed names in it.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sealpost_protocol::hash::Hash;

use super::identity_file::IDENTITY_FILE_BYTES_MAX;
use super::{VaultError, disk};

const IDENTITY: &str = "identity.age";
const UNFINISHED_IDENTITY: &str = "identity.age.new";
pub(super) const DATABASE: &str = "vault.db";
const JOURNAL: &str = "vault.db-journal";
/// The sealed bytes of attachments.
pub(super) const ATTACHMENTS: &str = "attachments";
const LOCK: &str = "lock";
/// What is for others to check: not sealed.
const EVIDENCE: &str = "evidence";

/// The folder of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The folder `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The home of a command that needs none: it never holds a vault.
    pub fn nowhere() -> Self {
        Self(PathBuf::new())
    }

    /// `$XDG_DATA_HOME/sealpost`, or `~/.local/share/sealpost`; none when neither is known.
    pub fn default_of(data_home: Option<PathBuf>, user_home: Option<PathBuf>) -> Option<Self> {
        let data_home = data_home.filter(|path| path.is_absolute());
        let share = data_home.or_else(|| Some(user_home?.join(".local/share")))?;
        Some(Self(share.join("sealpost")))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn identity(&self) -> PathBuf {
        self.0.join(IDENTITY)
    }

    pub(super) fn unfinished_identity(&self) -> PathBuf {
        self.0.join(UNFINISHED_IDENTITY)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    pub(super) fn attachments(&self) -> PathBuf {
        self.0.join(ATTACHMENTS)
    }

    pub(super) fn evidence(&self) -> PathBuf {
        self.0.join(EVIDENCE)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join(LOCK)
    }

    /// What tells this `identity.age` from any other, one with a changed passphrase too.
    pub fn identity_hash(&self) -> Result<Hash, VaultError> {
        Ok(Hash::of(&disk::read(&self.identity(), IDENTITY_FILE_BYTES_MAX)?))
    }

    /// Makes the folder, or takes an empty one, for its owner alone. One that holds other things
    /// is not taken from those who can read it: it is refused.
    pub(super) fn prepare(&self) -> Result<(), VaultError> {
        let failed = |error| disk::named(&self.0, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        let mode = fs::metadata(&self.0).map_err(failed)?.permissions().mode();
        if mode & 0o077 == 0 {
            return Ok(());
        }
        if fs::read_dir(&self.0).map_err(failed)?.next().is_some() {
            return Err(VaultError::NotWritable {
                path: self.0.clone(),
                cause: "others can read this folder, and it is not empty".to_owned(),
            });
        }
        fs::set_permissions(&self.0, Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Removes what a killed `create` left. A database whose identity is gone is never removed.
    pub(super) fn clear_unfinished(&self) -> Result<(), VaultError> {
        self.must_be_free()?;
        // The mark that nothing was ever stored goes last.
        for path in [self.0.join(JOURNAL), self.database(), self.unfinished_identity()] {
            disk::remove_if_there(&path)?;
        }
        Ok(())
    }

    /// An error unless a vault can be made here.
    pub fn must_be_free(&self) -> Result<(), VaultError> {
        if self.identity().exists() {
            return Err(VaultError::Exists(self.0.clone()));
        }
        if self.database().exists() && !self.unfinished_identity().exists() {
            return Err(VaultError::Orphan(self.database()));
        }
        Ok(())
    }

    /// An error unless a whole vault is here.
    pub fn must_hold_a_vault(&self) -> Result<(), VaultError> {
        let there = |path: PathBuf| path.try_exists().map_err(|error| disk::named(&path, &error));
        match (there(self.identity())?, there(self.database())?) {
            (true, true) => Ok(()),
            (true, false) => Err(VaultError::Missing(self.database())),
            (false, true) if !self.unfinished_identity().exists() => {
                Err(VaultError::Orphan(self.database()))
            }
            (false, _) => Err(VaultError::NoVault(self.0.clone())),
        }
    }
}
