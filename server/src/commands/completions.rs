//! `sealpost-relay completions`

use clap_complete::Shell;

use crate::cli::Session;
use crate::error::Failure;

/// Prints the completions of a shell.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut grammar = crate::cli::grammar();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut grammar, "sealpost-relay", &mut script);
        session.bytes(&script)
    }
}
