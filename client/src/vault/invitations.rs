//! Invitations this device made, and who asks on them.

use rusqlite::{Row, params};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, InvitationId, UnixMillis};

use super::committees::CommitteeNo;
use super::sql::{int, millis, words};
use super::{Read, VaultError, Write};

words! {
    /// What became of an invitation, as far as this device did it. Used and expired follow from
    /// the relay and the clock.
    pub enum InvitationState {
        /// Not yet known to the relay.
        Making = "making",
        /// The relay has it.
        Open = "open",
        /// Cancelled at the relay.
        Cancelled = "cancelled",
    }
}

words! {
    /// What became of a join request.
    pub enum Asking {
        /// Waiting for its safety number to be compared.
        Asking = "asking",
        /// Admitted.
        Admitted = "admitted",
        /// Turned away.
        Refused = "refused",
    }
}

/// An invitation this device made.
#[derive(Clone)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The committee it leads to.
    pub committee: CommitteeNo,
    /// The invitation itself, secret included.
    pub text: String,
    /// The role it is for.
    pub role: String,
    /// How many it may admit.
    pub uses: u32,
    /// When it dies, by the relay's clock.
    pub expires: UnixMillis,
    /// When it was made.
    pub made: UnixMillis,
    /// What became of it.
    pub state: InvitationState,
}

/// Somebody asking to join, as opened here.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The device that asks.
    pub device: DeviceId,
    /// On which invitation.
    pub invitation: InvitationId,
    /// The opened request: card, random bytes, country.
    pub request: Vec<u8>,
    /// The handle it chose.
    pub handle: String,
    /// What both sides compare by voice.
    pub safety_number: String,
    /// What became of it.
    pub asking: Asking,
    /// When this device first saw it.
    pub seen: UnixMillis,
}

impl Read<'_> {
    /// All invitations, the oldest first.
    pub fn invitations(&self) -> Result<Vec<Invitation>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, committee, text, role, uses, expires_ms, made_ms, state
             FROM invitation ORDER BY made_ms, id",
        )?;
        let rows = statement.query_map([], invitation_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All join requests, the oldest first.
    pub fn join_requests(&self) -> Result<Vec<JoinRequest>, VaultError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT device, invitation, request, handle, safety_number, state, seen_ms
             FROM join_request ORDER BY seen_ms, device",
        )?;
        let rows = statement.query_map([], join_request_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Write<'_> {
    /// Stores an invitation, or what became of it.
    pub fn put_invitation(&self, invitation: &Invitation) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT INTO invitation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state",
            params![
                invitation.id.as_bytes(),
                invitation.committee.0,
                invitation.text,
                invitation.role,
                invitation.uses,
                int(invitation.expires.0),
                int(invitation.made.0),
                invitation.state,
            ],
        )?;
        Ok(())
    }

    /// Stores a join request. One device may make several, in other words each; one that was seen
    /// before keeps its state and its first sight.
    pub fn put_join_request(&self, request: &JoinRequest) -> Result<(), VaultError> {
        self.transaction.execute(
            "INSERT OR IGNORE INTO join_request VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                request.device.as_bytes(),
                request.invitation.as_bytes(),
                request.request,
                request.handle,
                request.safety_number,
                request.asking,
                int(request.seen.0),
            ],
        )?;
        Ok(())
    }

    /// Stores what became of a device's requests to one committee.
    pub fn set_asking(
        &self,
        committee: CommitteeNo,
        device: &DeviceId,
        asking: Asking,
    ) -> Result<(), VaultError> {
        self.transaction.execute(
            "UPDATE join_request SET state = ?3 WHERE device = ?2 AND invitation IN
             (SELECT id FROM invitation WHERE committee = ?1)",
            params![committee.0, device.as_bytes(), asking],
        )?;
        Ok(())
    }
}

fn invitation_of(row: &Row<'_>) -> rusqlite::Result<Invitation> {
    Ok(Invitation {
        id: InvitationId(Hash(row.get(0)?)),
        committee: CommitteeNo(row.get(1)?),
        text: row.get(2)?,
        role: row.get(3)?,
        uses: row.get(4)?,
        expires: millis(row.get(5)?),
        made: millis(row.get(6)?),
        state: row.get(7)?,
    })
}

fn join_request_of(row: &Row<'_>) -> rusqlite::Result<JoinRequest> {
    Ok(JoinRequest {
        device: DeviceId(Hash(row.get(0)?)),
        invitation: InvitationId(Hash(row.get(1)?)),
        request: row.get(2)?,
        handle: row.get(3)?,
        safety_number: row.get(4)?,
        asking: row.get(5)?,
        seen: millis(row.get(6)?),
    })
}
