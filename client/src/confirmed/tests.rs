use sealpost_protocol::hash::Hash;

use super::*;
use crate::changes::{Intent, Whom};
use crate::clock::Clock;
use crate::recovery::set::{Wish, make};
use crate::vault::evidence::Cosigned;
use crate::village::{MemoryRelay, Person};

fn device(number: u8) -> DeviceId {
    DeviceId(Hash([number; 32]))
}

/// Devices 1, 2, … of one member each, by country and the size they vouch for.
fn holders(devices: u16, countries: u16, all: &[(&str, u64)]) -> Holders {
    let holder = |(number, (country, size)): (u8, &(&str, u64))| Holder {
        device: device(number),
        member: MemberNumber(u32::from(number)),
        country: country.parse().ok(),
        size: TreeSize(*size),
    };
    let devices_held = (1..).zip(all).map(holder).collect();
    Holders { devices: devices_held, asked: Confirm { devices, countries }, size: TreeSize(9) }
}

#[test]
fn a_record_is_confirmed_by_as_many_other_devices_and_countries_as_the_policy_asks() {
    let held = holders(2, 2, &[("CH", 9), ("CH", 9), ("TR", 7), ("NO", 6)]);
    let of = |index| held.holding(LeafIndex(index), device(1));
    assert_eq!(of(5), HeldBy { devices: 3, of: 3, countries: 3, confirmed: true });
    assert_eq!(of(6), HeldBy { devices: 2, of: 3, countries: 2, confirmed: true });
    assert_eq!(of(7), HeldBy { devices: 1, of: 3, countries: 1, confirmed: false });
    assert_eq!(of(9), HeldBy { devices: 0, of: 3, countries: 0, confirmed: false });
    let words = [5, 7, 9].map(|index| of(index).words());
    let expected = [
        "confirmed by 3 of 3 devices in 3 countries",
        "sent, held by 1 of 3 devices in 1 country",
        "sent",
    ];
    assert_eq!(words, expected);
    assert_eq!([5, 7].map(|index| of(index).state()), ["confirmed", "accepted"]);
}

#[test]
fn the_device_that_signed_a_record_does_not_confirm_it() {
    let held = holders(1, 1, &[("CH", 9), ("TR", 5)]);
    assert!(!held.holding(LeafIndex(6), device(1)).confirmed, "its own word alone");
    assert!(held.holding(LeafIndex(6), device(2)).confirmed, "another's");
}

#[test]
fn who_does_not_say_where_they_are_adds_no_country_and_what_is_held_is_held_in_one() {
    let countries = |all| holders(1, 2, all).holding(LeafIndex(0), device(1)).countries;
    assert_eq!(countries(&[("CH", 9), ("", 9), ("", 9)]), 1);
    assert_eq!(countries(&[("CH", 9), ("", 9), ("TR", 9)]), 1);
    assert_eq!(countries(&[("CH", 9), ("NO", 9), ("TR", 9)]), 2);
    assert_eq!(countries(&[("CH", 9), ("TR", 0)]), 0);
}

#[test]
fn below_the_confirmed_size_every_entry_is_confirmed_and_from_it_on_none() {
    let committees: [&[(&str, u64)]; 4] = [
        &[("CH", 9)],
        &[("CH", 9), ("TR", 4), ("NO", 2), ("TR", 9)],
        &[("CH", 3), ("CH", 3), ("TR", 0), ("", 8)],
        &[("CH", 9), ("TR", 9), ("NO", 9)],
    ];
    for all in committees {
        for (devices, countries) in [(0, 0), (1, 1), (2, 1), (2, 2), (3, 2), (9, 1)] {
            let held = holders(devices, countries, all);
            let below = held.confirmed_below(device(1));
            for index in 0..9 {
                let confirmed = held.holding(LeafIndex(index), device(1)).confirmed;
                assert_eq!(confirmed, index < below.0, "{all:?} {devices} {countries} {index}");
            }
        }
    }
}

#[test]
fn a_policy_that_asks_for_more_than_there_are_is_told() {
    let all = [("CH", 9), ("TR", 0), ("NO", 0)];
    assert!(holders(2, 2, &all).too_few_for(device(1)).is_none());
    let (asked, most) = holders(2, 3, &all).too_few_for(device(1)).expect("too few");
    assert_eq!((asked.countries, most.devices, most.countries), (3, 2, 2));
}

#[test]
fn told_are_members_and_not_devices() {
    let mut held = holders(1, 1, &[("CH", 9), ("TR", 4), ("TR", 9), ("NO", 5)]);
    held.devices[1].member = MemberNumber(3);
    let told = held.told(LeafIndex(4), MemberNumber(1));
    assert_eq!(told, Told { told: 2, confirmed: 2 });
    let told = held.told(LeafIndex(5), MemberNumber(1));
    assert_eq!(told, Told { told: 2, confirmed: 1 });
    assert_eq!(told.words(), "told 2 members, 1 confirmed");
}

fn mark(by: &Person, size: TreeSize, root: Hash) -> Cosigned {
    let signer = Cosigner::Device(by.app.device.device_id()).to_string();
    Cosigned { signer, size, root, at: by.app.clock.now(), line: String::new() }
}

fn loaded(person: &Person) -> Holders {
    let log = person.log();
    let judged = person.app.vault.read(|vault| Judged::load(vault, &log)).expect("loaded");
    Holders::of(&log, &judged).expect("pulled")
}

#[test]
fn a_mark_of_another_log_or_of_more_than_is_here_and_a_device_cut_off_confirm_nothing() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let own = isla.app.device.device_id();
    let head = isla.log().checkpoint().expect("pulled");
    let held = |person: &mut Person, mark: &Cosigned| {
        person.app.vault.write(|vault| vault.put_cosignature(person.no, mark)).expect("kept");
        loaded(person).holding(LeafIndex(0), own)
    };
    assert_eq!(held(&mut isla, &mark(&baran, head.size, Hash::ZERO)).devices, 0);
    let same = held(&mut isla, &mark(&baran, head.size, head.root));
    assert_eq!(same, HeldBy { devices: 1, of: 1, countries: 1, confirmed: true });
    assert_eq!(held(&mut isla, &mark(&baran, TreeSize(9), head.root)).devices, 0);
    held(&mut isla, &mark(&baran, TreeSize(9), head.root));
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    assert_eq!(loaded(&isla).holding(LeafIndex(0), own).of, 0, "nobody is left to hold it");
}

#[test]
fn a_spare_that_nobody_has_in_hand_is_not_waited_for() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [olga, ..]) = crate::village::three_coordinators(&mut relay);
    let author = olga.app.device.device_id();
    assert_eq!(loaded(&isla).holding(LeafIndex(0), author).of, 3);
    let helpers = vec![MemberNumber(2), MemberNumber(3)];
    let wish = Wish { helpers, threshold: 2, same_country: true };
    let made = make(&isla.app, isla.no, &wish).expect("made");
    made.intents.iter().for_each(|intent| isla.wants(intent));
    isla.sends_all(&mut relay);
    assert!(isla.log().pulled().expect("pulled").roster().spare_of(MemberNumber(1)).is_some());
    assert_eq!(loaded(&isla).holding(LeafIndex(0), author).of, 3);
}

#[test]
fn the_newest_cut_off_is_told_of_for_as_long_as_the_lease() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [mut olga, tomas, baran]) = crate::village::three_coordinators(&mut relay);
    let newest = |person: &Person| {
        let (log, own, now) = (person.log(), person.app.device.device_id(), person.app.clock.now());
        let holders = loaded(person);
        let found = |vault: &Read<'_>| CutOff::newest(vault, &log, &holders, own, now);
        person.app.vault.read(found).expect("looked")
    };
    assert!(newest(&isla).is_none(), "nobody is cut off");
    for whom in [&tomas, &baran] {
        isla.wants(&Intent::Suspend { whom: Whom::Member(whom.number()) });
        isla.sends_all(&mut relay);
    }
    olga.follows(&relay).expect("followed");
    let cut = newest(&isla).expect("two are");
    assert_eq!(cut.device, baran.app.device.device_id());
    assert_eq!(cut.told, Told { told: 1, confirmed: 0 });
    let head = isla.log().checkpoint().expect("pulled");
    let knows = mark(&olga, head.size, head.root);
    isla.app.vault.write(|vault| vault.put_cosignature(isla.no, &knows)).expect("kept");
    assert_eq!(newest(&isla).expect("two are").told, Told { told: 1, confirmed: 1 });
    let lease = 7 * DAY_MILLIS;
    let at = |days: u64| Clock::Stopped(UnixMillis(1_773_220_440_007 + days));
    isla.app.clock = at(lease);
    assert!(newest(&isla).is_some());
    isla.app.clock = at(lease + 1);
    assert!(newest(&isla).is_none());
}
