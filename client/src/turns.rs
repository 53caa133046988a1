//! What is to go first of what waits, and what this device does for a committee without being asked.

use sealpost_protocol::change::Role;
use sealpost_protocol::committee::Committee as Fold;
use sealpost_protocol::id::{DeviceId, UnixMillis};

use crate::changes::Intent;
use crate::error::Failure;
use crate::outbox::{intent_of, put_intent};
use crate::vault::committees::CommitteeNo;
use crate::vault::outbox::{Draft, What};
use crate::vault::{Read, VaultError, Write};

/// What waits, in the order in which it is to go: suspensions before anything else, then a lock that
/// is due, then everything as it was written. Records wait for a lock that is due.
pub fn in_turn(
    vault: &Write<'_>,
    no: CommitteeNo,
    fold: &Fold,
    device: DeviceId,
    now: UnixMillis,
) -> Result<Vec<Draft>, Failure> {
    let waiting = vault.unsent(no)?;
    for intent in owed(vault, no, fold, device, &waiting)? {
        put_intent(vault, no, &intent, now)?;
    }
    let due = fold.roster().lock_pending();
    let mut turns = Vec::new();
    for draft in vault.unsent(no)? {
        let turn = match draft.new.what {
            What::Record if due => continue,
            What::Record => Turn::AsWritten,
            What::Roster => match intent_of(&draft)? {
                Intent::Suspend { .. } => Turn::CutOff,
                Intent::Lock { .. } if due => Turn::DueLock,
                _ => Turn::AsWritten,
            },
        };
        turns.push((turn, draft));
    }
    turns.sort_by_key(|(turn, draft)| (*turn, draft.no));
    Ok(turns.into_iter().map(|(_, draft)| draft).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    CutOff,
    DueLock,
    AsWritten,
}

/// What this device does for the committee without being asked: it changes a lock that is due, when
/// it coordinates or has records to send, and a coordinator's grants what a device lacks.
fn owed(
    vault: &Read<'_>,
    no: CommitteeNo,
    fold: &Fold,
    device: DeviceId,
    waiting: &[Draft],
) -> Result<Vec<Intent>, Failure> {
    let roster = fold.roster();
    let role = roster.role_of(device);
    if role.is_none() || vault.epoch_secret(no, roster.epoch())?.is_none() {
        return Ok(Vec::new());
    }
    let coordinates = role == Some(Role::Coordinator);
    let wanted: Vec<Intent> = waiting
        .iter()
        .filter(|draft| draft.new.what == What::Roster)
        .map(intent_of)
        .collect::<Result<_, _>>()?;
    if roster.lock_pending() {
        let has_records = waiting.iter().any(|draft| draft.new.what == What::Record);
        let saved = wanted.iter().any(|intent| matches!(intent, Intent::Lock { .. }));
        let owes = (coordinates || has_records) && !saved;
        return Ok(owes.then_some(DUE_LOCK).into_iter().collect());
    }
    let lacking = roster.ungranted().filter(|lacking| *lacking != device);
    let grant = |lacking: DeviceId| Intent::Grant {
        device: lacking.to_string(),
        epoch: roster.epoch().0,
        again: false,
    };
    let grants = lacking.map(grant).filter(|grant| coordinates && !wanted.contains(grant));
    Ok(grants.collect())
}

/// A lock that whoever comes first makes.
const DUE_LOCK: Intent = Intent::Lock { withhold: false, if_pending: true };

/// Whether a draft is a suspension.
pub fn is_cut_off(draft: &Draft) -> bool {
    draft.new.what == What::Roster && draft.new.kind == Intent::SUSPEND
}

/// Whether a suspension waits to be sent.
pub fn cut_off_waits(vault: &Read<'_>, no: CommitteeNo) -> Result<bool, VaultError> {
    Ok(vault.unsent(no)?.iter().any(is_cut_off))
}
