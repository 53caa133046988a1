//! Evidence, each but for one thing sound.

use super::{find, with, with_byte, write_text};
use crate::evidence::scene::{FOUNDER, MEMBER, Scene, findings, relay, rewritten, seen};
use crate::evidence::{Evidence, Finding};
use crate::world::TestDevice;

pub(super) fn write_all() {
    let kinds = [
        ("fork", "two notes of different sizes, and how the longer tree began"),
        ("fork_of_one_size", "two notes of one size"),
        ("rollback", "a shorter note that is said to have come later"),
        ("rollback_of_a_receipt", "the same, and an entry that was acknowledged"),
        ("dropped", "an entry that was acknowledged, and another one in its place"),
        ("rewritten", "an entry that its author did not sign"),
        ("seen", "an entry whose author saw another log"),
    ];
    for ((name, comment), finding) in kinds.into_iter().zip(findings()) {
        let fields = [("comment", comment), ("kind", finding.kind())];
        write_text("evidence", name, "success", &fields, &text(finding));
    }
    lines();
    notes();
    entries();
}

fn text(finding: Finding) -> Vec<u8> {
    Evidence::new(relay(), finding).unwrap().to_string().into_bytes()
}

/// As a file, whatever it is.
fn unsound(finding: Finding) -> Vec<u8> {
    Evidence::unchecked(relay(), finding).to_string().into_bytes()
}

fn refused(name: &str, expect: &str, comment: &str, text: &[u8]) {
    write_text("evidence", name, expect, &[("comment", comment)], text);
}

fn lines() {
    let fork = text(findings().swap_remove(0));
    refused("magic", "Magic", "another kind of file", &with_byte(&fork, 0, b'S'));
    let newer = with(&fork, b"evidence/1 ", b"evidence/2 ");
    refused("version_2", "NewerVersion", "of version 2", &newer);
    let unknown = with(&fork, b" fork\n", b" feud\n");
    refused("kind_unknown", "Malformed", "no such kind", &unknown);
    let key = with_byte(&fork, find(&fork, b"relay ") + 6, b'0');
    refused("relay_no_key", "Malformed", "a symbol that base32 does not have", &key);
    refused("trailing", "Malformed", "a line too many", &[&fork[..], b"\n"].concat());
    let cut = &fork[..fork.len() - 1];
    refused("last_newline_missing", "Malformed", "the last line does not end", cut);
    let at = find(&fork, b"begins ") + 7;
    let upper = [&fork[..at], &fork[at..at + 64].to_ascii_uppercase(), &fork[at + 64..]].concat();
    refused("hash_upper_case", "Malformed", "hex digits in upper case", &upper);
    let long = vec![b'a'; crate::limits::EVIDENCE_BYTES_MAX + 1];
    refused("too_long", "TooLong", "longer than the limit", &long);
}

fn notes() {
    let (honest, other) = (Scene::new(&["one", "two", "three"]), Scene::new(&["one", "another"]));
    let consistent = honest.fork(&honest.note(4), 5);
    refused("fork_of_none", "Consistent", "two notes of one log", &unsound(consistent));
    let fork = honest.fork(&other.note(4), 5);
    let Finding::Fork { old, new, begins, steps } = fork.clone() else { unreachable!() };
    let swapped =
        Finding::Fork { old: new.clone(), new: old.clone(), begins, steps: steps.clone() };
    refused("fork_swapped", "Beginning", "the longer note first", &unsound(swapped));
    let invented = Finding::Fork { old, new, begins: honest.leaf(0), steps };
    refused("fork_other_beginning", "Beginning", "an invented root", &unsound(invented));
    let sound = text(fork);
    let last = sound.len() - 65;
    refused("fork_step_missing", "Beginning", "a hash less", &sound[..last]);
    let more = [&sound[..], &sound[last..]].concat();
    refused("fork_step_more", "Beginning", "a hash twice", &more);
    let signature = with_byte(&sound, find(&sound, b"begins ") - 6, b'A');
    refused("note_signature", "Note(Signature", "a signature with one symbol changed", &signature);
    let relay = crate::address::key_to_text(&relay());
    let login = TestDevice::new(FOUNDER).card.login_key().to_owned().into();
    let another = with(&sound, relay.as_bytes(), crate::address::key_to_text(&login).as_bytes());
    refused("note_of_another_relay", "Note(OtherKey", "names another relay", &another);
    let (held, shown) = (honest.note(4), honest.note(4));
    let same = Finding::Rollback { held, shown, receipt: None };
    refused("rollback_to_the_same", "Sizes", "no shorter than before", &unsound(same));
    let receipt = Some(honest.placed(3, 5));
    let within = Finding::Rollback { held: honest.note(5), shown: honest.note(4), receipt };
    let comment = "the shorter note is long enough for the entry";
    refused("rollback_within", "Sizes", comment, &unsound(within));
}

fn entries() {
    let Finding::Rewritten { note, entry, keys } = rewritten() else { unreachable!() };
    let of = |entry, keys| unsound(Finding::Rewritten { note: note.clone(), entry, keys });
    let founders = TestDevice::new(FOUNDER).card.keys();
    let comment = "keys of another device, which did sign it";
    refused("keys_of_another", "OtherKeys", comment, &of(entry.clone(), founders));
    let mut moved = entry.clone();
    moved.index.0 -= 1;
    refused("entry_moved", "Inclusion", "said to stand elsewhere", &of(moved, keys.clone()));

    let mut scene = Scene::new(&["one"]);
    let signing = TestDevice::new(MEMBER).signing;
    scene.lets_in(scene.entry(|_| {}, &signing));
    let rewritten = |scene: &Scene| {
        let (note, entry) = (scene.note(4), scene.placed(3, 4));
        unsound(Finding::Rewritten { note, entry, keys: keys.clone() })
    };
    refused("signature_holds", "Consistent", "its author did sign it", &rewritten(&scene));
    let mut scene = Scene::new(&["one"]);
    let term = |header: &mut crate::entry::Header| header.term = header.term.next();
    scene.lets_in(scene.entry(term, &TestDevice::new(FOUNDER).signing));
    refused("entry_of_other_term", "OtherLog", "an entry of another term", &rewritten(&scene));
    let mut scene = Scene::new(&["one"]);
    let entry = scene.entry(|_| {}, &TestDevice::new(FOUNDER).signing);
    scene.lets_in(entry.clone());
    let mut placed = scene.placed(3, 4);
    placed.entry = entry;
    let whole = Finding::Rewritten { note: scene.note(4), entry: placed, keys: keys.clone() };
    refused("entry_with_payload", "Payload", "an entry with its payload", &unsound(whole));

    let honest = Scene::new(&["one", "two", "three"]);
    let comment = "its author saw this very log";
    refused("seen_this_log", "Consistent", comment, &unsound(honest.seen(4, 5)));
    let mut scene = Scene::new(&["one"]);
    let later = |header: &mut crate::entry::Header| header.seen.size.0 = 4;
    scene.lets_in(scene.entry(later, &signing));
    refused(
        "seen_later",
        "Sizes",
        "its author saw more than there was",
        &unsound(scene.seen(3, 4)),
    );
    let Finding::Seen { note, entry, steps, .. } = seen() else { unreachable!() };
    let begins = honest.leaf(0);
    let invented = Finding::Seen { note, entry, begins, steps };
    refused("seen_other_beginning", "Beginning", "an invented root", &unsound(invented));
    let Finding::Dropped { held, receipt, shown, steps, .. } = findings().swap_remove(4) else {
        unreachable!()
    };
    let leaf = honest.leaf(0);
    let invented = Finding::Dropped { held, receipt, shown, leaf, steps };
    refused("dropped_other_leaf", "Inclusion", "an invented leaf", &unsound(invented));
}
