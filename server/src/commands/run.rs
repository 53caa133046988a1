//! `sealpost-relay run`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sealpost_protocol::address::{Host, RelayAddress};
use sealpost_protocol::wire;

use super::folder;
use crate::cli::Session;
use crate::config::{self, ConfigError, Settings};
use crate::error::Failure;
use crate::key;
use crate::limits::Limits;
use crate::metrics::{self, Metrics};
use crate::store::disk::Disk;
use crate::store::{self, Options, Store};
use crate::transport::Transport;

mod serve;

use serve::Relay;

/// Serves the data folder. Prints `ready` once it answers; SIGTERM stops it gracefully.
///
/// It never makes a data folder by accident: `--init` does, prints the new relay's address, and
/// keeps --listen, --advertise and --metrics for the runs to come.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Make the data folder and the relay's key first.
    #[arg(long)]
    init: bool,
    /// Where to listen, IP:PORT; port 0 takes a free one. [default: 0.0.0.0:4433]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where clients reach this relay, in the order in which they should try.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    advertise: Vec<Host>,
    /// Serve metrics for Prometheus at this loopback address.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Take settings from this file instead of relay.toml in the data folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sizes of the store: tests use smaller ones.
    #[arg(skip)]
    options: Options,
}

/// Sockets that are bound and do not answer yet.
struct Bound {
    transport: Transport,
    metrics: Arc<Metrics>,
    scraped: Option<tokio::net::TcpListener>,
    address: RelayAddress,
    /// With the ports that were really taken.
    settings: Settings,
}

impl Run {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let data = session.data()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::io("starting", &error))?;
        runtime.block_on(async {
            let relay = if self.init {
                self.create(session, &data).await?
            } else {
                self.open(session, &data).await?
            };
            if self.init {
                session.line(&relay.address().to_string())?;
            }
            relay.serve(session).await
        })
    }

    /// Makes the folder, the format file last; whatever can be refused is refused before.
    async fn create(&self, session: &Session, data: &Path) -> Result<Relay, Failure> {
        let disk = &session.disk;
        store::must_be_free(disk.as_ref(), data)?;
        let settings = self.settings(disk.as_ref(), None)?;
        // One that is there is of an earlier --init that was interrupted before it served.
        let key = match key::read(disk.as_ref(), data)? {
            Some(key) => key,
            None => key::generate()?,
        };
        let bound = bind(settings, &key).await?;
        let prepare = || {
            key::keep(disk.as_ref(), data, &key)?;
            Ok::<_, Failure>(bound.settings.keep(disk.as_ref(), data)?)
        };
        let options = bound.settings.options(self.options);
        let store = Store::create_with(disk, data, options, prepare)?;
        Relay::new(data, store, key, bound).await
    }

    async fn open(&self, session: &Session, data: &Path) -> Result<Relay, Failure> {
        let disk = &session.disk;
        store::must_be_data_folder(disk.as_ref(), data)?;
        folder::must_be_ours(disk.as_ref(), data)?;
        let settings = self.settings(disk.as_ref(), Some(data))?;
        let store = Store::open(disk, data, settings.options(self.options))?;
        let key = folder::key_of(disk.as_ref(), data)?;
        let bound = bind(settings, &key).await?;
        Relay::new(data, store, key, bound).await
    }

    /// Flags, over the file.
    fn settings(&self, disk: &dyn Disk, data: Option<&Path>) -> Result<Settings, ConfigError> {
        let flags = Settings {
            listen: self.listen,
            advertise: self.advertise.clone(),
            metrics: self.metrics,
            committee_blobs_gib_max: None,
        };
        let kept = match (&self.config, data) {
            (Some(file), _) => {
                let read = Settings::read(&store::disk::RealDisk, file)?;
                Some(read.ok_or_else(|| ConfigError::LocalMissing(file.clone()))?)
            }
            (None, Some(data)) => Settings::read(disk, &data.join(config::FILE))?,
            (None, None) => None,
        };
        Ok(flags.over(kept.unwrap_or_default()))
    }
}

async fn bind(settings: Settings, key: &SigningKey) -> Result<Bound, Failure> {
    let (public, listen) = (key::public(key), settings.listen());
    // Whatever port it will be, an address without a host is refused before anything is taken.
    settings.address(public, placeholder(listen))?;
    let metrics = Arc::new(Metrics::new());
    let limits = Limits::default();
    let transport = Transport::bind(listen, key, wire::ALPN, limits, metrics.clone())?;
    let bound = transport.local_addr().map_err(|error| Failure::io("listening", &error))?;
    let scraped = match settings.metrics {
        Some(address) => Some(metrics::bind(address).await?),
        None => None,
    };
    let address = settings.address(public, bound)?;
    let settings = Settings { listen: Some(bound), ..settings };
    Ok(Bound { transport, metrics, scraped, address, settings })
}

/// Port 0 stands in no address.
fn placeholder(listen: SocketAddr) -> SocketAddr {
    let port = if listen.port() == 0 { wire::PORT } else { listen.port() };
    SocketAddr::new(listen.ip(), port)
}

#[cfg(test)]
mod tests;
