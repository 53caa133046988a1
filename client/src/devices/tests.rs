use data_encoding::HEXLOWER;
use sealpost_protocol::change::{Change, Recovery, Share, Target};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::seal::{EpochSecret, seal_grant};

use super::*;
use crate::changes::Intent;
use crate::error::Kind;
use crate::vault::Secrets;
use crate::vault::evidence::Cosigned;
use crate::village::{MemoryRelay, Person};

/// isla, and baran with a second device that this one does not have in hand.
fn two() -> (MemoryRelay, Person, Person, DeviceId) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let phone = Secrets::generate().expect("randomness").device;
    baran.wants(&Intent::Device { card: HEXLOWER.encode(phone.card().as_bytes()) });
    baran.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    let phone = phone.device_id();
    (relay, isla, baran, phone)
}

fn own(person: &Person) -> Vec<OwnDevice> {
    let this = person.app.device.device_id();
    person.app.vault.read(|vault| devices(vault, this)).expect("reads")
}

fn is(person: &Person, device: DeviceId) -> Standing {
    own(person).into_iter().find(|one| one.id == device).expect("an own one").standing
}

fn named(person: &Person, typed: &str) -> Result<(DeviceId, usize), Failure> {
    let this = person.app.device.device_id();
    let found = person.app.vault.read(|vault| device_named(vault, this, typed));
    found.map(|(device, committees)| (device, committees.len()))
}

#[test]
fn ones_own_devices_are_listed_and_nobody_elses() {
    let (mut relay, mut isla, mut baran, phone) = two();
    let this = baran.app.device.device_id();
    let ids = |person: &Person| own(person).iter().map(|one| one.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&baran), BTreeSet::from([this, phone]));
    assert_eq!(ids(&isla), BTreeSet::from([isla.app.device.device_id()]));
    assert_eq!([is(&baran, this), is(&baran, phone)], [Standing::Active; 2]);
    assert!(own(&baran).iter().all(|one| !one.is_spare && one.vouched.is_none()));
    isla.wants(&Intent::Suspend { whom: Target::Device(phone).into() });
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    assert_eq!(is(&baran, this), Standing::Active);
    assert!(matches!(is(&baran, phone), Standing::Suspended(_)));
    // It is not over with it.
    assert_eq!(named(&baran, &phone.to_string()).expect("an own one"), (phone, 1));
}

#[test]
fn a_spare_is_told_from_a_device_in_hand() {
    let (mut relay, mut isla, mut baran, phone) = two();
    let olga = Person::joins("olga", &mut isla, &mut relay);
    baran.follows(&relay).expect("followed");
    let share = |helper: &Person| {
        let to = Recipient::from_bytes(&helper.app.device.card().recipient().0).expect("sound");
        let file = seal_grant(&EpochSecret::generate(&[7; 32]), &to).into();
        Share { device: helper.app.device.device_id(), file }
    };
    let mut shares = vec![share(&isla), share(&olga)];
    shares.sort_by_key(|share| share.device);
    baran.posts(&mut relay, &Change::Recovery(Recovery { spare: phone, threshold: 2, shares }));
    let spares: Vec<DeviceId> =
        own(&baran).iter().filter(|one| one.is_spare).map(|one| one.id).collect();
    assert_eq!(spares, [phone]);
}

#[test]
fn the_last_contact_is_that_of_the_device_itself() {
    let (_relay, _isla, mut baran, phone) = two();
    let mark = |device: DeviceId, size| Cosigned {
        signer: Cosigner::Device(device).to_string(),
        size: TreeSize(size),
        root: Hash::ZERO,
        at: UnixMillis(3_600_000 * size),
        line: String::new(),
    };
    let this = baran.app.device.device_id();
    let no = baran.no;
    let kept = baran.app.vault.write(|vault| {
        vault.put_cosignature(no, &mark(this, 2))?;
        vault.put_cosignature(no, &mark(phone, 1))
    });
    kept.expect("kept");
    for (device, size) in [(this, 2), (phone, 1)] {
        let one = own(&baran).into_iter().find(|one| one.id == device).expect("an own one");
        assert_eq!(one.vouched, Some((TreeSize(size), UnixMillis(3_600_000 * size))));
    }
}

#[test]
fn a_device_is_named_by_its_owner_alone_and_ends_in_no_committee_twice() {
    let (mut relay, isla, mut baran, phone) = two();
    let reference = names::device_ref(&phone).to_string();
    for typed in [&reference, &reference.to_lowercase(), &phone.to_string()] {
        assert_eq!(named(&baran, typed).expect("an own one"), (phone, 1), "{typed}");
    }
    assert_eq!(named(&isla, &reference).expect_err("another's").kind, Kind::NotFound);
    let other = isla.app.device_ref().to_string();
    assert_eq!(named(&baran, &other).expect_err("another's").kind, Kind::NotFound);
    baran.wants(&Intent::Retire { device: phone.to_string() });
    baran.sends_all(&mut relay);
    assert_eq!(named(&baran, &reference).expect("still an own one"), (phone, 0));
    assert!(matches!(is(&baran, phone), Standing::Ended(_)));
    // Nor in one that this device is no longer in.
    let this = baran.app.device.device_id();
    let mine = |baran: &Person| {
        baran.app.vault.read(|vault| committees_of(vault, this, this)).expect("reads").len()
    };
    assert_eq!(mine(&baran), 1);
    let no = baran.no;
    baran.app.vault.write(|vault| vault.set_standing(no, Known::Ended)).expect("set");
    assert_eq!(mine(&baran), 0);
}
