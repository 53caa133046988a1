//! What waits is sent once, in order, by the same bytes, and sealed anew when others were quicker.

use sealpost_protocol::frame::Accepted;

use super::*;
use crate::changes::{Intent, RoleName};
use crate::vault::outbox::Sending;
use crate::village::{MemoryRelay, Person, scene};

fn texts(person: &Person) -> Vec<String> {
    person.reads().into_iter().map(|(_, text)| text).collect()
}

#[test]
fn what_was_signed_is_sent_byte_for_byte_until_the_log_has_it() {
    let (mut relay, _, mut baran) = scene();
    baran.writes("one");
    baran.writes("two");
    let sent = baran.prepares();
    assert_eq!(sent.len(), 2);
    assert_eq!(baran.prepares(), sent);
    baran.writes("three");
    assert_eq!(baran.prepares(), sent, "what came later waits behind what is on its way");
    for bytes in &sent {
        relay.append(bytes).expect("one behind the other");
    }
    let brought = baran.follows(&relay).expect("followed");
    assert_eq!((brought.sent, brought.received), (2, 0));
    assert_eq!(baran.prepares().len(), 1);
    baran.sends(&mut relay).expect("sent");
    assert_eq!(texts(&baran), ["one", "two", "three"]);
    assert!(baran.prepares().is_empty());
}

#[test]
fn a_lock_that_came_first_has_what_waits_sealed_anew_and_sent_once() {
    let (mut relay, mut isla, mut baran) = scene();
    let id = baran.writes("one");
    let stale = baran.prepares();
    isla.locks();
    isla.sends(&mut relay).expect("locked");
    assert!(relay.append(&stale[0]).is_err(), "the relay refuses the old lock");
    baran.follows(&relay).expect("followed");
    let fresh = baran.prepares();
    assert_ne!(fresh, stale);
    relay.append(&fresh[0]).expect("under the new lock");
    baran.follows(&relay).expect("followed");
    isla.follows(&relay).expect("followed");
    assert_eq!((texts(&isla), texts(&baran)), (vec!["one".to_owned()], vec!["one".to_owned()]));
    let record = isla.app.vault.read(|vault| vault.records_by_id(&id)).expect("read");
    assert_eq!(record.len(), 1, "its id stayed the same");
    assert_eq!(record[0].epoch.0, 2);
}

#[test]
fn a_record_that_arrived_and_was_sealed_anew_is_there_once() {
    let (mut relay, isla, mut baran) = scene();
    let id = baran.writes("one");
    let first = baran.prepares();
    relay.append(&first[0]).expect("it arrives, and nobody tells");
    // A defect of this program, or a vault put back: the draft lost its bytes.
    let draft = baran.app.vault.read(|vault| vault.draft(&id)).expect("read").expect("waits");
    let refusal = Refusal { why: "lost".to_owned(), at: UnixMillis(1) };
    baran.app.vault.write(|vault| vault.unsign_draft(draft.no, &refusal)).expect("unsigned");
    baran.follows(&relay).expect("followed");
    assert!(baran.prepares().is_empty(), "the log has its id already");
    assert_eq!(texts(&baran), ["one"]);
    drop(isla);
}

#[test]
fn what_the_relay_refuses_without_reason_stays_as_it_is() {
    let (relay, _, mut baran) = scene();
    baran.writes("one");
    let sent = baran.prepares();
    // The relay says no; the log says nothing that would explain it.
    baran.follows(&relay).expect("nothing new");
    assert_eq!(baran.prepares(), sent);
    assert_eq!(baran.reads(), [("sending".to_owned(), "one".to_owned())]);
}

#[test]
fn roster_changes_and_records_go_in_the_order_in_which_they_were_written() {
    let (mut relay, mut isla, mut baran) = scene();
    isla.writes("under lock 1");
    isla.locks();
    isla.writes("under lock 2");
    isla.locks();
    isla.writes("under lock 3");
    for _ in 0..3 {
        isla.sends(&mut relay).expect("sent");
    }
    assert!(isla.prepares().is_empty());
    baran.follows(&relay).expect("followed");
    assert_eq!(texts(&baran), ["under lock 1", "under lock 2", "under lock 3"]);
    let epochs: Vec<u32> = baran
        .app
        .vault
        .read(|vault| vault.records(baran.no))
        .expect("read")
        .iter()
        .map(|record| record.epoch.0)
        .collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn a_newcomer_reads_back_through_the_links() {
    let (mut relay, mut isla, _) = scene();
    isla.writes("under lock 1");
    isla.locks();
    isla.writes("under lock 2");
    for _ in 0..2 {
        isla.sends(&mut relay).expect("sent");
    }
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("let in");
    assert_eq!(texts(&mira), ["under lock 1", "under lock 2"]);
}

#[test]
fn a_vault_put_back_from_a_backup_goes_on_from_the_log_and_says_so() {
    let (mut relay, mut isla, mut baran) = scene();
    let copy = baran.copies();
    baran.writes("written after the copy");
    baran.sends(&mut relay).expect("sent");
    let mut baran = baran.puts_back(&copy);
    let brought = baran.follows(&relay).expect("followed");
    assert!(brought.faults[0].contains("put back from a backup"), "{:?}", brought.faults);
    baran.writes("after that");
    baran.sends(&mut relay).expect("the chain goes on");
    isla.follows(&relay).expect("followed");
    assert_eq!(texts(&isla), ["written after the copy", "after that"]);
}

#[test]
fn a_colleagues_record_is_not_pushed_aside_by_copying_its_id() {
    let (mut relay, mut isla, mut baran) = scene();
    let id = baran.writes("mine");
    // Isla, with the relay's help, knows the id and is first.
    let copied = isla.writes("a copy");
    let draft = isla.app.vault.read(|vault| vault.draft(&copied)).expect("read").expect("waits");
    let forged = String::from_utf8(draft.new.draft.clone()).expect("JSON").replace(&copied, &id);
    isla.app.vault.write(|vault| vault.remove_draft(draft.no)).expect("removed");
    let new = crate::vault::outbox::NewDraft { draft: forged.into_bytes(), ..draft.new };
    isla.app.vault.write(|vault| vault.save_draft(&new)).expect("saved");
    isla.sends(&mut relay).expect("sent");
    baran.follows(&relay).expect("followed");
    baran.sends(&mut relay).expect("sent in spite of it");
    isla.follows(&relay).expect("followed");
    assert_eq!(texts(&baran), ["a copy", "mine"]);
    assert_eq!(texts(&isla), ["a copy", "mine"]);
}

#[test]
fn an_admission_that_somebody_else_made_is_done() {
    let (mut relay, mut isla, _) = scene();
    let card = isla.app.device.card();
    let intent = Intent::Admit {
        card: data_encoding::HEXLOWER.encode(card.as_bytes()),
        role: RoleName::Member,
        handle: "isla".to_owned(),
        country: "CH".to_owned(),
    };
    crate::outbox::save_intent(&mut isla.app, isla.no, &intent).expect("saved");
    assert!(isla.prepares().is_empty(), "she is in the roster");
    isla.sends(&mut relay).expect("nothing to send");
    assert!(isla.app.vault.read(|vault| vault.unsent(isla.no)).expect("read").is_empty());
}

#[test]
fn what_is_for_named_readers_opens_for_them_and_stays_sealed_to_the_rest() {
    let (mut relay, mut isla, mut baran) = scene();
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    isla.follows(&relay).expect("followed");
    let readers =
        isla.app.vault.read(|vault| crate::members::named(vault, isla.no, &["baran".to_owned()]));
    let kind = crate::kinds::Kind::named("trial-note").expect("a kind");
    let given = serde_json::json!({"what_happened": "for all", "lawyer_only": "for few"});
    let readers = readers.expect("baran is known");
    crate::outbox::save_record(&mut isla.app, isla.no, &kind, given, &readers).expect("saved");
    isla.sends(&mut relay).expect("sent");
    for (person, reads) in [(&mut isla, true), (&mut baran, true), (&mut mira, false)] {
        person.follows(&relay).expect("followed");
        let rows = crate::catalog::list(&person.app, None).expect("listed");
        let shown = crate::catalog::show(&person.app, &rows[0].reference).expect("shown").record;
        assert_eq!(shown["what_happened"], "for all");
        assert_eq!(shown["sealed"]["lawyer_only"] == "for few", reads);
        assert_eq!(shown["sealed"].is_string(), !reads);
        assert_eq!(shown.get("readers"), None, "nobody is told who reads");
    }
    let unknown =
        isla.app.vault.read(|vault| crate::members::named(vault, isla.no, &["robin".to_owned()]));
    assert_eq!(unknown.expect_err("nobody").kind, Error::NotFound);
}

#[test]
fn what_can_never_be_sealed_is_set_aside_and_keeps_nothing_back() {
    let (mut relay, mut isla, _) = scene();
    let device = &isla.app.device;
    let unusable = sealpost_protocol::card::RecipientBytes(Box::new([0xff; 1_216]));
    let other = DeviceIdentity::generate(&std::array::from_fn(|at| u8::try_from(at).unwrap_or(0)));
    assert_ne!(device.device_id(), other.device_id());
    let card =
        sealpost_protocol::card::Card::sign(other.signing_key(), other.login_key(), &unusable);
    let intent = Intent::Admit {
        card: data_encoding::HEXLOWER.encode(card.as_bytes()),
        role: RoleName::Member,
        handle: "eve".to_owned(),
        country: "CH".to_owned(),
    };
    let id = crate::outbox::save_intent(&mut isla.app, isla.no, &intent).expect("saved");
    isla.writes("after it");
    isla.sends(&mut relay).expect("sent");
    assert_eq!(texts(&isla), ["after it"]);
    let draft = isla.app.vault.read(|vault| vault.draft(&id)).expect("read").expect("kept");
    assert_eq!(draft.sending, Sending::Refused);
    assert!(draft.refusal.expect("says why").why.contains("card"));
}

#[test]
fn an_id_that_was_copied_into_another_committee_leaves_both_records_a_name() {
    let (mut relay, mut isla, _) = scene();
    let id = isla.writes("mine");
    let elsewhere = crate::vault::fixture::add_committee(&mut isla.app.vault, 8);
    let copy = Record {
        committee: elsewhere,
        index: LeafIndex(0),
        reference: sealpost_protocol::reference::Ref::new("N", id.as_bytes()).to_string(),
        id,
        kind: "note".to_owned(),
        author: DeviceId(Hash::of(b"eve")),
        epoch: Epoch(1),
        made: UnixMillis(1),
        content: crate::vault::records::Content::Opened(r#"{"text":"a copy"}"#.to_owned()),
    };
    isla.app.vault.write(|vault| vault.put_record(&copy)).expect("stored");
    isla.sends(&mut relay).expect("sent");
    assert_eq!(texts(&isla), ["mine", "a copy"]);
}

#[test]
fn an_answer_is_taken_only_with_one_receipt_that_holds_for_each_entry() {
    let (mut relay, _, mut baran) = scene();
    baran.writes("one");
    baran.writes("two");
    let (log, batch) = prepare(&mut baran.app, baran.no).expect("prepared");
    let mut leaves = Vec::new();
    for flying in &batch {
        relay.append(&flying.bytes).expect("admitted");
    }
    for bytes in &relay.entries {
        leaves.push(UnverifiedEntry::decode(bytes).expect("an entry").leaf());
    }
    let mut frontier = tree::Frontier::new();
    let nodes: Vec<Hash> = leaves.iter().flat_map(|leaf| frontier.append(*leaf)).collect();
    let accepted = |index: u64| {
        let index = LeafIndex(index);
        let proof = tree::inclusion_proof(index, frontier.size(), nodes.as_slice());
        PushResult::Accepted(Accepted { index, proof: proof.expect("in the tree") })
    };
    let refused = PushResult::Refused(Refused { code: Code::Busy });
    let checkpoint = relay.note_at(relay.entries.len());
    let mut answer = |results: Vec<PushResult>| {
        let pushed = Pushed { results, checkpoint: checkpoint.clone() };
        let mut words = Vec::new();
        take_answer(&mut baran.app, &log, &batch, &pushed, &mut words).map(|took| (took, words))
    };
    let lie = |answer: Result<_, FollowError>| match answer {
        Err(FollowError::Caught(caught)) => caught.lie,
        other => panic!("not caught: {other:?}"),
    };
    assert!(matches!(lie(answer(vec![accepted(2)])), Lie::Results { sent: 2, got: 1 }));
    assert!(matches!(lie(answer(vec![accepted(3), accepted(2)])), Lie::Receipt(_)));
    let (took, words) = answer(vec![refused.clone(), refused]).expect("a refusal is an answer");
    assert_eq!((took.accepted, words.len()), (false, 2));
    let (took, words) = answer(vec![accepted(2), accepted(3)]).expect("the honest case");
    assert_eq!((took.accepted, words.len()), (true, 0));
    let ahead = baran.app.vault.read(|vault| vault.ahead(baran.no)).expect("read");
    assert_eq!(ahead.len(), 1, "what it signed binds it");
    let receipts = baran.app.vault.read(|vault| vault.receipts(baran.no)).expect("read");
    let of: Vec<_> = receipts.iter().map(|it| (it.index, it.entry.leaf())).collect();
    assert_eq!(of, [(LeafIndex(2), batch[0].leaf), (LeafIndex(3), batch[1].leaf)]);
    assert!(receipts.iter().all(|it| it.note == ahead[0].note && it.entry.payload().is_none()));
    // The log grew by just that: it need not be pulled to be verified.
    let brought = pull::accept(&mut baran.app, baran.no, &took.stretch.expect("his alone"));
    assert_eq!(brought.expect("verified").0.sent, 2);
    assert_eq!(baran.size(), frontier.size());
    assert_eq!(baran.app.vault.read(|vault| vault.receipts(baran.no)).expect("read"), []);
}

#[test]
fn what_came_in_between_or_right_after_is_pulled() {
    for between in [true, false] {
        what_came_is_pulled(between);
    }
}

fn what_came_is_pulled(between: bool) {
    let (mut relay, mut isla, mut baran) = scene();
    baran.writes("one");
    let (log, batch) = prepare(&mut baran.app, baran.no).expect("prepared");
    isla.writes("a colleague's");
    if between {
        isla.sends(&mut relay).expect("sent");
    }
    relay.append(&batch[0].bytes).expect("admitted");
    if !between {
        isla.sends(&mut relay).expect("sent");
    }
    let leaf = |bytes: &Vec<u8>| UnverifiedEntry::decode(bytes).expect("an entry").leaf();
    let mut frontier = tree::Frontier::new();
    let nodes: Vec<Hash> =
        relay.entries.iter().flat_map(|bytes| frontier.append(leaf(bytes))).collect();
    let index = LeafIndex(if between { 3 } else { 2 });
    let proof = tree::inclusion_proof(index, frontier.size(), nodes.as_slice()).expect("in it");
    let results = vec![PushResult::Accepted(Accepted { index, proof })];
    let pushed = Pushed { results, checkpoint: relay.note_at(relay.entries.len()) };
    let took = take_answer(&mut baran.app, &log, &batch, &pushed, &mut Vec::new());
    assert!(took.expect("the honest case").stretch.is_none());
}

#[test]
fn a_kind_that_is_no_name_is_not_listed() {
    let (mut relay, mut isla, mut baran) = scene();
    let id = isla.writes("heron");
    let draft = isla.app.vault.read(|vault| vault.draft(&id)).expect("read").expect("waits");
    let long = format!("\"kind\":\"{}\"", "x".repeat(65));
    let changed = String::from_utf8(draft.new.draft.clone()).expect("JSON");
    let changed = changed.replace("\"kind\":\"note\"", &long);
    isla.app.vault.write(|vault| vault.remove_draft(draft.no)).expect("removed");
    let new = crate::vault::outbox::NewDraft { draft: changed.into_bytes(), ..draft.new };
    isla.app.vault.write(|vault| vault.save_draft(&new)).expect("saved");
    isla.sends(&mut relay).expect("sent");
    baran.follows(&relay).expect("followed");
    let rows = crate::catalog::list(&baran.app, None).expect("listed");
    assert_eq!(rows[0].kind, "");
    assert_eq!(texts(&baran), ["heron"]);
}

#[test]
fn bytes_that_no_log_would_admit_are_set_aside_and_keep_nothing_back() {
    let (mut relay, _, mut baran) = scene();
    let mut elsewhere = Person::founds("mira", &mut MemoryRelay::new(8));
    elsewhere.writes("to another committee");
    let foreign = elsewhere.prepares().remove(0);
    let entry = UnverifiedEntry::decode(&foreign).expect("an entry");
    let (leaf_hash, author_seq) = (entry.leaf(), entry.header().author_seq);
    let id = baran.writes("never");
    let draft = |person: &Person| person.app.vault.read(|vault| vault.draft(&id)).expect("read");
    let no = draft(&baran).expect("waits").no;
    let signed = Signed { leaf_hash, author_seq };
    baran.app.vault.write(|vault| vault.sign_draft(no, &foreign, &signed)).expect("signed");
    baran.writes("after it");
    baran.sends(&mut relay).expect("sent");
    assert_eq!(baran.reads()[0], ("accepted".to_owned(), "after it".to_owned()));
    assert_eq!(draft(&baran).expect("kept").sending, Sending::Refused);
}

#[test]
fn a_push_is_no_longer_than_its_limit() {
    let (mut relay, _, mut baran) = scene();
    let long = "x".repeat(PUSH_BYTES * 2 / 3);
    for _ in 0..2 {
        baran.writes(&long);
    }
    for _ in 0..2 {
        let sent = baran.prepares();
        assert_eq!(sent.len(), 1);
        relay.append(&sent[0]).expect("admitted");
        baran.follows(&relay).expect("followed");
    }
    assert_eq!(texts(&baran).len(), 2);
}

#[test]
fn what_lacks_a_lock_keeps_nothing_behind_it_back() {
    let (mut relay, mut isla, baran) = scene();
    let device = baran.app.device.device_id().to_string();
    isla.wants(&Intent::Grant { device, epoch: 9, again: true });
    isla.writes("behind it");
    isla.sends(&mut relay).expect("sent");
    assert_eq!(texts(&isla), ["behind it"]);
    // Alone it is told of, and stays.
    let told = prepare(&mut isla.app, isla.no).map(|_| ()).expect_err("told");
    assert_eq!(told.kind, Error::NotDelivered);
    assert_eq!(isla.app.vault.read(Read::drafts).expect("read").len(), 1);
}
