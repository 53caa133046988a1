use quinn::ReadError;

use super::*;

const MALFORMED: Reply = Reply::Refused(Refused { code: Code::Malformed });

async fn one(peer: &Peer, bytes: &[u8]) -> Reply {
    let mut answer = peer.send(bytes).await;
    let reply = answer.next().await.unwrap().expect("an answer");
    assert_eq!(answer.next().await.unwrap(), None);
    reply
}

#[tokio::test]
async fn an_unreadable_frame_is_refused_and_the_connection_lives_on() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let sound = frame::encode(&hello());
    let not_cbor = [&[0, 0, 0, 2], [0xff, 0xff].as_slice()].concat();
    let cut_off = &sound[..sound.len() - 1];
    let two = [sound.as_slice(), &sound].concat();
    for bytes in [not_cbor.as_slice(), cut_off, &two] {
        assert_eq!(one(&peer, bytes).await, MALFORMED, "{bytes:x?}");
    }
    assert!(matches!(one(&peer, &sound).await, Reply::Hello(_)));
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_before_anything_else_comes() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&1_000_000_000_u32.to_be_bytes()).await.unwrap();
    let reply = answer.next().await.unwrap();
    assert_eq!(reply, Some(Reply::Refused(Refused { code: Code::TooLarge })));
    assert_eq!(send.stopped().await, Ok(Some(CloseCode::Misbehaved.number().into())));
}

#[tokio::test]
async fn an_empty_stream_is_no_request() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let mut answer = peer.send(&[]).await;
    assert_eq!(answer.next().await, Ok(None));
    assert_eq!(peer.ask(&hello()).await.len(), 1);
}

#[tokio::test]
async fn a_slow_request_is_cut() {
    let limits = Limits { request_grace: Duration::from_millis(50), ..Limits::default() };
    let relay = Relay::start(limits);
    let peer = relay.peer(2).await;
    let (mut send, mut answer) = peer.open().await;
    send.write_all(&frame::encode(&hello())[..6]).await.unwrap();
    let slow = CloseCode::TooSlow.number().into();
    assert_eq!(answer.next().await, Err(ReadError::Reset(slow)));
    assert_eq!(peer.ask(&hello()).await.len(), 1, "the connection lives on");
}

#[test]
fn a_slow_but_steady_request_gets_the_time_it_needs() {
    let limits = Limits::default();
    let first = request::time_for(0, &limits);
    assert_eq!(first, limits.request_grace);
    let later = request::time_for(64 * 1024, &limits);
    assert_eq!(later, limits.request_grace + Duration::from_secs(64));
}

#[tokio::test]
async fn unfinished_requests_beyond_the_memory_for_them_are_put_off() {
    let limits = Limits { requests_bytes_max: 16 * 1024, ..Limits::default() };
    let relay = Relay::start(limits);
    let (holder, other) = (relay.peer(2).await, relay.peer(3).await);
    let (mut holding, _answer) = holder.open().await;
    let claimed = [&60_000_u32.to_be_bytes(), [0; 12 * 1024].as_slice()].concat();
    holding.write_all(&claimed).await.unwrap();
    relay.count(&format!("sealpost_relay_received_bytes_total {}", claimed.len())).await;
    let (mut pressing, mut answer) = other.open().await;
    pressing.write_all(&claimed).await.unwrap();
    let busy = Reply::Refused(Refused { code: Code::Busy });
    assert_eq!(answer.next().await.unwrap(), Some(busy));
    assert_eq!(other.ask(&hello()).await.len(), 1, "small ones still fit");
}

#[tokio::test]
async fn the_service_hears_that_a_watcher_left() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let mut answer = peer.send(&frame::encode(&watch())).await;
    assert_eq!(answer.next().await, Ok(Some(Reply::Grown(ask()))));
    drop(answer);
    relay.count(r#"sealpost_relay_requests_total{request="watch",outcome="Gone"} 1"#).await;
    peer.leave().await;
}

#[tokio::test]
async fn a_request_runs_to_its_end_when_its_peer_has_gone() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let _answer = peer.send(&frame::encode(&pull())).await;
    relay.echo.pulls_begun.notified().await;
    peer.leave().await;
    relay.echo.go_on.notify_one();
    relay.count("sealpost_relay_connections 0").await;
    assert_eq!(relay.echo.pulls_ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends() {
    let limits = Limits { write_deadline: Duration::from_millis(100), ..Limits::default() };
    let relay = Relay::start(limits);
    let peer = relay.peer(2).await;
    let joins = Request::Joins(frame::CommitteeRequest { committee: CommitteeId(Hash([9; 32])) });
    let _unread = peer.send(&frame::encode(&joins)).await;
    relay.echo.deaf.notified().await;
    relay.count(r#"sealpost_relay_requests_total{request="joins",outcome="Gone"} 1"#).await;
}

#[tokio::test]
async fn requests_are_counted_by_kind_and_outcome() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    peer.ask(&hello()).await;
    let list = frame::InviteAction::List(Empty {});
    let invite = frame::InviteRequest { committee: ask().committee, action: list };
    peer.ask(&Request::Invite(invite)).await;
    relay.count(r#"sealpost_relay_requests_total{request="hello",outcome="Answered"} 1"#).await;
    relay.count(r#"sealpost_relay_requests_total{request="invite",outcome="NotFound"} 1"#).await;
}
