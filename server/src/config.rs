//! Settings: flags of `run`, over the file `relay.toml` of the data folder.
//!
//! ```toml
//! listen = "0.0.0.0:4433"
//! advertise = ["relay.example:4433"]
//! metrics = "127.0.0.1:9433"
//! committee_blobs_gib_max = 256
//! ```
//!
//! `run --init` writes what it was given there, so that `run` alone serves the same.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealpost_protocol::address::{AddressError, Host, RelayAddress};
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire;
use serde::Deserialize;

use crate::limits::CONFIG_BYTES_MAX;
use crate::store::disk::{self, Disk};
use crate::store::{BlobOptions, Options};

/// The file in the data folder.
pub const FILE: &str = "relay.toml";

/// Where a relay listens unless it is told otherwise.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), wire::PORT);

/// What an operator may say about a relay; what is not said is `None`, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// Where clients reach it, in the order in which they should try.
    pub advertise: Vec<Host>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How many GiB of attachments one committee may keep here.
    pub committee_blobs_gib_max: Option<u64>,
}

/// Why settings cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `--config` names no file.
    #[error("there is no settings file {}", .0.display())]
    LocalMissing(PathBuf),
    /// The file is not as this program writes it.
    #[error("{}: {why}", file.display())]
    LocalSyntax {
        /// Which file.
        file: PathBuf,
        /// What is wrong in it.
        why: String,
    },
    /// The relay listens everywhere, which is no place to send a client to.
    #[error("listening on {0} does not say where clients reach this relay")]
    LocalNoHost(SocketAddr),
    /// The hosts make no address.
    #[error("no relay address: {0}")]
    LocalAddress(#[from] AddressError),
    /// The operating system refused.
    #[error("{doing} the settings: {error}")]
    StoreIo {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: Arc<io::Error>,
    },
}

/// The file's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    #[serde(default)]
    advertise: Vec<String>,
    metrics: Option<SocketAddr>,
    committee_blobs_gib_max: Option<u64>,
}

impl Settings {
    /// Reads `file`; `None` when it does not exist.
    pub fn read(disk: &dyn Disk, file: &Path) -> Result<Option<Self>, ConfigError> {
        let io = |error| ConfigError::StoreIo { doing: "reading", error: Arc::new(error) };
        let found = disk::read_file_up_to(disk, file, CONFIG_BYTES_MAX).map_err(io)?;
        let wrong = |why: String| ConfigError::LocalSyntax { file: file.to_owned(), why };
        found.map(|bytes| Self::parse(&bytes).map_err(wrong)).transpose()
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let host = |text: &String| text.parse().map_err(|error: AddressError| error.to_string());
        let advertise = file.advertise.iter().map(host).collect::<Result<_, _>>()?;
        let File { listen, metrics, committee_blobs_gib_max, .. } = file;
        Ok(Self { listen, advertise, metrics, committee_blobs_gib_max })
    }

    /// Keeps them durably in the data folder at `root`.
    pub fn keep(&self, disk: &dyn Disk, root: &Path) -> Result<(), ConfigError> {
        let io = |error| ConfigError::StoreIo { doing: "keeping", error: Arc::new(error) };
        disk::replace_file(disk, &root.join(FILE), self.to_text().as_bytes()).map_err(io)
    }

    fn to_text(&self) -> String {
        let mut text = "# Flags of `sealpost-relay run` go before what stands here.\n".to_owned();
        // Addresses and hosts hold nothing that would need an escape.
        let mut line = |name: &str, value: String| {
            writeln!(text, "{name} = {value}").expect("writing to a String cannot fail");
        };
        if let Some(listen) = self.listen {
            line("listen", format!("\"{listen}\""));
        }
        if !self.advertise.is_empty() {
            let hosts: Vec<String> =
                self.advertise.iter().map(|host| format!("\"{host}\"")).collect();
            line("advertise", format!("[{}]", hosts.join(", ")));
        }
        if let Some(metrics) = self.metrics {
            line("metrics", format!("\"{metrics}\""));
        }
        if let Some(gib) = self.committee_blobs_gib_max {
            line("committee_blobs_gib_max", gib.to_string());
        }
        text
    }

    /// These, and `under` where these say nothing.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        let advertise = if self.advertise.is_empty() { under.advertise } else { self.advertise };
        Self {
            listen: self.listen.or(under.listen),
            advertise,
            metrics: self.metrics.or(under.metrics),
            committee_blobs_gib_max: self.committee_blobs_gib_max.or(under.committee_blobs_gib_max),
        }
    }

    /// Where to listen.
    pub fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(LISTEN)
    }

    /// The sizes of a store, as far as these say something of them.
    #[must_use]
    pub fn options(&self, otherwise: Options) -> Options {
        let gib = self.committee_blobs_gib_max;
        let max = gib.map(|gib| gib.saturating_mul(1024 * 1024 * 1024));
        let committee_bytes_max = max.unwrap_or(otherwise.blobs.committee_bytes_max);
        Options { blobs: BlobOptions { committee_bytes_max, ..otherwise.blobs }, ..otherwise }
    }

    /// The address of the relay with `key` that listens at `bound`.
    pub fn address(&self, key: PublicKey, bound: SocketAddr) -> Result<RelayAddress, ConfigError> {
        let hosts = if self.advertise.is_empty() {
            if bound.ip().to_canonical().is_unspecified() {
                return Err(ConfigError::LocalNoHost(bound));
            }
            vec![bound.to_string().parse()?]
        } else {
            self.advertise.clone()
        };
        Ok(RelayAddress::new(key, hosts)?)
    }
}

#[cfg(test)]
mod tests;
