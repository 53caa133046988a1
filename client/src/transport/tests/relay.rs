//! A relay as the client meets it: quinn and rustls, with settings and answers that an honest one
//! has, or not.

use ed25519_dalek::pkcs8::EncodePrivateKey;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Endpoint, SendStream};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use sealpost_protocol::address::Host;
use sealpost_protocol::frame::FrameReader;
use sealpost_protocol::sign::PublicKey;

use super::*;

/// How a relay presents itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    pub(crate) alpn: &'static [u8],
    pub(crate) classical: bool,
    /// The seed of the key it shows.
    pub(crate) shows: u8,
    /// The seed of the key it signs with.
    pub(crate) signs: u8,
    pub(crate) version: u8,
    /// Takes no connections.
    pub(crate) full: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            alpn: wire::ALPN,
            classical: false,
            shows: 1,
            signs: 1,
            version: frame::VERSION,
            full: false,
        }
    }
}

/// What it sends to any request but hello.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// These bytes, and then nothing for ever.
    Stall(Vec<u8>),
    /// These bytes again and again.
    Repeat(Vec<u8>),
    /// The same, each time before a pause is over.
    Drip(Vec<u8>),
    /// The connection is closed.
    Close(CloseCode),
    /// What fits the request, and the end.
    Answer(fn(&Request) -> Vec<u8>),
}

/// What it saw of its peers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) logins: Mutex<Vec<PublicKey>>,
    pub(crate) names: Mutex<Vec<Option<String>>>,
    pub(crate) sent: AtomicUsize,
}

pub(crate) struct Relay {
    pub(crate) address: RelayAddress,
    pub(crate) host: Host,
    pub(crate) seen: Arc<Seen>,
    pub(crate) endpoint: Endpoint,
}

impl Relay {
    pub(crate) fn start(behaviour: Behaviour, script: Script) -> Self {
        let server = quinn::ServerConfig::with_crypto(Arc::new(tls(behaviour)));
        let endpoint = Endpoint::server(server, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let host: Host = endpoint.local_addr().unwrap().to_string().parse().unwrap();
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key().into();
        let address = RelayAddress::new(key, vec![host.clone()]).unwrap();
        let seen = Arc::new(Seen::default());
        tokio::spawn(accept(endpoint.clone(), behaviour, script, seen.clone()));
        Self { address, host, seen, endpoint }
    }

    pub(crate) fn honest(script: Script) -> Self {
        Self::start(Behaviour::default(), script)
    }

    pub(crate) async fn open(&self) -> Result<Connection, TransportError> {
        Connection::open(&self.address, &login(), quick()).await
    }
}

async fn accept(endpoint: Endpoint, behaviour: Behaviour, script: Script, seen: Arc<Seen>) {
    while let Some(incoming) = endpoint.accept().await {
        if behaviour.full {
            incoming.refuse();
            continue;
        }
        let Ok(connection) = incoming.await else { continue };
        let shown = connection.peer_identity().unwrap();
        let shown = shown.downcast::<Vec<CertificateDer<'static>>>().unwrap();
        let login = shown[0].strip_prefix(&wire::ED25519_SPKI_PREFIX).unwrap();
        seen.logins.lock().unwrap().push(PublicKey(login.try_into().unwrap()));
        let data = connection.handshake_data().unwrap();
        let data = data.downcast::<HandshakeData>().unwrap();
        seen.names.lock().unwrap().push(data.server_name);
        tokio::spawn(answer(connection, behaviour, script.clone(), seen.clone()));
    }
}

async fn answer(
    connection: quinn::Connection,
    behaviour: Behaviour,
    script: Script,
    seen: Arc<Seen>,
) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let bytes = receive.read_to_end(1024 * 1024).await.unwrap();
        let mut reader = FrameReader::new(usize::MAX);
        reader.push(&bytes);
        let body = reader.next_body().unwrap().unwrap();
        let (connection, script, seen) = (connection.clone(), script.clone(), seen.clone());
        match frame::decode(&body).unwrap() {
            Request::Hello(hello) if hello.versions.contains(&behaviour.version) => {
                let hello = HelloReply { version: behaviour.version, now: NOW };
                send.write_all(&frame::encode(&Reply::Hello(hello))).await.unwrap();
                send.finish().unwrap();
            }
            Request::Hello(_) => {
                send.write_all(&refusal(Code::Unsupported)).await.unwrap();
                send.finish().unwrap();
            }
            request => {
                tokio::spawn(perform(connection, send, script, seen, request));
            }
        }
    }
}

async fn perform(
    connection: quinn::Connection,
    mut send: SendStream,
    script: Script,
    seen: Arc<Seen>,
    request: Request,
) {
    match script {
        Script::Answer(to) => {
            let _ = send.write_all(&to(&request)).await;
            let _ = send.finish();
        }
        Script::Bytes(bytes) => {
            let _ = send.write_all(&bytes).await;
            let _ = send.finish();
        }
        Script::Stall(bytes) => {
            let _ = send.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
        Script::Repeat(bytes) => {
            while send.write_all(&bytes).await.is_ok() {
                seen.sent.fetch_add(bytes.len(), Ordering::SeqCst);
            }
        }
        Script::Drip(bytes) => {
            while send.write_all(&bytes).await.is_ok() {
                tokio::time::sleep(quick().pause / 3).await;
            }
        }
        Script::Close(code) => connection.close(code.number().into(), b""),
    }
}

fn tls(behaviour: Behaviour) -> QuicServerConfig {
    let group = if behaviour.classical {
        aws_lc_rs::kx_group::X25519
    } else {
        aws_lc_rs::kx_group::X25519MLKEM768
    };
    let provider = CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
    let shown = SigningKey::from_bytes(&[behaviour.shows; 32]).verifying_key();
    let spki = [wire::ED25519_SPKI_PREFIX.as_slice(), shown.as_bytes()].concat();
    let pkcs8 = SigningKey::from_bytes(&[behaviour.signs; 32]).to_pkcs8_der().unwrap();
    let key = PrivatePkcs8KeyDer::from(pkcs8.as_bytes());
    let signer = aws_lc_rs::sign::any_eddsa_type(&key).unwrap();
    let certified = CertifiedKey::new(vec![CertificateDer::from(spki)], signer);
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(certified))));
    tls.alpn_protocols = vec![behaviour.alpn.to_vec()];
    QuicServerConfig::try_from(tls).unwrap()
}

#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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
