//! A device as the relay meets it: quinn and rustls, with settings that an honest one has, or not.

use ed25519_dalek::pkcs8::EncodePrivateKey;
use quinn::{ClientConfig, Connection, ConnectionError, SendStream, VarInt};
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use sealpost_protocol::frame::FrameReader;

use super::*;

/// How a device comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// As it should.
    Hybrid,
    /// With the classical key exchange only.
    X25519,
    /// Without a login key.
    Anonymous,
    /// With an ECDSA key for its login key.
    Ecdsa,
    /// With somebody else's login key.
    Impostor,
}

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    endpoint: Endpoint,
}

impl Peer {
    pub(crate) async fn connect(
        address: SocketAddr,
        relay: &SigningKey,
        suite: Suite,
        seed: u8,
        alpn: &[u8],
    ) -> Result<Self, ConnectionError> {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = client_config(relay, suite, seed, alpn);
        let connection = endpoint.connect_with(config, address, "relay").unwrap().await?;
        Ok(Self { connection, endpoint })
    }

    pub(crate) async fn ask(&self, request: &Request) -> Vec<Reply> {
        let mut answer = self.send(&frame::encode(request)).await;
        let mut replies = Vec::new();
        while let Some(reply) = answer.next().await.unwrap() {
            replies.push(reply);
        }
        replies
    }

    /// Sends these bytes as a whole stream.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Answer {
        let (mut send, answer) = self.open().await;
        // The relay may refuse before it has read all.
        let _ = send.write_all(bytes).await;
        let _ = send.finish();
        answer
    }

    pub(crate) async fn open(&self) -> (SendStream, Answer) {
        let (send, receive) = self.connection.open_bi().await.unwrap();
        (send, Answer { receive, reader: FrameReader::new(usize::MAX) })
    }

    pub(crate) async fn leave(self) {
        self.connection.close(VarInt::from_u32(0), b"");
        self.endpoint.wait_idle().await;
    }
}

pub(crate) struct Answer {
    receive: quinn::RecvStream,
    reader: FrameReader,
}

impl Answer {
    pub(crate) async fn next(&mut self) -> Result<Option<Reply>, quinn::ReadError> {
        loop {
            if let Some(body) = self.reader.next_body().unwrap() {
                return Ok(Some(frame::decode(&body).unwrap()));
            }
            match self.receive.read_chunk(64 * 1024, true).await? {
                Some(chunk) => self.reader.push(&chunk.bytes),
                None => return Ok(None),
            }
        }
    }
}

pub(crate) fn close_code(error: &ConnectionError) -> Option<CloseCode> {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            CloseCode::from_number(close.error_code.into_inner())
        }
        _ => None,
    }
}

fn client_config(relay: &SigningKey, suite: Suite, seed: u8, alpn: &[u8]) -> ClientConfig {
    let group = match suite {
        Suite::X25519 => aws_lc_rs::kx_group::X25519,
        _ => aws_lc_rs::kx_group::X25519MLKEM768,
    };
    let provider = CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(relay.verifying_key())));
    let mut tls = match suite {
        Suite::Anonymous => builder.with_no_client_auth(),
        Suite::Ecdsa => builder.with_client_cert_resolver(ecdsa_key()),
        Suite::Impostor => {
            builder.with_client_cert_resolver(raw_key(ed25519_key(seed), &ed25519_key(seed + 1)))
        }
        Suite::Hybrid | Suite::X25519 => {
            builder.with_client_cert_resolver(raw_key(ed25519_key(seed), &ed25519_key(seed)))
        }
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.resumption = Resumption::disabled();
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    ClientConfig::new(Arc::new(tls))
}

type Signer = Arc<dyn rustls::sign::SigningKey>;

fn ed25519_key(seed: u8) -> Signer {
    let pkcs8 = SigningKey::from_bytes(&[seed; 32]).to_pkcs8_der().unwrap();
    let key = PrivatePkcs8KeyDer::from(pkcs8.as_bytes());
    aws_lc_rs::sign::any_eddsa_type(&key).unwrap()
}

/// A P-256 key that stands in no other place: an all-ones scalar, as PKCS#8.
fn ecdsa_key() -> Arc<AlwaysResolvesClientRawPublicKeys> {
    let prefix = [
        0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
        0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25,
        0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    let pkcs8 = [prefix.as_slice(), &[1; 32]].concat();
    let key = PrivatePkcs8KeyDer::from(pkcs8).into();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    raw_key(key.clone(), &key)
}

/// Signs with one key and shows another.
fn raw_key(signs: Signer, shown: &Signer) -> Arc<AlwaysResolvesClientRawPublicKeys> {
    let spki = CertificateDer::from(shown.public_key().unwrap().to_vec());
    let certified = CertifiedKey::new(vec![spki], signs);
    Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(certified)))
}

/// Takes the one relay it knows.
#[derive(Debug)]
struct Pinned(ed25519_dalek::VerifyingKey);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = [wire::ED25519_SPKI_PREFIX.as_slice(), self.0.as_bytes()].concat();
        assert_eq!(end_entity.as_ref(), pinned);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature_with_raw_key(
            message,
            &rustls::pki_types::SubjectPublicKeyInfoDer::from(cert.as_ref()),
            signature,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Lets the first flight of a handshake through and no answer: a peer that begins and is silent.
pub(super) async fn begin_handshake_and_fall_silent(relay: &Relay) {
    let pipe = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let listening = pipe.local_addr().unwrap();
    let key = relay.key.clone();
    let trying = tokio::spawn(async move {
        Peer::connect(listening, &key, Suite::Hybrid, 2, wire::ALPN).await.map(|_| ())
    });
    let mut datagram = [0; 2048];
    // A hybrid key share takes two datagrams.
    for _ in 0..2 {
        let (length, _) = pipe.recv_from(&mut datagram).await.unwrap();
        pipe.send_to(&datagram[..length], relay.address).await.unwrap();
    }
    trying.abort();
}
