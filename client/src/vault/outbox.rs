//! Drafts and entries that the relay has not accepted yet, in the order they were written.

use rusqlite::{OptionalExtension, Row, params};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{AuthorSeq, UnixMillis};

use super::committees::CommitteeNo;
use super::sql::{int, millis, uint, words};
use super::{Read, VaultError, Write};

words! {
    /// What a draft becomes.
    pub enum What {
        /// A record.
        Record = "record",
        /// A roster change.
        Roster = "roster",
    }
}

words! {
    /// How far it is.
    pub enum Sending {
        /// On this device, not signed yet.
        Saved = "saved",
        /// Signed; the same bytes are sent until the log has them.
        Sending = "sending",
        /// The relay refused it for good.
        Refused = "refused",
    }
}

/// The number of a draft in this vault; a larger one was written later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DraftNo(i64);

/// A draft to be saved.
#[derive(Clone, Debug)]
pub struct NewDraft {
    /// The committee it is for.
    pub committee: CommitteeNo,
    /// What it becomes.
    pub what: What,
    /// Its ULID.
    pub id: String,
    /// Its REF.
    pub reference: String,
    /// The record kind, or the roster change.
    pub kind: String,
    /// The record's JSON, or the roster change's payload.
    pub draft: Vec<u8>,
    /// When it was written.
    pub made: UnixMillis,
}

/// What was fixed by signing. The entry itself is [`Read::signed_entry`]: a lock for a hundred devices takes
/// 180 KB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its leaf hash.
    pub leaf_hash: Hash,
    /// Its place in this device's chain.
    pub author_seq: AuthorSeq,
}

/// Why the relay did not take it, when last tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code and its words.
    pub why: String,
    /// When.
    pub at: UnixMillis,
}

/// A draft in the outbox.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its number.
    pub no: DraftNo,
    /// What was saved.
    pub new: NewDraft,
    /// How far it is.
    pub sending: Sending,
    /// What was fixed by signing, once it was.
    pub signed: Option<Signed>,
    /// Why it was last refused.
    pub refusal: Option<Refusal>,
}

const COLUMNS: &str = "SELECT no, committee, what, id, ref, kind, draft, made_ms, state,
     leaf_hash, author_seq, refusal, refused_ms FROM outbox";

impl Read<'_> {
    /// All drafts, the oldest first.
    pub fn drafts(&self) -> Result<Vec<Draft>, VaultError> {
        let mut statement = self.transaction.prepare_cached(&format!("{COLUMNS} ORDER BY no"))?;
        let rows = statement.query_map([], draft_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What of a committee is to be sent: drafts that are not refused, the oldest first.
    pub fn unsent(&self, committee: CommitteeNo) -> Result<Vec<Draft>, VaultError> {
        let mut statement = self.transaction.prepare_cached(&format!(
            "{COLUMNS} WHERE committee = ?1 AND state <> 'refused' ORDER BY no"
        ))?;
        let rows = statement.query_map([committee.0], draft_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The draft with that ULID, unless it was sent.
    pub fn draft(&self, id: &str) -> Result<Option<Draft>, VaultError> {
        let mut statement = self.transaction.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
        Ok(statement.query_row([id], draft_of).optional()?)
    }

    /// The entry that a draft was signed as; none before, and none of a draft that is not there.
    pub fn signed_entry(&self, no: DraftNo) -> Result<Option<Vec<u8>>, VaultError> {
        let entry = "SELECT entry FROM outbox WHERE no = ?1";
        let mut statement = self.transaction.prepare_cached(entry)?;
        Ok(statement.query_row([no.0], |row| row.get(0)).optional()?.flatten())
    }
}

impl Write<'_> {
    /// Saves a draft.
    pub fn save_draft(&self, new: &NewDraft) -> Result<DraftNo, VaultError> {
        self.transaction.execute(
            "INSERT INTO outbox (committee, what, id, ref, kind, draft, made_ms, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'saved')",
            params![
                new.committee.0,
                new.what,
                new.id,
                new.reference,
                new.kind,
                new.draft,
                int(new.made.0)
            ],
        )?;
        Ok(DraftNo(self.transaction.last_insert_rowid()))
    }

    /// Fixes its bytes. Only a draft that has none takes them: a retry sends what was signed.
    pub fn sign_draft(&self, no: DraftNo, entry: &[u8], signed: &Signed) -> Result<(), VaultError> {
        let taken = self.transaction.execute(
            "UPDATE outbox SET state = 'sending', entry = ?2, leaf_hash = ?3, author_seq = ?4
             WHERE no = ?1 AND state = 'saved'",
            params![no.0, entry, signed.leaf_hash.as_bytes(), int(signed.author_seq.0)],
        )?;
        must_be_one(taken)
    }

    /// Takes its bytes off again, because the log can never have them: it will be signed anew.
    pub fn unsign_draft(&self, no: DraftNo, refusal: &Refusal) -> Result<(), VaultError> {
        let taken = self.transaction.execute(
            "UPDATE outbox SET state = 'saved', entry = NULL, leaf_hash = NULL, author_seq = NULL,
             refusal = ?2, refused_ms = ?3 WHERE no = ?1",
            params![no.0, refusal.why, int(refusal.at.0)],
        )?;
        must_be_one(taken)
    }

    /// Remembers why the relay did not take it; it is sent again as it is.
    pub fn note_refusal(&self, no: DraftNo, refusal: &Refusal) -> Result<(), VaultError> {
        let taken = self.transaction.execute(
            "UPDATE outbox SET refusal = ?2, refused_ms = ?3 WHERE no = ?1",
            params![no.0, refusal.why, int(refusal.at.0)],
        )?;
        must_be_one(taken)
    }

    /// The relay says that it does not have the blob of this draft's entry: it is to be sent anew.
    pub fn blob_not_there(&self, no: DraftNo) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE blob SET sent = 0 WHERE EXISTS (SELECT 1 FROM attachment, outbox
             WHERE outbox.no = ?1 AND attachment.committee = outbox.committee
             AND attachment.id = outbox.id AND blob.committee = attachment.committee
             AND blob.sha256 = attachment.sha256)",
            [no.0],
        )?;
        Ok(())
    }

    /// Sets it aside: the relay will never take it. It stays here to be read and corrected.
    pub fn refuse_draft(&self, no: DraftNo, refusal: &Refusal) -> Result<(), VaultError> {
        let taken = self.transaction.execute(
            "UPDATE outbox SET state = 'refused', refusal = ?2, refused_ms = ?3 WHERE no = ?1",
            params![no.0, refusal.why, int(refusal.at.0)],
        )?;
        must_be_one(taken)
    }

    /// Removes the draft whose signed entry has that leaf hash: the verified log has it. Whether
    /// there was one.
    pub fn remove_sent(&self, committee: CommitteeNo, leaf: &Hash) -> Result<bool, VaultError> {
        let removed = self
            .transaction
            .prepare_cached("DELETE FROM outbox WHERE committee = ?1 AND leaf_hash = ?2")?
            .execute(params![committee.0, leaf.as_bytes()])?;
        Ok(removed > 0)
    }

    /// Removes it: what it wanted is in the verified log by another entry.
    pub fn remove_draft(&self, no: DraftNo) -> Result<(), VaultError> {
        must_be_one(self.transaction.execute("DELETE FROM outbox WHERE no = ?1", [no.0])?)
    }
}

fn must_be_one(changed: usize) -> Result<(), VaultError> {
    match changed {
        1 => Ok(()),
        _ => Err(VaultError::Damaged("a draft is not in the state it must be in".to_owned())),
    }
}

fn draft_of(row: &Row<'_>) -> rusqlite::Result<Draft> {
    let leaf_hash: Option<[u8; 32]> = row.get(9)?;
    let author_seq: Option<i64> = row.get(10)?;
    let signed = leaf_hash
        .zip(author_seq)
        .map(|(hash, seq)| Signed { leaf_hash: Hash(hash), author_seq: AuthorSeq(uint(seq)) });
    let why: Option<String> = row.get(11)?;
    let refused: Option<i64> = row.get(12)?;
    Ok(Draft {
        no: DraftNo(row.get(0)?),
        new: NewDraft {
            committee: CommitteeNo(row.get(1)?),
            what: row.get(2)?,
            id: row.get(3)?,
            reference: row.get(4)?,
            kind: row.get(5)?,
            draft: row.get(6)?,
            made: millis(row.get(7)?),
        },
        sending: row.get(8)?,
        signed,
        refusal: why.zip(refused).map(|(why, at)| Refusal { why, at: millis(at) }),
    })
}
