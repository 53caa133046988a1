//! `sealpost agent`, which `sealpost unlock` starts

use std::io::IsTerminal;

use crate::agent;
use crate::app::Session;
use crate::error::{Failure, Kind};

/// Holds what `unlock` hands it; not to be typed by hand.
#[derive(Debug, clap::Args)]
pub struct Agent {}

impl Agent {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        if std::io::stdin().is_terminal() {
            let what = "The agent is started by the program itself";
            return Err(Failure::new(Kind::Usage, what).next("sealpost unlock"));
        }
        Ok(agent::serve(&session.home)?)
    }
}
