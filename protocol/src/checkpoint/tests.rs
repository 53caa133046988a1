use proptest::prelude::*;

use super::*;
use crate::codec;
use crate::id::{DeviceId, UnixMillis};
use crate::sign::{EntryDomain, PublicKey, Signature};
use crate::vectors::{Vector, for_each_vector};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn checkpoint() -> Checkpoint {
    let origin = Origin { committee: CommitteeId(Hash([0xc0; 32])), term: Term(1) };
    Checkpoint { origin, size: TreeSize(8), root: Hash([5; 32]) }
}

fn field<T: FromStr>(vector: &Vector, name: &str) -> T
where
    T::Err: fmt::Debug,
{
    vector.field(name).parse().unwrap()
}

fn verifying_key(vector: &Vector) -> VerifyingKey {
    PublicKey(field::<Hash>(vector, "key").0).verifying_key().unwrap()
}

#[test]
fn the_note_vectors_come_out_as_they_say() {
    for_each_vector("checkpoint", |vector| {
        let origin: Origin = field(vector, "origin");
        let opened = UnverifiedCheckpoint::parse(vector.body_bytes())
            .and_then(|note| note.verify(&verifying_key(vector), &origin));
        if let Some(signed) = vector.assert(opened) {
            let (size, root) = (TreeSize(field(vector, "size")), field(vector, "root"));
            let expected = Checkpoint { origin, size, root };
            assert_eq!(signed.checkpoint(), &expected);
            assert_eq!(signed.text(), vector.body_text());
            assert_eq!(expected.head_code(), vector.field("head-code"));
            // The key that the vectors call the relay's.
            assert_eq!(expected.sign(&key(1)), signed);
        }
    });
}

#[test]
fn the_cosignature_vectors_come_out_as_they_say() {
    for_each_vector("cosignature", |vector| {
        let checkpoint = Checkpoint {
            origin: field(vector, "origin"),
            size: TreeSize(field(vector, "size")),
            root: field(vector, "root"),
        };
        let opened = UnverifiedCosignature::parse(vector.body_bytes())
            .and_then(|line| line.verify(&checkpoint, &verifying_key(vector)));
        if let Some(cosignature) = vector.assert(opened) {
            let cosigner: Cosigner = field(vector, "cosigner");
            let seconds: u64 = field(vector, "time");
            assert_eq!(cosignature.cosigner(), &cosigner);
            assert_eq!(cosignature.checkpoint(), &checkpoint);
            assert_eq!(cosignature.time(), UnixMillis(seconds * 1_000));
            assert_eq!(cosignature.text(), vector.body_text());
            // The keys that the vectors call the device's and the mirror's.
            let seed = if matches!(cosigner, Cosigner::Device(_)) { 2 } else { 3 };
            let signed = Cosignature::sign(&checkpoint, cosigner, &key(seed), cosignature.time());
            assert_eq!(signed, cosignature);
        }
    });
}

/// The example note of Go's `sumdb/note`, from which C2SP's signed-note was written down.
#[test]
fn the_published_note_comes_out() {
    let seed = BASE64.decode(b"gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=").unwrap();
    let key = SigningKey::from_bytes(&seed.try_into().unwrap());
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2p\
                ZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let kind = SignatureType::Ed25519;
    let signed = NoteSignature::sign(kind, "PeterNeumann", &key, text.as_bytes(), &[]);
    assert_eq!(signed.to_string(), line);
    let parsed = NoteSignature::parse(line).unwrap();
    assert_eq!(parsed, signed);
    assert_eq!(parsed.verify(kind, &key.verifying_key(), text.as_bytes()), Ok(()));
}

#[test]
fn cosignatures_say_the_hour_and_no_more() {
    let cosigner = Cosigner::Device(DeviceId(Hash([0xd0; 32])));
    let at = |now| Cosignature::sign(&checkpoint(), cosigner, &key(2), UnixMillis(now));
    assert_eq!(at(7_200_000).time(), UnixMillis(7_200_000));
    assert_eq!(at(10_799_999), at(7_200_000));
    assert_eq!(at(10_800_000).time(), UnixMillis(10_800_000));
    for now in [0, u64::MAX] {
        let made = at(now);
        let read = UnverifiedCosignature::parse(made.text().as_bytes()).unwrap();
        assert_eq!(read.claimed_cosigner(), &cosigner);
        assert_eq!(read.claimed_origin(), &checkpoint().origin);
        assert_eq!(read.verify(&checkpoint(), &key(2).verifying_key()), Ok(made));
    }
}

/// No text that one kind of signature covers can begin like a text of another kind.
#[test]
fn no_signed_text_begins_like_another() {
    let note = checkpoint().note_text();
    let cosigned = format!("cosignature/v1\ntime 3600\n{note}");
    let tls = [[b' '; 64].as_slice(), b"TLS 1.3, server CertificateVerify\0"].concat();
    let ours = b"sealpost-sig/1 ";
    let texts = [note.as_bytes(), cosigned.as_bytes(), &tls, ours];
    let told_apart_by = 9;
    for (at, text) in texts.iter().enumerate() {
        for other in &texts[at + 1..] {
            assert_ne!(text[..told_apart_by], other[..told_apart_by]);
        }
    }
    // And in deed: one key, one text, four kinds of signature.
    let key = key(1);
    let entry = Signature::<EntryDomain>::sign(&key, note.as_bytes());
    let line = NoteSignature::sign(SignatureType::Ed25519, "x", &key, note.as_bytes(), &[]);
    let bytes = BASE64.decode(&line.to_string().trim_end().as_bytes()[6..]).unwrap();
    let as_entry = Signature::<EntryDomain>::from_bytes(bytes[4..].try_into().unwrap());
    assert!(entry.verify(&key.verifying_key(), note.as_bytes()).is_ok());
    assert!(as_entry.verify(&key.verifying_key(), note.as_bytes()).is_err());
}

#[test]
fn texts_travel_as_text_strings() {
    let signed = checkpoint().sign(&key(1));
    let bytes = codec::encode(&signed);
    assert_eq!(bytes[3..], *signed.text().as_bytes());
    let read: UnverifiedCheckpoint = codec::decode(&bytes, 2_048).unwrap();
    assert_eq!(read.claimed(), signed.checkpoint());
    let verified = read.verify(&key(1).verifying_key(), &checkpoint().origin);
    assert_eq!(verified, Ok(signed));

    let mirror = Cosigner::Mirror(key(3).verifying_key().into());
    let cosignature = Cosignature::sign(&checkpoint(), mirror, &key(3), UnixMillis(0));
    let read: UnverifiedCosignature = codec::decode(&codec::encode(&cosignature), 2_048).unwrap();
    assert_eq!(read.verify(&checkpoint(), &key(3).verifying_key()), Ok(cosignature));

    let no_note = codec::encode(&"no note".to_owned());
    assert!(codec::decode::<UnverifiedCheckpoint>(&no_note, 2_048).is_err());
    assert!(codec::decode::<UnverifiedCosignature>(&no_note, 2_048).is_err());
}

#[test]
fn the_longest_note_and_cosignature_are_within_the_limit() {
    let mut longest = checkpoint();
    longest.origin.term = Term(u32::MAX);
    longest.size = TreeSize(u64::MAX);
    assert!(UnverifiedCheckpoint::parse(longest.sign(&key(1)).text().as_bytes()).is_ok());
    let parse = |len| UnverifiedCheckpoint::parse(&vec![b'a'; len]).unwrap_err();
    assert_eq!(parse(NOTE_BYTES_MAX), PeerNoteError::Lines);
    assert_eq!(parse(NOTE_BYTES_MAX + 1), PeerNoteError::TooLong(NOTE_BYTES_MAX + 1));
    let device = Cosigner::Device(DeviceId(Hash([0xd0; 32])));
    let cosignature = Cosignature::sign(&longest, device, &key(2), UnixMillis(u64::MAX));
    assert!(UnverifiedCosignature::parse(cosignature.text().as_bytes()).is_ok());
}

#[test]
fn the_head_code_is_the_number_modulo_ten_to_the_twentieth() {
    let mut bytes = [0; 32];
    assert_eq!(twenty_digits(&bytes), "00000 00000 00000 00000");
    bytes[24..].copy_from_slice(&12_345_678_901_234_567_890_u64.to_be_bytes());
    assert_eq!(twenty_digits(&bytes), "12345 67890 12345 67890");
    // 10^20 + 7 is 0x56BC75E2D63100007.
    bytes[23..].copy_from_slice(&[5, 0x6b, 0xc7, 0x5e, 0x2d, 0x63, 0x10, 0, 7]);
    assert_eq!(twenty_digits(&bytes), "00000 00000 00000 00007");
    // 2^256 − 1.
    assert_eq!(twenty_digits(&[0xff; 32]), "57584 00791 31296 39935");
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(UnverifiedCheckpoint::parse(&bytes).is_err());
        prop_assert!(UnverifiedCosignature::parse(&bytes).is_err());
    }

    #[test]
    fn one_changed_byte_is_never_accepted(at in any::<prop::sample::Index>(), xor in 1..=255_u8) {
        let mut note = checkpoint().sign(&key(1)).text().as_bytes().to_vec();
        let at = at.index(note.len());
        note[at] ^= xor;
        let opened = UnverifiedCheckpoint::parse(&note)
            .and_then(|note| note.verify(&key(1).verifying_key(), &checkpoint().origin));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn what_parses_is_its_own_text(
        size in any::<u64>(),
        root in any::<[u8; 32]>(),
        term in 1..=u32::MAX,
    ) {
        let mut made = checkpoint();
        made.size = TreeSize(size);
        made.root = Hash(root);
        made.origin.term = Term(term);
        let signed = made.sign(&key(1));
        let read = UnverifiedCheckpoint::parse(signed.text().as_bytes()).unwrap();
        prop_assert_eq!(read.claimed(), &made);
        prop_assert!(signed.text().starts_with(&made.note_text()));
    }
}
