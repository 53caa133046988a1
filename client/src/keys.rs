//! The epochs this device can open, and how it comes to them: by a grant, by a link from a later
//! epoch, or by a repair of either.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_protocol::card::RecipientBytes;
use sealpost_protocol::change::{Change, Grant, Recovery};
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::entry::{Header, UnverifiedEntry};
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::id::{Epoch, LeafIndex};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::limits;
use sealpost_protocol::seal::{EpochKeys, EpochSecret, PeerGrantError, open_grant};
use secrecy::ExposeSecret;

use crate::error::Failure;
use crate::names;
use crate::recovery;
use crate::vault::committees::CommitteeNo;
use crate::vault::entries::ROSTER;
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
            let Some(secret) = secret_of(vault, self.no, epoch)? else { return Ok(None) };
            self.ready.insert(epoch, EpochKeys::new(secret));
        }
        Ok(self.ready.get(&epoch))
    }

    /// The keys of an epoch that were asked for before, if this device holds it.
    pub fn ready(&self, epoch: Epoch) -> Option<&EpochKeys> {
        self.ready.get(&epoch)
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

    /// Takes what an admitted change gives this device. `header` is that of the change's entry.
    pub fn take(
        &mut self,
        vault: &Write<'_>,
        change: &Change,
        header: &Header,
    ) -> Result<(), Failure> {
        let before = header.epoch;
        match change {
            Change::Found(found) => self.take_grants(vault, &found.lock.grants, before.next()),
            Change::Lock(lock) => {
                let epoch = before.next();
                self.take_grants(vault, &lock.grants, epoch)?;
                match &lock.link {
                    Some(link) => self.check_link(vault, link, epoch, header),
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
            Change::Link(link) => self.check_link(vault, &link.file, link.epoch, header),
            Change::Recovery(recovery) => {
                self.check_share(recovery, header);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Goes back through the links from every epoch held, as far as they lead.
    pub fn follow_links(&mut self, vault: &Write<'_>) -> Result<(), Failure> {
        for epoch in (2..=self.fold.roster().epoch().0).rev().map(Epoch) {
            let before = Epoch(epoch.0 - 1);
            let held = |epoch| vault.epoch_secret(self.no, epoch).map(|found| found.is_some());
            let linked = self.fold.roster().lock_state(epoch).is_some_and(|lock| lock.linked);
            if !linked || !held(epoch)? || held(before)? {
                continue;
            }
            for link in self.links_in_log(vault, epoch)? {
                if self.take_link(vault, &link, epoch)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The links from `epoch` to the one before: the lock's own, then repairs, the newest first.
    fn links_in_log(&self, vault: &Read<'_>, epoch: Epoch) -> Result<Vec<Vec<u8>>, Failure> {
        let Some(lock) = self.fold.roster().lock_state(epoch) else { return Ok(Vec::new()) };
        let mut links = Vec::new();
        let mut before = LeafIndex(u64::MAX);
        while let Some((index, entry)) = last_roster_entry(vault, self.no, before)? {
            if index <= lock.at {
                break;
            }
            match change_of(entry.payload()) {
                Some(Change::Link(link)) if link.epoch == epoch => links.push(link.file.into()),
                _ => {}
            }
            before = index;
        }
        if let Some(Change::Lock(lock)) = change_of(entry_at(vault, self.no, lock.at)?.payload())
            && let Some(link) = lock.link
        {
            links.insert(0, link.into());
        }
        Ok(links)
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
        match open_grant(file, self.device.hybrid(), &lock.recipient) {
            Ok(secret) => self.store(vault, epoch, &secret),
            Err(error) => {
                self.fault(format!(
                    "The grant of lock {epoch} is broken: {error}. Ask any colleague who can read: \
                     sealpost member grant {} --lock {epoch}",
                    names::device_ref(&self.device.device_id())
                ));
                Ok(())
            }
        }
    }

    /// Takes the epoch before through a link, unless it is held. Whether it is held then.
    fn take_link(&mut self, vault: &Write<'_>, file: &[u8], epoch: Epoch) -> Result<bool, Failure> {
        let before = Epoch(epoch.0.saturating_sub(1));
        if vault.epoch_secret(self.no, before)?.is_some() {
            return Ok(true);
        }
        match self.opened_link(vault, file, epoch)? {
            Some(Ok(secret)) => self.store(vault, before, &secret).map(|()| true),
            Some(Err(_)) | None => Ok(false),
        }
    }

    /// Every holder checks a new link, whether or not it needs it: those who come later do.
    fn check_link(
        &mut self,
        vault: &Write<'_>,
        file: &[u8],
        epoch: Epoch,
        header: &Header,
    ) -> Result<(), Failure> {
        let before = Epoch(epoch.0.saturating_sub(1));
        match self.opened_link(vault, file, epoch)? {
            Some(Ok(secret)) => {
                vault.drop_broken_link(self.no, epoch)?;
                self.store(vault, before, &secret)
            }
            Some(Err(error)) => {
                if !self.leads_back(vault, epoch)? {
                    vault.put_broken_link(self.no, epoch)?;
                }
                let maker = names::device_ref(&header.author);
                self.fault(format!(
                    "The link of lock {before} in lock {epoch}, made by {maker}, is broken: {error}"
                ));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A helper says at once that its share is of no use, while the owner can still make a new one.
    fn check_share(&mut self, recovery: &Recovery, header: &Header) {
        if let Some(Err(error)) = recovery::given(self.device, self.fold.id(), recovery) {
            let owner = names::device_ref(&header.author);
            self.fault(format!(
                "The share that {owner} gave this device is of no use: {error}. Tell them: \
                 sealpost recovery set"
            ));
        }
    }

    /// Whether any link in the log leads from `epoch` to the one before.
    fn leads_back(&mut self, vault: &Read<'_>, epoch: Epoch) -> Result<bool, Failure> {
        for link in self.links_in_log(vault, epoch)? {
            if let Some(Ok(_)) = self.opened_link(vault, &link, epoch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a link leads to; nothing when this device does not hold the later epoch.
    fn opened_link(
        &mut self,
        vault: &Read<'_>,
        file: &[u8],
        epoch: Epoch,
    ) -> Result<Option<Result<EpochSecret, PeerGrantError>>, Failure> {
        let Some(expected) = self.recipient_of(Epoch(epoch.0.saturating_sub(1))) else {
            return Ok(None);
        };
        let keys = self.of(vault, epoch)?;
        Ok(keys.map(|keys| keys.open_link(file, &expected)))
    }

    fn recipient_of(&self, epoch: Epoch) -> Option<RecipientBytes> {
        self.fold.roster().lock_state(epoch).map(|lock| lock.recipient.clone())
    }

    fn store(
        &mut self,
        vault: &Write<'_>,
        epoch: Epoch,
        secret: &EpochSecret,
    ) -> Result<(), Failure> {
        if vault.epoch_secret(self.no, epoch)?.is_none() {
            vault.put_epoch_secret(self.no, epoch, &secret.identity().to_string())?;
            self.gained.insert(epoch);
        }
        Ok(())
    }
}

/// The secret of an epoch, if this device holds it.
pub fn secret_of(
    vault: &Read<'_>,
    no: CommitteeNo,
    epoch: Epoch,
) -> Result<Option<EpochSecret>, VaultError> {
    let Some(identity) = vault.epoch_secret(no, epoch)? else { return Ok(None) };
    let identity: Identity = identity
        .expose_secret()
        .parse()
        .map_err(|_| VaultError::Damaged("the secret of a lock does not read".to_owned()))?;
    Ok(Some(EpochSecret::generate(identity.seed())))
}

/// The verified entry at `index`.
pub fn entry_at(
    vault: &Read<'_>,
    no: CommitteeNo,
    index: LeafIndex,
) -> Result<UnverifiedEntry, VaultError> {
    let bytes = vault.entry(no, index)?.ok_or_else(damaged_entry)?;
    UnverifiedEntry::decode(&bytes).map_err(|_| damaged_entry())
}

/// The last verified roster entry before `index`, and its place.
pub fn last_roster_entry(
    vault: &Read<'_>,
    no: CommitteeNo,
    before: LeafIndex,
) -> Result<Option<(LeafIndex, UnverifiedEntry)>, VaultError> {
    let Some((index, bytes)) = vault.last_of_kind(no, ROSTER, before)? else { return Ok(None) };
    let entry = UnverifiedEntry::decode(&bytes).map_err(|_| damaged_entry())?;
    Ok(Some((index, entry)))
}

fn damaged_entry() -> VaultError {
    VaultError::Damaged("an entry of a committee's log does not read".to_owned())
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
        // One that waits for approvals names nobody yet.
        Change::Admit(admit) if admit.grants.is_empty() => return None,
        Change::Admit(admit) => (before, admit.label),
        Change::Label(label) => (before, label.sealed),
        Change::Approve(approve) => (before, approve.label?),
        _ => return None,
    };
    Some((epoch, label.into()))
}

#[cfg(test)]
mod tests;
