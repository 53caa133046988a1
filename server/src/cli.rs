//! The command line: `sealpost-relay [--data DIR] COMMAND`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use serde::Serialize;

use crate::commands::Command;
use crate::display;
use crate::error::{Failure, Kind};
use crate::logs::{self, Level, LogFormat};
use crate::store::disk::Disk;

/// Keeps sealed logs of committees, which it can neither read nor forge.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 6 not found or ambiguous, 7 damaged or rolled back,
/// 12 the data folder is of another version.
#[derive(Debug, Parser)]
#[command(name = "sealpost-relay", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command, before or after it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global flags")]
struct Globals {
    /// The relay's data folder.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SEALPOST_RELAY_DATA",
        hide_env_values = true
    )]
    data: Option<PathBuf>,
    /// Results as JSON on stdout, an error as one JSON object on stderr.
    #[arg(long, global = true)]
    json: bool,
    /// What is logged to stderr. Only debug and trace name addresses.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        env = "SEALPOST_RELAY_LOG",
        hide_env_values = true
    )]
    log: Level,
    /// How it is logged.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// What commands work with.
pub struct Session {
    /// The disk that the data folder is on.
    pub disk: Arc<dyn Disk>,
    data: Option<PathBuf>,
    json: bool,
}

/// Runs a command line and returns the exit code.
pub fn run(disk: Arc<dyn Disk>, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    let Globals { data, json, log, log_format } = cli.globals;
    logs::start(log_format, log);
    let session = Session::new(disk, data, json);
    match cli.command.run(&session) {
        Ok(()) => 0,
        Err(failure) => {
            let failure = match &session.data {
                Some(data) => failure.about(data),
                None => failure,
            };
            tell(&failure, json);
            failure.kind.exit()
        }
    }
}

/// The grammar, for completions and man pages.
pub fn grammar() -> clap::Command {
    Cli::command()
}

impl Session {
    /// For a data folder on that disk.
    pub fn new(disk: Arc<dyn Disk>, data: Option<PathBuf>, json: bool) -> Self {
        Self { disk, data, json }
    }

    /// The data folder.
    pub fn data(&self) -> Result<PathBuf, Failure> {
        self.data.clone().ok_or_else(|| {
            Failure::new(
                Kind::Usage,
                "Neither --data nor SEALPOST_RELAY_DATA names the data folder",
            )
            .next("Give --data DIR.")
        })
    }

    /// A result: `json` for scripts, `words` for people.
    pub fn result<T: Serialize>(&self, json: &T, words: &str) -> Result<(), Failure> {
        if self.json {
            let line = serde_json::to_string(json).map_err(io::Error::other);
            let line = line.map_err(|error| Failure::io("writing the result", &error))?;
            self.bytes(format!("{}\n", display::json(&line)).as_bytes())
        } else {
            self.bytes(format!("{}\n", display::text(words)).as_bytes())
        }
    }

    /// A line on stdout, at once.
    pub fn line(&self, line: &str) -> Result<(), Failure> {
        self.bytes(format!("{}\n", display::line(line)).as_bytes())
    }

    /// Bytes on stdout, at once and as they are.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| Failure::io("writing to stdout", &error)),
        }
    }
}

/// Tells a failure: what happened, what is safe, what to do next. A closed stderr is no reason to
/// fail otherwise.
fn tell(failure: &Failure, json: bool) {
    let mut err = io::stderr().lock();
    let _ = if json {
        let line = serde_json::to_string(&failure.to_json()).unwrap_or_default();
        writeln!(err, "{}", display::json(&line))
    } else {
        let [what, safe, next] =
            [&failure.what, &failure.safe, &failure.next].map(|words| display::line(words));
        writeln!(err, "sealpost-relay: {}.\n  {safe}\n  {next}", what.trim_end_matches('.'))
    };
}

/// Help and version go to stdout with exit 0; the rest is a usage error.
fn refuse(error: &clap::Error, json: bool) -> u8 {
    // Not by clap's own hand: it repeats what was typed, or pasted, as it came. A reader that went away
    // has seen enough.
    let rendered = error.render().to_string();
    let shown = display::text(&rendered);
    if !error.use_stderr() {
        let _ = io::stdout().lock().write_all(shown.as_bytes());
        return 0;
    }
    if json {
        let what: Vec<&str> = rendered
            .lines()
            .map(|line| line.trim().trim_start_matches("error: "))
            .take_while(|line| !line.is_empty())
            .collect();
        tell(&Failure::new(Kind::Usage, what.join(" ")), true);
    } else {
        let _ = io::stderr().lock().write_all(shown.as_bytes());
    }
    Kind::Usage.exit()
}

#[cfg(test)]
mod tests;
