//! `sealpost passphrase`

use std::path::PathBuf;

use crate::app::Session;
use crate::commands::init;
use crate::error::Failure;
use crate::ui::passphrase::PassphraseSource;
use crate::vault::{SyncLock, Vault};

/// Changes the passphrase of this device's vault.
///
/// Asks for the old one, then twice for the new one. Copies of the old identity.age, in a backup say,
/// still open with the old one. `sealpost status --security` says what a guess costs.
#[derive(Debug, clap::Args)]
pub struct Passphrase {
    /// Read the new passphrase from this file; one trailing line feed is not part of it.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from this open file descriptor.
    #[arg(long, value_name = "N", conflicts_with = "new_passphrase_file")]
    new_passphrase_fd: Option<u32>,
    /// Seal identity.age with this scrypt work factor: for tests, anything below 18 is unsafe.
    #[arg(long, hide = true, value_name = "N")]
    danger_work_factor: Option<u8>,
}

/// What `passphrase` prints with `--json`.
#[derive(serde::Serialize)]
struct Changed {
    state: &'static str,
    work_factor: u8,
}

impl Passphrase {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let work_factor = init::work_factor(self.danger_work_factor)?;
        session.home.must_hold_a_vault()?;
        let old = session.passphrase.read()?;
        let (vault, secrets) = Vault::open(session.home.clone(), &old)?;
        let new =
            PassphraseSource::of(self.new_passphrase_file, self.new_passphrase_fd).read_new()?;
        let alone = SyncLock::take(vault.home())?;
        vault.change_passphrase(&alone, &secrets, &new, work_factor)?;
        init::warn_of(session, work_factor);
        session.ui.talk("Copies of the old identity.age still open with the old passphrase.");
        let changed = Changed { state: "changed", work_factor };
        Ok(session.ui.result(&changed, "The passphrase is changed. Nobody can reset it.")?)
    }
}
