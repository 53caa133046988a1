//! An invitation's secret and what is derived from it.

use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decoder, Encoder, decode, encode};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::hash::Hash;

/// The length of a join request's MAC in bytes.
pub const MAC_BYTES: usize = 32;

const SECRET_BYTES: usize = 32;
const ACCESS_INFO: &[u8] = b"sealpost/1 access";
const SEAL_INFO: &[u8] = b"sealpost/1 seal";
const MAC_INFO: &[u8] = b"sealpost/1 mac";

/// 256 random bits that only inviter and joiner hold. Wiped when dropped; no `Debug`, no `Clone`.
pub struct InvitationSecret(Zeroizing<[u8; SECRET_BYTES]>);

/// A join request's MAC does not fit: it was changed, or made without the invitation. The fault
/// of the relay, or of whoever sent it there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the join request was not made with this invitation, or was changed")]
pub struct PeerBadMac;

impl InvitationSecret {
    /// Takes 32 bytes fresh from the operating system's randomness.
    pub fn new(random: Zeroizing<[u8; SECRET_BYTES]>) -> Self {
        Self(random)
    }

    /// What the joiner shows the relay.
    pub fn access(&self) -> Zeroizing<[u8; 32]> {
        self.derive(ACCESS_INFO)
    }

    /// What the relay keeps of it: enough to recognise it, useless to whoever takes the disk.
    pub fn access_hash(&self) -> Hash {
        Hash::of(&*self.access())
    }

    /// The passphrase of the age file that holds the join request: base64url without padding, so
    /// that stock age takes it.
    pub fn seal_passphrase(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&*self.derive(SEAL_INFO)))
    }

    /// The key of [`Self::mac`].
    pub fn mac_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(MAC_INFO)
    }

    /// HMAC-SHA256 of a sealed join request under [`Self::mac_key`]: lets the inviter refuse a
    /// foreign file before anything parses or stretches it.
    pub fn mac(&self, file: &[u8]) -> [u8; MAC_BYTES] {
        self.hmac(file).finalize().into_bytes().into()
    }

    /// Checks it in constant time.
    pub fn verify_mac(&self, file: &[u8], mac: &[u8; MAC_BYTES]) -> Result<(), PeerBadMac> {
        self.hmac(file).verify_slice(mac).map_err(|_| PeerBadMac)
    }

    /// A copy for the encoder: within this module's parent only.
    pub(super) fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    fn hmac(&self, file: &[u8]) -> Hmac<Sha256> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&*self.mac_key())
            .expect("HMAC takes keys of any length");
        hmac.update(file);
        hmac
    }

    /// HKDF-SHA256 without salt: the secret is uniformly random already.
    fn derive(&self, info: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut value = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(info, &mut *value)
            .expect("HKDF gives up to 8,160 bytes");
        value
    }
}

impl<C> minicbor::Encode<C> for InvitationSecret {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&*self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for InvitationSecret {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = d.position();
        let bytes = d.bytes()?;
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        if bytes.len() != secret.len() {
            return Err(decode::Error::message("a secret has 32 bytes").at(at));
        }
        secret.copy_from_slice(bytes);
        Ok(Self(secret))
    }
}
