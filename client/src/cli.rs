//! The command line: `sealpost NOUN VERB [REF] [flags]`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use crate::app::Session;
use crate::clock::Clock;
use crate::commands::Command;
use crate::error::{Failure, Kind};
use crate::ui::passphrase::PassphraseSource;
use crate::ui::{self, Format, Stream, Ui};
use crate::vault::Home;

/// Seals and signs case records, sends them through a relay that cannot read them, and opens what
/// colleagues sent.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 saved but not fully delivered, 4 locked, 5 not allowed,
/// 6 not found or ambiguous, 7 verification failed, 8 needs a second person, 9 consent refuses,
/// 10 no vault, 11 relay unreachable, 12 version too old.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, propagate_version = true)]
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
    /// The folder of the vault.
    #[arg(long, global = true, value_name = "DIR", env = "SEALPOST_HOME", hide_env_values = true)]
    home: Option<PathBuf>,
    /// Read the passphrase from this file; one trailing line feed is not part of it.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file descriptor.
    #[arg(long, global = true, value_name = "N", conflicts_with = "passphrase_file")]
    passphrase_fd: Option<u32>,
    /// Results as JSON on stdout, an error as one JSON object on stderr.
    #[arg(long, global = true)]
    json: bool,
}

/// Runs a command line and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    let format = if cli.globals.json { Format::Json } else { Format::Words };
    let mut ui = Ui::of_process(format);
    let mut session = match cli.globals.session(cli.command.needs_home()) {
        Ok((home, passphrase)) => Session { home, passphrase, clock: Clock::System, ui },
        Err(failure) => {
            ui.fail(&failure);
            return failure.kind.exit();
        }
    };
    match cli.command.run(&mut session) {
        Ok(()) => 0,
        Err(failure) => {
            session.ui.fail(&failure);
            failure.kind.exit()
        }
    }
}

/// The grammar, for completions and man pages.
pub fn grammar() -> clap::Command {
    Cli::command()
}

impl Globals {
    fn session(&self, needs_home: bool) -> Result<(Home, PassphraseSource), Failure> {
        let passphrase = PassphraseSource::of(self.passphrase_file.clone(), self.passphrase_fd);
        let home = self.home.clone().map(Home::new).or_else(|| {
            let folder = |name| std::env::var_os(name).map(PathBuf::from);
            Home::default_of(folder("XDG_DATA_HOME"), folder("HOME"))
        });
        let home = home.or_else(|| (!needs_home).then(Home::nowhere));
        let nowhere = || {
            Failure::new(
                Kind::Usage,
                "Neither --home, SEALPOST_HOME nor HOME says where the vault is",
            )
            .next("Give --home DIR.")
        };
        Ok((home.ok_or_else(nowhere)?, passphrase))
    }
}

/// Help and version go to stdout with exit 0; the rest is a usage error.
fn refuse(error: &clap::Error, json: bool) -> u8 {
    // Not by clap's own hand: it repeats what was typed, or pasted, as it came. A reader that went away
    // has seen enough.
    let rendered = error.render().to_string();
    if !error.use_stderr() {
        let _ = ui::aside(Stream::Out, &rendered);
        return 0;
    }
    if json {
        let what: Vec<&str> = rendered
            .lines()
            .map(|line| line.trim().trim_start_matches("error: "))
            .take_while(|line| !line.is_empty())
            .collect();
        Ui::of_process(Format::Json).fail(&Failure::new(Kind::Usage, what.join(" ")));
    } else {
        let _ = ui::aside(Stream::Err, &rendered);
    }
    Kind::Usage.exit()
}

#[cfg(test)]
mod tests;
