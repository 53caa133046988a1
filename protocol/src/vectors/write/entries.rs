//! Entries, most of them put together by hand.

use minicbor::bytes::ByteVec;

use super::{find, with, with_byte, write};
use crate::codec;
use crate::entry::{Blob, Entry, Header, Kind};
use crate::hash::Hash;
use crate::limits::FORGET_PAYLOAD_BYTES_MAX;
use crate::sign::{EntryDomain, Signature};
use crate::world::{TestDevice, World, record_file};

pub(super) fn write_all() {
    let founder = TestDevice::new(1);
    let world = World::found(&founder);
    let entry = Entry::sign(world.record_header(&founder), record_file(), &founder.signing);
    let bytes = entry.encode();
    let leaf = entry.leaf().to_string();
    let say = |name: &str, expect: &str, comment: &str, bytes: &[u8]| {
        let fields = [("comment", comment), ("leaf", leaf.as_str())];
        write("entry", name, expect, &fields, &[bytes.to_vec()]);
    };
    say("record", "success", "a record of the founder's", &bytes);
    let header_at = find(&bytes, entry.header_bytes());
    let payload_at = find(&bytes, &record_file());

    say("cut", "Codec(Malformed", "the last byte is missing", &bytes[..bytes.len() - 1]);
    say("trailing", "Codec(Trailing", "a byte follows", &[&bytes[..], &[0]].concat());
    let wide = [&[0x98, 0x03], &bytes[1..]].concat();
    say("wide_length", "Codec(NotCanonical", "the array's length is written in two bytes", &wide);
    let changed = |at: usize, byte: u8| with_byte(&bytes, at, byte);
    say("version_2", "UnknownVersion", "header version 2", &changed(header_at + 2, 2));
    let kind = find(&bytes, &[0x03, 0x02, 0x04]);
    say("kind_4", "Codec(Malformed", "kind 4 is reserved", &changed(kind + 1, 4));
    let last = bytes.len() - 1;
    say(
        "payload_changed",
        "PayloadHash",
        "one bit of the payload",
        &changed(last, bytes[last] ^ 1),
    );
    let algorithm = header_at + entry.header_bytes().len() + 2;
    assert_eq!(bytes[algorithm], 1, "[[1, signature]]");
    say("algorithm_2", "Signatures", "another signature algorithm", &changed(algorithm, 2));
    let mut short = bytes[..payload_at - 2].to_vec();
    short.extend(codec::encode(&ByteVec::from(record_file()[..9].to_vec())));
    say("payload_short", "PayloadLength", "nine bytes of the payload", &short);
    headers(&founder, &entry);
    signatures(&entry);
    payloads(&founder, &world);
}

fn refuse(name: &str, expect: &str, comment: &str, bytes: Vec<u8>) {
    write("entry", name, expect, &[("comment", comment)], &[bytes]);
}

/// The entry with another header, signed like the true one.
fn with_header(founder: &TestDevice, entry: &Entry, header: Vec<u8>) -> Vec<u8> {
    let signature = Signature::<EntryDomain>::sign(&founder.signing, &header);
    let signatures = vec![(1_u8, ByteVec::from(signature.to_bytes().to_vec()))];
    let payload = ByteVec::from(entry.payload().unwrap().to_vec());
    codec::encode(&(ByteVec::from(header), signatures, payload))
}

/// The signature is sound in all of these: it is the form that is refused.
fn headers(founder: &TestDevice, entry: &Entry) {
    let header = entry.header_bytes();
    let say = |name: &str, expect: &str, comment: &str, header: Vec<u8>| {
        refuse(name, expect, comment, with_header(founder, entry, header));
    };
    assert_eq!(with_header(founder, entry, header.to_vec()), entry.encode());
    let mut extended = header.to_vec();
    extended[0] += 1;
    extended.extend([0x0f, 0x00]);
    say("unknown_key", "Codec(NotCanonical", "a header key that version 1 does not know", extended);
    let indefinite = [&[0xbf], &header[1..], &[0xff]].concat();
    say("indefinite", "Codec(Malformed", "a map of indefinite length", indefinite);
    let mut missing = header[..header.len() - 2].to_vec();
    missing[0] -= 1;
    say("field_missing", "Codec(Malformed", "no list of blobs", missing);
    let no_version = [&[header[0] - 1], &header[3..]].concat();
    say("version_missing", "Codec(Malformed", "a header that begins with key 1", no_version);
    let swapped = [&header[..1], &[0x02, 0x01], &header[3..38], &header[1..3], &header[40..]];
    assert_eq!(header[38..40], [0x02, 0x01], "the term");
    say("version_not_first", "Codec(Malformed", "term and version exchanged", swapped.concat());
    let hash_short = with(header, &[0x06, 0x58, 0x20], &[0x06, 0x58, 0x1f]);
    say("hash_short", "Codec(Malformed", "an author_prev of 31 bytes", hash_short);
    let blob = Blob { sha256: Hash::of(b"scan"), size: 4 };
    let long = codec::encode(&Header { blobs: vec![blob; 120], ..entry.header().clone() });
    say("header_long", "Codec(TooLarge", "a header of more than 4 KiB", long);
}

fn signatures(entry: &Entry) {
    let with_signatures = |signatures: Vec<(u8, ByteVec)>| {
        let payload = ByteVec::from(entry.payload().unwrap().to_vec());
        codec::encode(&(ByteVec::from(entry.header_bytes().to_vec()), signatures, payload))
    };
    let signature = entry.signature().to_bytes().to_vec();
    let one = || (1, ByteVec::from(signature.clone()));
    assert_eq!(with_signatures(vec![one()]), entry.encode());
    let say = |name: &str, comment: &str, signatures| {
        refuse(name, "Signatures", comment, with_signatures(signatures));
    };
    say("signature_missing", "no signature", vec![]);
    say("two_signatures", "the same signature twice", vec![one(), one()]);
    let many = with_signatures((0..17).map(|_| (1, ByteVec::from(vec![]))).collect());
    let expect = r#"Codec(Malformed("decode error at position 279: too many values"#;
    refuse("signatures_17", expect, "17 signatures", many);
    say("signature_short", "a signature of 63 bytes", vec![(1, signature[..63].to_vec().into())]);
}

fn payloads(founder: &TestDevice, world: &World) {
    let header = world.header(founder.id(), Kind::Forget);
    let long = Entry::sign(header, vec![0; FORGET_PAYLOAD_BYTES_MAX + 1], &founder.signing);
    refuse("forget_long", "PayloadTooLarge", "a forget of 65 bytes", long.encode());
    let entry = Entry::sign(world.record_header(founder), record_file(), &founder.signing);
    let signatures = vec![(1_u8, ByteVec::from(entry.signature().to_bytes().to_vec()))];
    let forgotten = codec::encode(&(ByteVec::from(entry.header_bytes().to_vec()), signatures));
    let leaf = entry.leaf().to_string();
    let fields = [("comment", "the record, its payload dropped"), ("leaf", leaf.as_str())];
    write("entry", "forgotten", "success", &fields, &[forgotten]);
}
