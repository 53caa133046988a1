//! Blobs on their way, within a sync: to the relay before the entry that names them, and from it.
//!
//! The smallest go first, and between their parts it is looked whether there is text to send: that
//! always goes before. What was carried is on disk on the side that got it, part by part, so that
//! whatever breaks off is gone on with.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::time::Duration;

use sealpost_protocol::code::Code;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{BlobGetRequest, BlobPutRequest, Refused, Reply, Request};
use sealpost_protocol::hash::Hasher;
use tokio::time::Instant;

use crate::app::App;
use crate::cutoff;
use crate::error::{Failure, Kind as Error};
use crate::lie::{Caught, FollowError, Lie};
use crate::push;
use crate::relay::{self, AskError};
use crate::sync::{self, Report};
use crate::transport::{Begun, Connection, PeerError, Taken, TransportError};
use crate::ui::progress::Progress;
use crate::vault::attachments::{Attachment, BlobWriter, Held, HeldBlob};
use crate::vault::committees::{Committee, CommitteeNo, Standing};
use crate::vault::outbox::Refusal;
use crate::vault::{Read as VaultRead, VaultError};

/// What a weak or costly line carries unasked: some pages of text, a photograph made for a telephone.
pub const SMALL_BYTES_MAX: u64 = 512 * 1024;
/// Read and sent at a time.
const STEP_BYTES: usize = 256 * 1024;
/// What was fetched is put on disk after so many bytes: no more comes twice.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// … and after so long.
const PART_EVERY: Duration = Duration::from_secs(5);
/// Text is looked for so often.
const TEXT_EVERY: Duration = Duration::from_secs(2);

/// Which blobs a sync carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that wait.
    All,
    /// Those of at most [`SMALL_BYTES_MAX`].
    Small,
    /// All that were not found faulty before: who stays with a relay does not ask for these again and
    /// again.
    Sound,
    /// None: something else is waited for.
    None,
}

impl Which {
    fn holds(self, attachment: &Attachment) -> bool {
        match self {
            Self::All => true,
            Self::Small => attachment.blob.size <= SMALL_BYTES_MAX,
            Self::Sound => attachment.fault.is_none(),
            Self::None => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    To,
    From,
}

/// One blob to carry.
#[derive(Clone, Debug)]
struct Load {
    way: Way,
    attachment: Attachment,
}

/// Carries the blobs of these committees, whose logs were followed just before.
pub(crate) async fn carry(
    app: &mut App,
    connection: &Connection,
    committees: &[Committee],
    which: Which,
    report: &mut Report,
) -> Result<(), Failure> {
    // What was forgotten since, here or by others.
    app.vault.drop_unnamed()?;
    let mut tried = BTreeSet::new();
    loop {
        let loads = loads(app, committees, which)?;
        let mut fresh = loads.into_iter().filter(|load| !tried.contains(&load.key()));
        let Some(load) = fresh.next() else { return Ok(()) };
        tried.insert(load.key());
        let no = load.attachment.committee;
        let known = app.vault.read(|vault| vault.committee_no(no))?;
        let mut carrying = Carrying { app, connection, committees, known: &known, report };
        let carried = match load.way {
            Way::To => carrying.send(&load.attachment.blob).await,
            Way::From => carrying.fetch(&load.attachment.blob).await,
        };
        match carried {
            Ok(()) => {}
            // One blob is not as it should be: everything else goes on.
            Err(FollowError::Caught(caught)) => {
                let failure = caught.told(app, &known);
                report.faulty.push(failure);
            }
            Err(FollowError::Failed(failure)) => {
                let is_lost = failure.kind == Error::Unreachable;
                sync::report_failure(app, &known, Err(failure.into()), report)?;
                if is_lost {
                    // The others would meet the same line.
                    return Ok(());
                }
            }
        }
    }
}

/// Fetches these blobs of a committee, for somebody who waits for them.
pub(crate) async fn fetch_these(
    app: &mut App,
    no: CommitteeNo,
    blobs: &[Blob],
) -> Result<(), Failure> {
    let _alone = relay::alone(app).await?;
    let known = app.vault.read(|vault| vault.committee_no(no))?;
    let address = relay::address_of(&known.relay)?;
    let connection = relay::connect(app, &address).await?;
    let committees = [known];
    let [known] = &committees;
    let mut report = Report::default();
    let mut fetched = Ok(());
    for blob in blobs {
        let mut carrying = Carrying {
            app: &mut *app,
            connection: &connection,
            committees: &committees,
            known,
            report: &mut report,
        };
        fetched = carrying.fetch(blob).await;
        if fetched.is_err() {
            break;
        }
    }
    connection.close().await;
    fetched.map_err(|error| error.told(app, known))
}

impl Load {
    fn key(&self) -> (Way, CommitteeNo, [u8; 32]) {
        let Attachment { committee, blob, .. } = &self.attachment;
        (self.way, *committee, *blob.sha256.as_bytes())
    }
}

/// What is to be carried, the smallest first.
fn loads(app: &App, committees: &[Committee], which: Which) -> Result<Vec<Load>, Failure> {
    let mut loads = Vec::new();
    app.vault.read(|vault| {
        for known in committees {
            if vault.committee_no(known.no)?.standing != Standing::Active {
                continue;
            }
            let unsent = unsent(vault, known.no)?;
            let own: BTreeSet<String> = unsent.iter().map(|one| one.id.clone()).collect();
            let to = unsent.into_iter().map(|attachment| Load { way: Way::To, attachment });
            let lacking = vault.attachments_lacking(known.no)?.into_iter();
            let from = lacking
                .filter(|attachment| !own.contains(&attachment.id))
                .map(|attachment| Load { way: Way::From, attachment });
            loads.extend(to.chain(from).filter(|load| which.holds(&load.attachment)));
        }
        Ok::<_, VaultError>(())
    })?;
    loads.sort_by_key(|load| (load.attachment.blob.size, load.way));
    Ok(loads)
}

/// The attachments of a committee whose entries wait for their blobs.
pub(crate) fn unsent(
    vault: &VaultRead<'_>,
    no: CommitteeNo,
) -> Result<Vec<Attachment>, VaultError> {
    let mut unsent = Vec::new();
    for draft in vault.unsent(no)?.iter().filter(|draft| draft.new.kind == super::KIND) {
        if let Some(attachment) = vault.attachment(no, &draft.new.id)?
            && !is_at_relay(vault, no, &attachment.blob)?
        {
            unsent.push(attachment);
        }
    }
    Ok(unsent)
}

/// Whether the relay has said that it holds all of this blob from this device.
pub(crate) fn is_at_relay(
    vault: &VaultRead<'_>,
    no: CommitteeNo,
    blob: &Blob,
) -> Result<bool, VaultError> {
    let held = vault.held_blob(no, &blob.sha256)?;
    Ok(held.is_some_and(|held| held.sent >= blob.size))
}

/// A blob and what goes on beside it.
struct Carrying<'c> {
    app: &'c mut App,
    connection: &'c Connection,
    committees: &'c [Committee],
    known: &'c Committee,
    report: &'c mut Report,
}

impl Carrying<'_> {
    /// Sends a blob, from where the relay has it, and then the entry that names it.
    async fn send(&mut self, blob: &Blob) -> Result<(), FollowError> {
        let no = self.known.no;
        let held = self.app.vault.read(|vault| vault.held_blob(no, &blob.sha256))?;
        let held = held.filter(|held| held.state == Held::Whole).ok_or_else(not_here)?;
        let request = BlobPutRequest { committee: self.known.id, blob: *blob };
        let mut upload = self.connection.upload(request).await.map_err(AskError::from)?;
        let offset = match upload.begin().await.map_err(AskError::from)? {
            Begun::At(offset) => offset,
            Begun::Refused(reply) => return Err(self.refusal(reply)),
        };
        self.note_sent(blob, offset)?;
        let mut reader = self.app.vault.read_blob(&held)?;
        reader.skip_to(offset);
        let progress = Progress::of_bytes("sending", blob.size, offset);
        let mut beat = Beat::new();
        let mut buffer = vec![0; STEP_BYTES];
        let mut sent = offset;
        while sent < blob.size {
            let read = reader.read(&mut buffer).map_err(VaultError::from)?;
            match upload.send(&buffer[..read]).await.map_err(AskError::from)? {
                Taken::All => {}
                Taken::NoMore => break,
            }
            sent += read as u64;
            progress.advance(read as u64);
            if beat.is_due() {
                self.note_sent(blob, sent)?;
                self.text().await?;
            }
        }
        match upload.finish().await.map_err(AskError::from)? {
            Reply::Done(_) => self.note_sent(blob, blob.size)?,
            Reply::Refused(Refused { code: Code::BadBlob }) if self.is_spoiled(blob, &held)? => {
                return Err(self.set_aside(blob)?.into());
            }
            reply => return Err(self.refusal(reply)),
        }
        self.report.brought.add(push::send(self.app, self.connection, no).await?);
        Ok(())
    }

    fn note_sent(&mut self, blob: &Blob, sent: u64) -> Result<(), VaultError> {
        let no = self.known.no;
        self.app.vault.write(|vault| vault.note_sent(no, &blob.sha256, sent))
    }

    /// Whether this disk has changed what was sealed.
    fn is_spoiled(&self, blob: &Blob, held: &HeldBlob) -> Result<bool, VaultError> {
        Ok(!self.app.vault.is_intact(held, &blob.sha256)?)
    }

    /// Sets aside the drafts of a blob that this disk has changed: no relay will ever take it.
    fn set_aside(&mut self, blob: &Blob) -> Result<Failure, Failure> {
        let (no, now) = (self.known.no, self.app.clock.now());
        let why = "its sealed bytes were changed on this disk: attach the file again";
        self.app.vault.write(|vault| {
            for attachment in unsent(vault, no)?.iter().filter(|one| one.blob == *blob) {
                let draft = vault.draft(&attachment.id)?.ok_or_else(not_here)?;
                vault.refuse_draft(draft.no, &Refusal { why: why.to_owned(), at: now })?;
            }
            Ok::<_, Failure>(())
        })?;
        Ok(Failure::new(Error::Damaged, format!("An attachment cannot be sent: {why}"))
            .safe("Its record is kept in the vault, and everything else was sent.")
            .next("sealpost status"))
    }

    /// Fetches a blob, from where it is here. It is believed when its hash is.
    async fn fetch(&mut self, blob: &Blob) -> Result<(), FollowError> {
        let (mut held, mut sound) = self.fetch_once(blob).await?;
        if !sound && held.held > 0 {
            // What was here before may have been changed on this disk: nobody is accused for that.
            (held, sound) = self.fetch_once(blob).await?;
        }
        if !sound {
            return Err(self.fault(blob, Lie::Blob.into()));
        }
        let no = self.known.no;
        self.app.vault.write(|vault| {
            vault.blob_fetched(held.no)?;
            vault.note_blob_fault(no, &blob.sha256, None)
        })?;
        self.report.brought.fetched += 1;
        Ok(())
    }

    /// Fetches what is not here of a blob. Returns what was here before, and whether all of it together is
    /// the blob: if so it is on disk, if not it is gone.
    async fn fetch_once(&mut self, blob: &Blob) -> Result<(HeldBlob, bool), FollowError> {
        let (held, writer) = self.app.vault.begin_fetching(self.known.no, blob)?;
        let hasher = self.app.vault.hash_held(&held)?;
        let mut fetching = Fetching { held: held.held, writer, hasher };
        let received = self.receive(blob, &held, &mut fetching).await;
        let Fetching { mut writer, hasher, .. } = fetching;
        let sound = match received {
            Ok(whole) => whole && hasher.finish() == blob.sha256,
            Err(error) => {
                // What came before the line broke need not come again.
                let on_disk = writer.sync().map_err(VaultError::from)?;
                self.app.vault.write(|vault| vault.blob_held(held.no, on_disk))?;
                return Err(error);
            }
        };
        if sound {
            writer.finish().map_err(VaultError::from)?;
        } else {
            self.app.vault.discard_blob(held.no)?;
        }
        Ok((held, sound))
    }

    /// Whether just as many bytes came as were lacking.
    async fn receive(
        &mut self,
        blob: &Blob,
        held: &HeldBlob,
        fetching: &mut Fetching,
    ) -> Result<bool, FollowError> {
        let (committee, sha256, offset) = (self.known.id, blob.sha256, held.held);
        let request = Request::BlobGet(BlobGetRequest { committee, sha256, offset });
        let mut replies = self.connection.request(&request).await.map_err(AskError::from)?;
        let progress = Progress::of_bytes("fetching", blob.size, offset);
        let mut beat = Beat::new();
        let (mut on_disk, mut noted) = (offset, Instant::now());
        loop {
            let reply = replies.next().await.map_err(AskError::from)?;
            match reply
                .ok_or(TransportError::Lied(PeerError::Incomplete))
                .map_err(AskError::from)?
            {
                Reply::BlobBytes(piece)
                    if fetching.held + piece.bytes.len() as u64 <= blob.size =>
                {
                    fetching.take(&piece.bytes)?;
                    progress.advance(piece.bytes.len() as u64);
                }
                Reply::Done(_) if fetching.held == blob.size => return Ok(true),
                // Less than it signed for, or more.
                Reply::BlobBytes(_) | Reply::Done(_) => return Ok(false),
                Reply::Refused(Refused { code: Code::NotFound | Code::BlobMissing }) => {
                    return Err(self.fault(blob, Lie::BlobGone.into()));
                }
                reply => return Err(self.refusal(reply)),
            }
            if fetching.held - on_disk >= PART_BYTES || noted.elapsed() >= PART_EVERY {
                on_disk = fetching.writer.sync().map_err(VaultError::from)?;
                self.app.vault.write(|vault| vault.blob_held(held.no, on_disk))?;
                noted = Instant::now();
            }
            if beat.is_due() {
                self.text().await?;
            }
        }
    }

    /// Sends the text that was written meanwhile, and follows what others wrote.
    async fn text(&mut self) -> Result<(), Failure> {
        sync::text(self.app, self.connection, self.committees, self.report).await
    }

    /// Keeps with the attachment why its blob was not taken.
    fn fault(&mut self, blob: &Blob, caught: Caught) -> FollowError {
        let (no, why) = (self.known.no, caught.lie.to_string());
        let noted =
            self.app.vault.write(|vault| vault.note_blob_fault(no, &blob.sha256, Some(&why)));
        noted.map_or_else(FollowError::from, |()| caught.into())
    }

    fn refusal(&mut self, reply: Reply) -> FollowError {
        match reply {
            Reply::Refused(Refused { code }) => AskError::Refused(code).into(),
            Reply::NotActive(shown) => cutoff::told(self.app, self.known, &shown),
            _ => relay::unexpected().into(),
        }
    }
}

/// What has come of a blob.
struct Fetching {
    held: u64,
    writer: BlobWriter,
    hasher: Hasher,
}

impl Fetching {
    fn take(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.hasher.update(bytes);
        self.writer.write_all(bytes)?;
        self.held += bytes.len() as u64;
        Ok(())
    }
}

/// Says when it is time for text again.
struct Beat(Instant);

impl Beat {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn is_due(&mut self) -> bool {
        let due = self.0.elapsed() >= TEXT_EVERY;
        if due {
            self.0 = Instant::now();
        }
        due
    }
}

fn not_here() -> Failure {
    let error = io::Error::from(io::ErrorKind::NotFound);
    VaultError::Damaged(format!("a sealed attachment in the outbox is not there: {error}")).into()
}

#[cfg(test)]
mod tests;
