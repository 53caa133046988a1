use sealpost_protocol::id::MemberNumber;

use super::*;
use crate::changes::{Intent, PolicyParts, RoleName, Whom};
use crate::clock::Clock;
use crate::recovery::set::{Wish, make};
use crate::vault::evidence::Cosigned;
use crate::village::{MemoryRelay, Person};

fn lines(person: &Person) -> Vec<String> {
    let (own, now) = (person.app.device.device_id(), person.app.clock.now());
    let items = person.app.vault.read(|vault| board(vault, person.no, own, now)).expect("looked");
    items.into_iter().map(|item| format!("{} → {}", item.what, item.next)).collect()
}

#[track_caller]
fn says(person: &Person, words: &str) -> String {
    let lines = lines(person);
    let found = lines.iter().find(|line| line.contains(words));
    found.unwrap_or_else(|| panic!("no {words:?} in {lines:#?}")).clone()
}

#[track_caller]
fn is_silent_on(person: &Person, words: &str) {
    let lines = lines(person);
    assert!(!lines.iter().any(|line| line.contains(words)), "{words:?} in {lines:#?}");
}

/// isla and two others who coordinate, and baran; everybody vouches for what there is, and isla has a way
/// back in.
fn scene() -> (MemoryRelay, Person, [Person; 3]) {
    let mut relay = MemoryRelay::new(9);
    let (mut isla, mut others) = crate::village::three_coordinators(&mut relay);
    has_way_back(&mut isla, &mut relay);
    for other in &mut others {
        other.follows(&relay).expect("followed");
        vouch(&mut isla, other);
    }
    (relay, isla, others)
}

fn has_way_back(person: &mut Person, relay: &mut MemoryRelay) {
    let helpers = vec![MemberNumber(2), MemberNumber(3)];
    let wish = Wish { helpers, threshold: 2, same_country: true };
    let made = make(&person.app, person.no, &wish).expect("made");
    made.intents.iter().for_each(|intent| person.wants(intent));
    person.sends_all(relay);
}

/// `by` is known to `person` to vouch for the whole log now.
fn vouch(person: &mut Person, by: &Person) {
    let mark = mark(person, by);
    person.app.vault.write(|vault| vault.put_cosignature(person.no, &mark)).expect("kept");
}

fn mark(person: &Person, by: &Person) -> Cosigned {
    Cosigned {
        signer: Cosigner::Device(by.app.device.device_id()).to_string(),
        size: person.size(),
        root: person.log().checkpoint().expect("pulled").root,
        at: person.app.clock.now(),
        line: String::new(),
    }
}

#[test]
fn a_committee_in_good_order_has_an_empty_board() {
    let (_, isla, _) = scene();
    assert_eq!(lines(&isla), Vec::<String>::new());
}

#[test]
fn who_has_one_device_and_no_way_back_in_is_told_once_there_are_helpers() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let _baran = Person::joins("baran", &mut isla, &mut relay);
    is_silent_on(&isla, "no way back in");
    let _selin = Person::joins("selin", &mut isla, &mut relay);
    let line = says(&isla, "no way back in");
    assert!(line.contains("sealpost recovery set"), "{line}");
    has_way_back(&mut isla, &mut relay);
    is_silent_on(&isla, "no way back in");
}

#[test]
fn a_single_coordinator_is_a_danger_and_two_are_none() {
    let mut relay = MemoryRelay::new(9);
    let isla = Person::founds("isla", &mut relay);
    let line = says(&isla, "single coordinator");
    assert!(line.contains("sealpost member role HANDLE coordinator"), "{line}");
    let (_, isla, _) = scene();
    is_silent_on(&isla, "single coordinator");
}

#[test]
fn as_many_or_fewer_coordinators_than_approvals_are_told_before_it_is_too_late() {
    let (mut relay, mut isla, [olga, tomas, _]) = scene();
    isla.wants(&Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() }));
    isla.sends_all(&mut relay);
    is_silent_on(&isla, "coordinators");
    isla.wants(&Intent::Suspend { whom: Whom::Member(olga.number()) });
    isla.sends_all(&mut relay);
    says(&isla, "as many coordinators as approvals (2)");
    let mut tomas = tomas;
    tomas.follows(&relay).expect("followed");
    tomas.wants(&Intent::Suspend { whom: Whom::Member(isla.number()) });
    tomas.sends_all(&mut relay);
    says(&tomas, "can never change again");
}

#[test]
fn a_due_lock_an_old_lock_and_a_missing_one_are_told() {
    let (mut relay, mut isla, [_, _, baran]) = scene();
    is_silent_on(&isla, "days old");
    isla.app.clock = Clock::Stopped(UnixMillis(isla.app.clock.now().0 + 200 * DAY_MILLIS));
    let old = says(&isla, "the lock is 200 days old");
    assert!(old.contains("sealpost committee lock C-"), "{old}");
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    isla.follows(&relay).expect("followed");
    says(&isla, "the lock must be changed");
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Lock { withhold: true, if_pending: false });
    isla.sends_all(&mut relay);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    let missing = says(&mira, "cannot open lock 2");
    assert!(missing.contains("sealpost member grant DV-"), "{missing}");
    is_silent_on(&isla, "cannot open lock");
}

#[test]
fn who_lacks_a_grant_is_named_with_the_command_that_grants() {
    let (mut relay, mut isla, [.., baran]) = scene();
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    is_silent_on(&isla, "was not granted");
    isla.wants(&Intent::Restore { whom: Whom::Member(baran.number()) });
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    isla.follows(&relay).expect("followed");
    let line = says(&isla, "of baran was not granted the lock");
    assert!(line.contains("sealpost member grant DV-"), "{line}");
}

#[test]
fn who_is_silent_for_longer_than_the_lease_is_named_and_the_lease_told() {
    let (_, mut isla, _) = scene();
    isla.app.clock = Clock::Stopped(UnixMillis(isla.app.clock.now().0 + 7 * DAY_MILLIS));
    assert_eq!(lines(&isla), Vec::<String>::new(), "a week is within the lease");
    isla.app.clock = Clock::Stopped(UnixMillis(isla.app.clock.now().0 + 1));
    let silent = lines(&isla).iter().filter(|line| line.contains("has not vouched since")).count();
    assert_eq!(silent, 3);
    says(&isla, "0 of 2 coordinators were heard, 2 are needed; silent: olga, tomas");
}

#[test]
fn what_waits_is_told_with_the_command_to_whoever_may_type_it() {
    let (mut relay, mut isla, [mut olga, _, baran]) = scene();
    isla.wants(&Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() }));
    isla.wants(&Intent::Remove { member: baran.number() });
    isla.sends_all(&mut relay);
    olga.follows(&relay).expect("followed");
    let hers = says(&olga, "isla proposes to remove baran");
    assert!(hers.contains("sealpost approve RC-"), "{hers}");
    let own = says(&isla, "isla proposes to remove baran");
    assert!(own.contains("waits for olga, tomas"), "{own}");
    olga.app.clock = Clock::Stopped(UnixMillis(olga.app.clock.now().0 + 30 * DAY_MILLIS));
    assert!(says(&olga, "isla proposes to remove baran").contains("sealpost approve RC-"));
    olga.app.clock = Clock::Stopped(UnixMillis(olga.app.clock.now().0 + 1));
    let old = says(&olga, "isla proposes to remove baran");
    assert!(old.contains("propose it anew") && !old.contains("approve RC-"), "{old}");
}

#[test]
fn two_of_one_name_are_told() {
    let (mut relay, mut isla, _) = scene();
    Person::joins("Baran", &mut isla, &mut relay);
    isla.follows(&relay).expect("followed");
    says(&isla, "are both called");
}

#[test]
fn handles_that_read_alike_or_mix_scripts_are_told_and_others_are_not() {
    let (mut relay, mut isla, _) = scene();
    is_silent_on(&isla, "read alike");
    is_silent_on(&isla, "mixes scripts");
    Person::joins("b\u{430}ran", &mut isla, &mut relay);
    isla.follows(&relay).expect("followed");
    says(&isla, "have handles that read alike: baran and b\u{430}ran");
    says(&isla, "mixes scripts: b\u{430}ran");
}

#[test]
fn a_colleague_who_vouches_for_another_log_is_told() {
    let (_, mut isla, [olga, ..]) = scene();
    is_silent_on(&isla, "another log");
    let other = Cosigned { root: sealpost_protocol::hash::Hash::ZERO, ..mark(&isla, &olga) };
    isla.app.vault.write(|vault| vault.put_cosignature(isla.no, &other)).expect("kept");
    let line = says(&isla, "vouches for another log");
    assert!(line.contains("of olga") && line.contains("head codes"), "{line}");
}

#[test]
fn a_policy_by_which_nothing_can_be_confirmed_is_told() {
    let (mut relay, mut isla, _) = scene();
    let policy = |devices, countries| {
        Intent::Policy(PolicyParts {
            confirm_devices: Some(devices),
            confirm_countries: Some(countries),
            ..PolicyParts::default()
        })
    };
    isla.wants(&policy(3, 1));
    isla.sends_all(&mut relay);
    is_silent_on(&isla, "can be confirmed");
    isla.wants(&policy(3, 2));
    isla.sends_all(&mut relay);
    let line = says(&isla, "3 devices in 2 countries, and besides yours there are 3 in 1");
    assert!(line.contains("--confirm-devices 3 --confirm-countries 1"), "{line}");
}

#[test]
fn who_vouches_for_more_than_was_shown_is_told() {
    let (_, isla, [olga, ..]) = scene();
    let mut ahead = mark(&isla, &olga);
    ahead.size = sealpost_protocol::id::TreeSize(ahead.size.0 + 1);
    let mut isla = isla;
    isla.app.vault.write(|vault| vault.put_cosignature(isla.no, &ahead)).expect("kept");
    says(&isla, "1 devices vouch for more than the relay has shown");
}

#[test]
fn kept_evidence_and_a_silent_relay_are_told() {
    let (_, mut isla, _) = scene();
    let (no, now) = (isla.no, isla.app.clock.now());
    let kept = crate::vault::evidence::Exhibit::Note;
    let write = |vault: &crate::vault::Write<'_>| {
        vault.keep_evidence(no, kept, b"a note", now)?;
        vault.set_answered(no, false, now)
    };
    isla.app.vault.write(write).expect("kept");
    says(&isla, "1 pieces of evidence");
    says(&isla, "the relay did not answer last time");
    isla.app.clock = Clock::Stopped(UnixMillis(now.0 + 8 * DAY_MILLIS));
    says(&isla, "the relay has not answered for 8 days");
}

#[test]
fn an_invitation_is_told_while_somebody_may_still_come_by_it() {
    use crate::vault::invitations::{Asking, Invitation, JoinRequest};
    let (_, mut isla, _) = scene();
    let now = isla.app.clock.now();
    let id = sealpost_protocol::id::InvitationId(sealpost_protocol::hash::Hash::of(b"invited"));
    let invitation = Invitation {
        id,
        committee: isla.no,
        text: String::new(),
        role: "member".to_owned(),
        uses: 1,
        expires: UnixMillis(now.0 + 1),
        made: now,
        state: InvitationState::Open,
    };
    isla.app.vault.write(|vault| vault.put_invitation(&invitation)).expect("kept");
    let line = says(&isla, "is open until");
    assert!(line.contains("sealpost invite cancel IV-"), "{line}");
    let asks = JoinRequest {
        device: isla.app.device.device_id(),
        invitation: id,
        request: vec![1],
        handle: "mira".to_owned(),
        safety_number: String::new(),
        asking: Asking::Asking,
        seen: now,
    };
    isla.app.vault.write(|vault| vault.put_join_request(&asks)).expect("kept");
    is_silent_on(&isla, "is open until");
    says(&isla, "1 ask to join");
    let ended = Invitation { uses: 2, expires: now, ..invitation };
    isla.app.vault.write(|vault| vault.put_invitation(&ended)).expect("kept");
    is_silent_on(&isla, "is open until");
}

#[test]
fn who_is_bound_is_not_told_to_approve_what_they_may_not() {
    let (mut relay, mut isla, [mut olga, tomas, mut baran]) = scene();
    let (member, role) = (baran.number(), RoleName::Coordinator);
    isla.wants(&Intent::Role { member, role });
    isla.wants(&Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() }));
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Suspend { whom: Whom::Member(tomas.number()) });
    isla.sends_all(&mut relay);
    olga.follows(&relay).expect("followed");
    olga.wants(&Intent::Restore { whom: Whom::Member(tomas.number()) });
    olga.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    baran.follows(&relay).expect("followed");
    let bound = says(&isla, "olga proposes to restore tomas");
    assert!(!bound.contains("sealpost approve") && bound.contains("waits for baran"), "{bound}");
    assert!(says(&baran, "olga proposes to restore tomas").contains("sealpost approve RC-"));
}
