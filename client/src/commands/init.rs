//! `sealpost init`

use sealpost_protocol::id::Country;

use crate::app::Session;
use crate::error::{Failure, Kind};
use crate::names;
use crate::ui::display::Untrusted;
use crate::vault::own::Own;
use crate::vault::{DEFAULT_WORK_FACTOR, Secrets, Vault, WORK_FACTOR_MAX};

/// Makes this device's vault, sealed under a passphrase.
///
/// Nobody can reset the passphrase. The handle is what colleagues see: not your real name.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The handle to join committees with.
    #[arg(long, value_name = "NAME")]
    handle: String,
    /// The country you say to be in, two letters like CH: colleagues see it, the relay does not.
    #[arg(long, value_name = "CC", default_value = names::NO_COUNTRY)]
    country: Country,
    /// Seal identity.age with this scrypt work factor: for tests, anything below 18 is unsafe.
    #[arg(long, hide = true, value_name = "N")]
    danger_work_factor: Option<u8>,
}

/// What `init` prints with `--json`.
#[derive(serde::Serialize)]
struct Made {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    handle: String,
}

impl Init {
    /// Makes the vault.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let handle = names::handle(&self.handle)?;
        let work_factor = work_factor(self.danger_work_factor)?;
        session.home.must_be_free()?;
        let passphrase = session.passphrase.read_new()?;
        let secrets = Secrets::generate()?;
        let own = Own {
            handle: handle.clone(),
            country: self.country.to_string(),
            made: session.clock.now(),
        };
        Vault::create(session.home.clone(), &passphrase, work_factor, &secrets, &own)?;
        let id = secrets.device.device_id();
        let reference = names::device_ref(&id);
        let words = format!("{reference}  {}", Untrusted::line(&handle));
        let made = Made { reference: reference.to_string(), id: id.to_string(), handle };
        warn_of(session, work_factor);
        session.ui.talk("The vault is made. Nobody can reset its passphrase.");
        session
            .ui
            .talk("Next: sealpost join, or sealpost committee found --relay ADDRESS --permit CODE");
        Ok(session.ui.result(&made, &words)?)
    }
}

/// The work factor to seal with.
pub(super) fn work_factor(chosen: Option<u8>) -> Result<u8, Failure> {
    match chosen {
        None => Ok(DEFAULT_WORK_FACTOR),
        Some(chosen) if (1..=WORK_FACTOR_MAX).contains(&chosen) => Ok(chosen),
        Some(_) => {
            let what = format!("The work factor is not 1 to {WORK_FACTOR_MAX}");
            Err(Failure::new(Kind::Usage, what))
        }
    }
}

/// Says so when it is not the usual one.
pub(super) fn warn_of(session: &mut Session, work_factor: u8) {
    if work_factor < DEFAULT_WORK_FACTOR {
        session.ui.warn(&format!(
            "Danger: work factor {work_factor} instead of {DEFAULT_WORK_FACTOR}. For tests only."
        ));
    }
}
