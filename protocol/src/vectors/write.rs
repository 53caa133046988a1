//! Writes the vectors of entries, changes, frames and logs. Run by hand after a change of format:
//! `cargo test -p sealpost-protocol -- --ignored write_the_vectors`, then read the difference.

use std::fs;
use std::path::Path;

use minicbor::bytes::ByteArray;

use crate::change::{
    AddDevice, Admit, Approve, Change, Label, Lock, MoveSignature, Policy, Recovery, Relay, Relays,
    Remove, RepairGrant, RepairLink, Retire, Role, SetRole, Share, Standing, Target,
};
use crate::codec;
use crate::entry::{Entry, Header, Kind, Seen};
use crate::frame::{
    CommitteeRequest, CosignRequest, Empty, FoundRequest, HeadAsk, HeadsRequest, Hello,
    InviteAction, InviteRequest, OpenInvitation, PullRequest, PushRequest, Request, encode,
};
use crate::hash::Hash;
use crate::id::{Epoch, InvitationId, MemberNumber, Term, TreeSize, UnixMillis};
use crate::sign::Signature;
use crate::world::{TestDevice, World, founding_change, grant, hybrid_file, lock, record_file};

const HEX_COLUMNS: usize = 96;

fn write(format: &str, name: &str, expect: &str, fields: &[(&str, &str)], lines: &[Vec<u8>]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(format);
    fs::create_dir_all(&folder).unwrap();
    let mut text = format!("format: {format}\nexpect: {expect}\n");
    for (field, value) in fields {
        text.push_str(&format!("{field}: {value}\n"));
    }
    for bytes in lines {
        text.push('\n');
        let hex = data_encoding::HEXLOWER.encode(bytes);
        for line in hex.as_bytes().chunks(HEX_COLUMNS) {
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push('\n');
        }
    }
    fs::write(folder.join(name), text).unwrap();
}

#[test]
#[ignore = "writes testdata; run by hand after a change of format"]
fn write_the_vectors() {
    entries();
    changes();
    frames();
    logs();
}

fn entries() {
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
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
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
    short.extend(codec::encode(&minicbor::bytes::ByteVec::from(record_file()[..9].to_vec())));
    say("payload_short", "PayloadLength", "nine bytes of the payload", &short);
    let mut extended = entry.header_bytes().to_vec();
    extended[0] += 1;
    extended.extend([0x0f, 0x00]);
    let header = codec::encode(&minicbor::bytes::ByteVec::from(extended));
    let tail = &bytes[header_at + entry.header_bytes().len()..];
    let unknown = [&[0x83], header.as_slice(), tail].concat();
    say("unknown_key", "Codec(NotCanonical", "a header key that version 1 does not know", &unknown);
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("the part is in there")
}

fn changes() {
    let (founder, other) = (TestDevice::new(1), TestDevice::new(2));
    let member = MemberNumber(2);
    let file = || hybrid_file().into();
    let found = founding_change(&founder);
    let base = Seen { size: TreeSize(7), root: Hash::of(b"root") };
    let relays = Relays {
        home: Relay { country: "DE".parse().unwrap(), ..found.home.clone() },
        mirrors: vec![found.home.clone()],
        bases: vec![base],
        approvals: Vec::new(),
    };
    let signature = Signature::sign(&founder.signing, &codec::encode(&relays));
    let approvals = vec![MoveSignature { device: founder.id(), signature }];
    let standing = |target| Standing { target };
    let admit = Admit {
        card: other.card.clone(),
        member,
        role: Role::Member,
        grants: vec![grant(other.id())],
        label: file(),
    };
    let share = Share { device: founder.id(), file: file() };
    let approve =
        Approve { entry: Hash::of(b"entry"), grants: vec![grant(other.id())], label: Some(file()) };
    let lock_without_link: Lock = lock(201, &[founder.id()], false);
    let all: Vec<(&str, Change)> = vec![
        ("found", Change::Found(Box::new(found))),
        ("admit", Change::Admit(Box::new(admit))),
        (
            "device",
            Change::Device(Box::new(AddDevice {
                card: other.card.clone(),
                grant: grant(other.id()),
            })),
        ),
        ("retire", Change::Retire(Retire { device: other.id() })),
        ("role", Change::Role(SetRole { member, role: Role::Coordinator })),
        ("suspend", Change::Suspend(standing(Target::Member(member)))),
        ("suspend_device", Change::Suspend(standing(Target::Device(other.id())))),
        ("restore", Change::Restore(standing(Target::Member(member)))),
        ("remove", Change::Remove(Remove { member })),
        ("lock", Change::Lock(Box::new(lock(201, &[founder.id(), other.id()], true)))),
        ("lock_from_now", Change::Lock(Box::new(lock_without_link))),
        ("grant", Change::Grant(RepairGrant { device: other.id(), epoch: Epoch(1), file: file() })),
        ("link", Change::Link(RepairLink { epoch: Epoch(2), file: file() })),
        ("policy", Change::Policy(Policy { approvals: 2, ..Policy::default() })),
        ("relays", Change::Relays(Box::new(Relays { approvals, ..relays }))),
        ("label", Change::Label(Label { sealed: file() })),
        (
            "recovery",
            Change::Recovery(Recovery { spare: other.id(), threshold: 2, shares: vec![share] }),
        ),
        ("approve", Change::Approve(approve)),
    ];
    for (name, change) in &all {
        let comment = format!("a `{name}` change of the shape SPEC.md gives");
        let fields = [("comment", comment.as_str())];
        write("change", name, "success", &fields, &[codec::encode(change)]);
    }
    let refuse = |name, expect, comment, bytes: Vec<u8>| {
        write("change", name, expect, &[("comment", comment)], &[bytes]);
    };
    let remove = codec::encode(&Change::Remove(Remove { member }));
    refuse("tag_17", "Malformed", "a change that does not exist", vec![0x82, 0x11, 0xa0]);
    refuse("bare", "Malformed", "a body without its tag", remove[2..].to_vec());
    let wide = [&remove[..3], &[0x00, 0x18, 0x02]].concat();
    refuse("wide_member", "NotCanonical", "member 2 written in two bytes", wide);
    let unknown = [0x82, 0x08, 0xa2, 0x00, 0x02, 0x01, 0x00].to_vec();
    refuse("unknown_key", "NotCanonical", "a key that `remove` does not have", unknown);
    let order = [0x82, 0x05, 0xa2, 0x01, 0x01, 0x00, 0x02].to_vec();
    refuse("key_order", "NotCanonical", "the keys of `role` in the wrong order", order);
    refuse("trailing", "Trailing", "a byte follows", [remove, vec![0]].concat());
}

fn frames() {
    let committee = Entry::sign(
        World::found(&TestDevice::new(1)).record_header(&TestDevice::new(1)),
        record_file(),
        &TestDevice::new(1).signing,
    )
    .header()
    .committee;
    let ask = HeadAsk { committee, size: TreeSize(7) };
    let open = OpenInvitation {
        id: InvitationId(Hash::of(b"invitation")),
        access_hash: Hash::of(b"access"),
        expires: UnixMillis(1_700_000_000_000),
        uses: 1,
    };
    let invite = |action| Request::Invite(InviteRequest { committee, action });
    let permit = ByteArray::from([7; 16]);
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
        ("joins", Request::Joins(CommitteeRequest { committee })),
        ("invite", invite(InviteAction::New(open))),
        ("invite_cancel", invite(InviteAction::Cancel(open.id))),
        ("invite_list", invite(InviteAction::List(Empty {}))),
        ("cosignatures", Request::Cosignatures(CommitteeRequest { committee })),
    ];
    for (name, request) in &requests {
        let shown = format!("{request:?}");
        let fields = [("comment", "a request and how it reads"), ("request", shown.as_str())];
        write("frame", name, "success", &fields, &[encode(request)]);
    }
    let refuse = |name, expect, comment, bytes: Vec<u8>| {
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
    let mut nested = vec![0, 0, 0x10, 0];
    nested.extend(vec![0x81; 0x1000]);
    refuse("deep", "Codec(Malformed", "4,096 nested arrays", nested);
}

/// Logs whose last entry is the one in question.
fn logs() {
    let sound = || {
        let people = [1, 2, 3].map(TestDevice::new);
        let mut world = World::found(&people[0]);
        world.admit(&people[0], &people[1], Role::Member).unwrap();
        world.admit(&people[0], &people[2], Role::Reader).unwrap();
        world.record(&people[1]).unwrap();
        (world, people)
    };
    let (mut world, people) = sound();
    let devices = world.active();
    world.change(&people[0], &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
    world.record(&people[1]).unwrap();
    let root = world.committee.root().to_string();
    let fields =
        [("comment", "found, two admissions, a record, a lock, a record"), ("root", &root)];
    write("log", "sound", "success", &fields, &world.log);

    type Alter = fn(&mut Header);
    let refused: [(&str, &str, &str, Alter); 9] = [
        ("other_committee", "OtherCommittee", "R6: another committee's", |header| {
            header.committee.0 = Hash::of(b"another");
        }),
        ("other_term", "OtherTerm", "signed for term 2", |header| header.term = Term(2)),
        ("gap", "AuthorChain", "R1: the author's entry before it is missing", |header| {
            header.author_seq = header.author_seq.next();
        }),
        ("author_prev", "AuthorChain", "M10: the author's chain forks", |header| {
            header.author_prev = Hash::of(b"another");
        }),
        ("seen_ahead", "SeenOutOfRange", "has seen a longer log than there is", |header| {
            header.seen.size = TreeSize(99);
        }),
        ("seen_disputed", "Disputed", "R5: has seen another log of this size", |header| {
            header.seen.root = Hash::of(b"another");
        }),
        ("old_epoch", "StaleEpoch", "X1: sealed under an epoch not in force", |header| {
            header.epoch = Epoch(0);
        }),
        ("roster_head", "StaleRoster", "R8: names a roster entry that is not there", |header| {
            header.roster_head.leaf = Hash::of(b"another");
        }),
        ("no_content", "Content", "a record without content root", |header| {
            header.content = Hash::ZERO;
        }),
    ];
    for (name, expect, comment, alter) in refused {
        let (mut world, people) = sound();
        let mut header = world.record_header(&people[1]);
        alter(&mut header);
        world.log.push(Entry::sign(header, record_file(), &people[1].signing).encode());
        write("log", name, expect, &[("comment", comment)], &world.log);
    }
    last("reader", "NotEntitled", "M5: a reader writes", sound(), |world, people| {
        Entry::sign(world.record_header(&people[2]), record_file(), &people[2].signing)
    });
    last(
        "forged",
        "BadSignature",
        "M1: signed by another than its author",
        sound(),
        |world, people| {
            Entry::sign(world.record_header(&people[1]), record_file(), &people[0].signing)
        },
    );
    last(
        "work_factor",
        "Payload(WorkFactor",
        "M3: scrypt work factor 20",
        sound(),
        |world, people| {
            let bomb = String::from_utf8_lossy(&record_file()).replacen(" 1\n", " 20\n", 1);
            Entry::sign(world.record_header(&people[1]), bomb.into_bytes(), &people[1].signing)
        },
    );
    last(
        "self_admission",
        "Change(NotCoordinator",
        "R9: a member admits",
        sound(),
        |world, people| {
            let friend = TestDevice::new(9);
            let change = Change::Admit(Box::new(world.admission(&friend, Role::Member)));
            let header = world.header(people[1].id(), Kind::Roster);
            Entry::sign(header, codec::encode(&change), &people[1].signing)
        },
    );
    last(
        "one_grant_too_many",
        "Change(Grants",
        "M4: a lock for a stranger too",
        sound(),
        |world, people| {
            let devices = [world.active(), vec![TestDevice::new(9).id()]].concat();
            let change = Change::Lock(Box::new(lock(201, &devices, true)));
            let header = world.header(people[0].id(), Kind::Roster);
            Entry::sign(header, codec::encode(&change), &people[0].signing)
        },
    );
}

fn last(
    name: &str,
    expect: &str,
    comment: &str,
    (mut world, people): (World, [TestDevice; 3]),
    entry: impl FnOnce(&World, &[TestDevice; 3]) -> Entry,
) {
    let entry = entry(&world, &people).encode();
    world.log.push(entry);
    write("log", name, expect, &[("comment", comment)], &world.log);
}
