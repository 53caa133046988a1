//! `sealpost completions`

use clap_complete::Shell;

use crate::app::Session;
use crate::error::Failure;

/// Prints the completions of a shell.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::grammar(), "sealpost", &mut script);
        Ok(session.ui.bytes(&script)?)
    }
}
