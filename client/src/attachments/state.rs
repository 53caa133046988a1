//! How an attachment stands: what of it is where.

use sealpost_protocol::seal::Plain;
use serde_json::Value;

use super::{Details, Edition};
use crate::error::Failure;
use crate::vault::Read;
use crate::vault::attachments::{Attachment, Held, HeldBlob};
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{Draft, Sending};
use crate::vault::records::{Content, Record};

/// An attachment, as it is shown with its record.
#[derive(Debug)]
pub struct Shown {
    /// Its REF.
    pub reference: String,
    /// Its id.
    pub id: String,
    /// What its record says, unless that is for others.
    pub about: Option<About>,
    /// How it stands.
    pub state: State,
}

/// What an attachment's record says of it.
#[derive(Debug)]
pub struct About {
    /// What its sender calls it.
    pub label: String,
    /// What it is.
    pub role: String,
    /// Its media type.
    pub media: String,
    /// The file.
    pub plain: Plain,
    /// Which copy of it.
    pub edition: Edition,
}

/// How an attachment stands. Bytes are those of the sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Sealed here; the relay has so much of it, and nobody knows of it yet.
    Saved {
        /// What the relay has.
        sent: u64,
        /// Of how much.
        of: u64,
    },
    /// The relay will never take its entry.
    Refused,
    /// In the log, and here.
    Here,
    /// In the log, and here in part.
    InPart {
        /// What is here.
        held: u64,
        /// Of how much.
        of: u64,
    },
    /// In the log, and not here.
    AtRelay,
    /// In the log, and what the relay gave was not it, or nothing.
    Faulty(String),
    /// Forgotten, or sealed to others: nobody here can open it.
    Closed,
}

impl State {
    /// Its word in results.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Saved { sent: 0, .. } => "saved",
            Self::Saved { .. } => "sending",
            Self::Refused => "refused",
            Self::Here => "here",
            Self::InPart { .. } => "partial",
            Self::AtRelay => "at-relay",
            Self::Faulty(_) => "missing",
            Self::Closed => "closed",
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        let percent = |part: &u64, of: &u64| part.saturating_mul(100) / (*of).max(1);
        match self {
            Self::Saved { sent, of } if *sent > 0 => format!("sending, {} %", percent(sent, of)),
            Self::Saved { .. } => "saved, not sent yet".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::Here => "here".to_owned(),
            Self::InPart { held, of } => format!("here in part, {} %", percent(held, of)),
            Self::AtRelay => "not here yet: sealpost sync".to_owned(),
            Self::Faulty(why) => format!("MISSING: {why}"),
            Self::Closed => "not for this device".to_owned(),
        }
    }

    /// How much of it is here, or at the relay while it is sent, of how much.
    pub fn progress(&self) -> Option<(u64, u64)> {
        match self {
            Self::Saved { sent: part, of } | Self::InPart { held: part, of } => Some((*part, *of)),
            _ => None,
        }
    }

    fn in_log(attachment: &Attachment, held: Option<&HeldBlob>) -> Self {
        match (held, &attachment.fault) {
            (Some(held), _) if held.state == Held::Whole => Self::Here,
            (_, Some(why)) => Self::Faulty(why.clone()),
            (Some(held), None) if held.held > 0 => Self::InPart { held: held.held, of: held.size },
            _ => Self::AtRelay,
        }
    }

    fn of_draft(draft: &Draft, attachment: &Attachment, held: Option<&HeldBlob>) -> Self {
        match draft.sending {
            Sending::Refused => Self::Refused,
            Sending::Saved | Sending::Sending => {
                Self::Saved { sent: held.map_or(0, |held| held.sent), of: attachment.blob.size }
            }
        }
    }
}

/// The attachments of the record with that id, in the order in which they were made.
pub fn of_record(
    vault: &Read<'_>,
    committee: CommitteeNo,
    id: &str,
) -> Result<Vec<Shown>, Failure> {
    let mut all = Vec::new();
    for attachment in vault.attachments_to(committee, id)? {
        all.extend(one(vault, &attachment)?);
    }
    Ok(all)
}

/// How one stands; none when its record was dropped.
pub fn one(vault: &Read<'_>, attachment: &Attachment) -> Result<Option<Shown>, Failure> {
    let Attachment { committee, id, blob, .. } = attachment;
    let held = vault.held_blob(*committee, &blob.sha256)?;
    let own = |record: &Record| record.committee == *committee;
    if let Some(record) = vault.records_by_id(id)?.into_iter().find(own) {
        let about = match &record.content {
            Content::Opened(json) => about(&serde_json::from_str(json).unwrap_or_default()),
            Content::Unopened(_) | Content::Again(_) => None,
        };
        let state = match &about {
            Some(_) => State::in_log(attachment, held.as_ref()),
            None => State::Closed,
        };
        return Ok(Some(Shown { reference: record.reference, id: record.id, about, state }));
    }
    Ok(vault.draft(id)?.map(|draft| Shown {
        about: about(&serde_json::from_slice(&draft.new.draft).unwrap_or_default()),
        state: State::of_draft(&draft, attachment, held.as_ref()),
        reference: draft.new.reference,
        id: draft.new.id,
    }))
}

fn about(record: &Value) -> Option<About> {
    let Details { label, role, media, plain, edition, .. } = Details::read(record).ok()??;
    Some(About { label, role, media, plain, edition })
}

#[cfg(test)]
mod tests;
