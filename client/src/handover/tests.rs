use super::*;
use crate::changes::Whom;
use crate::persons;
use crate::vault::Read;
use crate::village::{MemoryRelay, Person};

fn membership(person: &Person, handle: &str) -> Membership {
    let read = |vault: &Read<'_>| persons::everywhere(vault, handle, None);
    person.app.vault.read(read).expect("found").remove(0)
}

#[test]
fn only_what_one_holds_is_handed_over_and_only_to_who_lacks_it() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    isla.wants(&Intent::Lock { withhold: true, if_pending: false });
    isla.sends_all(&mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    isla.follows(&relay).expect("followed");
    let history = grants(&isla.app, &membership(&isla, "baran"), Locks::History).expect("some");
    assert_eq!(locks(&history), [1]);
    assert_eq!(
        locks(&grants(&isla.app, &membership(&isla, "baran"), Locks::Present).unwrap()),
        [2]
    );
    let not_held = grants(&baran.app, &membership(&baran, "isla"), Locks::One(1));
    assert_eq!(not_held.expect_err("it was withheld").kind, Error::NotAllowed);
    let nobody_lacks = grants(&isla.app, &membership(&isla, "isla"), Locks::History);
    assert_eq!(nobody_lacks.expect_err("all held").kind, Error::Failed);
}

#[test]
fn nothing_is_handed_to_who_is_cut_off() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    Person::joins("baran", &mut isla, &mut relay);
    isla.wants(&Intent::Suspend { whom: Whom::Member(2) });
    isla.sends_all(&mut relay);
    let refused = grants(&isla.app, &membership(&isla, "baran"), Locks::Present);
    assert_eq!(refused.expect_err("no active device").kind, Error::Failed);
}
