//! Roster changes this device wants made, kept as intents until they are signed.
//!
//! Grants, links and labels are sealed late, like records: an intent says what is wanted, and
//! [`build`] makes the change that fits the log as it then is. When others were quicker, the same
//! intent is built and signed anew.

use std::str::FromStr;

use sealpost_protocol::card::Card;
use sealpost_protocol::change::{Change, Policy, Role, Share, Target};
use sealpost_protocol::committee::Committee;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, Epoch, MemberNumber, UnixMillis};
use sealpost_protocol::roster::{PeerRosterError, Place, Roster, Standing};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::proposals;
use crate::vault::VaultError;

pub mod build;

/// What is wanted of the roster. In the outbox as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Intent {
    /// A new lock.
    Lock {
        /// Whether those who come later are to read nothing from before it.
        #[serde(default)]
        withhold: bool,
        /// Whether it is wanted only while the lock is pending, by whomever it is changed.
        #[serde(default)]
        if_pending: bool,
    },
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
    /// A further device of one's own, whose safety number was compared.
    Device {
        /// Its card in hex, as it came with the join request.
        card: String,
    },
    /// A spare of one's own, shared out.
    Recovery {
        /// The spare, in hex.
        spare: String,
        /// How many shares make it.
        threshold: u8,
        /// The shares, sealed.
        shares: Vec<ShareOf>,
    },
    /// The end of a device of one's own.
    Retire {
        /// Which, in hex.
        device: String,
    },
    /// Another role for a member.
    Role {
        /// Whose.
        member: u32,
        /// Which.
        role: RoleName,
    },
    /// The suspension of a member or a device.
    Suspend {
        /// Whose.
        whom: Whom,
    },
    /// The end of a suspension.
    Restore {
        /// Whose.
        whom: Whom,
    },
    /// The end of a membership.
    Remove {
        /// Whose.
        member: u32,
    },
    /// Another policy.
    Policy(PolicyParts),
    /// An approval of what others proposed.
    Approve {
        /// Leaf hash of the entry that proposed it, in hex.
        entry: String,
    },
    /// An epoch's secret for a device.
    Grant {
        /// For which device, in hex.
        device: String,
        /// Of which epoch.
        epoch: u32,
        /// Whether it is wanted though the log has one: that one is broken.
        #[serde(default)]
        again: bool,
    },
    /// The secret of the epoch before `epoch`, for all who hold `epoch`: the link in the log is
    /// broken.
    Link {
        /// The later of the two.
        epoch: u32,
    },
    /// That a record is forgotten: no roster change, and made like one.
    Forget {
        /// Its place.
        index: u64,
        /// Its leaf hash, in hex.
        leaf: String,
    },
}

/// A helper's sealed share, as an intent keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareOf {
    /// The helper's device, in hex.
    device: String,
    /// The age file, in hex.
    file: String,
}

impl From<&Share> for ShareOf {
    fn from(share: &Share) -> Self {
        let file = data_encoding::HEXLOWER.encode(&share.file);
        Self { device: share.device.to_string(), file }
    }
}

impl ShareOf {
    pub(crate) fn share(&self) -> Result<Share, Failure> {
        let file = data_encoding::HEXLOWER.decode(self.file.as_bytes());
        let file = file.map_err(|_| damaged("a share"))?.into();
        Ok(Share { device: parsed(&self.device, "a device")?, file })
    }
}

/// A member or a device, as an intent keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// The member of that number.
    Member(u32),
    /// The device with that id, in hex.
    Device(String),
}

/// What of the policy is to become another; the rest stays as it then is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyParts {
    /// Coordinators a grave change needs.
    pub approvals: Option<u16>,
    /// Days after which a client says that it has heard from no coordinator.
    pub lease_days: Option<u16>,
    /// Whether clients then refuse to seal.
    pub lease_enforced: Option<bool>,
    /// Devices that vouch for a record before it counts as confirmed.
    pub confirm_devices: Option<u16>,
    /// Countries it is stored in before it counts as confirmed.
    pub confirm_countries: Option<u16>,
    /// Whether a member's further device needs a coordinator.
    pub device_needs_coordinator: Option<bool>,
    /// Months that plaintext stays in vaults; 0: for ever.
    pub retention_months: Option<u16>,
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
    /// A lock that those who come later may read back from.
    pub const LOCK: Self = Self::Lock { withhold: false, if_pending: false };

    /// The word for a suspension.
    pub const SUSPEND: &'static str = "suspend";

    /// The word for it in lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lock { .. } => "lock",
            Self::Admit { .. } => "admit",
            Self::Device { .. } => "device",
            Self::Recovery { .. } => "recovery",
            Self::Retire { .. } => "retire",
            Self::Role { .. } => "role",
            Self::Suspend { .. } => Self::SUSPEND,
            Self::Restore { .. } => "restore",
            Self::Remove { .. } => "remove",
            Self::Policy(_) => "policy",
            Self::Approve { .. } => "approve",
            Self::Grant { .. } => "grant",
            Self::Link { .. } => "link",
            Self::Forget { .. } => "forget",
        }
    }

    /// Whether the log already has what was wanted, by this or another entry.
    pub fn is_done(&self, fold: &Committee) -> Result<bool, Failure> {
        let roster = fold.roster();
        Ok(match self {
            Self::Lock { if_pending, .. } => *if_pending && !roster.lock_pending(),
            Self::Admit { card, .. } | Self::Device { card } => {
                roster.device(decode_card(card)?.device()).is_some()
            }
            Self::Recovery { spare, .. } => roster.is_spare(parsed(spare, "a device")?),
            Self::Retire { device } => {
                let ended = standing(roster, &Whom::Device(device.clone()))?;
                matches!(ended, Some(Standing::Ended(_)))
            }
            Self::Role { member, role } => {
                let member = roster.member(MemberNumber(*member));
                member.is_some_and(|member| member.role == Role::from(*role))
            }
            Self::Suspend { whom } => standing(roster, whom)? != Some(Standing::Active),
            Self::Restore { whom } => standing(roster, whom)? == Some(Standing::Active),
            Self::Remove { member } => {
                let ended = standing(roster, &Whom::Member(*member))?;
                matches!(ended, Some(Standing::Ended(_)))
            }
            Self::Policy(parts) => parts.applied_to(*roster.policy()) == *roster.policy(),
            Self::Grant { device, epoch, again } => {
                !again && roster.holds(parsed(device, "a device")?, Epoch(*epoch))
            }
            // What these come to, no roster says.
            Self::Approve { .. } | Self::Link { .. } | Self::Forget { .. } => false,
        })
    }
}

impl Whom {
    /// As the roster names it.
    pub fn target(&self) -> Result<Target, Failure> {
        Ok(match self {
            Self::Member(number) => Target::Member(MemberNumber(*number)),
            Self::Device(id) => Target::Device(parsed(id, "a device")?),
        })
    }
}

impl From<Target> for Whom {
    fn from(target: Target) -> Self {
        match target {
            Target::Member(MemberNumber(number)) => Self::Member(number),
            Target::Device(id) => Self::Device(id.to_string()),
        }
    }
}

impl PolicyParts {
    /// The policy with these parts in it.
    pub fn applied_to(self, mut policy: Policy) -> Policy {
        set(&mut policy.approvals, self.approvals);
        set(&mut policy.lease.days, self.lease_days);
        set(&mut policy.lease.enforce, self.lease_enforced);
        set(&mut policy.confirm.devices, self.confirm_devices);
        set(&mut policy.confirm.countries, self.confirm_countries);
        set(&mut policy.device_needs_coordinator, self.device_needs_coordinator);
        set(&mut policy.retention_months, self.retention_months);
        policy
    }
}

fn set<T>(part: &mut T, to: Option<T>) {
    if let Some(to) = to {
        *part = to;
    }
}

/// The standing that a target has of its own.
pub fn standing(roster: &Roster, whom: &Whom) -> Result<Option<Standing>, Failure> {
    Ok(proposals::own_standing(whom.target()?, roster))
}

/// The roster as it would be with this change as the next entry, or the rule that refuses it. The
/// change's own leaf hash is not known before it is signed: a proposal stands under [`Hash::ZERO`].
pub fn tried(
    fold: &Committee,
    author: DeviceId,
    change: Change,
    now: UnixMillis,
) -> Result<Roster, PeerRosterError> {
    let mut roster = fold.roster().clone();
    let place = Place { index: fold.size().next_index(), leaf: Hash::ZERO, author, made_at: now };
    roster.apply(change, place)?;
    Ok(roster)
}

fn decode_card(hex: &str) -> Result<Card, Failure> {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| damaged("a card"))?;
    Card::decode(&bytes).map_err(|_| damaged("a card"))
}

pub(crate) fn parsed<T: FromStr>(text: &str, what: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| damaged(what))
}

fn damaged(what: &str) -> Failure {
    VaultError::Damaged(format!("it holds {what} that does not read")).into()
}

#[cfg(test)]
mod tests;
