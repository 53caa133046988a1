use super::*;
use crate::change::{Label, Policy, Remove, RepairGrant, Suspend, Target};
use crate::entry::{Blob, Entry, Header};
use crate::forget::PastEntry;
use crate::id::{MemberNumber, UnixMillis};
use crate::vectors::for_each_vector;
use crate::world::{
    Held, TestDevice, World, found_with, founding_change, founding_header, lock, record_file,
    reread,
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
        fold.admit(signed, &world.past()).unwrap();
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
    let refused = world.committee.admit(signed, &NoPast);
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
fn nobody_writes_who_has_seen_nothing() {
    let (mut world, coordinator, ..) = world();
    let newcomer = TestDevice::new(7);
    world.admit(&coordinator, &newcomer, Role::Member).unwrap();
    let mut header = world.record_header(&newcomer);
    header.seen = Seen { size: TreeSize(0), root: Frontier::default().root() };
    let refused = world.push(&Entry::sign(header, record_file(), &newcomer.signing));
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
fn a_record_names_some_blobs_each_once_and_of_a_size_that_can_be() {
    let blob = Blob { sha256: Hash::of(b"scan"), size: 4 };
    let named = |blobs: Vec<Blob>| altered(|header, _| header.blobs = blobs);
    let other = |number: usize| Blob { sha256: Hash::of(&number.to_be_bytes()), size: 4 };
    let most: Vec<Blob> = (0..limits::BLOBS_MAX).map(other).collect();
    let largest = Blob { size: limits::BLOB_BYTES_MAX, ..blob };
    for sound in [vec![blob], most.clone(), vec![largest]] {
        assert_eq!(named(sound).map(|_| ()), Ok(()));
    }
    let too_many = [most, vec![blob]].concat();
    let (empty, larger) = (Blob { size: 0, ..blob }, Blob { size: largest.size + 1, ..blob });
    for refused in [too_many, vec![blob, blob], vec![empty], vec![larger]] {
        assert_eq!(named(refused).unwrap_err(), Refusal::Blobs);
    }
    let (mut world, coordinator, ..) = world();
    let mut header = world.header(coordinator.id(), Kind::Roster);
    header.blobs = vec![blob];
    let label = Change::Label(Label { sealed: crate::world::hybrid_file().into() });
    let refused = world.push(&Entry::sign(header, codec::encode(&label), &coordinator.signing));
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
fn a_forget_that_is_none_is_refused() {
    let (mut world, _, member, reader) = world();
    let mut forget = |author: &TestDevice| {
        let header = world.header(author.id(), Kind::Forget);
        world.push(&Entry::sign(header, vec![0x80], &author.signing))
    };
    assert!(matches!(forget(&member), Err(Refusal::ForgetCodec(_))));
    assert_eq!(forget(&reader), Err(Refusal::NotEntitled));
}

/// A log of which nothing earlier can be had.
struct NoPast;

impl Past for NoPast {
    type Error = &'static str;

    fn root_at(&self, _: TreeSize) -> Result<Hash, &'static str> {
        Err("disk")
    }

    fn entry_at(&self, _: LeafIndex) -> Result<PastEntry, &'static str> {
        Err("disk")
    }
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
        refuse(|found| found.policy = Policy { format: 2, ..Policy::default() }),
        change(PeerRosterError::FoundingPolicy)
    );
    let sealed = |refusal: Refusal| match refusal {
        Refusal::Change(PeerRosterError::Sealed { part, .. }) => part,
        other => panic!("{other:?}"),
    };
    assert_eq!(sealed(refuse(|found| found.lock.grants[0].file = record_file().into())), "grant");
    assert_eq!(sealed(refuse(|found| found.lock.label = record_file().into())), "label");
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

#[test]
fn the_first_entry_founds_and_nothing_else_does() {
    let (world, ..) = world();
    let second = UnverifiedEntry::decode(&world.log[1]).unwrap();
    let refused = Committee::found(second).unwrap_err();
    assert_eq!(refused, Refusal::Founding("the first entry founds the committee"));
    let founding = without_payload(&world.log[0]);
    assert_eq!(Committee::found(founding).unwrap_err(), Refusal::PayloadMissing);
}

/// What a relay that dropped the payload hands out.
fn without_payload(entry: &[u8]) -> UnverifiedEntry {
    let entry = UnverifiedEntry::decode(entry).unwrap().with_payload_dropped();
    assert_eq!(entry.payload(), None);
    entry
}

#[test]
fn nothing_is_admitted_without_its_payload() {
    let (mut world, coordinator, member, _) = world();
    let record = Entry::sign(world.record_header(&member), record_file(), &member.signing);
    let change =
        codec::encode(&Change::Label(Label { sealed: crate::world::hybrid_file().into() }));
    let header = world.header(coordinator.id(), Kind::Roster);
    let change = Entry::sign(header, change, &coordinator.signing);
    for entry in [&record, &change] {
        let bare = without_payload(&entry.encode());
        let signed = world.committee.verify_signature(bare).unwrap();
        let refused = world.committee.admit(signed, &NoPast);
        assert_eq!(refused, Err(AdmitError::Refused(Refusal::PayloadMissing)));
    }
    world.push(&record).unwrap();
}

#[test]
fn a_roster_payload_that_is_no_change_is_refused() {
    let (mut world, coordinator, ..) = world();
    let header = world.header(coordinator.id(), Kind::Roster);
    let refused = world.push(&Entry::sign(header, vec![0x80], &coordinator.signing));
    assert!(matches!(refused, Err(Refusal::ChangeCodec(_))));
}

#[test]
fn who_is_not_active_writes_nothing() {
    let number = MemberNumber(2);
    let suspend = Change::Suspend(Suspend { target: Target::Member(number) });
    for ending in [suspend, Change::Remove(Remove { member: number })] {
        let (mut world, coordinator, member, _) = world();
        world.change(&coordinator, &ending).unwrap();
        assert_eq!(world.record(&member), Err(Refusal::NotActive));
        let label = Change::Label(Label { sealed: crate::world::hybrid_file().into() });
        assert_eq!(world.change(&member, &label), Err(Refusal::NotActive));
        // Nor is anything sealed by others to the lock that the device still holds.
        assert_eq!(world.record(&coordinator), Err(Refusal::LockPending));
        let devices = world.active();
        world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
        world.record(&coordinator).unwrap();
    }
}

/// A signature may be checked beside other admissions: admission does not rely on who did it.
#[test]
fn admission_asks_again_what_was_asked_before_the_signature() {
    let (mut world, _, member, _) = world();
    let refuse = |world: &mut World, alter: fn(&mut Header)| {
        let mut header = world.record_header(&member);
        alter(&mut header);
        let entry = Entry::sign(header, record_file(), &member.signing);
        let early = world.committee.verify_signature(reread(&entry)).unwrap_err();
        let signed = reread(&entry).verify(member.card.signing_key()).unwrap();
        match world.committee.admit(signed, &NoPast) {
            Err(AdmitError::Refused(refusal)) => assert_eq!(refusal, early),
            other => panic!("{other:?}"),
        }
        early
    };
    let other = refuse(&mut world, |header| header.committee = CommitteeId(Hash::of(b"another")));
    assert_eq!(other, Refusal::OtherCommittee);
    let term = refuse(&mut world, |header| header.term = Term(2));
    assert_eq!(term, Refusal::OtherTerm { theirs: Term(2), ours: Term(1) });
    let stranger = refuse(&mut world, |header| header.author = TestDevice::new(9).id());
    assert_eq!(stranger, Refusal::UnknownAuthor);
}

#[test]
fn an_old_root_that_cannot_be_had_is_no_refusal() {
    let (mut world, coordinator, member, _) = world();
    let entry = Entry::sign(world.record_header(&member), record_file(), &member.signing);
    world.record(&coordinator).unwrap();
    let signed = world.committee.verify_signature(reread(&entry)).unwrap();
    let before = world.committee.clone();
    assert_eq!(world.committee.admit(signed, &NoPast), Err(AdmitError::Past("disk")));
    assert_eq!(world.committee, before);
    world.push(&entry).unwrap();
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
        let admitted = fold.admit(signed, &Held { nodes: &nodes, log });
        nodes.extend(
            admitted
                .map_err(|error| match error {
                    AdmitError::Refused(refusal) => refusal,
                    AdmitError::Past(error) => panic!("all nodes are at hand: {error}"),
                })?
                .nodes,
        );
    }
    Ok(fold)
}

#[test]
fn the_log_vectors_come_out_as_they_say() {
    for_each_vector("log", |vector| {
        let log = vector.body_hexes();
        if let Some(committee) = vector.assert(fold(&log)) {
            assert_eq!(committee.root().to_string(), vector.field("root"));
        } else {
            assert!(fold(&log[..log.len() - 1]).is_ok(), "only the last entry is at fault");
        }
    });
}
