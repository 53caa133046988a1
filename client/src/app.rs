//! What commands work with: where the vault is, and the vault once opened.

use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::reference::Ref;

use crate::agent;
use crate::clock::Clock;
use crate::error::Failure;
use crate::names;
use crate::ui::Ui;
use crate::ui::passphrase::PassphraseSource;
use crate::vault::{Home, Vault};
use crate::watch::Opened;

/// A command's surroundings, before any vault is opened.
pub struct Session {
    /// Where the vault is.
    pub home: Home,
    /// Where its passphrase comes from.
    pub passphrase: PassphraseSource,
    /// The time.
    pub clock: Clock,
    /// The person.
    pub ui: Ui,
}

/// An opened vault and the device it is of.
pub struct App {
    /// The vault.
    pub vault: Vault,
    /// The device's keys.
    pub device: DeviceIdentity,
    /// The time.
    pub clock: Clock,
}

impl Session {
    /// Opens the vault: by its agent, else with the passphrase. One that was given by a flag is
    /// used whether or not there is an agent: whoever gives one depends on nothing else.
    pub fn open(&self) -> Result<App, Failure> {
        Ok(self.open_by()?.0)
    }

    /// As [`Self::open`], and says by what.
    pub fn open_by(&self) -> Result<(App, Opened), Failure> {
        // Before the passphrase is asked for: without a vault there is nothing to type it for.
        self.home.must_hold_a_vault()?;
        if self.passphrase == PassphraseSource::Prompt
            && let Some(secrets) = agent::secrets(&self.home)?
        {
            let vault = Vault::open_with(self.home.clone(), &secrets)?;
            let app = App { vault, device: secrets.device, clock: self.clock };
            return Ok((app, Opened::Agent));
        }
        let passphrase = self.passphrase.read()?;
        let (vault, secrets) = Vault::open(self.home.clone(), &passphrase)?;
        Ok((App { vault, device: secrets.device, clock: self.clock }, Opened::Passphrase))
    }
}

impl App {
    /// This device's REF.
    pub fn device_ref(&self) -> Ref {
        names::device_ref(&self.device.device_id())
    }
}
