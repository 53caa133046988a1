//! Power cuts under the real service over the real store: many writers, a disk that keeps only
//! what was synced and any part of the rest, and a restart on what is left.
//!
//! A kill proves nothing here, because the page cache survives it. So the same rounds run on
//! disks that break their word, and must lose something there: [`Syncs::Lie`], [`Syncs::Hasty`].

use std::path::PathBuf;
use std::sync::Arc;

use sealpost_protocol::address::RelayAddress;
use sealpost_protocol::id::UnixMillis;
use sealpost_protocol::sign::{PublicKey, SigningKey};
use sealpost_relay::permit;
use sealpost_relay::service::{Service, check_logs};
use sealpost_relay::store::disk::Disk;
use sealpost_relay::store::disk::faulty::{Failure, FaultyDisk};
use sealpost_relay::store::{Options, Store};

use super::disk::{FailSync, Hasty, JournalDisk, Mishap};
use crate::load::{self, Direct, Load};
use crate::seed::Seeded;

const WRITERS: usize = 8;
const RECORDS: usize = 12;
const PLAINTEXT_BYTES: usize = 512;
/// Small, so that some cuts come at the change of segments.
const OPTIONS: Options = Options { segment_bytes: 64 * 1024, reserve_bytes: 0, ..Options::DEFAULT };
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// How a disk keeps its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncs {
    /// "Done" means done.
    Honest,
    /// "Done" means nothing.
    Lie,
    /// "Done" comes before it is done.
    Hasty,
}

/// What many rounds came to.
#[derive(Debug, Default)]
pub struct Told {
    /// Rounds whose restart lost or mangled something, and what.
    pub amiss: Vec<String>,
    /// Cuts that met the writers in the middle of their work.
    pub unfinished: u64,
    /// Receipts that had been given out before the cuts.
    pub at_stake: usize,
}

/// A relay with a settled committee on a disk, before any record was pushed.
pub struct Scene {
    disk: FaultyDisk,
    load: Load,
    /// Operations that a whole round takes, roughly.
    span: u64,
}

type Relay = Arc<Service<Store>>;

impl Scene {
    /// Founds and settles the committee, and measures a round without a cut.
    pub async fn new() -> Self {
        let disk = FaultyDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        drop(Store::create(&shared, &root(), OPTIONS).expect("an empty disk"));
        let load = Load::sign(&address(), &[RECORDS; WRITERS], PLAINTEXT_BYTES);
        let service = open(&shared, None).await.expect("a fresh folder");
        let code = load::permit(1);
        permit::issue(service.store().as_ref(), &code, None, NOW).await.expect("a permit");
        load.settle(&line(&service, load.founder()), code).await;
        service.store().close();
        let mut scene = Self { disk, load, span: 0 };
        let whole = scene.disk.copy();
        let before = whole.operations().len();
        let mut load = scene.load.clone();
        scene.work(&whole, None, &mut load).await;
        scene.span = (whole.operations().len() - before) as u64;
        scene
    }

    /// Cuts the power `rounds` times, each at another moment.
    pub async fn rounds(&self, seed: u64, rounds: u64, syncs: Syncs) -> Told {
        let mut dice = Seeded::new(seed);
        let mut told = Told::default();
        for round in 0..rounds {
            let (cut, survivors) = (dice.below(self.span), dice.number());
            if let Err(what) = self.round(cut, survivors, syncs, &mut told).await {
                told.amiss.push(format!("seed {seed} round {round} (cut {cut}): {what}"));
            }
        }
        told
    }

    /// Lets the `sync`-th fdatasync of the journal fail, counted from the start of the relay, and
    /// says whether writing stopped. Then nothing more is acknowledged and what was durable is
    /// still read. If it did not stop, it was a segment in the making, which is made again. After
    /// a power cut and a restart all goes on.
    pub async fn failed_sync(&self, sync: u64) -> Result<bool, String> {
        let disk = self.disk.copy();
        let fail = Arc::new(FailSync::new(sync));
        let mut load = self.load.clone();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let service = open(&shared, Some(fail.clone())).await?;
        let stopped = !push_all(&service, &mut load).await;
        if stopped {
            let (receipts, syncs) = (load.receipts(), fail.syncs());
            if push_all(&service, &mut load).await || load.receipts() > receipts {
                return Err("something was acknowledged after a failed sync".to_owned());
            }
            if syncs != sync || fail.syncs() != sync {
                return Err("the journal was synced again after a failed sync".to_owned());
            }
        }
        if fail.syncs() < sync {
            return Err(format!("there were only {} syncs", fail.syncs()));
        }
        self.look(&service, &load).await.map_err(|what| format!("reading on: {what}"))?;
        self.restart(&disk.power_cut(sync), &mut load).await?;
        Ok(stopped)
    }

    async fn round(
        &self,
        cut: u64,
        survivors: u64,
        syncs: Syncs,
        told: &mut Told,
    ) -> Result<(), String> {
        let disk = self.disk.copy();
        let mishap: Option<Arc<dyn Mishap>> = match syncs {
            Syncs::Honest => None,
            Syncs::Lie => {
                disk.lie_about_syncs();
                None
            }
            Syncs::Hasty => Some(Arc::new(Hasty)),
        };
        disk.fail(disk.operations().len() as u64 + cut, Failure::PowerCut);
        let mut load = self.load.clone();
        self.work(&disk, mishap, &mut load).await;
        let receipts = load.receipts();
        told.at_stake += receipts;
        told.unfinished += u64::from((1..WRITERS * RECORDS).contains(&receipts));
        self.restart(&disk.power_cut(survivors), &mut load).await
    }

    /// All writers push at the same time until they are done or the disk is.
    async fn work(&self, disk: &FaultyDisk, mishap: Option<Arc<dyn Mishap>>, load: &mut Load) {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        // The cut may come while the relay is starting.
        if let Ok(service) = open(&shared, mishap).await {
            push_all(&service, load).await;
            service.store().close();
        }
    }

    /// Opens what is left and holds it against the receipts; then everybody goes on, with the
    /// same bytes, until all is accepted.
    async fn restart(&self, disk: &FaultyDisk, load: &mut Load) -> Result<(), String> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let service = open(&shared, None).await?;
        self.look(&service, load).await?;
        if !push_all(&service, load).await {
            return Err("after the restart not everything was accepted".to_owned());
        }
        self.look(&service, load).await?;
        let entries = check_logs(service.store().as_ref()).await;
        let expected = (1 + WRITERS + RECORDS * WRITERS) as u64;
        match entries {
            Ok(found) if found == expected => Ok(()),
            other => Err(format!("the log holds {other:?} entries instead of {expected}")),
        }
    }

    async fn look(&self, service: &Relay, load: &Load) -> Result<(), String> {
        let (log, checkpoint) = load.pull(&line(service, load.founder())).await?;
        load.audit(&log, &checkpoint)
    }
}

async fn open(disk: &Arc<dyn Disk>, mishap: Option<Arc<dyn Mishap>>) -> Result<Relay, String> {
    let disk = match mishap {
        Some(mishap) => Arc::new(JournalDisk::new(Arc::clone(disk), mishap)),
        None => Arc::clone(disk),
    };
    let store = Store::open(&disk, &root(), OPTIONS).map_err(|error| error.to_string())?;
    let service = Service::open(Arc::new(store), relay_key(), || NOW).await;
    Ok(Arc::new(service.map_err(|error| error.to_string())?))
}

async fn push_all(service: &Relay, load: &mut Load) -> bool {
    let mut pushing = tokio::task::JoinSet::new();
    for (place, mut writer) in load.writers.drain(..).enumerate() {
        let line = line(service, &writer.login);
        pushing.spawn(async move {
            let done = writer.push(&line).await;
            (place, writer, done)
        });
    }
    let mut back = pushing.join_all().await;
    back.sort_by_key(|(place, ..)| *place);
    let done = back.iter().all(|(.., done)| *done);
    load.writers = back.into_iter().map(|(_, writer, _)| writer).collect();
    done
}

fn line(service: &Relay, login: &SigningKey) -> Direct<Store> {
    Direct { service: Arc::clone(service), peer: login.verifying_key().into() }
}

fn root() -> PathBuf {
    PathBuf::from("/data")
}

fn relay_key() -> SigningKey {
    SigningKey::from_bytes(&[90; 32])
}

fn address() -> RelayAddress {
    let host = "relay.example:4433".parse().expect("a host");
    let key: PublicKey = relay_key().verifying_key().into();
    RelayAddress::new(key, vec![host]).expect("a sound key and a host")
}
