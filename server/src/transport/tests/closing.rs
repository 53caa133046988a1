use quinn::ReadError;

use super::*;

#[tokio::test]
async fn a_stop_cuts_watches_lets_requests_finish_and_takes_nothing_new() {
    let relay = Relay::start(Limits::default());
    let peer = relay.peer(2).await;
    let mut watching = peer.send(&frame::encode(&watch())).await;
    assert!(watching.next().await.unwrap().is_some());
    let mut pulling = peer.send(&frame::encode(&pull())).await;
    relay.echo.pulls_begun.notified().await;

    relay.stopper.stop();
    let stopping = CloseCode::Stopping.number().into();
    assert_eq!(watching.next().await, Err(ReadError::Reset(stopping)));
    let newcomer = relay.try_peer(Suite::Hybrid, 3).await.err().expect("refused");
    let refused = matches!(&newcomer, quinn::ConnectionError::ConnectionClosed(_));
    assert!(refused, "{newcomer}");
    relay.echo.go_on.notify_one();
    assert!(matches!(pulling.next().await, Ok(Some(Reply::End(_)))));
    assert_eq!(pulling.next().await, Ok(None));

    let closed = peer.connection.closed().await;
    assert_eq!(close_code(&closed), Some(CloseCode::Stopping));
    relay.serving.await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let limits = Limits { stop_grace: Duration::from_millis(50), ..Limits::default() };
    let relay = Relay::start(limits);
    let peer = relay.peer(2).await;
    let _never_answered = peer.send(&frame::encode(&pull())).await;
    relay.echo.pulls_begun.notified().await;
    relay.stopper.stop();
    relay.serving.await.unwrap();
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_after_a_while() {
    let limits = Limits { connection_idle_max: Duration::from_millis(100), ..Limits::default() };
    let relay = Relay::start(limits);
    let (idle, busy) = (relay.peer(2).await, relay.peer(3).await);
    let mut watching = busy.send(&frame::encode(&watch())).await;
    assert!(watching.next().await.unwrap().is_some());
    let closed = idle.connection.closed().await;
    assert_eq!(close_code(&closed), Some(CloseCode::Idle));
    assert!(busy.connection.close_reason().is_none());
}

#[tokio::test]
async fn two_relays_cannot_have_one_port() {
    let relay = Relay::start(Limits::default());
    let again = Transport::bind(
        relay.address,
        &relay.key,
        wire::ALPN,
        Limits::default(),
        Arc::new(Metrics::new()),
    );
    assert!(matches!(again, Err(BindError::LocalPortInUse(address)) if address == relay.address));
}

#[tokio::test]
async fn an_address_of_another_machine_cannot_be_listened_on() {
    let elsewhere = "192.0.2.1:4433".parse().unwrap();
    let key = SigningKey::from_bytes(&[1; 32]);
    let metrics = Arc::new(Metrics::new());
    let bound = Transport::bind(elsewhere, &key, wire::ALPN, Limits::default(), metrics);
    assert!(matches!(bound, Err(BindError::LocalAddress { .. })));
}
