//! From an address to a proven line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use quinn::{
    ClientConfig, ConnectionError, Endpoint, IdleTimeout, MtuDiscoveryConfig, NoneTokenStore,
    TransportConfig, TransportErrorCode, VarInt,
};
use sealpost_protocol::address::{Host, HostName, RelayAddress};
use sealpost_protocol::wire::CloseCode;
use tokio::time::timeout;

use super::tls::{self, Caught, Lie};
use super::{Deadlines, IncompatibleError, PeerError, TransportError};

/// How long a goodbye may take.
pub(super) const GOODBYE_MAX: Duration = Duration::from_millis(300);
/// What the relay may send ahead on one stream and in all: 8 MB/s at a round trip of 250 ms.
const RECEIVE_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// Addresses of one name that are tried.
const LOOKED_UP_MAX: usize = 4;
/// The largest datagram sent: what Ethernet carries.
const DATAGRAM_BYTES_MAX: u16 = 1452;
/// Address translators forget a line after half a minute of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const PEER_SILENT_MAX: Duration = Duration::from_secs(60);
/// quinn wants a name; it is not sent (SNI is off) and not checked (the key is pinned).
const NAME_UNUSED: &str = "relay.invalid";

/// TLS alerts by which the other end says that we do not fit (RFC 8446 §6), and the two that mean
/// a protocol it does not speak.
const ALERT_HANDSHAKE_FAILURE: u8 = 40;
const ALERT_ILLEGAL_PARAMETER: u8 = 47;
const ALERT_PROTOCOL_VERSION: u8 = 70;
const ALERT_INSUFFICIENT_SECURITY: u8 = 71;
const ALERT_UNSUPPORTED_EXTENSION: u8 = 110;
const ALERT_NO_APPLICATION_PROTOCOL: u8 = 120;

/// A connection and the socket it lives on.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: quinn::Connection,
    pub(super) endpoint: Endpoint,
}

/// A line, and who tried to pass for the relay before.
pub(super) struct Dialled {
    pub(super) line: Line,
    pub(super) impostors: Vec<PeerError>,
}

struct Dial<'d> {
    address: &'d RelayAddress,
    login: &'d SigningKey,
    deadlines: Deadlines,
    alpn: &'d [u8],
}

/// Tries every host of `address` in turn.
pub(super) async fn dial(
    address: &RelayAddress,
    login: &SigningKey,
    deadlines: Deadlines,
    alpn: &[u8],
) -> Result<Dialled, TransportError> {
    let dial = Dial { address, login, deadlines, alpn };
    let mut impostors = Vec::new();
    let mut other = None;
    let mut why = String::new();
    for host in address.hosts() {
        match dial.host(host).await {
            Ok(line) => return Ok(Dialled { line, impostors }),
            Err(TransportError::Lied(lie)) => impostors.push(lie),
            Err(TransportError::Unreachable { why: this, .. }) => why = this,
            Err(local @ TransportError::Local(_)) => return Err(local),
            // A relay that answered says more than one that did not.
            Err(error) => other = Some(error),
        }
    }
    if let Some(lie) = impostors.into_iter().next() {
        return Err(lie.into());
    }
    Err(other.unwrap_or_else(|| TransportError::Unreachable { tried: tried(address), why }))
}

fn tried(address: &RelayAddress) -> String {
    address.hosts().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Dial<'_> {
    async fn host(&self, host: &Host) -> Result<Line, TransportError> {
        let mut last = None;
        for address in self.look_up(host).await? {
            for _ in 0..self.deadlines.handshake_attempts {
                match self.attempt(host, address).await {
                    // Silence may be a lost packet: once more, from a fresh socket.
                    Err(error @ TransportError::Unreachable { .. }) => last = Some(error),
                    done => return done,
                }
            }
        }
        Err(last.unwrap_or_else(|| unreachable(&"the name has no address")))
    }

    async fn look_up(&self, host: &Host) -> Result<Vec<SocketAddr>, TransportError> {
        let name = match host.name() {
            HostName::V4(address) => return Ok(vec![(*address, host.port()).into()]),
            HostName::V6(address) => return Ok(vec![(*address, host.port()).into()]),
            HostName::Dns(name) => name.as_str(),
        };
        let looking = tokio::net::lookup_host((name, host.port()));
        match timeout(self.deadlines.handshake, looking).await {
            Ok(Ok(found)) => Ok(found.take(LOOKED_UP_MAX).collect()),
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_) => Err(unreachable(&"the look-up of the name took too long")),
        }
    }

    async fn attempt(&self, host: &Host, address: SocketAddr) -> Result<Line, TransportError> {
        let caught = Caught::default();
        let tls = tls::client_config(self.address.key(), self.login, self.alpn, &caught)
            .map_err(|error| TransportError::Local(error.to_string()))?;
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let endpoint = Endpoint::client((any, 0).into())
            .map_err(|error| TransportError::Local(error.to_string()))?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport_config()));
        // A token for the next visit would let an observer link the two.
        config.token_store(Arc::new(NoneTokenStore));
        let connecting = endpoint
            .connect_with(config, address, NAME_UNUSED)
            .map_err(|error| unreachable(&error))?;
        let connected = timeout(self.deadlines.handshake, connecting).await;
        let lie = *caught.lock().unwrap_or_else(PoisonError::into_inner);
        match (connected, lie) {
            (_, Some(Lie::WrongKey)) => Err(PeerError::WrongKey(host.clone()).into()),
            (_, Some(Lie::UnprovenKey)) => Err(PeerError::UnprovenKey(host.clone()).into()),
            (Ok(Ok(connection)), None) => Ok(Line { connection, endpoint }),
            (Ok(Err(error)), None) => Err(self.refused(&error)),
            (Err(_), None) => Err(unreachable(&"no answer to the handshake")),
        }
    }

    /// What a handshake that failed says, when it was not over the relay's key.
    fn refused(&self, error: &ConnectionError) -> TransportError {
        let code = match error {
            ConnectionError::VersionMismatch => return self.other_protocol(),
            ConnectionError::ConnectionClosed(close) => close.error_code,
            ConnectionError::TransportError(error) => error.code,
            error => return lost_before_hello(error),
        };
        let is = |alert| code == TransportErrorCode::crypto(alert);
        if is(ALERT_NO_APPLICATION_PROTOCOL) {
            return self.other_protocol();
        }
        let unfit = [
            ALERT_HANDSHAKE_FAILURE,
            ALERT_ILLEGAL_PARAMETER,
            ALERT_PROTOCOL_VERSION,
            ALERT_INSUFFICIENT_SECURITY,
            ALERT_UNSUPPORTED_EXTENSION,
        ];
        if unfit.into_iter().any(is) {
            return IncompatibleError::Handshake.into();
        }
        if code == TransportErrorCode::CONNECTION_REFUSED {
            return TransportError::TurnedAway("too many are connected");
        }
        unreachable(error)
    }

    fn other_protocol(&self) -> TransportError {
        IncompatibleError::Protocol(self.alpn.to_vec()).into()
    }
}

fn unreachable(why: &impl ToString) -> TransportError {
    TransportError::Unreachable { tried: String::new(), why: why.to_string() }
}

fn lost_before_hello(error: &ConnectionError) -> TransportError {
    match lost(error) {
        TransportError::Lost(why) => unreachable(&why),
        other => other,
    }
}

/// What the end of a connection means.
pub(super) fn lost(error: &ConnectionError) -> TransportError {
    let ConnectionError::ApplicationClosed(close) = error else {
        return TransportError::Lost(error.to_string());
    };
    match CloseCode::from_number(close.error_code.into_inner()) {
        Some(CloseCode::Stopping) => TransportError::TurnedAway("it is being stopped"),
        Some(CloseCode::TooMany) => TransportError::TurnedAway("too many are connected"),
        Some(CloseCode::Displaced) => {
            TransportError::TurnedAway("this device has too many connections")
        }
        code => TransportError::Lost(format!("the relay closed it ({code:?})")),
    }
}

fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(DATAGRAM_BYTES_MAX);
    let silent = IdleTimeout::try_from(PEER_SILENT_MAX).expect("a minute fits 62 bits of ms");
    config
        // A relay answers; it never begins.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(RECEIVE_WINDOW_BYTES.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(mtu))
        .max_idle_timeout(Some(silent))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .allow_spin(false);
    config
}
