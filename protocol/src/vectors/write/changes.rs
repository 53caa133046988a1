//! Roster changes: every one of them, in each of its variations.

use super::{with, with_byte, write};
use crate::change::{
    AddDevice, Admit, Approve, Change, Confirm, Label, Lease, Lock, MoveSignature, Policy,
    Recovery, Relay, Relays, Remove, RepairGrant, RepairLink, Restore, Retire, Role, SetRole,
    Share, Suspend, Target,
};
use crate::codec;
use crate::entry::Seen;
use crate::hash::Hash;
use crate::id::{Epoch, MemberNumber, TreeSize};
use crate::sign::Signature;
use crate::world::{TestDevice, founding_change, grant, hybrid_file, lock};

const MEMBER: MemberNumber = MemberNumber(2);

pub(super) fn write_all() {
    for (name, change) in people().into_iter().chain(locks()).chain(rules()).chain(approvals()) {
        let what = name.split('_').next().unwrap();
        let comment = match COMMENTS.iter().find(|(of, _)| *of == name) {
            Some((_, comment)) => format!("a `{what}` change: {comment}"),
            None => format!("a `{what}` change of the shape SPEC.md gives"),
        };
        let fields = [("comment", comment.as_str())];
        write("change", name, "success", &fields, &[codec::encode(&change)]);
    }
    refused_forms();
    refused_values();
}

/// What tells a variation from the change it is one of.
const COMMENTS: [(&str, &str); 13] = [
    ("admit_coordinator", "as coordinator"),
    ("admit_reader", "as reader"),
    ("admit_pending", "without grants, for it needs approvals"),
    ("role_member", "down to member"),
    ("role_reader", "down to reader"),
    ("suspend_device", "one device alone"),
    ("restore_device", "one device alone"),
    ("lock_from_now", "without link: history is withheld"),
    ("policy_all", "every value another than at founding"),
    ("relays_mirrors", "other mirrors, the same home: no base and no approvals"),
    ("relays_settle", "two bases, which settles two competing moves"),
    ("recovery_none", "no helper any more"),
    ("approve_bare", "of a change that grants nothing"),
];

fn file() -> minicbor::bytes::ByteVec {
    hybrid_file().into()
}

fn people() -> Vec<(&'static str, Change)> {
    let (founder, other) = (TestDevice::new(1), TestDevice::new(2));
    let admit = |role, grants| {
        let card = other.card.clone();
        Change::Admit(Box::new(Admit { card, member: MEMBER, role, grants, label: file() }))
    };
    let suspend = |target| Change::Suspend(Suspend { target });
    let restore = |target| Change::Restore(Restore { target });
    let add = AddDevice { card: other.card.clone(), grant: grant(other.id()) };
    vec![
        ("found", Change::Found(Box::new(founding_change(&founder)))),
        ("admit", admit(Role::Member, vec![grant(other.id())])),
        ("admit_coordinator", admit(Role::Coordinator, vec![grant(other.id())])),
        ("admit_reader", admit(Role::Reader, vec![grant(other.id())])),
        ("admit_pending", admit(Role::Coordinator, vec![])),
        ("device", Change::Device(Box::new(add))),
        ("retire", Change::Retire(Retire { device: other.id() })),
        ("role", Change::Role(SetRole { member: MEMBER, role: Role::Coordinator })),
        ("role_member", Change::Role(SetRole { member: MEMBER, role: Role::Member })),
        ("role_reader", Change::Role(SetRole { member: MEMBER, role: Role::Reader })),
        ("suspend", suspend(Target::Member(MEMBER))),
        ("suspend_device", suspend(Target::Device(other.id()))),
        ("restore", restore(Target::Member(MEMBER))),
        ("restore_device", restore(Target::Device(other.id()))),
        ("remove", Change::Remove(Remove { member: MEMBER })),
    ]
}

fn locks() -> Vec<(&'static str, Change)> {
    let (founder, other) = (TestDevice::new(1), TestDevice::new(2));
    let without_link: Lock = lock(201, &[founder.id()], false);
    let share = Share { device: founder.id(), file: file() };
    let recovery =
        |threshold, shares| Change::Recovery(Recovery { spare: other.id(), threshold, shares });
    vec![
        ("lock", Change::Lock(Box::new(lock(201, &[founder.id(), other.id()], true)))),
        ("lock_from_now", Change::Lock(Box::new(without_link))),
        ("grant", Change::Grant(RepairGrant { device: other.id(), epoch: Epoch(1), file: file() })),
        ("link", Change::Link(RepairLink { epoch: Epoch(2), file: file() })),
        ("label", Change::Label(Label { sealed: file() })),
        ("recovery", recovery(2, vec![share])),
        ("recovery_none", recovery(0, vec![])),
    ]
}

fn rules() -> Vec<(&'static str, Change)> {
    let founder = TestDevice::new(1);
    let home = founding_change(&founder).home;
    let base = |size| Seen { size: TreeSize(size), root: Hash::of(b"root") };
    let elsewhere = Relay { country: "DE".parse().unwrap(), ..home.clone() };
    let signed = |relays: Relays| {
        assert!(relays.approvals.is_empty(), "what is signed has no signatures");
        let signature = Signature::sign(&founder.signing, &codec::encode(&relays));
        let approvals = vec![MoveSignature { device: founder.id(), signature }];
        Change::Relays(Box::new(Relays { approvals, ..relays }))
    };
    let relays = |home: &Relay, mirrors, bases| Relays {
        home: home.clone(),
        mirrors,
        bases,
        approvals: Vec::new(),
    };
    let mirrors = relays(&home, vec![elsewhere.clone()], vec![]);
    let policy = Policy {
        approvals: 3,
        lease: Lease { days: 14, enforce: true },
        confirm: Confirm { devices: 4, countries: 2 },
        device_needs_coordinator: true,
        retention_months: 18,
        format: 2,
    };
    vec![
        ("policy", Change::Policy(Policy { approvals: 2, ..Policy::default() })),
        ("policy_all", Change::Policy(policy)),
        ("relays", signed(relays(&elsewhere, vec![home.clone()], vec![base(7)]))),
        ("relays_mirrors", Change::Relays(Box::new(mirrors))),
        ("relays_settle", signed(relays(&elsewhere, vec![], vec![base(7), base(9)]))),
    ]
}

fn approvals() -> Vec<(&'static str, Change)> {
    let grants = vec![grant(TestDevice::new(2).id())];
    let entry = Hash::of(b"entry");
    vec![
        ("approve", Change::Approve(Approve { entry, grants, label: Some(file()) })),
        ("approve_bare", Change::Approve(Approve { entry, grants: vec![], label: None })),
    ]
}

fn refuse(name: &str, expect: &str, comment: &str, bytes: Vec<u8>) {
    write("change", name, expect, &[("comment", comment)], &[bytes]);
}

fn refused_forms() {
    let remove = codec::encode(&Change::Remove(Remove { member: MEMBER }));
    refuse("tag_0", "Malformed", "tag 0", vec![0x82, 0x00, 0xa0]);
    refuse("tag_17", "Malformed", "a change that does not exist", vec![0x82, 0x11, 0xa0]);
    refuse("bare", "Malformed", "a body without its tag", remove[2..].to_vec());
    let wide = [&remove[..3], &[0x00, 0x18, 0x02]].concat();
    refuse("wide_member", "NotCanonical", "member 2 written in two bytes", wide);
    let large = [&remove[..3], &[0x00, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0]].concat();
    refuse("member_33_bits", "Malformed", "member 2^32", large);
    let policy = codec::encode(&Change::Policy(Policy::default()));
    let enforce = with(&policy, &[0x82, 0x07, 0xf4], &[0x82, 0x07, 0x00]);
    refuse("enforce_number", "Malformed", "0 in the place of false", enforce);
    let unknown = [0x82, 0x08, 0xa2, 0x00, 0x02, 0x01, 0x00].to_vec();
    refuse("unknown_key", "NotCanonical", "a key that `remove` does not have", unknown);
    let order = [0x82, 0x05, 0xa2, 0x01, 0x01, 0x00, 0x02].to_vec();
    refuse("key_order", "NotCanonical", "the keys of `role` in the wrong order", order);
    let twice = [0x82, 0x08, 0xa2, 0x00, 0x02, 0x00, 0x02].to_vec();
    refuse("key_twice", "NotCanonical", "the member of `remove` twice", twice);
    refuse("field_missing", "Malformed", "a `remove` of nobody", vec![0x82, 0x08, 0xa0]);
    let indefinite = vec![0x82, 0x08, 0xbf, 0x00, 0x02, 0xff];
    refuse("indefinite", "NotCanonical", "a map of indefinite length", indefinite);
    refuse("trailing", "Trailing", "a byte follows", [remove, vec![0]].concat());
    let founder = TestDevice::new(1).id();
    let lock = codec::encode(&Change::Lock(Box::new(lock(201, &[founder], false))));
    assert_eq!(lock[2], 0xa3, "three of four fields");
    let label = codec::encode(&(3, file()))[1..].to_vec();
    let null = with(&with_byte(&lock, 2, 0xa4), &label, &[&[0x02, 0xf6], &label[..]].concat());
    refuse("link_null", "NotCanonical", "an absent link written as null", null);
}

fn refused_values() {
    let find = |list: Vec<(&'static str, Change)>, name: &str| {
        let (_, change) = list.into_iter().find(|(of, _)| *of == name).unwrap();
        codec::encode(&change)
    };
    let role = [0x82, 0x05, 0xa2, 0x00, 0x02, 0x01, 0x04].to_vec();
    refuse("role_4", "Malformed", "a role that does not exist", role);
    let target = [0x82, 0x06, 0xa1, 0x00, 0x82, 0x03, 0x02].to_vec();
    refuse("target_3", "Malformed", "a target that is neither member nor device", target);
    let retire = find(people(), "retire");
    let short = [&retire[..4], &[0x58, 0x1f], &retire[7..]].concat();
    refuse("device_short", "Malformed", "a device id of 31 bytes", short);
    let found = find(people(), "found");
    let country = with(&found, b"\x62CH", b"\x62ch");
    refuse("country_lower_case", "Malformed", "a country in small letters", country);
    let address = with(&found, b"relay.example:4433", b"RELAY.example:4433");
    refuse("address_upper_case", "Malformed", "a relay's name in capitals", address);
    let lock = find(locks(), "lock");
    let short = with(&lock, &[0x59, 0x04, 0xc0, 201], &[0x59, 0x04, 0xbf]);
    refuse("recipient_short", "Malformed", "a recipient of 1,215 bytes", short);
    let admit = find(people(), "admit");
    let card = TestDevice::new(2).card;
    let at = super::find(&admit, card.as_bytes()) + card.as_bytes().len() - 1;
    let forged = with_byte(&admit, at, admit[at] ^ 1);
    refuse("card_forged", "Malformed", "a card with one bit changed", forged);
    let relays = find(rules(), "relays");
    let short = [&relays[..relays.len() - 66], &[0x58, 0x3f], &relays[relays.len() - 63..]];
    refuse("move_signature_short", "Malformed", "a signature of 63 bytes", short.concat());
}
