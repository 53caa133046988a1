use super::*;
use crate::change::{Approve, Change, RepairGrant, Role, Target};
use crate::entry::Entry;
use crate::forget::Forget;
use crate::id::{DeviceId, Epoch, MemberNumber};
use crate::world::{
    TestDevice, World, grant, hybrid_file, record_file, remove, reread, restore, set_approvals,
    set_role, suspend,
};

/// A log in which records, roster changes and a repair stand between one another.
fn world() -> (World, TestDevice, TestDevice) {
    let (coordinator, member) = (TestDevice::new(1), TestDevice::new(2));
    let mut world = World::found(&coordinator);
    world.admit(&coordinator, &member, Role::Member).unwrap();
    world.record(&member).unwrap();
    let reader = TestDevice::new(3);
    world.admit(&coordinator, &reader, Role::Reader).unwrap();
    let file = grant(reader.id()).file;
    let repair = RepairGrant { device: reader.id(), epoch: Epoch(1), file };
    world.change(&member, &Change::Grant(repair)).unwrap();
    world.change(&coordinator, &suspend(Target::Device(reader.id()))).unwrap();
    world.change_locks(&coordinator).unwrap();
    world.record(&coordinator).unwrap();
    world.change(&coordinator, &restore(Target::Device(reader.id()))).unwrap();
    (world, coordinator, member)
}

/// The roster entries of a log, with their places.
fn roster_of(world: &World) -> Vec<(LeafIndex, UnverifiedEntry)> {
    let decoded = world.log.iter().map(|bytes| UnverifiedEntry::decode(bytes).unwrap());
    let placed = (0..).map(LeafIndex).zip(decoded);
    placed.filter(|(_, entry)| entry.header().kind == Kind::Roster).collect()
}

fn chain_of(entries: &[(LeafIndex, UnverifiedEntry)]) -> Result<RosterChain, PeerChainError> {
    let ((_, founding), rest) = entries.split_first().unwrap();
    let mut chain = RosterChain::found(founding.clone())?;
    for (index, entry) in rest {
        chain.follow(entry.clone(), *index)?;
    }
    Ok(chain)
}

/// The author's next record, signed and not admitted: its place is the log's next.
fn record(world: &World, author: &TestDevice) -> (LeafIndex, UnverifiedEntry) {
    let header = world.record_header(author);
    let entry = Entry::sign(header, record_file(), &author.signing);
    (world.committee.size().next_index(), reread(&entry))
}

fn checked(world: &World, author: &TestDevice) -> Result<DeviceId, PeerChainError> {
    let (index, entry) = record(world, author);
    let chain = chain_of(&roster_of(world)).unwrap();
    chain.check_record(entry, index).map(|signed| signed.header().author)
}

#[test]
fn the_roster_entries_alone_fold_to_the_roster_of_the_log() {
    let (world, ..) = world();
    let chain = chain_of(&roster_of(&world)).unwrap();
    assert_eq!(chain.roster(), world.committee.roster());
    assert_eq!((chain.id(), chain.term()), (world.committee.id(), world.committee.term()));
}

#[test]
fn a_roster_entry_that_is_left_out_leaves_a_gap() {
    let (world, ..) = world();
    let all = roster_of(&world);
    for at in 1..all.len() - 1 {
        let without = [&all[..at], &all[at + 1..]].concat();
        let is_repair = all[at].1.header().roster_head == all[at + 1].1.header().roster_head;
        match chain_of(&without) {
            // Repairs are not counted, and change nobody's standing.
            Ok(_) => assert!(is_repair, "{at} was left out unseen"),
            Err(error) => {
                let gap = matches!(error, PeerChainError::Gap { .. });
                assert!(gap && !is_repair, "{at}: {error}");
            }
        }
    }
}

#[test]
fn an_entry_from_elsewhere_or_out_of_its_order_is_refused() {
    let (world, coordinator, _) = world();
    let all = roster_of(&world);
    let mut chain = chain_of(&all).unwrap();
    // The same again.
    let (index, last) = all.last().unwrap().clone();
    let gap = chain.follow(last.clone(), LeafIndex(index.0 + 1));
    assert!(matches!(gap, Err(PeerChainError::Gap { .. })), "{gap:?}");
    // A sound one at a place before the last.
    let before = chain_of(&all[..all.len() - 1]).unwrap().follow(last, LeafIndex(1));
    assert!(matches!(before, Err(PeerChainError::Order { .. })), "{before:?}");
    // A record among them.
    let (index, record) = record(&world, &coordinator);
    assert_eq!(chain.follow(record, index), Err(PeerChainError::Kind));
    // What another signed in a coordinator's name.
    let mut header = world.header(coordinator.id(), Kind::Roster);
    header.made_at.0 += 1;
    let change = crate::codec::encode(&set_role(MemberNumber(2), Role::Reader));
    let forged = reread(&Entry::sign(header, change, &TestDevice::new(7).signing));
    let index = world.committee.size().next_index();
    let refused = chain.follow(forged, index);
    assert!(
        matches!(refused, Err(PeerChainError::Refused(Refusal::BadSignature(_)))),
        "{refused:?}"
    );
}

#[test]
fn a_record_is_of_who_was_entitled_at_the_roster_entry_it_names() {
    let (mut world, coordinator, member) = world();
    assert_eq!(checked(&world, &member), Ok(member.id()));
    // A member who became a reader, and one who was removed.
    world.change(&coordinator, &set_role(MemberNumber(2), Role::Reader)).unwrap();
    assert_eq!(checked(&world, &member), Err(Refusal::NotEntitled.into()));
    world.change(&coordinator, &remove(MemberNumber(2))).unwrap();
    world.change_locks(&coordinator).unwrap();
    assert_eq!(checked(&world, &member), Err(Refusal::NotActive.into()));
    assert_eq!(checked(&world, &coordinator), Ok(coordinator.id()));
    assert_eq!(checked(&world, &TestDevice::new(8)), Err(Refusal::UnknownAuthor.into()));
}

#[test]
fn a_record_that_names_another_roster_entry_than_the_last_shown_is_refused() {
    let (mut world, coordinator, member) = world();
    let (index, before) = record(&world, &member);
    world.change(&coordinator, &remove(MemberNumber(2))).unwrap();
    let all = roster_of(&world);
    let chain = chain_of(&all).unwrap();
    let gap = chain.check_record(before.clone(), LeafIndex(index.0 + 1));
    assert!(matches!(gap, Err(PeerChainError::Gap { .. })), "{gap:?}");
    // Where the removal is left out, the record of before stands.
    let cut = chain_of(&all[..all.len() - 1]).unwrap();
    assert!(cut.check_record(before, index).is_ok());
}

#[test]
fn what_ended_an_author_before_the_place_of_the_record_is_seen_where_it_is_shown() {
    let (mut world, coordinator, member) = world();
    let (index, before) = record(&world, &member);
    world.change(&coordinator, &remove(MemberNumber(2))).unwrap();
    let chain = chain_of(&roster_of(&world)).unwrap();
    let after = chain.check_record_in_place(before, LeafIndex(index.0 + 1));
    assert_eq!(after, Err(Refusal::NotActive.into()));
    let (index, now) = record(&world, &coordinator);
    // The lock is due, which the roster entries alone do not decide.
    assert_eq!(chain.check_record_in_place(now, index), Ok(()));
}

#[test]
fn what_an_author_wrote_goes_on_from_what_is_shown_of_it() {
    let (world, _, member) = world();
    let chain = chain_of(&roster_of(&world)).unwrap();
    let altered = |change: &dyn Fn(&mut Header)| {
        let mut header = world.record_header(&member);
        change(&mut header);
        let entry = reread(&Entry::sign(header, record_file(), &member.signing));
        chain.check_record(entry, world.committee.size().next_index()).map(|_| ())
    };
    assert_eq!(altered(&|_| {}), Ok(()));
    // Its repair was its second entry.
    let expected = Err(Refusal::AuthorChain { expected: AuthorSeq(2) }.into());
    assert_eq!(altered(&|header| header.author_seq = AuthorSeq(1)), expected);
    assert_eq!(altered(&|header| header.author_prev = Hash::of(b"another")), expected);
    assert_eq!(altered(&|header| header.author_seq = AuthorSeq(3)), expected);
    let out_of_range = Err(Refusal::SeenOutOfRange.into());
    assert_eq!(altered(&|header| header.seen.size = TreeSize(0)), out_of_range);
    assert_eq!(altered(&|header| header.seen.size = TreeSize(99)), out_of_range);
    let old = altered(&|header| header.epoch = Epoch(1));
    assert!(matches!(old, Err(PeerChainError::Refused(Refusal::StaleEpoch { .. }))), "{old:?}");
    assert_eq!(altered(&|header| header.content = Hash::ZERO), Err(Refusal::Content.into()));
}

/// Four coordinators of whom that many must agree, a member with two records, and the first of them proposed
/// to be forgotten.
struct Forgetting {
    world: World,
    coordinators: [TestDevice; 4],
    member: TestDevice,
    proposed: Hash,
}

fn forgetting(approvals: u16) -> Forgetting {
    let coordinators = [1, 2, 3, 4].map(TestDevice::new);
    let member = TestDevice::new(5);
    let [founder, second, third, fourth] = &coordinators;
    let mut world = World::found(founder);
    for other in [second, third, fourth] {
        world.admit(founder, other, Role::Coordinator).unwrap();
    }
    world.admit(founder, &member, Role::Member).unwrap();
    world.change(founder, &set_approvals(approvals)).unwrap();
    let record = world.record(&member).unwrap();
    let forget = Forget { index: record.index, leaf: record.entry.leaf() };
    let proposed = world.forget(founder, forget).unwrap().entry.leaf();
    Forgetting { world, coordinators, member, proposed }
}

#[test]
fn what_was_approved_to_be_forgotten_moves_the_head_and_nothing_else() {
    let Forgetting { mut world, coordinators, member, proposed } = forgetting(2);
    let [_, second, third, _] = &coordinators;
    world.approve(second, proposed).unwrap();
    // The log goes on behind it, and a change is proposed and approved as ever.
    let removal = world.change(second, &remove(MemberNumber(1))).unwrap().entry.leaf();
    world.approve(third, removal).unwrap();
    world.change_locks(second).unwrap();
    let chain = chain_of(&roster_of(&world)).unwrap();
    assert_eq!(chain.roster(), world.committee.roster());
    assert_eq!(chain.roster().head(), world.committee.roster().head());
    assert_eq!(checked(&world, &member), Ok(member.id()));
    // While more are needed it waits in the log alone.
    let Forgetting { mut world, coordinators, proposed, .. } = forgetting(3);
    world.approve(&coordinators[1], proposed).unwrap();
    let chain = chain_of(&roster_of(&world)).unwrap();
    assert_eq!(chain.roster().head(), world.committee.roster().head());
    assert_eq!(chain.roster().proposals().count(), 0);
    assert_eq!(world.committee.roster().proposals().count(), 1);
}

#[test]
fn what_is_no_approval_of_a_forget_is_not_taken_for_one() {
    let Forgetting { mut world, coordinators, member, proposed } = forgetting(2);
    let [founder, second, third, _] = &coordinators;
    let removal = world.change(founder, &remove(MemberNumber(4))).unwrap().entry.leaf();
    world.approve(second, removal).unwrap();
    world.change_locks(second).unwrap();
    let tried = |author: &TestDevice, approve: Approve| {
        let header = world.header(author.id(), Kind::Roster);
        let change = crate::codec::encode(&Change::Approve(approve));
        let entry = reread(&Entry::sign(header, change, &author.signing));
        let mut chain = chain_of(&roster_of(&world)).unwrap();
        match chain.follow(entry, world.committee.size().next_index()) {
            Err(PeerChainError::Refused(Refusal::Change(error))) => Some(error),
            Ok(()) => None,
            Err(error) => panic!("{error}"),
        }
    };
    let bare = |entry| Approve { entry, grants: Vec::new(), label: None };
    assert_eq!(tried(third, bare(proposed)), None);
    // A roster entry proposed this, and it is decided.
    assert_eq!(tried(third, bare(removal)), Some(PeerRosterError::NoSuchProposal));
    assert_eq!(tried(&member, bare(proposed)), Some(PeerRosterError::NotCoordinator));
    let label = Some(hybrid_file().into());
    let carries = Approve { label, ..bare(proposed) };
    assert_eq!(tried(third, carries), Some(PeerRosterError::ApprovalLabel));
    // Two are enough, and one alone needs no approval.
    let Forgetting { mut world, coordinators, proposed, .. } = forgetting(2);
    world.approve(&coordinators[1], proposed).unwrap();
    let mut roster = world.committee.roster().clone();
    let mut approved = [MemberNumber(2)].into();
    let place = Place {
        index: LeafIndex(99),
        leaf: Hash::ZERO,
        author: coordinators[2].id(),
        made_at: crate::id::UnixMillis(0),
    };
    let twice = roster.approve_unseen_forget(&bare(proposed), &mut approved, place);
    assert_eq!(twice, Err(PeerRosterError::NoSuchProposal));
}
