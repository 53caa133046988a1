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
