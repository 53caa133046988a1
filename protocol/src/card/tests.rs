use super::*;
use crate::vectors::for_each_vector;

fn keys() -> (SigningKey, SigningKey, RecipientBytes) {
    let recipient = RecipientBytes(Box::new([7; RECIPIENT_BYTES]));
    (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]), recipient)
}

#[test]
fn a_card_reads_back() {
    let (signing, login, recipient) = keys();
    let card = Card::sign(&signing, &login, &recipient);
    assert_eq!(Card::decode(card.as_bytes()), Ok(card.clone()));
    assert_eq!(card.recipient(), &recipient);
}

#[test]
fn another_devices_login_key_cannot_be_claimed() {
    let (signing, login, recipient) = keys();
    let theirs = Card::sign(&signing, &login, &recipient);
    let thief = SigningKey::from_bytes(&[3; 32]);
    let key = |kind, bytes: &[u8]| KeyWire { kind, bytes: bytes.to_vec().into() };
    let keys = codec::encode(&vec![
        key(KEY_SIGNING, thief.verifying_key().as_bytes()),
        key(KEY_LOGIN, theirs.login_key().as_bytes()),
        key(KEY_RECIPIENT, recipient.0.as_slice()),
    ]);
    let forged = codec::encode(&CardWire {
        by_signing: Signature::sign(&thief, &keys),
        by_login: Signature::sign(&thief, &keys),
        keys: keys.into(),
    });
    assert_eq!(Card::decode(&forged), Err(PeerCardError::Signature(BadSignature("card"))));
}

#[test]
fn every_flipped_bit_of_a_card_is_refused() {
    let (signing, login, recipient) = keys();
    let card = Card::sign(&signing, &login, &recipient);
    for at in 0..card.as_bytes().len() {
        let mut bytes = card.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert!(Card::decode(&bytes).is_err(), "flipped byte {at}");
    }
}

#[test]
fn the_card_vectors_come_out_as_they_say() {
    for_each_vector("card", |vector| {
        if let Some(card) = vector.assert(Card::decode(&vector.body_hex())) {
            assert_eq!(card.device().to_string(), vector.field("device"));
        }
    });
}
