//! A relay's lies, each beside the honest answer that is taken: exit 7, and the vault as before.

use sealpost_protocol::change::{Change, Label};
use sealpost_protocol::checkpoint::{Checkpoint, Origin};
use sealpost_protocol::entry::{Entry, Header, UnverifiedEntry};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{InvitationId, LeafIndex, Term, UnixMillis};
use sealpost_protocol::invitation::{Invitation, InvitationSecret};
use sealpost_protocol::seal::{EpochKeys, EpochSecret};
use sealpost_protocol::sign::SigningKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::*;
use crate::error::Kind as Error;
use crate::vault::ahead::Ahead;
use crate::vault::committees::Position;
use crate::village::{MemoryRelay, Person};

/// Isla has founded, let Baran in and written four notes, of which Baran has seen one.
fn scene() -> (MemoryRelay, Person, Person) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    isla.writes("one");
    isla.sends(&mut relay).expect("sent");
    baran.follows(&relay).expect("the honest case");
    for text in ["two", "three", "four"] {
        isla.writes(text);
    }
    isla.sends(&mut relay).expect("sent");
    (relay, isla, baran)
}

/// Shows `baran` an answer that is a lie: he has what he had, keeps so many exhibits, and still
/// takes the truth. Returns how the lie is named.
fn caught(relay: &MemoryRelay, baran: &mut Person, pulled: &Pulled, exhibits: u64) -> String {
    let before = baran.digest();
    let error = baran.takes(pulled).expect_err("a lie");
    let FollowError::Caught(caught) = error else { panic!("not caught: {error:?}") };
    assert_eq!(baran.digest(), before, "nothing new was taken");
    let lie = caught.lie.to_string();
    let known = baran.app.vault.read(|vault| vault.committee_no(baran.no)).expect("known");
    let failure = caught.told(&mut baran.app, &known);
    assert_eq!(failure.kind, Error::Verification);
    let reference = names::committee_ref(&known.id).to_string();
    assert!(failure.next.ends_with(&reference), "{}", failure.next);
    assert_eq!(baran.evidence(), exhibits, "{lie}");
    baran.follows(relay).expect("the truth is still taken");
    let read: Vec<_> = baran.reads().into_iter().map(|(_, text)| text).collect();
    assert_eq!(read, ["one", "two", "three", "four"]);
    lie
}

/// An entry's header with its signature, over other payload bytes.
fn with_payload(entry: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let decoded = UnverifiedEntry::decode(entry).expect("an entry");
    let payload = decoded.payload().expect("a payload");
    let mut changed = entry[..entry.len() - payload.len()].to_vec();
    let mut payload = payload.to_vec();
    change(&mut payload);
    changed.extend(payload);
    changed
}

fn root_of(note: &str) -> Hash {
    UnverifiedCheckpoint::parse(note.as_bytes()).expect("a note").claimed().root
}

#[test]
fn a_dropped_entry_is_caught() {
    let (relay, _, mut baran) = scene();
    let mut pulled = relay.pulled(baran.size());
    pulled.entries.remove(1);
    let lie = caught(&relay, &mut baran, &pulled, 2);
    assert!(lie.contains("not those it signed for"), "{lie}");
}

#[test]
fn reordered_and_doubled_entries_are_caught() {
    let (relay, _, mut baran) = scene();
    let honest = relay.pulled(baran.size());
    let mut swapped = Pulled { entries: honest.entries.clone(), note: honest.note.clone() };
    swapped.entries.swap(0, 1);
    caught(&relay, &mut baran, &swapped, 2);
    let (relay, _, mut baran) = scene();
    let mut doubled = relay.pulled(baran.size());
    doubled.entries.insert(0, doubled.entries[0].clone());
    caught(&relay, &mut baran, &doubled, 2);
}

#[test]
fn entries_that_were_reordered_under_a_signed_root_are_evidence() {
    let (relay, _, mut baran) = scene();
    let mut entries = relay.entries.clone();
    let last = entries.len() - 1;
    entries.swap(last, last - 1);
    let from = usize::try_from(baran.size().0).expect("small");
    let note = relay.note_over(&entries);
    let pulled = Pulled { entries: entries[from..].to_vec(), note };
    let lie = caught(&relay, &mut baran, &pulled, 2);
    assert!(lie.contains("is not admissible") && lie.contains("chain"), "{lie}");
}

#[test]
fn a_changed_payload_is_caught_and_one_that_is_left_out_too() {
    let (relay, _, mut baran) = scene();
    let mut pulled = relay.pulled(baran.size());
    pulled.entries[1] = with_payload(&pulled.entries[1], |payload| payload[300] ^= 1);
    let lie = caught(&relay, &mut baran, &pulled, 0);
    assert!(lie.contains("SHA-256"), "{lie}");
    let (relay, _, mut baran) = scene();
    let mut pulled = relay.pulled(baran.size());
    let bare =
        UnverifiedEntry::decode(&pulled.entries[1]).expect("an entry").with_payload_dropped();
    pulled.entries[1] = bare.encode();
    let lie = caught(&relay, &mut baran, &pulled, 1);
    assert!(lie.contains("nothing in its log forgets it"), "{lie}");
}

#[test]
fn garbage_in_place_of_an_entry_is_caught() {
    let (relay, _, mut baran) = scene();
    let mut pulled = relay.pulled(baran.size());
    pulled.entries[0] = b"not an entry".to_vec();
    let lie = caught(&relay, &mut baran, &pulled, 0);
    assert!(lie.contains("is none"), "{lie}");
}

#[test]
fn a_roll_back_is_caught_and_both_notes_are_kept() {
    let (relay, _, mut baran) = scene();
    let shown = usize::try_from(baran.size().0).expect("small") - 1;
    let pulled = Pulled { entries: Vec::new(), note: relay.note_at(shown) };
    let lie = caught(&relay, &mut baran, &pulled, 1);
    assert!(lie.contains("shows 2 entries and has signed for 3"), "{lie}");
}

#[test]
fn two_roots_for_one_size_are_caught_and_both_notes_are_kept() {
    let (relay, _, mut baran) = scene();
    let note = relay.note_of(baran.size(), Hash::of(b"another log"));
    let lie = caught(&relay, &mut baran, &Pulled { entries: Vec::new(), note }, 1);
    assert!(lie.contains("two different logs of 3 entries"), "{lie}");
}

#[test]
fn a_fork_between_what_was_signed_for_and_what_is_shown_is_caught() {
    let (relay, mut isla, mut baran) = scene();
    // Baran was told of a log of four entries; then he is shown one that goes on differently.
    let size = baran.size().next();
    let note = relay.note_of(size, Hash::of(b"another log"));
    baran.app.vault.write(|vault| vault.put_ahead(baran.no, &Ahead { size, note })).expect("kept");
    isla.follows(&relay).expect("nobody told her");
    let before = baran.digest();
    let error = baran.takes(&relay.pulled(baran.size())).expect_err("a fork");
    let FollowError::Caught(caught) = error else { panic!("not caught: {error:?}") };
    assert!(matches!(caught.lie, Lie::TwoRoots(at) if at == size), "{}", caught.lie);
    assert_eq!(caught.exhibits.len(), 2);
    assert_eq!(baran.digest(), before);
}

#[test]
fn what_was_acknowledged_must_be_shown() {
    let (relay, mut isla, _) = scene();
    // The relay signs for a note of Isla's and then behaves as if it had never come.
    isla.writes("five");
    let sent = isla.prepares();
    let mut honest = relay.clone();
    honest.append(&sent[0]).expect("admitted");
    let size = TreeSize(honest.entries.len() as u64);
    let ahead = Ahead { size, note: honest.note_at(honest.entries.len()) };
    isla.app.vault.write(|vault| vault.put_ahead(isla.no, &ahead)).expect("kept");
    let error = isla.takes(&relay.pulled(isla.size())).expect_err("acknowledged and dropped");
    let FollowError::Caught(caught) = error else { panic!("not caught: {error:?}") };
    assert!(matches!(caught.lie, Lie::RolledBack { .. }), "{}", caught.lie);
    assert_eq!(caught.exhibits.len(), 2, "the receipt's note, and the one shown");
    assert_eq!(isla.prepares(), sent, "the outbox has it still");
    isla.follows(&honest).expect("the relay shows it after all");
    assert!(isla.prepares().is_empty());
}

#[test]
fn a_note_of_another_key_or_another_log_is_caught() {
    let (relay, _, mut baran) = scene();
    let mut impostor = relay.clone();
    impostor.key = SigningKey::from_bytes(&[8; 32]);
    let pulled = impostor.pulled(baran.size());
    let lie = caught(&relay, &mut baran, &pulled, 0);
    assert!(lie.contains("checkpoint is not sound"), "{lie}");
    let (_, _, mut baran) = scene();
    let mut elsewhere = MemoryRelay::new(9);
    Person::founds("mira", &mut elsewhere);
    let error = baran.takes(&elsewhere.pulled(TreeSize(0))).expect_err("another committee's note");
    assert!(matches!(error, FollowError::Caught(Caught { lie: Lie::Note(_), .. })), "{error:?}");
}

#[test]
fn an_entry_that_no_rule_admits_is_evidence_under_the_relays_root() {
    let (relay, _, mut baran) = scene();
    let stranger = SigningKey::from_bytes(&[7; 32]);
    let last = UnverifiedEntry::decode(relay.entries.last().expect("some")).expect("an entry");
    let header = Header { author: isla_not(&last), ..last.header().clone() };
    let forged = Entry::sign(header, last.payload().expect("a payload").to_vec(), &stranger);
    let mut entries = relay.entries.clone();
    entries.push(forged.encode());
    let from = usize::try_from(baran.size().0).expect("small");
    let note = relay.note_over(&entries);
    let pulled = Pulled { entries: entries[from..].to_vec(), note: note.clone() };
    let lie = caught(&relay, &mut baran, &pulled, 2);
    assert!(lie.contains("entry 6 is not admissible"), "{lie}");
    assert_ne!(root_of(&note), root_of(&relay.pulled(TreeSize(0)).note));
}

/// Isla has let Baran in, and both have written so much that it is verified and opened on all cores.
fn much() -> (MemoryRelay, Person, Vec<String>) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let mut texts = Vec::new();
    for (whose, writer) in [("isla", &mut isla), ("baran", &mut baran)] {
        for number in 0..100 {
            texts.push(format!("{whose} {number}"));
            writer.writes(&texts[texts.len() - 1]);
        }
        writer.follows(&relay).expect("followed");
        writer.sends_all(&mut relay);
    }
    (relay, isla, texts)
}

#[test]
fn much_that_comes_at_once_is_all_verified_and_opened_in_its_order() {
    let (mut relay, mut isla, texts) = much();
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    mira.follows(&relay).expect("all of it in one answer");
    let read: Vec<_> = mira.reads().into_iter().map(|(_, text)| text).collect();
    assert_eq!(read, texts);
}

#[test]
fn of_many_entries_the_first_that_is_not_admissible_is_named() {
    let (mut relay, mut isla, _) = much();
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    let mut entries = relay.entries.clone();
    let stranger = SigningKey::from_bytes(&[7; 32]);
    for at in [190, 150] {
        let signed = UnverifiedEntry::decode(&entries[at]).expect("an entry");
        let payload = signed.payload().expect("a payload").to_vec();
        entries[at] = Entry::sign(signed.header().clone(), payload, &stranger).encode();
        let pulled = Pulled { entries: entries.clone(), note: relay.note_over(&entries) };
        let error = mira.takes(&pulled).expect_err("a forged entry");
        let FollowError::Caught(caught) = error else { panic!("not caught: {error:?}") };
        let lie = caught.lie.to_string();
        assert!(lie.contains(&format!("entry {at} is not admissible")), "{lie}");
        assert!(lie.contains("signature"), "{lie}");
        assert_eq!(caught.exhibits.len(), 2, "the note, and the entry");
        assert_eq!(mira.size(), TreeSize(0));
    }
    mira.follows(&relay).expect("the honest case");
}

/// A device id that is in no roster.
fn isla_not(entry: &UnverifiedEntry) -> sealpost_protocol::id::DeviceId {
    sealpost_protocol::id::DeviceId(Hash::of(entry.header().author.as_bytes()))
}

#[test]
fn an_entry_of_a_newer_version_is_no_lie_and_nothing_is_taken() {
    let (relay, _, mut baran) = scene();
    let newer = std::fs::read_to_string("../protocol/testdata/entry/version_2").expect("a vector");
    let hex: String = newer.split("\n\n").nth(1).expect("a body").split_whitespace().collect();
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
    let mut tree = baran.log().fold().expect("pulled").frontier().clone();
    let mut pulled = relay.pulled(baran.size());
    for entry in &pulled.entries {
        tree.append(UnverifiedEntry::decode(entry).expect("an entry").leaf());
    }
    let Err(sealpost_protocol::entry::PeerEntryError::UnknownVersion { leaf, .. }) =
        UnverifiedEntry::decode(&bytes)
    else {
        panic!("the vector is of version 2");
    };
    tree.append(leaf);
    pulled.entries.push(bytes);
    pulled.note = relay.note_of(tree.size(), tree.root());
    let before = baran.digest();
    let error = baran.takes(&pulled).expect_err("too new");
    let FollowError::Failed(failure) = error else { panic!("a lie: {error:?}") };
    assert_eq!(failure.kind, Error::TooOld);
    assert_eq!(baran.digest(), before);
    // The same under a root that it does not make is a lie, newer or not.
    pulled.note = relay.note_of(tree.size(), Hash::of(b"another"));
    assert!(matches!(baran.takes(&pulled), Err(FollowError::Caught(_))));
}

/// A newcomer's first contact, by an invitation whose head is `head`.
fn newcomer(relay: &MemoryRelay, isla: &mut Person, head: (TreeSize, Hash)) -> Person {
    let mut shown = relay.clone();
    let mut mira = Person::joins("mira", isla, &mut shown);
    let invitation = Invitation {
        address: relay.address(),
        committee: isla.log().known.id,
        head,
        id: InvitationId(Hash::of(b"invitation")),
        secret: InvitationSecret::new(Zeroizing::new([5; 32])),
        expires: UnixMillis(u64::MAX),
        uses: 1,
    };
    let opening = json!({
        "by": "join", "invitation": invitation.to_text().as_str(), "request": "", "handle": "",
        "safety_number": "", "asked": true, "earlier": null,
    });
    let opening = opening.to_string().into();
    mira.app.vault.write(|vault| vault.set_opening(mira.no, &opening)).expect("stored");
    mira.app.vault.write(|vault| vault.set_standing(mira.no, Standing::Joining)).expect("stored");
    mira
}

#[test]
fn a_newcomer_is_shown_the_log_that_the_inviter_had_verified_or_none() {
    let (mut relay, mut isla, _) = scene();
    let head = (isla.size(), root_of(&relay.note_at(relay.entries.len())));
    let mut mira = newcomer(&relay, &mut isla, head);
    // Her admission went to a copy of the log: bring it to the relay itself.
    let admission = isla.app.vault.read(|vault| vault.entry(isla.no, LeafIndex(6)));
    relay.append(&admission.expect("read").expect("there")).expect("admitted");
    mira.follows(&relay).expect("the honest case");
    assert_eq!(mira.reads().len(), 4, "history is open to whom it is linked");
    let (relay, mut isla, _) = scene();
    let head = (isla.size(), Hash::of(b"another log"));
    let mut mira = newcomer(&relay, &mut isla, head);
    let error = mira.takes(&relay.pulled(TreeSize(0))).expect_err("a poisoned first contact");
    assert!(
        matches!(error, FollowError::Caught(Caught { lie: Lie::InvitationHead, .. })),
        "{error:?}"
    );
    assert_eq!(mira.size(), TreeSize(0));
}

#[test]
fn a_newcomer_who_is_shown_the_log_piece_by_piece_still_holds_it_to_the_inviters_head() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    baran.follows(&relay).expect("let in");
    let mut fork = relay.clone();
    isla.writes("to all");
    isla.sends(&mut relay).expect("sent");
    baran.writes("to the newcomer alone");
    baran.sends(&mut fork).expect("sent");
    let head = (TreeSize(3), root_of(&relay.note_at(3)));
    let piece = Pulled { entries: relay.entries[..2].to_vec(), note: relay.note_at(2) };
    let nothing = Pulled { entries: Vec::new(), note: relay.note_at(2) };
    let mut mira = newcomer(&relay, &mut isla, head);
    let goal = accept(&mut mira.app, mira.no, &piece).expect("what both logs begin with").1;
    assert_eq!(goal, Goal::Ahead);
    let short = mira.takes(&nothing).expect_err("less than was promised");
    // Either the relay keeps it back, or whoever invited named what never was.
    assert!(matches!(short, FollowError::Caught(Caught { lie: Lie::InvitationHead, .. })));
    let forked = mira.takes(&fork.pulled(TreeSize(2))).expect_err("another log");
    assert!(matches!(forked, FollowError::Caught(Caught { lie: Lie::InvitationHead, .. })));
    mira.follows(&relay).expect("the honest case");
    let known = mira.app.vault.read(|vault| vault.committee_no(mira.no)).expect("known");
    assert_eq!((known.size, known.standing), (TreeSize(3), Standing::Active));
}

#[test]
fn another_founding_entry_under_the_committees_name_is_caught() {
    let (relay, mut isla, _) = scene();
    let head = (TreeSize(0), tree::empty_root());
    let mut mira = newcomer(&relay, &mut isla, head);
    let mut other = MemoryRelay::new(9);
    Person::founds("eve", &mut other);
    let origin = Origin { committee: isla.log().known.id, term: Term(1) };
    let fold = other.fold.as_ref().expect("founded");
    let checkpoint = Checkpoint { origin, size: fold.size(), root: fold.root() };
    let note = checkpoint.sign(&other.key).text().to_owned();
    let pulled = Pulled { entries: other.entries.clone(), note };
    let error = mira.takes(&pulled).expect_err("another committee");
    assert!(
        matches!(error, FollowError::Caught(Caught { lie: Lie::OtherCommittee, .. })),
        "{error:?}"
    );
}

#[test]
fn a_log_whose_home_is_another_relay_is_not_taken_from_this_one() {
    let (relay, mut isla, _) = scene();
    let mut mira = newcomer(&relay, &mut isla, (TreeSize(0), tree::empty_root()));
    let other = MemoryRelay::new(8);
    let address = other.address().to_string();
    mira.app.vault.write(|vault| vault.set_relay(mira.no, &address)).expect("stored");
    let head = relay.pulled(TreeSize(0));
    let claimed = *UnverifiedCheckpoint::parse(head.note.as_bytes()).expect("a note").claimed();
    let note = claimed.sign(&other.key).text().to_owned();
    let error = mira.takes(&Pulled { entries: head.entries, note }).expect_err("no home of it");
    assert!(matches!(error, FollowError::Caught(Caught { lie: Lie::OtherHome, .. })), "{error:?}");
    assert_eq!(mira.size(), TreeSize(0));
}

#[test]
fn a_fold_of_an_older_program_is_made_again_from_the_entries() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    isla.writes("under lock 1");
    isla.locks();
    isla.sends_all(&mut relay);
    let before = isla.digest();
    let position = isla.app.vault.read(|vault| vault.position(isla.no)).expect("read");
    let position = position.expect("it was followed");
    let old = Position { fold: vec![0xa0], ..position };
    isla.app.vault.write(|vault| vault.set_position(isla.no, &old)).expect("as it was");
    isla.follows(&relay).expect("followed");
    assert_eq!(isla.digest(), before, "and is stored in its new shape");
    // Entries that do not lead to the note that is held are no log.
    let other = Position { note: relay.note_at(1).into_bytes(), ..old };
    isla.app.vault.write(|vault| vault.set_position(isla.no, &other)).expect("damaged");
    let failure = isla.app.vault.read(|vault| Log::load(vault, isla.no)).map(|_| ());
    assert_eq!(failure.expect_err("damaged").kind, crate::error::Kind::Damaged);
}

#[test]
fn names_that_do_not_open_leave_a_newcomer_the_older_ones() {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    let stranger = EpochKeys::new(EpochSecret::generate(&[7; 32]));
    let label = names::label(&isla.log().known).expect("reads").expect("is there");
    let sealed = stranger.seal_label(&label).expect("it is short").into();
    isla.posts(&mut relay, &Change::Label(Label { sealed }));
    let brought = mira.follows(&relay).expect("let in");
    assert!(brought.faults.iter().any(|fault| fault.contains("do not open")), "{brought:?}");
    let label = names::label(&mira.log().known).expect("reads").expect("the older one");
    assert_eq!(label.members.len(), 2);
}

#[test]
fn a_payload_that_was_missed_in_a_stored_stretch_is_taken_when_it_comes() {
    let (relay, _, mut baran) = scene();
    let from = baran.size();
    let mut pulled = relay.pulled(from);
    let whole = pulled.entries[1].clone();
    let bare = UnverifiedEntry::decode(&whole).expect("an entry").with_payload_dropped();
    pulled.entries[1] = bare.encode();
    // As in a log so long that a pull does not show its end.
    let no = baran.no;
    let (log, extension) = baran
        .app
        .vault
        .read(|vault| {
            let log = Log::load(vault, no)?;
            let extension = log.extend(vault, &pulled, &[])?;
            Ok::<_, FollowError>((log, extension))
        })
        .expect("admissible as far as it goes");
    let _ = store(&mut baran.app, &log, &extension).expect("stored");
    let index = LeafIndex(from.0 + 1);
    let filling = |person: &Person, bytes: Option<Vec<u8>>| {
        person.app.vault.read(|vault| Filling::of(vault, no, index, bytes)).expect("looked at")
    };
    let other = with_payload(&whole, |payload| payload[300] ^= 1);
    for wrong in [None, Some(bare.encode()), Some(other), Some(pulled.entries[0].clone())] {
        assert!(filling(&baran, wrong).is_none());
    }
    let late = filling(&baran, Some(whole)).expect("the payload that is missed");
    late.store(&mut baran.app, no).expect("stored");
    assert_eq!(baran.log().pulled().expect("pulled").lacking().count(), 0);
    let read: Vec<_> = baran.reads().into_iter().map(|(_, text)| text).collect();
    assert_eq!(read, ["one", "two", "three", "four"]);
}
