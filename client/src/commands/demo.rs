//! `sealpost demo`

use crate::app::Session;
use crate::demo;
use crate::error::Failure;

/// Shows the whole way of a record on this machine, with a real relay and two invented people.
///
/// Everything happens in a folder that is removed in the end. The relay is `sealpost-relay` beside
/// this program, or else the one in PATH.
#[derive(Debug, clap::Args)]
pub struct Demo {}

impl Demo {
    /// Shows it.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        demo::show(session)
    }
}
