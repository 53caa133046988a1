//! How a relay that was killed and started again tells its old peers that their connections are
//! gone: at once, by a stateless reset (RFC 9000 §10.3), instead of by a silence that they bear
//! for half a minute.
//!
//! A peer learns in the handshake by which token it will know that word. Tokens are made of the
//! relay's key and the connection's id, and so are the same in its next life.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::OkmBlock;

const TOKENS: &[u8] = b"sealpost/1 reset tokens";
const ID_BYTES: usize = 8;

/// The endpoint's settings.
pub(super) fn endpoint_config(key: &SigningKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(TokenKey::of(key)));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Ids that say nothing. quinn's own carry a mark by which it tells strangers' packets from its
/// own; an earlier life's would be strangers' too, and would get no answer.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).expect("the relay's key was drawn from the same source");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// HMAC-SHA256, as the TLS library has it.
fn hmac(key: &OkmBlock, message: &[u8]) -> Tag {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is a suite of TLS 1.3");
    suite.hkdf_provider.hmac_sign(key, message)
}

/// Makes tokens of connection ids. Wiped when dropped.
struct TokenKey(OkmBlock);

impl TokenKey {
    fn of(key: &SigningKey) -> Self {
        Self(OkmBlock::new(hmac(&OkmBlock::new(key.as_bytes()), TOKENS).as_ref()))
    }
}

impl HmacKey for TokenKey {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        signature.copy_from_slice(hmac(&self.0, data).as_ref());
    }

    fn signature_len(&self) -> usize {
        hmac(&self.0, b"").as_ref().len()
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
        // Peers compare tokens; this side only makes them.
        Err(CryptoError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_same_in_the_next_life_and_others_under_another_key() {
        let token = |seed: u8| {
            let key = TokenKey::of(&SigningKey::from_bytes(&[seed; 32]));
            let mut token = vec![0; key.signature_len()];
            key.sign(b"an id", &mut token);
            token
        };
        assert_eq!(token(1), token(1));
        assert_ne!(token(1), token(2));
    }
}
