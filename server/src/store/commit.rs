//! The queue in front of the journal, and the thread that empties it: group commit.
//!
//! Everything that waits when the disk becomes free goes into one frame and one fdatasync, over
//! all committees, notes included. What a caller may rely on is decided when it is queued, against
//! durable state plus everything queued before; so if one write fails, all behind it fail too.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealpost_protocol::id::{CommitteeId, TreeSize};
use tokio::sync::{Notify, oneshot};

use super::disk::Disk;
use super::embedded::{Dropped, Inner};
use super::frame::{self, FrameWriter};
use super::journal::dropping::DropError;
use super::journal::{Journal, Sizes, WriteError};
use super::notes::{NoteChange, QueuedNotes};
use super::{
    APPEND_BYTES_MAX, Append, AppendError, Commit, CommitError, QUEUE_BYTES_MAX, StoreError,
};

mod pace;

use pace::Pace;

/// A frame stops growing here; one larger item still gets a frame of its own.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// How long to wait before the index is made anew once more: twice as long each time, up to a minute.
/// Without room it is not even tried, and whether there is some is looked at as often as at first.
const MEND_AGAIN_MIN: Duration = Duration::from_secs(1);
const MEND_AGAIN_MAX: Duration = Duration::from_secs(60);

/// How long to wait after what was forgotten could not be dropped: twice as long each time.
const DROP_AGAIN_MIN: Duration = Duration::from_secs(1);
const DROP_AGAIN_MAX: Duration = Duration::from_secs(10 * 60);

/// Answers when what was queued is durable.
pub(super) type Ticket = oneshot::Receiver<Result<(), StoreError>>;

/// What waits for the disk.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Notify,
    sizes: Sizes,
    /// What one frame can hold.
    item_bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Sizes of logs with something queued or being written.
    sizes: HashMap<CommitteeId, TreeSize>,
    notes: QueuedNotes,
    stopped: bool,
    /// The last write was refused for want of room, when so many bytes were free.
    full: Option<u64>,
    /// The operator was told that the disk is full.
    said_full: bool,
    mending: Mending,
    dropping: Dropping,
    closing: bool,
}

/// Whether the index has failed, and when it is to be made anew.
#[derive(Debug, Default)]
struct Mending {
    due: Option<Instant>,
    not_before: Option<Instant>,
    tried: u32,
}

/// When what was forgotten is to be dropped.
#[derive(Debug, Default)]
struct Dropping {
    due: Option<Instant>,
    not_before: Option<Instant>,
    pace: Pace,
    /// How often not all of it could be dropped, one after the other.
    tried: u32,
    /// The operator was told.
    said: bool,
}

/// What the commit thread is to do.
enum Next {
    Write(Vec<Job>),
    MendIndex,
    Drop,
    End,
}

impl State {
    /// Once, until there is room again.
    fn say_full(&mut self) {
        if !std::mem::replace(&mut self.said_full, true) {
            tracing::warn!("the disk is full: writes are refused, reads go on");
        }
    }

    fn say_room(&mut self) {
        self.full = None;
        if std::mem::take(&mut self.said_full) {
            tracing::info!("there is room on the disk again: writes are taken");
        }
    }
}

#[derive(Debug)]
struct Job {
    work: Work,
    bytes: usize,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

#[derive(Debug)]
enum Work {
    Append(Append),
    Notes(Vec<NoteChange>),
}

impl Queue {
    pub(super) fn new(sizes: Sizes) -> Self {
        let fits = usize::try_from(Journal::frame_bytes_max(sizes)).unwrap_or(usize::MAX);
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            room: Notify::new(),
            sizes,
            item_bytes_max: APPEND_BYTES_MAX.min(fits.saturating_sub(frame::ITEMS_AT)),
        }
    }

    pub(super) fn append(&self, inner: &Inner, append: Append) -> Result<Ticket, AppendError> {
        let bytes = frame::append_len(&append.entries) + frame::forget_len(append.forgets.len());
        if append.entries.is_empty() || bytes > self.item_bytes_max {
            return Err(AppendError::LocalSize);
        }
        let mut state = self.open_for(bytes)?;
        let queued = state.sizes.get(&append.committee).copied();
        let actual = queued.unwrap_or_else(|| inner.head(append.committee));
        if actual != append.expected {
            return Err(AppendError::WrongSize { actual });
        }
        if append.forgets.iter().any(|index| index.0 >= actual.0) {
            return Err(AppendError::LocalForgets);
        }
        let size = TreeSize(actual.0 + append.entries.len() as u64);
        state.sizes.insert(append.committee, size);
        Ok(self.push(state, Work::Append(append), bytes))
    }

    pub(super) fn commit(&self, inner: &Inner, commit: Commit) -> Result<Ticket, CommitError> {
        let mut state = self.open_for(0)?;
        let changes = inner.with_notes(|durable| state.notes.admit(commit, durable))?;
        let bytes = frame::notes_len(&changes);
        if bytes > self.item_bytes_max {
            return Err(CommitError::LocalSize);
        }
        if state.bytes + bytes > QUEUE_BYTES_MAX {
            return Err(StoreError::StoreBusy.into());
        }
        state.notes.push(&changes);
        Ok(self.push(state, Work::Notes(changes), bytes))
    }

    /// Whether a write would be taken now. After one that found no room, only when there is more
    /// than then.
    pub(super) fn ready(&self, disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
        let open = self.open_for(1).map(drop);
        if let Err(StoreError::StoreStopped) = open {
            return open;
        }
        let looking = StoreError::io("asking how full the disk is");
        let free = disk.free_bytes(folder).map_err(looking)?;
        let mut state = self.state();
        let no_more = state.full.is_some_and(|then| free <= then);
        if free < self.sizes.reserve_bytes || no_more {
            state.say_full();
            return Err(StoreError::StoreFull);
        }
        // After a write that found no room only one that finds it says so.
        if state.full.is_none() {
            state.say_room();
        }
        open
    }

    /// The index failed: has it made anew, and nothing written until then.
    pub(super) fn mend_index(&self) {
        let mut state = self.state();
        let not_before = state.mending.not_before;
        state.mending.due.get_or_insert_with(|| {
            let now = Instant::now();
            not_before.map_or(now, |then| then.max(now))
        });
        drop(state);
        self.wake.notify_one();
    }

    /// The index was made anew, or could not be: then once more, later.
    fn mended(&self, done: &Result<(), StoreError>) {
        let mut state = self.state();
        let mending = &mut state.mending;
        if !matches!(done, Err(StoreError::StoreFull)) {
            mending.tried = mending.tried.saturating_add(1);
        }
        // One that fails as soon as it is made must not keep the disk busy.
        let pause = MEND_AGAIN_MIN.saturating_mul(2_u32.saturating_pow(mending.tried));
        let then = Instant::now() + pause.min(MEND_AGAIN_MAX);
        mending.not_before = Some(then);
        mending.due = done.is_err().then_some(then);
        drop(state);
        self.room.notify_waiters();
    }

    /// Something is forgotten, or may go now: has it dropped after a while, so that several go at once.
    pub(super) fn drop_forgotten(&self, after: Duration) {
        let mut state = self.state();
        let then = Instant::now() + after;
        let dropping = &mut state.dropping;
        let then = dropping.not_before.map_or(then, |not_before| not_before.max(then));
        dropping.due = Some(dropping.due.map_or(then, |due| due.min(then)));
        drop(state);
        self.wake.notify_one();
    }

    /// What was forgotten was dropped, which began then and wrote so many segments anew, or not all of it
    /// yet: then once more, later.
    fn dropped(
        &self,
        done: &Result<Dropped, DropError>,
        began: Instant,
        written: u32,
        drop_after: Duration,
    ) {
        let now = Instant::now();
        let mut state = self.state();
        let dropping = &mut state.dropping;
        let not_before = dropping.pace.next(now, now - began, written, drop_after);
        dropping.not_before = Some(not_before);
        // Perhaps it was said meanwhile that more may go.
        dropping.due = dropping.due.map(|due| due.max(not_before));
        match done {
            Ok(Dropped::All) => {
                dropping.tried = 0;
                if std::mem::take(&mut dropping.said) {
                    tracing::info!("what was forgotten is dropped from the disk");
                }
                return;
            }
            Ok(Dropped::OneOfSeveral) => {
                dropping.tried = 0;
                dropping.due = Some(not_before);
                return;
            }
            Ok(Dropped::NotYet) => {}
            Err(DropError::Later(error)) => {
                if !std::mem::replace(&mut dropping.said, true) {
                    tracing::warn!(
                        %error,
                        "what was forgotten is given to nobody, and not dropped from the disk yet"
                    );
                }
            }
            // That was said.
            Err(DropError::Unknown(_)) => {}
        }
        let pause = DROP_AGAIN_MIN.saturating_mul(2_u32.saturating_pow(dropping.tried));
        let then = (now + pause.min(DROP_AGAIN_MAX)).max(not_before);
        dropping.due = Some(dropping.due.map_or(then, |due| due.min(then)));
        dropping.tried = dropping.tried.saturating_add(1);
    }

    /// Waits until half of the queue is free, and the index whole.
    pub(super) async fn room(&self) {
        loop {
            let mut freed = std::pin::pin!(self.room.notified());
            freed.as_mut().enable();
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }

    /// Lets the commit thread finish what is queued and end.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.wake.notify_all();
    }

    fn has_room(&self) -> bool {
        let state = self.state();
        let whole = state.mending.due.is_none();
        state.stopped || (whole && state.bytes <= QUEUE_BYTES_MAX / 2)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_for(&self, bytes: usize) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.stopped || state.closing {
            return Err(StoreError::StoreStopped);
        }
        if state.bytes + bytes > QUEUE_BYTES_MAX || state.mending.due.is_some() {
            return Err(StoreError::StoreBusy);
        }
        Ok(state)
    }

    fn push(&self, mut state: MutexGuard<'_, State>, work: Work, bytes: usize) -> Ticket {
        let (answer, ticket) = oneshot::channel();
        state.bytes += bytes;
        state.jobs.push_back(Job { work, bytes, answer });
        self.wake.notify_one();
        ticket
    }

    /// Waits for work, and takes as much as one frame should hold.
    fn next(&self) -> Next {
        let mut state = self.state();
        loop {
            let left =
                |due: Option<Instant>| due.map(|due| due.saturating_duration_since(Instant::now()));
            // Before what waits: something always may.
            let drop_in = left(state.dropping.due).filter(|_| !state.stopped && !state.closing);
            if drop_in == Some(Duration::ZERO) {
                state.dropping.due = None;
                return Next::Drop;
            }
            if !state.jobs.is_empty() {
                break;
            }
            if state.closing {
                return Next::End;
            }
            let mend_in = left(state.mending.due);
            if mend_in == Some(Duration::ZERO) {
                return Next::MendIndex;
            }
            state = match [drop_in, mend_in].into_iter().flatten().min() {
                Some(left) => {
                    let waited = self.wake.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let limit = GROUP_BYTES.min(self.item_bytes_max);
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some(job) = state.jobs.front() {
            if !group.is_empty() && bytes + job.bytes > limit {
                break;
            }
            bytes += job.bytes;
            group.extend(state.jobs.pop_front());
        }
        Next::Write(group)
    }

    /// The group is durable: makes it visible, then answers.
    fn done<T>(&self, group: Vec<Job>, publish: impl FnOnce() -> T) -> T {
        let published = {
            let mut state = self.state();
            state.say_room();
            let published = publish();
            for job in &group {
                state.bytes -= job.bytes;
                match &job.work {
                    Work::Notes(changes) => state.notes.pop(changes),
                    Work::Append(append) => {
                        let size = append.expected.0 + append.entries.len() as u64;
                        if state.sizes.get(&append.committee) == Some(&TreeSize(size)) {
                            state.sizes.remove(&append.committee);
                        }
                    }
                }
            }
            published
        };
        for job in group {
            // Whoever stopped waiting does not mind.
            let _ = job.answer.send(Ok(()));
        }
        self.room.notify_waiters();
        published
    }

    /// The group failed, and with it everything that was queued on the strength of it.
    fn refuse(&self, group: Vec<Job>, error: &StoreError, stop: bool) {
        let behind = {
            let mut state = self.state();
            state.stopped |= stop;
            state.bytes = 0;
            state.sizes.clear();
            state.notes = QueuedNotes::default();
            std::mem::take(&mut state.jobs)
        };
        for job in group.into_iter().chain(behind) {
            let _ = job.answer.send(Err(error.clone()));
        }
        self.room.notify_waiters();
    }

    /// As [`Self::refuse`], for want of room; so many bytes are free.
    fn refuse_full(&self, group: Vec<Job>, free: u64) {
        {
            let mut state = self.state();
            state.full = Some(free);
            state.say_full();
        }
        self.refuse(group, &StoreError::StoreFull, false);
    }

    fn stop(&self) {
        self.refuse(Vec::new(), &StoreError::StoreStopped, true);
    }
}

/// Stops the queue when the commit thread ends in whatever way.
struct StopOnDrop<'q>(&'q Queue);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The commit thread.
pub(super) fn run(inner: &Arc<Inner>, mut journal: Journal) {
    let queue = inner.queue();
    let _stop = StopOnDrop(queue);
    let mut buffer = Vec::new();
    loop {
        let group = match queue.next() {
            Next::Write(group) => group,
            Next::MendIndex => {
                queue.mended(&inner.mend_index(journal.free_bytes()));
                continue;
            }
            Next::Drop => {
                let (began, copies) = (Instant::now(), journal.copies());
                let done = inner.drop_forgotten(&mut journal);
                if done.is_err() {
                    inner.drop_failed();
                }
                if let Err(DropError::Unknown(error)) = &done {
                    tracing::error!(%error, "dropping what was forgotten failed: writing stops");
                    queue.stop();
                }
                let written = journal.copies() - copies;
                queue.dropped(&done, began, written, inner.drop_after());
                continue;
            }
            Next::End => break,
        };
        match journal.append(assemble(buffer, &group)) {
            Ok((place, batch, used)) => {
                let planned = inner.index(place, &batch);
                if queue.done(group, || inner.publish(planned, &batch)) {
                    queue.drop_forgotten(inner.drop_after());
                }
                journal.prepare();
                buffer = used;
                buffer.shrink_to(GROUP_BYTES);
            }
            Err(WriteError::Full) => {
                queue.refuse_full(group, journal.free_bytes());
                buffer = Vec::new();
            }
            Err(WriteError::Unknown(error)) => {
                tracing::error!(%error, "a write to the journal failed: writing stops");
                queue.refuse(group, &StoreError::StoreStopped, true);
                buffer = Vec::new();
            }
        }
    }
}

fn assemble(buffer: Vec<u8>, group: &[Job]) -> FrameWriter {
    let mut frame = FrameWriter::new(buffer);
    for job in group {
        match &job.work {
            Work::Notes(changes) => frame.notes(changes.clone()),
            Work::Append(append) => {
                frame.append(append.committee, append.expected.next_index(), &append.entries);
                frame.forget(append.committee, &append.forgets);
            }
        }
    }
    frame
}
