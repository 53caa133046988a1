//! Where the two programs under test are.

use std::path::PathBuf;
use std::process::Command;

/// The client's and the relay's executables. In a test of this package they are
/// `env!("CARGO_BIN_EXE_sealpost-tested")` and `env!("CARGO_BIN_EXE_sealpost-relay-tested")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// `sealpost`.
    pub client: PathBuf,
    /// `sealpost-relay`.
    pub relay: PathBuf,
}

impl Programs {
    /// The client's, ready for arguments. It sees none of our environment but where programs are.
    pub fn client(&self) -> Command {
        bare(&self.client)
    }

    /// The relay's, likewise.
    pub fn relay(&self) -> Command {
        bare(&self.relay)
    }
}

/// No setting of whoever runs the tests may change what they find.
fn bare(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}
