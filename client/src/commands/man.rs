//! `sealpost man`

use std::path::PathBuf;

use crate::app::Session;
use crate::error::{Failure, Kind};

/// Writes the man pages, one a command.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder to write them to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    /// Writes them.
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let written = std::fs::create_dir_all(&self.out)
            .and_then(|()| clap_mangen::generate_to(crate::cli::grammar(), &self.out));
        written.map_err(|error| {
            let what = format!("Cannot write man pages to {}", self.out.display());
            Failure::new(Kind::NotWritable, what).because(error).next("Use another --out DIR.")
        })
    }
}
