//! Cosignatures: kept singly, the newest of each device, served to the committee.

use std::time::Instant;

use bytes::Bytes;
use sealpost_protocol::checkpoint::{Checkpoint, Cosigner, Origin, UnverifiedCosignature};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::frame::{CosignRequest, CosignatureOf, Empty, Reply};
use sealpost_protocol::id::CommitteeId;
use sealpost_protocol::sign::PublicKey;

use super::{Denied, Service, store_code};
use crate::store::{BlobStore, LogStore, NoteStore};

impl<S: LogStore + NoteStore + BlobStore> Service<S> {
    /// Keeps a device's cosignature, when it is over this log's own root at that size.
    pub(super) async fn cosign(
        &self,
        peer: PublicKey,
        request: CosignRequest,
    ) -> Result<Reply, Denied> {
        let standing = self.standing(peer, request.committee).await?;
        self.pace.note(peer, Instant::now())?;
        let CosignRequest { committee, size, root, cosignature } = request;
        let store = self.store.as_ref();
        if size > standing.log.head().size {
            return Err(Code::SeenOutOfRange.into());
        }
        if standing.log.root_at(store, size) != Some(root) {
            return Err(Code::Disputed.into());
        }
        let (term, key) = standing
            .log
            .with_fold(|fold| (fold.term(), fold.roster().signing_key(standing.device).copied()));
        let checkpoint = Checkpoint { origin: Origin { committee, term }, size, root };
        let unverified =
            UnverifiedCosignature::parse(cosignature.as_bytes()).map_err(|_| Code::Malformed)?;
        // A device vouches for itself alone.
        if *unverified.claimed_cosigner() != Cosigner::Device(standing.device) {
            return Err(Code::NotEntitled.into());
        }
        unverified
            .verify(&checkpoint, &key.ok_or(Code::NotActive)?)
            .map_err(|_| Code::BadSignature)?;
        let kept = CosignatureOf { device: standing.device, size, root, cosignature };
        store
            .put_cosignature(committee, standing.device, Bytes::from(codec::encode(&kept)))
            .await
            .map_err(|error| store_code(&error))?;
        Ok(Reply::Done(Empty {}))
    }

    /// Every device's last cosignature.
    pub(super) async fn cosignatures(
        &self,
        peer: PublicKey,
        committee: CommitteeId,
    ) -> Result<Reply, Denied> {
        self.standing(peer, committee).await?;
        let _leave = self.pace.answer(peer)?;
        let kept = self.store.cosignatures(committee).await.map_err(|error| store_code(&error))?;
        // What does not decode is damage in a cache: the device posts it again.
        let kept = kept.iter().filter_map(|(_, bytes)| codec::decode(bytes, bytes.len()).ok());
        Ok(Reply::Cosignatures(kept.collect()))
    }
}
