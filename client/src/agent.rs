//! The agent: a process that holds an opened `identity.age` for a while, so that commands need no
//! passphrase.
//!
//! ```text
//! unlock ──stdin──> agent (hidden command): a locked page, a clock, a socket in the vault's folder
//! every other command ──ask──> agent ──secrets──> Vault::open_with
//! lockup ──end──> agent, and waits until the process is gone
//! ```
//!
//! It never opens the vault: it hands out what the passphrase would have opened, to this user only.
//! Both sides ask the kernel who the other one is, and the folder lets nobody else in. Whoever has
//! this user's rights can ask it too: that is what unlocked means.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::vault::{Home, Secrets};

mod folder;
mod kept;
mod life;
mod line;
mod serve;
mod start;
mod wire;

pub use serve::serve;
pub use start::start;
pub use wire::{State, Terms};

/// How long either side waits for the other: both are on this machine and have nothing to compute.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest an agent may live.
pub const LIVES_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Somebody else's folder or socket where only this user's may be.
    #[error("{path} belongs to another user of this machine (uid {uid})")]
    OtherUser {
        /// Which.
        path: PathBuf,
        /// Whose.
        uid: u32,
    },
    /// The vault's folder lets others in.
    #[error("other users of this machine can enter {0}")]
    OpenFolder(PathBuf),
    /// Something listens and does not answer.
    #[error("the agent does not answer")]
    Silent,
    /// What answers is no agent, or one of another version.
    #[error("what answers on the agent's socket is no agent of this version")]
    Foreign,
    /// It was started and did not come up.
    #[error("the agent did not start: {0}")]
    NotStarted(String),
    /// It was told to end and is still there.
    #[error("the agent does not end")]
    DoesNotEnd,
    /// The operating system refused.
    #[error("the agent cannot be reached: {0}")]
    Io(#[from] io::Error),
}

/// What the agent of `home` holds; nothing when none answers as it should, for the passphrase opens
/// the vault all the same. Only another user's socket is an error: somebody may wait to be asked.
pub fn secrets(home: &Home) -> Result<Option<Secrets>, AgentError> {
    let Ok(identity) = home.identity_hash() else { return Ok(None) };
    let asked = line::Line::reach(home).and_then(|line| match line {
        Some(line) if line.is_private() => line.secrets(identity),
        _ => Ok(None),
    });
    only_other_users(asked)
}

/// How the agent of `home` stands; nothing when none answers as it should.
pub fn state(home: &Home) -> Result<Option<State>, AgentError> {
    let asked = line::Line::reach(home).and_then(|line| line.map(line::Line::state).transpose());
    only_other_users(asked)
}

/// Ends the agent of `home` and waits until its process is gone. Whether there was one.
pub fn end(home: &Home) -> Result<bool, AgentError> {
    match line::Line::reach(home)? {
        Some(line) => line.end().map(|()| true),
        None => Ok(false),
    }
}

fn only_other_users<T>(asked: Result<Option<T>, AgentError>) -> Result<Option<T>, AgentError> {
    match asked {
        Err(error @ AgentError::OtherUser { .. }) => Err(error),
        other => Ok(other.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
