use super::*;
use crate::village::{MemoryRelay, Person};

#[test]
fn a_handle_that_two_members_have_names_neither() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let baran = Person::joins("baran", &mut isla, &mut relay);
    let of = |isla: &Person, typed: &str| {
        isla.app.vault.read(|vault| named(vault, isla.no, &[typed.to_owned()]))
    };
    assert_eq!(of(&isla, " Baran").expect("one"), [MemberNumber(2)]);
    let mut label = names::label(&isla.log().known).expect("reads").expect("is there");
    label.members.get_mut(&MemberNumber(1)).expect("isla").handle = "baran".to_owned();
    let label = sealpost_protocol::codec::encode(&label);
    isla.app.vault.write(|vault| vault.set_label(isla.no, &label)).expect("set");
    assert_eq!(of(&isla, "baran").expect_err("two").kind, Error::Ambiguous);
    let device = baran.app.device_ref().to_string();
    assert_eq!(of(&isla, &device).expect("one"), [MemberNumber(2)]);
}

#[test]
fn who_is_called_like_anothers_device_is_not_taken_for_its_owner() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let baran = Person::joins("baran", &mut isla, &mut relay);
    let device = baran.app.device_ref().to_string();
    Person::joins(&device, &mut isla, &mut relay);
    let full = baran.app.device.device_id().to_string();
    for typed in [&device, &device.to_lowercase(), &full] {
        let named = isla.app.vault.read(|vault| named(vault, isla.no, &[typed.to_owned()]));
        assert_eq!(named.expect("one"), [MemberNumber(2)], "{typed}");
    }
    // A device that nobody has is nobody, whoever may be called so.
    let nobody = names::device_ref(&DeviceId(sealpost_protocol::hash::Hash::of(b"nobody's")));
    Person::joins(&nobody.to_string(), &mut isla, &mut relay);
    let named = isla.app.vault.read(|vault| named(vault, isla.no, &[nobody.to_string()]));
    assert_eq!(named.expect_err("nobody").kind, Error::NotFound);
}
