//! Blobs on their way, within a sync: to the relay before the entry that names them, and from it.
//!
//! The smallest go first, and between their parts it is looked whether there is text to send: that
//! always goes before. What was carried is on disk on the side that got it, part by part, so that
//! whatever breaks off is gone on with.

use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::time::Duration;

use sealpost_protocol::code::Code;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{BlobGetRequest, BlobPutRequest, Refused, Reply, Request};
use sealpost_protocol::hash::Hasher;
use tokio::time::{Instant, sleep};

use crate::app::App;
use crate::cutoff;
use crate::error::{Failure, Kind as Error};
use crate::lie::{Caught, FollowError, Lie, must_be_dealt_with};
use crate::pull;
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
/// Read from disk at a time.
const STEP_BYTES: usize = 256 * 1024;
/// Given to the line at a time, before it is looked for text again.
const SEND_BYTES: usize = 16 * 1024;
/// What was fetched is put on disk after so many bytes: no more comes twice.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// … and after so long.
const PART_EVERY: Duration = Duration::from_secs(5);
/// It is looked so often whether another command wrote something …
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// … and whether colleagues did.
const LISTEN_EVERY: Duration = Duration::from_secs(20);

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

/// How far blobs were carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// All that could be.
    All,
    /// The time was over in the middle of it.
    Later,
}

/// Carries the blobs of these committees, whose logs were followed just before; until then, if there is
/// something else to do.
pub(crate) async fn carry(
    app: &mut App,
    connection: &Connection,
    committees: &[Committee],
    which: Which,
    until: Option<Instant>,
    report: &mut Report,
) -> Result<Carried, Failure> {
    // What was forgotten since, here or by others.
    app.vault.drop_unnamed()?;
    let mut beat = Beat::new(app)?;
    let mut tried = BTreeSet::new();
    let mut waiting = loads(app, committees, which)?;
    while let Some(load) = waiting.pop_front() {
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Carried::Later);
        }
        if beat.is_due(app)? {
            sync::text(app, connection, committees, report).await?;
            beat.begin(app)?;
            waiting = loads(app, committees, which)?;
            continue;
        }
        if !tried.insert(load.key()) {
            continue;
        }
        let no = load.attachment.committee;
        let known = app.vault.read(|vault| vault.committee_no(no))?;
        let blob = load.attachment.blob;
        let line = Line { connection, committees, known: &known, until };
        let mut carrying = Carrying { app: &mut *app, line, beat: &mut beat, report: &mut *report };
        let carried = match load.way {
            Way::To => carrying.send(&blob).await,
            Way::From => carrying.fetch(&blob).await,
        };
        match carried {
            Ok(Carried::All) => {}
            Ok(Carried::Later) => return Ok(Carried::Later),
            Err(error) => {
                if !go_on(app, &known, &load, error, report)? {
                    return Ok(Carried::All);
                }
            }
        }
    }
    Ok(Carried::All)
}

/// Notes why a blob was not carried, and says whether the others may be: not when the line is lost.
fn go_on(
    app: &mut App,
    known: &Committee,
    load: &Load,
    error: FollowError,
    report: &mut Report,
) -> Result<bool, Failure> {
    let failure = match error {
        // One blob is not as it should be: everything else goes on.
        FollowError::Caught(caught) => {
            let failure = caught.told(app, known);
            report.faulty.push(failure);
            return Ok(true);
        }
        FollowError::Failed(failure) => failure,
    };
    match failure.kind {
        Error::Unreachable => {
            sync::report_failure(app, known, Err(failure.into()), report)?;
            Ok(false)
        }
        // This disk's trouble with one of them.
        Error::DiskFull | Error::Damaged | Error::NotWritable | Error::Busy => {
            if load.way == Way::From {
                let (no, why) = (load.attachment.committee, failure.story());
                let blob = &load.attachment.blob;
                app.vault.write(|vault| vault.note_blob_fault(no, blob, Some(&why)))?;
            }
            report.faulty.push(failure);
            Ok(true)
        }
        _ => {
            sync::report_failure(app, known, Err(failure.into()), report)?;
            Ok(true)
        }
    }
}

/// Whether anything of these committees waits to be carried.
pub(crate) fn waits(app: &App, committees: &[Committee], which: Which) -> Result<bool, Failure> {
    Ok(!loads(app, committees, which)?.is_empty())
}

/// Fetches these blobs of a committee, for somebody who waits for them.
pub(crate) async fn fetch_these(
    app: &mut App,
    no: CommitteeNo,
    blobs: &[Blob],
) -> Result<(), Failure> {
    let _alone = relay::alone(app).await?;
    let known = app.vault.read(|vault| vault.committee_no(no))?;
    must_be_dealt_with(app, &known)?;
    let address = relay::address_of(&known.relay)?;
    let connection = relay::connect(app, &address).await?;
    let committees = [known];
    let [known] = &committees;
    let mut report = Report::default();
    let mut beat = Beat::new(app)?;
    let mut fetched = Ok(Carried::All);
    for blob in blobs {
        let line = Line { connection: &connection, committees: &committees, known, until: None };
        let mut carrying = Carrying { app: &mut *app, line, beat: &mut beat, report: &mut report };
        let one = carrying.fetch(blob).await;
        // The others are wanted all the same.
        if one.is_err() && fetched.is_ok() {
            fetched = one;
        }
    }
    connection.close().await;
    fetched.map(|_| ()).map_err(|error| error.told(app, known))
}

impl Load {
    fn key(&self) -> (Way, CommitteeNo, [u8; 32]) {
        let Attachment { committee, blob, .. } = &self.attachment;
        (self.way, *committee, *blob.sha256.as_bytes())
    }
}

/// What is to be carried, the smallest first.
fn loads(app: &App, committees: &[Committee], which: Which) -> Result<VecDeque<Load>, Failure> {
    let mut loads = Vec::new();
    app.vault.read(|vault| {
        for known in committees {
            let is_active = vault.committee_no(known.no)?.standing == Standing::Active;
            if !is_active || vault.stop(known.no)?.is_some() {
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
    Ok(loads.into())
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

/// Where blobs are carried.
#[derive(Clone, Copy)]
struct Line<'c> {
    connection: &'c Connection,
    committees: &'c [Committee],
    known: &'c Committee,
    /// Until when.
    until: Option<Instant>,
}

/// A blob and what goes on beside it.
struct Carrying<'c> {
    app: &'c mut App,
    line: Line<'c>,
    beat: &'c mut Beat,
    report: &'c mut Report,
}

impl Carrying<'_> {
    /// Sends a blob, from where the relay has it, and then the entry that names it.
    async fn send(&mut self, blob: &Blob) -> Result<Carried, FollowError> {
        let no = self.line.known.no;
        let held = self.app.vault.read(|vault| vault.held_blob(no, &blob.sha256))?;
        let held = held.filter(|held| held.state == Held::Whole).ok_or_else(not_here)?;
        let mut sent = self.send_once(blob, &held).await?;
        if sent == Sent::Spoiled {
            if !self.app.vault.is_intact(&held, &blob.sha256)? {
                return Err(self.set_aside(blob)?.into());
            }
            // A part that it had was not what was sent: it threw that away.
            sent = self.send_once(blob, &held).await?;
        }
        match sent {
            Sent::All => {}
            Sent::Later => return Ok(Carried::Later),
            Sent::Spoiled => return Err(refused(Code::BadBlob).into()),
        }
        self.report.brought.add(push::send(self.app, self.line.connection, no).await?);
        Ok(Carried::All)
    }

    async fn send_once(&mut self, blob: &Blob, held: &HeldBlob) -> Result<Sent, FollowError> {
        let request = BlobPutRequest { committee: self.line.known.id, blob: *blob };
        let mut upload = self.line.connection.upload(request).await.map_err(AskError::from)?;
        let offset = match upload.begin().await.map_err(AskError::from)? {
            Begun::At(offset) => offset,
            Begun::Refused(reply) => return Err(self.refusal(reply)),
        };
        self.note_sent(blob, offset)?;
        let mut reader = self.app.vault.read_blob(held)?;
        reader.skip_to(offset);
        let progress = Progress::of_bytes("sending", blob.size, offset);
        let mut buffer = vec![0; STEP_BYTES];
        let mut sent = offset;
        'file: while sent < blob.size {
            let read = reader.read(&mut buffer).map_err(VaultError::from)?;
            for step in buffer[..read].chunks(SEND_BYTES) {
                if upload.send(step).await.map_err(AskError::from)? == Taken::NoMore {
                    break 'file;
                }
                sent += step.len() as u64;
                progress.advance(step.len() as u64);
                if self.beat.is_due(self.app)? {
                    self.note_sent(blob, sent)?;
                    if self.is_over() {
                        return Ok(Sent::Later);
                    }
                    self.text().await?;
                }
            }
        }
        match upload.finish().await.map_err(AskError::from)? {
            Reply::Done(_) => self.note_sent(blob, blob.size)?,
            Reply::Refused(Refused { code: Code::BadBlob }) => return Ok(Sent::Spoiled),
            reply => return Err(self.refusal(reply)),
        }
        Ok(Sent::All)
    }

    fn note_sent(&mut self, blob: &Blob, sent: u64) -> Result<(), VaultError> {
        let no = self.line.known.no;
        self.app.vault.write(|vault| vault.note_sent(no, &blob.sha256, sent))
    }

    /// Sets aside the drafts of a blob that this disk has changed: no relay will ever take it.
    fn set_aside(&mut self, blob: &Blob) -> Result<Failure, Failure> {
        let (no, now) = (self.line.known.no, self.app.clock.now());
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
    async fn fetch(&mut self, blob: &Blob) -> Result<Carried, FollowError> {
        let (mut held, mut fetched) = self.fetch_once(blob).await?;
        if fetched == Fetched::Other && held.held > 0 {
            // What was here before may have been changed on this disk: nobody is accused for that.
            (held, fetched) = self.fetch_once(blob).await?;
        }
        let no = self.line.known.no;
        match fetched {
            Fetched::Whole => {}
            Fetched::Later => return Ok(Carried::Later),
            Fetched::Other => return Err(self.fault(blob, Lie::Blob.into())),
            Fetched::Gone => return self.is_forgotten_or_gone(blob).await,
        }
        self.app.vault.write(|vault| {
            vault.blob_fetched(held.no)?;
            vault.note_blob_fault(no, blob, None)
        })?;
        self.report.brought.fetched += 1;
        Ok(Carried::All)
    }

    /// Fetches what is not here of a blob. Returns what was here before, and what became of it: a whole one
    /// is on disk, one that is not what was named is gone.
    async fn fetch_once(&mut self, blob: &Blob) -> Result<(HeldBlob, Fetched), FollowError> {
        let (held, writer) = self.app.vault.begin_fetching(self.line.known.no, blob)?;
        let Some(hasher) = self.app.vault.hash_held(&held)? else {
            // The file is shorter than it was.
            self.app.vault.discard_blob(held.no)?;
            return Ok((held, Fetched::Other));
        };
        let mut fetching = Fetching { held: held.held, writer, hasher };
        let received = self.receive(blob, &held, &mut fetching).await;
        let Fetching { mut writer, hasher, .. } = fetching;
        let fetched = match received {
            Ok(Fetched::Whole) if hasher.finish() != blob.sha256 => Fetched::Other,
            Ok(fetched) => fetched,
            Err(error) => {
                self.keep_part(&held, &mut writer)?;
                return Err(error);
            }
        };
        match fetched {
            Fetched::Whole => writer.finish().map_err(VaultError::from)?,
            Fetched::Other => self.app.vault.discard_blob(held.no)?,
            Fetched::Later | Fetched::Gone => self.keep_part(&held, &mut writer)?,
        }
        Ok((held, fetched))
    }

    /// What came before the line broke need not come again.
    fn keep_part(&mut self, held: &HeldBlob, writer: &mut BlobWriter) -> Result<(), VaultError> {
        let on_disk = writer.sync().map_err(VaultError::from)?;
        self.app.vault.write(|vault| vault.blob_held(held.no, on_disk))
    }

    async fn receive(
        &mut self,
        blob: &Blob,
        held: &HeldBlob,
        fetching: &mut Fetching,
    ) -> Result<Fetched, FollowError> {
        let (committee, sha256, offset) = (self.line.known.id, blob.sha256, held.held);
        let request = Request::BlobGet(BlobGetRequest { committee, sha256, offset });
        let mut replies = self.line.connection.request(&request).await.map_err(AskError::from)?;
        let progress = Progress::of_bytes("fetching", blob.size, offset);
        let (mut on_disk, mut noted) = (offset, Instant::now());
        loop {
            // A slow line brings a piece in minutes: text is looked for meanwhile.
            let reply = tokio::select! {
                reply = replies.next() => Some(reply.map_err(AskError::from)?),
                () = sleep(LOOK_EVERY) => None,
            };
            if let Some(reply) = reply {
                let reply = reply.ok_or(TransportError::Lied(PeerError::Incomplete));
                match reply.map_err(AskError::from)? {
                    Reply::BlobBytes(piece)
                        if fetching.held + piece.bytes.len() as u64 <= blob.size =>
                    {
                        if fetching.writer.room() < piece.bytes.len() as u64 {
                            self.app.vault.reserve_more(held, &mut fetching.writer)?;
                        }
                        fetching.take(&piece.bytes)?;
                        progress.advance(piece.bytes.len() as u64);
                    }
                    Reply::Done(_) if fetching.held == blob.size => return Ok(Fetched::Whole),
                    // Less than it signed for, or more.
                    Reply::BlobBytes(_) | Reply::Done(_) => return Ok(Fetched::Other),
                    Reply::Refused(Refused { code: Code::NotFound | Code::BlobMissing }) => {
                        return Ok(Fetched::Gone);
                    }
                    reply => return Err(self.refusal(reply)),
                }
            }
            if fetching.held - on_disk >= PART_BYTES || noted.elapsed() >= PART_EVERY {
                on_disk = fetching.writer.sync().map_err(VaultError::from)?;
                self.app.vault.write(|vault| vault.blob_held(held.no, on_disk))?;
                noted = Instant::now();
            }
            if self.beat.is_due(self.app)? {
                if self.is_over() {
                    return Ok(Fetched::Later);
                }
                self.text().await?;
            }
        }
    }

    /// The relay has no such blob. That is as it should be if its record was forgotten since.
    async fn is_forgotten_or_gone(&mut self, blob: &Blob) -> Result<Carried, FollowError> {
        let no = self.line.known.no;
        let brought = pull::follow(self.app, self.line.connection, no).await?;
        self.report.brought.add(brought);
        let lacking = self.app.vault.read(|vault| vault.attachments_lacking(no))?;
        if !lacking.iter().any(|attachment| attachment.blob == *blob) {
            self.app.vault.drop_unnamed()?;
            return Ok(Carried::All);
        }
        Err(self.fault(blob, Lie::BlobGone.into()))
    }

    fn is_over(&self) -> bool {
        self.line.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Sends the text that was written meanwhile, and follows what others wrote.
    async fn text(&mut self) -> Result<(), Failure> {
        let Line { connection, committees, .. } = self.line;
        sync::text(self.app, connection, committees, self.report).await?;
        self.beat.begin(self.app)
    }

    /// Keeps with the attachment why its blob was not taken.
    fn fault(&mut self, blob: &Blob, caught: Caught) -> FollowError {
        let (no, why) = (self.line.known.no, caught.lie.to_string());
        let noted = self.app.vault.write(|vault| vault.note_blob_fault(no, blob, Some(&why)));
        noted.map_or_else(FollowError::from, |()| caught.into())
    }

    fn refusal(&mut self, reply: Reply) -> FollowError {
        match reply {
            Reply::Refused(Refused { code }) => refused(code).into(),
            Reply::NotActive(shown) => cutoff::told(self.app, self.line.known, &shown),
            _ => relay::unexpected().into(),
        }
    }
}

/// The relay does not take or give a blob now. It answers all the same: text goes on.
fn refused(code: Code) -> Failure {
    let what = format!("The relay refused an attachment: {}", relay::told(code));
    Failure::new(Error::NotDelivered, what)
        .safe("It is kept in the vault as far as it is here.")
        .next("sealpost sync later; ask the relay's operator if it stays so")
}

/// What became of a blob on its way to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    All,
    Later,
    /// What arrived is not what was named.
    Spoiled,
}

/// What became of one on its way here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetched {
    Whole,
    Later,
    /// What came is not what was named.
    Other,
    /// The relay says that it has none.
    Gone,
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

/// Says when it is time for text again: when another command wrote something, or it has been long.
struct Beat {
    begun: Instant,
    looked: Instant,
    /// The vault as it was then.
    changes: i64,
}

impl Beat {
    fn new(app: &App) -> Result<Self, Failure> {
        let now = Instant::now();
        Ok(Self { begun: now, looked: now, changes: app.vault.changes()? })
    }

    fn begin(&mut self, app: &App) -> Result<(), Failure> {
        *self = Self::new(app)?;
        Ok(())
    }

    fn is_due(&mut self, app: &App) -> Result<bool, VaultError> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(false);
        }
        self.looked = Instant::now();
        Ok(self.begun.elapsed() >= LISTEN_EVERY || app.vault.changes()? != self.changes)
    }
}

fn not_here() -> Failure {
    VaultError::Damaged("a sealed attachment in the outbox is not there".to_owned()).into()
}

#[cfg(test)]
mod tests;
