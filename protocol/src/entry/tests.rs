use super::*;
use crate::vectors::for_each_vector;
use crate::world::{TestDevice, World, record_file};

fn entry() -> Entry {
    let founder = TestDevice::new(1);
    let world = World::found(&founder);
    Entry::sign(world.record_header(&founder), record_file(), &founder.signing)
}

#[test]
fn an_entry_reads_back() {
    let entry = entry();
    let read = UnverifiedEntry::decode(&entry.encode()).unwrap();
    assert_eq!(read.leaf(), entry.leaf());
    assert_eq!(read.header(), entry.header());
    let signed = read.verify(TestDevice::new(1).card.signing_key()).unwrap();
    assert_eq!(signed.into_entry(), entry);
}

#[test]
fn a_dropped_payload_leaves_the_leaf_hash() {
    let entry = entry();
    let mut parts = entry.0.clone();
    parts.payload = None;
    let read = UnverifiedEntry::decode(&parts.encode()).unwrap();
    assert_eq!((read.leaf(), read.payload()), (entry.leaf(), None));
}

#[test]
fn every_flipped_bit_is_refused_or_breaks_the_signature() {
    let entry = entry();
    let bytes = entry.encode();
    let founder = TestDevice::new(1);
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let sound = UnverifiedEntry::decode(&bytes)
            .is_ok_and(|read| read.verify(founder.card.signing_key()).is_ok());
        assert!(!sound, "flipped byte {at}");
    }
}

#[test]
fn a_newer_version_still_has_a_leaf_hash() {
    let mut header = codec::encode(entry().header());
    assert_eq!(header[1..3], [0x00, VERSION], "key 0, the version");
    header[2] = 2;
    header.push(0x00);
    let wire = EntryWire { header: header.into(), signatures: Vec::new(), payload: None };
    let leaf = leaf_hash(&wire.header, &wire.signatures);
    let refused = UnverifiedEntry::decode(&codec::encode(&wire));
    assert_eq!(refused, Err(PeerEntryError::UnknownVersion { version: 2, leaf }));
}

#[test]
fn a_payload_has_the_limit_of_its_kind() {
    let founder = TestDevice::new(1);
    let world = World::found(&founder);
    for (kind, max) in [
        (Kind::Roster, limits::ROSTER_PAYLOAD_BYTES_MAX),
        (Kind::Record, limits::RECORD_PAYLOAD_BYTES_MAX),
        (Kind::Forget, limits::FORGET_PAYLOAD_BYTES_MAX),
    ] {
        let decode = |len| {
            let header = world.header(founder.id(), kind);
            let entry = Entry::sign(header, vec![0; len], &founder.signing);
            UnverifiedEntry::decode(&entry.encode()).map(|entry| entry.leaf())
        };
        assert!(decode(max).is_ok(), "{kind:?}");
        let refused = Err(PeerEntryError::PayloadTooLarge { len: max + 1, max });
        assert_eq!(decode(max + 1), refused, "{kind:?}");
    }
}

#[test]
fn the_largest_entry_fits_its_limit_and_nothing_larger_is_decoded() {
    let founder = TestDevice::new(1);
    let blob = Blob { sha256: Hash::ZERO, size: u64::MAX };
    let mut header = World::found(&founder).record_header(&founder);
    header.blobs = vec![blob; limits::BLOBS_MAX];
    let payload = vec![0; limits::RECORD_PAYLOAD_BYTES_MAX];
    let largest = Entry::sign(header, payload, &founder.signing).encode();
    assert!(largest.len() <= limits::ENTRY_BYTES_MAX);
    assert!(UnverifiedEntry::decode(&largest).is_ok());
    let (len, max) = (limits::ENTRY_BYTES_MAX + 1, limits::ENTRY_BYTES_MAX);
    let refused = PeerEntryError::Codec(PeerCodecError::TooLarge { len, max });
    assert_eq!(UnverifiedEntry::decode(&vec![0; len]), Err(refused));
}

#[test]
fn the_entry_vectors_come_out_as_they_say() {
    for_each_vector("entry", |vector| {
        let read = vector.assert(UnverifiedEntry::decode(&vector.body_hex()));
        if let Some(read) = read {
            assert_eq!(read.leaf().to_string(), vector.field("leaf"));
        }
    });
}
