//! `sealpost member admit`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;

/// Admits a device that asks to join, after its safety number was compared by voice.
#[derive(Debug, clap::Args)]
pub struct Admit {
    /// The device, as `member list --asking` shows it.
    #[arg(value_name = "DEVICE_REF")]
    device: String,
    /// The safety number as the other person read it out, in Latin, Arabic or Persian digits;
    /// without it, it is asked for.
    #[arg(long, value_name = "DIGITS")]
    safety_number: Option<String>,
}

impl Admit {
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = (self.device, self.safety_number);
        Err(needs_the_relay("member admit"))
    }
}
