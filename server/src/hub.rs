//! The hub: one watched head a committee. It carries sizes only; readers read the log.

use std::sync::Arc;

use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{HeadAsk, Reply};
use sealpost_protocol::id::{CommitteeId, TreeSize};
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

/// Tells `replies` of every growth, until the watcher goes away or one of the logs does: it was
/// folded again, and whoever watches asks anew.
pub async fn watch(logs: Vec<Watched>, replies: mpsc::Sender<Reply>) {
    let mut watchers = JoinSet::new();
    for log in logs {
        watchers.spawn(watch_one(log, replies.clone()));
    }
    tokio::select! {
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
