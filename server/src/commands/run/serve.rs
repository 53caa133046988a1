//! A relay that answers, from `ready` to the signal that stops it.

use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sealpost_protocol::address::RelayAddress;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use super::Bound;
use crate::cli::Session;
use crate::clock;
use crate::control::Control;
use crate::error::{Failure, Kind};
use crate::limits::{COLLECT_EVERY, SCRUB_BYTES_A_SECOND, SCRUB_PAUSE};
use crate::metrics::{self, Metrics};
use crate::service::Service;
use crate::stop;
use crate::store::{LogStore as _, Store};
use crate::transport::Transport;
use crate::upkeep;

/// Everything opened and bound, nothing answering yet.
pub(super) struct Relay {
    store: Arc<Store>,
    service: Arc<Service<Store>>,
    transport: Transport,
    control: Option<Control>,
    metrics: Arc<Metrics>,
    scraped: Option<TcpListener>,
    address: RelayAddress,
}

impl Relay {
    pub(super) async fn new(
        data: &Path,
        store: Store,
        key: SigningKey,
        bound: Bound,
    ) -> Result<Self, Failure> {
        let Bound { transport, metrics, scraped, address, settings: _ } = bound;
        let store = Arc::new(store);
        let service = Arc::new(Service::open(store.clone(), key, clock::now).await?);
        // Only now: who finds a socket waits for an answer, who finds none tries again.
        let control = store.host_folder(data).map(|folder| Control::bind(&folder)).transpose();
        let control = control.map_err(|error| Failure::io("making control.sock", &error))?;
        Ok(Self { store, service, transport, control, metrics, scraped, address })
    }

    /// Its store.
    #[cfg(test)]
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The address that clients are given.
    pub(super) fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// Answers until SIGTERM or SIGINT; then lets what runs finish and closes the store.
    pub(super) async fn serve(self, session: &Session) -> Result<(), Failure> {
        let mut told = Signals::listen().map_err(|error| Failure::io("signals", &error))?;
        let (stopper, stop) = stop::channel();
        let mut serving = JoinSet::new();
        serving.spawn(self.transport.serve(self.service.clone(), stop.clone()));
        if let Some(control) = self.control {
            let (store, address) = (self.store.clone(), self.address.to_string());
            serving.spawn(control.serve(store, address, clock::now, stop.clone()));
        }
        if let Some(listener) = self.scraped {
            let (metrics, store) = (self.metrics, self.store.clone());
            serving.spawn(metrics::serve(listener, metrics, store, stop.clone()));
        }
        serving.spawn(upkeep::collect(self.store.clone(), COLLECT_EVERY, stop.clone()));
        let store = self.store.clone();
        serving.spawn(upkeep::scrub(store, SCRUB_BYTES_A_SECOND, SCRUB_PAUSE, stop));
        session.line("ready")?;
        tracing::info!(logs = self.store.committees().await.len(), "ready");
        let ended = tokio::select! {
            signal = told.next() => {
                tracing::info!(signal, "stopping: what runs is finished first");
                Ok(())
            }
            // None of them ends by itself.
            _ = serving.join_next() => Err(
                Failure::new(Kind::Failed, "The relay stopped answering")
                    .safe("What was accepted is on disk.")
                    .next("sealpost-relay --data DIR run"),
            ),
        };
        stopper.stop();
        while serving.join_next().await.is_some() {}
        self.store.close();
        tracing::info!("stopped");
        ended
    }
}

/// What operators and service managers end a program with.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
