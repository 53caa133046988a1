//! Talking to a relay: connected, one question and its one answer at a time.

use std::future::Future;
use std::time::Duration;

use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{NotActive, Refused, Reply, Request};

use tokio::time::Instant;

use crate::app::App;
use crate::error::Failure;
use crate::transport::{Connection, Deadlines, PeerError, TransportError};
use crate::vault::{SyncLock, VaultError};

/// How long a command waits for a running sync: most take less than a second.
const ALONE_WAIT: Duration = Duration::from_secs(10);
/// How often it looks whether the other is done.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs network work of a command to its end.
pub fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| TransportError::Local(error.to_string()))?;
    let done = runtime.block_on(work);
    // A look-up of a name that nobody waits for any longer must not hold up the command.
    runtime.shutdown_background();
    done
}

/// Connects to a relay and logs in as this device.
pub async fn connect(app: &App, address: &RelayAddress) -> Result<Connection, TransportError> {
    Connection::open(address, app.device.login_key(), Deadlines::default()).await
}

/// Waits until no other sync runs on this vault, for a command that needs to be alone. A sync that
/// was asked for is refused instead: see [`SyncLock::take`].
pub async fn alone(app: &App) -> Result<SyncLock, Failure> {
    let patience = Instant::now() + ALONE_WAIT;
    loop {
        match SyncLock::take(app.vault.home()) {
            Err(VaultError::SyncRunning) if Instant::now() < patience => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            taken => return Ok(taken?),
        }
    }
}

/// Asks what has one answer. A refusal is an error of the kind its code says.
pub async fn ask(connection: &Connection, request: &Request) -> Result<Reply, AskError> {
    let reply = connection.request(request).await?.next().await?;
    match reply.ok_or(TransportError::Lied(PeerError::Incomplete))? {
        Reply::Refused(Refused { code }) => Err(AskError::Refused(code)),
        Reply::NotActive(shown) => Err(AskError::NotActive(Box::new(shown))),
        reply => Ok(reply),
    }
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The relay said no.
    #[error("the relay refused: {}", told(*.0))]
    Refused(Code),
    /// The device was cut off, and by which entry: see [`crate::cutoff`].
    #[error("the relay refused: {}", told(Code::NotActive))]
    NotActive(Box<NotActive>),
    /// No answer, or a lie.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A relay's no, for people: its name, by which it can be looked up, and what it means where that
/// is not plain.
pub fn told(code: Code) -> String {
    let meaning = match code {
        Code::Disputed => "it says that its log is not the one that this device verified",
        Code::NotActive => "this device is no longer active there",
        Code::NotEntitled => "this device's role does not allow it",
        Code::LockPending => "the lock must be changed first",
        Code::TooMany => "too many of these lately, later is fine",
        Code::Busy => "it is busy, later is fine",
        Code::Full => "its disk is full, it reads and does not write",
        Code::NoRoom => "its room for this committee's attachments is used up",
        Code::BlobMissing => "it does not have the attachment",
        Code::BadBlob => "what arrived is not the attachment that was sent",
        Code::Stopped => "its disk failed, whether anything was kept is not known",
        code => return code.name().to_owned(),
    };
    format!("{} ({meaning})", code.name())
}

/// An answer of another kind or size than asked for.
pub fn unexpected() -> AskError {
    TransportError::from(PeerError::Unexpected).into()
}

/// A relay address as the vault keeps it.
pub fn address_of(text: &str) -> Result<RelayAddress, Failure> {
    text.parse().map_err(|_| {
        VaultError::Damaged("it holds a relay address that does not read".to_owned()).into()
    })
}

#[cfg(test)]
mod tests;
