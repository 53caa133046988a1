//! Cosignature/v1: a device or a mirror says which tree it holds, and when, to the hour.

use std::fmt;
use std::str::FromStr;

use super::line::{NoteSignature, SignatureType};
use super::{Checkpoint, Origin, PeerNoteError, cbor_text, plain_text};
use crate::address::{key_from_text, key_to_text};
use crate::id::{DeviceId, UnixMillis};
use crate::sign::{PublicKey, SigningKey, VerifyingKey};

const HOUR_SECONDS: u64 = 3_600;
const SECOND_MILLIS: u64 = 1_000;

/// Who cosigns. In a key name, after the origin, `/d/<device id>` or `/m/<relay key>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cosigner {
    /// A device, with its signing key: it holds the log up to this size.
    Device(DeviceId),
    /// A mirror, with its relay key: it has stored the log durably up to this size.
    Mirror(PublicKey),
}

impl fmt::Display for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(f, "d/{device}"),
            Self::Mirror(key) => write!(f, "m/{}", key_to_text(key)),
        }
    }
}

impl FromStr for Cosigner {
    type Err = PeerNoteError;

    fn from_str(text: &str) -> Result<Self, PeerNoteError> {
        let parsed = match text.split_at_checked(2) {
            Some(("d/", device)) => device.parse().ok().map(Self::Device),
            Some(("m/", key)) => key_from_text(key).map(Self::Mirror),
            _ => None,
        };
        let canonical = parsed.filter(|cosigner| cosigner.to_string() == text);
        canonical.ok_or(PeerNoteError::OtherName)
    }
}

/// A cosignature line that parses, its signature not yet checked.
///
/// The line names the log and the signer but neither size nor root: whoever passes it on says
/// which checkpoint it is for, and verification tells whether that is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedCosignature {
    origin: Origin,
    cosigner: Cosigner,
    seconds: u64,
    text: String,
    signature: NoteSignature,
}

impl UnverifiedCosignature {
    /// Reads exactly one signature line with its newline.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeerNoteError> {
        let text = plain_text(bytes)?;
        let signature = NoteSignature::parse(text)?;
        let (origin, cosigner) = parse_name(signature.name())?;
        let time = signature.prefix().try_into().map_err(|_| PeerNoteError::SignatureLine)?;
        let seconds = u64::from_be_bytes(time);
        let sayable = seconds.checked_mul(SECOND_MILLIS).is_some();
        if !sayable || !seconds.is_multiple_of(HOUR_SECONDS) {
            return Err(PeerNoteError::Time);
        }
        Ok(Self { origin, cosigner, seconds, text: text.to_owned(), signature })
    }

    /// Who it claims to be from: needed to find the key to verify it under.
    pub fn claimed_cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// Which log it claims to be about.
    pub fn claimed_origin(&self) -> &Origin {
        &self.origin
    }

    /// Checks that the claimed cosigner, whose key is `key`, cosigned `checkpoint`. Whether that
    /// device or mirror counts is the roster's to say.
    pub fn verify(
        self,
        checkpoint: &Checkpoint,
        key: &VerifyingKey,
    ) -> Result<Cosignature, PeerNoteError> {
        if self.origin != checkpoint.origin {
            return Err(PeerNoteError::OtherOrigin(self.origin));
        }
        if let Cosigner::Mirror(named) = self.cosigner
            && named != PublicKey::from(*key)
        {
            return Err(PeerNoteError::OtherKey);
        }
        let message = cosigned_text(checkpoint, self.seconds);
        self.signature.verify(SignatureType::Cosignature, key, message.as_bytes())?;
        Ok(Cosignature {
            checkpoint: *checkpoint,
            cosigner: self.cosigner,
            seconds: self.seconds,
            text: self.text,
        })
    }
}

/// A checkpoint's cosignature, made by signing or by verifying only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    checkpoint: Checkpoint,
    cosigner: Cosigner,
    seconds: u64,
    text: String,
}

impl Cosignature {
    /// Cosigns `checkpoint` at the time `now`, rounded down to the hour. The signer promises that
    /// it verified the tree and that it knows of no larger one.
    pub fn sign(
        checkpoint: &Checkpoint,
        cosigner: Cosigner,
        key: &SigningKey,
        now: UnixMillis,
    ) -> Self {
        let now_seconds = now.0 / SECOND_MILLIS;
        let seconds = now_seconds - now_seconds % HOUR_SECONDS;
        let name = format!("{}/{cosigner}", checkpoint.origin);
        let message = cosigned_text(checkpoint, seconds);
        let kind = SignatureType::Cosignature;
        let time = seconds.to_be_bytes();
        let line = NoteSignature::sign(kind, &name, key, message.as_bytes(), &time);
        Self { checkpoint: *checkpoint, cosigner, seconds, text: line.to_string() }
    }

    /// What was cosigned.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Who cosigned it.
    pub fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// When, by the cosigner's clock: the beginning of that hour.
    pub fn time(&self) -> UnixMillis {
        UnixMillis(self.seconds * SECOND_MILLIS)
    }

    /// The signature line, byte for byte: what is stored and served. Appended to the note of the
    /// same checkpoint it makes a cosigned note for stock tools.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The name's last two parts are the cosigner, what stands before them the origin.
fn parse_name(name: &str) -> Result<(Origin, Cosigner), PeerNoteError> {
    let mut slashes = name.rmatch_indices('/').map(|(at, _)| at);
    let at = slashes.nth(1).ok_or(PeerNoteError::OtherName)?;
    Ok((name[..at].parse()?, name[at + 1..].parse()?))
}

fn cosigned_text(checkpoint: &Checkpoint, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{}", checkpoint.note_text())
}

cbor_text!(encode Cosignature);
cbor_text!(decode UnverifiedCosignature);
