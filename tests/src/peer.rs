//! A client that one can only think of: quinn and rustls with settings that an honest one has, or
//! not, and requests that an honest one sends, or not.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadToEndError};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use sealpost_protocol::address::{HostName, RelayAddress};
use sealpost_protocol::frame::{self, FrameReader, Reply, Request};
use sealpost_protocol::limits;
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire;
use tokio::runtime::Runtime;

use crate::process::DEADLINE;

/// Longer answers are no answers that a test asks for.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which key exchange a peer offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// X25519MLKEM768, as it should.
    Hybrid,
    /// X25519 alone.
    X25519,
    /// NIST P-256 alone.
    P256,
}

/// How a peer logs in.
#[derive(Clone, Debug)]
pub enum Login {
    /// With this device's login key, as it should.
    Device(Box<SigningKey>),
    /// With an ECDSA key.
    Ecdsa,
    /// Not at all.
    Nobody,
}

/// How a peer comes.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Its key exchange.
    pub exchange: Exchange,
    /// Its login.
    pub login: Login,
    /// Its application protocol.
    pub alpn: Vec<u8>,
}

impl Manner {
    /// As an honest device with that login key comes.
    pub fn of(login: &SigningKey) -> Self {
        let login = Login::Device(Box::new(login.clone()));
        Self { exchange: Exchange::Hybrid, login, alpn: wire::ALPN.to_vec() }
    }

    /// As an honest device whose login key is made of `seed` comes.
    pub fn seeded(seed: u8) -> Self {
        Self::of(&SigningKey::from_bytes(&[seed; 32]))
    }
}

/// A connected peer.
#[derive(Debug)]
pub struct Peer {
    runtime: Runtime,
    connection: Connection,
    /// Drives the connection.
    _endpoint: Endpoint,
}

impl Peer {
    /// Connects to the relay at `address`, pinning its key.
    ///
    /// A relay looks at the login key last: a peer it turns away may be connected for a moment.
    ///
    /// # Errors
    /// When either side refused.
    ///
    /// # Panics
    /// When `address` is no address of a relay on IPv4.
    pub fn connect(address: &str, manner: &Manner) -> Result<Self, ConnectionError> {
        let address: RelayAddress = address.parse().expect("a relay's address");
        let host = &address.hosts()[0];
        let HostName::V4(ip) = host.name() else { panic!("{host} is not on IPv4") };
        let config = client_config(address.key(), manner);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread is left");
        let to = (*ip, host.port()).into();
        let (connection, endpoint) = runtime.block_on(async {
            let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
            let connecting = endpoint.connect_with(config, to, "relay").expect("it is configured");
            Ok::<_, ConnectionError>((connecting.await?, endpoint))
        })?;
        Ok(Self { runtime, connection, _endpoint: endpoint })
    }

    /// Sends one request on a stream of its own and returns every byte of the answer.
    ///
    /// # Panics
    /// When the stream ends in another way than complete, and at [`DEADLINE`].
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Vec<u8> {
        let answer = self.send(&frame::encode(request));
        answer.unwrap_or_else(|error| panic!("no answer to {request:?}: {error}"))
    }

    /// Sends these bytes as a whole stream and returns every byte of the answer.
    ///
    /// # Errors
    /// When the relay resets the stream, or closes the connection.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
        let answering = async {
            let (mut send, mut receive) =
                self.connection.open_bi().await.map_err(quinn::ReadError::from)?;
            // The relay may refuse before it has read all.
            let _ = send.write_all(bytes).await;
            let _ = send.finish();
            receive.read_to_end(ANSWER_BYTES_MAX).await
        };
        let in_time =
            self.runtime.block_on(async { tokio::time::timeout(DEADLINE, answering).await });
        in_time.expect("the relay answers")
    }

    /// Bytes of all datagrams that came from the relay.
    pub fn received_bytes(&self) -> u64 {
        self.connection.stats().udp_rx.bytes
    }

    /// Waits until the connection is over, and says why.
    ///
    /// # Panics
    /// At [`DEADLINE`].
    #[track_caller]
    pub fn closed(&self) -> ConnectionError {
        let closing = self.connection.closed();
        let in_time =
            self.runtime.block_on(async { tokio::time::timeout(DEADLINE, closing).await });
        in_time.expect("the relay closes the connection")
    }
}

/// The replies in an answer.
///
/// # Panics
/// When it is no whole number of frames.
#[track_caller]
pub fn replies(answer: &[u8]) -> Vec<Reply> {
    let mut reader = FrameReader::new(limits::FRAME_BYTES_MAX);
    reader.push(answer);
    let mut replies = Vec::new();
    while let Some(body) = reader.next_body().expect("frames") {
        replies.push(frame::decode(&body).expect("a reply"));
    }
    reader.finish().expect("whole frames");
    replies
}

fn client_config(relay: &PublicKey, manner: &Manner) -> ClientConfig {
    let group = match manner.exchange {
        Exchange::Hybrid => aws_lc_rs::kx_group::X25519MLKEM768,
        Exchange::X25519 => aws_lc_rs::kx_group::X25519,
        Exchange::P256 => aws_lc_rs::kx_group::SECP256R1,
    };
    let provider = CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3 is known")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(relay.0)));
    let mut tls = match &manner.login {
        Login::Device(key) => builder.with_client_cert_resolver(ed25519_login(key)),
        Login::Ecdsa => builder.with_client_cert_resolver(ecdsa_login()),
        Login::Nobody => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![manner.alpn.clone()];
    tls.resumption = Resumption::disabled();
    let tls = QuicClientConfig::try_from(tls).expect("it has QUIC's first suite");
    ClientConfig::new(Arc::new(tls))
}

fn ed25519_login(key: &SigningKey) -> Arc<AlwaysResolvesClientRawPublicKeys> {
    let pkcs8 = key.to_pkcs8_der().expect("a key can be written");
    let key = PrivatePkcs8KeyDer::from(pkcs8.as_bytes());
    raw_key(aws_lc_rs::sign::any_eddsa_type(&key).expect("it is an Ed25519 key"))
}

/// A P-256 key that stands in no other place: an all-ones scalar, as PKCS#8.
fn ecdsa_login() -> Arc<AlwaysResolvesClientRawPublicKeys> {
    let prefix = [
        0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
        0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25,
        0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    let pkcs8 = [prefix.as_slice(), &[1; 32]].concat();
    let key = PrivatePkcs8KeyDer::from(pkcs8).into();
    raw_key(aws_lc_rs::sign::any_supported_type(&key).expect("it is a P-256 key"))
}

fn raw_key(key: Arc<dyn rustls::sign::SigningKey>) -> Arc<AlwaysResolvesClientRawPublicKeys> {
    let spki = key.public_key().expect("both kinds have one").to_vec();
    let certified = CertifiedKey::new(vec![CertificateDer::from(spki)], key);
    Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(certified)))
}

/// Takes the one relay it knows.
#[derive(Debug)]
struct Pinned([u8; 32]);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = [wire::ED25519_SPKI_PREFIX.as_slice(), &self.0].concat();
        if end_entity.as_ref() == pinned {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("another relay".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        let known = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &spki, signature, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
