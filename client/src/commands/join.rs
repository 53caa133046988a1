//! `sealpost join`

use crate::app::Session;
use crate::error::Failure;

/// Asks to join a committee. The invitation is typed at a prompt or read from stdin.
#[derive(Debug, clap::Args)]
pub struct Join {
    /// The handle to be known by there; without it, the one given at init.
    #[arg(long, value_name = "NAME")]
    handle: Option<String>,
}

impl Join {
    /// Asks.
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = self.handle;
        Err(super::needs_the_relay("join"))
    }
}
