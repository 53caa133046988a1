//! The passphrase of the vault: by prompt, from a file, or from an open descriptor.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::input::InputError;

/// Longer ones are a mistaken file.
const PASSPHRASE_BYTES_MAX: u64 = 4 * 1024;

/// Where the passphrase comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseSource {
    /// Asked for at the terminal, without echo.
    Prompt,
    /// `--passphrase-file FILE`. Exactly one trailing line feed is not part of it.
    File(PathBuf),
    /// `--passphrase-fd N`, read like a file.
    Descriptor(u32),
}

impl PassphraseSource {
    /// What two flags of a command say: a file, a descriptor, or neither and so the prompt.
    pub fn of(file: Option<PathBuf>, descriptor: Option<u32>) -> Self {
        match (file, descriptor) {
            (Some(path), _) => Self::File(path),
            (None, Some(number)) => Self::Descriptor(number),
            (None, None) => Self::Prompt,
        }
    }

    /// Reads the passphrase of an existing vault.
    pub fn read(&self) -> Result<SecretString, InputError> {
        match self {
            Self::Prompt => prompt("Passphrase: "),
            Self::File(path) => read_file(path),
            Self::Descriptor(number) => read_file(Path::new(&format!("/dev/fd/{number}"))),
        }
    }

    /// Reads a new passphrase; at a prompt it is asked for twice.
    pub fn read_new(&self) -> Result<SecretString, InputError> {
        let Self::Prompt = self else { return self.read() };
        let first = prompt("New passphrase: ")?;
        let second = prompt("The same again: ")?;
        if first.expose_secret() == second.expose_secret() {
            Ok(first)
        } else {
            Err(InputError::PassphrasesDiffer)
        }
    }
}

/// NFC, so that the same letters give the same passphrase on every keyboard and system.
fn normalised(text: &str) -> Result<SecretString, InputError> {
    if text.is_empty() {
        return Err(InputError::EmptyPassphrase);
    }
    Ok(SecretString::from(text.nfc().collect::<String>()))
}

fn prompt(question: &str) -> Result<SecretString, InputError> {
    match rpassword::prompt_password(question) {
        Ok(typed) => normalised(&Zeroizing::new(typed)),
        Err(_) => Err(InputError::NoPassphrase),
    }
}

fn read_file(path: &Path) -> Result<SecretString, InputError> {
    let name = path.display().to_string();
    let unreadable = |error: io::Error| InputError::PassphraseUnreadable(name.clone(), error);
    // Reserved at once: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    let file = File::open(path).map_err(unreadable)?;
    file.take(PASSPHRASE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > PASSPHRASE_BYTES_MAX {
        return Err(unreadable(io::Error::other("too long for a passphrase")));
    }
    normalised(text.strip_suffix('\n').unwrap_or(&text))
}

#[cfg(test)]
mod tests;
