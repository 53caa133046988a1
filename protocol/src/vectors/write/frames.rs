//! Requests as frames.

use minicbor::bytes::ByteArray;
use zeroize::Zeroizing;

use super::write;
use crate::entry::Blob;
use crate::frame::{
    AnswerRequest, BlobGetRequest, BlobPutRequest, CommitteeRequest, CosignRequest, Empty,
    FoundRequest, HeadAsk, HeadsRequest, Hello, InviteAction, InviteRequest, OpenInvitation,
    PullRequest, PushRequest, Request, encode,
};
use crate::hash::Hash;
use crate::id::{InvitationId, TreeSize, UnixMillis};
use crate::invitation::{InvitationSecret, SealedJoinRequest};
use crate::world::{TestDevice, World};

pub(super) fn write_all() {
    let committee = World::found(&TestDevice::new(1)).committee.id();
    let ask = HeadAsk { committee, size: TreeSize(7) };
    let open = OpenInvitation {
        id: InvitationId(Hash::of(b"invitation")),
        access_hash: Hash::of(b"access"),
        expires: UnixMillis(1_700_000_000_000),
        uses: 1,
    };
    let invite = |action| Request::Invite(InviteRequest { committee, action });
    let blob = Blob { sha256: Hash::of(b"a sealed scan"), size: 1_842_309 };
    let permit = ByteArray::from([7; 16]);
    let secret = InvitationSecret::new(Zeroizing::new([0x5e; 32]));
    let join = SealedJoinRequest::new(open.id, &secret, b"an age file".to_vec()).unwrap();
    let answer = |file: Vec<u8>| {
        let request = join.clone().into_kept().hash();
        Request::Answer(AnswerRequest {
            committee,
            invitation: open.id,
            request,
            file: file.into(),
        })
    };
    let requests = [
        ("hello", Request::Hello(Hello { versions: vec![1] })),
        ("found", Request::Found(FoundRequest { permit, entry: vec![1, 2, 3].into() })),
        ("heads", Request::Heads(HeadsRequest { committees: vec![ask] })),
        ("pull", Request::Pull(PullRequest { committee, from: TreeSize(7) })),
        ("push", Request::Push(PushRequest { committee, entries: vec![vec![1, 2].into()] })),
        ("watch", Request::Watch(HeadsRequest { committees: vec![ask] })),
        (
            "cosign",
            Request::Cosign(CosignRequest {
                committee,
                size: TreeSize(7),
                root: Hash::of(b"root"),
                cosignature: "— name signature\n".to_owned(),
            }),
        ),
        ("join", Request::Join(join.clone())),
        ("joins", Request::Joins(CommitteeRequest { committee })),
        ("invite", invite(InviteAction::New(open))),
        ("invite_cancel", invite(InviteAction::Cancel(open.id))),
        ("invite_list", invite(InviteAction::List(Empty {}))),
        ("cosignatures", Request::Cosignatures(CommitteeRequest { committee })),
        ("answer", answer(b"an age file".to_vec())),
        ("blob_put", Request::BlobPut(BlobPutRequest { committee, blob })),
        (
            "blob_get",
            Request::BlobGet(BlobGetRequest { committee, sha256: blob.sha256, offset: 65_536 }),
        ),
    ];
    for (name, request) in &requests {
        let shown = format!("{request:?}");
        let fields = [("comment", "a request and how it reads"), ("request", shown.as_str())];
        write("frame", name, "success", &fields, &[encode(request)]);
    }
    let refuse = |name: &str, expect, comment, bytes: Vec<u8>| {
        write("frame", name, expect, &[("comment", comment)], &[bytes]);
    };
    let hello = encode(&requests[0].1);
    refuse("cut", "CutOff", "the last byte is missing", hello[..hello.len() - 1].to_vec());
    let gigabyte = [&[0x40, 0, 0, 0], &hello[4..]].concat();
    refuse("length_1_gib", "TooLarge", "the length says 1 GiB", gigabyte);
    refuse("empty", "Codec(Malformed", "a frame of no bytes", vec![0, 0, 0, 0]);
    refuse(
        "unknown_request",
        "Codec(Malformed",
        "request 99",
        vec![0, 0, 0, 4, 0x82, 0x18, 99, 0xa0],
    );
    let long = encode(&answer(vec![0; crate::limits::ANSWER_BYTES_MAX + 1]));
    let too_long = r#"Codec(Malformed("decode error at position 109: an answer is too long"#;
    refuse("answer_long", too_long, "an answer of 8,193 bytes", long);
    let mut nested = vec![0, 0, 0x10, 0];
    nested.extend(vec![0x81; 0x1000]);
    refuse("deep", "Codec(Malformed", "4,096 nested arrays", nested);
}
