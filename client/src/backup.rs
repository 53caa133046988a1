//! What may be backed up of a device: enough to read again what it could read, and nothing to write with
//! or to be the device.
//!
//! ```text
//! backup file = age, one scrypt stanza, passphrase = twelve words
//!   JSON: device, handle, country
//!         committees: id, relay, size and checkpoint verified
//!           locks: epoch, identity, record_passphrase   opens grants' links, labels, sealed records
//!           records: as shown, with what was sealed to this device alone
//!   spaces up to a padded length
//! ```
//!
//! No key of the device and no invitation is in it: restoring means a new device.

use std::io::{self, Read as _, Write};
use std::iter;

use bip0039::Mnemonic;
use sealpost_protocol::passphrase::Passphrase;
use sealpost_protocol::record::padme;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::app::App;
use crate::catalog;
use crate::error::{Failure, Kind};
use crate::keys;
use crate::names;
use crate::ui::{json, time};
use crate::vault::committees::Committee;
use crate::vault::{Read, VaultError};
use crate::{random, vault};

/// Twelve words.
const PASSPHRASE_BYTES: usize = 16;
/// Below this all backups are of one length.
const SMALLEST_BYTES: u64 = 64 * 1024;
/// The meaning of the content.
const VERSION: u32 = 1;

/// A sealed backup, and what opens it.
pub struct Backup {
    /// The age file.
    pub sealed: Vec<u8>,
    /// Twelve words of 128 random bits and a checksum, joined by hyphens.
    pub passphrase: SecretString,
    /// How many locks are in it.
    pub locks: usize,
    /// How many records are in it.
    pub records: usize,
}

#[derive(Serialize)]
struct Content {
    sealpost_backup: u32,
    made_at: String,
    device: String,
    handle: String,
    country: String,
    committees: Vec<CommitteeContent>,
}

#[derive(Serialize)]
struct CommitteeContent {
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    name: Option<String>,
    relay: String,
    state: &'static str,
    size: u64,
    /// The relay's signed note for that size, as it was verified.
    checkpoint: Option<String>,
    locks: Vec<LockContent>,
    records: Vec<RecordContent>,
}

#[derive(Serialize)]
struct LockContent {
    epoch: u32,
    #[serde(serialize_with = "exposed")]
    identity: SecretString,
    #[serde(serialize_with = "exposed")]
    record_passphrase: SecretString,
}

#[derive(Serialize)]
struct RecordContent {
    #[serde(rename = "ref")]
    reference: String,
    author: String,
    state: &'static str,
    leaf_index: Option<u64>,
    record: Value,
}

/// Seals all that may be backed up under words drawn now.
pub fn make(app: &App, work_factor: u8) -> Result<Backup, Failure> {
    let content = content(app)?;
    let passphrase = words()?;
    let sealed = seal(&content, &passphrase, work_factor).map_err(unsealed)?;
    // Whoever needs it one day has nothing else left: what does not open is told now.
    opens(&sealed, &passphrase).map_err(unsealed)?;
    let count = |of: fn(&CommitteeContent) -> usize| content.committees.iter().map(of).sum();
    let (locks, records) = (count(|one| one.locks.len()), count(|one| one.records.len()));
    Ok(Backup { sealed, passphrase, locks, records })
}

fn content(app: &App) -> Result<Content, Failure> {
    app.vault.read(|vault| {
        let own = vault.own()?;
        let committees = vault.committees()?;
        let committees = committees.iter().map(|known| committee(vault, known));
        Ok(Content {
            sealpost_backup: VERSION,
            made_at: time::rfc3339(app.clock.now()),
            device: app.device_ref().to_string(),
            handle: own.handle,
            country: own.country,
            committees: committees.collect::<Result<_, Failure>>()?,
        })
    })
}

fn committee(vault: &Read<'_>, known: &Committee) -> Result<CommitteeContent, Failure> {
    let mut locks = Vec::new();
    for epoch in vault.epochs_held(known.no)? {
        if let Some(secret) = keys::secret_of(vault, known.no, epoch)? {
            locks.push(LockContent {
                epoch: epoch.0,
                identity: secret.identity().to_string(),
                record_passphrase: secret.record_passphrase(),
            });
        }
    }
    let note = vault.note(known.no)?.map(|(_, note)| note);
    let readable = catalog::readable(vault, known)?.into_iter().map(|(author, shown)| {
        let leaf_index = shown.entry.map(|place| place.index.0);
        let (reference, state, record) = (shown.reference, shown.state, shown.record);
        RecordContent { reference, author, state, leaf_index, record }
    });
    Ok(CommitteeContent {
        reference: names::committee_ref(&known.id).to_string(),
        id: known.id.to_string(),
        name: names::label(known)?.map(|label| label.name),
        relay: known.relay.clone(),
        state: known.standing.as_str(),
        size: known.size.0,
        checkpoint: note.and_then(|note| String::from_utf8(note).ok()),
        locks,
        records: readable.collect(),
    })
}

fn words() -> Result<SecretString, VaultError> {
    let entropy = random::secret::<PASSPHRASE_BYTES>()?;
    let mnemonic: Mnemonic = Mnemonic::from_entropy(entropy.to_vec())
        .map_err(|error| VaultError::Random(error.to_string()))?;
    Ok(SecretString::from(mnemonic.phrase().replace(' ', "-")))
}

/// Counts what is written, because the length is padded in the end.
struct Counting<W> {
    inside: W,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inside.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inside.flush()
    }
}

fn seal(content: &Content, passphrase: &SecretString, work_factor: u8) -> io::Result<Vec<u8>> {
    let recipient = Passphrase::new(passphrase.clone(), work_factor);
    let recipients = iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
    let mut sealed = Vec::new();
    let mut writer = Counting { inside: encryptor.wrap_output(&mut sealed)?, bytes: 0 };
    json::write_pretty(&mut writer, content)?;
    let padded = padme(writer.bytes.max(SMALLEST_BYTES));
    let mut padding = io::repeat(b' ').take(padded - writer.bytes);
    io::copy(&mut padding, &mut writer)?;
    writer.inside.finish()?;
    Ok(sealed)
}

fn opens(sealed: &[u8], passphrase: &SecretString) -> io::Result<()> {
    let identity = Passphrase::new(passphrase.clone(), vault::WORK_FACTOR_MAX);
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(io::Error::other)?;
    let identities = iter::once(&identity as &dyn age::Identity);
    let mut reader = decryptor.decrypt(identities).map_err(io::Error::other)?;
    let mut chunk = Zeroizing::new([0; 16 * 1024]);
    while reader.read(chunk.as_mut_slice())? > 0 {}
    Ok(())
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn unsealed(error: io::Error) -> Failure {
    Failure::new(Kind::Failed, "The backup was not sealed").because(error).next("Type it again.")
}

#[cfg(test)]
mod tests;
