use sealpost_protocol::change::{Policy, Target};
use sealpost_protocol::entry::{Kind, UnverifiedEntry};
use sealpost_protocol::id::{Epoch, UnixMillis};
use sealpost_protocol::recovery::combine;
use sealpost_protocol::roster::Proposed;
use sealpost_protocol::seal::{EpochKeys, open_grant};

use super::set::{Made, Wish, make};
use super::*;
use crate::app::App;
use crate::changes::{Intent, Whom};
use crate::village::{MemoryRelay, Person, three_coordinators};

/// Baran's wish for isla, olga and tomas to help, any two of them.
fn wish(of: u8) -> Wish {
    let helpers = (1..=of).map(u32::from).map(MemberNumber).collect();
    Wish { helpers, threshold: 2, same_country: true }
}

fn makes(person: &Person, wish: &Wish) -> Result<Made, Failure> {
    make(&person.app, person.no, wish)
}

fn sends_spare(person: &mut Person, relay: &mut MemoryRelay, wish: &Wish) -> Made {
    let made = makes(person, wish).expect("made");
    made.intents.iter().for_each(|intent| person.wants(intent));
    person.sends_all(relay);
    made
}

fn spare_of(person: &Person, member: u32) -> Option<DeviceId> {
    let log = person.log();
    let roster = log.pulled().expect("pulled").roster();
    roster.spare_of(MemberNumber(member)).map(|spare| spare.device)
}

fn board(person: &Person) -> Vec<String> {
    let (own, now) = (person.app.device.device_id(), person.app.clock.now());
    let items = person.app.vault.read(|vault| crate::hygiene::board(vault, person.no, own, now));
    items.expect("looked").into_iter().map(|item| item.what).collect()
}

#[test]
fn each_helper_opens_its_share_at_once_and_can_say_what_the_owner_kept() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [mut olga, mut tomas, mut baran]) = three_coordinators(&mut relay);
    let made = sends_spare(&mut baran, &mut relay, &wish(3));
    assert_eq!(spare_of(&baran, baran.number()), Some(made.spare));
    let owner = MemberNumber(baran.number());
    for helper in [&mut isla, &mut olga, &mut tomas] {
        let brought = helper.follows(&relay).expect("followed");
        assert!(brought.faults.is_empty(), "{:?}", brought.faults);
        let told = brought.news.iter().any(|news| news.contains("named this device among"));
        assert!(told, "{:?}", brought.news);
        let App { vault, device, .. } = &helper.app;
        let share = vault.read(|vault| held_share(vault, device, helper.no, owner)).expect("held");
        let own = device.device_id();
        let kept = made.drills.iter().find(|drill| drill.helper == own).expect("kept");
        assert_eq!(share.drill_code(), kept.code);
        let all = vault.read(|vault| shared(vault, own)).expect("listed");
        assert_eq!((all.len(), all[0].is_own, all[0].held_by), (1, false, Some(own)));
    }
    let App { vault, device, .. } = &baran.app;
    let own = vault.read(|vault| shared(vault, device.device_id())).expect("listed");
    assert_eq!((own.len(), own[0].is_own, own[0].held_by), (1, true, None));
    let none = vault.read(|vault| held_share(vault, device, baran.no, owner));
    assert_eq!(none.map(drop).expect_err("not a helper").kind, Error::NotFound);
    assert_eq!(board(&baran).iter().filter(|item| item.contains("spare")).count(), 0);
    // Nobody has it in hand: that it never vouched is no sign of a loss.
    let spare = crate::names::device_ref(&made.spare).to_string();
    for person in [&isla, &olga, &baran] {
        assert!(board(person).iter().all(|item| !item.contains(&spare)), "{:?}", board(person));
    }
}

#[test]
fn fewer_helpers_than_it_takes_make_nothing_of_the_whole_log() {
    let mut relay = MemoryRelay::new(9);
    let (isla, [olga, tomas, mut baran]) = three_coordinators(&mut relay);
    let three = Wish { threshold: 3, ..wish(3) };
    let made = sends_spare(&mut baran, &mut relay, &three);
    // All that a relay's disk has.
    let entries =
        relay.entries.iter().map(|bytes| UnverifiedEntry::decode(bytes).expect("an entry"));
    let files: Vec<_> = entries
        .filter_map(|entry| keys::change_of(entry.payload()))
        .filter_map(|change| match change {
            Change::Recovery(recovery) => Some(recovery.shares),
            _ => None,
        })
        .flatten()
        .map(|share| share.file)
        .collect();
    let opened_by = |helper: &Person| {
        let open = |file: &Vec<u8>| open_share(file, helper.app.device.hybrid()).ok();
        files.iter().filter_map(|file| open(file)).collect::<Vec<_>>()
    };
    let mut shares = opened_by(&isla);
    shares.extend(opened_by(&olga));
    assert_eq!(shares.len(), 2, "each opens its own and no other");
    let failed = combine(&shares).map(drop).expect_err("too few");
    assert_eq!(failed, PeerShareError::TooFew { have: 2, need: 3 });
    // Nothing but the third was missing.
    shares.extend(opened_by(&tomas));
    assert_eq!(combine(&shares).expect("enough").spare().device_id(), made.spare);
}

#[test]
fn kept_shares_of_somebody_suspended_open_nothing_that_is_sealed_later() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [olga, tomas, mut baran]) = three_coordinators(&mut relay);
    let made = sends_spare(&mut baran, &mut relay, &wish(3));
    isla.follows(&relay).expect("followed");
    isla.wants(&Intent::Suspend { whom: Whom::from(Target::Member(MemberNumber(baran.number()))) });
    isla.sends_all(&mut relay);
    isla.writes("after it");
    isla.sends_all(&mut relay);
    // Two helpers keep their shares, whatever the log says, and have all that the relay has.
    let entries: Vec<_> = relay
        .entries
        .iter()
        .map(|bytes| UnverifiedEntry::decode(bytes).expect("an entry"))
        .collect();
    let changes = || entries.iter().filter_map(|entry| keys::change_of(entry.payload()));
    let files = changes().filter_map(|change| match change {
        Change::Recovery(recovery) => Some(recovery.shares),
        _ => None,
    });
    let mut shares = Vec::new();
    for share in files.flatten() {
        for helper in [&olga, &tomas] {
            shares.extend(open_share(&share.file, helper.app.device.hybrid()).ok());
        }
    }
    let spare = combine(&shares).expect("enough of them").spare();
    assert_eq!(spare.device_id(), made.spare);
    let log = isla.log();
    let roster = log.pulled().expect("pulled").roster();
    assert_eq!(roster.epoch(), Epoch(2));
    let recipient = |epoch| roster.lock_state(Epoch(epoch)).expect("made").recipient.clone();
    let grants = changes().flat_map(|change| match change {
        Change::Device(device) => vec![device.grant],
        Change::Lock(lock) => lock.grants,
        _ => Vec::new(),
    });
    let grants: Vec<_> = grants.collect();
    let opens = |epoch| {
        let opened = grants
            .iter()
            .find_map(|grant| open_grant(&grant.file, spare.hybrid(), &recipient(epoch)).ok());
        opened.map(EpochKeys::new)
    };
    let first = opens(1).expect("it was let in under lock 1");
    assert!(opens(2).is_none(), "nothing of lock 2 is sealed to it");
    let sealed = entries.iter().filter(|entry| entry.header().kind == Kind::Record);
    let payloads: Vec<_> = sealed.filter_map(UnverifiedEntry::payload).collect();
    assert_eq!(payloads.len(), 1);
    first.open_record(payloads[0]).map(drop).expect_err("it is under lock 2");
}

#[test]
fn a_share_that_is_of_no_use_is_named_when_it_comes() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [mut olga, _, mut baran]) = three_coordinators(&mut relay);
    let made = makes(&baran, &wish(3)).expect("made");
    let Intent::Recovery { spare, threshold, mut shares } = made.intents[1].clone() else {
        panic!("the second shares it out")
    };
    // Another's share, and one of another spare.
    let other = makes(&baran, &wish(3)).expect("made");
    let Intent::Recovery { shares: foreign, .. } = &other.intents[1] else { panic!("as above") };
    let at = |device: DeviceId| {
        let is_its =
            |share: &crate::changes::ShareOf| share.share().expect("reads").device == device;
        foreign.iter().position(is_its).expect("hers")
    };
    let (of_isla, of_olga) = (at(isla.app.device.device_id()), at(olga.app.device.device_id()));
    shares[of_isla] = foreign[of_isla].clone();
    let swapped = serde_json::to_value(&foreign[of_isla]).expect("plain");
    let mut for_olga = serde_json::to_value(&shares[of_olga]).expect("plain");
    for_olga["file"] = swapped["file"].clone();
    shares[of_olga] = serde_json::from_value(for_olga).expect("plain");
    baran.wants(&made.intents[0]);
    baran.wants(&Intent::Recovery { spare, threshold, shares });
    baran.sends_all(&mut relay);
    for (helper, why) in [(&mut isla, "of another spare"), (&mut olga, "not sealed to this key")] {
        let faults = helper.follows(&relay).expect("followed").faults;
        let named =
            faults.iter().any(|fault| fault.contains("The share that") && fault.contains(why));
        assert!(named, "{why}: {faults:?}");
    }
}

#[test]
fn who_may_help_is_checked_before_anything_is_made() {
    let mut relay = MemoryRelay::new(9);
    let (_, [_, _, baran]) = three_coordinators(&mut relay);
    let refused = |wish: Wish| {
        let failure = makes(&baran, &wish).map(drop).expect_err("refused");
        assert_eq!(failure.kind, Error::Usage, "{failure:?}");
        failure.what
    };
    // All four say to be in one country.
    assert!(refused(Wish { same_country: false, ..wish(3) }).contains("one country"));
    assert!(refused(Wish { threshold: 1, ..wish(3) }).contains("at least 2"));
    assert!(refused(Wish { threshold: 4, ..wish(3) }).contains("4 of 3"));
    let mut twice = wish(2);
    twice.helpers.push(MemberNumber(1));
    assert!(refused(twice).contains("twice"));
    let mut own = wish(2);
    own.helpers.push(MemberNumber(baran.number()));
    assert!(refused(own).contains("Your own devices"));
}

#[test]
fn a_spare_ends_with_a_helper_and_its_owner_is_asked_for_a_new_one() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [_, tomas, mut baran]) = three_coordinators(&mut relay);
    let made = sends_spare(&mut baran, &mut relay, &wish(3));
    isla.follows(&relay).expect("followed");
    isla.wants(&Intent::Suspend { whom: Whom::from(Target::Member(MemberNumber(tomas.number()))) });
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    assert_eq!(spare_of(&baran, baran.number()), None);
    let owner = MemberNumber(baran.number());
    let ended = baran.app.vault.read(|vault| {
        let log = Log::load(vault, baran.no)?;
        ended_spare(vault, baran.no, log.pulled()?, owner)
    });
    assert_eq!(ended.expect("looked"), Some(made.spare));
    assert!(board(&baran).iter().any(|item| item.contains("your spare")), "{:?}", board(&baran));
    let helpers = vec![MemberNumber(1), MemberNumber(2)];
    sends_spare(&mut baran, &mut relay, &Wish { helpers, ..wish(2) });
    assert!(!board(&baran).iter().any(|item| item.contains("your spare")), "{:?}", board(&baran));
}

#[test]
fn a_spare_that_could_not_be_shared_is_ended_again() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [_, tomas, mut baran]) = three_coordinators(&mut relay);
    let made = makes(&baran, &wish(3)).expect("made");
    let kept = |vault: &crate::vault::Write<'_>| {
        vault.put_drills(baran.no, made.before, made.spare, &made.drills)
    };
    baran.app.vault.write(kept).expect("kept");
    made.intents.iter().for_each(|intent| baran.wants(intent));
    // While it waits for a network, a helper is suspended.
    isla.wants(&Intent::Suspend { whom: Whom::from(Target::Member(MemberNumber(tomas.number()))) });
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    // In one sync the sharing is refused, in the next it is seen that nobody has the spare.
    baran.sends_all(&mut relay);
    baran.sends_all(&mut relay);
    let log = baran.log();
    let roster = log.pulled().expect("pulled").roster();
    let standing = roster.standing_of(made.spare);
    assert!(matches!(standing, Some(Standing::Ended(_))), "{standing:?}");
    let active = roster.devices_of(MemberNumber(baran.number()));
    assert_eq!(active.filter(|(id, _)| roster.is_active(*id)).count(), 1);
}

#[test]
fn the_codes_of_the_spare_in_force_outlast_one_that_is_not_yet() {
    let mut relay = MemoryRelay::new(9);
    let (_, [_, _, mut baran]) = three_coordinators(&mut relay);
    let first = sends_spare(&mut baran, &mut relay, &wish(3));
    assert_eq!(first.before, None);
    let keep = |baran: &mut Person, made: &Made| {
        let no = baran.no;
        let kept = |vault: &crate::vault::Write<'_>| {
            vault.put_drills(no, made.before, made.spare, &made.drills)
        };
        baran.app.vault.write(kept).expect("kept");
    };
    let held = |baran: &Person, made: &Made| {
        let drills = baran.app.vault.read(|vault| vault.drills(baran.no, made.spare));
        drills.expect("read").len()
    };
    keep(&mut baran, &first);
    let second = makes(&baran, &wish(3)).expect("made");
    assert_eq!(second.before, Some(first.spare));
    keep(&mut baran, &second);
    assert_eq!((held(&baran, &first), held(&baran, &second)), (3, 3));
    second.intents.iter().for_each(|intent| baran.wants(intent));
    baran.sends_all(&mut relay);
    let third = makes(&baran, &wish(3)).expect("made");
    keep(&mut baran, &third);
    assert_eq!((held(&baran, &first), held(&baran, &second), held(&baran, &third)), (0, 3, 3));
}

#[test]
fn shares_wait_for_a_coordinator_where_the_policy_says_so() {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, [_, _, mut baran]) = three_coordinators(&mut relay);
    let policy = Policy { device_needs_coordinator: true, ..*isla_policy(&isla) };
    isla.posts(&mut relay, &Change::Policy(policy));
    baran.follows(&relay).expect("followed");
    let made = makes(&baran, &wish(3)).expect("made");
    made.intents.iter().for_each(|intent| baran.wants(intent));
    baran.sends(&mut relay).expect("the admission is sent");
    let held_back = crate::push::prepare(&mut baran.app, baran.no).map(drop);
    let failure = held_back.expect_err("it waits");
    assert!(format!("{failure:?}").contains("wait for the spare to be let in"), "{failure:?}");
    isla.follows(&relay).expect("followed");
    let log = isla.log();
    let proposals: Vec<_> = log.pulled().expect("pulled").roster().proposals().collect();
    let [(entry, proposal)] = proposals.as_slice() else { panic!("one waits: {proposals:?}") };
    assert!(matches!(&proposal.change, Proposed::Device(new) if new.card.device() == made.spare));
    let waits = |days: u64| {
        let roster = log.pulled().expect("pulled").roster();
        let now = UnixMillis(proposal.made_at.0 + days * 24 * 60 * 60 * 1_000);
        crate::proposals::of_device(roster, made.spare, now)
    };
    assert_eq!((waits(30), waits(31)), (Some(*entry), None));
    isla.wants(&Intent::Approve { entry: entry.to_string() });
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    baran.sends_all(&mut relay);
    assert_eq!(spare_of(&baran, baran.number()), Some(made.spare));
}

fn isla_policy(isla: &Person) -> Box<Policy> {
    Box::new(*isla.log().pulled().expect("pulled").roster().policy())
}
