//! What a rebuilt spare does: it lets its owner's new device in, and ends every older one and itself.

use data_encoding::HEXLOWER;
use sealpost_protocol::frame::HeadState;
use sealpost_protocol::id::{DeviceId, MemberNumber};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::roster::{Roster, Standing};

use crate::app::App;
use crate::changes::Intent;
use crate::cutoff;
use crate::error::{Failure, Kind as Error};
use crate::lie::FollowError;
use crate::log::Log;
use crate::names;
use crate::outbox::{self, intent_of};
use crate::proposals;
use crate::pull::{self, Brought};
use crate::push;
use crate::relay;
use crate::sync;
use crate::transport::Connection;
use crate::vault::committees::{Committee, CommitteeNo};
use crate::vault::outbox::What;

/// As the spare: lets this device in, and ends every older one and itself.
pub(super) async fn act(
    app: &mut App,
    known: &Committee,
    spare: DeviceIdentity,
    handle: &str,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    let card = app.device.card();
    let card_hex = HEXLOWER.encode(card.as_bytes());
    let new = NewDevice { id: card.device(), card: card_hex, handle };
    let acting = Acting::begin(app, spare);
    let connection = relay::connect(acting.app, &relay::address_of(&known.relay)?).await?;
    let done = act_on(acting.app, &connection, known, &new, brought).await;
    connection.close().await;
    // In words while it is still the spare that they are about.
    done.map_err(|error| error.told(acting.app, known).into())
}

/// As the spare: takes what has come, if it still may. A spare that ended is no failure.
pub(super) async fn follow(
    app: &mut App,
    known: &Committee,
    spare: DeviceIdentity,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    let acting = Acting::begin(app, spare);
    let connection = relay::connect(acting.app, &relay::address_of(&known.relay)?).await?;
    let followed = pull::follow(acting.app, &connection, known.no).await;
    connection.close().await;
    match followed {
        Ok(new) => brought.add(new),
        Err(FollowError::Failed(_)) => {}
        Err(caught) => return Err(caught.told(acting.app, known).into()),
    }
    Ok(())
}

struct NewDevice<'a> {
    id: DeviceId,
    /// Its card in hex.
    card: String,
    /// How its owner says to be called.
    handle: &'a str,
}

async fn act_on(
    app: &mut App,
    connection: &Connection,
    known: &Committee,
    new: &NewDevice<'_>,
    brought: &mut Brought,
) -> Result<(), FollowError> {
    for state in sync::heads(connection, &[known]).await? {
        // The spare ended with a helper, or stands still with its owner.
        if let HeadState::NotActive(shown) = state {
            return Err(cutoff::told(app, known, &shown));
        }
    }
    brought.add(pull::follow(app, connection, known.no).await?);
    let spare = app.device.device_id();
    let wanted = first_acts(app, known, spare, new)?;
    save_new(app, known.no, wanted)?;
    brought.add(push::send(app, connection, known.no).await?);
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    if log.pulled()?.roster().is_active(new.id) {
        save_new(app, known.no, vec![end_of(spare)])?;
        brought.add(push::send(app, connection, known.no).await?);
    }
    Ok(())
}

/// The admission of the new device, and the end of every other one but the spare.
fn first_acts(
    app: &App,
    known: &Committee,
    spare: DeviceId,
    new: &NewDevice<'_>,
) -> Result<Vec<Intent>, Failure> {
    let log = app.vault.read(|vault| Log::load(vault, known.no))?;
    let roster = log.pulled()?.roster();
    let Some(owner) = roster.device(spare).filter(|_| roster.is_spare(spare)) else {
        return Err(no_spare(known));
    };
    must_be(&log.known, owner.member, new.handle)?;
    let mut older = older_than(roster, owner.member, &[new.id, spare]);
    // Whoever has an older one could end the new one by it: the older first. But the last coordinator is
    // never without a device that somebody has.
    let coordinators = roster.active_coordinators();
    let is_last = coordinators.len() == 1 && coordinators.contains(&owner.member);
    let kept = older.iter().position(|device| is_last && roster.is_active(*device));
    let kept = kept.map(|at| older.remove(at));
    let mut wanted: Vec<Intent> = older.into_iter().map(end_of).collect();
    let waits = proposals::of_device(roster, new.id, app.clock.now()).is_some();
    if roster.device(new.id).is_none() && !waits {
        wanted.push(Intent::Device { card: new.card.clone() });
    }
    wanted.extend(kept.map(end_of));
    Ok(wanted)
}

/// Helpers who send shares of another's spare would have whoever comes back act as that other. Where the
/// names do not open, nobody can tell.
fn must_be(known: &Committee, owner: MemberNumber, handle: &str) -> Result<(), Failure> {
    let label = names::label(known)?;
    let Some(member) = label.as_ref().and_then(|label| label.members.get(&owner)) else {
        return Ok(());
    };
    if names::is_same_handle(&member.handle, handle) {
        return Ok(());
    }
    let called = &member.handle;
    Err(Failure::new(Error::Verification, format!("The shares bring back {called}, not {handle}"))
        .safe("Nothing was changed.")
        .next("If that is you: sealpost recovery claim --handle NAME. If not, tell a coordinator."))
}

/// The devices of a member that have not ended, but these.
pub(super) fn older_than(roster: &Roster, member: MemberNumber, but: &[DeviceId]) -> Vec<DeviceId> {
    let lasts = |id: &DeviceId| !matches!(roster.standing_of(*id), Some(Standing::Ended(_)));
    let others = roster.devices_of(member).map(|(id, _)| id);
    others.filter(|id| !but.contains(id) && lasts(id)).collect()
}

pub(super) fn end_of(device: DeviceId) -> Intent {
    Intent::Retire { device: device.to_string() }
}

/// Saves what is not saved yet.
pub(super) fn save_new(app: &mut App, no: CommitteeNo, wanted: Vec<Intent>) -> Result<(), Failure> {
    let saved: Vec<Intent> = app
        .vault
        .read(|vault| vault.unsent(no))?
        .iter()
        .filter(|draft| draft.new.what == What::Roster)
        .map(intent_of)
        .collect::<Result<_, _>>()?;
    let new: Vec<_> =
        wanted.into_iter().filter(|it| !saved.contains(it)).map(|it| (no, it)).collect();
    outbox::save_intents(app, &new).map(drop)
}

pub(super) fn no_spare(known: &Committee) -> Failure {
    let reference = names::committee_ref(&known.id);
    Failure::new(Error::NotAllowed, format!("The spare for {reference} has ended"))
        .safe("Nothing was changed.")
        .next("Ask a coordinator for an invitation, as somebody new: sealpost join")
}

/// The app as another device, until it is dropped.
struct Acting<'a> {
    app: &'a mut App,
    own: Option<DeviceIdentity>,
}

impl<'a> Acting<'a> {
    fn begin(app: &'a mut App, device: DeviceIdentity) -> Self {
        let own = Some(std::mem::replace(&mut app.device, device));
        Self { app, own }
    }
}

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            self.app.device = own;
        }
    }
}

#[cfg(test)]
mod tests;
