use minicbor::bytes::ByteVec;
use proptest::prelude::*;

use super::*;
use crate::card::Card;
use crate::change::Change;
use crate::committee::Committee;
use crate::entry::UnverifiedEntry;
use crate::frame::{Reply, Request};
use crate::world::{TestDevice, World};

#[derive(Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Pair {
    #[n(0)]
    number: u32,
    #[n(1)]
    bytes: Option<ByteVec>,
}

fn pair(bytes: &[u8]) -> Result<Pair, PeerCodecError> {
    decode(bytes, 64)
}

#[test]
fn a_value_has_one_encoding() {
    let value = Pair { number: 7, bytes: Some(vec![1].into()) };
    assert_eq!(encode(&value), [0xa2, 0x00, 0x07, 0x01, 0x41, 0x01]);
    assert_eq!(pair(&encode(&value)), Ok(value));
    for (other, why) in [
        (&[0xa1_u8, 0x00, 0x18, 0x07][..], "a number in two bytes"),
        (&[0xa1, 0x18, 0x00, 0x07], "a key in two bytes"),
        (&[0xb8, 0x01, 0x00, 0x07], "a length in two bytes"),
        (&[0xbf, 0x00, 0x07, 0xff], "an indefinite map"),
        (&[0xa2, 0x01, 0x41, 0x01, 0x00, 0x07], "keys out of order"),
        (&[0xa2, 0x00, 0x06, 0x00, 0x07], "a key twice"),
        (&[0xa2, 0x00, 0x07, 0x01, 0xf6], "null for what is absent"),
        (&[0xa2, 0x00, 0x07, 0x02, 0x00], "an unknown key"),
    ] {
        assert_eq!(pair(other), Err(PeerCodecError::NotCanonical), "{why}");
    }
    for (other, why) in [
        (&[][..], "nothing"),
        (&[0xa1, 0x00], "cut off"),
        (&[0xa0], "a field missing"),
        (&[0xa1, 0x00, 0x20], "a negative number"),
        (&[0xa1, 0x00, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0], "a number too large"),
        (&[0xa2, 0x00, 0x07, 0x01, 0x61, 0x61], "text for bytes"),
        (&[0xa2, 0x00, 0x07, 0x01, 0x5f, 0x41, 0x01, 0xff], "bytes in parts"),
    ] {
        assert!(matches!(pair(other), Err(PeerCodecError::Malformed(_))), "{why}");
    }
    assert_eq!(pair(&[0xa1, 0x00, 0x07, 0x00]), Err(PeerCodecError::Trailing));
}

#[test]
fn the_limit_comes_before_the_decoder() {
    let bytes = encode(&Pair { number: 7, bytes: None });
    let decode = |max| decode::<Pair>(&bytes, max);
    assert!(decode(bytes.len()).is_ok());
    let (len, max) = (bytes.len(), bytes.len() - 1);
    assert_eq!(decode(max), Err(PeerCodecError::TooLarge { len, max }));
    // Not even looked at: as CBOR it is malformed.
    let noise = [0xff; 9];
    assert_eq!(super::decode::<Pair>(&noise, 8), Err(PeerCodecError::TooLarge { len: 9, max: 8 }));
}

/// Whatever a stranger sends is read by one of these.
fn decode_all(bytes: &[u8]) {
    let max = bytes.len();
    let _ = UnverifiedEntry::decode(bytes);
    let _ = Card::decode(bytes);
    let _ = decode::<Change>(bytes, max);
    let _ = decode::<Request>(bytes, max);
    let _ = decode::<Reply>(bytes, max);
    let _ = decode::<Committee>(bytes, max);
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        decode_all(&bytes);
    }

    /// Damaged entries and changes get deeper into the decoders than noise does.
    #[test]
    fn no_damage_makes_decoding_panic(at in any::<prop::sample::Index>(), byte: u8, cut in 0..3_usize) {
        let founder = TestDevice::new(1);
        let founding = &World::found(&founder).log[0];
        let payload = UnverifiedEntry::decode(founding).unwrap().payload().unwrap().to_vec();
        for mut bytes in [founding.clone(), payload, founder.card.as_bytes().to_vec()] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.drain(at..(at + cut).min(bytes.len()));
            decode_all(&bytes);
        }
    }
}
