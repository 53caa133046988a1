//! Whoever is not in a committee learns nothing of it, not even whether it is there; and a dead
//! invitation opens nothing.

use std::ffi::OsStr;
use std::path::Path;

use minicbor::bytes::ByteVec;
use sealpost_protocol::entry::Blob;
use sealpost_protocol::frame::{
    AnswerRequest, BlobGetRequest, BlobPutRequest, CommitteeRequest, CosignRequest, Empty, HeadAsk,
    HeadsRequest, InviteAction, InviteRequest, OpenInvitation, PullRequest, PushRequest, Reply,
    Request,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, InvitationId, TreeSize, UnixMillis};
use sealpost_protocol::invitation::{InvitationSecret, SealedJoinRequest};
use sealpost_protocol::world::record_file;
use sealpost_tests::home::Home;
use sealpost_tests::invented::{Invented, login};
use sealpost_tests::peer::{Manner, Peer, replies};
use sealpost_tests::ran::Ran;
use sealpost_tests::relay::Relay;
use serde_json::json;

use crate::attachments::one_blob;
use crate::programs;

/// What a founder opens, and somebody asks with.
fn opened() -> (OpenInvitation, SealedJoinRequest) {
    let secret = InvitationSecret::new([8; 32].into());
    let id = InvitationId(Hash([8; 32]));
    let access_hash = secret.access_hash();
    let open = OpenInvitation { id, access_hash, expires: UnixMillis(u64::MAX >> 12), uses: 1 };
    let join = SealedJoinRequest::new(id, &secret, b"an age file".to_vec());
    (open, join.expect("it is short"))
}

/// Every request that names a committee, asked about this one.
fn requests(committee: CommitteeId) -> Vec<(&'static str, Request)> {
    let size = TreeSize(0);
    let heads = HeadsRequest { committees: vec![HeadAsk { committee, size }] };
    let invitation = OpenInvitation {
        id: InvitationId(Hash([5; 32])),
        access_hash: Hash::of(b"access"),
        expires: UnixMillis(u64::MAX >> 12),
        uses: 1,
    };
    let invite = |action| Request::Invite(InviteRequest { committee, action });
    let push = |entry: Vec<u8>| {
        Request::Push(PushRequest { committee, entries: vec![ByteVec::from(entry)] })
    };
    let cosignature = "\u{2014} nobody AAAA".to_owned();
    let root = Hash::of(b"");
    let blob = Blob { sha256: root, size: 7 };
    let (open, join) = opened();
    let request = join.into_kept().hash();
    let answer = AnswerRequest { committee, invitation: open.id, request, file: vec![7].into() };
    vec![
        ("heads", Request::Heads(heads.clone())),
        ("pull", Request::Pull(PullRequest { committee, from: size })),
        ("push of no entry", Request::Push(PushRequest { committee, entries: Vec::new() })),
        ("push of nonsense", push(record_file())),
        ("watch", Request::Watch(heads)),
        ("cosign", Request::Cosign(CosignRequest { committee, size, root, cosignature })),
        ("cosignatures", Request::Cosignatures(CommitteeRequest { committee })),
        ("joins", Request::Joins(CommitteeRequest { committee })),
        ("answer", Request::Answer(answer)),
        ("blob put", Request::BlobPut(BlobPutRequest { committee, blob })),
        ("invite new", invite(InviteAction::New(invitation))),
        ("invite cancel", invite(InviteAction::Cancel(InvitationId(Hash([5; 32]))))),
        ("invite list", invite(InviteAction::List(Empty {}))),
    ]
}

/// A committee that is nowhere.
fn nowhere() -> CommitteeId {
    CommitteeId(Hash::of(b"nowhere"))
}

#[test]
fn a_foreign_committee_is_answered_byte_for_byte_as_one_that_does_not_exist() {
    let relay = Relay::start(&programs());
    let theirs = Invented::found(relay.address(), &relay.permit(), 1);
    let other = Invented::found(relay.address(), &relay.permit(), 2);
    let peer = |login| Peer::connect(relay.address(), &Manner::of(&login)).expect("anybody may");
    let strangers =
        [("an unknown device", peer(login(3))), ("another committee's device", peer(login(2)))];
    let founder = peer(login(1));
    let (open, join) = opened();
    let (committee, action) = (theirs.committee, InviteAction::New(open));
    founder.ask(&Request::Invite(InviteRequest { committee, action }));
    founder.ask(&Request::Join(join));

    let pairs = requests(theirs.committee).into_iter().zip(requests(nowhere()));
    for ((kind, about_theirs), (_, about_nothing)) in pairs {
        for (who, stranger) in &strangers {
            let foreign = stranger.ask(&about_theirs);
            assert_eq!(foreign, stranger.ask(&about_nothing), "{kind} by {who}");
            assert!(!foreign.is_empty(), "{kind} by {who}");
        }
        // A watch of one's own does not end; the rest show that there was something to see.
        if kind != "watch" {
            let own = founder.ask(&about_theirs);
            assert_ne!(own, founder.ask(&about_nothing), "{kind} by a member");
        }
    }
    assert_ne!(theirs.committee, other.committee);
}

#[test]
fn a_blob_that_is_there_is_to_others_as_one_that_is_not() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let isla = Home::of(&programs, "isla");
    let committee = isla.found(relay.address(), &relay.permit(), "Harbour");
    let note = isla.record_new("note", &committee, &json!({ "text": "with a scan" })).reference;
    let file = isla.file("scan.png", &[7; 100_000]);
    let attach = ["attach", &note, file.to_str().expect("a plain name"), "--as", "scan"];
    let _ = isla.run(&attach).exits(0);
    let path = one_blob(&relay.data());
    let name = |path: &Path| path.file_name().and_then(OsStr::to_str).expect("a name").to_owned();
    let sha256: Hash = name(&path).parse().expect("a hash");
    let theirs = CommitteeId(name(path.parent().expect("a folder")).parse().expect("a hash"));
    let size = path.metadata().expect("it is there").len();

    let other = Invented::found(relay.address(), &relay.permit(), 2);
    let requests = |committee, sha256| {
        let blob = Blob { sha256, size };
        [
            Request::BlobGet(BlobGetRequest { committee, sha256, offset: 0 }),
            Request::BlobGet(BlobGetRequest { committee, sha256, offset: size + 1 }),
            Request::BlobPut(BlobPutRequest { committee, blob }),
        ]
    };
    for stranger in [2, 3].map(login) {
        let peer = Peer::connect(relay.address(), &Manner::of(&stranger)).expect("anybody may");
        let none = Hash::of(b"no such blob");
        for about in [theirs, other.committee] {
            for (known, unknown) in requests(about, sha256).iter().zip(&requests(about, none)) {
                assert_eq!(peer.ask(known), peer.ask(unknown), "{known:?}");
            }
        }
        let about = requests(theirs, sha256).into_iter().zip(requests(nowhere(), sha256));
        for (theirs, nowhere) in about {
            assert_eq!(peer.ask(&theirs), peer.ask(&nowhere), "{theirs:?}");
        }
    }
}

#[test]
fn a_stranger_who_knows_an_entry_cannot_push_it() {
    let relay = Relay::start(&programs());
    let theirs = Invented::found(relay.address(), &relay.permit(), 1);
    let pushing = Request::Push(PushRequest {
        committee: theirs.committee,
        entries: vec![theirs.next_record().into()],
    });
    let ask = |login| {
        let peer = Peer::connect(relay.address(), &Manner::of(&login)).expect("anybody may");
        replies(&peer.ask(&pushing))
    };
    let refused = ask(login(3));
    assert!(matches!(refused.as_slice(), [Reply::Refused(_)]), "{refused:?}");
    let taken = ask(login(1));
    assert!(matches!(taken.as_slice(), [Reply::Pushed(_)]), "{taken:?}");
}

#[test]
fn an_uninvited_person_gets_exit_6_and_no_word_more() {
    let programs = programs();
    let relay = Relay::start(&programs);
    let founder = Home::of(&programs, "isla");
    let committee = founder.found(relay.address(), &relay.permit(), "Harbour");
    founder.record_new("note", &committee, &json!({ "text": "Hearing moved to Monday." }));
    let stranger = Home::of(&programs, "nobody");
    let known = stranger.run(&["record", "new", "note", "--committee", &committee, "--later"]);
    let nowhere = "C-00000000";
    let unknown = stranger.run(&["record", "new", "note", "--committee", nowhere, "--later"]);
    let told = |ran: Ran| {
        let mut failure = ran.fails(6, "not-found").failure();
        failure["what"] = json!(failure["what"].to_string().replace(&committee, "C"));
        failure.to_string().replace(nowhere, "C")
    };
    assert_eq!(told(known), told(unknown));
    let invitation = founder.invite(&committee);
    let _ = stranger.join(&invitation).exits(0);
    // Asking is not being in.
    let asking = stranger.run(&["sync"]);
    let _ = asking.exits(0);
    assert!(stranger.records().is_empty());
}
