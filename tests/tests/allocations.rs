//! What a stranger can make us allocate by a few bytes: nothing beyond the step in which we read.
//!
//! A binary of its own, because the counting allocator is there for all that is linked with it.
//! It counts by thread; what it says is the most that was held at one time, which no single
//! allocation can exceed.

use allocation_counter::measure;
use minicbor::bytes::ByteVec;
use sealpost_protocol::age_header::{self, PeerAgeHeaderError, STANZAS_MAX};
use sealpost_protocol::card::Card;
use sealpost_protocol::change::Change;
use sealpost_protocol::checkpoint::UnverifiedCheckpoint;
use sealpost_protocol::codec::{self, PeerCodecError};
use sealpost_protocol::entry::{PeerEntryError, UnverifiedEntry};
use sealpost_protocol::frame::{self, FrameReader, PeerFrameError, Reply, Request};
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::invitation::Invitation;
use sealpost_protocol::limits;
use sealpost_protocol::seal::{EpochKeys, EpochSecret, PeerOpenError, open_grant, open_named};
use sealpost_protocol::world::{TestDevice, World};

/// The step in which frames are read, and the most that any of these may take.
const ALLOWED_BYTES: u64 = limits::FRAME_READ_STEP_BYTES as u64;
const GIBIBYTE: u32 = 1 << 30;

/// Runs `work` and hands back what it returned, and the most bytes it held at one time.
fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let mut result = None;
    let info = measure(|| result = Some(work()));
    (result.expect("it ran"), info.bytes_max)
}

/// The same, failing when it held more than is allowed.
fn sparing<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (result, bytes) = peak(work);
    assert!(bytes <= ALLOWED_BYTES, "{what}: {bytes} bytes");
    result
}

/// The counter sees what there is to see: an honest entry of a mebibyte takes its own size.
#[test]
fn the_counter_counts() {
    let founder = TestDevice::new(1);
    let header = World::found(&founder).record_header(&founder);
    let entry = sealpost_protocol::entry::Entry::sign(header, vec![7; 1 << 20], &founder.signing);
    let bytes = entry.encode();
    let (entry, held) = peak(|| UnverifiedEntry::decode(&bytes));
    assert!(entry.is_ok());
    assert!(held >= 1 << 20, "{held} bytes");
}

#[test]
fn a_frame_of_a_gigabyte_takes_no_memory() {
    for (max, length) in [
        (limits::FRAME_BYTES_MAX, GIBIBYTE),
        (limits::FRAME_BYTES_MAX, u32::MAX),
        (usize::MAX, GIBIBYTE),
        (16 * 1024, 1 << 20),
    ] {
        let refused = sparing("a frame over its limit", || {
            let mut reader = FrameReader::new(max);
            reader.push(&length.to_be_bytes());
            reader.next_body()
        });
        assert!(matches!(refused, Err(PeerFrameError::TooLarge { .. })), "{length} of {max}");
    }
    // A length within the limit is still only a claim.
    let waiting = sparing("a frame that never comes", || {
        let mut reader = FrameReader::new(limits::FRAME_BYTES_MAX);
        reader.push(&u32::try_from(limits::FRAME_BYTES_MAX).unwrap().to_be_bytes());
        reader.push(&[0; 1_000]);
        reader.next_body()
    });
    assert_eq!(waiting, Ok(None));
}

/// CBOR heads that promise 2^30 bytes or values.
fn claims() -> [Vec<u8>; 5] {
    [0x40_u8, 0x60, 0x80, 0xa0, 0xc0].map(|major| {
        let mut head = vec![major | 0x1a];
        head.extend(GIBIBYTE.to_be_bytes());
        head
    })
}

/// Whatever stands before, and however much of it decodes: no claim is believed.
#[test]
fn a_length_in_cbor_takes_no_memory() {
    // Request and answer tags with the beginning of each body, up to where a length stands.
    let committee = [&[0x00, 0x58, 0x20][..], &[7; 32]].concat();
    let bodies: Vec<Vec<u8>> = vec![
        vec![],
        vec![0x82, 0x01, 0xa1, 0x00],
        vec![0x82, 0x02, 0xa2, 0x00],
        vec![0x82, 0x03, 0xa1, 0x00],
        vec![0x82, 0x03],
        vec![0x82, 0x04],
        vec![0x82, 0x05, 0xa1, 0x00],
        [&[0x82, 0x05, 0xa2], &committee[..], &[0x01]].concat(),
        vec![0x82, 0x06, 0xa2, 0x00],
        vec![0x82, 0x06, 0xa2, 0x00, 0x81, 0x82, 0x01, 0xa2, 0x00, 0x00, 0x01],
        vec![0x82, 0x09, 0xa4],
        vec![0x82, 0x0a, 0xa3],
        vec![0x82, 0x0b],
        vec![0x82, 0x0c],
        vec![0x82, 0x0d],
        vec![0x83],
        vec![0x83, 0x41, 0x00],
        vec![0x83, 0x41, 0x00, 0x80],
        vec![0x82, 0x01, 0xa4, 0x00],
        vec![0x82, 0x09, 0xa3, 0x00],
        vec![0x82, 0x0d, 0xa4, 0x01],
        vec![0x82, 0x0f, 0xa3, 0x00],
    ];
    for body in bodies {
        for claim in claims() {
            let bytes = [body.as_slice(), &claim, &[0; 64]].concat();
            let what = format!("{bytes:02x?}");
            assert!(sparing(&what, || frame::decode::<Request>(&bytes).is_err()), "{what}");
            assert!(sparing(&what, || frame::decode::<Reply>(&bytes).is_err()), "{what}");
            assert!(sparing(&what, || UnverifiedEntry::decode(&bytes).is_err()), "{what}");
            assert!(sparing(&what, || Card::decode(&bytes).is_err()), "{what}");
            let max = limits::ROSTER_PAYLOAD_BYTES_MAX;
            assert!(sparing(&what, || codec::decode::<Change>(&bytes, max).is_err()), "{what}");
        }
    }
}

#[test]
fn an_entry_over_its_limit_is_not_decoded() {
    let bytes = vec![0x83; limits::ENTRY_BYTES_MAX + 1];
    let refused = sparing("an entry", || UnverifiedEntry::decode(&bytes));
    let error = PeerCodecError::TooLarge { len: bytes.len(), max: limits::ENTRY_BYTES_MAX };
    assert_eq!(refused, Err(PeerEntryError::Codec(error)));
    // A header over its own limit stands in an entry within it: only its copy is made.
    let header = vec![0xaf; limits::HEADER_BYTES_MAX + 1];
    let parts = (ByteVec::from(header), Vec::<(u8, ByteVec)>::new(), ByteVec::from(vec![]));
    let bytes = codec::encode(&parts);
    assert!(sparing("a long header", || UnverifiedEntry::decode(&bytes).is_err()));
}

#[test]
fn texts_over_their_limit_are_not_parsed() {
    let note = vec![b'a'; 1 << 20];
    assert!(sparing("a note", || UnverifiedCheckpoint::parse(&note).is_err()));
    let invitation = format!("sealpost1{}", "q".repeat(1 << 20));
    assert!(sparing("an invitation", || Invitation::from_text(&invitation).is_err()));
    let address = format!("sealpost://{}", "a".repeat(1 << 20));
    let refused = sparing("an address", || {
        address.parse::<sealpost_protocol::address::RelayAddress>().is_err()
    });
    assert!(refused);
}

/// Files whose header goes on for a mebibyte, and what the strict reader says at its limit.
fn bombs() -> [(Vec<u8>, PeerAgeHeaderError); 3] {
    let version = "age-encryption.org/v1\n";
    let bomb = |part: &str| [version, &part.repeat((1 << 20) / part.len())].concat().into_bytes();
    let stanza = format!("-> a\n{}", format!("{}\n", "A".repeat(64)).repeat(1 << 14));
    [
        (bomb("-> a\n\n"), PeerAgeHeaderError::TooManyStanzas { max: STANZAS_MAX }),
        (
            bomb("-> mlkem768x25519 AAAA\nAAAA\n"),
            PeerAgeHeaderError::TooManyStanzas { max: STANZAS_MAX },
        ),
        (
            [version, &stanza].concat().into_bytes(),
            PeerAgeHeaderError::StanzaTooLong { max: limits::STANZA_BYTES_MAX },
        ),
    ]
}

/// The errors are our own reader's, which age does not have: it was never asked.
#[test]
fn an_age_header_bomb_takes_no_memory_and_never_reaches_age() {
    let epoch = EpochKeys::new(EpochSecret::generate(&[1; 32]));
    let reader = Identity::from_seed(&[9; 32]);
    let expected = epoch.recipient().to_bytes();
    for (bomb, error) in bombs() {
        let hybrid = sparing("hybrid", || age_header::check_hybrid(&bomb, 1).map(|_| ()));
        assert_eq!(hybrid, Err(error));
        let named = sparing("named readers", || open_named(&bomb, &reader).map(|_| ()));
        assert_eq!(named, Err(PeerOpenError::Header(error)));
        let grant = sparing("grant", || open_grant(&bomb, &reader, &expected).err());
        assert_eq!(grant, Some(PeerOpenError::Header(error).into()));
        let label = sparing("label", || epoch.open_label(&bomb).err());
        assert_eq!(label, Some(PeerOpenError::Header(error).into()));

        // A record's header has 256 bytes: what stands beyond them, nobody looks at.
        let record = sparing("record", || epoch.open_record(&bomb).map(|_| ()));
        let Err(PeerOpenError::Header(at_limit)) = record else { panic!("{record:?}") };
        let mut other = bomb;
        other[limits::RECORD_AGE_HEADER_BYTES_MAX..].fill(0xff);
        assert_eq!(age_header::check_record(&other).map(|_| ()), Err(at_limit));
    }
}

#[test]
fn a_high_work_factor_costs_nothing() {
    let epoch = EpochKeys::new(EpochSecret::generate(&[1; 32]));
    let honest = epoch.seal_record(b"{}").unwrap();
    assert!(epoch.open_record(&honest).is_ok());
    let header = age_header::check_record(&honest).unwrap();
    let (head, body) = honest.split_at(header.payload_offset());
    let head = std::str::from_utf8(head).unwrap();
    for factor in ["2", "20", "22", "64"] {
        let head = head.replacen(" 1\n", &format!(" {factor}\n"), 1);
        let bomb = [head.as_bytes(), body].concat();
        let refused = sparing(factor, || epoch.open_record(&bomb).map(|_| ()));
        assert_eq!(refused, Err(PeerOpenError::Header(PeerAgeHeaderError::WorkFactor)));
    }
}
