use tokio::net::UdpSocket;

use super::*;

fn nothing() -> Script {
    Script::Bytes(Vec::new())
}

#[tokio::test]
async fn the_relay_learns_the_login_key_and_no_name() {
    let relay = Relay::honest(nothing());
    let connection = relay.open().await.unwrap();
    assert_eq!(connection.relay_time(), NOW);
    assert!(connection.impostors().is_empty());
    assert_eq!(*relay.seen.logins.lock().unwrap(), [login().verifying_key().into()]);
    assert_eq!(*relay.seen.names.lock().unwrap(), [None]);
    connection.close().await;
}

#[tokio::test]
async fn a_wrong_key_is_a_lie_and_no_network_error() {
    let relay = Relay::start(Behaviour { shows: 2, signs: 2, ..Behaviour::default() }, nothing());
    let error = relay.open().await.unwrap_err();
    let wrong = PeerError::WrongKey(relay.host.clone());
    assert!(matches!(error, TransportError::Lied(lie) if lie == wrong));
}

#[tokio::test]
async fn the_right_key_without_its_signature_is_a_lie() {
    let relay = Relay::start(Behaviour { signs: 2, ..Behaviour::default() }, nothing());
    let error = relay.open().await.unwrap_err();
    let unproven = PeerError::UnprovenKey(relay.host.clone());
    assert!(matches!(error, TransportError::Lied(lie) if lie == unproven));
}

#[tokio::test]
async fn a_relay_without_the_hybrid_key_exchange_is_refused() {
    let classical = Behaviour { classical: true, ..Behaviour::default() };
    let error = Relay::start(classical, nothing()).open().await.unwrap_err();
    assert!(matches!(error, TransportError::OtherVersion(IncompatibleError::Handshake)), "{error}");
}

#[tokio::test]
async fn a_relay_of_another_application_protocol_is_named() {
    let other = Behaviour { alpn: b"sealpost/2", ..Behaviour::default() };
    let relay = Relay::start(other, nothing());
    let error = relay.open().await.unwrap_err();
    let protocol = IncompatibleError::Protocol(wire::ALPN.to_vec());
    assert!(matches!(error, TransportError::OtherVersion(why) if why == protocol));
    let configured = Connection::open_as(&relay.address, &login(), quick(), b"sealpost/2").await;
    assert_eq!(configured.unwrap().relay_time(), NOW);
}

#[tokio::test]
async fn a_relay_of_another_version_of_requests_is_named() {
    let newer = Behaviour { version: frame::VERSION + 1, ..Behaviour::default() };
    let error = Relay::start(newer, nothing()).open().await.unwrap_err();
    assert!(matches!(error, TransportError::OtherVersion(IncompatibleError::Version)), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_named_after_two_attempts() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let host: Host = silent.local_addr().unwrap().to_string().parse().unwrap();
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key().into();
    let address = RelayAddress::new(key, vec![host.clone()]).unwrap();
    let error = Connection::open(&address, &login(), quick()).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { tried, .. } if tried == host.to_string())
    );
    let mut sources = std::collections::BTreeSet::new();
    while let Ok((_, source)) = silent.try_recv_from(&mut [0; 2048]) {
        sources.insert(source);
    }
    assert_eq!(sources.len(), 2, "each attempt is a fresh one");
}

#[tokio::test]
async fn hosts_are_tried_in_turn_and_impostors_remembered() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let silent_host: Host = silent.local_addr().unwrap().to_string().parse().unwrap();
    let impostor =
        Relay::start(Behaviour { shows: 2, signs: 2, ..Behaviour::default() }, nothing());
    let relay = Relay::honest(nothing());
    let hosts = vec![silent_host, impostor.host.clone(), relay.host.clone()];
    let address = RelayAddress::new(*relay.address.key(), hosts).unwrap();
    let connection = Connection::open(&address, &login(), quick()).await.unwrap();
    assert_eq!(connection.impostors(), [PeerError::WrongKey(impostor.host.clone())]);

    relay.endpoint.set_server_config(None);
    let error = Connection::open(&address, &login(), quick()).await.unwrap_err();
    assert!(matches!(error, TransportError::Lied(PeerError::WrongKey(_))), "a lie comes first");
}

#[tokio::test]
async fn a_full_relay_turns_us_away() {
    let relay = Relay::start(Behaviour { full: true, ..Behaviour::default() }, nothing());
    let error = relay.open().await.unwrap_err();
    assert!(matches!(error, TransportError::TurnedAway(_)), "{error}");
}
