//! The epochs this device can open, and how it comes to them: by a grant, by a link from a later
//! epoch, or by a repair of either.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_protocol::change::{Change, Grant};
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::id::Epoch;
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::limits;
use sealpost_protocol::seal::{EpochKeys, EpochSecret, PeerGrantError, open_grant};
use secrecy::ExposeSecret;

use crate::error::Failure;
use crate::vault::committees::CommitteeNo;
use crate::vault::{Read, VaultError, Write};

/// The keys of one committee. Each epoch's are made once: that takes milliseconds.
pub struct Keys<'a> {
    device: &'a DeviceIdentity,
    no: CommitteeNo,
    fold: &'a Fold,
    ready: BTreeMap<Epoch, EpochKeys>,
    gained: BTreeSet<Epoch>,
    faults: Vec<String>,
}

impl<'a> Keys<'a> {
    /// The keys of committee `no`, whose log is folded in `fold`.
    pub fn new(device: &'a DeviceIdentity, no: CommitteeNo, fold: &'a Fold) -> Self {
        let (ready, gained, faults) = Default::default();
        Self { device, no, fold, ready, gained, faults }
    }

    /// This device.
    pub fn device(&self) -> &DeviceIdentity {
        self.device
    }

    /// The keys of an epoch, if this device holds it.
    pub fn of(&mut self, vault: &Read<'_>, epoch: Epoch) -> Result<Option<&EpochKeys>, Failure> {
        if !self.ready.contains_key(&epoch) {
            let Some(identity) = vault.epoch_secret(self.no, epoch)? else { return Ok(None) };
            let identity: Identity = identity.expose_secret().parse().map_err(|_| {
                VaultError::Damaged("the secret of a lock does not read".to_owned())
            })?;
            let secret = EpochSecret::generate(identity.seed());
            self.ready.insert(epoch, EpochKeys::new(secret));
        }
        Ok(self.ready.get(&epoch))
    }

    /// Epochs that came to be held since this was made.
    pub fn gained(&self) -> &BTreeSet<Epoch> {
        &self.gained
    }

    /// Notes what did not open as it should.
    pub fn fault(&mut self, words: String) {
        self.faults.push(words);
    }

    /// What did not open as it should, in words.
    pub fn into_faults(self) -> Vec<String> {
        self.faults
    }

    /// Takes what an admitted change gives this device. `before` is the epoch before it.
    pub fn take(
        &mut self,
        vault: &Write<'_>,
        change: &Change,
        before: Epoch,
    ) -> Result<(), Failure> {
        match change {
            Change::Found(found) => self.take_grants(vault, &found.lock.grants, before.next()),
            Change::Lock(lock) => {
                let epoch = before.next();
                self.take_grants(vault, &lock.grants, epoch)?;
                match &lock.link {
                    Some(link) => self.check_link(vault, link, epoch),
                    None => Ok(()),
                }
            }
            Change::Admit(admit) => self.take_grants(vault, &admit.grants, before),
            Change::Approve(approve) => self.take_grants(vault, &approve.grants, before),
            Change::Device(device) => {
                self.take_grants(vault, std::slice::from_ref(&device.grant), before)
            }
            Change::Grant(grant) if grant.device == self.device.device_id() => {
                self.take_grant(vault, &grant.file, grant.epoch)
            }
            Change::Link(link) => self.take_link(vault, &link.file, link.epoch),
            _ => Ok(()),
        }
    }

    /// Goes back through the links from every epoch held, as far as they lead.
    pub fn follow_links(&mut self, vault: &Write<'_>) -> Result<(), Failure> {
        for epoch in (2..=self.fold.roster().epoch().0).rev().map(Epoch) {
            let before = Epoch(epoch.0 - 1);
            let held = |epoch| vault.epoch_secret(self.no, epoch).map(|found| found.is_some());
            if !held(epoch)? || held(before)? {
                continue;
            }
            if let Some(link) = self.link_in_log(vault, epoch)? {
                self.take_link(vault, &link, epoch)?;
            }
        }
        Ok(())
    }

    fn link_in_log(&self, vault: &Read<'_>, epoch: Epoch) -> Result<Option<Vec<u8>>, Failure> {
        let lock = self.fold.roster().lock_state(epoch).filter(|lock| lock.linked);
        let Some(lock) = lock else { return Ok(None) };
        let damaged = || VaultError::Damaged("the entry of a lock does not read".to_owned());
        let bytes = vault.entry(self.no, lock.at)?.ok_or_else(damaged)?;
        let entry = UnverifiedEntry::decode(&bytes).map_err(|_| damaged())?;
        match change_of(entry.payload()) {
            Some(Change::Lock(lock)) => Ok(lock.link.map(Vec::from)),
            _ => Err(damaged().into()),
        }
    }

    fn take_grants(
        &mut self,
        vault: &Write<'_>,
        grants: &[Grant],
        epoch: Epoch,
    ) -> Result<(), Failure> {
        let own = self.device.device_id();
        match grants.iter().find(|grant| grant.device == own) {
            Some(grant) => self.take_grant(vault, &grant.file, epoch),
            None => Ok(()),
        }
    }

    fn take_grant(&mut self, vault: &Write<'_>, file: &[u8], epoch: Epoch) -> Result<(), Failure> {
        let Some(lock) = self.fold.roster().lock_state(epoch) else { return Ok(()) };
        let opened = open_grant(file, self.device.hybrid(), &lock.recipient);
        self.store(vault, epoch, opened, "grant")
    }

    fn take_link(&mut self, vault: &Write<'_>, file: &[u8], epoch: Epoch) -> Result<(), Failure> {
        let before = Epoch(epoch.0.saturating_sub(1));
        if vault.epoch_secret(self.no, before)?.is_some() {
            return Ok(());
        }
        let Some(lock) = self.fold.roster().lock_state(before) else { return Ok(()) };
        let expected = lock.recipient.clone();
        let Some(keys) = self.of(vault, epoch)? else { return Ok(()) };
        let opened = keys.open_link(file, &expected);
        self.store(vault, before, opened, "link")
    }

    /// Every holder checks a new link, whether or not it needs it: those who come later do.
    fn check_link(&mut self, vault: &Write<'_>, file: &[u8], epoch: Epoch) -> Result<(), Failure> {
        let before = Epoch(epoch.0 - 1);
        let Some(lock) = self.fold.roster().lock_state(before) else { return Ok(()) };
        let expected = lock.recipient.clone();
        let Some(keys) = self.of(vault, epoch)? else { return Ok(()) };
        let opened = keys.open_link(file, &expected);
        self.store(vault, before, opened, "link")
    }

    fn store(
        &mut self,
        vault: &Write<'_>,
        epoch: Epoch,
        opened: Result<EpochSecret, PeerGrantError>,
        what: &str,
    ) -> Result<(), Failure> {
        match opened {
            Ok(secret) => {
                if vault.epoch_secret(self.no, epoch)?.is_none() {
                    vault.put_epoch_secret(self.no, epoch, &secret.identity().to_string())?;
                    self.gained.insert(epoch);
                }
            }
            Err(error) => self.fault(format!("The {what} of lock {epoch} is broken: {error}")),
        }
        Ok(())
    }
}

/// A roster entry's payload as the change it is.
pub fn change_of(payload: Option<&[u8]>) -> Option<Change> {
    payload.and_then(|payload| codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).ok())
}

/// The label that a change brings, and the epoch it is sealed to. `before` is the epoch before it.
pub fn label_of(change: Change, before: Epoch) -> Option<(Epoch, Vec<u8>)> {
    let (epoch, label) = match change {
        Change::Found(found) => (before.next(), found.lock.label),
        Change::Lock(lock) => (before.next(), lock.label),
        Change::Admit(admit) => (before, admit.label),
        Change::Label(label) => (before, label.sealed),
        Change::Approve(approve) => (before, approve.label?),
        _ => return None,
    };
    Some((epoch, label.into()))
}

#[cfg(test)]
mod tests;
