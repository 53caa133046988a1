use super::*;
use crate::changes::Intent;
use crate::vault::Write;
use crate::vault::outbox::Refusal;
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

#[test]
fn what_another_sync_found_refused_is_told_and_not_taken_for_sent() {
    let mut isla = Person::founds("isla", &mut MemoryRelay::new(9));
    isla.wants(&Intent::LOCK);
    isla.wants(&Intent::LOCK);
    let drafts = isla.app.vault.read(|vault| vault.unsent(isla.no)).expect("read");
    let ids: Vec<String> = drafts.into_iter().map(|draft| draft.new.id).collect();
    let refusal = Refusal { why: "the rules forbid it".to_owned(), at: isla.app.clock.now() };
    let refuse = |vault: &Write<'_>| {
        let drafts = vault.unsent(isla.no)?;
        drafts.iter().take(1).try_for_each(|draft| vault.refuse_draft(draft.no, &refusal))
    };
    isla.app.vault.write(refuse).expect("written");
    let Delivery::Waiting(failure) =
        deliver_all(&mut isla.app, isla.no, &ids, Duration::from_secs(1))
    else {
        panic!("sent without a relay")
    };
    assert_eq!(failure.kind, Error::NotAllowed);
    assert!(failure.what.contains("the rules forbid it"), "{}", failure.what);
}
