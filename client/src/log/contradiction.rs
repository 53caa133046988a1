//! What a relay signed, held against what is verified here and against itself; and what shows to others that it
//! does not fit.
//!
//! All that is under its own signature can become evidence (SPEC.md §27). What is not ends with exit 7 as well,
//! and accuses nobody.

use sealpost_protocol::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};
use sealpost_protocol::committee::{Committee as Fold, Refusal};
use sealpost_protocol::entry::{PeerEntryError, UnverifiedEntry};
use sealpost_protocol::evidence::{Evidence, Finding, Placed};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::LeafIndex;
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::tree::{self, Frontier, Nodes};

use super::{Log, Mark, MarkBy, Pulled, Stored, node_error};
use crate::lie::{Caught, FollowError, Lie};
use crate::vault::receipts::Receipt;
use crate::vault::{Read, VaultError};

/// A log as a relay shows it from its beginning, by its leaves alone.
#[derive(Debug, Default)]
pub struct OtherLog {
    tree: Frontier,
    nodes: Vec<Hash>,
}

impl OtherLog {
    /// From where the rest is to be asked for.
    pub fn size(&self) -> sealpost_protocol::id::TreeSize {
        self.tree.size()
    }
}

/// What a log that was shown from its beginning came to.
#[derive(Debug)]
pub enum Compared {
    /// So far it is the one that is verified.
    SoFarTheSame,
    /// It is another one, and the relay signed for both.
    Forked(Box<Caught>),
    /// It says nothing: it is the same, or nothing that the relay signed for.
    Nothing,
}

impl Log {
    fn relay(&self) -> PublicKey {
        *self.address.key()
    }

    /// The note that covers all that is verified; none before the first pull.
    fn head(&self, vault: &Read<'_>) -> Result<Option<SignedCheckpoint>, VaultError> {
        let Some((_, note)) = vault.note(self.known.no)? else { return Ok(None) };
        let damaged = || VaultError::Damaged("a relay's note does not verify".to_owned());
        let note = String::from_utf8(note).map_err(|_| damaged())?;
        Ok(Some(self.verify_note(&note).map_err(|_| damaged())?))
    }

    /// Holds a note against what is verified: one that is no longer must agree with it, and be no shorter. What
    /// a longer one says is seen when the log is followed.
    pub fn held_against(
        &self,
        vault: &Read<'_>,
        note: &SignedCheckpoint,
    ) -> Result<Option<Caught>, VaultError> {
        let Some(head) = self.head(vault)? else { return Ok(None) };
        let (held, shown) = (head.checkpoint().size, note.checkpoint().size);
        if shown > held {
            return Ok(None);
        }
        let nodes = Stored::of(vault, self.known.no);
        let fork = Evidence::of_fork(self.relay(), note, &head, &nodes).map_err(node_error)?;
        Ok(match fork {
            Some(fork) => Some(Caught::shown_by(Lie::TwoRoots(shown), fork)),
            None if shown == held => None,
            None => Some(self.rolled_back(vault, &head, note)?),
        })
    }

    /// The relay shows less than it signed for: the shorter note, or one too short for an entry that it
    /// acknowledged.
    fn rolled_back(
        &self,
        vault: &Read<'_>,
        held: &SignedCheckpoint,
        shown: &SignedCheckpoint,
    ) -> Result<Caught, VaultError> {
        let (from, to) = (held.checkpoint().size, shown.checkpoint().size);
        let receipts = vault.receipts(self.known.no)?.into_iter();
        let mut lost = receipts.filter(|it| it.note == held.text() && it.index.0 >= to.0);
        let receipt = lost.next().map(placed);
        let finding = Finding::Rollback { held: held.clone(), shown: shown.clone(), receipt };
        Ok(self.caught(Lie::RolledBack { held: from, shown: to }, finding))
    }

    /// Holds a verified stretch against what the relay acknowledged to this device, and against every mark.
    pub(super) fn hold_to(
        &self,
        marks: &[Mark],
        note: &SignedCheckpoint,
        shown: &Stored<'_, '_>,
    ) -> Result<(), FollowError> {
        let size = note.checkpoint().size;
        for receipt in shown.vault.receipts(self.known.no)? {
            if receipt.index.0 >= size.0 {
                continue;
            }
            let leaf = shown.node(tree::node_position(0, receipt.index.0))?;
            if leaf != receipt.entry.leaf() {
                let (index, held) = (receipt.index, self.verify_note(&receipt.note)?);
                let steps = tree::inclusion_proof(index, size, shown).map_err(node_error)?;
                let (receipt, shown) = (placed(receipt), note.clone());
                let finding = Finding::Dropped { held, receipt, shown, leaf, steps };
                return Err(self.caught(Lie::Dropped(index), finding).into());
            }
        }
        for mark in marks.iter().filter(|mark| mark.size <= size) {
            let begins = tree::root_at(mark.size, shown).map_err(node_error)?;
            if begins != mark.root {
                return Err(self.off_the_mark(mark, begins, note, shown)?.into());
            }
        }
        Ok(())
    }

    /// What is shown does not come to what the relay, or whoever invited, said.
    fn off_the_mark(
        &self,
        mark: &Mark,
        begins: Hash,
        note: &SignedCheckpoint,
        shown: &Stored<'_, '_>,
    ) -> Result<Caught, FollowError> {
        let MarkBy::Relay(text) = &mark.by else {
            return Ok(Caught::from(Lie::InvitationHead).note(note.text()));
        };
        let size = note.checkpoint().size;
        let steps = tree::consistency_proof(mark.size, size, shown).map_err(node_error)?;
        let (old, new) = (self.verify_note(text)?, note.clone());
        let finding = Finding::Fork { old, new, begins, steps };
        let caught = self.caught(Lie::TwoRoots(mark.size), finding);
        let binds = self.binds(shown.vault, text)?;
        Ok(if binds { caught } else { caught.voiding(text.clone()) })
    }

    /// Whether something was acknowledged under a note: that binds the relay for good. What it merely claimed is
    /// disproved when that is met, and binds no longer.
    fn binds(&self, vault: &Read<'_>, note: &str) -> Result<bool, VaultError> {
        Ok(vault.receipts(self.known.no)?.iter().any(|receipt| receipt.note == note))
    }

    /// The relay shows less than it claimed before, and nothing else.
    pub fn short_of_a_claim(
        &self,
        vault: &Read<'_>,
        claimed: &str,
        shown: &SignedCheckpoint,
    ) -> Result<Caught, FollowError> {
        let held = self.verify_note(claimed)?;
        let caught = self.rolled_back(vault, &held, shown)?;
        let binds = self.binds(vault, claimed)?;
        Ok(if binds { caught } else { caught.voiding(claimed.to_owned()) })
    }

    /// An entry under the relay's root that no rule admits. What of it others can see without the roster is
    /// evidence.
    pub(super) fn let_in(
        &self,
        lie: Lie,
        note: &SignedCheckpoint,
        bytes: &[u8],
        fold: Option<&Fold>,
        past: &Stored<'_, '_>,
    ) -> Result<Caught, VaultError> {
        // No log that goes on from the verified one comes to that note.
        let void = note.text().to_owned();
        let kept = |lie| Caught::from(lie).note(note.text()).entry(bytes).voiding(void);
        let Lie::Inadmissible { index, refusal } = &lie else { return Ok(kept(lie)) };
        let Ok(entry) = UnverifiedEntry::decode(bytes) else { return Ok(kept(lie)) };
        let (author, seen, size) =
            (entry.header().author, entry.header().seen, note.checkpoint().size);
        let steps = tree::inclusion_proof(*index, size, past).map_err(node_error)?;
        let entry = Placed { index: *index, entry: entry.with_payload_dropped(), steps };
        let device = fold.and_then(|fold| fold.roster().device(author));
        let finding = match (refusal, device) {
            (Refusal::BadSignature(_), Some(device)) => {
                Finding::Rewritten { note: note.clone(), entry, keys: device.card.keys() }
            }
            (Refusal::Disputed(_), _) => {
                let begins = tree::root_at(seen.size, past).map_err(node_error)?;
                let steps = tree::consistency_proof(seen.size, size, past).map_err(node_error)?;
                Finding::Seen { note: note.clone(), entry, begins, steps }
            }
            _ => return Ok(kept(lie)),
        };
        Ok(kept(lie).showing(Evidence::new(self.relay(), finding).ok()))
    }

    /// Takes a further stretch of what the relay shows from the beginning, and holds it against what is verified.
    pub fn compare(
        &self,
        vault: &Read<'_>,
        other: &mut OtherLog,
        pulled: &Pulled,
    ) -> Result<Compared, FollowError> {
        let Ok(note) = self.verify_note(&pulled.note) else { return Ok(Compared::Nothing) };
        for bytes in &pulled.entries {
            let leaf = match UnverifiedEntry::decode(bytes) {
                Ok(entry) => entry.leaf(),
                Err(PeerEntryError::UnknownVersion { leaf, .. }) => leaf,
                Err(_) => return Ok(Compared::Nothing),
            };
            other.nodes.extend(other.tree.append(leaf));
        }
        let shown = note.checkpoint();
        let is_signed_for = (other.tree.size(), other.tree.root()) == (shown.size, shown.root);
        let Some(head) = self.head(vault)?.filter(|_| is_signed_for && !pulled.entries.is_empty())
        else {
            return Ok(Compared::Nothing);
        };
        if shown.size <= head.checkpoint().size {
            return Ok(match self.held_against(vault, &note)? {
                Some(caught) if caught.is_fork() => Compared::Forked(Box::new(caught)),
                // Only its length breaks an honest answer off before the log's end.
                _ if pulled.is_whole() => Compared::Nothing,
                _ => Compared::SoFarTheSame,
            });
        }
        let nodes = other.nodes.as_slice();
        let Ok(Some(fork)) = Evidence::of_fork(self.relay(), &head, &note, nodes) else {
            return Ok(Compared::Nothing);
        };
        let mut caught = Caught::shown_by(Lie::TwoRoots(head.checkpoint().size), fork);
        // What the relay said of that other log, no log that goes on from the verified one comes to.
        for ahead in vault.ahead(self.known.no)? {
            let parsed = UnverifiedCheckpoint::parse(ahead.note.as_bytes()).map_err(Lie::from)?;
            let root = tree::root_at(ahead.size.min(shown.size), nodes);
            if root.is_ok_and(|root| root == parsed.claimed().root) {
                caught = caught.voiding(ahead.note);
            }
        }
        Ok(Compared::Forked(Box::new(caught)))
    }

    /// A lie, and what shows it where that can be shown.
    fn caught(&self, lie: Lie, finding: Finding) -> Caught {
        let caught = Caught::from(lie).notes_of(&finding);
        caught.showing(Evidence::new(self.relay(), finding).ok())
    }
}

fn placed(receipt: Receipt) -> Placed {
    let Receipt { index, entry, proof, .. } = receipt;
    Placed { index, entry, steps: proof }
}

/// The receipt of an entry of this device, as it is kept.
pub fn receipt(
    index: LeafIndex,
    bytes: &[u8],
    note: &SignedCheckpoint,
    proof: &tree::Proof,
) -> Option<Receipt> {
    let entry = UnverifiedEntry::decode(bytes).ok()?.with_payload_dropped();
    let (size, note) = (note.checkpoint().size, note.text().to_owned());
    Some(Receipt { index, entry, size, note, proof: proof.clone() })
}

#[cfg(test)]
mod tests;
