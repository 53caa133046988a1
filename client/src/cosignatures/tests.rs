use sealpost_protocol::checkpoint::Cosignature;
use sealpost_protocol::id::LeafIndex;

use super::*;
use crate::audit::look;
use crate::changes::{Intent, PolicyParts, Whom};
use crate::clock::Clock;
use crate::village::{MemoryRelay, Person};

/// What `person` vouches for as `size` entries with that root.
fn vouches(person: &Person, size: u64, root: Hash) -> CosignatureOf {
    let device = person.app.device.device_id();
    let checkpoint = Checkpoint { origin: person.log().origin(), size: TreeSize(size), root };
    let cosigner = Cosigner::Device(device);
    let key = person.app.device.signing_key();
    let cosignature = Cosignature::sign(&checkpoint, cosigner, key, person.app.clock.now());
    let cosignature = cosignature.text().to_owned();
    CosignatureOf { device, size: checkpoint.size, root, cosignature }
}

/// isla, who founded a committee, and baran, whom she let in.
fn scene() -> (MemoryRelay, Person, Person) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    (relay, isla, baran)
}

/// The same as `person` vouches for honestly.
fn honest(person: &Person) -> CosignatureOf {
    let head = person.log().checkpoint().expect("pulled");
    vouches(person, head.size.0, head.root)
}

fn hears(person: &mut Person, all: &[CosignatureOf]) -> Vec<DeviceId> {
    let fetched = keep(&mut person.app, person.no, all).expect("kept");
    let disputes = all_disputes(&mut person.app, person.no, fetched).expect("judged");
    disputes.into_iter().map(|dispute| dispute.device).collect()
}

fn id(person: &Person) -> DeviceId {
    person.app.device.device_id()
}

#[test]
fn who_vouches_for_another_log_is_named_even_when_the_newest_mark_agrees() {
    let (_, mut isla, baran) = scene();
    assert_eq!(hears(&mut isla, &[honest(&baran)]), []);
    let other = vouches(&baran, 1, Hash::of(b"another log"));
    for _ in 0..2 {
        let named = hears(&mut isla, std::slice::from_ref(&other));
        assert_eq!(named, [id(&baran)]);
        assert_eq!(isla.evidence(), 1, "kept once");
    }
    let looked = look(&isla.app, isla.no).expect("looked over");
    assert!(looked.vouches.iter().any(|vouch| vouch.agrees == Agrees::Same));
}

#[test]
fn a_mark_that_the_device_did_not_sign_is_nobodys_word() {
    let (_, mut isla, baran) = scene();
    let mut forged = vouches(&baran, 1, Hash::of(b"another log"));
    forged.root = Hash::of(b"a third one");
    let mut lent = vouches(&baran, 1, Hash::of(b"another log"));
    lent.device = id(&isla);
    assert_eq!(hears(&mut isla, &[forged, lent]), []);
    assert_eq!(isla.evidence(), 0);
    let looked = look(&isla.app, isla.no).expect("looked over");
    assert!(looked.vouches.iter().all(|vouch| vouch.agrees == Agrees::Silent));
}

#[test]
fn a_dispute_is_told_each_time_until_that_device_vouches_for_the_same_log() {
    let (mut relay, mut isla, mut baran) = scene();
    let other = vouches(&baran, 2, Hash::of(b"another log"));
    assert_eq!(hears(&mut isla, &[other]), [id(&baran)]);
    assert_eq!(hears(&mut isla, &[]), [id(&baran)], "though nobody says it again");
    isla.writes("sent in spite of it");
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    assert_eq!(hears(&mut isla, &[honest(&baran)]), []);
    assert_eq!(isla.evidence(), 1, "what was said stays kept");
}

#[test]
fn what_was_ahead_is_disputed_when_the_log_comes_there_with_another_root() {
    let (mut relay, mut isla, baran) = scene();
    let ahead = vouches(&baran, 3, Hash::of(b"what isla is not shown"));
    assert_eq!(hears(&mut isla, &[ahead]), [], "it may be the same log, further on");
    assert_eq!(isla.evidence(), 0);
    isla.writes("one more");
    isla.sends_all(&mut relay);
    assert_eq!(hears(&mut isla, &[]), [id(&baran)]);
    assert_eq!(isla.evidence(), 1);
}

#[test]
fn the_word_of_a_device_that_is_cut_off_is_no_dispute() {
    let (mut relay, mut isla, baran) = scene();
    assert_eq!(hears(&mut isla, &[vouches(&baran, 2, Hash::of(b"another"))]), [id(&baran)]);
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    assert_eq!(hears(&mut isla, &[]), []);
}

#[test]
fn of_each_device_the_cosignature_over_the_largest_size_is_kept() {
    let (_, mut isla, baran) = scene();
    let log = isla.log();
    let earlier = isla.app.vault.read(|vault| log.root_at(vault, TreeSize(1))).expect("a root");
    hears(&mut isla, &[honest(&baran), vouches(&baran, 1, earlier)]);
    let marks = isla.app.vault.read(|vault| vault.cosignatures(isla.no)).expect("read");
    assert_eq!(marks.iter().map(|mark| mark.size).collect::<Vec<_>>(), [TreeSize(2)]);
}

#[test]
fn an_answer_leaves_few_pieces_of_evidence_however_long_it_is() {
    let (_, mut isla, baran) = scene();
    let other = |at: u8| vouches(&baran, 1, Hash::of(&[at]));
    let many: Vec<CosignatureOf> = (0..9).map(other).collect();
    assert_eq!(hears(&mut isla, &many), [id(&baran)]);
    assert!(isla.evidence() <= 2, "the first, and the one that is kept");
}

#[test]
fn a_device_that_vouched_for_more_than_it_holds_says_so() {
    let (_, mut isla, _) = scene();
    // From after the copy of its vault that was put back; the relay does not show what it was for.
    let own = vouches(&isla, 3, Hash::of(b"what came after"));
    assert_eq!(hears(&mut isla, &[own]), [id(&isla)]);
    let (log, own) = (isla.log(), id(&isla));
    let told = isla.app.vault.read(|vault| {
        let people = People::load(vault, isla.no)?;
        let disputes = Judged::load(vault, &log)?.disputes(&log, own);
        Ok::<_, Failure>(disputes[0].told(&log.known, &people))
    });
    let told = told.expect("told");
    assert_eq!(told.kind, Error::Verification);
    assert!(told.what.contains("itself vouched for 3 entries and holds 2"), "{}", told.what);
}

#[test]
fn others_are_listened_for_each_hour_and_while_ones_newest_entry_waits_for_them() {
    let (mut relay, mut isla, mut baran) = scene();
    let due = |isla: &Person| {
        let (own, now) = (id(isla), isla.app.clock.now());
        isla.app.vault.read(|vault| is_due(vault, isla.no, own, now)).expect("judged")
    };
    assert!(due(&isla), "never yet");
    hears(&mut isla, &[]);
    assert!(due(&isla), "whether baran has what she wrote is not known");
    hears(&mut isla, &[honest(&baran)]);
    assert!(!due(&isla), "he has it, and it is confirmed");
    isla.app.clock = Clock::Stopped(UnixMillis(isla.app.clock.now().0 + LISTEN_AGAIN_MILLIS));
    assert!(due(&isla), "an hour later");
    hears(&mut isla, &[]);
    isla.writes("one more");
    isla.sends_all(&mut relay);
    assert!(due(&isla));
    baran.follows(&relay).expect("followed");
    hears(&mut isla, &[honest(&baran)]);
    assert!(!due(&isla));
    let more = PolicyParts { confirm_devices: Some(5), ..PolicyParts::default() };
    isla.wants(&Intent::Policy(more));
    isla.sends_all(&mut relay);
    baran.follows(&relay).expect("followed");
    hears(&mut isla, &[honest(&baran)]);
    assert!(!due(&isla), "everybody has it: there is nobody left to wait for");
    let newest = isla.app.vault.read(|vault| vault.newest_of(isla.no, id(&isla))).expect("read");
    assert_eq!(newest, Some(LeafIndex(isla.size().0 - 1)));
}
