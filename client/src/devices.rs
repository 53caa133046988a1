//! The devices of whoever uses this one, in every committee.

use std::collections::BTreeSet;

use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::id::{DeviceId, TreeSize, UnixMillis};
use sealpost_protocol::roster::Standing;

use crate::error::Failure;
use crate::log::Log;
use crate::names;
use crate::names::Wanted;
use crate::vault::Read;
use crate::vault::committees::{Committee, Standing as Known};

/// A device of one's own in one committee.
#[derive(Debug)]
pub struct OwnDevice {
    /// The committee.
    pub known: Committee,
    /// The device.
    pub id: DeviceId,
    /// Whether it may act there.
    pub standing: Standing,
    /// Whether it is a spare, which nobody has in hand.
    pub is_spare: bool,
    /// Up to which size it last vouched for the log, and when to the hour, as far as is known here.
    pub vouched: Option<(TreeSize, UnixMillis)>,
}

/// The devices of this device's member in every committee it is in, ended ones included.
pub fn devices(vault: &Read<'_>, this: DeviceId) -> Result<Vec<OwnDevice>, Failure> {
    let mut found = Vec::new();
    for known in vault.committees()? {
        let log = Log::load(vault, known.no)?;
        let Some(fold) = log.fold() else { continue };
        let roster = fold.roster();
        let Some(own) = roster.device(this) else { continue };
        let marks = vault.cosignatures(known.no)?;
        for (id, _) in roster.devices_of(own.member) {
            let signer = Cosigner::Device(id).to_string();
            let mark = marks.iter().find(|mark| mark.signer == signer);
            found.push(OwnDevice {
                known: known.clone(),
                id,
                standing: roster.standing_of(id).unwrap_or(Standing::Active),
                is_spare: roster.is_spare(id),
                vouched: mark.map(|mark| (mark.size, mark.at)),
            });
        }
    }
    Ok(found)
}

/// The device of one's own that `typed` names, and the committees in which it has not ended.
pub fn device_named(
    vault: &Read<'_>,
    this: DeviceId,
    typed: &str,
) -> Result<(DeviceId, Vec<Committee>), Failure> {
    let wanted = Wanted::parse(typed, "DV")?;
    let all: BTreeSet<DeviceId> = devices(vault, this)?.into_iter().map(|one| one.id).collect();
    let device = wanted.one_of(all, ToString::to_string, names::device_ref)?;
    Ok((device, committees_of(vault, this, device)?))
}

/// The committees in which a device of one's own has not ended.
pub fn committees_of(
    vault: &Read<'_>,
    this: DeviceId,
    device: DeviceId,
) -> Result<Vec<Committee>, Failure> {
    let lasts = |one: &OwnDevice| {
        let is_it = one.id == device && one.known.standing == Known::Active;
        is_it && !matches!(one.standing, Standing::Ended(_))
    };
    Ok(devices(vault, this)?.into_iter().filter(lasts).map(|one| one.known).collect())
}

#[cfg(test)]
mod tests;
