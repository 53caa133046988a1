use super::*;
use crate::vectors::for_each_vector;

fn request() -> Request {
    Request::Pull(PullRequest { committee: CommitteeId(Hash::of(b"c")), from: TreeSize(7) })
}

#[test]
fn a_frame_reads_back_byte_by_byte() {
    let mut reader = FrameReader::new(limits::FRAME_BYTES_MAX);
    let bytes = [encode(&request()), encode(&request())].concat();
    let mut bodies = Vec::new();
    for byte in &bytes {
        reader.push(&[*byte]);
        bodies.extend(reader.next_body().unwrap());
    }
    assert_eq!(reader.finish(), Ok(()));
    let requests: Vec<Request> = bodies.iter().map(|body| decode(body).unwrap()).collect();
    assert_eq!(requests, [request(), request()]);
}

#[test]
fn a_length_over_the_limit_is_refused_before_the_body() {
    let mut reader = FrameReader::new(1_000);
    reader.push(&1_001_u32.to_be_bytes());
    assert_eq!(reader.next_body(), Err(PeerFrameError::TooLarge { len: 1_001, max: 1_000 }));
    let mut reader = FrameReader::new(1_000);
    reader.push(&1_000_u32.to_be_bytes());
    reader.push(&[7; 1_000]);
    assert_eq!(reader.next_body(), Ok(Some(vec![7; 1_000])));
}

#[test]
fn a_stream_that_ends_in_a_frame_is_cut_off() {
    let mut reader = FrameReader::new(1_000);
    let bytes = encode(&request());
    reader.push(&bytes[..bytes.len() - 1]);
    assert_eq!(reader.next_body(), Ok(None));
    assert_eq!(reader.finish(), Err(PeerFrameError::CutOff));
}

#[test]
fn a_push_of_too_many_entries_is_refused_before_they_are_read() {
    let push = |count| {
        let entries = vec![ByteVec::from(Vec::new()); count];
        let committee = CommitteeId(Hash::of(b"c"));
        codec::encode(&Request::Push(PushRequest { committee, entries }))
    };
    assert!(decode::<Request>(&push(limits::PUSH_ENTRIES_MAX)).is_ok());
    let mut more = push(limits::PUSH_ENTRIES_MAX + 1);
    assert!(decode::<Request>(&more).is_err());
    // Refused for what it claims: the entries need not be there.
    more.truncate(more.len() - limits::PUSH_ENTRIES_MAX);
    let refused = decode::<Request>(&more).unwrap_err().to_string();
    assert!(refused.contains("too many values"), "{refused}");
}

#[test]
fn an_answer_has_no_more_values_than_its_question_asks_for() {
    let reply = |reply: &Reply| decode::<Reply>(&codec::encode(reply)).is_ok();
    let heads = |count| Reply::Heads(vec![HeadState::Same(Empty {}); count]);
    assert!(reply(&heads(limits::HEADS_COMMITTEES_MAX)));
    assert!(!reply(&heads(limits::HEADS_COMMITTEES_MAX + 1)));
    let entries = |count| Reply::Entries(vec![ByteVec::from(Vec::new()); count]);
    assert!(reply(&entries(limits::PULL_FRAME_ENTRIES_MAX)));
    assert!(!reply(&entries(limits::PULL_FRAME_ENTRIES_MAX + 1)));
    let pushed = |count| {
        let results = vec![PushResult::Refused(Refused { code: Code::Busy }); count];
        Reply::Pushed(Pushed { results, checkpoint: String::new() })
    };
    assert!(reply(&pushed(limits::PUSH_ENTRIES_MAX)));
    assert!(!reply(&pushed(limits::PUSH_ENTRIES_MAX + 1)));
}

#[test]
fn the_heads_of_committees_that_ended_all_fit_one_frame() {
    // No change that suspends or ends a device carries anything sealed.
    let entry = limits::HEADER_BYTES_MAX + 1024;
    let state = HeadState::NotActive(NotActive {
        entry: vec![7; entry].into(),
        index: LeafIndex(u64::MAX),
        proof: Proof::from(vec![Hash::of(b"hash"); limits::PROOF_HASHES_MAX]),
        checkpoint: "n".repeat(limits::NOTE_BYTES_MAX),
    });
    let reply = Reply::Heads(vec![state; limits::HEADS_COMMITTEES_MAX]);
    assert!(encode(&reply).len() < limits::FRAME_BYTES_MAX);
}

#[test]
fn every_code_has_one_number() {
    let mut numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), Code::ALL.len());
    for code in Code::ALL {
        let bytes = codec::encode(code);
        assert_eq!(codec::decode(&bytes, bytes.len()), Ok(*code));
    }
}

/// The body of the one frame in `bytes`, decoded.
fn decode_frame<T: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) -> Result<T, PeerFrameError> {
    let mut reader = FrameReader::new(limits::FRAME_BYTES_MAX);
    reader.push(bytes);
    let body = reader.next_body()?.ok_or(PeerFrameError::CutOff)?;
    reader.finish()?;
    decode(&body)
}

#[test]
fn the_request_vectors_come_out_as_they_say() {
    for_each_vector("frame", |vector| {
        if let Some(request) = vector.assert(decode_frame::<Request>(&vector.body_hex())) {
            assert_eq!(format!("{request:?}"), vector.field("request"));
            assert_eq!(encode(&request), vector.body_hex());
        }
    });
}

#[test]
fn the_answer_vectors_come_out_as_they_say() {
    for_each_vector("reply", |vector| {
        if let Some(reply) = vector.assert(decode_frame::<Reply>(&vector.body_hex())) {
            assert_eq!(format!("{reply:?}"), vector.field("reply"));
            assert_eq!(encode(&reply), vector.body_hex());
        }
    });
}
