//! The endpoint's settings, each measured or bounded (DESIGN §7, NUMBERS).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt,
};
use rustix::net::sockopt;

use crate::limits::{
    DATAGRAM_BYTES_MAX, HANDSHAKE_BYTES_MAX, Limits, PEER_SILENT_MAX, RECEIVE_WINDOW_BYTES,
    SEND_WINDOW_BYTES, SOCKET_RECEIVE_BYTES, STREAMS_MAX,
};

pub(super) fn socket(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen)?;
    sockopt::set_socket_recv_buffer_size(&socket, SOCKET_RECEIVE_BYTES)?;
    // Linux grants less without an error, and reports twice what it granted.
    let granted = sockopt::socket_recv_buffer_size(&socket)? / 2;
    if granted < SOCKET_RECEIVE_BYTES {
        tracing::info!(
            granted,
            wanted = SOCKET_RECEIVE_BYTES,
            "small receive buffer: raise net.core.rmem_max if many connect at once"
        );
    }
    Ok(socket)
}

pub(super) fn server_config(tls: QuicServerConfig, limits: &Limits) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut tokens = ValidationTokenConfig::default();
    // A token for the next visit would let an observer link the two.
    tokens.sent(0);
    config
        .transport_config(Arc::new(transport_config()))
        .validation_token_config(tokens)
        .max_incoming(limits.handshakes_max)
        .incoming_buffer_size(HANDSHAKE_BYTES_MAX as u64)
        .incoming_buffer_size_total((HANDSHAKE_BYTES_MAX * limits.handshakes_max) as u64);
    config
}

/// The congestion controller is Cubic, the default. No keep-alive: whoever wants to stay says so.
fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(DATAGRAM_BYTES_MAX);
    let silent = IdleTimeout::try_from(PEER_SILENT_MAX).expect("a minute fits 62 bits of ms");
    config
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(RECEIVE_WINDOW_BYTES.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES)
        .crypto_buffer_size(HANDSHAKE_BYTES_MAX)
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(mtu))
        .max_idle_timeout(Some(silent))
        // The spin bit shows round trips to everybody on the way.
        .allow_spin(false);
    config
}
