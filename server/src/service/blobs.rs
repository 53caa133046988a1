//! Attachments: blobs that devices send before the entry that names them, and ask for afterwards.

use bytes::Bytes;
use minicbor::bytes::ByteVec;
use sealpost_protocol::change::Role;
use sealpost_protocol::code::Code;
use sealpost_protocol::entry::{Blob, UnverifiedEntry};
use sealpost_protocol::frame::{BlobAt, BlobBytes, BlobGetRequest, BlobPutRequest, Empty, Reply};
use sealpost_protocol::limits;
use sealpost_protocol::sign::PublicKey;
use tokio::sync::mpsc;

use super::access::{Denied, Standing};
use super::{Body, Service, store_code};
use crate::store::{Begun, BlobError, BlobRead, BlobStore, BlobUpload, LogStore, NoteStore};

impl<S: LogStore + NoteStore + BlobStore> Service<S> {
    /// Takes a blob that an entry is to name.
    pub(super) async fn blob_put(
        &self,
        peer: PublicKey,
        BlobPutRequest { committee, blob }: BlobPutRequest,
        body: Body,
        replies: &mpsc::Sender<Reply>,
    ) -> Result<Reply, Denied> {
        let mut cut = self.cut_off(peer);
        let standing = self.standing(peer, committee).await?;
        if !may_put(&standing) {
            return Err(Code::NotEntitled.into());
        }
        match blob.size {
            0 => return Err(Code::Malformed.into()),
            size if size > limits::BLOB_BYTES_MAX => return Err(Code::TooLarge.into()),
            _ => {}
        }
        let begun = self.store.upload(committee, standing.device, blob).await;
        let begun = begun.map_err(|error| blob_code(&error))?;
        let offset = match &begun {
            Begun::Whole => blob.size,
            Begun::At(upload) => upload.offset(),
        };
        replies.send(Reply::BlobAt(BlobAt { offset })).await.map_err(|_| Code::Busy)?;
        let receive = async {
            match begun {
                Begun::Whole => nothing_more(body).await,
                Begun::At(upload) => self.store.receive(upload, body).await,
            }
        };
        tokio::pin!(receive);
        loop {
            tokio::select! {
                biased;
                // Perhaps in another committee: then this goes on.
                () = cut.told() => drop(self.standing(peer, committee).await?),
                received = &mut receive => {
                    received.map_err(|error| blob_code(&error))?;
                    return Ok(Reply::Done(Empty {}));
                }
            }
        }
    }

    /// Gives a blob that an entry names.
    pub(super) async fn blob_get(
        &self,
        peer: PublicKey,
        request: BlobGetRequest,
        replies: &mpsc::Sender<Reply>,
    ) -> Result<Reply, Denied> {
        let BlobGetRequest { committee, sha256, offset } = request;
        let mut cut = self.cut_off(peer);
        drop(self.standing(peer, committee).await?);
        let _leave = self.pace.answer(peer)?;
        let found = self.store.blob(committee, sha256).await.map_err(|error| blob_code(&error))?;
        let blob = found.ok_or(Code::NotFound)?;
        if offset > blob.size() {
            return Err(Code::Malformed.into());
        }
        let mut at = offset;
        while at < blob.size() {
            let bytes = blob.read(at).await.map_err(|error| blob_code(&error))?;
            at += bytes.len() as u64;
            let bytes = BlobBytes { bytes: ByteVec::from(Vec::from(bytes)) };
            loop {
                tokio::select! {
                    biased;
                    // Perhaps in another committee: then this goes on.
                    () = cut.told() => drop(self.standing(peer, committee).await?),
                    place = replies.reserve() => {
                        place.map_err(|_| Code::Busy)?.send(Reply::BlobBytes(bytes));
                        break;
                    }
                }
            }
        }
        Ok(Reply::Done(Empty {}))
    }

    /// Holds what an entry names until it is in the log; a code when it is not all here.
    pub(super) async fn hold_blobs(
        &self,
        standing: &Standing,
        entry: &UnverifiedEntry,
    ) -> Result<Option<S::Pin>, Code> {
        let Standing { committee, device, .. } = *standing;
        let header = entry.header();
        let blobs: Vec<Blob> = header.blobs.clone();
        if blobs.is_empty() {
            return Ok(None);
        }
        // Longer lists are refused by admission, which says why.
        if blobs.len() > limits::BLOBS_MAX {
            return Ok(None);
        }
        let pin =
            self.store.pin(committee, device, blobs).await.map_err(|error| store_code(&error))?;
        if pin.is_some() {
            return Ok(pin);
        }
        // One sent again finds its place, whatever has become of its blobs.
        let place = self.store.index_of(committee, header.author, header.author_seq).await;
        match place.map_err(|error| store_code(&error))? {
            Some((_, leaf)) if leaf == entry.leaf() => Ok(None),
            _ => Err(Code::BlobMissing),
        }
    }
}

/// Who may not write records brings nothing for them.
fn may_put(standing: &Standing) -> bool {
    let spare = || standing.log.with_fold(|fold| fold.roster().is_spare(standing.device));
    standing.role != Role::Reader && !spare()
}

/// Of a blob that is all here already.
async fn nothing_more(mut body: Body) -> Result<(), BlobError> {
    while let Some(bytes) = body.recv().await {
        if !Bytes::is_empty(&bytes) {
            return Err(BlobError::PeerOther);
        }
    }
    Ok(())
}

fn blob_code(error: &BlobError) -> Code {
    match error {
        BlobError::PeerOther => Code::BadBlob,
        BlobError::PeerShort => Code::Malformed,
        BlobError::PeerTakenOver => Code::Busy,
        BlobError::PeerTooMany => Code::TooMany,
        BlobError::LocalNoRoom => Code::NoRoom,
        BlobError::Forgotten => Code::NotFound,
        BlobError::StoreLost => Code::BlobMissing,
        BlobError::Store(error) => store_code(error),
    }
}
