//! The hub: one watched head a committee, and one cut-off signal a device. Heads carry sizes only;
//! readers read the log. A cut-off says nothing of why: whoever hears it asks again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{HeadAsk, Reply};
use sealpost_protocol::id::{CommitteeId, TreeSize};
use sealpost_protocol::sign::PublicKey;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// What a log last came to: durable, and signed for.
#[derive(Clone, Debug)]
pub struct Head {
    /// How many entries are durable and covered by the note.
    pub size: TreeSize,
    /// The signed checkpoint.
    pub note: Arc<str>,
    /// The log's store failed under an append: what came after `size` is unknown here. Says what
    /// to answer to those who wait for it.
    pub broken: Option<Code>,
}

/// One log to be watched, from a size on.
pub struct Watched {
    /// Which.
    pub committee: CommitteeId,
    /// What the watcher holds.
    pub held: TreeSize,
    /// Where its head appears.
    pub head: watch::Receiver<Head>,
}

/// The cut-off signals of those who listen, by login key.
#[derive(Debug, Default)]
pub struct CutOffs {
    listening: Mutex<HashMap<PublicKey, watch::Sender<()>>>,
}

/// Hears when a device is cut off: a committee of this relay suspended or removed it.
#[derive(Debug)]
pub struct CutOff {
    of: Arc<CutOffs>,
    key: PublicKey,
    signal: watch::Receiver<()>,
}

impl CutOffs {
    /// Listens for the device that logs in with `key`. Listen first, then ask whether it may act:
    /// so no cut-off falls between the two.
    pub fn listen(self: &Arc<Self>, key: PublicKey) -> CutOff {
        let mut listening = self.listening();
        let signal = listening.entry(key).or_default().subscribe();
        drop(listening);
        CutOff { of: self.clone(), key, signal }
    }

    /// Says to all who listen that this device is cut off.
    pub fn cut(&self, key: PublicKey) {
        if let Some(signal) = self.listening().get(&key) {
            signal.send_replace(());
        }
    }

    fn listening(&self) -> MutexGuard<'_, HashMap<PublicKey, watch::Sender<()>>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CutOff {
    /// Returns when the device was cut off since this was made or last returned.
    pub async fn told(&mut self) {
        if self.signal.changed().await.is_err() {
            // The sender stays for as long as anybody listens.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        let mut listening = self.of.listening();
        // This one counts until it is dropped.
        if listening.get(&self.key).is_some_and(|signal| signal.receiver_count() <= 1) {
            listening.remove(&self.key);
        }
    }
}

/// Tells `replies` of every growth, until the watcher goes away or is cut off, or one of the logs
/// goes: it was folded again, and whoever watches asks anew.
pub async fn watch(logs: Vec<Watched>, replies: mpsc::Sender<Reply>, mut cut: CutOff) {
    let mut watchers = JoinSet::new();
    for log in logs {
        watchers.spawn(watch_one(log, replies.clone()));
    }
    tokio::select! {
        () = cut.told() => {}
        () = replies.closed() => {}
        _ = watchers.join_next() => {}
    }
}

async fn watch_one(mut log: Watched, replies: mpsc::Sender<Reply>) {
    loop {
        let held = log.held;
        let Ok(size) = log.head.wait_for(|head| head.size > held).await.map(|head| head.size)
        else {
            return;
        };
        log.held = size;
        let grown = Reply::Grown(HeadAsk { committee: log.committee, size });
        if replies.send(grown).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
