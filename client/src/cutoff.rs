//! This device was cut off, says the relay: held against the log before it is believed.
//!
//! The entry must be signed by whom it names, be about this device, and stand in a log that the relay
//! signed for. Whether its author was entitled to it is seen once this device is let in again and
//! verifies what it was not shown; till then the relay is bound to the note it showed.

use sealpost_protocol::change::{Change, Remove, Retire, Suspend, Target};
use sealpost_protocol::checkpoint::SignedCheckpoint;
use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::frame::NotActive;
use sealpost_protocol::id::{DeviceId, MemberNumber};
use sealpost_protocol::roster::{Proposed, Roster};
use sealpost_protocol::tree;

use crate::app::App;
use crate::error::{Failure, Kind as Error};
use crate::join::Opening;
use crate::keys;
use crate::lie::{Caught, FollowError, Lie};
use crate::log::Log;
use crate::names::{self, People};
use crate::ui::time;
use crate::vault::ahead::Ahead;
use crate::vault::committees::Committee;

/// What the relay showed, as a failure: the truth about this device, or the relay's lie.
pub fn told(app: &mut App, known: &Committee, shown: &NotActive) -> FollowError {
    match verified(app, known, shown) {
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}

fn verified(app: &mut App, known: &Committee, shown: &NotActive) -> Result<Failure, FollowError> {
    let own = app.device.device_id();
    let (log, people) = app.vault.read(|vault| {
        Ok::<_, Failure>((Log::load(vault, known.no)?, People::load(vault, known.no)?))
    })?;
    let note = log.verify_note(&shown.checkpoint)?;
    if let Some(caught) = app.vault.read(|vault| log.held_against(vault, &note))? {
        return Err(caught.into());
    }
    let caught = |lie: Lie| Caught::from(lie).note(note.text()).entry(&shown.entry);
    let entry = in_log(&note, shown).map_err(caught)?;
    let (header, leaf) = (entry.header().clone(), entry.leaf());
    if header.committee != known.id {
        return Err(caught(Lie::CutOffEntry).into());
    }
    let change = keys::change_of(entry.payload()).ok_or_else(|| caught(Lie::CutOffEntry))?;
    let mut by = names::device_ref(&header.author).to_string();
    if !cuts_off(&change) {
        return Err(caught(Lie::CutOffEntry).into());
    }
    if let Some(roster) = log.fold().map(sealpost_protocol::committee::Committee::roster) {
        if !is_about(&change, roster, own) && !ends_spare(&change, roster, own) {
            return Err(caught(Lie::CutOffEntry).into());
        }
        // It was let in again behind that entry, in what this relay showed itself.
        if shown.index.0 < log.size().0 && roster.is_active(own) {
            return Err(caught(Lie::CutOffOver).into());
        }
        // Whoever came in since this device was last served is not known here.
        if let Some(key) = roster.signing_key(header.author) {
            entry.verify(key).map_err(|_| caught(Lie::CutOffEntry))?;
            by = people.name(&header.author);
        }
    }
    let (size, text) = (note.checkpoint().size, note.text().to_owned());
    app.vault.write(|vault| {
        // A device that retires itself is cut off before it hears that it was taken.
        vault.remove_sent(known.no, &leaf)?;
        match size > log.size() {
            true => vault.put_ahead(known.no, &Ahead { size, note: text }),
            false => Ok(()),
        }
    })?;
    // Who comes back by a spare acts as it.
    let claims = matches!(Opening::of(&log.known)?, Some(Opening::Claim(_)));
    let (who, done) = match claims {
        true => ("Your spare", "stopped"),
        false => ("This device", done(&change)),
    };
    let what = format!(
        "{who} was {done} in {} by {by}, entry {}, {}",
        names::committee_ref(&known.id),
        shown.index,
        time::rfc3339(header.made_at),
    );
    Ok(Failure::new(Error::NotAllowed, what)
        .safe("What was pulled before can be read here; what waits to be sent stays in the vault.")
        .next("Call a coordinator of the committee."))
}

/// The entry, once it is proven to be in a log that the relay signed for.
fn in_log(note: &SignedCheckpoint, shown: &NotActive) -> Result<UnverifiedEntry, Lie> {
    let index = shown.index;
    let entry =
        UnverifiedEntry::decode(&shown.entry).map_err(|error| Lie::Entry { index, error })?;
    let tree = note.checkpoint();
    tree::verify_inclusion(&entry.leaf(), index, tree.size, &shown.proof, &tree.root)
        .map_err(Lie::CutOffProof)?;
    Ok(entry)
}

/// Whether a change is of a kind that cuts anybody off.
fn cuts_off(change: &Change) -> bool {
    matches!(
        change,
        Change::Suspend(_)
            | Change::Retire(_)
            | Change::Remove(_)
            | Change::Approve(_)
            | Change::Recovery(_)
    )
}

/// Whether a change can have cut a device off.
fn is_about(change: &Change, roster: &Roster, own: DeviceId) -> bool {
    let member = roster.device(own).map(|device| device.member);
    let is_own = |number: MemberNumber| member == Some(number);
    match change {
        Change::Suspend(Suspend { target: Target::Member(number) }) => is_own(*number),
        Change::Suspend(Suspend { target: Target::Device(device) })
        | Change::Retire(Retire { device }) => *device == own,
        Change::Remove(Remove { member }) => is_own(*member),
        Change::Approve(approve) => match roster.proposal(approve.entry) {
            Some(proposal) => matches!(proposal.change, Proposed::Remove(number) if is_own(number)),
            // Proposed since this device was last served.
            None => true,
        },
        _ => false,
    }
}

/// Whether a change can have ended a spare with one of its helpers, or put another in its place.
fn ends_spare(change: &Change, roster: &Roster, own: DeviceId) -> bool {
    let mut spares = roster.spares().map(|(_, spare)| spare);
    let Some(spare) = spares.find(|spare| spare.device == own) else { return false };
    let of_helper = |helper: &DeviceId| is_about(change, roster, *helper);
    matches!(change, Change::Recovery(_)) || spare.helpers.iter().any(of_helper)
}

fn done(change: &Change) -> &'static str {
    match change {
        Change::Suspend(_) => "suspended",
        Change::Retire(_) => "retired",
        _ => "removed",
    }
}

#[cfg(test)]
mod tests;
