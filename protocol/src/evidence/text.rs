//! The file: lines of text, each part under a word of its own.
//!
//! ```text
//! sealpost-evidence/1 fork
//! relay 52 base32 symbols
//! note
//! …                          a note is five lines, as the relay signed them
//! note
//! …
//! begins 64 hex digits
//! 64 hex digits              the way to the root, a line each
//! ```

use std::fmt;

use data_encoding::BASE64;

use super::{Finding, PeerEvidenceError, Placed, verified};
use crate::address::key_from_text;
use crate::checkpoint::{Origin, SignedCheckpoint, UnverifiedCheckpoint};
use crate::entry::UnverifiedEntry;
use crate::hash::Hash;
use crate::id::LeafIndex;
use crate::limits::PROOF_HASHES_MAX;
use crate::sign::PublicKey;
use crate::tree::Proof;

const MAGIC: &str = "sealpost-evidence/";
const VERSION: &str = "1";
const NOTE_LINES: usize = 5;
const ENTRY: &str = "entry ";

use PeerEvidenceError::Malformed;

pub(super) fn write(f: &mut fmt::Formatter<'_>, relay: &str, finding: &Finding) -> fmt::Result {
    writeln!(f, "{MAGIC}{VERSION} {}\nrelay {relay}", finding.kind())?;
    match finding {
        Finding::Fork { old, new, begins, steps } => {
            write!(f, "{}{}{}", Note(old), Note(new), Begins(begins, steps))
        }
        Finding::Rollback { held, shown, receipt: None } => {
            write!(f, "{}{}", Note(held), Note(shown))
        }
        Finding::Rollback { held, shown, receipt: Some(receipt) } => {
            write!(f, "{}{receipt}{}", Note(held), Note(shown))
        }
        Finding::Dropped { held, receipt, shown, leaf, steps } => {
            write!(f, "{}{receipt}{}leaf {leaf}\n{}", Note(held), Note(shown), Steps(steps))
        }
        Finding::Rewritten { note, entry, keys } => {
            writeln!(f, "{}{entry}keys {}", Note(note), BASE64.encode(keys))
        }
        Finding::Seen { note, entry, begins, steps } => {
            write!(f, "{}{entry}{}", Note(note), Begins(begins, steps))
        }
    }
}

struct Note<'a>(&'a SignedCheckpoint);

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "note\n{}", self.0.text())
    }
}

struct Begins<'a>(&'a Hash, &'a Proof);

impl fmt::Display for Begins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "begins {}\n{}", self.0, Steps(self.1))
    }
}

struct Steps<'a>(&'a Proof);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hashes().iter().try_for_each(|hash| writeln!(f, "{hash}"))
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, entry, steps } = self;
        write!(f, "{ENTRY}{index} {}\n{}", BASE64.encode(&entry.encode()), Steps(steps))
    }
}

/// Reads the parts. Notes are verified as they come, and nothing else is.
pub(super) fn parse(bytes: &[u8]) -> Result<(PublicKey, Finding), PeerEvidenceError> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(PeerEvidenceError::Magic)?;
    let rest = std::str::from_utf8(rest).map_err(|_| Malformed("not plain text"))?;
    let (first, rest) = rest.split_once('\n').ok_or(Malformed("it ends too early"))?;
    let (version, kind) = first.split_once(' ').ok_or(Malformed("the first line"))?;
    if version != VERSION {
        // A number is a version; anything else was never written by anybody.
        return Err(match version.parse::<u32>() {
            Ok(number) if number.to_string() == version => {
                PeerEvidenceError::NewerVersion(version.to_owned())
            }
            _ => Malformed("the first line"),
        });
    }
    let (relay, rest) = rest.split_once('\n').ok_or(Malformed("it ends too early"))?;
    let relay = relay.strip_prefix("relay ").and_then(key_from_text);
    let relay = relay.ok_or(Malformed("the relay's key"))?;
    let mut reader = Reader { rest, relay, origin: None };
    let finding = reader.finding(kind)?;
    match reader.rest {
        "" => Ok((relay, finding)),
        _ => Err(Malformed("more follows than such evidence has")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    relay: PublicKey,
    /// The log of the first note, which the others must be of.
    origin: Option<Origin>,
}

impl<'a> Reader<'a> {
    fn finding(&mut self, kind: &str) -> Result<Finding, PeerEvidenceError> {
        match kind {
            "fork" => {
                let (old, new) = (self.note()?, self.note()?);
                let (begins, steps) = (self.hash("begins ")?, self.steps()?);
                Ok(Finding::Fork { old, new, begins, steps })
            }
            "rollback" => {
                let held = self.note()?;
                let receipt = match self.rest.starts_with(ENTRY) {
                    true => Some(self.placed()?),
                    false => None,
                };
                Ok(Finding::Rollback { held, shown: self.note()?, receipt })
            }
            "dropped" => {
                let (held, receipt) = (self.note()?, self.placed()?);
                let shown = self.note()?;
                let (leaf, steps) = (self.hash("leaf ")?, self.steps()?);
                Ok(Finding::Dropped { held, receipt, shown, leaf, steps })
            }
            "rewritten" => {
                let (note, entry) = (self.note()?, self.placed()?);
                let keys = decode(self.tagged("keys ", "the keys")?, "the keys")?;
                Ok(Finding::Rewritten { note, entry, keys })
            }
            "seen" => {
                let (note, entry) = (self.note()?, self.placed()?);
                let (begins, steps) = (self.hash("begins ")?, self.steps()?);
                Ok(Finding::Seen { note, entry, begins, steps })
            }
            _ => Err(Malformed("the first line")),
        }
    }

    fn line(&mut self) -> Result<&'a str, PeerEvidenceError> {
        let (line, rest) = self.rest.split_once('\n').ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(line)
    }

    fn tagged(&mut self, tag: &str, part: &'static str) -> Result<&'a str, PeerEvidenceError> {
        self.line()?.strip_prefix(tag).ok_or(Malformed(part))
    }

    fn note(&mut self) -> Result<SignedCheckpoint, PeerEvidenceError> {
        if self.line()? != "note" {
            return Err(Malformed("a note"));
        }
        let from = self.rest;
        for _ in 0..NOTE_LINES {
            self.line()?;
        }
        let note = &from[..from.len() - self.rest.len()];
        let claimed = UnverifiedCheckpoint::parse(note.as_bytes())?.claimed().origin;
        verified(note, self.relay, self.origin.get_or_insert(claimed))
    }

    fn hash(&mut self, tag: &str) -> Result<Hash, PeerEvidenceError> {
        self.tagged(tag, "a hash")?.parse().map_err(|_| Malformed("a hash"))
    }

    /// As many hashes as follow.
    fn steps(&mut self) -> Result<Proof, PeerEvidenceError> {
        let mut hashes = Vec::new();
        while let Some((Ok(hash), rest)) =
            self.rest.split_once('\n').map(|(line, rest)| (line.parse::<Hash>(), rest))
        {
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(Malformed("more hashes than a proof has"));
            }
            hashes.push(hash);
            self.rest = rest;
        }
        Ok(hashes.into())
    }

    fn placed(&mut self) -> Result<Placed, PeerEvidenceError> {
        let line = self.tagged(ENTRY, "an entry")?;
        let (index, entry) = line.split_once(' ').ok_or(Malformed("an entry"))?;
        let index = LeafIndex(index.parse().map_err(|_| Malformed("an entry's place"))?);
        let entry = UnverifiedEntry::decode(&decode(entry, "an entry")?)?;
        Ok(Placed { index, entry, steps: self.steps()? })
    }
}

fn decode(base64: &str, part: &'static str) -> Result<Vec<u8>, PeerEvidenceError> {
    BASE64.decode(base64.as_bytes()).map_err(|_| Malformed(part))
}
