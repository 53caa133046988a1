use super::*;
use crate::card::RECIPIENT_BYTES;
use crate::change::{Admit, Label, Policy, RepairGrant, RepairLink};
use crate::entry::{Blob, Entry, Header};
use crate::id::{MemberNumber, UnixMillis};
use crate::vectors::for_each_vector;
use crate::world::{
    TestDevice, World, found_with, founding_change, founding_header, lock, record_file, reread,
};

fn people() -> (TestDevice, TestDevice, TestDevice) {
    (TestDevice::new(1), TestDevice::new(2), TestDevice::new(3))
}

/// A committee of a coordinator, a member and a reader, with one record of the member's.
fn world() -> (World, TestDevice, TestDevice, TestDevice) {
    let (coordinator, member, reader) = people();
    let mut world = World::found(&coordinator);
    world.admit(&coordinator, &member, Role::Member).unwrap();
    world.admit(&coordinator, &reader, Role::Reader).unwrap();
    world.record(&member).unwrap();
    (world, coordinator, member, reader)
}

/// Signs the member's next record with `change` made to its header.
fn altered(change: impl FnOnce(&mut Header, &World)) -> Result<Admitted, Refusal> {
    let (mut world, _, member, _) = world();
    let mut header = world.record_header(&member);
    change(&mut header, &world);
    let before = world.committee.clone();
    let result = world.push(&Entry::sign(header, record_file(), &member.signing));
    if result.is_err() {
        assert_eq!(world.committee, before, "a refusal changes nothing");
    }
    result
}

#[test]
fn the_honest_case_is_admitted() {
    assert_eq!(altered(|_, _| {}).unwrap().index, LeafIndex(4));
}

#[test]
fn a_fold_reads_back_from_its_snapshot() {
    let (world, ..) = world();
    let bytes = codec::encode(&world.committee);
    assert_eq!(codec::decode(&bytes, bytes.len()), Ok(world.committee));
}

#[test]
fn a_log_folds_to_the_same_everywhere() {
    let (world, ..) = world();
    let mut entries = world.log.iter().map(|bytes| UnverifiedEntry::decode(bytes).unwrap());
    let (mut fold, _) = Committee::found(entries.next().unwrap()).unwrap();
    for entry in entries {
        let signed = fold.verify_signature(entry).unwrap();
        fold.admit(signed, |size| crate::tree::root_at(size, world.nodes.as_slice())).unwrap();
    }
    assert_eq!(fold, world.committee);
}

#[test]
fn another_committees_entry_is_refused() {
    let refused = altered(|header, _| header.committee = CommitteeId(Hash::of(b"another")));
    assert_eq!(refused, Err(Refusal::OtherCommittee));
}

#[test]
fn another_terms_entry_is_refused() {
    let refused = altered(|header, _| header.term = Term(2));
    assert_eq!(refused, Err(Refusal::OtherTerm { theirs: Term(2), ours: Term(1) }));
}

#[test]
fn a_stranger_is_refused() {
    let refused = altered(|header, _| header.author = TestDevice::new(9).id());
    assert_eq!(refused, Err(Refusal::UnknownAuthor));
}

#[test]
fn anothers_name_is_refused() {
    let refused = altered(|header, world| {
        header.author = world.active().into_iter().find(|id| *id != header.author).unwrap();
    });
    assert_eq!(refused, Err(Refusal::BadSignature(BadSignature("entry"))));
}

#[test]
fn a_signature_checked_with_another_key_does_not_reach_the_log() {
    let (mut world, coordinator, member, _) = world();
    let header = world.record_header(&member);
    let forged = Entry::sign(header, record_file(), &coordinator.signing);
    let signed = reread(&forged).verify(coordinator.card.signing_key()).unwrap();
    let refused = world.committee.admit(signed, |_| Err(()));
    assert_eq!(refused, Err(AdmitError::Refused(BadSignature("entry").into())));
}

#[test]
fn a_reader_writes_no_records() {
    let (mut world, _, _, reader) = world();
    assert_eq!(world.record(&reader), Err(Refusal::NotEntitled));
}

#[test]
fn an_entry_twice_is_refused() {
    let (mut world, _, member, _) = world();
    let header = world.record_header(&member);
    let entry = Entry::sign(header, record_file(), &member.signing);
    world.push(&entry).unwrap();
    assert_eq!(world.push(&entry), Err(Refusal::AuthorChain { expected: AuthorSeq(2) }));
}

#[test]
fn a_gap_or_fork_in_the_authors_chain_is_refused() {
    let gap = altered(|header, _| header.author_seq = AuthorSeq(2));
    assert_eq!(gap, Err(Refusal::AuthorChain { expected: AuthorSeq(1) }));
    let fork = altered(|header, _| header.author_prev = Hash::of(b"another"));
    assert_eq!(fork, Err(Refusal::AuthorChain { expected: AuthorSeq(1) }));
}

#[test]
fn a_first_entry_begins_its_chain_at_zero() {
    let (mut world, coordinator, ..) = world();
    let newcomer = TestDevice::new(7);
    world.admit(&coordinator, &newcomer, Role::Member).unwrap();
    let mut header = world.record_header(&newcomer);
    header.author_prev = Hash::of(b"something");
    let refused = world.push(&Entry::sign(header, record_file(), &newcomer.signing));
    assert_eq!(refused, Err(Refusal::AuthorChain { expected: AuthorSeq(0) }));
}

#[test]
fn seen_beyond_the_log_is_refused() {
    let refused = altered(|header, _| header.seen.size = TreeSize(5));
    assert_eq!(refused, Err(Refusal::SeenOutOfRange));
}

#[test]
fn seen_behind_the_authors_last_is_refused() {
    let refused = altered(|header, world| {
        header.seen.size = TreeSize(2);
        header.seen.root = crate::tree::root_at(TreeSize(2), world.nodes.as_slice()).unwrap();
    });
    assert_eq!(refused, Err(Refusal::SeenOutOfRange));
}

#[test]
fn another_root_seen_is_disputed() {
    let disputed = altered(|header, _| header.seen.root = Hash::of(b"another log"));
    assert!(matches!(disputed, Err(Refusal::Disputed(_))));
    let old = altered(|header, _| {
        header.seen.size = TreeSize(3);
        header.seen.root = Hash::of(b"another log");
    });
    assert!(matches!(old, Err(Refusal::Disputed(_))));
}

#[test]
fn an_old_lock_is_refused() {
    let (mut world, coordinator, member, _) = world();
    let before = world.record_header(&member);
    let devices = world.active();
    world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
    let stale = Refusal::StaleEpoch { current: Epoch(2) };
    let refused = world.push(&Entry::sign(before.clone(), record_file(), &member.signing));
    assert_eq!(refused, Err(stale));
    // Claiming the new epoch does not help who has not seen the lock.
    let claimed = Header { epoch: Epoch(2), ..before };
    let refused = world.push(&Entry::sign(claimed, record_file(), &member.signing));
    assert_eq!(refused, Err(Refusal::StaleEpoch { current: Epoch(2) }));
    world.record(&member).unwrap();
}

#[test]
fn a_record_may_lag_behind_roster_changes_but_not_behind_the_lock() {
    let (mut world, coordinator, member, _) = world();
    let header = world.record_header(&member);
    let newcomer = TestDevice::new(7);
    world.admit(&coordinator, &newcomer, Role::Member).unwrap();
    world.push(&Entry::sign(header, record_file(), &member.signing)).unwrap();

    let devices = world.active();
    let lock_head = world.committee.roster().head();
    world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
    let mut header = world.record_header(&member);
    header.roster_head = lock_head;
    let current = world.committee.roster().head();
    let refused = world.push(&Entry::sign(header, record_file(), &member.signing));
    assert_eq!(refused, Err(Refusal::StaleRoster { current }));
}

#[test]
fn an_invented_roster_head_is_refused() {
    let (world, ..) = world();
    let current = world.committee.roster().head();
    let refused = altered(|header, _| header.roster_head.leaf = Hash::of(b"invented"));
    assert_eq!(refused, Err(Refusal::StaleRoster { current }));
}

#[test]
fn a_roster_change_must_follow_the_last_one() {
    let (mut world, coordinator, ..) = world();
    let (one, two) = (TestDevice::new(7), TestDevice::new(8));
    let change = Change::Admit(Box::new(world.admission(&two, Role::Member)));
    let header = world.header(coordinator.id(), Kind::Roster);
    world.admit(&coordinator, &one, Role::Member).unwrap();
    let current = world.committee.roster().head();
    let header = Header {
        author_seq: header.author_seq.next(),
        author_prev: world.committee.author_head(coordinator.id()).unwrap().leaf,
        ..header
    };
    let late = Entry::sign(header, codec::encode(&change), &coordinator.signing);
    assert_eq!(world.push(&late), Err(Refusal::StaleRoster { current }));
}

#[test]
fn repairs_do_not_overtake_others() {
    let (mut world, coordinator, member, _) = world();
    let newcomer = TestDevice::new(7);
    let change = Change::Admit(Box::new(world.admission(&newcomer, Role::Member)));
    let header = world.header(coordinator.id(), Kind::Roster);
    let repair = Change::Grant(RepairGrant {
        device: coordinator.id(),
        epoch: Epoch(1),
        file: crate::world::hybrid_file().into(),
    });
    world.change(&member, &repair).unwrap();
    world.push(&Entry::sign(header, codec::encode(&change), &coordinator.signing)).unwrap();
}

#[test]
fn content_stands_in_records_alone() {
    assert_eq!(altered(|header, _| header.content = Hash::ZERO), Err(Refusal::Content));
    let (mut world, coordinator, ..) = world();
    let mut header = world.header(coordinator.id(), Kind::Roster);
    header.content = Hash::of(b"fields");
    let change = Change::Label(Label { sealed: crate::world::hybrid_file().into() });
    let refused = world.push(&Entry::sign(header, codec::encode(&change), &coordinator.signing));
    assert_eq!(refused, Err(Refusal::Content));
}

#[test]
fn blobs_are_for_a_later_version() {
    let blob = Blob { sha256: Hash::of(b"scan"), size: 4 };
    let refused = altered(|header, _| header.blobs = vec![blob]);
    assert_eq!(refused, Err(Refusal::NotBuilt("attachment")));
    let refused = altered(|header, _| header.blobs = vec![blob; limits::BLOBS_MAX + 1]);
    assert_eq!(refused, Err(Refusal::Blobs));
}

#[test]
fn a_records_payload_has_one_scrypt_stanza_of_work_factor_one() {
    let (mut world, _, member, _) = world();
    let header = world.record_header(&member);
    let text = record_file();
    let bomb = String::from_utf8_lossy(&text).replacen(" 1\n", " 20\n", 1).into_bytes();
    let refused = world.push(&Entry::sign(header.clone(), bomb, &member.signing));
    assert_eq!(refused, Err(Refusal::Payload(PeerAgeHeaderError::WorkFactor)));
    let hybrid = crate::world::hybrid_file();
    let refused = world.push(&Entry::sign(header, hybrid, &member.signing));
    assert!(matches!(refused, Err(Refusal::Payload(_))));
}

#[test]
fn forget_is_for_a_later_version() {
    let (mut world, _, member, _) = world();
    let header = world.header(member.id(), Kind::Forget);
    let refused = world.push(&Entry::sign(header, vec![0x80], &member.signing));
    assert_eq!(refused, Err(Refusal::NotBuilt("forget")));
}

#[test]
fn a_founding_entry_is_as_founding_entries_are() {
    let founder = TestDevice::new(1);
    let other = TestDevice::new(2);
    type Alter = (&'static str, fn(&mut Header));
    let rules: [Alter; 9] = [
        ("its committee id is zero", |h| h.committee = CommitteeId(Hash::of(b"x"))),
        ("its term is 1", |h| h.term = Term(2)),
        ("its author_seq is 0", |h| h.author_seq = AuthorSeq(1)),
        ("its author_prev is zero", |h| h.author_prev = Hash::of(b"x")),
        ("it has seen the empty log", |h| h.seen.root = Hash::ZERO),
        ("its roster_head is zero", |h| h.roster_head.number = 1),
        ("its epoch is 0", |h| h.epoch = Epoch(1)),
        ("its content is zero", |h| h.content = Hash::of(b"x")),
        ("it is a roster entry", |h| h.kind = Kind::Record),
    ];
    for (rule, alter) in rules {
        let mut header = founding_header(&founder);
        alter(&mut header);
        let refused = Committee::found(found_with(&founder, founding_change(&founder), header));
        assert_eq!(refused.unwrap_err(), Refusal::Founding(rule));
    }
    let mut header = founding_header(&founder);
    header.author = other.id();
    let refused = Committee::found(found_with(&founder, founding_change(&founder), header));
    assert_eq!(refused.unwrap_err(), Refusal::Founding("its author is the founder"));
    let mut header = founding_header(&founder);
    header.blobs = vec![Blob { sha256: Hash::ZERO, size: 1 }];
    let refused = Committee::found(found_with(&founder, founding_change(&founder), header));
    assert_eq!(refused.unwrap_err(), Refusal::Founding("it names no blobs"));
}

#[test]
fn a_founding_entry_of_others_making_is_refused() {
    let (founder, other) = (TestDevice::new(1), TestDevice::new(2));
    let header = founding_header(&founder);
    let forged = found_with(&other, founding_change(&founder), header.clone());
    assert_eq!(Committee::found(forged).unwrap_err(), Refusal::BadSignature(BadSignature("entry")));
    let refuse = |alter: fn(&mut crate::change::Found)| {
        let mut found = founding_change(&founder);
        alter(&mut found);
        Committee::found(found_with(&founder, found, founding_header(&founder))).unwrap_err()
    };
    let change = Refusal::Change;
    assert_eq!(
        refuse(|found| found.policy = Policy { approvals: 2, ..Policy::default() }),
        change(PeerRosterError::FoundingPolicy)
    );
    assert_eq!(
        refuse(|found| found.lock.link = Some(crate::world::hybrid_file().into())),
        change(PeerRosterError::LinkOfFirst)
    );
    assert_eq!(refuse(|found| found.lock.grants.clear()), change(PeerRosterError::Grants));
    assert_eq!(
        refuse(|found| found.lock.recipient = crate::world::recipient(1)),
        change(PeerRosterError::RecipientUsed)
    );
}

fn change_refused(
    author: fn(&TestDevice, &TestDevice, &TestDevice) -> usize,
    change: impl FnOnce(&World) -> Change,
) -> PeerRosterError {
    let (mut world, coordinator, member, reader) = world();
    let at = author(&coordinator, &member, &reader);
    let change = change(&world);
    let before = world.committee.clone();
    match world.change([&coordinator, &member, &reader][at], &change) {
        Err(Refusal::Change(error)) => {
            assert_eq!(world.committee, before, "a refusal changes nothing");
            error
        }
        other => panic!("{other:?}"),
    }
}

const COORDINATOR: fn(&TestDevice, &TestDevice, &TestDevice) -> usize = |_, _, _| 0;
const MEMBER: fn(&TestDevice, &TestDevice, &TestDevice) -> usize = |_, _, _| 1;

fn admit_with(world: &World, alter: impl FnOnce(&mut Admit)) -> Change {
    let mut admit = world.admission(&TestDevice::new(7), Role::Member);
    alter(&mut admit);
    Change::Admit(Box::new(admit))
}

#[test]
fn only_coordinators_admit_lock_and_label() {
    let admit = change_refused(MEMBER, |world| admit_with(world, |_| {}));
    assert_eq!(admit, PeerRosterError::NotCoordinator);
    let locked =
        change_refused(MEMBER, |world| Change::Lock(Box::new(lock(201, &world.active(), true))));
    assert_eq!(locked, PeerRosterError::NotCoordinator);
    let label = change_refused(MEMBER, |_| {
        Change::Label(Label { sealed: crate::world::hybrid_file().into() })
    });
    assert_eq!(label, PeerRosterError::NotCoordinator);
}

#[test]
fn a_committee_is_founded_once() {
    let again = change_refused(COORDINATOR, |_| {
        Change::Found(Box::new(founding_change(&TestDevice::new(1))))
    });
    assert_eq!(again, PeerRosterError::AlreadyFounded);
}

#[test]
fn an_admission_names_a_new_device_and_the_next_member() {
    let refused =
        |alter: fn(&mut Admit)| change_refused(COORDINATOR, |world| admit_with(world, alter));
    assert_eq!(
        refused(|admit| admit.member = MemberNumber(9)),
        PeerRosterError::MemberNumber { expected: MemberNumber(4) }
    );
    let known = |admit: &mut Admit| {
        let device = TestDevice::new(2);
        admit.grants = vec![crate::world::grant(device.id())];
        admit.card = device.card;
    };
    assert_eq!(refused(known), PeerRosterError::DeviceKnown);
    let thief = |admit: &mut Admit| {
        // Another signing key, but the login key of device 2.
        let signing = crate::sign::SigningKey::from_bytes(&[77; 32]);
        let login = crate::sign::SigningKey::from_bytes(&[2 ^ 0x80; 32]);
        let recipient = crate::card::RecipientBytes(Box::new([77; RECIPIENT_BYTES]));
        admit.card = crate::card::Card::sign(&signing, &login, &recipient);
        admit.grants = vec![crate::world::grant(admit.card.device())];
    };
    assert_eq!(refused(thief), PeerRosterError::KeyTaken);
    assert_eq!(refused(|admit| admit.grants.clear()), PeerRosterError::Grants);
    let one_too_many = |admit: &mut Admit| admit.grants.push(admit.grants[0].clone());
    assert_eq!(refused(one_too_many), PeerRosterError::Grants);
    let garbage = |admit: &mut Admit| admit.grants[0].file = b"not an age file".to_vec().into();
    assert!(matches!(refused(garbage), PeerRosterError::Sealed { part: "grant", .. }));
    let label = |admit: &mut Admit| admit.label = record_file().into();
    assert!(matches!(refused(label), PeerRosterError::Sealed { part: "label", .. }));
    let long = |admit: &mut Admit| admit.label = vec![0; limits::LABEL_BYTES_MAX + 1].into();
    assert!(matches!(refused(long), PeerRosterError::TooLarge { part: "label", .. }));
}

#[test]
fn a_lock_grants_exactly_the_active_devices() {
    let refused = |devices: fn(&World) -> Vec<DeviceId>| {
        change_refused(COORDINATOR, |world| {
            Change::Lock(Box::new(lock(201, &devices(world), true)))
        })
    };
    let few = |world: &World| world.active()[1..].to_vec();
    let many = |world: &World| [world.active(), vec![TestDevice::new(9).id()]].concat();
    assert_eq!(refused(few), PeerRosterError::Grants);
    assert_eq!(refused(many), PeerRosterError::Grants);
    let doubled = |world: &World| [world.active(), vec![world.active()[0]]].concat();
    assert_eq!(refused(doubled), PeerRosterError::Grants);
}

#[test]
fn a_locks_recipient_is_new() {
    let used = |seed: u8| {
        change_refused(COORDINATOR, |world| {
            Change::Lock(Box::new(lock(seed, &world.active(), true)))
        })
    };
    assert_eq!(used(200), PeerRosterError::RecipientUsed);
    assert_eq!(used(2), PeerRosterError::RecipientUsed);
}

#[test]
fn repairs_are_for_what_the_author_can_hold() {
    let file = || crate::world::hybrid_file().into();
    let member = TestDevice::new(2).id();
    let refused = |change: Change| change_refused(MEMBER, |_| change);
    let grant = |device, epoch| Change::Grant(RepairGrant { device, epoch, file: file() });
    assert_eq!(refused(grant(member, Epoch(2))), PeerRosterError::NoSuchEpoch);
    assert_eq!(refused(grant(member, Epoch(0))), PeerRosterError::NoSuchEpoch);
    let stranger = TestDevice::new(9).id();
    assert_eq!(refused(grant(stranger, Epoch(1))), PeerRosterError::NoSuchDevice);
    let link = |epoch| Change::Link(RepairLink { epoch, file: file() });
    assert_eq!(refused(link(Epoch(1))), PeerRosterError::NoLink);
}

#[test]
fn withheld_history_is_not_linked_and_not_granted_by_who_lacks_it() {
    let (mut world, coordinator, member, _) = world();
    let devices = world.active();
    world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, false)))).unwrap();
    let newcomer = TestDevice::new(7);
    world.admit(&coordinator, &newcomer, Role::Member).unwrap();
    let roster = world.committee.roster();
    assert!(roster.holds(member.id(), Epoch(1)));
    assert!(!roster.holds(newcomer.id(), Epoch(1)));
    assert!(roster.holds(newcomer.id(), Epoch(2)));

    let file = || crate::world::hybrid_file().into();
    let grant = |device| Change::Grant(RepairGrant { device, epoch: Epoch(1), file: file() });
    let refused = world.change(&newcomer, &grant(newcomer.id()));
    assert_eq!(refused, Err(Refusal::Change(PeerRosterError::NotHeld)));
    let link = Change::Link(RepairLink { epoch: Epoch(2), file: file() });
    let refused = world.change(&member, &link);
    assert_eq!(refused, Err(Refusal::Change(PeerRosterError::NoLink)));

    world.change(&member, &grant(newcomer.id())).unwrap();
    assert!(world.committee.roster().holds(newcomer.id(), Epoch(1)));
}

#[test]
fn later_changes_are_known_and_refused() {
    use crate::change::{Remove, Retire, SetRole, Standing, Target};
    let member = MemberNumber(2);
    let standing = Standing { target: Target::Member(member) };
    let changes = [
        ("retire", Change::Retire(Retire { device: TestDevice::new(1).id() })),
        ("role", Change::Role(SetRole { member, role: Role::Coordinator })),
        ("suspend", Change::Suspend(standing)),
        ("restore", Change::Restore(standing)),
        ("remove", Change::Remove(Remove { member })),
        ("policy", Change::Policy(Policy::default())),
    ];
    for (name, change) in changes {
        let refused = change_refused(COORDINATOR, |_| change);
        assert_eq!(refused, PeerRosterError::NotBuilt(name));
    }
}

#[test]
fn claimed_times_change_nothing() {
    altered(|header, _| header.made_at = UnixMillis(0)).unwrap();
    altered(|header, _| header.made_at = UnixMillis(u64::MAX)).unwrap();
}

/// Folds a whole log and says what its last entry met.
fn fold(log: &[Vec<u8>]) -> Result<Committee, Refusal> {
    let mut entries = log.iter().map(|bytes| UnverifiedEntry::decode(bytes).unwrap());
    let (mut fold, founding) = Committee::found(entries.next().unwrap())?;
    let mut nodes = founding.nodes;
    for entry in entries {
        let signed = fold.verify_signature(entry)?;
        let admitted = fold.admit(signed, |size| crate::tree::root_at(size, nodes.as_slice()));
        nodes.extend(
            admitted
                .map_err(|error| match error {
                    AdmitError::Refused(refusal) => refusal,
                    AdmitError::Root(error) => panic!("all nodes are at hand: {error}"),
                })?
                .nodes,
        );
    }
    Ok(fold)
}

#[test]
fn vectors() {
    for_each_vector("log", |vector| {
        let log = vector.body_hexes();
        if let Some(committee) = vector.assert(fold(&log)) {
            assert_eq!(committee.root().to_string(), vector.field("root"));
        } else {
            assert!(fold(&log[..log.len() - 1]).is_ok(), "only the last entry is at fault");
        }
    });
}
