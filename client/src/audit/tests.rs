use sealpost_protocol::checkpoint::Cosignature;

use super::*;
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

#[test]
fn who_vouches_for_another_log_is_named_even_when_the_newest_mark_agrees() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let honest = vouches(&baran, 2, isla.log().checkpoint().expect("pulled").root);
    assert_eq!(keep(&mut isla.app, isla.no, &[honest]).expect("kept"), []);
    let other = vouches(&baran, 1, Hash::of(b"another log"));
    for _ in 0..2 {
        let named = keep(&mut isla.app, isla.no, std::slice::from_ref(&other)).expect("kept");
        assert_eq!(named, [baran.app.device.device_id()]);
        assert_eq!(isla.evidence(), 1, "kept once");
    }
    let looked = look(&isla.app, isla.no).expect("looked over");
    assert!(looked.vouches.iter().any(|vouch| vouch.agrees == Agrees::Same));
}

#[test]
fn a_mark_that_the_device_did_not_sign_is_nobodys_word() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let mut forged = vouches(&baran, 1, Hash::of(b"another log"));
    forged.root = Hash::of(b"a third one");
    let mut lent = vouches(&baran, 1, Hash::of(b"another log"));
    lent.device = isla.app.device.device_id();
    assert_eq!(keep(&mut isla.app, isla.no, &[forged, lent]).expect("kept"), []);
    assert_eq!(isla.evidence(), 0);
    let looked = look(&isla.app, isla.no).expect("looked over");
    assert!(looked.vouches.iter().all(|vouch| vouch.agrees == Agrees::Silent));
}
