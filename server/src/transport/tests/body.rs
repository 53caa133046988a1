//! What follows a request to put a blob: raw bytes, once the answer has said from where on.

use quinn::ReadError;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{BlobAt, BlobBytes, BlobGetRequest, BlobPutRequest};
use sealpost_protocol::world::{TestDevice, record_file};

use super::foreign::{MEMBER, Served};
use super::*;
use crate::limits::{BODY_BYTES_WAITING, WRITE_STEP_BYTES};

fn put(size: u64) -> Request {
    let blob = Blob { sha256: Hash([7; 32]), size };
    Request::BlobPut(BlobPutRequest { committee: ask().committee, blob })
}

fn at(offset: u64) -> Reply {
    Reply::BlobAt(BlobAt { offset })
}

#[tokio::test]
async fn the_bytes_of_a_blob_flow_once_the_answer_says_from_where() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&frame::encode(&put(4_000_000))).await.unwrap();
    assert_eq!(answer.next().await, Ok(Some(at(0))));
    send.write_all(&vec![7; 4_000_000]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(answer.next().await, Ok(Some(at(4_000_000))), "the service got as many");
    assert_eq!(answer.next().await, Ok(None));
    relay.count(r#"sealpost_relay_requests_total{request="blob-put",outcome="Answered"} 1"#).await;
}

#[tokio::test]
async fn bytes_that_came_with_the_request_are_not_lost() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let bytes = [frame::encode(&put(1_000)), vec![7; 1_000]].concat();
    let mut answer = peer.send(&bytes).await;
    assert_eq!(answer.next().await, Ok(Some(at(0))));
    assert_eq!(answer.next().await, Ok(Some(at(1_000))));
}

#[tokio::test]
async fn a_sender_faster_than_the_disk_waits_and_takes_no_memory() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let (mut send, mut answer) = peer.open().await;
    let request = frame::encode(&put(Echo::SLOW));
    send.write_all(&request).await.unwrap();
    assert_eq!(answer.next().await, Ok(Some(at(0))));
    let sending = tokio::spawn(async move {
        send.write_all(&vec![7; 4_000_000]).await.unwrap();
        send.finish().unwrap();
        send.stopped().await.unwrap();
    });
    relay.echo.full.notified().await;
    let received = relay.metrics.received_bytes.get();
    assert!(received <= (request.len() + BODY_BYTES_WAITING) as u64, "{received} bytes wait");
    relay.echo.go_on.notify_one();
    assert_eq!(answer.next().await, Ok(Some(at(4_000_000))));
    sending.await.unwrap();
}

#[tokio::test]
async fn a_blob_whose_bytes_stand_still_is_cut() {
    let limits = Limits { request_grace: Duration::from_millis(50), ..Limits::default() };
    let relay = Relay::start(limits);
    let peer = relay.peer(2).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&frame::encode(&put(1_000))).await.unwrap();
    assert_eq!(answer.next().await, Ok(Some(at(0))));
    let slow = CloseCode::TooSlow.number().into();
    assert_eq!(answer.next().await, Err(ReadError::Reset(slow)));
    assert_eq!(send.stopped().await, Ok(Some(slow)));
    relay.count(r#"sealpost_relay_requests_total{request="blob-put",outcome="TooSlow"} 1"#).await;
    assert_eq!(peer.ask(&hello()).await.len(), 1, "the connection lives on");
}

#[test]
fn bytes_that_trickle_use_up_the_patience_for_them() {
    let second = Duration::from_secs(1);
    let mut patience = request::Patience::new(20 * second);
    for _ in 0..19 {
        patience.came(1, second);
    }
    assert_eq!(patience.left, second);
    patience.came(1, second);
    assert_eq!(patience.left, Duration::ZERO);
    let mut patience = request::Patience::new(20 * second);
    for _ in 0..1_000 {
        patience.came(WRITE_STEP_BYTES / 2, 9 * second);
    }
    assert_eq!(patience.left, 20 * second, "slow and steady has no end");
}

#[tokio::test]
async fn bytes_behind_any_other_request_are_malformed() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let get = BlobGetRequest { committee: ask().committee, sha256: Hash([7; 32]), offset: 0 };
    for request in [Request::BlobGet(get), hello(), watch()] {
        let mut answer = peer.send(&[frame::encode(&request).as_slice(), b"x"].concat()).await;
        let malformed = Reply::Refused(Refused { code: Code::Malformed });
        assert_eq!(answer.next().await, Ok(Some(malformed)), "{request:?}");
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_are_not_read() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&frame::encode(&put(Echo::UNWANTED))).await.unwrap();
    let refused = Reply::Refused(Refused { code: Code::NotFound });
    assert_eq!(answer.next().await, Ok(Some(refused)));
    assert_eq!(answer.next().await, Ok(None));
    assert!(send.stopped().await.unwrap().is_some(), "told to stop");
    assert_eq!(peer.ask(&hello()).await.len(), 1, "the connection lives on");
}

#[tokio::test]
async fn what_may_wait_of_a_blob_counts_among_unfinished_requests() {
    let limits = Limits { requests_bytes_max: BODY_BYTES_WAITING + 16 * 1024, ..Limits::default() };
    let relay = Relay::start(limits);
    let (holder, other) = (relay.peer(2).await, relay.peer(3).await);
    let (mut holding, mut held) = holder.open().await;
    holding.write_all(&frame::encode(&put(1_000))).await.unwrap();
    assert_eq!(held.next().await, Ok(Some(at(0))));
    let (mut pressing, mut answer) = other.open().await;
    pressing.write_all(&frame::encode(&put(1_000))).await.unwrap();
    let busy = Reply::Refused(Refused { code: Code::Busy });
    assert_eq!(answer.next().await.unwrap(), Some(busy));
    assert_eq!(other.ask(&hello()).await.len(), 1, "small ones still fit");
}

#[tokio::test]
async fn a_blob_goes_over_the_wire_in_two_halves_and_back() {
    let served = Served::start().await;
    let mut world = served.found(MEMBER).await;
    let file: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    let blob = Blob { sha256: Hash::of(&file), size: file.len() as u64 };
    let committee = world.committee.id();
    let request = frame::encode(&Request::BlobPut(BlobPutRequest { committee, blob }));

    let peer = served.peer(MEMBER).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&request).await.unwrap();
    assert_eq!(answer.next().await, Ok(Some(at(0))));
    send.write_all(&file[..1_000_000]).await.unwrap();
    // All of it has come, and then the line is lost.
    served.written(1_000_000).await;
    peer.leave().await;

    let peer = served.peer(MEMBER).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&request).await.unwrap();
    assert_eq!(answer.next().await, Ok(Some(at(1_000_000))));
    send.write_all(&file[1_000_000..]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(answer.next().await, Ok(Some(Reply::Done(Empty {}))));

    let device = TestDevice::new(MEMBER);
    let mut header = world.record_header(&device);
    header.blobs = vec![blob];
    let entry = sealpost_protocol::entry::Entry::sign(header, record_file(), &device.signing);
    world.push(&entry).unwrap();
    let entries = vec![entry.encode().into()];
    let pushed = peer.ask(&Request::Push(frame::PushRequest { committee, entries })).await;
    assert!(matches!(&pushed[..], [Reply::Pushed(_)]), "{pushed:?}");
    let get = BlobGetRequest { committee, sha256: blob.sha256, offset: 500_000 };
    let mut got = Vec::new();
    for reply in peer.ask(&Request::BlobGet(get)).await {
        match reply {
            Reply::BlobBytes(BlobBytes { bytes }) => got.extend_from_slice(&bytes),
            other => assert_eq!(other, Reply::Done(Empty {})),
        }
    }
    assert!(got == file[500_000..]);
}
