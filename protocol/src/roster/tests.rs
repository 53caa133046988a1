use super::*;
use crate::card::{RECIPIENT_BYTES, RecipientBytes};
use crate::change::{
    Admit, Label, Lock, Relays, Remove, RepairGrant, RepairLink, Restore, Suspend,
};
use crate::code::Code;
use crate::committee::Refusal;
use crate::entry::Seen;
use crate::id::TreeSize;
use crate::limits;
use crate::sign::SigningKey;
use crate::world::{TestDevice, World, founding_change, grant, hybrid_file, lock, record_file};

/// A committee of a coordinator, a member and a reader.
fn world() -> (World, [TestDevice; 3]) {
    let people = [1, 2, 3].map(TestDevice::new);
    let mut world = World::found(&people[0]);
    world.admit(&people[0], &people[1], Role::Member).unwrap();
    world.admit(&people[0], &people[2], Role::Reader).unwrap();
    (world, people)
}

const COORDINATOR: usize = 0;
const MEMBER: usize = 1;

/// What the author's change meets. Says also that it changed nothing.
fn refused_in(world: &mut World, author: &TestDevice, change: &Change) -> PeerRosterError {
    let before = world.committee.clone();
    match world.change(author, change) {
        Err(Refusal::Change(error)) => {
            assert_eq!(world.committee, before, "a refusal changes nothing");
            error
        }
        other => panic!("{other:?}"),
    }
}

fn change_refused(author: usize, change: impl FnOnce(&World) -> Change) -> PeerRosterError {
    let (mut world, people) = world();
    let change = change(&world);
    refused_in(&mut world, &people[author], &change)
}

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
    let label = change_refused(MEMBER, |_| Change::Label(Label { sealed: hybrid_file().into() }));
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
        admit.grants = vec![grant(device.id())];
        admit.card = device.card;
    };
    assert_eq!(refused(known), PeerRosterError::DeviceKnown);
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
    let unsorted = change_refused(COORDINATOR, |world| {
        let mut lock = lock(201, &world.active(), true);
        lock.grants.reverse();
        Change::Lock(Box::new(lock))
    });
    assert_eq!(unsorted, PeerRosterError::Grants);
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
    let file = || hybrid_file().into();
    let member = TestDevice::new(2).id();
    let refused = |change: Change| change_refused(MEMBER, |_| change);
    let repair = |device, epoch| Change::Grant(RepairGrant { device, epoch, file: file() });
    assert_eq!(refused(repair(member, Epoch(2))), PeerRosterError::NoSuchEpoch);
    assert_eq!(refused(repair(member, Epoch(0))), PeerRosterError::NoSuchEpoch);
    let stranger = TestDevice::new(9).id();
    assert_eq!(refused(repair(stranger, Epoch(1))), PeerRosterError::NoSuchDevice);
    let link = |epoch| Change::Link(RepairLink { epoch, file: file() });
    assert_eq!(refused(link(Epoch(1))), PeerRosterError::NoLink);
    assert_eq!(refused(link(Epoch(2))), PeerRosterError::NoSuchEpoch);
}

#[test]
fn withheld_history_is_not_linked_and_not_granted_by_who_lacks_it() {
    let (mut world, [coordinator, member, _]) = world();
    let devices = world.active();
    world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, false)))).unwrap();
    let newcomer = TestDevice::new(7);
    world.admit(&coordinator, &newcomer, Role::Member).unwrap();
    let roster = world.committee.roster();
    assert!(roster.holds(member.id(), Epoch(1)));
    assert!(!roster.holds(newcomer.id(), Epoch(1)));
    assert!(roster.holds(newcomer.id(), Epoch(2)));

    let file = || hybrid_file().into();
    let repair = |device| Change::Grant(RepairGrant { device, epoch: Epoch(1), file: file() });
    let refused = world.change(&newcomer, &repair(newcomer.id()));
    assert_eq!(refused, Err(Refusal::Change(PeerRosterError::NotHeld)));
    let link = Change::Link(RepairLink { epoch: Epoch(2), file: file() });
    let refused = world.change(&member, &link);
    assert_eq!(refused, Err(Refusal::Change(PeerRosterError::NoLink)));

    world.change(&member, &repair(newcomer.id())).unwrap();
    assert!(world.committee.roster().holds(newcomer.id(), Epoch(1)));
}

/// Whoever takes over one key of another's device could log in, sign or read as that device.
#[test]
fn no_key_of_a_card_is_another_devices() {
    let card = |signing: u8, login: u8, recipient: [u8; RECIPIENT_BYTES]| {
        let (signing, login) = (&[signing; 32], &[login; 32]);
        let (signing, login) = (SigningKey::from_bytes(signing), SigningKey::from_bytes(login));
        Card::sign(&signing, &login, &RecipientBytes(Box::new(recipient)))
    };
    let refused = |card: Card| {
        change_refused(COORDINATOR, |world| {
            admit_with(world, |admit| {
                admit.grants = vec![grant(card.device())];
                admit.card = card;
            })
        })
    };
    let (fresh, theirs) = ([77; RECIPIENT_BYTES], [2; RECIPIENT_BYTES]);
    assert_eq!(refused(card(77, 2 ^ 0x80, fresh)), PeerRosterError::KeyTaken);
    assert_eq!(refused(card(2, 77, fresh)), PeerRosterError::KeyTaken);
    assert_eq!(refused(card(77, 2, fresh)), PeerRosterError::KeyTaken);
    assert_eq!(refused(card(77, 78, theirs)), PeerRosterError::KeyTaken);
    // Seed 200 made the recipient of epoch 1, whose secret every member holds.
    let epochs = [200; RECIPIENT_BYTES];
    assert_eq!(refused(card(77, 78, epochs)), PeerRosterError::RecipientUsed);
}

#[test]
fn a_committee_has_a_limit_of_devices() {
    let (mut world, [coordinator, ..]) = world();
    let mut roster = world.committee.roster().clone();
    let mut one = roster.device(coordinator.id()).unwrap().clone();
    one.standing = Standing::Ended(LeafIndex(1));
    while roster.devices.len() < limits::DEVICES_MAX - 1 {
        let id = DeviceId(Hash::of(&roster.devices.len().to_be_bytes()));
        roster.devices.insert(id, one.clone());
    }
    let place = |roster: &Roster| Place {
        index: LeafIndex(99),
        leaf: Hash::of(&roster.devices.len().to_be_bytes()),
        author: coordinator.id(),
        made_at: UnixMillis(0),
    };
    let mut admit = world.admission(&TestDevice::new(7), Role::Member);
    let at = place(&roster);
    roster.apply(Change::Admit(Box::new(admit.clone())), at).unwrap();
    assert_eq!(roster.devices.len(), limits::DEVICES_MAX);
    let eighth = TestDevice::new(8);
    admit.member = roster.next_member();
    admit.grants = vec![grant(eighth.id())];
    admit.card = eighth.card.clone();
    let at = place(&roster);
    let refused = roster.apply(Change::Admit(Box::new(admit)), at);
    assert_eq!(refused, Err(PeerRosterError::TooManyDevices));
    world.admit(&coordinator, &eighth, Role::Member).unwrap();
}

#[test]
fn no_more_devices_are_active_than_one_lock_can_grant() {
    let (world, [coordinator, member, ..]) = world();
    let mut roster = world.committee.roster().clone();
    let place = |leaf: u8| Place {
        index: LeafIndex(99),
        leaf: Hash::of(&[leaf]),
        author: coordinator.id(),
        made_at: UnixMillis(0),
    };
    let theirs = Target::Member(roster.device(member.id()).unwrap().member);
    roster.apply(Change::Suspend(Suspend { target: theirs }), place(1)).unwrap();
    let one = roster.device(coordinator.id()).unwrap().clone();
    let fill = |roster: &mut Roster, to: usize| {
        while roster.active_devices().count() < to {
            let id = DeviceId(Hash::of(&roster.devices.len().to_be_bytes()));
            roster.devices.insert(id, one.clone());
        }
    };
    fill(&mut roster, limits::ACTIVE_DEVICES_MAX - 1);
    let admit = |roster: &Roster, device: &TestDevice| {
        let mut admit = world.admission(device, Role::Member);
        admit.member = roster.next_member();
        Change::Admit(Box::new(admit))
    };
    let last = admit(&roster, &TestDevice::new(7));
    roster.apply(last, place(2)).unwrap();
    let full = Err(PeerRosterError::TooManyActiveDevices);
    let more = admit(&roster, &TestDevice::new(8));
    assert_eq!(roster.apply(more, place(3)), full);
    let returns = Change::Restore(Restore { target: theirs });
    assert_eq!(roster.apply(returns.clone(), place(3)), full);
    roster.devices.pop_last();
    roster.apply(returns, place(3)).unwrap();
}

#[test]
fn every_sealed_part_has_the_shape_of_its_kind() {
    let lock_with = |alter: fn(&mut Lock)| {
        change_refused(COORDINATOR, |world| {
            let mut lock = lock(201, &world.active(), true);
            alter(&mut lock);
            Change::Lock(Box::new(lock))
        })
    };
    let shape = |refused: PeerRosterError| match refused {
        PeerRosterError::Sealed { part, .. } => part,
        other => panic!("{other:?}"),
    };
    let size = |refused: PeerRosterError| match refused {
        PeerRosterError::TooLarge { part, len, max } if len == max + 1 => part,
        other => panic!("{other:?}"),
    };
    // An age file of the right kind in the wrong place: a record's.
    assert_eq!(shape(lock_with(|lock| lock.grants[1].file = record_file().into())), "grant");
    assert_eq!(shape(lock_with(|lock| lock.link = Some(record_file().into()))), "link");
    assert_eq!(shape(lock_with(|lock| lock.label = record_file().into())), "label");
    let long = |max: usize| vec![0; max + 1].into();
    let grant_long = long(limits::GRANT_BYTES_MAX);
    let link_long = long(limits::LINK_BYTES_MAX);
    let label_long = long(limits::LABEL_BYTES_MAX);
    let (device, epoch) = (TestDevice::new(2).id(), Epoch(1));
    let author = |change: Change| change_refused(COORDINATOR, |_| change);
    let repair = |file| Change::Grant(RepairGrant { device, epoch, file });
    assert_eq!(shape(author(repair(record_file().into()))), "grant");
    assert_eq!(size(author(repair(grant_long))), "grant");
    let label = |sealed| Change::Label(Label { sealed });
    assert_eq!(shape(author(label(record_file().into()))), "label");
    assert_eq!(size(author(label(label_long))), "label");

    let largest = |max: usize| {
        let mut file = hybrid_file();
        file.resize(max, 6);
        file.into()
    };
    let (mut world, [coordinator, ..]) = world();
    let limit = largest(limits::GRANT_BYTES_MAX);
    world.change(&coordinator, &Change::Grant(RepairGrant { device, epoch, file: limit })).unwrap();
    let devices = world.active();
    world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
    let repair = |file| Change::Link(RepairLink { epoch: Epoch(2), file });
    let shapeless = refused_in(&mut world, &coordinator, &repair(record_file().into()));
    assert_eq!(shape(shapeless), "link");
    assert_eq!(size(refused_in(&mut world, &coordinator, &repair(link_long))), "link");
    world.change(&coordinator, &repair(hybrid_file().into())).unwrap();
}

/// A device at rest or ended has no role, is granted nothing, and leaves the lock to be changed.
#[test]
fn who_is_not_active_counts_no_more() {
    let (member, device) = (MemberNumber(2), TestDevice::new(2).id());
    let endings = [
        Change::Suspend(Suspend { target: Target::Member(member) }),
        Change::Suspend(Suspend { target: Target::Device(device) }),
        Change::Remove(Remove { member }),
    ];
    for ending in endings {
        let (mut world, [coordinator, member, reader]) = world();
        let ended = member.id();
        assert!(!world.committee.roster().lock_pending());
        world.change(&coordinator, &ending).unwrap();
        let roster = world.committee.roster();
        assert!(roster.lock_pending());
        assert_eq!((roster.role_of(ended), roster.active_devices().count()), (None, 2));

        let file = || hybrid_file().into();
        let repair = Change::Grant(RepairGrant { device: ended, epoch: Epoch(1), file: file() });
        let refused = refused_in(&mut world, &coordinator, &repair);
        assert_eq!(refused, PeerRosterError::NoSuchDevice);

        // While the lock is pending, any active device changes it, for the active ones alone.
        let everybody = Change::Lock(Box::new(lock(201, &[coordinator.id(), ended], true)));
        assert_eq!(refused_in(&mut world, &reader, &everybody), PeerRosterError::Grants);
        let active = world.active();
        world.change(&reader, &Change::Lock(Box::new(lock(201, &active, true)))).unwrap();
        let roster = world.committee.roster();
        assert_eq!((roster.lock_pending(), roster.epoch()), (false, Epoch(2)));
        assert!(!roster.holds(ended, Epoch(2)) && roster.holds(ended, Epoch(1)));
        let again = Change::Lock(Box::new(lock(202, &world.active(), true)));
        assert_eq!(refused_in(&mut world, &reader, &again), PeerRosterError::NotCoordinator);
    }
}

#[test]
fn a_link_is_repaired_by_who_holds_its_epoch() {
    let (mut world, [coordinator, ..]) = world();
    let devices = world.active();
    world.change(&coordinator, &Change::Lock(Box::new(lock(201, &devices, true)))).unwrap();
    let devices = world.active();
    world.change(&coordinator, &Change::Lock(Box::new(lock(202, &devices, false)))).unwrap();
    let newcomer = TestDevice::new(7);
    world.admit(&coordinator, &newcomer, Role::Member).unwrap();
    let repair = Change::Link(RepairLink { epoch: Epoch(2), file: hybrid_file().into() });
    // The newcomer's epoch 3 does not lead back to 2.
    assert_eq!(refused_in(&mut world, &newcomer, &repair), PeerRosterError::NotHeld);
    world.change(&coordinator, &repair).unwrap();
}

#[test]
fn later_changes_are_known_and_refused() {
    let home = founding_change(&TestDevice::new(1)).home;
    let base = Seen { size: TreeSize(1), root: Hash::ZERO };
    let relays = Relays { home, mirrors: vec![], bases: vec![base], approvals: vec![] };
    let refused = change_refused(COORDINATOR, |_| Change::Relays(Box::new(relays)));
    assert_eq!(refused, PeerRosterError::NotBuilt("relays"));
    // A relay that does not know a change says so, and blames nobody for it.
    assert_eq!(Code::from(&Refusal::Change(refused)), Code::Unsupported);
}
