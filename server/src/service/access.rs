//! Who may know of a log, and what those are told who no longer may.

use std::sync::{Arc, PoisonError};

use sealpost_protocol::change::Role;
use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{NotActive, Refused, Reply};
use sealpost_protocol::id::{CommitteeId, DeviceId, LeafIndex, TreeSize};
use sealpost_protocol::roster::Device;
use sealpost_protocol::sign::PublicKey;

use super::log::{Activity, Log};
use super::{Service, read, store_code};
use crate::store::{BlobStore, LogStore, NoteStore};

/// A device that may act in a log, and the log.
pub(super) struct Standing {
    pub(super) committee: CommitteeId,
    pub(super) device: DeviceId,
    pub(super) role: Role,
    pub(super) log: Arc<Log>,
}

/// Why a request is not answered as it was asked.
#[derive(Debug)]
pub(super) enum Denied {
    /// In one word.
    Code(Code),
    /// The device stands in the roster, suspended or ended; with what did it.
    NotActive(Box<NotActive>),
}

impl From<Code> for Denied {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

impl From<Denied> for Reply {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Code(code) => Self::Refused(Refused { code }),
            Denied::NotActive(why) => Self::NotActive(*why),
        }
    }
}

impl<S: LogStore + NoteStore + BlobStore> Service<S> {
    /// Whether `peer` stands in any roster here.
    pub fn knows(&self, peer: PublicKey) -> bool {
        read(&self.access).contains_key(&peer)
    }

    /// The device `peer` is in this log, when it may act in it.
    pub(super) async fn standing(
        &self,
        peer: PublicKey,
        committee: CommitteeId,
    ) -> Result<Standing, Denied> {
        let device = read(&self.access)
            .get(&peer)
            .and_then(|logs| logs.get(&committee))
            .copied()
            .ok_or(Code::NotFound)?;
        let log = self.live_log(committee).await?;
        match log.activity(device).await? {
            Activity::Active(role) => Ok(Standing { committee, device, role, log }),
            Activity::Inactive(since) => Err(self.why_not(&log, committee, since).await?),
            // What brought it in never reached the disk.
            Activity::Unknown => Err(Code::NotFound.into()),
        }
    }

    /// Shows the entry that suspended or ended a device, once it is durable: nobody is shown what
    /// the disk may yet lose, or what this relay has not signed for.
    async fn why_not(
        &self,
        log: &Log,
        committee: CommitteeId,
        index: LeafIndex,
    ) -> Result<Denied, Code> {
        let head = log.durable(TreeSize(index.0 + 1)).await?;
        let store = self.store.as_ref();
        let read = store.read(committee, index, 0).await.map_err(|error| store_code(&error))?;
        let entry = read.first().ok_or(Code::Stopped)?.to_vec().into();
        let proof = log.inclusion(store, index, head.size).ok_or(Code::Stopped)?;
        let checkpoint = head.note.to_string();
        Ok(Denied::NotActive(Box::new(NotActive { entry, index, proof, checkpoint })))
    }

    /// Lets every device in the roster know of the log, and cuts off those who may no longer: an
    /// append that failed may have reached the disk, with nobody there to see to it.
    pub(super) fn install(&self, committee: CommitteeId, log: &Arc<Log>) {
        self.logs.write().unwrap_or_else(PoisonError::into_inner).insert(committee, log.clone());
        self.open_access(committee, log);
        let inactive: Vec<PublicKey> = log.with_fold(|fold| {
            let roster = fold.roster();
            let inactive = roster.devices().filter(|(id, _)| !roster.is_active(*id));
            inactive.map(|(_, device)| login_key(device)).collect()
        });
        for key in inactive {
            self.cut_offs.cut(key);
        }
    }

    /// Lets every device in the roster know of the log.
    pub(super) fn open_access(&self, committee: CommitteeId, log: &Log) {
        let devices: Vec<(PublicKey, DeviceId)> = log.with_fold(|fold| {
            fold.roster().devices().map(|(id, device)| (login_key(device), id)).collect()
        });
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        for (key, device) in devices {
            access.entry(key).or_default().insert(committee, device);
        }
    }
}

/// What the device logs in with.
pub(super) fn login_key(device: &Device) -> PublicKey {
    (*device.card.login_key()).into()
}
