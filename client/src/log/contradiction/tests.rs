//! A relay that signs what contradicts itself, each beside the honest case: a file that others can check, the
//! vault as before, and the relay dealt with again when it shows what was verified.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use sealpost_protocol::checkpoint::{Cosignature, Cosigner};
use sealpost_protocol::entry::{Entry, Header};
use sealpost_protocol::frame::CosignatureOf;
use sealpost_protocol::id::TreeSize;
use sealpost_protocol::sign::SigningKey;

use super::*;
use crate::error::{Failure, Kind as Error};
use crate::lie::must_be_dealt_with;
use crate::vault::ahead::Ahead;
use crate::village::{MemoryRelay, Person};
use crate::{cosignatures, pull};

/// Isla and Baran, with as many notes of Isla's that both have seen.
fn scene(notes: usize) -> (MemoryRelay, Person, Person) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let mut baran = Person::joins("baran", &mut isla, &mut relay);
    for at in 0..notes {
        isla.writes(&format!("common {at}"));
        isla.sends(&mut relay).expect("sent");
    }
    baran.follows(&relay).expect("let in");
    isla.follows(&relay).expect("followed");
    (relay, isla, baran)
}

fn writes(person: &mut Person, relay: &mut MemoryRelay, notes: usize) {
    for at in 0..notes {
        person.writes(&format!("own {at}"));
        person.sends(relay).expect("sent");
    }
}

fn caught(error: FollowError) -> Caught {
    match error {
        FollowError::Caught(caught) => caught,
        FollowError::Failed(failure) => panic!("no lie: {failure:?}"),
    }
}

fn told(person: &mut Person, caught: Caught) -> Failure {
    let known = person.app.vault.read(|vault| vault.committee_no(person.no)).expect("known");
    caught.told(&mut person.app, &known)
}

fn files(person: &Person) -> Vec<PathBuf> {
    let folder = person.app.vault.home().path().join("evidence");
    let listed = fs::read_dir(folder).map(|all| all.map(|file| file.expect("listed").path()));
    listed.map(Iterator::collect).unwrap_or_default()
}

/// The only file there is, as anybody reads it.
fn evidence(person: &Person) -> Evidence {
    let files = files(person);
    let [file] = files.as_slice() else { panic!("not one file: {files:?}") };
    Evidence::parse(&fs::read(file).expect("readable")).expect("it holds")
}

fn stopped(person: &Person) -> bool {
    person.app.vault.read(|vault| vault.stop(person.no)).expect("read").is_some()
}

fn known(person: &Person) -> crate::vault::committees::Committee {
    person.app.vault.read(|vault| vault.committee_no(person.no)).expect("known")
}

/// What the relay shows from the beginning.
fn from_the_beginning(person: &Person, relay: &MemoryRelay) -> Compared {
    let mut other = OtherLog::default();
    let pulled = relay.pulled(TreeSize(0));
    let compared = person
        .app
        .vault
        .read(|vault| Log::load(vault, person.no)?.compare(vault, &mut other, &pulled));
    compared.expect("compared")
}

/// Puts bytes under the relay's next root, whatever they are.
fn signs_over(relay: &MemoryRelay, person: &Person, entry: &[u8]) -> Pulled {
    let entries = [relay.entries.as_slice(), &[entry.to_vec()]].concat();
    let from = usize::try_from(person.size().0).expect("small");
    Pulled { entries: entries[from..].to_vec(), note: relay.note_over(&entries) }
}

#[test]
fn another_log_that_goes_on_from_none_of_ours_is_evidence_when_it_is_shown_from_its_beginning() {
    let (mut relay, mut isla, mut baran) = scene(1);
    let mut other = relay.clone();
    writes(&mut isla, &mut relay, 1);
    writes(&mut baran, &mut other, 3);
    let before = isla.digest();
    let lie = caught(isla.takes(&other.pulled(isla.size())).expect_err("it goes on from another"));
    assert!(matches!(lie.lie, Lie::Root) && lie.evidence.is_none(), "{}", lie.lie);
    let Compared::Forked(fork) = from_the_beginning(&isla, &other) else { panic!("not seen") };
    let failure = told(&mut isla, *fork);
    assert_eq!(failure.kind, Error::Verification);
    let path = files(&isla).remove(0);
    assert!(failure.what.contains("evidence") && failure.what.contains(path.to_str().unwrap()));
    assert_eq!(evidence(&isla).finding().kind(), "fork");
    assert_eq!((isla.digest(), stopped(&isla)), (before, true));
    assert_eq!(must_be_dealt_with(&isla.app, &known(&isla)).unwrap_err().kind.exit(), 7);
    let brought = isla.follows(&relay).expect("what it showed before");
    assert!(brought.news[0].contains("evidence stays"), "{:?}", brought.news);
    assert!(!stopped(&isla) && files(&isla) == [path]);
    must_be_dealt_with(&isla.app, &known(&isla)).expect("it is dealt with again");
    // The same log from its beginning is none of that, and what ends before it is not waited for.
    assert!(matches!(from_the_beginning(&isla, &relay), Compared::Nothing));
    relay.entries.pop();
    assert!(matches!(from_the_beginning(&isla, &relay), Compared::Nothing));
}

#[test]
fn the_same_lie_again_writes_no_second_file_and_a_graver_one_does() {
    let (mut relay, mut isla, _) = scene(3);
    writes(&mut isla, &mut relay, 1);
    for shown in [4, 3, 4] {
        let pulled = Pulled { entries: Vec::new(), note: relay.note_at(shown) };
        let lie = caught(isla.takes(&pulled).expect_err("rolled back"));
        let failure = told(&mut isla, lie);
        assert!(failure.what.contains(files(&isla)[0].to_str().unwrap()), "{}", failure.what);
        assert_eq!((evidence(&isla).finding().kind(), isla.evidence()), ("rollback", 1));
    }
    let note = relay.note_of(isla.size(), Hash::of(b"another log"));
    let pulled = Pulled { entries: Vec::new(), note };
    let lie = caught(isla.takes(&pulled).expect_err("two roots"));
    told(&mut isla, lie);
    assert_eq!((files(&isla).len(), isla.evidence()), (2, 2));
    isla.follows(&relay).expect("the truth");
    assert!(!stopped(&isla));
}

#[test]
fn a_shorter_log_that_is_another_one_is_a_fork_and_no_mere_rollback() {
    let (mut relay, mut isla, mut baran) = scene(1);
    let mut other = relay.clone();
    writes(&mut isla, &mut relay, 3);
    writes(&mut baran, &mut other, 1);
    let lie = caught(isla.takes(&other.pulled(isla.size())).expect_err("another log"));
    assert!(lie.is_fork(), "{}", lie.lie);
}

#[test]
fn a_file_of_evidence_is_its_owners_alone_and_holds_no_name_and_no_payload() {
    let (mut relay, mut isla, _) = scene(1);
    writes(&mut isla, &mut relay, 1);
    let pulled = Pulled { entries: Vec::new(), note: relay.note_at(3) };
    let lie = caught(isla.takes(&pulled).expect_err("rolled back"));
    told(&mut isla, lie);
    let path = files(&isla).remove(0);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(&path).unwrap();
    for hidden in ["isla", "Reed", "own 0", "age-encryption", "relay.example"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, evidence(&isla).file_name());
}

#[test]
fn evidence_that_cannot_be_written_is_kept_in_the_vault_and_the_relay_stopped_with() {
    let (relay, mut isla, _) = scene(1);
    fs::write(isla.app.vault.home().path().join("evidence"), b"in the way").unwrap();
    let pulled = Pulled { entries: Vec::new(), note: relay.note_at(2) };
    let lie = caught(isla.takes(&pulled).expect_err("rolled back"));
    let failure = told(&mut isla, lie);
    assert_eq!(failure.kind, Error::Verification);
    assert!(failure.what.contains("evidence could not be"), "{}", failure.what);
    assert_eq!((isla.evidence(), stopped(&isla)), (1, true));
    fs::remove_file(isla.app.vault.home().path().join("evidence")).unwrap();
    let lie = caught(isla.takes(&pulled).expect_err("rolled back still"));
    told(&mut isla, lie);
    assert_eq!(evidence(&isla).finding().kind(), "rollback");
}

/// Isla's entry, acknowledged behind one that nobody is shown.
fn acknowledged(relay: &MemoryRelay, isla: &mut Person) -> (MemoryRelay, Vec<u8>) {
    let mut honest = relay.clone();
    let (_, entry) = acknowledged_over(relay, isla);
    honest.append(&entry).expect("admitted");
    (honest, entry)
}

/// Isla's entry, acknowledged behind whatever the relay has. Returns the whole log that was signed for, and it.
fn acknowledged_over(relay: &MemoryRelay, isla: &mut Person) -> (Pulled, Vec<u8>) {
    isla.writes("acknowledged");
    let entry = isla.prepares().remove(0);
    let entries = [relay.entries.as_slice(), std::slice::from_ref(&entry)].concat();
    let note = relay.note_over(&entries);
    let parsed = isla.log().verify_note(&note).expect("signed");
    let size = parsed.checkpoint().size;
    let index = LeafIndex(size.0 - 1);
    let leaves: Vec<Hash> = entries.iter().map(|it| leaf(it)).collect();
    let mut tree = Frontier::new();
    let nodes: Vec<Hash> = leaves.into_iter().flat_map(|leaf| tree.append(leaf)).collect();
    let proof = tree::inclusion_proof(index, size, nodes.as_slice()).expect("in it");
    let receipt = receipt(index, &entry, &parsed, &proof).expect("an entry");
    isla.app
        .vault
        .write(|vault| {
            vault.put_ahead(isla.no, &Ahead { size, note: note.clone() })?;
            vault.put_receipt(isla.no, &receipt)
        })
        .expect("kept");
    (Pulled { entries, note }, entry)
}

fn leaf(bytes: &[u8]) -> Hash {
    UnverifiedEntry::decode(bytes).expect("an entry").leaf()
}

#[test]
fn an_entry_that_was_acknowledged_and_is_not_shown_is_named_in_the_evidence() {
    let (relay, mut isla, _) = scene(1);
    let (honest, entry) = acknowledged(&relay, &mut isla);
    let lie = caught(isla.takes(&relay.pulled(isla.size())).expect_err("it never came, it says"));
    assert!(matches!(lie.lie, Lie::RolledBack { .. }), "{}", lie.lie);
    told(&mut isla, lie);
    let evidence = evidence(&isla);
    let Finding::Rollback { receipt: Some(receipt), .. } = evidence.finding() else {
        panic!("without the entry: {evidence}")
    };
    assert_eq!(receipt.entry.leaf(), leaf(&entry));
    assert_eq!(isla.prepares(), [entry], "the outbox has it still");
    isla.follows(&honest).expect("it shows it after all");
    assert!(!stopped(&isla) && isla.prepares().is_empty());
    assert_eq!(isla.app.vault.read(|vault| vault.receipts(isla.no)).expect("read"), []);
}

#[test]
fn another_entry_in_the_place_of_an_acknowledged_one_is_evidence_and_stays_a_reason_to_stop() {
    let (relay, mut isla, mut baran) = scene(1);
    let (honest, entry) = acknowledged(&relay, &mut isla);
    let mut other = relay.clone();
    writes(&mut baran, &mut other, 2);
    for _ in 0..2 {
        let lie = caught(isla.takes(&other.pulled(isla.size())).expect_err("another entry there"));
        assert!(matches!(lie.lie, Lie::Dropped(_)), "{}", lie.lie);
        told(&mut isla, lie);
        assert_eq!(evidence(&isla).finding().kind(), "dropped");
    }
    assert_eq!(isla.prepares(), [entry], "the outbox has it still");
    isla.follows(&honest).expect("it shows what it acknowledged");
    assert!(!stopped(&isla));
}

#[test]
fn a_head_that_the_relay_merely_claimed_is_disproved_once_and_binds_no_longer() {
    let (mut relay, mut isla, mut baran) = scene(1);
    let size = isla.size().next();
    let note = relay.note_of(size, Hash::of(b"another log"));
    isla.app.vault.write(|vault| vault.put_ahead(isla.no, &Ahead { size, note })).expect("kept");
    writes(&mut baran, &mut relay, 2);
    let lie = caught(isla.takes(&relay.pulled(isla.size())).expect_err("two roots"));
    assert!(lie.is_fork());
    told(&mut isla, lie);
    isla.follows(&relay).expect("it goes on from what was verified");
    assert!(!stopped(&isla));
}

#[test]
fn an_entry_that_its_author_did_not_sign_is_evidence_under_the_relays_root() {
    let (mut relay, mut isla, mut baran) = scene(1);
    writes(&mut baran, &mut relay, 1);
    let last = UnverifiedEntry::decode(relay.entries.last().expect("some")).expect("an entry");
    relay.entries.pop();
    let header = Header { content: Hash::of(b"rewritten"), ..last.header().clone() };
    let stranger = SigningKey::from_bytes(&[7; 32]);
    let forged = Entry::sign(header, last.payload().expect("a payload").to_vec(), &stranger);
    let before = isla.digest();
    let pulled = signs_over(&relay, &isla, &forged.encode());
    let lie = caught(isla.takes(&pulled).expect_err("rewritten"));
    assert!(matches!(lie.lie, Lie::Inadmissible { .. }), "{}", lie.lie);
    told(&mut isla, lie);
    assert_eq!(evidence(&isla).finding().kind(), "rewritten");
    assert_eq!(isla.digest(), before);
    let pulled = signs_over(&relay, &isla, &last.encode());
    isla.takes(&pulled).expect("the entry as it was signed");
}

#[test]
fn what_was_acknowledged_under_a_note_over_a_forgery_stays_acknowledged() {
    let (mut relay, mut isla, mut baran) = scene(1);
    let stranger = {
        let mut elsewhere = MemoryRelay::new(8);
        let mut mira = Person::founds("mira", &mut elsewhere);
        mira.writes("from another committee");
        mira.prepares().remove(0)
    };
    let mut colluding = relay.clone();
    colluding.entries.push(stranger);
    let (shown, entry) = acknowledged_over(&colluding, &mut isla);
    let pulled = Pulled { entries: shown.entries[relay.entries.len()..].to_vec(), ..shown };
    let lie = caught(isla.takes(&pulled).expect_err("no rule admits it"));
    assert!(matches!(lie.lie, Lie::Inadmissible { .. }), "{}", lie.lie);
    told(&mut isla, lie);
    // The place of the entry is taken by others' since.
    writes(&mut baran, &mut relay, 2);
    let lie = caught(isla.takes(&relay.pulled(isla.size())).expect_err("it was acknowledged"));
    assert!(matches!(lie.lie, Lie::Dropped(_)), "{}", lie.lie);
    told(&mut isla, lie);
    let evidence = evidence(&isla);
    let Finding::Dropped { receipt, .. } = evidence.finding() else { panic!("{evidence}") };
    assert_eq!(receipt.entry.leaf(), leaf(&entry));
}

#[test]
fn a_size_that_the_relay_merely_claimed_stops_nobody_for_good() {
    let (relay, mut isla, _) = scene(1);
    let size = TreeSize(1 << 62);
    let note = relay.note_of(size, Hash::of(b"a claim"));
    isla.app.vault.write(|vault| vault.put_ahead(isla.no, &Ahead { size, note })).expect("kept");
    let lie = caught(isla.takes(&relay.pulled(isla.size())).expect_err("it shows less"));
    assert!(matches!(lie.lie, Lie::RolledBack { .. }), "{}", lie.lie);
    told(&mut isla, lie);
    assert_eq!((evidence(&isla).finding().kind(), stopped(&isla)), ("rollback", true));
    isla.follows(&relay).expect("it shows what was verified");
    assert!(!stopped(&isla));
}

/// Baran's next record, with a `seen` of another log.
fn with_false_seen(baran: &mut Person) -> Vec<u8> {
    baran.writes("disputed");
    let honest = UnverifiedEntry::decode(&baran.prepares()[0]).expect("an entry");
    let mut header = honest.header().clone();
    header.seen.root = Hash::of(b"another log");
    let payload = honest.payload().expect("a payload").to_vec();
    Entry::sign(header, payload, baran.app.device.signing_key()).encode()
}

#[test]
fn a_false_seen_accuses_only_a_relay_that_let_it_in() {
    let (mut relay, mut isla, mut baran) = scene(1);
    let framing = with_false_seen(&mut baran);
    // An honest relay refuses it, and nobody else ever sees it.
    assert!(matches!(relay.append(&framing), Err(Refusal::Disputed(_))));
    isla.follows(&relay).expect("nothing came of it");
    assert!(files(&isla).is_empty());
    let lie = caught(isla.takes(&signs_over(&relay, &isla, &framing)).expect_err("let in"));
    assert!(
        matches!(lie.lie, Lie::Inadmissible { refusal: Refusal::Disputed(_), .. }),
        "{}",
        lie.lie
    );
    told(&mut isla, lie);
    assert_eq!(evidence(&isla).finding().kind(), "seen");
}

/// What `person` vouches for.
fn vouches(person: &Person) -> CosignatureOf {
    let device = person.app.device.device_id();
    let head = person.log().checkpoint().expect("pulled");
    let (key, now) = (person.app.device.signing_key(), person.app.clock.now());
    let line = Cosignature::sign(&head, Cosigner::Device(device), key, now);
    CosignatureOf { device, size: head.size, root: head.root, cosignature: line.text().to_owned() }
}

/// Ways in which one who was forked comes across what another was shown.
#[derive(Clone, Copy, Debug)]
enum Meeting {
    /// The relay shows them the other's log.
    Shown,
    /// They get the relay's note of it, and then their own log again.
    Note,
    /// The other's entries come into their log.
    Entries,
    /// They get the other's cosignature, and if that is for more, they are shown it.
    Cosignature,
}

const MEETINGS: [Meeting; 4] =
    [Meeting::Shown, Meeting::Note, Meeting::Entries, Meeting::Cosignature];

/// What `isla`, whose log is `ours`, finds out when she comes across `baran`'s, which is `theirs`.
fn finds_out(
    how: Meeting,
    (isla, ours): (&mut Person, &MemoryRelay),
    (baran, theirs): (&Person, &MemoryRelay),
    common: usize,
) -> bool {
    match how {
        Meeting::Shown => is_shown(isla, theirs),
        Meeting::Note => {
            let note = theirs.note_at(theirs.entries.len());
            let log = isla.log();
            let note = log.verify_note(&note).expect("signed by the same relay");
            let held = isla.app.vault.read(|vault| log.held_against(vault, &note));
            if held.expect("held").is_some() {
                return true;
            }
            let ahead = Ahead { size: note.checkpoint().size, note: note.text().to_owned() };
            isla.app.vault.write(|vault| vault.put_ahead(isla.no, &ahead)).expect("kept");
            is_shown(isla, ours)
        }
        Meeting::Entries => {
            let entries = [&ours.entries[..], &theirs.entries[common..]].concat();
            let from = usize::try_from(isla.size().0).expect("small");
            let note = ours.note_over(&entries);
            isla.takes(&Pulled { entries: entries[from..].to_vec(), note }).is_err()
        }
        Meeting::Cosignature => {
            let mark = vouches(baran);
            if mark.size > isla.size() {
                return is_shown(isla, theirs);
            }
            let named = cosignatures::keep(&mut isla.app, isla.no, &[mark]).expect("kept");
            // A colleague's word: it is found out and stops nobody.
            assert!(!stopped(isla) && files(isla).is_empty());
            !named.is_empty()
        }
    }
}

fn is_shown(isla: &mut Person, relay: &MemoryRelay) -> bool {
    let pulled = relay.pulled(isla.size());
    let error = match pull::accept(&mut isla.app, isla.no, &pulled) {
        Ok(_) => return false,
        Err(error) => caught(error),
    };
    let error = match from_the_beginning(isla, relay) {
        Compared::Forked(fork) if matches!(error.lie, Lie::Root) => *fork,
        _ => error,
    };
    let found = error.evidence.as_ref().expect("the relay signed for both");
    Evidence::parse(found.to_string().as_bytes()).expect("and anybody can check that");
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn two_who_were_forked_and_meet_always_find_out(
        notes in 0_usize..3, first in 1_usize..4, second in 2_usize..4, how in 0_usize..4,
    ) {
        let (mut ours, mut isla, mut baran) = scene(notes);
        let mut theirs = ours.clone();
        let common = ours.entries.len();
        writes(&mut isla, &mut ours, first);
        writes(&mut baran, &mut theirs, second);
        let met = finds_out(MEETINGS[how], (&mut isla, &ours), (&baran, &theirs), common);
        prop_assert!(met, "{:?}", MEETINGS[how]);
    }

    #[test]
    fn two_who_were_not_forked_find_nothing_when_they_meet(
        notes in 0_usize..3, more in 1_usize..4, how in 0_usize..4,
    ) {
        let (mut relay, mut isla, mut baran) = scene(notes);
        let common = relay.entries.len();
        let ours = relay.clone();
        writes(&mut baran, &mut relay, more);
        // What she is shown next is what he has seen.
        let shown = match MEETINGS[how] {
            Meeting::Note => &relay,
            _ => &ours,
        };
        let met = finds_out(MEETINGS[how], (&mut isla, shown), (&baran, &relay), common);
        prop_assert!(!met, "{:?}", MEETINGS[how]);
    }
}
