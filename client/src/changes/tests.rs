//! Roster changes between people, with a relay in memory.

use sealpost_protocol::card::{Card, RECIPIENT_BYTES, RecipientBytes};
use sealpost_protocol::committee::Refusal;
use sealpost_protocol::id::Epoch;

use super::build::Maker;
use super::*;
use crate::keys::Keys;
use crate::village::{MemoryRelay, Person};

/// isla and olga coordinate, baran is a member.
fn scene() -> (MemoryRelay, Person, Person, Person) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut olga = Person::joins("olga", &mut isla, &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    olga.follows(&relay).expect("let in");
    isla.wants(&Intent::Role { member: olga.number(), role: RoleName::Coordinator });
    isla.sends_all(&mut relay);
    olga.follows(&relay).expect("followed");
    baran.follows(&relay).expect("let in");
    (relay, isla, olga, baran)
}

fn suspend(person: &Person) -> Intent {
    Intent::Suspend { whom: Whom::Member(person.number()) }
}

fn epoch(person: &Person) -> Epoch {
    person.log().pulled().expect("pulled").roster().epoch()
}

fn names_of(batch: &[Vec<u8>]) -> Vec<&'static str> {
    use sealpost_protocol::entry::UnverifiedEntry;
    let name = |bytes: &Vec<u8>| {
        let entry = UnverifiedEntry::decode(bytes).expect("an entry");
        match crate::keys::change_of(entry.payload()) {
            Some(Change::Suspend(_)) => "suspend",
            Some(Change::Lock(_)) => "lock",
            Some(Change::Grant(_)) => "grant",
            Some(_) => "other",
            None => "record",
        }
    };
    batch.iter().map(name).collect()
}

#[test]
fn a_suspension_goes_before_what_was_written_earlier_and_its_lock_before_records() {
    let (mut relay, mut isla, _, baran) = scene();
    isla.writes("written first");
    isla.wants(&suspend(&baran));
    let mut sent = Vec::new();
    for _ in 0..3 {
        let batch = isla.prepares();
        sent.extend(names_of(&batch));
        batch.iter().for_each(|bytes| relay.append(bytes).expect("no rule forbids it"));
        isla.follows(&relay).expect("followed");
    }
    assert_eq!(sent, ["suspend", "lock", "record"]);
    assert!(isla.prepares().is_empty());
}

#[test]
fn a_cut_off_notice_is_small() {
    let (_, mut isla, _, baran) = scene();
    isla.wants(&suspend(&baran));
    let batch = isla.prepares();
    assert_eq!(names_of(&batch), ["suspend"]);
    assert!(batch[0].len() < 700, "{} bytes", batch[0].len());
}

#[test]
fn a_member_with_a_record_to_send_changes_a_lock_that_is_due_and_one_without_does_not() {
    let (mut relay, mut isla, mut olga, baran) = scene();
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    isla.wants(&suspend(&baran));
    let notice = isla.prepares().remove(0);
    relay.append(&notice).expect("no rule forbids it");
    mira.follows(&relay).expect("followed");
    assert!(mira.prepares().is_empty(), "nothing of hers waits for it");
    mira.writes("while the lock was due");
    assert_eq!(names_of(&mira.prepares()), ["lock"]);
    mira.sends_all(&mut relay);
    assert_eq!(epoch(&mira), Epoch(2));
    // The coordinators find it done.
    isla.follows(&relay).expect("followed");
    olga.follows(&relay).expect("followed");
    assert!(isla.prepares().is_empty() && olga.prepares().is_empty());
    assert_eq!(isla.reads(), [("accepted".to_owned(), "while the lock was due".to_owned())]);
}

#[test]
fn two_coordinators_who_change_a_due_lock_at_once_change_it_once() {
    let (mut relay, mut isla, mut olga, baran) = scene();
    isla.wants(&suspend(&baran));
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    isla.follows(&relay).expect("followed");
    olga.follows(&relay).expect("followed");
    let (of_isla, of_olga) = (isla.prepares(), olga.prepares());
    assert_eq!((names_of(&of_isla), names_of(&of_olga)), (vec!["lock"], vec!["lock"]));
    relay.append(&of_isla[0]).expect("the first");
    assert!(relay.append(&of_olga[0]).is_err());
    isla.sends_all(&mut relay);
    olga.follows(&relay).expect("followed");
    olga.sends_all(&mut relay);
    assert_eq!((epoch(&isla), epoch(&olga)), (Epoch(2), Epoch(2)));
}

#[test]
fn a_record_sealed_under_the_old_lock_is_sealed_anew_and_arrives_once() {
    let (mut relay, mut isla, mut olga, baran) = scene();
    olga.writes("to all who are here");
    let in_flight = olga.prepares().remove(0);
    isla.wants(&suspend(&baran));
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    assert_eq!(relay.append(&in_flight), Err(Refusal::LockPending));
    isla.follows(&relay).expect("followed");
    isla.sends_all(&mut relay);
    let current = epoch(&isla);
    assert_eq!(relay.append(&in_flight), Err(Refusal::StaleEpoch { current }));
    olga.follows(&relay).expect("followed");
    olga.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    let once = [("accepted".to_owned(), "to all who are here".to_owned())];
    assert_eq!((isla.reads(), olga.reads()), (once.clone().into(), once.into()));
    assert!(relay.append(&in_flight).is_err(), "what was kept back does not come later");
}

#[test]
fn who_is_restored_is_granted_the_present_lock_and_reads_on() {
    let (mut relay, mut isla, _, mut baran) = scene();
    isla.wants(&suspend(&baran));
    isla.sends_all(&mut relay);
    isla.writes("while he was away");
    isla.sends_all(&mut relay);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    isla.wants(&Intent::Restore { whom: Whom::Member(baran.number()) });
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    mira.follows(&relay).expect("let in");
    assert!(mira.prepares().is_empty(), "it is for a coordinator to grant");
    isla.follows(&relay).expect("followed");
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("served again");
    assert_eq!(baran.reads(), [("accepted".to_owned(), "while he was away".to_owned())]);
    baran.writes("back");
    baran.sends_all(&mut relay);
    isla.follows(&relay).expect("followed");
    assert_eq!(isla.reads().len(), 2);
}

#[test]
fn the_last_approval_of_a_coordinators_admission_brings_name_and_lock() {
    let (mut relay, mut isla, mut olga, mut baran) = scene();
    isla.wants(&Intent::Role { member: baran.number(), role: RoleName::Coordinator });
    isla.wants(&Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() }));
    isla.sends_all(&mut relay);
    let secret = crate::vault::Secrets::generate().expect("randomness");
    let card = secret.device.card();
    isla.wants(&Intent::Admit {
        card: data_encoding::HEXLOWER.encode(card.as_bytes()),
        role: RoleName::Coordinator,
        handle: "tomas".to_owned(),
        country: "CH".to_owned(),
    });
    isla.sends_all(&mut relay);
    let log = isla.log();
    let roster = log.pulled().expect("pulled").roster();
    assert!(roster.device(card.device()).is_none(), "one coordinator alone admits none");
    let (leaf, _) = roster.proposals().next().expect("it waits");
    // Meanwhile somebody else takes the number that he would have had, and the lock changes.
    olga.follows(&relay).expect("followed");
    let label = crate::names::label(&olga.log().known).expect("reads").expect("is there");
    assert!(label.members.values().all(|member| member.handle != "tomas"), "he is not in");
    let mut mira = Person::joins("mira", &mut olga, &mut relay);
    olga.locks();
    olga.sends_all(&mut relay);
    olga.wants(&Intent::Approve { entry: leaf.to_string() });
    olga.sends_all(&mut relay);
    for person in [&mut isla, &mut olga, &mut baran, &mut mira] {
        person.follows(&relay).expect("followed");
        let log = person.log();
        let roster = log.pulled().expect("pulled").roster();
        let device = roster.device(card.device()).expect("admitted");
        assert_eq!(roster.ungranted().count(), 0);
        let label = crate::names::label(&log.known).expect("reads").expect("is there");
        let called = |number: MemberNumber| label.members[&number].handle.clone();
        assert_eq!(
            (called(device.member), called(MemberNumber(4))),
            ("tomas".into(), "mira".into())
        );
    }
}

#[test]
fn history_that_was_withheld_is_handed_over_and_not_before() {
    let (mut relay, mut isla, ..) = scene();
    isla.writes("from before");
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Lock { withhold: true, if_pending: false });
    isla.sends_all(&mut relay);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    assert_eq!(mira.reads()[0].0, "unopened");
    let device = mira.app.device.device_id().to_string();
    isla.wants(&Intent::Grant { device, epoch: 1, again: false });
    isla.sends_all(&mut relay);
    mira.follows(&relay).expect("followed");
    assert_eq!(mira.reads(), [("accepted".to_owned(), "from before".to_owned())]);
    // What is handed over again is so although the log has it: that one may be broken.
    let device = mira.app.device.device_id().to_string();
    for (again, sent) in [(false, 0), (true, 1)] {
        isla.wants(&Intent::Grant { device: device.clone(), epoch: 1, again });
        assert_eq!(isla.prepares().len(), sent);
    }
}

#[test]
fn a_due_lock_goes_before_changes_that_were_wanted_earlier() {
    let (mut relay, mut isla, mut olga, baran) = scene();
    olga.wants(&Intent::Policy(PolicyParts { lease_days: Some(9), ..PolicyParts::default() }));
    isla.wants(&suspend(&baran));
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    olga.follows(&relay).expect("followed");
    assert_eq!(names_of(&olga.prepares()), ["lock"]);
}

#[test]
fn a_change_that_others_made_too_is_not_made_twice() {
    let (mut relay, mut isla, mut olga, baran) = scene();
    isla.wants(&suspend(&baran));
    olga.wants(&suspend(&baran));
    isla.sends_all(&mut relay);
    let before = relay.entries.len();
    olga.follows(&relay).expect("followed");
    olga.sends_all(&mut relay);
    assert_eq!(relay.entries.len(), before);
    assert!(olga.app.vault.read(crate::vault::Read::drafts).expect("read").is_empty());
}

#[test]
fn a_change_that_no_log_admits_is_set_aside_with_the_rule_it_breaks() {
    let (mut relay, mut isla, ..) = scene();
    let nobody = Intent::Role { member: 99, role: RoleName::Reader };
    isla.wants(&nobody);
    for bytes in isla.prepares() {
        assert!(relay.append(&bytes).is_err());
    }
    isla.follows(&relay).expect("followed");
    assert!(isla.prepares().is_empty());
    let drafts = isla.app.vault.read(crate::vault::Read::drafts).expect("read");
    let why = drafts[0].refusal.as_ref().expect("told").why.clone();
    assert!(why.contains("no such member"), "{why}");
}

#[test]
fn an_intent_of_an_older_vault_still_reads() {
    let old: Intent = serde_json::from_str(r#"{"change":"lock"}"#).expect("reads");
    assert_eq!(old, Intent::LOCK);
}

#[test]
fn a_device_that_nothing_can_be_sealed_to_keeps_no_lock_from_being_changed() {
    let (mut relay, mut isla, mut olga, baran) = scene();
    // A coordinator of another make lets in a card whose recipient is none.
    let unusable = RecipientBytes(Box::new([0xff; RECIPIENT_BYTES]));
    let keys = crate::vault::Secrets::generate().expect("randomness").device;
    let card = Card::sign(keys.signing_key(), keys.login_key(), &unusable);
    let honest = card_of(&crate::vault::Secrets::generate().expect("randomness").device);
    let Change::Admit(mut admit) = built(&olga, &honest) else { panic!("no admission") };
    admit.grants[0].device = card.device();
    admit.card = card.clone();
    olga.posts(&mut relay, &Change::Admit(admit));
    isla.follows(&relay).expect("followed");
    assert!(isla.log().pulled().expect("pulled").roster().is_active(card.device()));
    isla.wants(&suspend(&baran));
    isla.writes("under the next lock");
    isla.sends_all(&mut relay);
    olga.follows(&relay).expect("followed");
    assert_eq!(epoch(&olga), Epoch(2));
    assert_eq!(olga.reads(), [("accepted".to_owned(), "under the next lock".to_owned())]);
}

fn card_of(device: &sealpost_protocol::identity::DeviceIdentity) -> Intent {
    Intent::Admit {
        card: data_encoding::HEXLOWER.encode(device.card().as_bytes()),
        role: RoleName::Member,
        handle: "eve".to_owned(),
        country: "ZZ".to_owned(),
    }
}

/// A change as the person's client would make it now.
fn built(person: &Person, intent: &Intent) -> Change {
    let log = person.log();
    let label = crate::names::label(&log.known).expect("reads");
    let fold = log.pulled().expect("pulled");
    let mut keys = Keys::new(&person.app.device, person.no, fold);
    let made = person.app.vault.read(|vault| {
        let (no, label) = (person.no, label.as_ref());
        build::build(
            intent,
            &mut Maker { vault, no, fold, keys: &mut keys, label, now: UnixMillis(1) },
        )
    });
    made.expect("built")
}
