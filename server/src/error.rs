//! What can go wrong, as the operator is told: what happened, what is safe, what to type next.
//!
//! Modules have typed errors of their own, whose texts name no committee, device or key, so that
//! they may be logged. At the edge each becomes a [`Failure`], whose [`Kind`] decides the exit code;
//! both mappings stand in this file and nowhere else. What only the operator's terminal may show is
//! added here.

use std::io;
use std::path::Path;

use sealpost_protocol::entry::PeerEntryError;
use sealpost_protocol::export::PeerExportError;
use serde::Serialize;

use crate::config::ConfigError;
use crate::control::ControlError;
use crate::key::KeyError;
use crate::metrics::MetricsError;
use crate::permit::PermitError;
use crate::service::{FoldError, ImportError};
use crate::store::{AppendError, BlobError, CommitError, StoreError};
use crate::transport::BindError;

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
    /// Another process serves this data folder.
    InUse = "in-use", 1;
    /// Another program listens there.
    PortInUse = "port-in-use", 1;
    /// There is already something where a data folder was to be made.
    Exists = "data-folder-exists", 1;
    /// There is already a file where one was to be written.
    FileExists = "file-exists", 1;
    /// A log came in part: an import was interrupted.
    Importing = "import-unfinished", 1;
    /// An export took the log elsewhere, for good.
    Retired = "retired", 1;
    /// The committee's home is another relay.
    OtherHome = "other-home", 1;
    /// Attachments that a log names are nowhere.
    BlobsMissing = "attachments-missing", 1;
    /// A limit of the relay itself.
    TooMany = "too-many", 1;
    /// The command, its flags or a settings file are not what they should be.
    Usage = "usage", 2;
    /// The folder is no relay's data folder.
    NoDataFolder = "no-data-folder", 6;
    /// There is no such thing.
    NotFound = "not-found", 6;
    /// A name fits more than one thing.
    Ambiguous = "ambiguous", 6;
    /// What is on disk is not what was written there.
    Damaged = "damaged", 7;
    /// An export is cut short, altered, or not the relay's.
    BadExport = "bad-export", 7;
    /// Two logs of one committee differ.
    OtherLog = "other-log", 7;
    /// The log is shorter than this relay has signed for.
    RolledBack = "rolled-back", 7;
    /// The data folder or the file was made by another version of this program.
    OtherVersion = "other-version", 12;
}

/// A command's failure, ready to be told.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened.
    pub what: String,
    /// What is safe in spite of it.
    pub safe: String,
    /// What to type or do next.
    pub next: String,
}

/// The failure as the one object that `--json` puts on stderr.
#[derive(Serialize)]
pub struct FailureJson<'f> {
    error: &'static str,
    exit: u8,
    what: &'f str,
    safe: &'f str,
    next: &'f str,
}

/// What texts say where the data folder belongs; [`Failure::about`] puts it there.
const DATA: &str = "--data DIR";
const CHECK: &str = "sealpost-relay --data DIR check";

impl Failure {
    /// A failure of that kind. Unless said otherwise nothing was changed.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            safe: "Nothing was changed.".to_owned(),
            next: "sealpost-relay help".to_owned(),
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

    /// Names the data folder in what is to be typed.
    #[must_use]
    pub fn about(mut self, data: &Path) -> Self {
        let folder = format!("--data {}", quoted(&data.display().to_string()));
        self.next = self.next.replace(DATA, &folder);
        self
    }

    /// For `--json`.
    pub fn to_json(&self) -> FailureJson<'_> {
        FailureJson {
            error: self.kind.name(),
            exit: self.kind.exit(),
            what: &self.what,
            safe: &self.safe,
            next: &self.next,
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let what = error.to_string();
        let say = |kind, next: &str| Self::new(kind, what.clone()).next(next);
        match error {
            StoreError::LocalNoDataFolder(_) => {
                say(Kind::NoDataFolder, "sealpost-relay --data DIR run --init")
            }
            StoreError::LocalExists(_) => say(
                Kind::Exists,
                "For the relay that is there: sealpost-relay --data DIR run. For a new one, name a \
                 folder that does not exist.",
            ),
            StoreError::LocalInUse(_) => {
                say(Kind::InUse, "Stop the relay that serves it (SIGTERM), or leave it running.")
            }
            StoreError::LocalVersion { found, known } if found > known => {
                say(Kind::OtherVersion, "Install the newer sealpost-relay that made it.")
            }
            StoreError::LocalVersion { .. } => {
                say(Kind::OtherVersion, "Export it with the sealpost-relay that made it.")
            }
            StoreError::StoreFull => say(Kind::DiskFull, "Free some space, then type it again."),
            StoreError::StoreBusy => say(Kind::Failed, "Type it again in a while."),
            StoreError::StoreStopped | StoreError::StoreIndex(_) => Self::new(Kind::Failed, what)
                .safe("What was accepted is on disk.")
                .next("Restart the relay, then type it again."),
            StoreError::StoreDamaged { .. } => Self::new(Kind::Damaged, what)
                .safe("Nothing is served and nothing was changed.")
                .next(CHECK),
            StoreError::StoreRolledBack { committee, .. } => {
                rolled_back(format!("{what} (committee {committee})"))
            }
            StoreError::StoreForked => Self::new(Kind::Damaged, what)
                .safe("Nothing is served and nothing was changed.")
                .next(CHECK),
            StoreError::StoreIo { error, .. } => Self::from_io(error.kind(), what),
        }
    }
}

fn retired(what: String) -> Failure {
    Failure::new(Kind::Retired, what)
        .safe("Nothing is served from here, so that no member is shown two logs of one committee.")
        .next(
            "Start the relay on the folder into which the log was imported. To make one, put the file \
             `key` there: sealpost-relay --data NEW import --init FILE",
        )
}

fn rolled_back(what: String) -> Failure {
    Failure::new(Kind::RolledBack, what)
        .safe("Nothing is served: clients would take it for a lie, and rightly.")
        .next(
            "Put back the folder as it was last served, not an older copy. What it lacks is seen \
             by: sealpost-relay --data DIR check",
        )
}

impl Failure {
    fn from_io(kind: io::ErrorKind, what: String) -> Self {
        match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new(Kind::DiskFull, what)
                    .safe("What was accepted is on disk.")
                    .next("Free some space, then type it again.")
            }
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory => Self::new(Kind::NotWritable, what)
                .next("Check the folder's owner and permissions, then type it again."),
            _ => Self::new(Kind::Failed, what)
                .safe("What was accepted is on disk.")
                .next("Look at the system's log for the disk, then type it again."),
        }
    }

    /// An operation of the operating system that failed.
    pub fn io(doing: &str, error: &io::Error) -> Self {
        Self::from_io(error.kind(), format!("{doing}: {error}"))
    }
}

impl From<FoldError> for Failure {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Store(error) => error.into(),
            FoldError::StoreInadmissible { committee, .. }
            | FoldError::StoreForked { committee, .. } => {
                Self::new(Kind::Damaged, format!("{error} (committee {committee})"))
                    .safe("Nothing is served and nothing was changed.")
                    .next(CHECK)
            }
            FoldError::LocalRetired => retired(error.to_string()),
            FoldError::LocalImporting => Self::new(Kind::Importing, error.to_string())
                .safe("Nothing is served until it is, and what came is kept.")
                .next(
                    "Type it again, or take a later export: sealpost-relay --data DIR import FILE",
                ),
        }
    }
}

impl From<PeerExportError> for Failure {
    fn from(error: PeerExportError) -> Self {
        let say = |kind, next: &str| Self::new(kind, error.to_string()).next(next);
        match error {
            PeerExportError::Magic => {
                say(Kind::Usage, "Name a file that sealpost-relay export wrote.")
            }
            PeerExportError::NewerVersion
            | PeerExportError::Entry { error: PeerEntryError::UnknownVersion { .. }, .. } => {
                say(Kind::OtherVersion, "Install the newer sealpost-relay that made it.")
            }
            PeerExportError::CutOff => {
                say(Kind::BadExport, "Copy the file again, all of it, and compare their SHA-256.")
            }
            _ => say(
                Kind::BadExport,
                "Keep the file as evidence, and export again where the log came from.",
            ),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let what = error.to_string();
        let say = |kind, next: &str| Self::new(kind, what.clone()).next(next);
        match error {
            ImportError::LocalOtherHome => say(
                Kind::OtherHome,
                "Import it where the key of its home is: sealpost-relay --data DIR key",
            ),
            ImportError::PeerOtherLog { .. } => say(
                Kind::OtherLog,
                "Keep folder and file: two histories of one log are evidence. Compare head codes with \
                 members by telephone before either is served.",
            ),
            ImportError::LocalRetired => retired(what),
            ImportError::LocalUnfinished => say(
                Kind::Importing,
                "Take the file that was being imported, or a later export of the log.",
            )
            .safe("Nothing is served until it is finished, and what came is kept."),
            ImportError::LocalBlobsMissing(_) => say(
                Kind::BlobsMissing,
                "Put the folder ID.blobs of export --blobs beside the file; or give --without-blobs, \
                 and have whoever has them send them again.",
            ),
            ImportError::PeerChanged => say(Kind::BadExport, "Copy the file elsewhere first.")
                .safe("What came is kept. Nothing is served until the import is finished."),
            ImportError::Store(error)
            | ImportError::Append(AppendError::Store(error))
            | ImportError::Commit(CommitError::Store(error))
            | ImportError::Blob(BlobError::Store(error)) => error.into(),
            ImportError::Blob(BlobError::PeerOther | BlobError::PeerShort) => say(
                Kind::BadExport,
                "Copy the folder ID.blobs again: each file's name is its SHA-256.",
            ),
            ImportError::Blob(BlobError::LocalNoRoom) => say(
                Kind::DiskFull,
                "Raise committee_blobs_gib_max in relay.toml of the data folder, then type it again.",
            ),
            ImportError::Append(_) | ImportError::Commit(_) | ImportError::Blob(_) => {
                say(Kind::Failed, CHECK)
            }
        }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let what = error.to_string();
        match error {
            BindError::LocalPortInUse(_) => Self::new(Kind::PortInUse, what)
                .next("Stop the other one, or name another --listen."),
            BindError::LocalAddress { .. } => Self::new(Kind::Usage, what)
                .next("Name an address of this machine and a port above 1023 with --listen."),
            BindError::LocalKey(_) => Self::new(Kind::Damaged, what).next(CHECK),
        }
    }
}

impl From<MetricsError> for Failure {
    fn from(error: MetricsError) -> Self {
        let kind = match &error {
            MetricsError::LocalNotLoopback(_) => Kind::Usage,
            MetricsError::LocalAddress { error, .. }
                if error.kind() == io::ErrorKind::AddrInUse =>
            {
                Kind::PortInUse
            }
            MetricsError::LocalAddress { .. } => Kind::Usage,
        };
        Self::new(kind, error.to_string()).next("Name another --metrics, such as 127.0.0.1:9433.")
    }
}

impl From<PermitError> for Failure {
    fn from(error: PermitError) -> Self {
        let what = error.to_string();
        match error {
            PermitError::LocalUnknown => {
                Self::new(Kind::NotFound, what).next("sealpost-relay --data DIR permit list")
            }
            PermitError::LocalAmbiguous => {
                Self::new(Kind::Ambiguous, what).next("sealpost-relay --data DIR permit list")
            }
            PermitError::LocalTooMany => Self::new(Kind::TooMany, what)
                .next("Revoke some: sealpost-relay --data DIR permit list"),
            PermitError::LocalRandom(_) => Self::new(Kind::Failed, what),
            PermitError::LocalLabel => Self::new(Kind::Usage, what).next("Shorten the --label."),
            PermitError::Store(error) | PermitError::Commit(CommitError::Store(error)) => {
                error.into()
            }
            PermitError::Commit(CommitError::RequireFailed { .. }) => {
                Self::new(Kind::Failed, "Somebody changed the permit meanwhile")
                    .next("sealpost-relay --data DIR permit list")
            }
            PermitError::Commit(CommitError::LocalSize) => {
                Self::new(Kind::TooMany, what).next("Revoke some permits, then type it again.")
            }
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let what = error.to_string();
        match error {
            KeyError::LocalMissing => Self::new(Kind::Damaged, what)
                .safe("The logs are as they were. No new key was made: clients would not know it.")
                .next("Put the file back from a backup of the folder."),
            KeyError::StoreDamaged => Self::new(Kind::Damaged, what)
                .safe("The logs are as they were.")
                .next("Put the file back from a backup of the folder."),
            KeyError::LocalOther => {
                Self::new(Kind::InUse, what).next("sealpost-relay --data DIR run")
            }
            KeyError::LocalRandom(_) => Self::new(Kind::Failed, what),
            KeyError::StoreIo { error, .. } => Self::from_io(error.kind(), what),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let what = error.to_string();
        let next = match error {
            ConfigError::StoreIo { error, .. } => return Self::from_io(error.kind(), what),
            ConfigError::LocalMissing(_) => "Name the file that holds the settings with --config.",
            ConfigError::LocalSyntax { .. } => "Correct the file, or name another with --config.",
            ConfigError::LocalNoHost(_) => {
                "Say how others reach it: --advertise relay.example:4433"
            }
            ConfigError::LocalAddress(_) => "Name other places with --advertise HOST:PORT[,…].",
        };
        Self::new(Kind::Usage, what).next(next)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(refused) => refused.into(),
            ControlError::LocalIo(error) => {
                Self::from_io(error.kind(), format!("asking the running relay: {error}"))
            }
            ControlError::LocalForeign(_) | ControlError::LocalTooSlow => {
                Self::new(Kind::Failed, error.to_string()).next("Restart the relay.")
            }
            ControlError::LocalStopping => {
                Self::new(Kind::InUse, error.to_string()).next("Type it again in a moment.")
            }
        }
    }
}

#[cfg(test)]
mod tests;
