use super::*;
use crate::village::{MemoryRelay, Person};

#[test]
fn what_was_saved_waits_whatever_keeps_a_round_from_beginning() {
    let mut isla = Person::founds("isla", &mut MemoryRelay::new(9));
    let id = isla.writes("one");
    let lock = isla.app.vault.home().path().join("lock");
    std::fs::remove_file(&lock).expect("it is there");
    std::fs::create_dir(&lock).expect("in its place");
    let Delivery::Waiting(failure) = deliver(&mut isla.app, isla.no, &id, Duration::from_secs(1))
    else {
        panic!("sent without a relay")
    };
    assert_eq!(failure.kind, Error::NotWritable);
}
