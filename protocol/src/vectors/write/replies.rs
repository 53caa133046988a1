//! Answers as frames.

use minicbor::bytes::ByteVec;
use zeroize::Zeroizing;

use super::{with, write};
use crate::code::Code;
use crate::codec;
use crate::frame::{
    Accepted, Answered, BlobAt, BlobBytes, Checkpointed, CosignatureOf, Empty, HeadAsk, HeadState,
    HelloReply, JoinOf, NotActive, OpenInvitation, PushResult, Pushed, Refused, Reply, encode,
};
use crate::hash::Hash;
use crate::id::{InvitationId, LeafIndex, TreeSize, UnixMillis};
use crate::invitation::{InvitationSecret, KeptJoinRequest, SealedJoinRequest};
use crate::tree::{self, Proof};
use crate::world::{TestDevice, World};

fn kept() -> KeptJoinRequest {
    let secret = InvitationSecret::new(Zeroizing::new([0x5e; 32]));
    let invitation = InvitationId(Hash::of(b"invitation"));
    SealedJoinRequest::new(invitation, &secret, b"an age file".to_vec()).unwrap().into_kept()
}

fn proof(world: &World) -> Proof {
    let size = world.committee.size();
    tree::inclusion_proof(LeafIndex(1), size, world.nodes.as_slice()).unwrap()
}

fn not_active(world: &World) -> NotActive {
    let checkpoint = "a signed note\n".to_owned();
    NotActive { entry: vec![1, 2, 3].into(), index: LeafIndex(1), proof: proof(world), checkpoint }
}

pub(super) fn write_all() {
    let founder = TestDevice::new(1);
    let mut world = World::found(&founder);
    world.record(&founder).unwrap();
    let committee = world.committee.id();
    let checkpoint = || "a signed note\n".to_owned();
    let invitation = InvitationId(Hash::of(b"invitation"));
    let refused = Refused { code: Code::StaleEpoch };
    let pushed = Pushed {
        results: vec![
            PushResult::Accepted(Accepted { index: LeafIndex(1), proof: proof(&world) }),
            PushResult::Refused(refused),
        ],
        checkpoint: checkpoint(),
    };
    let other = Checkpointed { checkpoint: checkpoint() };
    let heads = vec![
        HeadState::Unknown(Empty {}),
        HeadState::Same(Empty {}),
        HeadState::Other(other.clone()),
        HeadState::NotActive(not_active(&world)),
    ];
    let open = OpenInvitation {
        id: invitation,
        access_hash: Hash::of(b"access"),
        expires: UnixMillis(1_700_000_000_000),
        uses: 1,
    };
    let cosignature = CosignatureOf {
        device: founder.id(),
        size: TreeSize(2),
        root: world.committee.root(),
        cosignature: "— name signature\n".to_owned(),
    };
    let now = UnixMillis(1_700_000_000_000);
    let replies = [
        ("refused", Reply::Refused(refused)),
        ("hello", Reply::Hello(HelloReply { version: 1, now })),
        ("not_active", Reply::NotActive(not_active(&world))),
        ("heads", Reply::Heads(heads)),
        ("entries", Reply::Entries(vec![vec![1, 2, 3].into()])),
        ("end", Reply::End(other)),
        ("pushed", Reply::Pushed(pushed)),
        ("grown", Reply::Grown(HeadAsk { committee, size: TreeSize(2) })),
        ("done", Reply::Done(Empty {})),
        ("joins", Reply::Joins(vec![JoinOf { invitation, request: kept() }])),
        ("invitations", Reply::Invitations(vec![open])),
        ("cosignatures", Reply::Cosignatures(vec![cosignature])),
        ("blob_at", Reply::BlobAt(BlobAt { offset: 65_536 })),
        ("blob_bytes", Reply::BlobBytes(BlobBytes { bytes: vec![1, 2, 3].into() })),
        ("answered", Reply::Answered(Answered { file: b"an age file".to_vec().into() })),
    ];
    for (name, reply) in &replies {
        let shown = format!("{reply:?}");
        let fields = [("comment", "an answer and how it reads"), ("reply", shown.as_str())];
        write("reply", name, "success", &fields, &[encode(reply)]);
    }
    let refuse = |name: &str, expect: &str, comment: &str, body: Vec<u8>| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let frame = [length.as_slice(), &body].concat();
        write("reply", name, expect, &[("comment", comment)], &[frame]);
    };
    let body = codec::encode(&replies[0].1);
    refuse("unknown_code", "Codec(Malformed", "code 7", with(&body, &[0x00, 0x10], &[0x00, 0x07]));
    refuse("unknown_reply", "Codec(Malformed", "answer 15", [&[0x82, 0x0f], &body[2..]].concat());
    refuse("unknown_key", "Codec(NotCanonical", "a refusal that says more", {
        [&[0x82, 0x00, 0xa2], &body[3..], &[0x01, 0x00]].concat()
    });
    let hashes = vec![Hash::ZERO; crate::limits::PROOF_HASHES_MAX + 1];
    let accepted = (1_u8, Wide { index: 0, hashes });
    let long =
        codec::encode(&(6_u8, WidePushed { results: vec![accepted], checkpoint: checkpoint() }));
    refuse(
        "proof_long",
        r#"Codec(Malformed("decode error at position 11: too many hashes"#,
        "a proof of 65 hashes",
        long,
    );
    let file = vec![0; crate::limits::ANSWER_BYTES_MAX + 1].into();
    refuse(
        "answered_long",
        r#"Codec(Malformed("decode error at position 4: an answer is too long"#,
        "an answer of 8,193 bytes",
        codec::encode(&Reply::Answered(Answered { file })),
    );
    for (name, len) in
        [("blob_bytes_long", crate::limits::BLOB_FRAME_BYTES + 1), ("blob_bytes_none", 0)]
    {
        refuse(
            name,
            r#"Codec(Malformed("decode error at position 4: too many bytes of a blob, or none"#,
            "a piece of a blob of 524,289 bytes, or of none",
            codec::encode(&Reply::BlobBytes(BlobBytes { bytes: vec![0; len].into() })),
        );
    }
    let file = vec![0; crate::limits::JOIN_REQUEST_BYTES_MAX + 1];
    let joins = codec::encode(&(11_u8, vec![WideJoin { invitation, kept: WideKept::new(file) }]));
    refuse(
        "join_long",
        r#"Codec(Malformed("decode error at position 42: a join request is too long"#,
        "a join request of 8,193 bytes",
        joins,
    );
}

/// The same as the types of [`crate::frame`], without their limits.
#[derive(minicbor::Encode)]
#[cbor(map)]
struct Wide {
    #[n(0)]
    index: u64,
    #[n(1)]
    hashes: Vec<Hash>,
}

#[derive(minicbor::Encode)]
#[cbor(map)]
struct WidePushed {
    #[n(0)]
    results: Vec<(u8, Wide)>,
    #[n(1)]
    checkpoint: String,
}

#[derive(minicbor::Encode)]
#[cbor(map)]
struct WideJoin {
    #[n(0)]
    invitation: InvitationId,
    #[n(1)]
    kept: WideKept,
}

#[derive(minicbor::Encode)]
#[cbor(map)]
struct WideKept {
    #[n(0)]
    file: ByteVec,
    #[n(1)]
    mac: ByteVec,
}

impl WideKept {
    fn new(file: Vec<u8>) -> Self {
        Self { file: file.into(), mac: vec![0; 32].into() }
    }
}
