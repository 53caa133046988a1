//! `sealpost device backup`

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::app::Session;
use crate::backup;
use crate::commands::init;
use crate::error::{Failure, Kind};

/// Writes what this device can read into a file, and prints the words that open it, once.
///
/// The file is an ordinary age file: `age -d FILE` and the words give JSON with every lock and record.
/// Keep both as safe as this device, and apart. No key of the device is in it: after a loss, a colleague
/// lets a new device in.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seal it with this scrypt work factor: for tests, anything below 18 is unsafe.
    #[arg(long, hide = true, value_name = "N")]
    danger_work_factor: Option<u8>,
}

/// What `device backup` prints with `--json`.
#[derive(Serialize)]
struct Written<'a> {
    out: String,
    passphrase: &'a str,
    locks: usize,
    records: usize,
}

impl Backup {
    pub(super) fn run(self, session: &mut Session) -> Result<(), Failure> {
        let work_factor = init::work_factor(self.danger_work_factor)?;
        if self.out.symlink_metadata().is_ok() {
            return Err(unwritten(&self.out, "it is there already"));
        }
        let app = session.open()?;
        let made = backup::make(&app, work_factor)?;
        write(&self.out, &made.sealed).map_err(|error| unwritten(&self.out, error))?;
        init::warn_of(session, work_factor);
        let written = Written {
            out: self.out.display().to_string(),
            passphrase: made.passphrase.expose_secret(),
            locks: made.locks,
            records: made.records,
        };
        session.ui.talk(&format!(
            "{}: {} locks and {} records. These words open it, and nothing else does:",
            written.out, made.locks, made.records
        ));
        session.ui.result(&written, written.passphrase)?;
        session
            .ui
            .talk("Write them down: they are not shown again. Keep them apart from the file.");
        Ok(())
    }
}

/// Writes a new file for its owner alone; what could not be written whole is not left.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder.unwrap_or(Path::new(".")))?.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn unwritten(path: &Path, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(Kind::NotWritable, format!("No backup was written to {}", path.display()))
        .because(why)
        .next("sealpost device backup --out FILE, with another FILE")
}
