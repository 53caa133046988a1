//! TLS 1.3 with the relay's key pinned, the device's login key and X25519MLKEM768 only
//! (SPEC.md §19).

use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, PeerMisbehaved,
    SignatureScheme,
};
use sealpost_protocol::sign::PublicKey;
use sealpost_protocol::wire::ED25519_SPKI_PREFIX;

/// What a handshake showed about the relay's key, when it was not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    WrongKey,
    UnprovenKey,
}

/// Filled by a handshake that fails over the relay's key.
pub(super) type Caught = Arc<Mutex<Option<Lie>>>;

/// The client's side of one handshake.
pub(super) fn client_config(
    relay: &PublicKey,
    login: &SigningKey,
    alpn: &[u8],
    caught: &Caught,
) -> Result<QuicClientConfig, Error> {
    let pinned = Pinned { spki: spki(&relay.0), caught: caught.clone() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            login,
        )?)));
    config.alpn_protocols = vec![alpn.to_vec()];
    // No name on the wire, nothing resumed, nothing sent early.
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    let initial = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(rustls::Tls13CipherSuite::quic_suite)
        .expect("QUIC's first packets are AES-128-GCM by definition");
    Ok(QuicClientConfig::with_initial(Arc::new(config), initial)
        .expect("it is the suite QUIC demands"))
}

/// One key exchange, 256-bit ciphers.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn certified(key: &SigningKey) -> Result<Arc<CertifiedKey>, Error> {
    let pkcs8 = key.to_pkcs8_der().map_err(|error| Error::General(error.to_string()))?;
    let signer = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_bytes()))?;
    let shown = CertificateDer::from(spki(key.verifying_key().as_bytes()));
    Ok(Arc::new(CertifiedKey::new(vec![shown], signer)))
}

fn spki(key: &[u8; 32]) -> Vec<u8> {
    [ED25519_SPKI_PREFIX.as_slice(), key].concat()
}

/// Takes one key and no other.
#[derive(Debug)]
struct Pinned {
    spki: Vec<u8>,
    caught: Caught,
}

impl Pinned {
    fn catch(&self, lie: Lie) {
        *self.caught.lock().unwrap_or_else(PoisonError::into_inner) = Some(lie);
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.spki {
            return Ok(ServerCertVerified::assertion());
        }
        self.catch(Lie::WrongKey);
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = if signature.scheme == SignatureScheme::ED25519 {
            let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
            let known = aws_lc_rs::default_provider().signature_verification_algorithms;
            verify_tls13_signature_with_raw_key(message, &spki, signature, &known)
        } else {
            Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
        };
        if verified.is_err() {
            self.catch(Lie::UnprovenKey);
        }
        verified
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
