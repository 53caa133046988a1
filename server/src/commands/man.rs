//! `sealpost-relay man`

use std::path::PathBuf;

use crate::cli::Session;
use crate::error::Failure;

/// Writes the man pages, one a command.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder to write them to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    pub(super) fn run(&self, _: &Session) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.out)
            .and_then(|()| clap_mangen::generate_to(crate::cli::grammar(), &self.out))
            .map_err(|error| Failure::io("writing man pages", &error).next("Name another --out."))
    }
}
