//! Cards, whose keys and signatures are put together here by hand.

use minicbor::bytes::ByteVec;

use super::{with, write};
use crate::card::{Card, RECIPIENT_BYTES};
use crate::codec;
use crate::limits::CARD_BYTES_MAX;
use crate::sign::{CardDomain, EntryDomain, Signature, SigningKey};
use crate::world::{TestDevice, recipient};

type Key = (u8, ByteVec);

fn ed25519(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(kind: u8, seed: u8) -> Key {
    (kind, ed25519(seed).verifying_key().as_bytes().to_vec().into())
}

fn hybrid(kind: u8, bytes: usize) -> Key {
    (kind, vec![1; bytes].into())
}

/// A card over `keys`, signed with the keys of these two seeds.
fn signed(keys: &[Key], by_signing: u8, by_login: u8) -> Vec<u8> {
    signed_bytes(codec::encode(&keys.to_vec()), by_signing, by_login)
}

fn signed_bytes(keys: Vec<u8>, by_signing: u8, by_login: u8) -> Vec<u8> {
    let sign = |seed| Signature::<CardDomain>::sign(&ed25519(seed), &keys);
    let (by_signing, by_login) = (sign(by_signing), sign(by_login));
    codec::encode(&(ByteVec::from(keys), by_signing, by_login))
}

pub(super) fn write_all() {
    const S: u8 = 1;
    const L: u8 = 1 ^ 0x80;
    let card = TestDevice::new(1).card;
    let bytes = card.as_bytes();
    let keys = [public(1, S), public(2, L), hybrid(3, RECIPIENT_BYTES)];
    assert_eq!(signed(&keys, S, L), bytes, "by hand as by `Card::sign`");
    assert_eq!(*recipient(1).0, [1; RECIPIENT_BYTES]);
    let device = card.device().to_string();
    let fields = [("comment", "the card of an invented device"), ("device", device.as_str())];
    write("card", "card", "success", &fields, &[bytes.to_vec()]);

    let refuse = |name: &str, expect: &str, comment: &str, bytes: Vec<u8>| {
        assert!(Card::decode(&bytes).is_err(), "{name}");
        write("card", name, expect, &[("comment", comment)], &[bytes]);
    };
    let [signing, login, recipient] = keys;
    let of = |keys: &[Key]| signed(keys, S, L);
    let swapped = [login.clone(), signing.clone(), recipient.clone()];
    refuse("keys_swapped", "Keys", "login before signing key", signed(&swapped, L, S));
    let two = [signing.clone(), login.clone()];
    refuse("two_keys", "Keys", "no recipient", of(&two));
    let four = [signing.clone(), login.clone(), recipient.clone(), hybrid(4, 32)];
    refuse("four_keys", "Keys", "a fourth key, of the type kept for ML-DSA", of(&four));
    let other_type = [signing.clone(), login.clone(), hybrid(4, RECIPIENT_BYTES)];
    refuse("key_type_4", "Keys", "type 4 in the place of the recipient", of(&other_type));
    let short = [signing.clone(), login.clone(), hybrid(3, RECIPIENT_BYTES - 1)];
    refuse("recipient_short", "Keys", "a recipient of 1,215 bytes", of(&short));
    let short = [signing.clone(), (2, vec![7; 31].into()), recipient.clone()];
    refuse("login_short", "Keys", "a login key of 31 bytes", of(&short));
    let one = [signing.clone(), public(2, S), recipient.clone()];
    refuse("same_key", "SameKey", "one key for signing and login", signed(&one, S, S));
    let mut identity_point = vec![0; 32];
    identity_point[0] = 1;
    let weak = [signing.clone(), (2, identity_point.into()), recipient.clone()];
    refuse("login_small_order", "Key", "the point of order 1 as login key", of(&weak));
    let no_point = [(1, vec![2; 32].into()), login.clone(), recipient.clone()];
    refuse("signing_no_point", "Key", "32 bytes that are no point of the curve", of(&no_point));

    let keys = [signing, login, recipient];
    refuse(
        "login_claimed",
        "Signature",
        "N2: another device's login key, which did not sign",
        signed(&keys, S, S),
    );
    refuse("signing_claimed", "Signature", "the signing key did not sign", signed(&keys, L, L));
    let encoded = codec::encode(&keys.to_vec());
    let as_entry = Signature::<EntryDomain>::sign(&ed25519(S), &encoded).to_bytes();
    let as_card = Signature::<CardDomain>::sign(&ed25519(S), &encoded).to_bytes();
    let other_domain = with(bytes, &as_card, &as_entry);
    refuse("signature_as_entry", "Signature", "signed as an entry is", other_domain);

    refuse("cut", "Codec(Malformed", "the last byte is missing", bytes[..bytes.len() - 1].to_vec());
    refuse("trailing", "Codec(Trailing", "a byte follows", [bytes, &[0]].concat());
    let wide = [&[0x98, 0x03], &bytes[1..]].concat();
    refuse("wide_length", "Codec(NotCanonical", "the array's length in two bytes", wide);
    let wide = signed_bytes([&[0x83, 0x82, 0x18, 0x01], &encoded[3..]].concat(), S, L);
    refuse("key_type_wide", "Codec(NotCanonical", "a key's type in two bytes, signed so", wide);
    refuse("too_long", "Codec(TooLarge", "2,049 bytes", vec![0x40; CARD_BYTES_MAX + 1]);
}
