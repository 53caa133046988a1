//! Roster changes this device wants made, kept as intents until they are signed.
//!
//! Grants, links and labels are sealed late, like records: an intent says what is wanted, and
//! [`build`] makes the change that fits the log as it then is. When others were quicker, the same
//! intent is built and signed anew.

use sealpost_protocol::card::Card;
use sealpost_protocol::change::{self, Change, Role};
use sealpost_protocol::committee::Committee;
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::id::{Country, DeviceId};
use sealpost_protocol::seal::{EpochKeys, EpochSecret, Label, LabelMember, seal_grant};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::random;
use crate::vault::VaultError;

/// What is wanted of the roster. In the outbox as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Intent {
    /// A new lock, from which the history stays readable.
    Lock,
    /// The admission of a person whose safety number was compared.
    Admit {
        /// The card in hex, as it came with the join request.
        card: String,
        /// `coordinator`, `member` or `reader`.
        role: RoleName,
        /// How the committee is to call them.
        handle: String,
        /// Where they say to be.
        country: String,
    },
}

/// A role as it is typed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Changes the roster, reads and writes.
    Coordinator,
    /// Reads and writes.
    Member,
    /// Reads.
    Reader,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Coordinator => Self::Coordinator,
            RoleName::Member => Self::Member,
            RoleName::Reader => Self::Reader,
        }
    }
}

impl RoleName {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Member => "member",
            Self::Reader => "reader",
        }
    }

    /// The role of that word, as the vault keeps it.
    pub fn of(word: &str) -> Result<Self, Failure> {
        let all = [Self::Coordinator, Self::Member, Self::Reader];
        all.into_iter().find(|role| role.as_str() == word).ok_or_else(|| damaged("a role"))
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Coordinator => Self::Coordinator,
            Role::Member => Self::Member,
            Role::Reader => Self::Reader,
        }
    }
}

impl Intent {
    /// The word for it in lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Admit { .. } => "admit",
        }
    }

    /// Whether the log already has what was wanted, by this or another entry.
    pub fn is_done(&self, fold: &Committee) -> bool {
        match self {
            Self::Lock => false,
            Self::Admit { card, .. } => {
                decode_card(card).is_ok_and(|card| fold.roster().device(card.device()).is_some())
            }
        }
    }
}

/// Makes the change that fits the log as it is.
pub fn build(
    intent: &Intent,
    fold: &Committee,
    keys: &EpochKeys,
    label: &Label,
) -> Result<Change, Failure> {
    match intent {
        Intent::Lock => Ok(Change::Lock(Box::new(lock(fold, keys, label)?))),
        Intent::Admit { card, role, handle, country } => {
            let card = decode_card(card)?;
            let country = country.parse().map_err(|_| damaged("a country"))?;
            Ok(Change::Admit(Box::new(admit(fold, keys, label, card, *role, handle, country)?)))
        }
    }
}

fn lock(fold: &Committee, previous: &EpochKeys, label: &Label) -> Result<change::Lock, Failure> {
    let seed = random::secret()?;
    let keys = EpochKeys::new(EpochSecret::generate(&seed));
    let grants = fold
        .roster()
        .active_devices()
        .map(|device| grant(fold, &keys, device))
        .collect::<Result<_, _>>()?;
    Ok(change::Lock {
        recipient: keys.recipient().to_bytes(),
        grants,
        link: Some(keys.seal_link(previous.secret()).into()),
        label: keys.seal_label(label)?.into(),
    })
}

fn grant(fold: &Committee, keys: &EpochKeys, device: DeviceId) -> Result<change::Grant, Failure> {
    let card = fold.roster().device(device).map(|device| &device.card);
    let card = card.ok_or_else(|| damaged("the roster"))?;
    grant_to(keys, card)
}

fn grant_to(keys: &EpochKeys, card: &Card) -> Result<change::Grant, Failure> {
    let recipient = Recipient::from_bytes(&card.recipient().0)?;
    Ok(change::Grant { device: card.device(), file: seal_grant(keys.secret(), &recipient).into() })
}

fn admit(
    fold: &Committee,
    keys: &EpochKeys,
    label: &Label,
    card: Card,
    role: RoleName,
    handle: &str,
    country: Country,
) -> Result<change::Admit, Failure> {
    let member = fold.roster().next_member();
    let mut label = label.clone();
    label.members.insert(member, LabelMember { handle: handle.to_owned(), country });
    Ok(change::Admit {
        member,
        role: role.into(),
        grants: vec![grant_to(keys, &card)?],
        label: keys.seal_label(&label)?.into(),
        card,
    })
}

fn decode_card(hex: &str) -> Result<Card, Failure> {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| damaged("a card"))?;
    Card::decode(&bytes).map_err(|_| damaged("a card"))
}

fn damaged(what: &str) -> Failure {
    VaultError::Damaged(format!("it holds {what} that does not read")).into()
}
