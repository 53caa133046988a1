//! What the person gives: text by prompt, from a file or from stdin. Nothing personal in argv.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;
use std::str::FromStr;

use super::display::Untrusted;
use super::{Stream, aside};

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// Typed at a prompt.
    Prompt,
    /// `--from -`: stdin to its end.
    Stdin,
    /// `--from FILE`.
    File(PathBuf),
}

/// Why input was not taken. The fault of whoever typed it, or of the file it named.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file or stdin could not be read.
    #[error("cannot read {0}")]
    Unreadable(String, #[source] io::Error),
    /// It is not UTF-8.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    /// It is longer than anything of its kind may be.
    #[error("{what} is longer than {max} bytes")]
    TooLong {
        /// What was read.
        what: String,
        /// The limit.
        max: usize,
    },
    /// Something must be typed, and nobody can.
    #[error("{0} is needed, and stdin is no terminal to ask at: use --from FILE or --from -")]
    NobodyToAsk(String),
    /// No passphrase was given and none could be asked for.
    #[error("no passphrase: there is no terminal to ask at")]
    NoPassphrase,
    /// The passphrase's file or descriptor could not be read.
    #[error("cannot read the passphrase from {0}")]
    PassphraseUnreadable(String, #[source] io::Error),
    /// An empty passphrase.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// Two passphrases that should be the same are not.
    #[error("the two passphrases differ")]
    PassphrasesDiffer,
    /// A destructive command was not confirmed.
    #[error("not confirmed: {0} was not typed")]
    NotConfirmed(String),
    /// The person said no.
    #[error("not confirmed")]
    Refused,
}

impl FromStr for TextSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl TextSource {
    /// Reads a text of at most `max` bytes. `what` names it at the prompt and in errors.
    pub fn read(&self, what: &str, max: usize) -> Result<String, InputError> {
        match self {
            Self::Prompt => ask(what).map(|line| line.trim().to_owned()),
            Self::Stdin => read_text(io::stdin().lock(), "stdin", max),
            Self::File(path) => {
                let name = path.display().to_string();
                match File::open(path) {
                    Ok(file) => read_text(file, &name, max),
                    Err(error) => Err(InputError::Unreadable(name, error)),
                }
            }
        }
    }

    /// As [`TextSource::read`], but a single line: one trailing line break is not part of it.
    pub fn read_line(&self, what: &str, max: usize) -> Result<String, InputError> {
        // Two more bytes than the line may have: its line break.
        let mut text = self.read(what, max + 2)?;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        if text.len() > max {
            return Err(InputError::TooLong { what: what.to_owned(), max });
        }
        Ok(text)
    }
}

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks for one line on stderr and reads it from the terminal.
pub fn ask(what: &str) -> Result<String, InputError> {
    if !can_ask() {
        return Err(InputError::NobodyToAsk(what.to_owned()));
    }
    let unreadable = |error| InputError::Unreadable("stdin".to_owned(), error);
    let question = format!("{}: ", Untrusted::line(what));
    aside(Stream::Err, &question).map_err(unreadable)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(line)
}

/// Asks for `expected` to be typed before something that cannot be undone.
pub fn confirm(what: &str, expected: &str) -> Result<(), InputError> {
    let typed = ask(&format!("{what} Type {expected} to go on")).map_err(|error| match error {
        InputError::NobodyToAsk(_) => InputError::NotConfirmed(format!("{expected}, or --yes,")),
        other => other,
    })?;
    if typed.trim().eq_ignore_ascii_case(expected) { Ok(()) } else { Err(InputError::Refused) }
}

fn read_text(reader: impl Read, name: &str, max: usize) -> Result<String, InputError> {
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    reader
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| InputError::Unreadable(name.to_owned(), error))?;
    if bytes.len() > max {
        return Err(InputError::TooLong { what: name.to_owned(), max });
    }
    String::from_utf8(bytes).map_err(|_| InputError::NotText(name.to_owned()))
}

#[cfg(test)]
mod tests;
