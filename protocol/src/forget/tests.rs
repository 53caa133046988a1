use super::*;
use crate::change::Role;
use crate::committee::{Committee, Refusal};
use crate::entry::{Admitted, Entry, SignedEntry};
use crate::id::MemberNumber;
use crate::roster::PeerRosterError;
use crate::world::{TestDevice, World, add_device, record_file, set_approvals, suspend};
use crate::{change::Target, codec};

/// Three coordinators, a member with two devices, and a reader.
struct Stage {
    world: World,
    coordinators: [TestDevice; 3],
    member: TestDevice,
    second: TestDevice,
    reader: TestDevice,
}

fn stage(approvals: u16) -> Stage {
    let [founder, second_coordinator, third, member, second, reader] =
        [1, 2, 3, 4, 5, 6].map(TestDevice::new);
    let mut world = World::found(&founder);
    for coordinator in [&second_coordinator, &third] {
        world.admit(&founder, coordinator, Role::Coordinator).unwrap();
    }
    world.admit(&founder, &member, Role::Member).unwrap();
    world.admit(&founder, &reader, Role::Reader).unwrap();
    world.change(&member, &add_device(&second)).unwrap();
    if approvals > 1 {
        world.change(&founder, &set_approvals(approvals)).unwrap();
    }
    let coordinators = [founder, second_coordinator, third];
    Stage { world, coordinators, member, second, reader }
}

fn named(admitted: &Admitted) -> Forget {
    Forget { index: admitted.index, leaf: admitted.entry.leaf() }
}

#[test]
fn a_member_forgets_own_records_from_any_own_device() {
    let Stage { mut world, member, second, .. } = stage(2);
    for by in [&member, &second] {
        let record = world.record(&member).unwrap();
        let forgot = world.forget(by, named(&record)).unwrap();
        assert_eq!(forgot.forgets, Some(record.index));
    }
}

#[test]
fn a_coordinator_forgets_others_records_alone_where_one_approval_is_enough() {
    let Stage { mut world, coordinators, member, .. } = stage(1);
    let record = world.record(&member).unwrap();
    let forgot = world.forget(&coordinators[1], named(&record)).unwrap();
    assert_eq!(forgot.forgets, Some(record.index));
}

#[test]
fn where_more_are_needed_a_forget_waits_for_them() {
    let Stage { mut world, coordinators: [founder, second, third], member, .. } = stage(2);
    let record = world.record(&member).unwrap();
    let proposed = world.forget(&second, named(&record)).unwrap();
    assert_eq!(proposed.forgets, None);
    let entry = proposed.entry.leaf();
    let again = world.approve(&second, entry);
    assert_eq!(again.unwrap_err(), Refusal::Change(PeerRosterError::AlreadyApproved));
    // The roster goes on in between, and whose record it is may be cut off.
    world.change(&founder, &suspend(Target::Member(MemberNumber(4)))).unwrap();
    let approved = world.approve(&third, entry).unwrap();
    assert_eq!(approved.forgets, Some(record.index));
    let late = world.approve(&founder, entry);
    assert_eq!(late.unwrap_err(), Refusal::Change(PeerRosterError::NoSuchProposal));
}

#[test]
fn a_coordinators_own_record_is_not_approved_by_its_author() {
    let Stage { mut world, coordinators: [founder, second, third], .. } = stage(2);
    let record = world.record(&founder).unwrap();
    let entry = world.forget(&second, named(&record)).unwrap().entry.leaf();
    let own = world.approve(&founder, entry);
    assert_eq!(own.unwrap_err(), Refusal::Change(PeerRosterError::NotForThisMember));
    assert_eq!(world.approve(&third, entry).unwrap().forgets, Some(record.index));
}

#[test]
fn nobody_else_forgets_what_is_not_theirs() {
    let Stage { mut world, coordinators, member, reader, .. } = stage(1);
    let record = world.record(&coordinators[0]).unwrap();
    let by_member = world.forget(&member, named(&record));
    assert_eq!(by_member.unwrap_err(), Refusal::Change(PeerRosterError::NotCoordinator));
    assert_eq!(world.forget(&reader, named(&record)).unwrap_err(), Refusal::NotEntitled);
}

#[test]
fn only_records_are_forgotten_and_only_where_they_are() {
    let Stage { mut world, coordinators, member, .. } = stage(1);
    let [founder, ..] = &coordinators;
    let record = world.record(&member).unwrap();
    let label = world.change(founder, &crate::world::next_lock(world.committee.roster())).unwrap();
    let forgot = world.forget(&member, named(&record)).unwrap();
    let other = world.record(&member).unwrap();
    let refused = [
        // A roster change, a forget, the founding entry.
        named(&label),
        named(&forgot),
        Forget { index: LeafIndex(0), leaf: world.committee.id().0 },
        // Another entry at that place, and none.
        Forget { index: other.index, leaf: record.entry.leaf() },
        Forget { index: LeafIndex(u64::MAX), leaf: other.entry.leaf() },
        Forget { index: world.committee.size().next_index(), leaf: other.entry.leaf() },
    ];
    for forget in refused {
        assert_eq!(world.forget(founder, forget).unwrap_err(), Refusal::NoSuchRecord);
    }
    world.forget(founder, named(&other)).unwrap();
}

#[test]
fn nobody_forgets_what_they_have_not_seen() {
    let Stage { mut world, member, .. } = stage(1);
    let mut header = world.header(member.id(), Kind::Forget);
    let record = world.record(&member).unwrap();
    header.author_seq = header.author_seq.next();
    header.author_prev = record.entry.leaf();
    let entry = Entry::sign(header, codec::encode(&named(&record)), &member.signing);
    assert_eq!(world.push(&entry).unwrap_err(), Refusal::NoSuchRecord);
}

/// Folds a log as somebody hands it out who dropped the payloads at `dropped`.
fn folded(world: &World, dropped: &[LeafIndex]) -> Committee {
    let decode = |bytes: &Vec<u8>| UnverifiedEntry::decode(bytes).unwrap();
    let (mut fold, _) = Committee::found(decode(&world.log[0])).unwrap();
    for (bytes, index) in world.log.iter().zip(0..).skip(1) {
        let entry = decode(bytes);
        let entry =
            if dropped.contains(&LeafIndex(index)) { entry.with_payload_dropped() } else { entry };
        let signed: SignedEntry = fold.verify_signature(entry).unwrap();
        fold.admit_logged(signed, &world.past()).unwrap();
    }
    fold
}

#[test]
fn a_payload_is_missed_until_its_forget_comes_and_the_log_is_the_same() {
    let Stage { mut world, coordinators: [_, second, third], member, .. } = stage(2);
    let (own, others) = (world.record(&member).unwrap(), world.record(&member).unwrap());
    let kept = world.record(&member).unwrap();
    world.forget(&member, named(&own)).unwrap();
    let proposed = world.forget(&second, named(&others)).unwrap().entry.leaf();
    let before = folded(&world, &[own.index, others.index]);
    // A proposal alone takes nothing away.
    assert_eq!(before.lacking().collect::<Vec<_>>(), [others.index]);
    world.approve(&third, proposed).unwrap();
    let after = folded(&world, &[own.index, others.index]);
    assert_eq!(after.lacking().count(), 0);
    assert_eq!(after, world.committee);
    assert_eq!(after.root(), folded(&world, &[]).root());
    let withheld = folded(&world, &[kept.index]);
    assert_eq!(withheld.lacking().collect::<Vec<_>>(), [kept.index]);
}

#[test]
fn what_is_new_to_a_log_never_lacks_its_payload() {
    let Stage { mut world, member, .. } = stage(1);
    let header = world.record_header(&member);
    let entry = Entry::sign(header, record_file(), &member.signing);
    let bare = UnverifiedEntry::decode(&entry.encode()).unwrap().with_payload_dropped();
    let signed = world.committee.verify_signature(bare).unwrap();
    let past = world.committee.clone();
    let refused = world.committee.admit(signed, &crate::world::Held { nodes: &[], log: &[] });
    assert!(refused.is_err());
    assert_eq!(world.committee, past);
}

#[test]
fn a_fold_that_misses_a_payload_reads_back_from_its_snapshot() {
    let Stage { mut world, member, .. } = stage(1);
    let record = world.record(&member).unwrap();
    let fold = folded(&world, &[record.index]);
    let bytes = codec::encode(&fold);
    assert_eq!(codec::decode::<Committee>(&bytes, bytes.len()), Ok(fold));
}

#[test]
fn the_forget_of_the_spec_comes_out() {
    let forget = Forget { index: LeafIndex(7), leaf: Hash([0x11; 32]) };
    let bytes = codec::encode(&forget);
    let expected = [&[0xa2, 0x00, 0x07, 0x01, 0x58, 0x20], [0x11; 32].as_slice()].concat();
    assert_eq!(bytes, expected);
    let most = Forget { index: LeafIndex(u64::MAX), leaf: forget.leaf };
    assert!(codec::encode(&most).len() <= crate::limits::FORGET_PAYLOAD_BYTES_MAX);
}

#[test]
fn what_waits_to_be_forgotten_drops_nothing_else_and_has_a_limit_of_its_own() {
    let Stage { mut world, coordinators: [_, second, _], member, .. } = stage(2);
    let removal = world.change(&second, &crate::world::remove(MemberNumber(4))).unwrap();
    for _ in 0..crate::limits::FORGETS_WAITING_MAX {
        let record = world.record(&member).unwrap();
        world.forget(&second, named(&record)).unwrap();
    }
    let one_more = world.record(&member).unwrap();
    let refused = world.forget(&second, named(&one_more));
    assert_eq!(refused.unwrap_err(), Refusal::Change(PeerRosterError::TooManyForgets));
    let roster = world.committee.roster();
    assert!(roster.proposal(removal.entry.leaf()).is_some());
    assert_eq!(roster.proposals().count(), crate::limits::FORGETS_WAITING_MAX + 1);
}
