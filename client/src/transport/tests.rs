use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sealpost_protocol::frame::{
    Checkpointed, Empty, HeadAsk, HeadsRequest, HelloReply, PullRequest,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, TreeSize};

use super::*;
use relay::{Behaviour, Relay, Script};

mod answers;
mod opening;
pub(crate) mod relay;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn quick() -> Deadlines {
    Deadlines {
        handshake: Duration::from_millis(300),
        pause: Duration::from_millis(300),
        ..Deadlines::default()
    }
}

fn login() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn committee() -> CommitteeId {
    CommitteeId(Hash([9; 32]))
}

fn pull() -> Request {
    Request::Pull(PullRequest { committee: committee(), from: TreeSize(0) })
}

fn cosignatures() -> Request {
    Request::Cosignatures(frame::CommitteeRequest { committee: committee() })
}

fn watch() -> Request {
    let ask = HeadAsk { committee: committee(), size: TreeSize(0) };
    Request::Watch(HeadsRequest { committees: vec![ask] })
}

fn entries() -> Vec<u8> {
    frame::encode(&Reply::Entries(vec![vec![1, 2, 3].into()]))
}

fn end() -> Vec<u8> {
    frame::encode(&Reply::End(Checkpointed { checkpoint: "the end".to_owned() }))
}

fn refusal(code: Code) -> Vec<u8> {
    frame::encode(&Reply::Refused(Refused { code }))
}
