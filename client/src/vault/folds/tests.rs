use super::*;
use crate::village::{MemoryRelay, Person};

fn position(person: &Person) -> Position {
    let position = person.app.vault.read(|vault| vault.position(person.no));
    position.expect("read").expect("pulled")
}

fn fold(person: &Person, position: &Position) -> Option<Arc<Fold>> {
    let read =
        |vault: &Read<'_>| Ok::<_, crate::vault::VaultError>(vault.fold(person.no, position));
    person.app.vault.read(read).expect("read")
}

#[test]
fn a_fold_is_decoded_once_and_is_always_that_of_the_bytes() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let before = position(&isla);
    let first = fold(&isla, &before).expect("decodes");
    assert!(Arc::ptr_eq(&first, &fold(&isla, &before).expect("decodes")));
    isla.writes("one more");
    isla.sends(&mut relay).expect("sent");
    let after = position(&isla);
    let later = fold(&isla, &after).expect("decodes");
    assert_eq!((first.size().0, later.size().0), (1, 2));
    // What was remembered is what the bytes say.
    assert_eq!(codec::encode(&*later), after.fold);
    assert_eq!(codec::encode(&*fold(&isla, &before).expect("decodes")), before.fold);
    let spoilt = Position { fold: b"no fold".to_vec(), ..after };
    assert!(fold(&isla, &spoilt).is_none());
}
