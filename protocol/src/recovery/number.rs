//! What a share is made of: numbers of the field and points of the group, each with one encoding of
//! 32 bytes (RFC 9496).

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use zeroize::{Zeroize, Zeroizing};

/// A secret number below the group's order. Wiped when dropped. Compared in constant time.
#[derive(PartialEq, Eq)]
pub(super) struct Number(pub(super) Scalar);

impl Drop for Number {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<C> Encode<C> for Number {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&*Zeroizing::new(self.0.to_bytes()))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Number {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = d.position();
        let bytes = Zeroizing::new(thirty_two_bytes(d)?);
        Option::from(Scalar::from_canonical_bytes(*bytes))
            .map(Self)
            .ok_or_else(|| decode::Error::message("a number is not below the order").at(at))
    }
}

/// What the author of a splitting committed to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Commitment(pub(super) RistrettoPoint);

impl<C> Encode<C> for Commitment {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(self.0.compress().as_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Commitment {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = d.position();
        let point = CompressedRistretto(thirty_two_bytes(d)?).decompress();
        point.map(Self).ok_or_else(|| decode::Error::message("a commitment is no point").at(at))
    }
}

fn thirty_two_bytes(d: &mut Decoder<'_>) -> Result<[u8; 32], decode::Error> {
    let at = d.position();
    d.bytes()?.try_into().map_err(|_| decode::Error::message("not 32 bytes").at(at))
}
