use super::*;
use crate::persons;
use crate::village::{MemoryRelay, Person};

fn scene() -> (MemoryRelay, Person, Person) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let baran = Person::joins("baran", &mut isla, &mut relay);
    (relay, isla, baran)
}

fn wanted(person: &Person, handle: &str) -> Wanted {
    let read = |vault: &Read<'_>| persons::everywhere(vault, handle, None);
    Wanted { memberships: person.app.vault.read(read).expect("found"), device: None }
}

fn words(person: &Person, wanted: &Wanted) -> String {
    lock_words(&person.app, wanted, &person.log().known).expect("told")
}

#[test]
fn nothing_is_called_safe_before_it_is() {
    let (mut relay, mut isla, _) = scene();
    let wanted = wanted(&isla, "baran");
    assert!(save(&mut isla.app, &wanted).expect("saved").is_empty());
    // No lock is pending, for nobody is cut off.
    assert!(words(&isla, &wanted).ends_with("they are not cut off yet"));
    relay.append(&isla.prepares()[0]).expect("no rule forbids it");
    isla.follows(&relay).expect("followed");
    assert!(words(&isla, &wanted).contains("the lock is not changed yet"));
    isla.sends_all(&mut relay);
    assert!(words(&isla, &wanted).contains("lock 2: what is sealed from now on"));
}

#[test]
fn a_notice_that_the_rules_refused_is_impossible_and_not_pending() {
    let (_, mut isla, _) = scene();
    let whom = wanted(&isla, "baran");
    save(&mut isla.app, &whom).expect("saved");
    let notice = |person: &Person| {
        let cuts = look(&person.app, &whom, &Impossible::new()).expect("looked");
        cuts[0].notice.clone()
    };
    assert_eq!(notice(&isla), Notice::Pending);
    let drafts = isla.app.vault.read(Read::drafts).expect("read");
    let refusal =
        crate::vault::outbox::Refusal { why: "a rule".to_owned(), at: isla.app.clock.now() };
    let draft = drafts.iter().find(|draft| turns::is_cut_off(draft)).expect("saved").no;
    isla.app.vault.write(|vault| vault.refuse_draft(draft, &refusal)).expect("set aside");
    assert_eq!(notice(&isla), Notice::Impossible("a rule".to_owned()));
    isla.app.vault.write(|vault| vault.remove_draft(draft)).expect("dropped");
    assert!(
        matches!(notice(&isla), Notice::Impossible(_)),
        "a later sync does not make it pending"
    );
}

#[test]
fn who_may_not_saves_nothing() {
    let (relay, _, mut baran) = scene();
    baran.follows(&relay).expect("let in");
    let isla = wanted(&baran, "isla");
    assert_eq!(save(&mut baran.app, &isla).expect_err("no coordinator").kind, Error::NotAllowed);
    assert!(baran.app.vault.read(Read::drafts).expect("read").is_empty());
}
