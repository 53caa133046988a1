use quinn::ConnectionError;

use super::*;

#[tokio::test]
async fn the_login_key_is_handed_to_the_service() {
    let relay = Relay::start(Limits::default());
    for seed in [2, 3] {
        let login = SigningKey::from_bytes(&[seed; 32]).verifying_key().into();
        assert_eq!(relay.peer(seed).await.ask(&hello()).await, [hello_to(login)]);
    }
}

#[tokio::test]
async fn a_peer_without_the_hybrid_key_exchange_is_refused() {
    let relay = Relay::start(Limits::default());
    relay.try_peer(Suite::Hybrid, 2).await.unwrap();
    refused(&relay, relay.try_peer(Suite::X25519, 2).await).await;
}

#[tokio::test]
async fn a_peer_without_a_login_key_is_refused() {
    let relay = Relay::start(Limits::default());
    refused(&relay, relay.try_peer(Suite::Anonymous, 2).await).await;
}

#[tokio::test]
async fn a_login_key_that_is_not_ed25519_is_refused() {
    let relay = Relay::start(Limits::default());
    refused(&relay, relay.try_peer(Suite::Ecdsa, 2).await).await;
}

#[tokio::test]
async fn a_login_key_that_is_not_the_peers_own_is_refused() {
    let relay = Relay::start(Limits::default());
    refused(&relay, relay.try_peer(Suite::Impostor, 2).await).await;
}

#[tokio::test]
async fn another_application_protocol_is_refused() {
    let relay = Relay::start(Limits::default());
    let other = Peer::connect(relay.address, &relay.key, Suite::Hybrid, 2, b"sealpost/2");
    refused(&relay, other.await).await;
}

/// A client may believe it is connected before its key was looked at: then it is closed at once.
async fn refused(relay: &Relay, peer: Result<Peer, ConnectionError>) {
    let error = match peer {
        Err(error) => error,
        Ok(peer) => peer.connection.closed().await,
    };
    assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error}");
    relay.count(r#"sealpost_relay_connections_turned_total{why="HandshakeFailed"} 1"#).await;
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_forgotten() {
    let limits = Limits { handshake_deadline: Duration::from_millis(100), ..Limits::default() };
    let relay = Relay::start(limits);
    peer::begin_handshake_and_fall_silent(&relay).await;
    relay.count(r#"sealpost_relay_connections_turned_total{why="HandshakeFailed"} 1"#).await;
}

#[tokio::test]
async fn under_load_a_peer_proves_its_address_and_gets_in() {
    let relay = Relay::start(Limits { handshakes_unproven_max: 0, ..Limits::default() });
    assert_eq!(relay.peer(2).await.ask(&hello()).await.len(), 1);
    assert!(relay.counted(r#"sealpost_relay_connections_turned_total{why="Retried"} 1"#));
}

#[tokio::test]
async fn connections_from_one_address_are_limited() {
    let relay = Relay::start(Limits { address_connections_max: 2, ..Limits::default() });
    let first = relay.peer(2).await;
    let _second = relay.peer(3).await;
    assert!(relay.try_peer(Suite::Hybrid, 4).await.is_err());
    assert!(relay.counted(r#"sealpost_relay_connections_turned_total{why="TooMany"} 1"#));
    first.leave().await;
    relay.count("sealpost_relay_connections 1").await;
    relay.peer(4).await;
}

#[tokio::test]
async fn a_further_connection_of_a_key_displaces_its_oldest() {
    let relay = Relay::start(Limits { key_connections_max: 2, ..Limits::default() });
    let oldest = relay.peer(2).await;
    let _other_key = relay.peer(3).await;
    let _second = relay.peer(2).await;
    let third = relay.peer(2).await;
    let closed = oldest.connection.closed().await;
    assert_eq!(close_code(&closed), Some(CloseCode::Displaced));
    assert_eq!(third.ask(&hello()).await.len(), 1);
}
