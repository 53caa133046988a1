//! Invitations and join requests, as notes.
//!
//! An invitation stands under `invite/<committee>/<id>`, its join requests under
//! `join/<committee>/<id>/<hash of the request>`, and what its maker answers to one of them under
//! `answer/<committee>/<id>/<hash of the request>`, until all of it goes together. The relay holds
//! only the hash of what a joiner must show, and a dead invitation is answered like one that never
//! was.

use std::time::Instant;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use sealpost_protocol::change::Role;
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::frame::{
    AnswerRequest, Answered, Empty, InviteAction, InviteRequest, JoinOf, OpenInvitation, Reply,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, DeviceId, InvitationId, UnixMillis};
use sealpost_protocol::invitation::{KeptJoinRequest, SealedJoinRequest};
use sealpost_protocol::limits;
use sealpost_protocol::sign::PublicKey;

use super::log::Activity;
use super::{Denied, Service, Standing, note, store_code};
use crate::limits::{INVITATION_REMEMBERED, JOIN_REQUESTS_COMMITTEE_MAX, MEMBER_INVITATIONS_MAX};
use crate::store::{BlobStore, Commit, CommitError, LogStore, NoteStore};

const JOINS: &[u8] = b"join/";
const ANSWERS: &[u8] = b"answer/";

/// An invitation as it stands in the notes.
#[derive(Clone, Copy, Debug, Encode, Decode)]
#[cbor(map)]
struct Invitation {
    #[n(0)]
    committee: CommitteeId,
    /// Only this device is shown who asks.
    #[n(1)]
    maker: DeviceId,
    #[n(2)]
    open: OpenInvitation,
}

impl<S: LogStore + NoteStore + BlobStore> Service<S> {
    /// Makes, lists or cancels invitations; answers with those of the asking device.
    pub(super) async fn invite(
        &self,
        peer: PublicKey,
        request: InviteRequest,
    ) -> Result<Reply, Denied> {
        let standing = self.standing(peer, request.committee).await?;
        let mut known = self.invitations(standing.committee).await?;
        match request.action {
            InviteAction::List(_) => {}
            InviteAction::New(open) => {
                check_own(&standing, &open, &known)?;
                self.pace.note(peer, Instant::now())?;
                self.open_invitation(&standing, open, &mut known).await?;
            }
            InviteAction::Cancel(id) => {
                self.pace.note(peer, Instant::now())?;
                let mine = |held: &Invitation| held.open.id == id && held.maker == standing.device;
                let at = known.iter().position(mine).ok_or(Code::NotFound)?;
                let cancelled = known.swap_remove(at);
                self.forget_invitations(&[cancelled]).await?;
            }
        }
        let now = (self.clock)();
        let mine = known
            .into_iter()
            .filter(|held| held.maker == standing.device && held.open.expires > now)
            .map(|held| held.open)
            .collect();
        Ok(Reply::Invitations(mine))
    }

    async fn open_invitation(
        &self,
        standing: &Standing,
        open: OpenInvitation,
        known: &mut Vec<Invitation>,
    ) -> Result<(), Code> {
        let now = (self.clock)();
        // What ended is kept for its maker only while it takes nobody's place.
        let waiting = self.scan(&committee_joins_prefix(standing.committee)).await?.len();
        let full = known.len() >= limits::INVITATIONS_MAX || waiting >= JOIN_REQUESTS_COMMITTEE_MAX;
        let ended =
            |held: &Invitation| is_forgotten(&held.open, now) || (full && held.open.expires <= now);
        let (dead, alive) = known.drain(..).partition(ended);
        *known = alive;
        self.forget_invitations(&dead).await?;
        if known.len() >= limits::INVITATIONS_MAX {
            return Err(Code::TooMany);
        }
        if open.expires <= now || open.uses == 0 || open.uses > limits::INVITATION_USES_MAX {
            return Err(Code::Malformed);
        }
        let committee = standing.committee;
        let invitation = Invitation { committee, maker: standing.device, open };
        let key = invitation_key(committee, open.id);
        let index = id_key(open.id);
        // The same request sent again changes nothing.
        if known.iter().any(|held| held.open.id == open.id && held.maker == standing.device) {
            return Ok(());
        }
        self.commit(Commit {
            require: vec![(index.clone(), None)],
            put: vec![(key, note(&invitation)), (index, note(&committee))],
            delete: Vec::new(),
        })
        .await?;
        known.push(invitation);
        Ok(())
    }

    /// Takes a join request from whoever shows a living invitation's value.
    pub(super) async fn join(&self, request: SealedJoinRequest) -> Result<Reply, Code> {
        let dead = Code::NotFound;
        let id = *request.invitation();
        let committee: CommitteeId = self.get(&id_key(id)).await?.ok_or(dead)?;
        let key = invitation_key(committee, id);
        let held = self.store.get(&key).await.map_err(|error| store_code(&error))?.ok_or(dead)?;
        let mut invitation: Invitation = decode(&held)?;
        if request.access_hash() != invitation.open.access_hash {
            return Err(dead);
        }
        let bytes = codec::encode(&request.into_kept());
        let prefix = joins_prefix(committee, id);
        let request_key = join_key(committee, id, Hash::of(&bytes));
        let asked_before: Option<KeptJoinRequest> = self.get(&request_key).await?;
        if asked_before.is_some() {
            return self.answered(&request_key).await;
        }
        // Whoever was cut off may be in others' hands, with the secret that opens the request.
        let maker = self.live_log(committee).await?.activity(invitation.maker).await?;
        let room = match maker {
            Activity::Active(Role::Coordinator) => JOIN_REQUESTS_COMMITTEE_MAX,
            Activity::Active(Role::Member | Role::Reader) => JOIN_REQUESTS_COMMITTEE_MAX / 2,
            Activity::Inactive(_) | Activity::Unknown => return Err(dead),
        };
        let waiting = self.scan(&committee_joins_prefix(committee)).await?;
        let on_this = waiting.iter().filter(|(key, _)| key.starts_with(&prefix)).count();
        if invitation.open.expires <= (self.clock)() || invitation.open.uses == 0 {
            return Err(dead);
        }
        if on_this >= limits::JOIN_REQUESTS_MAX || waiting.len() >= room {
            return Err(Code::TooMany);
        }
        invitation.open.uses -= 1;
        self.commit(Commit {
            require: vec![(key.clone(), Some(held))],
            put: vec![(key, note(&invitation)), (request_key, Bytes::from(bytes))],
            delete: Vec::new(),
        })
        .await?;
        Ok(Reply::Done(Empty {}))
    }

    /// What a joiner who asks again is told.
    async fn answered(&self, join_key: &[u8]) -> Result<Reply, Code> {
        let key = answer_to(join_key);
        let held = self.store.get(&key).await.map_err(|error| store_code(&error))?;
        Ok(match held {
            Some(file) => Reply::Answered(Answered { file: file.to_vec().into() }),
            None => Reply::Done(Empty {}),
        })
    }

    /// Keeps what an invitation's maker answers to somebody who asked with it, in the place of what
    /// it answered before.
    pub(super) async fn answer(
        &self,
        peer: PublicKey,
        request: AnswerRequest,
    ) -> Result<Reply, Denied> {
        let Standing { committee, device, .. } = self.standing(peer, request.committee).await?;
        if request.file.len() > limits::ANSWER_BYTES_MAX {
            return Err(Code::TooLarge.into());
        }
        let id = request.invitation;
        let invitation: Option<Invitation> = self.get(&invitation_key(committee, id)).await?;
        let asked = join_key(committee, id, request.request);
        let held = self.store.get(&asked).await.map_err(|error| store_code(&error))?;
        if held.is_none() || invitation.is_none_or(|invitation| invitation.maker != device) {
            return Err(Code::NotFound.into());
        }
        self.pace.note(peer, Instant::now())?;
        let file = Bytes::from(Vec::from(request.file));
        self.commit(Commit {
            put: vec![(answer_to(&asked), file)],
            // Or the invitation ended meanwhile, and nothing would take the answer away.
            require: vec![(asked, held)],
            delete: Vec::new(),
        })
        .await?;
        Ok(Reply::Done(Empty {}))
    }

    /// The join requests on the asking device's invitations.
    pub(super) async fn joins(
        &self,
        peer: PublicKey,
        committee: CommitteeId,
    ) -> Result<Reply, Denied> {
        let standing = self.standing(peer, committee).await?;
        let _leave = self.pace.answer(peer)?;
        let mut joins = Vec::new();
        for invitation in self.invitations(committee).await? {
            if invitation.maker == standing.device {
                let waiting = self.scan(&joins_prefix(committee, invitation.open.id)).await?;
                for (_, bytes) in waiting {
                    let request = decode(&bytes)?;
                    joins.push(JoinOf { invitation: invitation.open.id, request });
                }
            }
        }
        Ok(Reply::Joins(joins))
    }

    async fn invitations(&self, committee: CommitteeId) -> Result<Vec<Invitation>, Code> {
        let prefix = [b"invite/".as_slice(), committee.as_bytes(), b"/"].concat();
        self.scan(&prefix).await?.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    async fn forget_invitations(&self, dead: &[Invitation]) -> Result<(), Code> {
        let mut delete = Vec::new();
        for invitation in dead {
            let Invitation { committee, open, .. } = invitation;
            delete.push(invitation_key(*committee, open.id));
            delete.push(id_key(open.id));
            for (join, _) in self.scan(&joins_prefix(*committee, open.id)).await? {
                // Whether there is one or not: one that is on its way would be left behind.
                delete.push(answer_to(&join));
                delete.push(join);
            }
        }
        if delete.is_empty() {
            return Ok(());
        }
        self.commit(Commit { delete, ..Commit::default() }).await
    }

    async fn get<T>(&self, key: &[u8]) -> Result<Option<T>, Code>
    where
        T: for<'b> Decode<'b, ()> + Encode<()>,
    {
        let held = self.store.get(key).await.map_err(|error| store_code(&error))?;
        held.map(|bytes| decode(&bytes)).transpose()
    }

    async fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>, Code> {
        self.store.scan(prefix).await.map_err(|error| store_code(&error))
    }

    async fn commit(&self, commit: Commit) -> Result<(), Code> {
        self.store.commit(commit).await.map_err(|error| match error {
            // Somebody else was quicker; asking again finds what is so now.
            CommitError::RequireFailed { .. } => Code::Busy,
            CommitError::LocalSize => Code::Full,
            CommitError::Store(error) => store_code(&error),
        })
    }
}

/// Who is no coordinator invites the next device of their own: one for each invitation, and only a few
/// at a time. Half of all places are the coordinators', whatever the others do.
fn check_own(standing: &Standing, open: &OpenInvitation, known: &[Invitation]) -> Result<(), Code> {
    if standing.role == Role::Coordinator {
        return Ok(());
    }
    if open.uses != 1 {
        return Err(Code::NotEntitled);
    }
    let others = |held: &&Invitation| held.maker == standing.device && held.open.id != open.id;
    let is_full = known.len() >= limits::INVITATIONS_MAX / 2;
    if is_full || known.iter().filter(others).count() >= MEMBER_INVITATIONS_MAX {
        return Err(Code::TooMany);
    }
    Ok(())
}

/// Whether an invitation ended so long ago that nobody asks for those who asked on it.
pub(super) fn is_forgotten(open: &OpenInvitation, now: UnixMillis) -> bool {
    let remembered = u64::try_from(INVITATION_REMEMBERED.as_millis()).unwrap_or(u64::MAX);
    open.expires.0.saturating_add(remembered) <= now.0
}

fn invitation_key(committee: CommitteeId, id: InvitationId) -> Vec<u8> {
    [b"invite/".as_slice(), committee.as_bytes(), b"/", id.as_bytes()].concat()
}

/// Finds the committee of an invitation: a joiner names only the invitation.
fn id_key(id: InvitationId) -> Vec<u8> {
    [b"invited/".as_slice(), id.as_bytes()].concat()
}

fn joins_prefix(committee: CommitteeId, id: InvitationId) -> Vec<u8> {
    [committee_joins_prefix(committee).as_slice(), id.as_bytes(), b"/"].concat()
}

fn join_key(committee: CommitteeId, id: InvitationId, request: Hash) -> Vec<u8> {
    [joins_prefix(committee, id).as_slice(), request.as_bytes()].concat()
}

/// Where the answer to a join request stands: as the request does.
fn answer_to(join_key: &[u8]) -> Vec<u8> {
    [ANSWERS, &join_key[JOINS.len()..]].concat()
}

fn committee_joins_prefix(committee: CommitteeId) -> Vec<u8> {
    [JOINS, committee.as_bytes(), b"/"].concat()
}

fn decode<T>(bytes: &[u8]) -> Result<T, Code>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    codec::decode(bytes, bytes.len()).map_err(|error| {
        tracing::error!(%error, "a note does not decode");
        Code::Stopped
    })
}
