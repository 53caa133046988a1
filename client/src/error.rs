//! What can go wrong, as the person is told: what happened, what is safe, what to type next.
//!
//! Modules have typed errors of their own. At the edge each becomes a [`Failure`], whose [`Kind`]
//! decides the exit code; both mappings stand in this file and nowhere else. No secret and no
//! passphrase is ever put into one. A relay that lied is [`Kind::Verification`], never a network
//! error.

use std::error::Error;
use std::io;

use sealpost_protocol::code::Code;
use sealpost_protocol::hybrid::PeerRecipientError;
use sealpost_protocol::invitation::{InvitationError, PeerJoinRequestError};
use sealpost_protocol::recovery::LocalShareError;
use sealpost_protocol::reference::RefError;
use sealpost_protocol::roster::PeerRosterError;
use sealpost_protocol::seal::LocalSealError;
use serde::Serialize;

use crate::agent::AgentError;
use crate::kinds::{FieldErrors, UnknownKind};
use crate::recovery;
use crate::relay::AskError;
use crate::transport::{PeerError, TransportError};
use crate::ui::input::InputError;
use crate::vault::VaultError;

macro_rules! kinds {
    ($( $(#[$meta:meta])* $kind:ident = $name:literal, $exit:literal; )+) => {
        /// What kind of failure it is: a stable name for scripts, and an exit code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $( $(#[$meta])* $kind, )+ }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$kind, )+];

            /// The name in `--json`'s `error` field.
            pub fn name(self) -> &'static str {
                match self { $( Self::$kind => $name, )+ }
            }

            /// The exit code of the process.
            pub fn exit(self) -> u8 {
                match self { $( Self::$kind => $exit, )+ }
            }
        }
    };
}

kinds! {
    /// None of the kinds below.
    Failed = "failed", 1;
    /// The disk or quota is full.
    DiskFull = "disk-full", 1;
    /// A file or folder cannot be written or read.
    NotWritable = "not-writable", 1;
    /// Another user of the machine stands where only this one may.
    OtherUser = "other-user", 1;
    /// Another command holds what this one needs.
    Busy = "busy", 1;
    /// The vault's files do not fit together or are damaged.
    Damaged = "vault-damaged", 1;
    /// There is already a vault.
    VaultExists = "vault-exists", 1;
    /// The command or its input is not what it should be.
    Usage = "usage", 2;
    /// Saved on this device, but not (fully) delivered.
    NotDelivered = "not-delivered", 3;
    /// The vault is locked: no passphrase, or the wrong one.
    Locked = "locked", 4;
    /// The role does not allow it, or the device is no longer active.
    NotAllowed = "not-allowed", 5;
    /// There is no such thing, or nothing this device may know of.
    NotFound = "not-found", 6;
    /// A name fits more than one thing.
    Ambiguous = "ambiguous", 6;
    /// Somebody lied: what was shown contradicts what was proven.
    Verification = "verification-failed", 7;
    /// It needs a second person.
    SecondPerson = "second-person", 8;
    /// Consent does not cover it.
    Consent = "consent", 9;
    /// There is no vault here.
    NoVault = "no-vault", 10;
    /// No relay answered.
    Unreachable = "relay-unreachable", 11;
    /// This program is older than what it was shown.
    TooOld = "version-too-old", 12;
}

/// A command's failure, ready to be told.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened.
    pub what: String,
    /// What is safe in spite of it.
    pub safe: String,
    /// What to type or do next.
    pub next: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// The failure as the one object that `--json` puts on stderr.
#[derive(Serialize)]
pub struct FailureJson {
    error: &'static str,
    exit: u8,
    what: String,
    safe: String,
    next: String,
}

impl Failure {
    /// A failure of that kind. Unless said otherwise nothing was changed.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            safe: "Nothing was changed.".to_owned(),
            next: "sealpost help".to_owned(),
            cause: None,
        }
    }

    /// Says what is safe.
    #[must_use]
    pub fn safe(mut self, safe: impl Into<String>) -> Self {
        self.safe = safe.into();
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// Names the error behind it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What happened, with the errors behind it.
    pub fn story(&self) -> String {
        let mut story = self.what.clone();
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            story.push_str(": ");
            story.push_str(&error.to_string());
            cause = error.source();
        }
        story
    }

    /// For `--json`.
    pub fn to_json(&self) -> FailureJson {
        FailureJson {
            error: self.kind.name(),
            exit: self.kind.exit(),
            what: self.story(),
            safe: self.safe.clone(),
            next: self.next.clone(),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let (kind, next) = match &error {
            VaultError::NoVault(_) => (Kind::NoVault, "sealpost init --handle NAME"),
            VaultError::Exists(_) => (Kind::VaultExists, "sealpost status"),
            VaultError::WrongPassphrase => {
                (Kind::Locked, "Try again; the passphrase may be typed in another layout.")
            }
            VaultError::Newer { .. } => (Kind::TooOld, "Install the newer sealpost again."),
            VaultError::DiskFull => (Kind::DiskFull, "Free some space, then type it again."),
            VaultError::NotWritable { .. } => {
                (Kind::NotWritable, "Check the folder's owner and permissions, or use --home DIR.")
            }
            VaultError::Busy => (Kind::Busy, "Wait for the other command, then type it again."),
            VaultError::SyncRunning => {
                (Kind::Busy, "Wait for the other sync, or stop it, then type it again.")
            }
            VaultError::Orphan(_) | VaultError::Missing(_) | VaultError::Damaged(_) => {
                (Kind::Damaged, "Put the whole folder back from a backup, or use another --home.")
            }
            VaultError::Backwards { .. } => (Kind::Verification, "sealpost committee audit"),
            VaultError::Random(_) | VaultError::Age(_) | VaultError::Sql(_) => {
                (Kind::Failed, "Type it again; if it stays, keep a copy of the vault's folder.")
            }
        };
        Self::new(kind, error.to_string()).next(next)
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let (kind, next) = match &error {
            AgentError::OtherUser { .. } => (
                Kind::OtherUser,
                "Find out who put it there, and remove it; until then use --passphrase-file FILE.",
            ),
            AgentError::OpenFolder(_) => {
                (Kind::NotWritable, "Type chmod 700 and the folder, then type it again.")
            }
            AgentError::Silent | AgentError::Foreign => {
                (Kind::Busy, "sealpost lockup, then type it again")
            }
            AgentError::DoesNotEnd => (Kind::Failed, "Log out, or turn the machine off."),
            AgentError::NotStarted(_) | AgentError::Io(_) => (Kind::Failed, "Type it again."),
        };
        let safe = match &error {
            AgentError::DoesNotEnd => "Nothing: the vault may still be unlocked.",
            _ => "The vault is as it was; no passphrase was given to anybody.",
        };
        Self::new(kind, sentence(&error.to_string())).safe(safe).next(next)
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let (kind, next) = match &error {
            TransportError::Lied(PeerError::WrongKey(_) | PeerError::UnprovenKey(_)) => {
                (Kind::Verification, "Compare the relay's address with whoever gave it to you.")
            }
            TransportError::Lied(_) => {
                (Kind::Verification, "Tell the relay's operator, and your colleagues.")
            }
            TransportError::OtherVersion(_) => (Kind::TooOld, "Install the newest sealpost."),
            TransportError::Unreachable { .. }
            | TransportError::TurnedAway(_)
            | TransportError::Lost(_)
            | TransportError::TooSlow => {
                (Kind::Unreachable, "Type it again when the network is there.")
            }
            TransportError::Local(_) => (Kind::Failed, "Type it again."),
        };
        Self::new(kind, error.to_string()).safe("What was written is in the vault.").next(next)
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let code = match error {
            AskError::Transport(error) => return error.into(),
            AskError::Refused(code) => code,
            AskError::NotActive(_) => Code::NotActive,
        };
        let (kind, next) = match code {
            Code::NotFound => (Kind::NotFound, "Check what was typed; the relay says no more."),
            Code::NotActive | Code::NotEntitled => {
                (Kind::NotAllowed, "Ask a coordinator of the committee.")
            }
            Code::Unsupported => (Kind::TooOld, "Install the newest sealpost, here or there."),
            Code::TooMany | Code::Busy => (Kind::Unreachable, "Type it again in a while."),
            Code::Full | Code::Stopped => {
                (Kind::Unreachable, "Tell the relay's operator; then sealpost sync")
            }
            Code::Disputed => (Kind::Verification, "sealpost committee audit"),
            _ => (Kind::Failed, "sealpost sync, then type it again"),
        };
        Self::new(kind, error.to_string()).safe("What was written is in the vault.").next(next)
    }
}

impl From<PeerRosterError> for Failure {
    fn from(error: PeerRosterError) -> Self {
        use PeerRosterError as Rule;
        let (kind, next) = match &error {
            Rule::NotCoordinator | Rule::NotHeld => {
                (Kind::NotAllowed, "Ask a coordinator of the committee.".to_owned())
            }
            Rule::NoSuchMember | Rule::NoSuchDevice | Rule::NoSuchEpoch => {
                (Kind::NotFound, "sealpost member list".to_owned())
            }
            Rule::NoSuchProposal => (Kind::NotFound, "sealpost committee show".to_owned()),
            Rule::LastCoordinator => {
                (Kind::SecondPerson, "sealpost member role HANDLE coordinator".to_owned())
            }
            Rule::TooFewCoordinators { most, .. } => (
                Kind::SecondPerson,
                format!(
                    "sealpost member role HANDLE coordinator, or sealpost committee policy \
                     --approvals {most}; then type it again"
                ),
            ),
            Rule::Bound => (
                Kind::SecondPerson,
                "Another coordinator types: sealpost approve REF (sealpost committee show names it)"
                    .to_owned(),
            ),
            Rule::NotForThisMember | Rule::AlreadyApproved | Rule::ProposalTooOld => {
                (Kind::SecondPerson, "sealpost committee show".to_owned())
            }
            _ => (Kind::Failed, "sealpost committee show".to_owned()),
        };
        Self::new(kind, sentence(&error.to_string())).next(next)
    }
}

fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

impl From<InvitationError> for Failure {
    fn from(error: InvitationError) -> Self {
        let (kind, next) = match &error {
            InvitationError::NewerVersion(_) => (Kind::TooOld, "Install the newest sealpost."),
            _ => (Kind::Usage, "Copy the whole invitation, as it was sent."),
        };
        Self::new(kind, format!("That cannot be used: {error}")).next(next)
    }
}

impl From<PeerJoinRequestError> for Failure {
    fn from(error: PeerJoinRequestError) -> Self {
        Self::new(Kind::Usage, error.to_string()).next("Choose another handle.")
    }
}

impl From<PeerRecipientError> for Failure {
    fn from(error: PeerRecipientError) -> Self {
        Self::new(Kind::Verification, format!("A card cannot be sealed to: {error}"))
            .next("Ask its owner to join anew.")
    }
}

impl From<LocalShareError> for Failure {
    fn from(error: LocalShareError) -> Self {
        Self::new(Kind::Usage, error.to_string()).safe("Nothing was changed.").next(recovery::SET)
    }
}

impl From<LocalSealError> for Failure {
    fn from(error: LocalSealError) -> Self {
        Self::new(Kind::Usage, error.to_string()).next("Shorten it, then type it again.")
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let kind = match &error {
            InputError::NoPassphrase | InputError::PassphraseUnreadable(..) => Kind::Locked,
            InputError::Unreadable(..) => Kind::NotWritable,
            InputError::Refused => Kind::Failed,
            _ => Kind::Usage,
        };
        let next = match kind {
            Kind::Locked => "Type it at the prompt, or use --passphrase-file FILE.",
            Kind::Failed => "Type it again when you are sure.",
            _ => "Check the input, then type it again.",
        };
        Self::new(kind, error.to_string()).next(next)
    }
}

impl From<FieldErrors> for Failure {
    fn from(error: FieldErrors) -> Self {
        Self::new(Kind::Usage, error.to_string())
            .safe("Nothing was saved; the input is as it was.")
            .next("Correct the named fields, then type it again.")
    }
}

impl From<UnknownKind> for Failure {
    fn from(error: UnknownKind) -> Self {
        Self::new(Kind::Usage, error.to_string()).next("sealpost record new --help")
    }
}

impl From<RefError> for Failure {
    fn from(error: RefError) -> Self {
        Self::new(Kind::Usage, error.to_string()).next("Copy the REF as it was shown.")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Kind::Failed, "Input or output failed")
            .because(error)
            .safe("What was written before is in the vault.")
            .next("sealpost status")
    }
}

#[cfg(test)]
mod tests;
