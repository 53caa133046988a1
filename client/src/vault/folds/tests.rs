use super::*;
use crate::pull;
use crate::village::{MemoryRelay, Person};

fn position(person: &Person) -> Position {
    let position = person.app.vault.read(|vault| vault.position(person.no));
    position.expect("read").expect("pulled")
}

fn fold(person: &Person) -> Option<Arc<Fold>> {
    let kept = person.app.vault.read(|vault| vault.fold(person.no)).expect("read");
    match kept.expect("pulled") {
        Kept::Fold(fold) => Some(fold),
        Kept::Older(_) => None,
    }
}

#[test]
fn a_fold_is_decoded_once_and_is_always_that_which_is_stored() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let first = fold(&isla).expect("decodes");
    assert!(Arc::ptr_eq(&first, &fold(&isla).expect("decodes")));
    isla.writes("one more");
    isla.sends(&mut relay).expect("sent");
    let later = fold(&isla).expect("decodes");
    assert_eq!((first.size().0, later.size().0), (1, 2));
    // What was remembered is what the bytes say.
    let after = position(&isla);
    assert_eq!(codec::encode(&*later), after.fold);
    let spoilt = Position { fold: b"no fold".to_vec(), ..after };
    isla.app.vault.write(|vault| vault.set_position(isla.no, &spoilt)).expect("written");
    assert!(fold(&isla).is_none());
}

#[test]
fn what_another_command_has_stored_meanwhile_is_read() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    isla.writes("one more");
    for bytes in isla.prepares() {
        relay.append(&bytes).expect("no rule forbids it");
    }
    assert_eq!(fold(&isla).expect("decodes").size().0, 1);
    let (mut beside, pulled) = (isla.beside(), relay.pulled(isla.size()));
    pull::accept(&mut beside, isla.no, &pulled).expect("followed");
    assert_eq!(fold(&isla).expect("decodes").size().0, 2);
}
