//! The payloads of roster entries (SPEC.md §6): clear CBOR, so that relay and clients fold the
//! same roster; every name in them is sealed.
//!
//! An encoded change is `[tag, {fields}]`. All changes of the design decode here; which of them a
//! committee admits is for [`crate::roster`] to say.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::address::RelayAddress;
use crate::card::{Card, RecipientBytes};
use crate::codec::tagged;
use crate::entry::Seen;
use crate::hash::Hash;
use crate::id::{Country, DeviceId, Epoch, MemberNumber};
use crate::sign::{Domain, Signature};

tagged! {
    /// One roster change.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Change {
        /// Founds the committee: leaf 0, and nothing else.
        1 => Found(Box<Found>),
        /// Admits a person with a first device.
        2 => Admit(Box<Admit>),
        /// Adds a device to its author's member.
        3 => Device(Box<AddDevice>),
        /// Ends one of its author's devices.
        4 => Retire(Retire),
        /// Gives a member another role.
        5 => Role(SetRole),
        /// Cuts a member or a device off, at once and for the time being.
        6 => Suspend(Suspend),
        /// Ends a suspension.
        7 => Restore(Restore),
        /// Ends a membership for good.
        8 => Remove(Remove),
        /// Starts a new epoch.
        9 => Lock(Box<Lock>),
        /// Repairs: an epoch's secret for a device that lacks it.
        10 => Grant(RepairGrant),
        /// Repairs: the previous epoch's secret for all who hold this one.
        11 => Link(RepairLink),
        /// Changes the committee's policy.
        12 => Policy(Policy),
        /// Names the home relay and the mirrors anew.
        13 => Relays(Box<Relays>),
        /// Seals the label anew.
        14 => Label(Label),
        /// Shares a spare device's seed among helpers.
        15 => Recovery(Recovery),
        /// Approves a pending change.
        16 => Approve(Approve),
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Changes the roster, reads and writes.
    #[n(1)]
    Coordinator,
    /// Reads and writes.
    #[n(2)]
    Member,
    /// Reads.
    #[n(3)]
    Reader,
}

/// A relay and the country it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Relay {
    /// How to reach it, with its key.
    #[n(0)]
    pub address: RelayAddress,
    /// Where it stands.
    #[n(1)]
    pub country: Country,
}

/// Founds the committee. The founder is member 1 and a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Found {
    /// The founder's device.
    #[n(0)]
    pub founder: Card,
    /// The relay that orders the log.
    #[n(1)]
    pub home: Relay,
    /// The first policy; one approval.
    #[n(2)]
    pub policy: Policy,
    /// The lock of epoch 1, without link.
    #[n(3)]
    pub lock: Lock,
}

/// An epoch's secret sealed to one device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Grant {
    /// For whom.
    #[n(0)]
    pub device: DeviceId,
    /// A hybrid age file of [`crate::limits::GRANT_BYTES_MAX`] bytes at most.
    #[n(1)]
    pub file: ByteVec,
}

/// A new epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lock {
    /// The epoch's hybrid recipient, never used before in this committee.
    #[n(0)]
    pub recipient: RecipientBytes,
    /// One for each active device, in the order of device ids.
    #[n(1)]
    pub grants: Vec<Grant>,
    /// The previous epoch's secret, sealed to this recipient; absent: history is withheld.
    #[n(2)]
    pub link: Option<ByteVec>,
    /// Names and handles, sealed to this recipient.
    #[n(3)]
    pub label: ByteVec,
}

/// Admits a person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Admit {
    /// The first device.
    #[n(0)]
    pub card: Card,
    /// The number after the last one given.
    #[n(1)]
    pub member: MemberNumber,
    /// The role.
    #[n(2)]
    pub role: Role,
    /// The current epoch for the new device; none while the change is pending.
    #[n(3)]
    pub grants: Vec<Grant>,
    /// Names and handles with the new one, sealed to the current epoch.
    #[n(4)]
    pub label: ByteVec,
}

/// Adds a device to its author's member.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AddDevice {
    /// The new device.
    #[n(0)]
    pub card: Card,
    /// The current epoch for it.
    #[n(1)]
    pub grant: Grant,
}

/// Ends one of its author's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Retire {
    /// Which.
    #[n(0)]
    pub device: DeviceId,
}

/// Gives a member another role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SetRole {
    /// Whose.
    #[n(0)]
    pub member: MemberNumber,
    /// The new one.
    #[n(1)]
    pub role: Role,
}

tagged! {
    /// A member with all devices, or one device alone.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Target {
        /// The member.
        1 => Member(MemberNumber),
        /// The device.
        2 => Device(DeviceId),
    }
}

/// Cuts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Suspend {
    /// Whom.
    #[n(0)]
    pub target: Target,
}

/// Ends a suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Restore {
    /// Whose.
    #[n(0)]
    pub target: Target,
}

/// Ends a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Remove {
    /// Whose.
    #[n(0)]
    pub member: MemberNumber,
}

/// An epoch's secret for a device that lacks it or got a broken one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RepairGrant {
    /// For whom.
    #[n(0)]
    pub device: DeviceId,
    /// Which epoch.
    #[n(1)]
    pub epoch: Epoch,
    /// A hybrid age file.
    #[n(2)]
    pub file: ByteVec,
}

/// The secret of the epoch before `epoch`, for all who hold `epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RepairLink {
    /// The later of the two epochs.
    #[n(0)]
    pub epoch: Epoch,
    /// A hybrid age file.
    #[n(1)]
    pub file: ByteVec,
}

/// How long a client may go on without hearing from coordinators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lease {
    /// Its length in days.
    #[n(0)]
    pub days: u16,
    /// Whether clients past it refuse to seal.
    #[n(1)]
    pub enforce: bool,
}

/// When a record counts as confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Confirm {
    /// Devices that vouch for it.
    #[n(0)]
    pub devices: u16,
    /// Countries it is stored in.
    #[n(1)]
    pub countries: u16,
}

/// The committee's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Policy {
    /// Coordinator members a grave change needs, its proposer counted.
    #[n(0)]
    pub approvals: u16,
    /// The lease.
    #[n(1)]
    pub lease: Lease,
    /// When a record counts as confirmed.
    #[n(2)]
    pub confirm: Confirm,
    /// Whether a member's further device needs a coordinator.
    #[n(3)]
    pub device_needs_coordinator: bool,
    /// Months that plaintext stays in vaults; 0: for ever.
    #[n(4)]
    pub retention_months: u16,
    /// Version of new entries.
    #[n(5)]
    pub format: u8,
}

impl Default for Policy {
    /// What a committee is founded with.
    fn default() -> Self {
        Self {
            approvals: 1,
            lease: Lease { days: 7, enforce: false },
            confirm: Confirm { devices: 1, countries: 1 },
            device_needs_coordinator: false,
            retention_months: 0,
            format: crate::entry::VERSION,
        }
    }
}

/// A signature over a move of the home relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveDomain {}
impl Domain for MoveDomain {
    const TYPE: &'static str = "move";
}

/// One coordinator device's signature over a move, which is the payload without signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MoveSignature {
    /// Who signs.
    #[n(0)]
    pub device: DeviceId,
    /// Over the encoded [`Relays`] with an empty list of signatures.
    #[n(1)]
    pub signature: Signature<MoveDomain>,
}

/// Names the relays anew.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Relays {
    /// The home.
    #[n(0)]
    pub home: Relay,
    /// The mirrors.
    #[n(1)]
    pub mirrors: Vec<Relay>,
    /// With a new home: the state it goes on from; two, when it settles two competing moves.
    #[n(2)]
    pub bases: Vec<Seen>,
    /// With a new home: the approvals.
    #[n(3)]
    pub approvals: Vec<MoveSignature>,
}

/// Names and handles, sealed to the current epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Label {
    /// A hybrid age file.
    #[n(0)]
    pub sealed: ByteVec,
}

/// One helper's share of a spare's seed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Share {
    /// The helper's device.
    #[n(0)]
    pub device: DeviceId,
    /// A hybrid age file.
    #[n(1)]
    pub file: ByteVec,
}

/// Shares a spare among helpers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recovery {
    /// A device of the author's member.
    #[n(0)]
    pub spare: DeviceId,
    /// Shares that rebuild the seed.
    #[n(1)]
    pub threshold: u8,
    /// One a helper.
    #[n(2)]
    pub shares: Vec<Share>,
}

/// Approves a pending change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approve {
    /// Leaf hash of the entry that proposed it.
    #[n(0)]
    pub entry: Hash,
    /// What the completed change grants in the epoch then current.
    #[n(1)]
    pub grants: Vec<Grant>,
    /// The label sealed to that epoch, when the change is an admission.
    #[n(2)]
    pub label: Option<ByteVec>,
}

#[cfg(test)]
mod tests;
