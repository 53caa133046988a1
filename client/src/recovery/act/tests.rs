use super::*;
use crate::vault::Secrets;
use crate::village::{MemoryRelay, Person};

#[test]
fn what_acts_as_the_spare_is_itself_again_whatever_happens() {
    let mut relay = MemoryRelay::new(9);
    let mut app = Person::founds("isla", &mut relay).app;
    let own = app.device.device_id();
    let spare = Secrets::generate().expect("randomness").device;
    let other = spare.device_id();
    let acting = Acting::begin(&mut app, spare);
    assert_eq!(acting.app.device.device_id(), other);
    drop(acting);
    assert_eq!(app.device.device_id(), own);
}
