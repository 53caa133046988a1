//! Why a roster change is refused.

use crate::age_header::PeerAgeHeaderError;
use crate::id::MemberNumber;
use crate::limits;

/// Why a change may not be made. Always the fault of its author, or of who altered it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerRosterError {
    /// A second founding entry.
    #[error("only the first entry founds a committee")]
    AlreadyFounded,
    /// The author is no coordinator.
    #[error("only a coordinator may do this")]
    NotCoordinator,
    /// The change is known and not admitted by this version of the program.
    #[error("this version of the program does not admit `{0}`")]
    NotBuilt(&'static str),
    /// The device is in the roster, or was.
    #[error("the device is in this committee already, or was")]
    DeviceKnown,
    /// One of the card's keys is another device's.
    #[error("a key of the card belongs to another device of this committee")]
    KeyTaken,
    /// The committee has had as many devices as it may.
    #[error("the committee has had {} devices, more are not admitted", limits::DEVICES_MAX)]
    TooManyDevices,
    /// One more device could not be granted a lock.
    #[error(
        "the committee has {} active devices, more are not admitted",
        limits::ACTIVE_DEVICES_MAX
    )]
    TooManyActiveDevices,
    /// The member has as many devices as one may.
    #[error(
        "a member has {} devices at most, suspended ones and a spare counted",
        limits::MEMBER_DEVICES_MAX
    )]
    TooManyOwnDevices,
    /// Only a member's own devices retire one.
    #[error("the device is another member's")]
    NotOwnDevice,
    /// A spare is an active device of the author's member, not the author, and helps nobody.
    #[error("the spare is no other active device of the author's member, or holds a share")]
    NotASpare,
    /// Its seed was shared before.
    #[error("that spare was shared before: a new one has another seed")]
    SharedAlready,
    /// Fewer shares would do than keep a secret, or more than there are.
    #[error(
        "a spare's seed takes {} shares at least, and no more than there are",
        limits::SHARES_MIN
    )]
    Threshold,
    /// Not each for an active device of another member, in order.
    #[error("shares are for at most {} active devices, each of another member", limits::SHARES_MAX)]
    Shares,
    /// A spare makes its owner's next device, ends the old ones and changes the lock.
    #[error("a spare does nothing but add and retire devices and change a lock that is due")]
    BySpare,
    /// Not the next member number.
    #[error("the next member's number is {expected}")]
    MemberNumber {
        /// What it should be.
        expected: MemberNumber,
    },
    /// The grants are not one for each device that must have one, in order.
    #[error("the grants do not name exactly the devices that must have one")]
    Grants,
    /// A lock with the recipient of an epoch or a device, or a device with that of an epoch.
    #[error("the recipient was used before")]
    RecipientUsed,
    /// The founding lock has a link, though there is nothing before it.
    #[error("the first lock cannot link to an earlier one")]
    LinkOfFirst,
    /// A repair of a link where history was withheld, or of an epoch that is not there.
    #[error("no link leads to the epoch before this one")]
    NoLink,
    /// The epoch has not begun.
    #[error("no such epoch")]
    NoSuchEpoch,
    /// The device is not active in this committee.
    #[error("the device is not active in this committee")]
    NoSuchDevice,
    /// The author cannot hold what it says it grants.
    #[error("the author does not hold that epoch")]
    NotHeld,
    /// A lock by who is no coordinator withholds history.
    #[error("only a coordinator may withhold history; this lock has no link")]
    LinkMissing,
    /// There is no member of that number.
    #[error("no such member")]
    NoSuchMember,
    /// The member or device was removed or retired.
    #[error("that member or device has ended for good")]
    Ended,
    /// It is suspended.
    #[error("that member or device is suspended already")]
    AlreadySuspended,
    /// It is not suspended.
    #[error("that member or device is not suspended")]
    NotSuspended,
    /// The role or policy is as it is.
    #[error("nothing would change")]
    NothingChanges,
    /// Nobody would be left who can change the roster.
    #[error("the last active coordinator must stay: first make another member coordinator")]
    LastCoordinator,
    /// The policy's approvals would be more than the coordinators who remain when one is lost.
    #[error("{needed} approvals are asked for, and {most} is the most for that many coordinators")]
    TooFewCoordinators {
        /// What the policy asks for.
        needed: u16,
        /// What the coordinators allow.
        most: u16,
    },
    /// A policy of no approval.
    #[error("a change needs one approval at least, its author's")]
    NoApprovals,
    /// A policy with a format of entries that this version does not write.
    #[error("a policy asks for entries of version 1")]
    PolicyFormat,
    /// The author suspended a coordinator, and the others have not decided that.
    #[error("the author suspended a coordinator, which the others must decide first")]
    Bound,
    /// Nothing waits for approval under that entry: it is decided or void, or there never was.
    #[error("nothing waits for approval under that entry")]
    NoSuchProposal,
    /// Too many records wait to be forgotten by this member's wish.
    #[error("{} records wait to be forgotten already", limits::FORGETS_WAITING_MAX)]
    TooManyForgets,
    /// The proposal is too long ago.
    #[error("the proposal is older than {} days", limits::PROPOSAL_DAYS_MAX)]
    ProposalTooOld,
    /// The same member again.
    #[error("this member has approved it already")]
    AlreadyApproved,
    /// The member it is about, or one whose own suspension is not decided.
    #[error("this member's approval does not count here")]
    NotForThisMember,
    /// The label must come with the approval that completes an admission, and with no other.
    #[error("a label comes with the approval that completes an admission, and with no other")]
    ApprovalLabel,
    /// The founding policy asks for something a committee of one cannot give.
    #[error("a committee is founded with one approval and entries of version 1")]
    FoundingPolicy,
    /// A sealed part has the wrong shape.
    #[error("{part}: {error}")]
    Sealed {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        error: PeerAgeHeaderError,
    },
    /// A sealed part is too long.
    #[error("{part}: {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// Which part.
        part: &'static str,
        /// What came.
        len: usize,
        /// What is allowed.
        max: usize,
    },
}
