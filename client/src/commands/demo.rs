//! `sealpost demo`

use crate::app::Session;
use crate::error::Failure;

/// Shows the whole way of a record on this machine, with a real relay and two invented people.
#[derive(Debug, clap::Args)]
pub struct Demo {}

impl Demo {
    /// Shows it.
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        Err(super::needs_the_relay("demo"))
    }
}
