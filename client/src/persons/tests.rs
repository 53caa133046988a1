use sealpost_protocol::change::{AddDevice, Change, Grant};
use sealpost_protocol::seal::{EpochSecret, seal_grant};

use super::*;
use crate::village::{MemoryRelay, Person};

#[test]
fn a_device_that_a_member_only_claims_is_not_taken_for_theirs() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    // A stranger to this committee, whose card baran has from another one.
    let mira = Person::founds("mira", &mut MemoryRelay::new(8));
    let card = mira.app.device.card();
    let secret = EpochSecret::generate(&[1; 32]);
    let file = seal_grant(&secret, &mira.app.device.hybrid().recipient()).into();
    let grant = Grant { device: card.device(), file };
    baran.posts(&mut relay, &Change::Device(Box::new(AddDevice { card, grant })));
    isla.follows(&relay).expect("followed");
    let log = isla.log();
    let theirs = membership(&log, MemberNumber(2)).expect("read").expect("a member");
    assert_eq!(theirs.devices.len(), 2);
    let own = baran.app.device.device_id();
    assert_eq!(acknowledged(&log, &theirs).expect("read"), [own]);
    let all = all_devices(&theirs, std::slice::from_ref(&log)).expect("read");
    assert_eq!(all, BTreeSet::from([own]));
}
