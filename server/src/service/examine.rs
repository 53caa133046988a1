//! What `check` thinks of entries and checkpoints: every rule and every signature, from the
//! founding entry on, nothing believed.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;
use sealpost_protocol::checkpoint::{Origin, UnverifiedCheckpoint};
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::forget::{Past, PastEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
use sealpost_protocol::tree;

use super::retire;
use crate::store::{Fault, Forgetting, Look, StoredEntry};

/// Folds all logs side by side as their entries come. The nodes of their trees, and whose entries they
/// are, are held in memory: 130 bytes an entry.
#[derive(Default)]
pub struct Examiner {
    /// Under which checkpoints are verified; without it only their roots are.
    key: Option<VerifyingKey>,
    logs: BTreeMap<CommitteeId, Examined>,
    /// Logs with an entry that was refused: those behind it stand on nothing.
    refused: BTreeSet<CommitteeId>,
    entries: u64,
}

struct Examined {
    fold: Committee,
    past: Entries,
    forgotten: BTreeSet<LeafIndex>,
}

/// What came of a log before.
struct Entries {
    nodes: Vec<Hash>,
    entries: Vec<PastEntry>,
}

impl Past for Entries {
    type Error = String;

    fn root_at(&self, size: TreeSize) -> Result<Hash, String> {
        tree::root_at(size, self.nodes.as_slice()).map_err(|error| error.to_string())
    }

    fn entry_at(&self, index: LeafIndex) -> Result<PastEntry, String> {
        let at = usize::try_from(index.0).ok();
        let entry = at.and_then(|at| self.entries.get(at)).copied();
        entry.ok_or_else(|| format!("there is no entry {index}"))
    }
}

impl Examiner {
    /// For the relay with that key.
    pub fn new(key: Option<VerifyingKey>) -> Self {
        Self { key, ..Self::default() }
    }

    /// How many entries were found sound.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// In how many logs.
    pub fn logs(&self) -> usize {
        self.logs.len()
    }

    fn found(&mut self, committee: CommitteeId, entry: UnverifiedEntry) -> Result<(), String> {
        let founding = PastEntry::from(&entry);
        let (fold, admitted) = Committee::found(entry).map_err(|refusal| refusal.to_string())?;
        if fold.id() != committee {
            return Err("it founds another committee than the log it stands in".to_owned());
        }
        let past = Entries { nodes: admitted.nodes, entries: vec![founding] };
        self.logs.insert(committee, Examined { fold, past, forgotten: BTreeSet::new() });
        Ok(())
    }
}

impl Examined {
    fn admit(&mut self, entry: UnverifiedEntry) -> Result<(), String> {
        let this = PastEntry::from(&entry);
        let signed = self.fold.verify_signature(entry).map_err(|refusal| refusal.to_string())?;
        let admitted = self.fold.admit_logged(signed, &self.past);
        let admitted = admitted.map_err(|error| error.to_string())?;
        self.past.nodes.extend(admitted.nodes);
        self.forgotten.extend(admitted.forgets);
        self.past.entries.push(this);
        Ok(())
    }

    fn verify(
        &self,
        committee: CommitteeId,
        size: TreeSize,
        note: &str,
        key: Option<&VerifyingKey>,
    ) -> Result<(), String> {
        let parsed = UnverifiedCheckpoint::parse(note.as_bytes());
        let unverified = parsed.map_err(|error| format!("no checkpoint: {error}"))?;
        let claimed = *unverified.claimed();
        let root = self.past.root_at(size)?;
        if claimed.size != size || claimed.root != root {
            return Err("a checkpoint was signed for another log than this one".to_owned());
        }
        let expected = Origin { committee, term: self.fold.term() };
        match key {
            Some(key) => match unverified.verify(key, &expected) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("a checkpoint is not this relay's: {error}")),
            },
            None => Ok(()),
        }
    }
}

impl Look for Examiner {
    fn entry(
        &mut self,
        committee: CommitteeId,
        index: LeafIndex,
        stored: &StoredEntry,
    ) -> Option<String> {
        let at = |why| Some(format!("entry {index} of {committee}: {why}"));
        if self.refused.contains(&committee) {
            return None;
        }
        let judged = decode_as(stored).and_then(|entry| match self.logs.get_mut(&committee) {
            Some(log) => log.admit(entry),
            None if index == LeafIndex(0) => self.found(committee, entry),
            None => Err("its log has no founding entry".to_owned()),
        });
        match judged {
            Ok(()) => {
                self.entries += 1;
                None
            }
            Err(why) => {
                self.refused.insert(committee);
                at(format!("{why}; what follows it in this log was not checked"))
            }
        }
    }

    fn forgetting(&mut self, committee: CommitteeId) -> Option<Forgetting> {
        let log = self.logs.get(&committee).filter(|_| !self.refused.contains(&committee))?;
        let (forgotten, lacking) = (log.forgotten.clone(), log.fold.lacking().collect());
        Some(Forgetting { forgotten, lacking })
    }

    fn note(&mut self, key: &[u8]) -> Option<Fault> {
        retire::named(key).map(Fault::Retired)
    }

    fn checkpoint(&mut self, committee: CommitteeId, size: TreeSize, note: &str) -> Option<String> {
        let log = self.logs.get(&committee).filter(|_| !self.refused.contains(&committee))?;
        log.verify(committee, size, note, self.key.as_ref()).err()
    }
}

/// The entry, when it is the one that the journal says it is.
fn decode_as(stored: &StoredEntry) -> Result<UnverifiedEntry, String> {
    let entry = UnverifiedEntry::decode(&stored.bytes).map_err(|error| error.to_string())?;
    let header = entry.header();
    let same = entry.leaf() == stored.leaf_hash
        && header.author == stored.author
        && header.author_seq == stored.author_seq
        && header.blobs == stored.blobs;
    if same {
        Ok(entry)
    } else {
        Err("the journal gives it another hash, author or blobs".to_owned())
    }
}

#[cfg(test)]
mod tests;
